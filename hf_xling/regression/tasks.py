"""What is predicted: a rating, by squared error, or a class, by cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor
from transformers import PreTrainedModel

from hf_xling.regression.config import TaskKind
from hf_xling.regression.metrics import CLASS_METRICS, METRICS, load_metric


@dataclass(frozen=True)
class Task:
    """What a head predicts: one rating in its own units, or a logit for each class.

    Ratings are trained by the mean squared error divided by the labels' variance. So the loss and the learning rate
    mean the same whatever the ratings' scale is.

    Attributes:
        names: of the classes, in the order of their numbers; None for ratings.
        mean, deviation: of the training labels, if they are ratings; the deviation is 1 if all are one.
        label_smoothing: the part of the label of a class that goes to all classes alike.
    """

    names: tuple[str, ...] | None = None
    mean: float = 0.0
    deviation: float = 1.0
    label_smoothing: float = 0.0

    @property
    def outputs(self) -> int:
        """How many the head has."""
        return 1 if self.names is None else len(self.names)

    @property
    def problem_type(self) -> Literal["regression", "single_label_classification"]:
        """What transformers calls the task."""
        return "regression" if self.names is None else "single_label_classification"

    @property
    def label_dtype(self) -> torch.dtype:
        """Of the labels in a batch."""
        return torch.float32 if self.names is None else torch.int64

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What `compute_metrics` computes."""
        return METRICS if self.names is None else CLASS_METRICS

    @property
    def logged_scale(self) -> float:
        """What turns the training loss into the one that is logged; of ratings, the mean squared error."""
        return self.deviation**2

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(n, outputs) logits, (n,) labels → (n,) losses in float32."""
        if self.names is None:
            return ((logits.squeeze(-1).float() - labels) / self.deviation).square()
        return F.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=self.label_smoothing)

    def predictions(self, logits: ndarray) -> ndarray:
        """(n, outputs) logits → (n,) ratings, or the numbers of the likeliest classes."""
        return logits.squeeze(-1) if self.names is None else logits.argmax(axis=-1)

    def compute_metrics(self, logits: ndarray, labels: ndarray) -> dict[str, Any]:
        """The metrics of `metric_names`."""
        metric = load_metric("rating" if self.names is None else "classes")
        return metric.compute(predictions=self.predictions(logits), references=labels)


def class_names(model: PreTrainedModel) -> list[str]:
    """Of the classes of `model`, in the order of its logits."""
    return [str(name) for name in (model.config.id2label or {}).values()]


def has_names(model: PreTrainedModel) -> bool:
    """Whether the classes of `model` have names of their own, and not transformers' `LABEL_0`, `LABEL_1`, …"""
    return any(name != f"LABEL_{number}" for number, name in enumerate(class_names(model)))


def make_task(
    kind: TaskKind,
    labels: Sequence[float],
    names: Sequence[str] | None,
    model: str | PreTrainedModel,
    label_smoothing: float = 0.0,
) -> Task:
    """What is to be predicted: by the labels of the training set, or where there is none by the model.

    Args:
        kind: `regression` or `classification`.
        labels: of the training set: ratings, or numbers of classes.
        names: of the classes; by default their numbers.
        model: to be trained, or its name.
        label_smoothing: of classes.
    """
    if kind == "regression":
        if not labels:
            return Task()
        mean = math.fsum(labels) / len(labels)
        deviation = math.sqrt(math.fsum((label - mean) ** 2 for label in labels) / len(labels))
        return Task(mean=mean, deviation=deviation if deviation > 1e-6 * max(1.0, abs(mean)) else 1.0)
    if names is None and not isinstance(model, str) and (not labels or has_names(model)):
        names = class_names(model)
    names = names or [str(number) for number in range(int(max(labels, default=0)) + 1)]
    return Task(tuple(names), label_smoothing=label_smoothing)
