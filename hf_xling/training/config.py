"""The configuration of both trainers: `TrainingArguments` without the fields that would crash or be ignored."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from transformers import TrainingArguments

from hf_xling.errors import InputError
from hf_xling.hub.push import TrainingPushArguments
from hf_xling.runs import STATE_FILE, last_checkpoint

# Why a field (or an argument of `Trainer`) cannot have another value than its default; in a tuple, values that work
# follow the reason. Each of them would crash in the middle of a training, or be ignored.
Reasons = Mapping[str, str | tuple[Any, ...]]

REFUSED: Reasons = {
    "average_tokens_across_devices": "the loss is always a mean over the rows of all processes; leave it on",
    "batch_eval_metrics": "the metrics need all rows of a dataset at once",
    "dataloader_persistent_workers": "the rows are in memory as token ids; workers would serve another dataset's rows",
    "ddp_static_graph": "batches have different numbers of passes",
    "debug": "the detectors of transformers do not take masks; a loss that is no number ends the training anyway",
    "deepspeed": "training runs on one device, or with DDP on several",
    "enable_jit_checkpoint": "a training that it stops would count as finished; --save_steps makes checkpoints, and "
    "the same command goes on from the last one",
    "eval_use_gather_object": "what an evaluation gathers are tensors",
    "fsdp": "training runs on one device, or with DDP on several",
    "fsdp_config": "training runs on one device, or with DDP on several",
    "hub_always_push": "the model is pushed once, at the end",
    "include_for_metrics": "metrics do not see the inputs of a batch",
    "include_num_input_tokens_seen": ("the tokens of a batch lie in several passes and are not counted", False),
    "label_names": "the columns have fixed names",
    "length_column_name": "the lengths are those of the token ids",
    "liger_kernel_config": "there are no Liger kernels for these models",
    "logging_nan_inf_filter": "a loss that is no number ends the training",
    "parallelism_config": "training runs on one device, or with DDP on several",
    "remove_unused_columns": "the collator needs the text columns; leave it off",
    "train_sampling_strategy": (
        "a batch is split into passes of similar lengths already; take `random` or `sequential`",
        "sequential",
    ),
    "use_liger_kernel": "there are no Liger kernels for these models",
}


@dataclass
class TrainingConfig(TrainingPushArguments, TrainingArguments):  # type: ignore[misc]  # hub_private_repo: never None
    """`TrainingArguments` with the fields and checks that both trainers have.

    Defaults that differ from transformers': `remove_unused_columns` False because the columns are texts,
    `logging_nan_inf_filter` False because it hides a NaN loss, `restore_callback_states_from_checkpoint` True so that
    early stopping counts on when a run is resumed, `ddp_broadcast_buffers` False because no buffer changes and
    processes may have different numbers of passes, `save_total_limit` 1, `report_to` none, `logging_steps` 10.

    Raises:
        InputError: a field that `REFUSED` or the subclass refuses, a value that transformers does not take, or a
            checkpoint to resume from that is none.
    """

    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "evaluations without a better one after which training stops"}
    )
    allow_unknown_tokens: bool = field(
        default=False, metadata={"help": "train although the tokenizer does not know more than a fifth of the tokens"}
    )
    learning_rate: float = field(default=5e-5, metadata={"help": "peak learning rate of AdamW"})
    save_total_limit: int | None = field(default=1, metadata={"help": "checkpoints kept, beside the best"})
    remove_unused_columns: bool = field(default=False, metadata={"help": "must stay off: the columns are texts"})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "must stay off: NaN ends the training"})
    logging_steps: float = field(default=10, metadata={"help": "steps between two log lines"})
    report_to: None | str | list[str] = field(
        default="none", metadata={"help": "trackers, such as trackio or tensorboard"}
    )
    restore_callback_states_from_checkpoint: bool = field(
        default=True, metadata={"help": "count the evaluations of early stopping on when a run is resumed"}
    )
    ddp_broadcast_buffers: bool | None = field(
        default=False, metadata={"help": "let DDP send buffers around at each forward pass; they never change"}
    )

    lower_is_better: ClassVar[tuple[str, ...]] = ("loss",)  # the endings of such metrics

    def __post_init__(self) -> None:
        self.chooses_best_metric = self.metric_for_best_model is None
        self.metric_for_best_model = self.metric_for_best_model or self.default_metric()
        if self.greater_is_better is None and self.metric_for_best_model is not None:
            self.greater_is_better = not self.metric_for_best_model.endswith(self.lower_is_better)
        refuse(vars(self), _defaults(self), {**REFUSED, **self.refused()})
        self._check_numbers()
        with one_clear_line():
            super().__post_init__()
        if self.accelerator_config.dispatch_batches:  # type: ignore[union-attr]  # an AcceleratorConfig by now
            raise InputError("--accelerator_config: not with dispatch_batches; a batch cannot be cut into rows")
        find_checkpoint(self.resume_from_checkpoint, self.folder)
        if self.device.type == "cpu":
            self.dataloader_pin_memory = False  # torch warns of it at every start

    @property
    def folder(self) -> Path:
        """`output_dir`, which has a default."""
        return Path(self.output_dir or "trainer_output")

    def refused(self) -> Reasons:
        """Why this trainer refuses some fields, beside `REFUSED`."""
        return {}

    def default_metric(self) -> str | None:
        """The metric that chooses the best checkpoint; None for that of transformers."""
        return None

    def _check_numbers(self) -> None:
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} {getattr(self, name)}: at least 1 is needed")
        for name in ("learning_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"--{name} {getattr(self, name)}: a number from 0 is needed")
        for name in ("adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"--{name} {getattr(self, name)}: a number from 0 and below 1 is needed")
        if self.max_steps == 0:
            raise InputError("--max_steps 0: at least 1 is needed; without it --num_train_epochs decides")
        if self.early_stopping_patience is not None and self.early_stopping_patience < 1:
            raise InputError(f"--early_stopping_patience {self.early_stopping_patience}: at least 1 is needed")


def refuse(values: Mapping[str, Any], defaults: Mapping[str, Any], reasons: Reasons, prefix: str = "--") -> None:
    """Raise an `InputError` for the first of `values` that `reasons` has and that is not its default."""
    for name, reason in reasons.items():
        why, *working = (reason,) if isinstance(reason, str) else reason
        value, default = values.get(name), defaults.get(name)
        if value != default and not (_is_nothing(value) and _is_nothing(default)) and value not in working:
            shown = "" if isinstance(value, bool) or prefix == "" else f" {value}"
            raise InputError(f"{prefix}{name}{shown}: {why}")


def _is_nothing(value: Any) -> bool:
    """Whether `value` leaves a field out: None, False, or an empty string or collection; 0 is a value."""
    return value is None or value is False or (not value and not isinstance(value, int | float))


def _defaults(args: Any) -> dict[str, Any]:
    return {
        spec.name: spec.default if spec.default_factory is dataclasses.MISSING else spec.default_factory()
        for spec in dataclasses.fields(args)
    }


@contextmanager
def one_clear_line() -> Iterator[None]:
    """What transformers or a missing package refuses in the block, as an `InputError`."""
    try:
        yield
    except (ValueError, ImportError, NotImplementedError) as error:
        raise InputError(str(error)) from error


def find_checkpoint(given: str | bool | None, folder: str | Path) -> str | None:
    """The checkpoint that `given` names; for True (or `true`) the newest whole one in `folder`.

    Raises:
        InputError: there is none, or it holds no state to go on from.
    """
    word = str(given or False).lower()
    if word == "false":
        return None
    found = last_checkpoint(folder) if word == "true" else str(given)
    if found is None:
        raise InputError(f"--resume_from_checkpoint: {folder} holds no checkpoint")
    for file in (STATE_FILE, "optimizer.pt"):
        if not (Path(found) / file).is_file():
            raise InputError(
                f"--resume_from_checkpoint {found}: is no checkpoint that training can go on from; it has no {file}"
            )
    return found


def newest_checkpoint(args: TrainingConfig) -> str | None:
    """The checkpoint that an interrupted run goes on from; None where there is none, or they hold the model alone."""
    return None if args.save_only_model else last_checkpoint(args.folder)


def is_own_checkpoint(args: TrainingConfig) -> bool:
    """Whether `--resume_from_checkpoint` names nothing but a checkpoint of the same run."""
    found = find_checkpoint(args.resume_from_checkpoint, args.folder)
    return found is None or args.folder.resolve() in Path(found).resolve().parents
