"""What both trainers do alike with transformers' Trainer: checks, checkpoints, lineage, card, early stopping."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerState,
)
from transformers.trainer_utils import TrainOutput

from hf_xling.console import note
from hf_xling.errors import InputError, XlingError
from hf_xling.hub.cards import training_settings
from hf_xling.provenance.lineage import Lineage, descend
from hf_xling.provenance.model_cards import check_model_publishable, hub_name
from hf_xling.provenance.origins import unnamed_corpus
from hf_xling.runs import STATE_FILE, write_json
from hf_xling.training.adapters import own_card
from hf_xling.training.config import Reasons, TrainingConfig, find_checkpoint, one_clear_line, refuse
from hf_xling.training.coverage import check_coverage, check_held_out

Config = TypeVar("Config", bound=TrainingConfig)

# Arguments of `Trainer` that both refuse, and why.
REFUSED_ARGUMENTS: Reasons = {
    "data_collator": "the trainer has its own, which makes the passes of a batch",
    "model_init": "give a name or a model as `model`, and make a trainer for each training",
    "preprocess_logits_for_metrics": "metrics are of the predictions themselves",
}


class SharedTrainer(Trainer):
    """Trainer that refuses what it would ignore, ends at a loss that is no number, and resumes as it was.

    A subclass names its classes below, calls `check_given` before it loads anything, and implements `_table`,
    `_write_checkpoint` and `_write_card`.

    Args:
        base: name of the checkpoint that the model was loaded from.
        revision: of it on the Hub.
        purpose: what the lineage calls the training.
        lineage: what the model descends from; None for `base` and what `train_dataset` tells.
        columns: of `train_dataset` that hold texts.
        held_out_columns: the same of other sets; None for `columns`.
        held_out: such sets by name; None for `eval_dataset`.
        kwargs: of `Trainer`; the datasets are rows of texts, `args` is the copy of `check_given`.

    Attributes:
        coverage: what the tokenizer makes of the training texts, by column.
        held_out_coverage: the same of the other sets, by set (and column, where it has several).
        lineage: what the model descends from.

    Raises:
        InputError: an argument that cannot be used, texts in a language that the tokenizer does not know, or a name to
            push to that a licence bars.
    """

    config_type: ClassVar[type[TrainingConfig]]
    table_type: ClassVar[type]  # rows that are token ids
    refused_arguments: ClassVar[Reasons] = {}
    # Trainer has them as one of many kinds, or as None.
    args: Any
    model: Any
    processing_class: Any
    train_dataset: Any
    eval_dataset: Any

    def __init__(
        self,
        *,
        base: str,
        revision: str | None,
        purpose: str,
        lineage: Lineage | None,
        columns: Sequence[str],
        held_out_columns: Sequence[str] | None = None,
        held_out: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        args, tokenizer, train_dataset = kwargs["args"], kwargs["processing_class"], kwargs.pop("train_dataset")
        eval_dataset, allowed = kwargs.pop("eval_dataset"), args.allow_unknown_tokens
        self._base, self._held_out_columns = base, held_out_columns or columns
        self.coverage = check_coverage(tokenizer, train_dataset, columns, allowed, base)
        sets = {"eval_dataset": eval_dataset} if held_out is None else held_out
        self.held_out_coverage = check_held_out(tokenizer, sets, self._held_out_columns, allowed, base)
        self.lineage = lineage or descend(purpose, base, revision, unnamed_corpus(train_dataset))
        if args.push_to_hub:  # not by the script, which asks earlier
            check_model_publishable(self.lineage, hub_name(args))
        self.args, self.processing_class = args, tokenizer  # which `_table` reads
        tables = {"train_dataset": self._tables(train_dataset, "train_dataset")}
        tables["eval_dataset"] = self._tables(eval_dataset, "eval_dataset")
        with one_clear_line():
            super().__init__(**tables, **kwargs)
            made = self.optimizer is not None or self.optimizer_cls_and_kwargs is not None
        if not made and "layerwise" not in args.optim:  # which would put hooks on the model
            self._try_optimizer()
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise InputError(
                "accelerate's configuration: has FSDP or DeepSpeed; training runs on one device, or with DDP"
            )
        if self.optimizer is not None:
            _check_optimizer(self.optimizer, self.model)
        self._last_loss, self._last_step = torch.zeros(()), 0
        if args.early_stopping_patience is not None:
            self.add_callback(EarlyStoppingCallback(args.early_stopping_patience))
        for column, found in self.coverage.items() if self.is_world_process_zero() else ():
            note(f"column {column}: {found}")

    @classmethod
    def check_given(
        cls,
        model: str | os.PathLike | PreTrainedModel | None,
        args: Config | None,
        train_dataset: Any,
        eval_dataset: Any,
        arguments: Mapping[str, Any],
    ) -> tuple[str | PreTrainedModel, str, Config]:
        """Check what a trainer was given, before anything is loaded.

        Args:
            model: to train, or its name.
            args: a `config_type`.
            train_dataset, eval_dataset: of texts, or a `table_type`.
            arguments: of `Trainer`, with `processing_class`.

        Returns:
            The model, a path as a string; the name of its checkpoint; and a copy of `args` that the trainer may change.

        Raises:
            InputError: an argument that cannot be used, or a setting that needs an `eval_dataset`.
        """
        refuse(arguments, {}, {**REFUSED_ARGUMENTS, **cls.refused_arguments}, prefix="")
        model = os.fspath(model) if isinstance(model, os.PathLike) else model
        if model is None:
            raise InputError("model: the name of a checkpoint or a model is needed")
        if not isinstance(model, str | PreTrainedModel) and not hasattr(model, "peft_config"):
            raise InputError(f"model: a PreTrainedModel or a name is needed, not {type(model).__name__}")
        tokenizer = arguments.get("processing_class")
        if tokenizer is not None and not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(f"processing_class: a tokenizer is needed, not {type(tokenizer).__name__}")
        if args is None or not isinstance(args, cls.config_type):
            raise InputError(
                f"args: {cls.config_type.__name__} is needed, not {type(args).__name__}; it has the same fields, and "
                "more"
            )
        optimizer, scheduler = arguments.get("optimizers") or (None, None)
        if scheduler is not None and optimizer is None:
            raise InputError("optimizers: a scheduler without its optimiser changes no learning rate")
        several = eval_dataset if isinstance(eval_dataset, Mapping) else {None: eval_dataset}
        if not several:
            raise InputError("eval_dataset: is empty")
        names = ["train_dataset", *("eval_dataset" if key is None else f"eval_dataset[{key!r}]" for key in several)]
        for name, dataset in zip(names, (train_dataset, *several.values()), strict=True):
            if dataset is not None and not isinstance(dataset, (Dataset, cls.table_type)):
                raise InputError(
                    f"{name}: a datasets.Dataset is needed, not {type(dataset).__name__}; of a stream, take the first "
                    "rows"
                )
        plateau = args.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy")
        needing = {"eval_on_start": args.eval_on_start, "lr_scheduler_type": plateau}
        needing["save_strategy"] = args.save_strategy == "best"
        if eval_dataset is None and True in needing.values():
            name = next(name for name, needed in needing.items() if needed)
            raise InputError(f"--{name} {plain(getattr(args, name))}: needs a validation set (eval_dataset)")
        return model, model if isinstance(model, str) else str(model.name_or_path), copy.copy(args)

    def _try_optimizer(self) -> None:
        """Make the optimiser and its schedule once, so that what they refuse is told before training."""
        args = self.args
        asked = f"--optim {plain(args.optim)}, --lr_scheduler_type {plain(args.lr_scheduler_type)}"
        try:
            _, options = self.get_optimizer_cls_and_kwargs(args, self.model)
            if args.optim_args:
                bare = copy.copy(args)
                bare.optim_args = None
                if self.get_optimizer_cls_and_kwargs(bare, self.model)[1] == options:
                    raise InputError(f"--optim_args {args.optim_args}: --optim {plain(args.optim)} does not read these")
            self.create_scheduler(max(args.max_steps, 100), self.create_optimizer())
        except (TypeError, ValueError, LookupError, ImportError, NotImplementedError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{asked}: {error}") from error
        self.optimizer = self.lr_scheduler = None

    @property
    def pretrained(self) -> Any:
        """What is saved as the checkpoint: the model itself, or its encoder."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def is_adapter(self) -> bool:
        """Whether an adapter is trained in place of all weights."""
        return hasattr(self.pretrained, "peft_config")

    @property
    def unknown_shares(self) -> dict[str, float]:
        """`held_out_coverage` as results have it: `sts_dataset_sentence1_unknown_tokens`."""
        names = {name: "_".join(re.findall(r"[\w.-]+", name)) for name in self.held_out_coverage}
        return {f"{names[name]}_unknown_tokens": found.unknown for name, found in self.held_out_coverage.items()}

    def check_texts(self, dataset: Dataset, name: str) -> None:
        """Note in `held_out_coverage` what the tokenizer makes of the texts of `dataset`, which errors call `name`.

        Raises:
            InputError: it does not know their language, and that is not allowed.
        """
        tokenizer, allowed = self.processing_class, self.args.allow_unknown_tokens
        columns, sets = self._held_out_columns, {name: dataset}
        self.held_out_coverage |= check_held_out(tokenizer, sets, columns, allowed, self._base)

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """Trainer's; by default it goes on from `args.resume_from_checkpoint`, if that is given.

        A training that had stopped early when it was interrupted does not go on.

        Raises:
            InputError: no such checkpoint, or none that training can go on from.
        """
        given = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        checkpoint = find_checkpoint(given, self.args.folder)
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
            path = self.args.folder / STATE_FILE
            state = json.loads(path.read_text(encoding="utf-8"))
            write_json(path, {**state, "best_model_checkpoint": Path(self.state.best_model_checkpoint).name})

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write `README.md`: what the model is, how to use it, what it descends from, and what was measured."""
        if self.is_world_process_zero():
            self._write_card()

    def settings(self, names: Sequence[str], **more: Any) -> dict[str, Any]:
        """A card's table of settings: the fields `names` of `args`, `more`, and what the tokenizer makes of texts."""
        more |= {"steps": self.state.global_step}
        more |= {f"tokens of the column {column}": found for column, found in self.coverage.items()}
        more |= {f"tokens of {texts}": found for texts, found in self.held_out_coverage.items()}
        return training_settings(self.args, names, **more)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Write the checkpoint and its lineage: safetensors and JSON only, where Trainer pickles the arguments."""
        if not self.args.should_save:
            return
        self._check_loss()
        folder = Path(output_dir or self.args.folder)
        with own_card(folder):
            self._write_checkpoint(folder)
        self.lineage.write(folder)

    def _tables(self, dataset: Any, name: str) -> Any:
        """`dataset`, or each of a mapping, as rows of token ids; what is none (None, a name, such rows) stays."""
        if isinstance(dataset, Mapping):
            return {key: self._tables(each, f"{name}[{key!r}]") for key, each in dataset.items()}
        return self._table(dataset, name) if isinstance(dataset, Dataset) else dataset

    def _table(self, dataset: Dataset, name: str) -> Any:
        """`dataset` as a `table_type`; errors call it `name`."""
        raise NotImplementedError

    def _write_checkpoint(self, folder: Path) -> None:
        """Write the model and its tokenizer to `folder`."""
        raise NotImplementedError

    def _write_card(self) -> None:
        """Write `README.md` to the output folder."""
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


def settle_best_metric(args: TrainingConfig, eval_dataset: Any, known: Collection[str]) -> None:
    """Check the metric that chooses the best checkpoint; of several validation sets, the first one's by default.

    Args:
        args: of the trainer; they are changed.
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


def plain(value: Any) -> Any:
    """The word of a member of an enumeration."""
    return getattr(value, "value", value)
