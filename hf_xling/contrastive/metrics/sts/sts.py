"""Correlations of predicted with annotated similarities of sentences, as an `evaluate` metric."""

import datasets
import evaluate
import scipy.stats

_DESCRIPTION = """\
Spearman's and Pearson's correlation of predicted with annotated similarities, as for semantic textual similarity. None
where either side is constant.
"""


class Sts(evaluate.Metric):
    """`compute(predictions=[…], references=[…])` → `{"spearman", "pearson"}`."""

    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description="predictions and references: floats of equal number",
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, predictions, references):
        varied = all(max(side) > min(side) for side in (predictions, references))
        return {
            "spearman": float(scipy.stats.spearmanr(references, predictions).statistic) if varied else None,
            "pearson": float(scipy.stats.pearsonr(references, predictions).statistic) if varied else None,
        }
