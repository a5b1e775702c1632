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


class Task:
    """What a head predicts.

    Attributes:
        kind: what transformers calls it, the config's `problem_type`.
        label_dtype: of the labels in a batch.
        metrics, metric_names: the module of `metrics/`, and what it computes.
        deviation: of the training labels, by which the loss is divided.
    """

    kind: Literal["regression", "single_label_classification"]
    label_dtype: torch.dtype
    metrics: str
    metric_names: tuple[str, ...]
    deviation: float = 1.0

    @property
    def outputs(self) -> int:
        """How many the head has."""
        raise NotImplementedError

    @property
    def logged_scale(self) -> float:
        """What turns the training loss into the one that is logged; of ratings, the mean squared error."""
        return self.deviation**2

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(n, outputs) logits, (n,) labels → (n,) losses in float32."""
        raise NotImplementedError

    def predictions(self, logits: ndarray) -> ndarray:
        """(n, outputs) logits → (n,) ratings, or the numbers of the likeliest classes."""
        raise NotImplementedError

    def compute_metrics(self, logits: ndarray, labels: ndarray) -> dict[str, Any]:
        """The metrics of `metric_names`."""
        return load_metric(self.metrics).compute(predictions=self.predictions(logits), references=labels)


@dataclass(frozen=True)
class RatingTask(Task):
    """One output in the ratings' own units, trained by the mean squared error divided by the labels' variance.

    Divided so, the loss and the learning rate mean the same whatever the ratings' scale is.

    Attributes:
        mean, deviation: of the training labels (the deviation of the population; 1 if all labels are one).
    """

    mean: float = 0.0
    deviation: float = 1.0

    kind = "regression"
    outputs = 1
    label_dtype = torch.float32
    metrics, metric_names = "rating", METRICS

    @classmethod
    def of(cls, labels: Sequence[float]) -> RatingTask:
        """The task of these training labels."""
        mean = math.fsum(labels) / len(labels)
        deviation = math.sqrt(math.fsum((label - mean) ** 2 for label in labels) / len(labels))
        return cls(mean, deviation if deviation > 1e-6 * max(1.0, abs(mean)) else 1.0)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ((logits.squeeze(-1).float() - labels) / self.deviation).square()

    def predictions(self, logits: ndarray) -> ndarray:
        return logits.squeeze(-1)


@dataclass(frozen=True)
class ClassTask(Task):
    """A logit for each class, trained by cross-entropy.

    Attributes:
        names: of the classes, in the order of their numbers.
        label_smoothing: the part of a label that goes to all classes alike.
    """

    names: tuple[str, ...]
    label_smoothing: float = 0.0

    kind = "single_label_classification"
    label_dtype = torch.int64
    metrics, metric_names = "classes", CLASS_METRICS

    @property
    def outputs(self) -> int:
        return len(self.names)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=self.label_smoothing)

    def predictions(self, logits: ndarray) -> ndarray:
        return logits.argmax(axis=-1)


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
        return RatingTask.of(labels) if labels else RatingTask()
    if names is None and not isinstance(model, str) and (not labels or has_names(model)):
        names = class_names(model)
    return ClassTask(tuple(names or map(str, range(int(max(labels, default=0)) + 1))), label_smoothing)
