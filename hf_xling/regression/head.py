"""Loading a checkpoint with a head for the task, and starting a new head in the task's own units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from hf_xling.errors import InputError
from hf_xling.pretrained import load_pretrained, token_positions
from hf_xling.regression.tasks import RatingTask, Task

SETTINGS = "hf_xling"  # the key in config.json under which stands how texts were cut
# Beside an adapter, which has no config.json of its own: with one, transformers would look for a whole model there.
SETTINGS_FILE = "hf_xling.json"


def load_model(name: str, task: Task, seed: int, revision: str | None = None) -> tuple[PreTrainedModel, str, set[str]]:
    """Load a checkpoint for `task`: with its own head if it has one, else with a new one.

    A new head's output layer stands in the ratings' own units from the start: its weights are multiplied by their
    deviation, its bias is their mean. So the first prediction is about the mean, and training at any scale is that of
    standardised ratings, while each checkpoint answers in the ratings' units.

    Returns:
        The model; one line that says what was loaded, newly made and dropped; and the names of the new parameters.

    Raises:
        InputError: it cannot be loaded, is a model of another task, or has an output layer without a bias.
    """
    wanted: dict[str, Any] = {"num_labels": task.outputs, "problem_type": task.kind}
    if not isinstance(task, RatingTask):
        wanted |= {"id2label": dict(enumerate(task.names)), "label2id": {name: n for n, name in enumerate(task.names)}}
    torch.manual_seed(seed)  # the new head's weights; Trainer seeds only later
    model, loading = load_pretrained(
        AutoModelForSequenceClassification,
        name,
        revision,
        dtype=torch.float32,  # in half precision most steps would change nothing
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **wanted,
    )
    for key, saved, expected in loading["mismatched_keys"]:
        if expected[0] != task.outputs:
            raise InputError(f"--model_name_or_path {name}: {key} is {(*saved,)}, its config says {(*expected,)}")
        raise InputError(f"--model_name_or_path {name}: has {saved[0]} labels; {_needs(task)}")
    check_model(model, task, name)
    new = set(loading["missing_keys"])
    if not isinstance(task, RatingTask) and not new:
        known = tuple(load_pretrained(AutoConfig, name, revision).id2label.values())
        if known != task.names:
            raise InputError(
                f"--model_name_or_path {name}: its classes are {', '.join(map(str, known))}, those of the training set "
                f"{', '.join(task.names)}; start from an encoder, or name them alike (--label_map)"
            )
    path, layer = output_layer(model)
    if isinstance(task, RatingTask) and f"{path}.weight" in new:
        with torch.no_grad():
            layer.weight.mul_(task.deviation)
            layer.bias.fill_(task.mean)
    loaded = len(set(model.state_dict()) - new)
    line = (
        f"{name}: {loaded} tensors loaded; newly made: {_listed(new)}; dropped: {_listed(loading['unexpected_keys'])}"
    )
    return model, line, new


def check_model(model: PreTrainedModel, task: Task, name: str) -> None:
    """An `InputError` if `model` has another number of labels, or an output layer without a bias."""
    if model.config.num_labels != task.outputs:
        raise InputError(f"--model_name_or_path {name}: has {model.config.num_labels} labels; {_needs(task)}")
    path, layer = output_layer(model)
    if isinstance(task, RatingTask) and layer.bias is None:
        raise InputError(
            f"--model_name_or_path {name}: its output layer {path} has no bias, and so no place for a mean"
        )


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


def adapter_with_head(peft_config: Any, model: PreTrainedModel, new: set[str]) -> Any:
    """`peft_config`, so that it trains and saves with the adapter what of the head is not in the base checkpoint."""
    path, _ = output_layer(model)
    outside = {name.split(".")[0] for name in [*new, path]} - {model.base_model_prefix}
    # Such as the pooler of an encoder that was saved without one.
    inside = {".".join(name.split(".")[:2]) for name in new if name.startswith(f"{model.base_model_prefix}.")}
    peft_config.modules_to_save = sorted({*(peft_config.modules_to_save or ()), *outside, *inside})
    return peft_config


def max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, wanted: int | None) -> int:
    """The tokens that a text may have: `wanted`, or as many as the tokenizer and the model's positions allow.

    Raises:
        InputError: more are wanted than the model has positions for.
    """
    positions = token_positions(model) or tokenizer.model_max_length
    if wanted is not None and wanted > positions:
        raise InputError(f"--max_length {wanted}: the model has positions for {positions} tokens")
    return wanted or min(tokenizer.model_max_length, positions)


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
