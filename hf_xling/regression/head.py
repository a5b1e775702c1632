"""Loading a checkpoint with a head for the task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from hf_xling.errors import InputError
from hf_xling.regression.tasks import ClassTask, RatingTask, Task, has_names
from hf_xling.training.chunking import Side
from hf_xling.training.pretrained import load_pretrained, side_of_padding, token_positions

SETTINGS = "hf_xling"  # the key in config.json under which stands how texts were cut
# Beside an adapter, which has no config.json of its own: with one, transformers would look for a whole model there.
SETTINGS_FILE = "hf_xling.json"


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
        check_model(model, task, model.name_or_path)
        model.config.problem_type = task.kind
        if isinstance(task, ClassTask) and has_names(model):
            _check_names(model, task, model.name_or_path)
        _name(model, task)
        return model, "", None
    name = model
    model, loading = load_pretrained(
        AutoModelForSequenceClassification,
        name,
        revision,
        dtype=torch.float32,  # in half precision most steps would change nothing
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        num_labels=task.outputs,
        problem_type=task.kind,
    )
    for key, saved, expected in loading["mismatched_keys"]:
        if expected[0] != task.outputs:
            raise InputError(f"--model_name_or_path {name}: {key} is {(*saved,)}, its config says {(*expected,)}")
        raise InputError(f"--model_name_or_path {name}: has {saved[0]} labels; {_needs(task)}")
    check_model(model, task, name)
    new = set(loading["missing_keys"])
    if isinstance(task, ClassTask) and not new:
        _check_names(model, task, name)
    _name(model, task)
    loaded = len(set(model.state_dict()) - new)
    line = (
        f"{name}: {loaded} tensors loaded; newly made: {_listed(new)}; dropped: {_listed(loading['unexpected_keys'])}"
    )
    return model, line, new


def check_model(model: PreTrainedModel, task: Task, name: str) -> None:
    """An `InputError` if `model` has another number of labels, or no output layer."""
    if model.config.num_labels != task.outputs:
        raise InputError(f"--model_name_or_path {name}: has {model.config.num_labels} labels; {_needs(task)}")
    output_layer(model)


def _check_names(model: PreTrainedModel, task: ClassTask, name: str) -> None:
    known = tuple(model.config.id2label.values())
    if known != task.names:
        raise InputError(
            f"--model_name_or_path {name}: its classes are {', '.join(map(str, known))}, those of the training set "
            f"{', '.join(task.names)}; start from an encoder, or name them alike (--label_map)"
        )


def _name(model: PreTrainedModel, task: Task) -> None:
    if isinstance(task, ClassTask):
        model.config.id2label = dict(enumerate(task.names))
        model.config.label2id = {name: number for number, name in enumerate(task.names)}


def output_layer(model: nn.Module) -> tuple[str, nn.Linear]:
    """The last linear layer with as many outputs as there are labels, and its path; of an adapter the one in training.

    Raises:
        InputError: there is none.
    """
    found = [
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == model.config.num_labels
    ]
    if not found:
        raise InputError(f"{type(model).__name__} has no linear output layer of {model.config.num_labels} outputs")
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


def adapter_settings(model: PreTrainedModel) -> dict[str, Any]:
    """What has to be known to load an adapter over its base: fields of the config of the classifier `model`."""
    fields = ("id2label", "label2id", "problem_type", SETTINGS)
    return {name: getattr(model.config, name) for name in fields}


def _needs(task: Task) -> str:
    return "a rating has one" if isinstance(task, RatingTask) else f"the training set has {task.outputs} classes"


def _listed(names: Iterable[str], most: int = 6) -> str:
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more
