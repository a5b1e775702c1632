"""Errors and correlations of predicted ratings, as an `evaluate` metric."""

import math

import datasets
import evaluate
import scipy.stats
import sklearn.metrics

_DESCRIPTION = """\
Mean squared error, its root, mean absolute error (all in the ratings' units), and Pearson's and Spearman's correlation
of predicted with true ratings. A correlation is None where either side is constant (to float32's rounding).
"""


class Rating(evaluate.Metric):
    """`compute(predictions=[…], references=[…])` → `{"mse", "rmse", "mae", "pearson", "spearman"}`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description="predictions and references: floats of equal number",
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, float | None]:
        mse = sklearn.metrics.mean_squared_error(references, predictions)
        varied = all(max(side) - min(side) > 1e-6 * max(map(abs, side)) for side in (predictions, references))
        return {
            "mse": float(mse),
            "rmse": math.sqrt(mse),
            "mae": float(sklearn.metrics.mean_absolute_error(references, predictions)),
            "pearson": float(scipy.stats.pearsonr(references, predictions).statistic) if varied else None,
            "spearman": float(scipy.stats.spearmanr(references, predictions).statistic) if varied else None,
        }
