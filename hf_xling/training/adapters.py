"""LoRA: the fields of peft that both trainers take, models with an adapter in them, and what an adapter belongs to."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hf_xling.errors import InputError
from hf_xling.training.pretrained import refuse_adapter, unlike_checkpoint


@dataclass
class LoraArguments:
    """Training an adapter (Hu et al. 2021) in place of all weights."""

    use_peft: bool = field(default=False, metadata={"help": "train a LoRA adapter; the checkpoint is that adapter"})
    lora_r: int = field(default=16, metadata={"help": "rank of its matrices"})
    lora_alpha: int = field(default=32, metadata={"help": "scale of its output, divided by the rank"})
    lora_dropout: float = field(default=0.05, metadata={"help": "dropout on its input"})
    lora_target_modules: list[str] | None = field(
        default=None,
        metadata={"help": "names of the layers to adapt; default: all linear layers but those of the head"},
    )

    _argument_group_name = "LoRA"

    def __post_init__(self) -> None:
        if self.lora_r < 1:
            raise InputError(f"--lora_r {self.lora_r}: at least 1 is needed")
        if not 0 <= self.lora_dropout < 1:
            raise InputError(f"--lora_dropout {self.lora_dropout}: a number from 0 to 1 is needed")

    def config(self, task_type: str, **more: Any) -> Any:
        """The `peft.LoraConfig` for a task type of peft's (`FEATURE_EXTRACTION`, `SEQ_CLS`), or None without LoRA."""
        if not self.use_peft:
            return None
        modules: Any = self.lora_target_modules
        if modules == ["all-linear"]:
            modules = "all-linear"
        return LoraConfig(
            task_type=task_type,
            r=self.lora_r,
            lora_alpha=self.lora_alpha,
            lora_dropout=self.lora_dropout,
            target_modules=modules,
            **more,
        )


def adapted(
    model: PreTrainedModel, peft_config: Any, name: str, revision: str | None = None, new: Collection[str] | None = None
) -> Any:
    """`model` with an adapter in it that is trained in its place.

    The adapter is saved without the model, and loaded over the checkpoint `name`. So it trains and saves as a whole the
    modules that the checkpoint lacks, and the task head. Without `target_modules` it adapts all other linear layers.

    Args:
        model: a sequence classifier, or an encoder without a head.
        peft_config: stays as it is.
        name: of the checkpoint that `model` was loaded from.
        revision: on the Hub.
        new: names of the tensors that the checkpoint lacks; None to look them up there.

    Raises:
        InputError: no such layers; no such checkpoint; or its weights are others than those of `model`.
    """
    if new is None:
        new = _made_new(model, name, revision)
    peft_config = copy.deepcopy(peft_config)
    made = _whole_modules(model, new, name)
    whole = sorted({*(getattr(peft_config, "modules_to_save", None) or ()), *made})
    peft_config.modules_to_save = whole or None
    if hasattr(peft_config, "target_modules"):
        _aim(peft_config, model, whole)
    try:
        model = get_peft_model(model, peft_config, revision=revision)
    except ValueError as error:
        raise InputError(f"--lora_target_modules (peft_config): does not fit {name}: {error}") from error
    _name_base(model, name)
    return model


def check_adapter(model: str | PreTrainedModel, peft_config: Any, revision: str | None = None) -> None:
    """Check that what a trainer was given makes an adapter that can be loaded again, before anything is changed.

    A model with an adapter in it must save all that its base lacks, and its head: training starts with changing that.

    Args:
        model: to train, or its name.
        peft_config: of the adapter to put into it; None for none.
        revision: of the model on the Hub.

    Raises:
        InputError: the adapter could not be loaded again as it is trained.
    """
    if isinstance(model, str):
        refuse_adapter(model, revision)
    if peft_config is not None:
        if not isinstance(peft_config, PeftConfig):
            raise InputError(f"peft_config: a config of peft (LoraConfig) is needed, not {type(peft_config).__name__}")
        _refuse_prompts(peft_config)
    if isinstance(model, str) or not hasattr(model, "peft_config"):
        return
    if not isinstance(model, PeftModel):
        raise InputError(
            f"model: this {type(model).__name__} has an adapter in it that is no PeftModel; make one (`get_peft_model`)"
        )
    if peft_config is not None:
        raise InputError("peft_config: the model has an adapter already; leave one of the two out")
    config = model.peft_config[model.active_adapter]
    _refuse_prompts(config)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError("model: its adapter is frozen; load it with is_trainable=True")
    base, name = model.get_base_model(), model.name_or_path
    whole = {*_head(base), *(key.rpartition(".")[0] for key in _made_new(base, name, revision, "model:"))}
    for path in sorted(whole):
        parts = path.split(".")
        within = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        saved = tuple(f".{module}" for module in config.modules_to_save or ())
        if not any(f".{each}".endswith(saved) for each in within if saved):
            raise InputError(
                f"model: its adapter does not save {path}, which is trained or which {name} lacks; "
                "name it in the modules_to_save of the adapter's config"
            )
    _name_base(model, name)


