"""Agreement of predicted with true classes, as an `evaluate` metric."""

import datasets
import evaluate
import sklearn.metrics

_DESCRIPTION = """\
Accuracy, and the mean over classes of F1 (macro-F1), each class counting alike however rare it is. A class that is
neither predicted nor true anywhere does not count.
"""


class Classes(evaluate.Metric):
    """`compute(predictions=[…], references=[…])` → `{"accuracy", "macro_f1"}`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description="predictions and references: the numbers of classes, of equal number",
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {
            "accuracy": float(sklearn.metrics.accuracy_score(references, predictions)),
            "macro_f1": float(sklearn.metrics.f1_score(references, predictions, average="macro", zero_division=0)),
        }
