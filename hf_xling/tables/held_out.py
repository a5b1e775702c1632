"""Sources that are given for one split: which rows of them are read where they have splits of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hf_xling.errors import InputError
from hf_xling.tables import Table, known_splits, read_table, split_names


def read_held_out(
    source: str, split: Literal["validation", "test"], config: str | None = None
) -> tuple[Table, str | None]:
    """The rows of `source` to measure with, and the split that they are; None of a source without splits, read whole.

    Args:
        source: whatever `read_table` reads.
        split: the one wanted. Where there is no `test`, `train` is read, or what else there is: many a test set has one
            split, of any name. Where there is no `validation`, that would be what is trained on.
        config: of a dataset.

    Raises:
        InputError: as `read_table`; or the source has splits, and `validation`, which is wanted, is none of them.
    """
    names = split_names(source, config)
    if names is None:
        return read_table(source), None
    known = known_splits(names)
    if split == "validation" and split not in known:
        raise InputError(
            f"--validation_file {source}: has no split `validation`; its splits are {', '.join(names)} (a file of one "
            "is read whole)"
        )
    read = known.get(split) or known.get("train") or names[0]
    return replace(read_table(source, config, read), name=f"{source}, split {read}"), read


def split_to_read(source: str, split: str) -> str:
    """What `read_table` has to take of a source that is given as the file of `split`.

    Raises:
        InputError: it has splits of its own, and not that one alone: one of them may be another, or would be lost.
    """
    names = split_names(source)
    if names is None:
        return "train"
    if len(names) > 1 or split not in known_splits(names):
        raise InputError(f"{source}: has splits of its own ({', '.join(names)}); a file of {split} is needed")
    return names[0]
