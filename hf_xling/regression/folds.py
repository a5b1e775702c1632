"""Parts of a training set: folds that are tested in turn, and rows that choose the best checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from datasets import Dataset
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from hf_xling.errors import InputError
from hf_xling.folding import fold


def cross_validation(dataset: Dataset, folds: int) -> Iterator[tuple[Dataset, Dataset]]:
    """(training part, tested part) of each fold; the folds depend on the texts alone, not on a training's seed.

    A text that stands in several rows, in whatever spelling (`fold`), stands in one fold, so that no training is tested
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
