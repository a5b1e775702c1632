"""What regression training is told: `RegressionConfig`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hf_xling.errors import InputError
from hf_xling.training.config import Reasons, TrainingConfig

COMMAND = "trainers/regression.py"
_REFUSED: Reasons = {
    "dataloader_drop_last": "texts of the test set would be left out too; a smaller last batch is no problem",
    "eval_do_concat_batches": "the metrics need all predictions in one array; leave it on",
    "include_for_metrics": ("metrics do not see the inputs of a batch; `loss` alone works", ["loss"]),
    "prediction_loss_only": "the metrics, and the results of the test set, need the predictions",
}
_REFUSED_FOR_RATINGS: Reasons = {"label_smoothing_factor": "goes with --task classification; ratings are no classes"}
_WITHOUT_GROUPS = ("galore", "apollo", "lomo", "adalomo")


@dataclass
class RegressionConfig(TrainingConfig):
    """`TrainingArguments` for a rating head, or a head of classes.

    Defaults that differ from `TrainingConfig`'s: `per_device_train_batch_size` 16 and `num_train_epochs` 10 as in the
    paper (section 5.4: 8 to 16; 10 to 30 epochs), evaluation and saving each epoch with the checkpoint of the lowest
    validation MSE kept (where there is a validation set). `learning_rate` is 5e-5 as in the paper.
    """

    task: Literal["regression", "classification"] = field(
        default="regression", metadata={"help": "predict a number by squared error, or a class by cross-entropy"}
    )
    max_length: int | None = field(
        default=None, metadata={"help": "tokens of a text; longer ones are cut; default: what the model takes"}
    )
    long_text: Literal["truncate", "head_tail", "windows"] = field(
        default="truncate",
        metadata={"help": "of a longer text take the beginning, the beginning and the end, or all of it in windows"},
    )
    token_budget: int = field(
        default=8192,
        metadata={"help": "tokens of one pass at most, padding included; a batch of more takes several, as one"},
    )
    layer_lr_decay: float = field(
        default=1.0, metadata={"help": "factor of the learning rate from each layer to the one below it, such as 0.9"}
    )
    freeze_body_steps: int = field(
        default=0, metadata={"help": "steps at the start in which only the head learns (with the usual schedules)"}
    )

    per_device_train_batch_size: int = field(default=16, metadata={"help": "texts a batch and device"})
    per_device_eval_batch_size: int = field(default=32, metadata={"help": "likewise, where nothing is learnt"})
    num_train_epochs: float = field(default=10.0, metadata={"help": "passes over the training set"})
    eval_strategy: str = field(
        default="epoch", metadata={"help": "no, steps or epoch: when to measure the validation set"}
    )
    save_strategy: str = field(
        default="epoch", metadata={"help": "no, steps, epoch or best: when to write a checkpoint"}
    )
    load_best_model_at_end: bool = field(
        default=True, metadata={"help": "end with the checkpoint of the lowest validation MSE"}
    )
    metric_for_best_model: str | None = field(
        default=None, metadata={"help": "validation metric that chooses the best; default: mse, or macro_f1 of classes"}
    )
    greater_is_better: bool | None = field(
        default=None, metadata={"help": "whether more of that metric is better; default: not of errors"}
    )

    _argument_group_name = "regression"

    lower_is_better: ClassVar[tuple[str, ...]] = ("loss", "mse", "mae")

    def refused(self) -> Reasons:
        """Fields that have no meaning for ratings or classes."""
        return _REFUSED if self.task == "classification" else {**_REFUSED, **_REFUSED_FOR_RATINGS}

    def default_metric(self) -> str:
        """Of ratings the mean squared error; of classes the mean F1."""
        return "mse" if self.task == "regression" else "macro_f1"

    def __post_init__(self) -> None:
        if "no" in (str(self.eval_strategy), str(self.save_strategy)):
            self.load_best_model_at_end = False  # there is no best one to end with
        super().__post_init__()
        if self.max_length is not None and self.max_length < 3:
            raise InputError(f"--max_length {self.max_length}: at least 3 tokens are needed (two are special)")
        if self.token_budget < 1:
            raise InputError(f"--token_budget {self.token_budget}: at least 1 is needed")
        if not 0 < self.layer_lr_decay <= 1:
            raise InputError(f"--layer_lr_decay {self.layer_lr_decay}: a number above 0 and up to 1 is needed")
        if self.freeze_body_steps < 0:
            raise InputError(f"--freeze_body_steps {self.freeze_body_steps}: 0 or more is needed")
        if self.optim.startswith(_WITHOUT_GROUPS):
            raise InputError(
                f"--optim {self.optim.value}: takes no learning rates by part of the model, which the head needs"
            )
