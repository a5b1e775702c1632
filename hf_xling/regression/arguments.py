"""What `trainers/regression.py` is told beside the training itself: model, data, seeds and folds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hf_xling.errors import InputError
from hf_xling.labels import label_values
from hf_xling.recipes import given_fields
from hf_xling.regression.config import COMMAND, RegressionConfig
from hf_xling.runs import by_content, is_finished
from hf_xling.training.config import is_own_checkpoint

_SOURCES = ("dataset_name", "train_file", "validation_file", "test_file", "model_name_or_path")
DEFAULT_VALIDATION_SHARE = 0.1  # of the training part of a fold


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
    label_column: str = field(default="label", metadata={"help": "column of the ratings, or of the classes"})
    label_map: list[str] | None = field(
        default=None, metadata={"help": "ratings (or numbers of classes) of named labels, such as Sad=0 Happy=1"}
    )
    label_range: list[float] | None = field(
        default=None, metadata={"help": "LOW HIGH: the ratings that there are; others are bad rows"}
    )
    clean: bool = field(
        default=False,
        metadata={"help": "take tags and <NEWLINE> out of the texts first, read entities, and normalise them"},
    )
    on_bad_row: Literal["error", "drop"] = field(
        default="error", metadata={"help": "a row without text or number, out of range, or contradicting another"}
    )
    seeds: list[int] | None = field(
        default=None,
        metadata={"help": "one training a seed in this launch, each in OUTPUT_DIR/seed-N; default: --seed alone"},
    )
    folds: int | None = field(
        default=None,
        metadata={
            "help": "cross-validation: so many trainings a seed, each tested on another part of the training set"
        },
    )
    validation_share: float | None = field(
        default=None,
        metadata={
            "help": "part of the training set that chooses the best checkpoint where no validation set is given; "
            f"default: {DEFAULT_VALIDATION_SHARE} with --folds, else 0"
        },
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
            raise InputError("--seeds: a seed stands twice")
        if self.folds is not None and self.folds < 2:
            raise InputError(f"--folds {self.folds}: at least 2 are needed")
        if self.validation_share is None:
            self.validation_share = DEFAULT_VALIDATION_SHARE if self.folds else 0.0
        if not 0 <= self.validation_share < 1:
            raise InputError(f"--validation_share {self.validation_share}: a number from 0 to 1 (excluded) is needed")
        if self.label_range is not None and not (
            len(self.label_range) == 2 and self.label_range[0] < self.label_range[1]
        ):
            raise InputError("--label_range: two numbers are needed, the lowest rating and the highest")
        label_values(self.label_map)


@dataclass(frozen=True)
class Part:
    """One training of a launch.

    Attributes:
        folder: of its output.
        seed: of its training.
        fold: from 1, the part of the training set that it is tested on; None without folds.
    """

    folder: Path
    seed: int
    fold: int | None = None

    @property
    def name(self) -> str:
        """`fold 2, seed 1`."""
        return f"seed {self.seed}" if self.fold is None else f"fold {self.fold}, seed {self.seed}"


def run_identity(script: RegressionScriptArguments, args: RegressionConfig, *more: Any) -> dict[str, Any]:
    """What makes one training another: the fields that were given, with data and model by their content.

    Which seeds stand beside each other in a folder makes no difference to any of them.
    """
    fields = by_content(given_fields(script, args, *more), _SOURCES)
    left_out = {"seeds", "resume_from_checkpoint"} if is_own_checkpoint(args) else {"seeds"}
    return {name: value for name, value in fields.items() if name not in left_out}


def parts_of(script: RegressionScriptArguments, args: RegressionConfig) -> list[Part]:
    """The trainings of a launch: `fold-K/seed-N`, `fold-K`, `seed-N` in the output folder, or that itself for one."""
    parent = Path(args.output_dir)
    parts = []
    for fold in range(1, script.folds + 1) if script.folds else [None]:
        folder = parent if fold is None else parent / f"fold-{fold}"
        for seed in script.seeds or [args.seed]:
            parts.append(Part(folder / f"seed-{seed}" if script.seeds else folder, seed, fold))
    return parts


def is_trained(script: RegressionScriptArguments, args: RegressionConfig, *more: Any) -> bool:
    """Whether all trainings of a launch are finished; an `InputError` where a folder holds another run."""
    identity = run_identity(script, args, *more)
    return all(is_finished(part.folder, COMMAND, identity_of(part, identity)) for part in parts_of(script, args))


def identity_of(part: Part, identity: dict[str, Any]) -> dict[str, Any]:
    """What makes `part` another training than others of its launch."""
    return {**identity, "seed": part.seed, **({"fold": part.fold} if part.fold is not None else {})}
