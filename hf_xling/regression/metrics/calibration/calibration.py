"""Whether an ensemble's spread tells how wrong it is, as an `evaluate` metric."""

import datasets
import evaluate
import numpy
import scipy.stats
from numpy.typing import ArrayLike

_DESCRIPTION = """\
Each prediction with its spread is taken for a normal distribution of the true rating.
- coverage_50, coverage_90: the share of true ratings within the central 50 % and 90 % of it.
- calibration_error: the mean distance, over the levels 5 %, 10 %, … 95 %, between a level and the share of true ratings
  below that quantile; 0 is calibrated (Kuleshov et al. 2018, with the absolute distance).
- spread_ratio: the root mean squared error over the root mean squared spread; above 1 the spread is too small.
- spread_spearman: the rank correlation of spread and absolute error; None where either side is constant.
"""
LEVELS = numpy.arange(0.05, 0.951, 0.05)


class Calibration(evaluate.Metric):
    """`compute(predictions=[…], references=[…], spreads=[…])`."""

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description="predictions, references, spreads (standard deviations): floats of equal number",
            features=datasets.Features({"predictions": number, "references": number, "spreads": number}),
        )

    def _compute(self, predictions: ArrayLike, references: ArrayLike, spreads: ArrayLike) -> dict[str, float | None]:
        predictions, references, spreads = map(numpy.asarray, (predictions, references, spreads))
        if (spreads < 0).any():
            raise ValueError(f"spreads must be 0 or more; the smallest is {spreads.min()}")
        errors = references - predictions
        # Where the spread is 0 the distribution is a point: below it or at it, or above.
        with numpy.errstate(divide="ignore", invalid="ignore"):
            below = numpy.where(spreads > 0, scipy.stats.norm.cdf(errors / spreads), (errors >= 0).astype(float))
        distances = [abs((below <= level).mean() - level) for level in LEVELS]
        size, varied = numpy.abs(errors), [numpy.ptp(side) > 0 for side in (spreads, errors)]
        spread = numpy.sqrt((spreads**2).mean())
        return {
            "coverage_50": float((numpy.abs(below - 0.5) <= 0.25).mean()),
            "coverage_90": float((numpy.abs(below - 0.5) <= 0.45).mean()),
            "calibration_error": float(numpy.mean(distances)),
            "spread_ratio": float(numpy.sqrt((errors**2).mean()) / spread) if spread > 0 else None,
            "spread_spearman": float(scipy.stats.spearmanr(spreads, size).statistic) if all(varied) else None,
        }
