"""What regression training is told: `RegressionConfig`, and the data arguments of its script."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from hf_xling.errors import InputError
from hf_xling.recipes import given_fields
from hf_xling.runs import by_content, is_finished

COMMAND = "trainers/regression.py"


@dataclass
class RegressionConfig(TrainingArguments):
    """`TrainingArguments` for a rating head.

    Defaults that differ from transformers': `learning_rate` 5e-5, `per_device_train_batch_size` 16 and
    `num_train_epochs` 10 as in the paper (section 5.4: 8 to 16; 10 to 30 epochs), evaluation and saving each epoch with
    the checkpoint of the lowest validation MSE kept (where there is a validation set), `remove_unused_columns` False
    because the columns are texts, `logging_nan_inf_filter` False because it hides a NaN loss, `report_to` none.
    """

    max_length: int | None = field(
        default=None, metadata={"help": "tokens of a text; longer ones are cut; default: what the model takes"}
    )

    learning_rate: float = field(default=5e-5, metadata={"help": "peak learning rate of AdamW"})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "texts a batch and device"})
    num_train_epochs: float = field(default=10.0, metadata={"help": "passes over the training set"})
    eval_strategy: str = field(
        default="epoch", metadata={"help": "no, steps or epoch: when to measure the validation set"}
    )
    save_strategy: str = field(
        default="epoch", metadata={"help": "no, steps, epoch or best: when to write a checkpoint"}
    )
    save_total_limit: int | None = field(default=1, metadata={"help": "checkpoints kept, beside the best"})
    load_best_model_at_end: bool = field(
        default=True, metadata={"help": "end with the checkpoint of the lowest validation MSE"}
    )
    metric_for_best_model: str | None = field(
        default="mse", metadata={"help": "validation metric that chooses the best"}
    )
    greater_is_better: bool | None = field(default=False, metadata={"help": "whether more of that metric is better"})
    remove_unused_columns: bool = field(default=False, metadata={"help": "must stay off: the columns are texts"})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "hide NaN losses from the log"})
    logging_steps: float = field(default=10, metadata={"help": "steps between two log lines"})
    report_to: None | str | list[str] = field(
        default="none", metadata={"help": "trackers, such as trackio or tensorboard"}
    )

    _argument_group_name = "regression"

    def __post_init__(self) -> None:
        if "no" in (str(self.eval_strategy), str(self.save_strategy)):
            self.load_best_model_at_end = False  # there is no best one to end with
        super().__post_init__()
        if self.device.type == "cpu":
            self.dataloader_pin_memory = False  # torch warns of it at every start
        if self.max_length is not None and self.max_length < 3:
            raise InputError(f"--max_length {self.max_length}: at least 3 tokens are needed (two are special)")
        if self.remove_unused_columns:
            raise InputError("--remove_unused_columns: the collator needs the text column; leave it off")


@dataclass
class RegressionScriptArguments:
    """What `trainers/regression.py` fine-tunes, and on what."""

    model_name_or_path: str = field(metadata={"help": "checkpoint folder or Hub id of the encoder to start from"})
    model_revision: str = field(default="main", metadata={"help": "revision on the Hub"})
    dataset_name: str | None = field(
        default=None, metadata={"help": "dataset folder or Hub id with the splits train, test and perhaps validation"}
    )
    dataset_config: str | None = field(default=None, metadata={"help": "its config"})
    train_file: str | None = field(default=None, metadata={"help": "instead: .csv, .tsv, .jsonl or .parquet"})
    validation_file: str | None = field(default=None, metadata={"help": "chooses the best checkpoint"})
    test_file: str | None = field(default=None, metadata={"help": "is predicted and measured at the end"})
    text_column: str = field(default="text", metadata={"help": "column of the texts"})
    label_column: str = field(default="label", metadata={"help": "column of the ratings"})
    label_map: list[str] | None = field(
        default=None, metadata={"help": "ratings of named labels, such as Sad=0 Happy=1"}
    )
    seeds: list[int] | None = field(
        default=None,
        metadata={"help": "one training a seed in this launch, each in OUTPUT_DIR/seed-N; default: --seed alone"},
    )

    _argument_group_name = "model and data"

    def __post_init__(self) -> None:
        if (self.dataset_name is None) == (self.train_file is None):
            raise InputError("one of --dataset_name and --train_file is needed")
        for name in ("validation_file", "test_file"):
            if self.dataset_name is not None and getattr(self, name) is not None:
                raise InputError(f"--{name}: goes with --train_file; a dataset has splits of its own")
        if self.seeds is not None and len(set(self.seeds)) != len(self.seeds):
            raise InputError("--seeds: a seed stands twice")
        self.label_values()

    def label_values(self) -> dict[str, float] | None:
        """`--label_map` as numbers by name."""
        if self.label_map is None:
            return None
        values = {}
        for item in self.label_map:
            name, _, value = item.rpartition("=")
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if not name or not math.isfinite(number):
                raise InputError(f"--label_map {item}: NAME=NUMBER is needed, such as Happy=1")
            if name in values:
                raise InputError(f"--label_map: `{name}` stands twice")
            values[name] = number
        return values


def run_identity(script: RegressionScriptArguments, args: RegressionConfig) -> dict[str, Any]:
    """What makes one training another: the fields that were given, with data and model by their content.

    Which seeds stand beside each other in a folder makes no difference to any of them.
    """
    paths = ("dataset_name", "train_file", "validation_file", "test_file", "model_name_or_path")
    fields = by_content(given_fields(script, args), paths)
    return {name: value for name, value in fields.items() if name != "seeds"}


def seed_folders(script: RegressionScriptArguments, args: RegressionConfig) -> dict[int, Path]:
    """The folder of each training: `seed-N` of the output folder, or that itself where no `--seeds` are given."""
    parent = Path(args.output_dir)
    return {seed: parent / f"seed-{seed}" for seed in script.seeds} if script.seeds else {args.seed: parent}


def is_trained(script: RegressionScriptArguments, args: RegressionConfig) -> bool:
    """Whether all trainings of a launch are finished; an `InputError` where a folder holds another run."""
    identity = run_identity(script, args)
    return all(
        is_finished(folder, COMMAND, {**identity, "seed": seed}) for seed, folder in seed_folders(script, args).items()
    )
