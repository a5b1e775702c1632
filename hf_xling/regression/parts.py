"""The trainings of a launch, one a fold and seed: their folders, what makes each another, and their rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from hf_xling.errors import InputError
from hf_xling.folding import fold
from hf_xling.recipes import given_fields
from hf_xling.regression.config import COMMAND, RegressionConfig, RegressionScriptArguments
from hf_xling.runs import by_content, is_finished
from hf_xling.training.config import is_own_checkpoint

_SOURCES = ("dataset_name", "train_file", "validation_file", "test_file", "model_name_or_path")


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

    def identity(self, launch: dict[str, Any]) -> dict[str, Any]:
        """What makes it another training than others of its `launch`, which is a `run_identity`."""
        return {**launch, "seed": self.seed, **({"fold": self.fold} if self.fold is not None else {})}


def parts_of(script: RegressionScriptArguments, args: RegressionConfig) -> list[Part]:
    """The trainings of a launch: `fold-K/seed-N`, `fold-K`, `seed-N` in the output folder, or that itself for one."""
    parts = []
    for number in range(1, script.folds + 1) if script.folds else [None]:
        folder = args.folder if number is None else args.folder / f"fold-{number}"
        for seed in script.seeds or [args.seed]:
            parts.append(Part(folder / f"seed-{seed}" if script.seeds else folder, seed, number))
    return parts


def run_identity(script: RegressionScriptArguments, args: RegressionConfig, *more: Any) -> dict[str, Any]:
    """What makes one launch another: the fields that were given, with data and model by their content.

    Which seeds are beside each other in a folder makes no difference to any of them.
    """
    fields = by_content(given_fields(script, args, *more), _SOURCES)
    left_out = {"seeds", "resume_from_checkpoint"} if is_own_checkpoint(args) else {"seeds"}
    return {name: value for name, value in fields.items() if name not in left_out}


def is_trained(script: RegressionScriptArguments, args: RegressionConfig, *more: Any) -> bool:
    """Whether all trainings of a launch are finished; an `InputError` where a folder holds another run."""
    launch = run_identity(script, args, *more)
    return all(is_finished(part.folder, COMMAND, part.identity(launch)) for part in parts_of(script, args))


def cross_validation(dataset: Dataset, folds: int) -> Iterator[tuple[Dataset, Dataset]]:
    """(training part, tested part) of each fold; the folds depend on the texts alone, not on a training's seed.

    A text that is in several rows, in whatever spelling (`fold`), is in one fold, so that no training is tested
    on what it has seen.

    Raises:
        InputError: there are fewer distinct texts than folds.
    """
    texts = _groups(dataset)
    if len(set(texts)) < folds:
        raise InputError(f"--folds {folds}: the training set has only {len(set(texts))} distinct texts")
    for train, test in GroupKFold(folds, shuffle=True, random_state=0).split(texts, groups=texts):
        yield dataset.select(train), dataset.select(test)


def hold_out(dataset: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """(the rest, a part with `share` of the distinct texts), at random but the same at each call.

    Raises:
        InputError: either side would be empty.
    """
    texts = _groups(dataset)
    if len(set(texts)) < 2:
        raise InputError(f"--validation_share {share}: the training set has only {len(set(texts))} distinct texts")
    splitter = GroupShuffleSplit(1, test_size=share, random_state=0)
    try:
        rest, held_out = next(splitter.split(texts, groups=texts))
    except ValueError as error:
        raise InputError(f"--validation_share {share}: of {len(set(texts))} distinct texts nothing is left") from error
    return dataset.select(sorted(rest)), dataset.select(sorted(held_out))


def _groups(dataset: Dataset) -> list[str]:
    """For each row the first text that is the same as its own."""
    first: dict[str, str] = {}
    return [first.setdefault(fold(text), text) for text in dataset["text"]]
