"""`RegressionTrainer`: transformers' Trainer over a plain classification checkpoint, with an exact loss by document."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy
import torch
from datasets import Dataset
from torch import Tensor
from transformers import EvalPrediction, PreTrainedModel, PreTrainedTokenizerBase

from hf_xling.errors import InputError
from hf_xling.provenance.lineage import Lineage
from hf_xling.regression.card import SETTINGS, write_regressor_card
from hf_xling.regression.config import RegressionConfig
from hf_xling.regression.documents import Cutter, DocumentTable, RegressionCollator, check_rows
from hf_xling.regression.head import SETTINGS as CUT_SETTINGS
from hf_xling.regression.head import (
    SETTINGS_FILE,
    adapter_settings,
    document_logits,
    load_model,
    logits_side,
    max_length,
    part_logits,
    some_texts,
    start_in_units,
)
from hf_xling.regression.optimisation import freeze_body, head_scale, parameter_groups
from hf_xling.regression.tasks import make_task
from hf_xling.runs import write_json
from hf_xling.training.adapters import adapted, check_adapter
from hf_xling.training.config import Reasons
from hf_xling.training.pretrained import load_tokenizer, make_trainable
from hf_xling.training.trainer import SharedTrainer, settle_best_metric

logger = logging.getLogger(__name__)

# Arguments of `Trainer` that have no meaning here, and why.
REFUSED_ARGUMENTS: Reasons = {
    "compute_loss_func": "the loss is that of the task, over the parts of all documents; override `compute_loss`",
}


class RegressionTrainer(SharedTrainer):
    """Fine-tunes a plain `AutoModelForSequenceClassification`: one label by mean squared error, or classes.

    Every checkpoint answers `pipeline("text-classification", dir, function_to_apply="none")` in the ratings' own units:
    a new head starts there (`head.start_in_units`), and the loss alone is divided by the labels' variance. What is
    logged as loss is the mean squared error. The loss of a step is the mean over all of its documents, however they are
    split into windows, passes, accumulation steps and processes (stock Trainer multiplies it by the number of the last
    two).

    Args:
        model: a checkpoint folder or Hub id of an encoder or a rating model, or a `PreTrainedModel` with one label.
        args: the configuration.
        train_dataset: with the columns `text` and `label`: a float, or of classes an integer from 0.
        eval_dataset: with the same columns; chooses the best checkpoint. Without it the last one stays. Or several by
            name (`eval_NAME_mse`), of which the first chooses.
        processing_class: the tokenizer; by default the one beside the model.
        peft_config: trains an adapter of this kind, and the head, in place of all weights.
        label_names: of the classes, in the order of their numbers; by default the numbers themselves.
        model_revision: of a model on the Hub.
        lineage: what the model descends from, for its card; by default its base, and what `train_dataset` tells.
        compute_metrics: gives metrics beside the trainer's own, of (n, labels) predictions and (n,) labels.
        kwargs: passed to `Trainer` (`callbacks`, `optimizer_cls_and_kwargs`, `optimizers` of all that is trained). A
            class of optimiser gets the parameters in groups, with learning rates by part of the model.

    Attributes:
        loading: a line that says what of the checkpoint was loaded, newly made and dropped.
        test_results: `test_…` metrics for the card, as in `all_results.json`; empty until somebody sets them.

    Raises:
        InputError: an argument or field of `args` that is refused (`training.config.REFUSED`); a model that cannot be
            loaded, has other labels or no output layer, or is not the tokenizer's; a dataset without its columns or
            rows; a name to push to that a licence bars.
    """

    config_type, table_type, refused_arguments = RegressionConfig, DocumentTable, REFUSED_ARGUMENTS
    # compute_loss divides by the number of documents of the whole step, so Trainer must not divide again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: str | os.PathLike | PreTrainedModel | None = None,
        args: RegressionConfig | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | Mapping[str, Dataset] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        peft_config: Any = None,
        label_names: list[str] | None = None,
        model_revision: str | None = None,
        lineage: Lineage | None = None,
        compute_metrics: Callable[[EvalPrediction], Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ):
        given = {**kwargs, "processing_class": processing_class}
        model, name, args = self.check_given(model, args, train_dataset, eval_dataset, given)
        check_rows({"train_dataset": train_dataset, "eval_dataset": eval_dataset}, args.task)
        optimizer, _ = kwargs.get("optimizers") or (None, None)
        if optimizer is not None and (args.layer_lr_decay != 1 or args.freeze_body_steps):
            raise InputError("optimizers: not with --layer_lr_decay or --freeze_body_steps, which make their own")
        made, _ = kwargs.get("optimizer_cls_and_kwargs") or (torch.optim.Optimizer, {})
        if not (isinstance(made, type) and issubclass(made, torch.optim.Optimizer)):
            raise InputError("optimizer_cls_and_kwargs: a class of torch.optim.Optimizer is needed, not a factory")
        check_adapter(model, peft_config, model_revision)
        if args.early_stopping_patience is not None and (eval_dataset is None or not args.load_best_model_at_end):
            raise InputError("--early_stopping_patience: needs a validation set, evaluated and saved at the same steps")
        if eval_dataset is None and args.eval_strategy == "steps":  # the default is `epoch`
            raise InputError("--eval_strategy steps: needs a validation set (--validation_file)")
        if eval_dataset is None and args.eval_strategy != "no":
            args.eval_strategy, args.load_best_model_at_end = "no", False
        self._more_metrics = compute_metrics
        labels = train_dataset["label"] if train_dataset and "label" in train_dataset.column_names else []
        self.task = make_task(args.task, labels, label_names, model, args.label_smoothing_factor)
        settle_best_metric(args, eval_dataset, ("loss", *self.task.metric_names) if compute_metrics is None else ())
        tokenizer = processing_class or load_tokenizer(name, model_revision)
        model, self.loading, new = load_model(model, self.task, args.seed, model_revision)
        make_trainable(model, tokenizer, name)
        length = max_length(model, tokenizer, args.max_length)
        tokenizer.model_max_length = length  # so that a plain pipeline cuts texts where training did
        self.cutter = Cutter(tokenizer, length, args.long_text)
        side = logits_side(model, tokenizer, length, name)
        collate = RegressionCollator(tokenizer.pad_token_id or 0, args.token_budget, self.task.label_dtype, side)
        if self.task.names is None:
            told = start_in_units(model, self.task, new, some_texts(train_dataset, self.cutter, collate))
            if told and args.process_index == 0:
                logger.warning("%s: %s", name, told)
        setattr(model.config, CUT_SETTINGS, {"long_text": args.long_text, "max_length": length})
        self.test_results: dict[str, Any] = {}
        if peft_config is not None:
            model = adapted(model, peft_config, name, model_revision, new)
        super().__init__(
            base=name,
            revision=model_revision,
            purpose=args.task,
            lineage=lineage,
            columns=["text"],
            model=model,
            args=args,
            data_collator=collate,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=tokenizer,
            compute_metrics=self._metrics,
            **kwargs,
        )
        # Makes Trainer count the documents of a step even where the model's forward takes no loss arguments.
        self.model_accepts_loss_kwargs = True
        if self.train_dataset is not None and self.train_dataset.cut.is_noteworthy and self.is_world_process_zero():
            logger.warning(
                "%s; --long_text windows reads all of them", self.train_dataset.cut.in_words(self.cutter.max_length)
            )

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, Tensor | int | None]:
        """The batches of one optimiser step, and how many documents they hold over all processes.

        Trainer's own count leaves out labels that equal -100, which is a rating like any other.
        """
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        count = torch.tensor([sum(len(batch["labels"]) for batch in batches)], device=device)
        return batches, self.accelerator.gather(count).sum()

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Trainer's, pass by pass: the graph of one pass is in memory at a time. Returns the loss as it is logged."""
        chunks, total = inputs["chunks"], torch.zeros((), device=self.args.device)
        for number, chunk in enumerate(chunks):
            last = number + 1 == len(chunks)  # whose backward pass lets the processes exchange gradients
            with nullcontext() if last else self.accelerator.no_sync(model):
                total += super().training_step(model, {**inputs, "chunks": [chunk]}, num_items_in_batch)
        self._note_loss(total)
        return total * self.task.logged_scale

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The losses of all parts of `inputs`, each with its weight, divided by the documents of the whole step."""
        losses, outputs = [], []
        for chunk in inputs["chunks"]:
            outputs.append(part_logits(model, chunk))
            losses.append((self.task.losses(outputs[-1], chunk["labels"]) * chunk["weights"]).sum())
        loss = torch.stack(losses).sum()
        if num_items_in_batch is None:
            loss = loss / len(inputs["labels"])
        else:
            # DDP averages the gradients of its processes; their sum is wanted.
            loss = loss / num_items_in_batch * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def prediction_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> tuple:
        """Documents' mean loss as it is logged, their logits (B, labels), which are means over parts; labels."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            logits = document_logits(model, inputs["chunks"], len(inputs["labels"]))
        loss = self.task.losses(logits, inputs["labels"]).mean() * self.task.logged_scale
        return loss, logits, inputs["labels"]

    def get_test_dataloader(self, test_dataset: Dataset | DocumentTable) -> Any:
        """Trainer's, for a dataset of texts as well."""
        return super().get_test_dataloader(self._tables(test_dataset, "test_dataset"))

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Trainer's, with learning rates by part of the model (`optimisation.parameter_groups`)."""
        if self.optimizer is not None:
            return super().create_optimizer(model)
        given = self.optimizer_cls_and_kwargs
        optimizer, options = given or self.get_optimizer_cls_and_kwargs(self.args, self.model)
        groups = parameter_groups(
            self.model,
            set(self.get_decay_parameter_names(self.model)),
            learning_rate=options.get("lr", self.args.learning_rate),
            weight_decay=options.get("weight_decay", self.args.weight_decay),
            layer_lr_decay=self.args.layer_lr_decay,
            head_scale=head_scale(self.task, optimizer),
        )
        # Trainer takes the groups out of the options again; what was given is there for another training.
        self.optimizer_cls_and_kwargs = optimizer, {**options, "params": groups}
        try:
            return super().create_optimizer(model)
        finally:
            self.optimizer_cls_and_kwargs = given

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """Trainer's, with the body frozen for `freeze_body_steps`."""
        made, optimizer = self.lr_scheduler is None, optimizer or self.optimizer
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        if made and optimizer is not None and self.args.freeze_body_steps:
            freeze_body(scheduler, optimizer, self.args.freeze_body_steps)
        return scheduler

    def _write_card(self) -> None:
        labels, adapter = self.train_dataset.labels, self.is_adapter
        write_regressor_card(
            self.args.folder,
            self.lineage,
            self.args.hub_model_id,
            # Where nobody has set them, the validation set's metrics of the checkpoint that was kept.
            self.test_results or self._validation_results(),
            self.task.names,
            adapter,
            settings=self.settings(SETTINGS, max_length=self.cutter.max_length),
            rows=len(labels),
            lowest=min(labels),
            highest=max(labels),
            mean=round(sum(labels) / len(labels), 3),
            long_text=self.args.long_text,
        )

    def _validation_results(self) -> dict[str, Any]:
        measured = [entry for entry in self.state.log_history if "eval_loss" in entry]
        best = self.args.load_best_model_at_end
        kept = [entry for entry in measured if entry["step"] == self.state.best_global_step] if best else measured
        if not kept:
            return {}
        found = {f"validation_{name[5:]}": value for name, value in kept[-1].items() if name.startswith("eval_")}
        known = {"n_validation": len(self.eval_dataset), "seed": self.args.seed}
        return {**found, **known, **({"chosen_by": self.args.metric_for_best_model} if best else {})}

    def _table(self, dataset: Dataset, name: str) -> DocumentTable:
        return DocumentTable(dataset, self.cutter, name)

    def _metrics(self, prediction: EvalPrediction) -> dict[str, Any]:
        found = self.task.compute_metrics(numpy.asarray(prediction.predictions), numpy.asarray(prediction.label_ids))
        return {**found, **(self._more_metrics(prediction) if self._more_metrics is not None else {})}

    def _write_checkpoint(self, folder: Path) -> None:
        self.accelerator.unwrap_model(self.model, keep_torch_compile=False).save_pretrained(folder)
        self.processing_class.save_pretrained(folder)
        if self.is_adapter:
            write_json(folder / SETTINGS_FILE, adapter_settings(self.pretrained))
