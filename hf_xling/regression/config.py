"""What regression training is told: model, data, seeds and folds, and the training itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from hf_xling.errors import InputError
from hf_xling.labels import label_values
from hf_xling.recipes import option
from hf_xling.training.config import Reasons, TrainingConfig

COMMAND = "trainers/regression.py"
TaskKind = Literal["regression", "classification"]
LongText = Literal["truncate", "head_tail", "windows"]
_REFUSED: Reasons = {
    "dataloader_drop_last": "texts of the test set would be left out too; a smaller last batch is no problem",
    "eval_do_concat_batches": "the metrics need all predictions in one array; leave it on",
    "include_for_metrics": ("metrics do not see the inputs of a batch; `loss` alone works", ["loss"]),
    "prediction_loss_only": "the metrics, and the results of the test set, need the predictions",
}
_REFUSED_FOR_RATINGS: Reasons = {"label_smoothing_factor": "goes with --task classification; ratings are no classes"}
_WITHOUT_GROUPS = ("galore", "apollo", "lomo", "adalomo")
_FOLDS_VALIDATION_SHARE = 0.1  # of the training part of a fold


@dataclass
class RegressionScriptArguments:
    """What `trainers/regression.py` fine-tunes, and on what."""

    model_name_or_path: str = option("checkpoint folder or Hub id of the encoder to start from")
    model_revision: str = option("revision on the Hub", "main")
    dataset_name: str | None = option(
        "dataset folder or Hub id with the splits train, test and perhaps validation", None
    )
    dataset_config: str | None = option("its config", None)
    train_file: str | None = option("instead: .csv, .tsv, .jsonl or .parquet", None)
    validation_file: str | None = option("chooses the best checkpoint", None)
    test_file: str | None = option("is predicted and measured at the end", None)
    text_column: str = option("column of the texts", "text")
    label_column: str = option("column of the ratings, or of the classes", "label")
    label_map: list[str] | None = option("ratings (or numbers of classes) of named labels, such as Sad=0 Happy=1", None)
    label_range: list[float] | None = option("LOW HIGH: the ratings that there are; others are bad rows", None)
    clean: bool = option("take tags and <NEWLINE> out of the texts first, read entities, and normalise them", False)
    on_bad_row: Literal["error", "drop"] = option(
        "a row without text or number, out of range, or contradicting another", "error"
    )
    seeds: list[int] | None = option(
        "one training a seed in this launch, each in OUTPUT_DIR/seed-N; default: --seed alone", None
    )
    folds: int | None = option(
        "cross-validation: so many trainings a seed, each tested on another part of the training set", None
    )
    validation_share: float | None = option(
        "part of the training set that chooses the best checkpoint where no validation set is given; "
        f"default: {_FOLDS_VALIDATION_SHARE} with --folds, else 0",
        None,
    )

    _argument_group_name = "model and data"

    def __post_init__(self) -> None:
        if (self.dataset_name is None) == (self.train_file is None):
            raise InputError("one of --dataset_name and --train_file is needed")
        if self.dataset_config is not None and self.dataset_name is None:
            raise InputError(f"--dataset_config {self.dataset_config}: goes with --dataset_name")
        for name in ("validation_file", "test_file"):
            if self.dataset_name is not None and getattr(self, name) is not None:
                raise InputError(f"--{name}: goes with --train_file; a dataset has splits of its own")
        if self.seeds is not None and len(set(self.seeds)) != len(self.seeds):
            raise InputError("--seeds: a seed is given twice")
        if self.folds is not None and self.folds < 2:
            raise InputError(f"--folds {self.folds}: at least 2 are needed")
        if self.validation_share is None:
            self.validation_share = _FOLDS_VALIDATION_SHARE if self.folds else 0.0
        if not 0 <= self.validation_share < 1:
            raise InputError(f"--validation_share {self.validation_share}: a number from 0 to 1 (excluded) is needed")
        if self.label_range is not None and not (
            len(self.label_range) == 2 and self.label_range[0] < self.label_range[1]
        ):
            raise InputError("--label_range: two numbers are needed, the lowest rating and the highest")
        label_values(self.label_map)


@dataclass
class RegressionConfig(TrainingConfig):
    """`TrainingArguments` for a rating head, or a head of classes.

    Defaults that differ from `TrainingConfig`'s: `per_device_train_batch_size` 16 and `num_train_epochs` 10 as in the
    paper (section 5.4: 8 to 16; 10 to 30 epochs), evaluation and saving each epoch with the checkpoint of the lowest
    validation MSE kept (where there is a validation set). `learning_rate` is 5e-5 as in the paper.
    """

    task: TaskKind = option("predict a number by squared error, or a class by cross-entropy", "regression")
    max_length: int | None = option("tokens of a text; longer ones are cut; default: what the model takes", None)
    long_text: LongText = option(
        "of a longer text take the beginning, the beginning and the end, or all of it in windows", "truncate"
    )
    token_budget: int = option(
        "tokens of one pass at most, padding included; a batch of more takes several, as one", 8192
    )
    layer_lr_decay: float = option("factor of the learning rate from each layer to the one below it, such as 0.9", 1.0)
    freeze_body_steps: int = option("steps at the start in which only the head learns (with the usual schedules)", 0)

    per_device_train_batch_size: int = option("texts a batch and device", 16)
    per_device_eval_batch_size: int = option("the same where nothing is learnt", 32)
    num_train_epochs: float = option("passes over the training set", 10.0)
    eval_strategy: str = option("no, steps or epoch: when to measure the validation set", "epoch")
    save_strategy: str = option("no, steps, epoch or best: when to write a checkpoint", "epoch")
    load_best_model_at_end: bool = option("end with the checkpoint of the lowest validation MSE", True)
    metric_for_best_model: str | None = option(
        "validation metric that chooses the best; default: mse, or macro_f1 of classes", None
    )
    greater_is_better: bool | None = option("whether more of that metric is better; default: not of errors", None)

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
        if not 0 < self.layer_lr_decay <= 1:
            raise InputError(f"--layer_lr_decay {self.layer_lr_decay}: a number above 0 and up to 1 is needed")
        for name, least in (("token_budget", 1), ("freeze_body_steps", 0)):
            if getattr(self, name) < least:
                raise InputError(f"--{name} {getattr(self, name)}: at least {least} is needed")
        if self.optim.startswith(_WITHOUT_GROUPS):
            name = getattr(self.optim, "value", self.optim)
            raise InputError(f"--optim {name}: takes no learning rates by part of the model, which the head needs")
