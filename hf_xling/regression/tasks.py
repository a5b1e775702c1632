"""What is predicted: a rating, by squared error, or a class, by cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from numpy import ndarray
from torch import Tensor
from transformers import PreTrainedModel

from hf_xling.regression.metrics import load_metric


@dataclass(frozen=True)
class RatingTask:
    """One output in the ratings' own units, trained by the mean squared error divided by the labels' variance.

    Divided so, the loss and the learning rate mean the same whatever the ratings' scale is.

    Attributes:
        mean, deviation: of the training labels (the deviation of the population; 1 if all labels are one).
    """

    mean: float = 0.0
    deviation: float = 1.0

    label_dtype = torch.float32
    metrics = "rating"
    outputs = 1
    kind = "regression"

    @classmethod
    def of(cls, labels: Sequence[float]) -> RatingTask:
        """The task of these training labels."""
        mean = math.fsum(labels) / len(labels)
        deviation = math.sqrt(math.fsum((label - mean) ** 2 for label in labels) / len(labels))
        return cls(mean, deviation if deviation > 1e-6 * max(1.0, abs(mean)) else 1.0)

    @property
    def logged_scale(self) -> float:
        """What turns the training loss into the mean squared error."""
        return self.deviation**2

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(n, 1) logits, (n,) labels → (n,) losses in float32."""
        return ((logits.squeeze(-1).float() - labels) / self.deviation).square()

    def predictions(self, logits: ndarray) -> ndarray:
        """(n, 1) logits → (n,) ratings."""
        return logits.squeeze(-1)

    def compute_metrics(self, logits: ndarray, labels: ndarray) -> dict[str, Any]:
        """The metrics `rating` computes."""
        return load_metric(self.metrics).compute(predictions=self.predictions(logits), references=labels)


@dataclass(frozen=True)
class ClassTask:
    """A logit for each class, trained by cross-entropy.

    Attributes:
        names: of the classes, in the order of their numbers.
        label_smoothing: the part of a label that goes to all classes alike.
    """

    names: tuple[str, ...]
    label_smoothing: float = 0.0

    label_dtype = torch.int64
    metrics = "classes"
    kind = "single_label_classification"
    logged_scale = 1.0

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.names)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(n, classes) logits, (n,) integer labels → (n,) losses in float32."""
        return F.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=self.label_smoothing)

    def predictions(self, logits: ndarray) -> ndarray:
        """(n, classes) logits → (n,) the numbers of the likeliest classes."""
        return logits.argmax(axis=-1)

    def compute_metrics(self, logits: ndarray, labels: ndarray) -> dict[str, Any]:
        """The metrics `classes` computes."""
        return load_metric(self.metrics).compute(predictions=self.predictions(logits), references=labels)


Task = RatingTask | ClassTask


def make_task(kind: str, labels: Sequence[float], names: Sequence[str] | None, model: str | PreTrainedModel) -> Task:
    """What is to be predicted: by the labels of the training set, or where there is none by the model.

    Args:
        kind: `regression` or `classification`.
        labels: of the training set: ratings, or numbers of classes.
        names: of the classes; by default their numbers.
        model: to be trained, or its name.
    """
    labels = list(labels)
    if kind == "regression":
        return RatingTask.of(labels) if labels else RatingTask()
    if names is None and not labels and not isinstance(model, str):
        names = list(model.config.id2label.values())
    return ClassTask(tuple(names or map(str, range(max(labels, default=0) + 1))))