def _refuse_prompts(peft_config: Any) -> None:
    if peft_config.is_prompt_learning:
        raise InputError(
            f"peft_config: {type(peft_config).__name__} learns a prompt, which cannot be merged into the model; "
            "take an adapter such as LoraConfig"
        )


def _name_base(model: Any, name: str) -> None:
    if Path(name).is_dir():  # a relative path would be looked for where the adapter is loaded
        model.peft_config[model.active_adapter].base_model_name_or_path = str(Path(name).resolve())


@contextmanager
def own_card(folder: str | Path) -> Iterator[None]:
    """Let the card in `folder` be as it was: peft puts the path of the base model into it, or writes one with that."""
    card = Path(folder) / "README.md"
    before = card.read_bytes() if card.exists() else None
    yield
    if before is not None:
        card.write_bytes(before)
    else:
        card.unlink(missing_ok=True)


def _made_new(model: PreTrainedModel, name: str, revision: str | None, option: str = "peft_config:") -> set[str]:
    save = "save it (`save_pretrained`), and train the adapter from that folder"
    if not name:
        raise InputError(f"{option} this {type(model).__name__} was not loaded from a checkpoint; {save}")
    new, other = unlike_checkpoint(model, name, revision)
    head = tuple(f"{path}." for path in _head(model))
    if unlike := sorted(key for key in other if not key.startswith(head)):
        raise InputError(f"{option} its weights are not those of {name} ({unlike[0]}); {save}")
    return new


def _head(model: PreTrainedModel) -> list[str]:
    """The modules of a classifier that lie outside of its encoder; of an encoder there are none."""
    body = model.base_model
    if body is model:
        return []
    return [
        name for name, module in model.named_children() if module is not body and any(True for _ in module.parameters())
    ]


def _whole_modules(model: PreTrainedModel, new: Collection[str], name: str) -> list[str]:
    """The modules of `model` that are trained and saved as they are: its head, and what holds the tensors `new`."""
    whole = _head(model)
    inside = {key.rpartition(".")[0] for key in new if not key.startswith(tuple(f"{path}." for path in whole))}
    for path in sorted(inside):
        module = model.get_submodule(path)
        if module in (model, model.base_model) or isinstance(module, nn.ModuleList):
            key = next(key for key in new if key.rpartition(".")[0] == path)
            raise InputError(
                f"peft_config: {name} lacks {key}, which an adapter cannot hold; save the whole model first"
            )
        whole.append(path)
    return whole


def _aim(peft_config: Any, model: PreTrainedModel, whole: Collection[str]) -> None:
    """Let `peft_config` adapt no layer that is trained as a whole: `all-linear` would take the head of most models."""
    within = re.compile("|".join(rf"(?:.*\.)?{re.escape(path)}(?:\..*)?" for path in whole))
    taken = {path for path, _ in model.named_modules() if whole and within.fullmatch(path)}
    wanted = peft_config.target_modules
    if wanted is None or wanted == "all-linear":
        linear = {path for path, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)}
        peft_config.target_modules = linear - taken
        if hasattr(peft_config, "fan_in_fan_out"):  # of GPT-2's layers, of which peft warns
            kinds = {type(model.get_submodule(path)) for path in peft_config.target_modules}
            peft_config.fan_in_fan_out = kinds == {Conv1D}
    elif isinstance(wanted, str):
        _exclude(peft_config, {path for path in taken if re.fullmatch(wanted, path)})
    else:
        _exclude(peft_config, {path for path in taken if path.endswith(tuple(f".{name}" for name in wanted))})


def _exclude(peft_config: Any, paths: set[str]) -> None:
    before = peft_config.exclude_modules
    if paths and isinstance(before, str):
        peft_config.exclude_modules = "|".join([f"(?:{before})", *map(re.escape, sorted(paths))])
    elif paths:
        peft_config.exclude_modules = {*(before or ()), *paths}


def base_of(adapter: str | Path, revision: str | None = None) -> tuple[str, str | None]:
    """The checkpoint that the adapter in a folder or on the Hub belongs to, and its revision.

    A relative path is that from the adapter's own folder, unless it leads somewhere from here.
    """
    config = PeftConfig.from_pretrained(str(adapter), revision=revision)
    base = config.base_model_name_or_path
    beside = [place / base for place in (Path(adapter), Path(adapter).parent) if (place / base).is_dir()]
    return str(base if Path(base).is_dir() or not beside else beside[0]), config.revision
