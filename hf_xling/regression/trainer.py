"""`RegressionTrainer`: transformers' Trainer over a plain one-label checkpoint, with an exact mean squared error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
)

from hf_xling.errors import InputError, XlingError
from hf_xling.hub.cards import model_card
from hf_xling.pretrained import check_tokenizer, load_pretrained, load_tokenizer, token_positions
from hf_xling.regression.collator import RegressionCollator
from hf_xling.regression.config import RegressionConfig
from hf_xling.regression.metrics import load_rating_metric
from hf_xling.runs import write_text


class RegressionTrainer(Trainer):
    """Fine-tunes a one-label `AutoModelForSequenceClassification` by mean squared error in the task's own units.

    Every checkpoint is plain: `pipeline("text-classification", dir, function_to_apply="none")` gives the rating. The
    bias of a new head starts at the mean of the training labels, so that training starts from the constant prediction.
    The loss of a step is the mean over all of its texts, however they are split into accumulation steps and processes
    (stock Trainer multiplies it by their number).

    Args:
        model: a checkpoint folder or Hub id of an encoder or a rating model, or a `PreTrainedModel` with one label.
        args: the configuration.
        train_dataset: with the columns `text` and `label` (float).
        eval_dataset: likewise; chooses the best checkpoint. Without it there is none to choose, and the last one stays.
        processing_class: the tokenizer; by default the one beside the model.
        model_revision: of a model on the Hub.
        kwargs: passed to `Trainer` (`callbacks`, `optimizers`).

    Raises:
        InputError: a model that cannot be loaded, has more than one label, or is not the tokenizer's, or a dataset
            without its columns.
    """

    # compute_loss divides by the number of texts of the whole step, so Trainer must not divide again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: str | PreTrainedModel,
        args: RegressionConfig,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        model_revision: str | None = None,
        **kwargs: Any,
    ):
        for name, dataset in (("train_dataset", train_dataset), ("eval_dataset", eval_dataset)):
            missing = {"text", "label"} - set(dataset.column_names if dataset is not None else ("text", "label"))
            if missing:
                raise InputError(f"{name}: has no column `{missing.pop()}`; its columns are {dataset.column_names}")
        name = model if isinstance(model, str) else model.name_or_path
        if isinstance(model, str):
            labels = train_dataset["label"] if train_dataset is not None else []
            model = load_regressor(model, labels, args.seed, model_revision)
        if model.config.num_labels != 1:
            raise InputError(f"--model_name_or_path {name}: has {model.config.num_labels} labels; a rating has one")
        processing_class = processing_class or load_tokenizer(name, model_revision)
        check_tokenizer(processing_class, model, name)
        if eval_dataset is None and args.eval_strategy != "no":
            args.eval_strategy, args.load_best_model_at_end = "no", False
        self.base = name
        length = max_length(model, processing_class, args.max_length)
        processing_class.model_max_length = length  # so that a plain pipeline cuts texts where training did
        super().__init__(
            model=model,
            args=args,
            data_collator=RegressionCollator(processing_class, length),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            compute_metrics=compute_metrics,
            **kwargs,
        )
        # Makes Trainer count the texts of a step even where the model's forward takes no loss arguments.
        self.model_accepts_loss_kwargs = True

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, Tensor | int | None]:
        """The batches of one optimiser step, and how many texts they hold over all processes.

        Trainer's own count leaves out labels that equal -100, which is a rating like any other.
        """
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        count = torch.tensor([sum(len(batch["labels"]) for batch in batches)], device=device)
        return batches, self.accelerator.gather(count).sum()

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The squared errors of this batch, summed and divided by the texts of the whole step (in fp32)."""
        labels = inputs["labels"].float()
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        squared_errors = (outputs.logits.squeeze(-1).float() - labels).square()
        if model.training and num_items_in_batch is not None:
            # DDP averages the gradients of its processes; their sum is wanted.
            loss = squared_errors.sum() / num_items_in_batch * self.accelerator.num_processes
        else:
            loss = squared_errors.mean()
        if model.training and not torch.isfinite(loss):
            raise XlingError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}; a lower --learning_rate may help"
            )
        return (loss, outputs) if return_outputs else loss

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write `README.md`: what the model predicts, how to use it, and how it was trained."""
        if not self.is_world_process_zero():
            return
        labels = self.train_dataset["label"]
        names = (
            "learning_rate",
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "num_train_epochs",
            "seed",
        )
        card = model_card(
            "regressor_card",
            self.base,
            {**{name: getattr(self.args, name) for name in names}, "max_length": self.data_collator.max_length},
            {"pipeline_tag": "text-classification", "tags": ["regression"]},
            rows=len(labels),
            lowest=min(labels),
            highest=max(labels),
            mean=round(sum(labels) / len(labels), 3),
        )
        write_text(Path(self.args.output_dir) / "README.md", card)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Trainer's own, less its pickle of the arguments: checkpoints hold safetensors and JSON only."""
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            (Path(output_dir or self.args.output_dir) / "training_args.bin").unlink(missing_ok=True)


def load_regressor(name: str, labels: list[float], seed: int, revision: str | None = None) -> PreTrainedModel:
    """Load a rating model, or an encoder with a new head whose bias is the mean of `labels`."""
    torch.manual_seed(seed)  # the new head's weights; Trainer seeds only later
    model, loading = load_pretrained(
        AutoModelForSequenceClassification,
        name,
        revision,
        num_labels=1,
        problem_type="regression",
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    for key, saved, wanted in loading["mismatched_keys"]:
        if wanted[0] != 1:
            raise InputError(f"--model_name_or_path {name}: {key} is {(*saved,)}, its config says {(*wanted,)}")
        raise InputError(f"--model_name_or_path {name}: has {saved[0]} labels; a rating has one")
    if labels:
        output = [
            module for module in model.modules() if isinstance(module, torch.nn.Linear) and module.out_features == 1
        ]
        new = {key.rsplit(".", 1)[0] for key in loading["missing_keys"]}
        names = {module: path for path, module in model.named_modules()}
        if output and names[output[-1]] in new and output[-1].bias is not None:
            torch.nn.init.constant_(output[-1].bias, sum(labels) / len(labels))
    return model


def max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, wanted: int | None) -> int:
    """The tokens that a text may have: `wanted`, or as many as the tokenizer and the model's positions allow.

    Raises:
        InputError: more are wanted than the model has positions for.
    """
    positions = token_positions(model) or tokenizer.model_max_length
    if wanted is not None and wanted > positions:
        raise InputError(f"--max_length {wanted}: the model has positions for {positions} tokens")
    return wanted or min(tokenizer.model_max_length, positions)


def compute_metrics(prediction: EvalPrediction) -> dict[str, float | None]:
    """`METRICS` of Trainer's predictions."""
    logits, labels = prediction
    return load_rating_metric().compute(predictions=logits.squeeze(-1), references=labels)
