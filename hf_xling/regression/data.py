"""Rated texts, each row checked."""

from __future__ import annotations

import math
from collections.abc import Mapping

from datasets import Dataset

from hf_xling.errors import InputError
from hf_xling.regression.config import RegressionScriptArguments
from hf_xling.tables import Table, read_table, texts_of


def load_splits(script: RegressionScriptArguments) -> dict[str, Dataset]:
    """The splits `train`, and `validation` and `test` where given, with the columns `id`, `text` and `label` (float).

    Raises:
        InputError: no such source, split or column, no rows, an empty text, or a label that is no number (the row is
            named).
    """
    splits = {}
    for split in ("train", "validation", "test"):
        if script.dataset_name is not None:
            if split == "validation" and not _has_split(script, split):
                continue
            table = read_table(script.dataset_name, script.dataset_config, split)
        else:
            file = getattr(script, f"{split}_file")
            if file is None:
                continue
            table = read_table(file)
        splits[split] = rated_texts(table, script.text_column, script.label_column, script.label_values())
    return splits


def rated_texts(
    table: Table, text_column: str, label_column: str, label_values: Mapping[str, float] | None = None
) -> Dataset:
    """`table` as a dataset of `id` (its own column of that name, else the data row), `text` and `label`."""
    table.require_rows()
    texts = texts_of(table.column(text_column), table.where)
    labels = [
        _number(value, f"{table.where(row)}: the label", label_values)
        for row, value in enumerate(table.column(label_column))
    ]
    ids = table.columns.get("id", range(1, len(table) + 1))
    return Dataset.from_dict({"id": [str(name) for name in ids], "text": texts, "label": labels})


def _number(value: object, what: str, label_values: Mapping[str, float] | None) -> float:
    if value is None:
        raise InputError(f"{what} is null; a number is needed")
    if label_values is not None:
        if str(value) not in label_values:
            raise InputError(f"{what} is {value!r}; --label_map has {', '.join(label_values)}")
        return label_values[str(value)]
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} is {value!r}; a number is needed (--label_map gives numbers to names)") from None
    if not math.isfinite(number):
        raise InputError(f"{what} is {value!r}; a finite number is needed")
    return number


def _has_split(script: RegressionScriptArguments, split: str) -> bool:
    from datasets import get_dataset_split_names

    return split in get_dataset_split_names(script.dataset_name, script.dataset_config)
