"""Where training starts: an output layer in the units of the ratings, whatever it was before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_xling.regression.collator import RegressionCollator
from hf_xling.regression.head import output_layer
from hf_xling.regression.long_text import Cutter
from hf_xling.regression.tasks import RatingTask

TEXTS = 128  # that a head is tried on, at most
SURE = 2.0  # standard errors by which a head must be worse than the mean rating to be changed
RELATED = 3.0  # standard errors by which its ratings must be correlated with the labels to be fitted to them
RIDGE = 1e-3  # relative to the size of what the layer is given


def start_in_units(
    model: PreTrainedModel, task: RatingTask, new: Collection[str] | None, tried: Mapping[str, Any] | None
) -> str:
    """Put the output layer of `model` into the units of the labels, where it is not.

    A new layer then rates about the mean of the labels, and varies as they do. So training at any scale is that of
    standardised ratings, and each checkpoint answers in the ratings' units. A trained layer stays, unless it rates
    these texts worse than their mean does. Then it belongs to another scale: where its ratings are correlated with the
    labels, they are stretched and moved to fit them (least squares); else the layer is made anew.

    Args:
        model: a sequence classifier with one label.
        task: the mean and deviation of all training labels.
        new: names of the parameters that are newly made; None for a model that was given.
        tried: texts of the training set, as `RegressionCollator` has them (`some_texts`); None where there are none.

    Returns:
        What was done with a trained layer, in words; empty where it stays, or is new.
    """
    path, layer = output_layer(model)
    if new is not None and f"{path}.weight" in new and layer.bias is not None:
        _start_anew(layer, task)  # whatever the texts are
        return ""
    if tried is None:
        return ""
    is_new = type(model).__name__ not in (model.config.architectures or ()) if new is None else f"{path}.weight" in new
    known, (ratings, inputs) = tried["labels"].double().numpy(), _rated(model, layer, tried)
    if not _is_worse_than_the_mean(ratings, known, task):
        return ""
    related = numpy.corrcoef(ratings, known)[0, 1] if ratings.std() and known.std() else 0.0
    if not is_new and related**2 * len(known) > RELATED**2:
        stretch = related * known.std() / ratings.std()
        layer.weight.data.mul_(stretch)
        if layer.bias is not None:
            layer.bias.data.mul_(stretch)
        _shift(layer, known.mean() - stretch * ratings.mean(), inputs)
        return (
            f"its ratings of the training texts ({ratings.min():.4g} to {ratings.max():.4g}) are of another scale than "
            f"the labels ({known.min():.4g} to {known.max():.4g}); its output layer was fitted to that of the labels"
        )
    if not is_new:
        nn.init.normal_(layer.weight, std=getattr(model.config, "initializer_range", 0.02))
    _start_anew(layer, task)
    if layer.bias is None:
        _shift(layer, task.mean - _rated(model, layer, tried)[0].mean(), inputs)
    return "" if is_new else "its ratings have nothing to do with the labels; its output layer was made anew"


def _start_anew(layer: nn.Linear, task: RatingTask) -> None:
    layer.weight.data.mul_(task.deviation)
    if layer.bias is not None:
        layer.bias.data.fill_(task.mean)


def _is_worse_than_the_mean(ratings: numpy.ndarray, labels: numpy.ndarray, task: RatingTask) -> bool:
    """Whether these ratings are surely worse than the mean of the labels; not where they are no numbers."""
    errors = (ratings - labels) ** 2
    more = errors - (labels.mean() - labels) ** 2
    return bool(errors.mean() > task.deviation**2 and more.mean() > SURE * more.std() / len(labels) ** 0.5)


def _shift(layer: nn.Linear, amount: float, inputs: Tensor | None) -> None:
    """Add `amount` to what the layer gives of `inputs`: by its bias, or in the direction that all inputs share."""
    if inputs is None:
        layer.bias.data.add_(amount)
        return
    products = inputs @ inputs.T
    ridge = RIDGE * products.diagonal().mean() * torch.eye(len(inputs), device=inputs.device)
    direction = inputs.T @ torch.linalg.solve(products + ridge, torch.ones(len(inputs), device=inputs.device))
    layer.weight.data[0] += amount * direction / (inputs @ direction).mean()


def _rated(model: PreTrainedModel, layer: nn.Linear, tried: Mapping[str, Any]) -> tuple[numpy.ndarray, Tensor | None]:
    """(n,) ratings without dropout; and if the layer has no bias, (n, width) what it is given for each."""
    was_training, learning = model.training, [each for each in model.parameters() if each.requires_grad]
    model.eval().requires_grad_(False)
    layer.weight.requires_grad_(layer.bias is None)
    ratings, inputs = torch.empty(len(tried["labels"]), dtype=torch.float64), []
    for chunk in tried["chunks"]:
        given = {name: chunk[name].to(model.device) for name in ("input_ids", "attention_mask")}
        of_chunk = model(**given).logits[:, 0]
        ratings[chunk["documents"]] = of_chunk.detach().double().cpu()
        # A rating is the product of the weights and what they are given, which so is its gradient.
        for each in of_chunk if layer.bias is None else ():
            inputs.append(torch.autograd.grad(each, layer.weight, retain_graph=True)[0][0])
    model.train(was_training)
    layer.weight.requires_grad_(False)
    for parameter in learning:
        parameter.requires_grad_(True)
    return ratings.numpy(), torch.stack(inputs) if inputs else None


def some_texts(dataset: Dataset | None, cutter: Cutter, collate: RegressionCollator) -> dict[str, Any] | None:
    """Up to `TEXTS` texts of all of `dataset`, of each its first part; None where there are none."""
    if dataset is None or not len(dataset) or not {"text", "label"} <= set(dataset.column_names):
        return None
    rows = dataset.select(range(0, len(dataset), -(-len(dataset) // TEXTS)))
    parts = [parts[:1] for parts, _ in cutter(rows["text"][:])]
    return collate([{"parts": each, "label": label} for each, label in zip(parts, rows["label"], strict=True)])
