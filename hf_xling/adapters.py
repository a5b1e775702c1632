"""LoRA from the command line: the fields of peft that both trainers take, under their usual names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hf_xling.errors import InputError


@dataclass
class LoraArguments:
    """Training an adapter (Hu et al. 2021) in place of all weights."""

    use_peft: bool = field(default=False, metadata={"help": "train a LoRA adapter; the checkpoint is that adapter"})
    lora_r: int = field(default=16, metadata={"help": "rank of its matrices"})
    lora_alpha: int = field(default=32, metadata={"help": "scale of its output, divided by the rank"})
    lora_dropout: float = field(default=0.05, metadata={"help": "dropout on its input"})
    lora_target_modules: list[str] | None = field(
        default=None, metadata={"help": "names of the layers to adapt, or all-linear; default: peft's for the model"}
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
        from peft import LoraConfig

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


def adapted(model: Any, peft_config: Any, name: str, revision: str | None = None) -> Any:
    """`model` with an adapter in it that is trained in its place.

    Raises:
        InputError: no such layers, or none that peft knows of.
    """
    from peft import get_peft_model

    try:
        return get_peft_model(model, peft_config, revision=revision)
    except ValueError as error:
        raise InputError(f"--lora_target_modules (peft_config): does not fit {name}: {error}") from error
