"""The head: a checkpoint loaded with one, and its output layer put in the units of the ratings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from hf_xling.errors import InputError
from hf_xling.regression.documents import Cutter, RegressionCollator
from hf_xling.regression.tasks import Task, class_names, has_names
from hf_xling.training.chunking import Side
from hf_xling.training.pretrained import load_pretrained, side_of_padding, token_positions

SETTINGS = "hf_xling"  # the key in config.json that says how texts were cut
# Beside an adapter, which has no config.json of its own: with one, transformers would look for a whole model there.
SETTINGS_FILE = "hf_xling.json"
TEXTS = 128  # that a head is tried on, at most
SURE = 2.0  # standard errors by which a head must be worse than the mean rating to be changed
RELATED = 3.0  # standard errors by which its ratings must be correlated with the labels to be fitted to them
RIDGE = 1e-3  # relative to the size of what the layer is given


def load_model(
    model: str | PreTrainedModel, task: Task, seed: int, revision: str | None = None
) -> tuple[PreTrainedModel, str, set[str] | None]:
    """A classifier for `task`: the checkpoint `model`, with a new head if it has none; or `model` itself.

    Returns:
        The model; one line that says what was loaded, newly made and dropped (empty for a model that was given); and
        the names of the new parameters (None for a model that was given: nobody knows yet).

    Raises:
        InputError: it cannot be loaded, or is a model of another task.
    """
    torch.manual_seed(seed)  # the weights of a new head or adapter; Trainer seeds only later
    if not isinstance(model, str):
        _check_model(model, task, str(model.name_or_path), named=has_names(model))
        model.config.problem_type = task.problem_type
        return model, "", None
    name = model
    loaded, loading = load_pretrained(
        AutoModelForSequenceClassification,
        name,
        revision,
        dtype=torch.float32,  # in half precision most steps would change nothing
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        num_labels=task.outputs,
        problem_type=task.problem_type,
    )
    for key, saved, expected in loading["mismatched_keys"]:
        if expected[0] != task.outputs:
            raise InputError(f"--model_name_or_path {name}: {key} is {(*saved,)}, its config says {(*expected,)}")
        raise InputError(f"--model_name_or_path {name}: has {saved[0]} labels; {_needs(task)}")
    new = set(loading["missing_keys"])
    _check_model(loaded, task, name, named=not new)
    count, made = len(set(loaded.state_dict()) - new), f"newly made: {_listed(new)}"
    line = f"{name}: {count} tensors loaded; {made}; dropped: {_listed(loading['unexpected_keys'])}"
    return loaded, line, new


def _check_model(model: PreTrainedModel, task: Task, name: str, named: bool) -> None:
    """Check that `model` is of `task`, and name its classes; where it is `named`, they must have these names."""
    if model.config.num_labels != task.outputs:
        raise InputError(f"--model_name_or_path {name}: has {model.config.num_labels} labels; {_needs(task)}")
    output_layer(model)
    if task.names is None:
        return
    known = class_names(model)
    if named and known != list(task.names):
        raise InputError(
            f"--model_name_or_path {name}: its classes are {', '.join(known)}, those of the training set "
            f"{', '.join(task.names)}; start from an encoder, or name them alike (--label_map)"
        )
    model.config.id2label = dict(enumerate(task.names))
    model.config.label2id = {name: number for number, name in enumerate(task.names)}


def output_layer(model: PreTrainedModel) -> tuple[str, nn.Linear]:
    """The last linear layer with as many outputs as there are labels, and its path; of an adapter the one in training.

    Raises:
        InputError: there is none.
    """
    outputs = model.config.num_labels
    layers = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    found = [(path, layer) for path, layer in layers if layer.out_features == outputs]
    if not found:
        raise InputError(f"{type(model).__name__} has no linear output layer of {outputs} outputs")
    return next((each for each in reversed(found) if each[1].weight.requires_grad), found[-1])


def max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, wanted: int | None) -> int:
    """The tokens that a text may have: `wanted`, or as many as the tokenizer and the model's positions allow.

    Raises:
        InputError: more are wanted than the model has positions for, or there is no room for any text.
    """
    positions = token_positions(model) or tokenizer.model_max_length
    if wanted is not None and wanted > positions:
        raise InputError(f"--max_length {wanted}: the model has positions for {positions} tokens")
    length = wanted or min(tokenizer.model_max_length, positions)
    if length <= (special := tokenizer.num_special_tokens_to_add()):
        raise InputError(f"--max_length: the model takes {length} tokens, {special} of them special; no text fits")
    return length


def logits_side(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, length: int, name: str) -> Side:
    """The side on which padding does not change the logits of `model` (`pretrained.side_of_padding`)."""
    return side_of_padding(model, tokenizer, length, lambda output, batch: output.logits, name)


def part_logits(model: nn.Module, chunk: Mapping[str, Any]) -> Tensor:
    """(parts, labels): the logits of the parts in one pass."""
    return model(input_ids=chunk["input_ids"], attention_mask=chunk["attention_mask"]).logits


def document_logits(model: nn.Module, chunks: Sequence[Mapping[str, Any]], documents: int) -> Tensor:
    """(documents, labels) float32: the mean over the parts of each document, in whatever passes (`chunks`) they are."""
    weighted = [part_logits(model, chunk).float() * chunk["weights"].unsqueeze(-1) for chunk in chunks]
    total = weighted[0].new_zeros(documents, weighted[0].shape[-1])
    for chunk, logits in zip(chunks, weighted, strict=True):
        total.index_add_(0, chunk["documents"], logits)
    return total


def adapter_settings(model: PreTrainedModel) -> dict[str, Any]:
    """What has to be known to load an adapter over its base: fields of the config of the classifier `model`."""
    fields = ("id2label", "label2id", "problem_type", SETTINGS)
    return {name: getattr(model.config, name) for name in fields}


def _needs(task: Task) -> str:
    return "a rating has one" if task.names is None else f"the training set has {task.outputs} classes"


def _listed(names: Iterable[str], most: int = 6) -> str:
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more


def start_in_units(
    model: PreTrainedModel, task: Task, new: Collection[str] | None, tried: Mapping[str, Any] | None
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


def _start_anew(layer: nn.Linear, task: Task) -> None:
    layer.weight.data.mul_(task.deviation)
    if layer.bias is not None:
        layer.bias.data.fill_(task.mean)


def _is_worse_than_the_mean(ratings: numpy.ndarray, labels: numpy.ndarray, task: Task) -> bool:
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
    ratings = torch.empty(len(tried["labels"]), dtype=torch.float64)
    inputs: list[Tensor] = []
    for chunk in tried["chunks"]:
        given = {name: chunk[name].to(model.device) for name in ("input_ids", "attention_mask")}
        of_chunk = model(**given).logits[:, 0]
        ratings[chunk["documents"]] = of_chunk.detach().double().cpu()
        # A rating is the product of the weights and what they are given, which so is its gradient.
        if layer.bias is None:
            inputs += [torch.autograd.grad(each, layer.weight, retain_graph=True)[0][0] for each in of_chunk]
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
