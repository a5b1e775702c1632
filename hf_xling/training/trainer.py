"""What both trainers do alike with what they inherit from transformers' Trainer."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import TrainOutput

from hf_xling.errors import InputError, XlingError
from hf_xling.runs import STATE_FILE, write_json
from hf_xling.training.inherited import Reasons, find_checkpoint, one_clear_line, refuse

# Arguments of `Trainer` that both refuse, and why.
REFUSED_ARGUMENTS: Reasons = {
    "data_collator": "the trainer has its own, which makes the passes of a batch",
    "model_init": "give a name or a model as `model`, and make a trainer for each training",
    "preprocess_logits_for_metrics": "metrics are of the predictions themselves",
}


class SharedTrainer(Trainer):
    """Trainer that refuses what it would ignore, ends at a loss that is no number, and resumes as it was.

    A subclass calls `check_given` before it loads anything, and implements `_table`.

    Args:
        kwargs: of `Trainer`; `args` has a field `early_stopping_patience`.
    """

    def __init__(self, **kwargs: Any):
        with one_clear_line():
            super().__init__(**kwargs)
            made = self.optimizer is not None or self.optimizer_cls_and_kwargs is not None
        if not made and "layerwise" not in self.args.optim:  # which would put hooks on the model
            self._try_optimizer()
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise InputError(
                "accelerate's configuration: has FSDP or DeepSpeed; training runs on one device, or with DDP"
            )
        if self.optimizer is not None:
            _check_optimizer(self.optimizer, self.model)
        self._last_loss, self._last_step = torch.zeros(()), 0
        if self.args.early_stopping_patience is not None:
            self.add_callback(EarlyStoppingCallback(self.args.early_stopping_patience))

    def _try_optimizer(self) -> None:
        """Make the optimiser and its schedule once, so that what they refuse is told before training."""
        args = self.args
        asked = f"--optim {_plain(args.optim)}, --lr_scheduler_type {_plain(args.lr_scheduler_type)}"
        try:
            _, options = self.get_optimizer_cls_and_kwargs(args, self.model)
            if args.optim_args:
                bare = copy.copy(args)
                bare.optim_args = None
                if self.get_optimizer_cls_and_kwargs(bare, self.model)[1] == options:
                    raise InputError(
                        f"--optim_args {args.optim_args}: --optim {_plain(args.optim)} does not read these"
                    )
            self.create_scheduler(max(args.max_steps, 100), self.create_optimizer())
        except (TypeError, ValueError, LookupError, ImportError, NotImplementedError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{asked}: {error}") from error
        self.optimizer = self.lr_scheduler = None

    @property
    def unknown_shares(self) -> dict[str, float]:
        """`held_out_coverage` as results have it: `sts_dataset_sentence1_unknown_tokens`."""
        names = {name: "_".join(re.findall(r"[\w.-]+", name)) for name in self.held_out_coverage}
        return {f"{names[name]}_unknown_tokens": found.unknown for name, found in self.held_out_coverage.items()}

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """Trainer's; by default it goes on from `args.resume_from_checkpoint`, if that is given.

        A training that had stopped early when it was interrupted does not go on.

        Raises:
            InputError: no such checkpoint, or none that training can go on from.
        """
        given = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        checkpoint = find_checkpoint(given, self.args.output_dir)
        return self._end_where_stopped(checkpoint) or super().train(checkpoint, *args, **kwargs)

    def _end_where_stopped(self, checkpoint: str | None) -> TrainOutput | None:
        """End at once, if the training had ended at `checkpoint`: by early stopping, or after its last step.

        Trainer forgets that on resuming and trains on: killed between its last checkpoint and its end, a run would
        become another one. Returns None where training has to go on.
        """
        if checkpoint is None:
            return None
        state = TrainerState.load_from_json(str(Path(checkpoint) / STATE_FILE))
        callback = state.stateful_callbacks.get("EarlyStoppingCallback", {})
        counter = callback.get("attributes", {}).get("early_stopping_patience_counter", 0)
        patience = self.args.early_stopping_patience
        stopped = patience is not None and counter >= patience
        if not stopped and not 0 < self.args.max_steps <= state.global_step:
            return None
        self.state = state
        if self.args.load_best_model_at_end and state.best_model_checkpoint is not None:
            self._load_best_model()
        else:
            self._load_from_checkpoint(checkpoint)
        return TrainOutput(state.global_step, float("nan"), {})

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Trainer's, for a dataset of texts as well."""
        return super().get_eval_dataloader(self._tables(eval_dataset, "eval_dataset"))

    def evaluate(self, eval_dataset: Any = None, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Trainer's; another dataset (or a mapping of several) has columns like the one of the constructor."""
        return super().evaluate(self._tables(eval_dataset, "eval_dataset"), *args, **kwargs)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Trainer's, once the loss is known to be a number."""
        if "loss" in logs:
            self._check_loss()
        super().log(logs, *args, **kwargs)

    def save_state(self) -> None:
        """Trainer's, with the best checkpoint called by its name alone: no paths of this machine."""
        super().save_state()
        if self.is_world_process_zero() and self.state.best_model_checkpoint:
            path = Path(self.args.output_dir) / STATE_FILE
            state = json.loads(path.read_text(encoding="utf-8"))
            write_json(path, {**state, "best_model_checkpoint": Path(self.state.best_model_checkpoint).name})

    def _tables(self, dataset: Any, name: str) -> Any:
        """`dataset`, or each of a mapping, as rows of token ids; what is none (None, a name, such rows) stays."""
        if isinstance(dataset, Mapping):
            return {key: self._tables(each, f"{name}[{key!r}]") for key, each in dataset.items()}
        return self._table(dataset, name) if isinstance(dataset, Dataset) else dataset

    def _table(self, dataset: Dataset, name: str) -> Any:
        raise NotImplementedError

    def _note_loss(self, loss: Tensor) -> None:
        """Keep `loss` of the step that is under way, and end the training there if it is no number."""
        self._last_loss, self._last_step = loss.detach(), self.state.global_step + 1
        if loss.device.type == "cpu":
            self._check_loss()  # elsewhere this would wait for the device at each step

    def _check_loss(self) -> None:
        if not torch.isfinite(self._last_loss):
            raise XlingError(
                f"the loss is {self._last_loss.item()} at step {self._last_step}; a lower --learning_rate may help"
            )


def check_given(
    model: Any,
    config: type[TrainingArguments],
    args: Any,
    train_dataset: Any,
    eval_dataset: Any,
    table: type,
    arguments: Mapping[str, Any],
    reasons: Reasons,
) -> None:
    """Check what a trainer was given, before anything is loaded.

    Args:
        model: to train, or its name.
        config: what `args` must be.
        table: beside `datasets.Dataset`, what the datasets may be: rows that are token ids already.
        arguments: of `Trainer`, with `processing_class`.
        reasons: why the trainer refuses some of them, beside `REFUSED_ARGUMENTS`.

    Raises:
        InputError: an argument that cannot be used, or a setting that needs an `eval_dataset`.
    """
    refuse(arguments, {}, {**REFUSED_ARGUMENTS, **reasons}, prefix="")
    if model is None:
        raise InputError("model: the name of a checkpoint or a model is needed")
    if not isinstance(model, str | PreTrainedModel) and not hasattr(model, "peft_config"):
        raise InputError(f"model: a PreTrainedModel or a name is needed, not {type(model).__name__}")
    tokenizer = arguments.get("processing_class")
    if tokenizer is not None and not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise InputError(f"processing_class: a tokenizer is needed, not {type(tokenizer).__name__}")
    if not isinstance(args, config):
        raise InputError(
            f"args: {config.__name__} is needed, not {type(args).__name__}; it has the same fields, and more"
        )
    optimizer, scheduler = arguments.get("optimizers") or (None, None)
    if scheduler is not None and optimizer is None:
        raise InputError("optimizers: a scheduler without its optimiser changes no learning rate")
    several = eval_dataset if isinstance(eval_dataset, Mapping) else {None: eval_dataset}
    if not several:
        raise InputError("eval_dataset: is empty")
    names = ["train_dataset", *("eval_dataset" if key is None else f"eval_dataset[{key!r}]" for key in several)]
    for name, dataset in zip(names, (train_dataset, *several.values()), strict=True):
        if dataset is not None and not isinstance(dataset, (Dataset, table)):
            raise InputError(
                f"{name}: a datasets.Dataset is needed, not {type(dataset).__name__}; of a stream, take the first rows"
            )
    plateau = args.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy")
    needing = {"eval_on_start": args.eval_on_start, "lr_scheduler_type": plateau}
    needing["save_strategy"] = args.save_strategy == "best"
    if eval_dataset is None and True in needing.values():
        name = next(name for name, needed in needing.items() if needed)
        raise InputError(f"--{name} {_plain(getattr(args, name))}: needs a validation set (eval_dataset)")


def settle_best_metric(args: Any, eval_dataset: Any, known: Collection[str]) -> None:
    """Check the metric that chooses the best checkpoint; of several validation sets, the first one's by default.

    Args:
        args: has `chooses_best_metric`, whether the metric is the default one.
        eval_dataset: a dataset, a mapping of several, or None.
        known: the metrics of one dataset; empty if they are not known.

    Raises:
        InputError: it is none of those that are measured.
    """
    metric = (args.metric_for_best_model or "").removeprefix("eval_")
    if eval_dataset is None or not metric:
        return
    if isinstance(eval_dataset, Mapping):
        first = next(iter(eval_dataset))
        if args.chooses_best_metric and metric in known:
            args.metric_for_best_model = metric = f"{first}_{metric}"
        known = [f"{name}_{each}" for name in eval_dataset for each in known]
    if known and metric not in known:
        raise InputError(f"--metric_for_best_model {metric}: is not measured; known are {', '.join(known)}")


def _check_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    """An `InputError` if `optimizer` leaves out what is trained: the model was loaded, or got new parts, after it."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    left_out = [name for name, parameter in trained.items() if id(parameter) not in held]
    if left_out:
        raise InputError(
            f"optimizers: the optimiser lacks {len(left_out)} of the {len(trained)} parameters that are trained, such "
            f"as {left_out[0]}; give optimizer_cls_and_kwargs"
        )


def _plain(value: Any) -> Any:
    """The word of an enumeration."""
    return getattr(value, "value", value)
