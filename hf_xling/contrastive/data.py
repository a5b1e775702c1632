"""Loading what SimCSE trains and is evaluated on, from what the script was given."""

from __future__ import annotations

import math

from datasets import Dataset

from hf_xling.contrastive.config import SimCSEScriptArguments
from hf_xling.contrastive.tokens import negative_columns
from hf_xling.errors import InputError
from hf_xling.tables import Table, read_table, texts_of


def load_corpus(script: SimCSEScriptArguments) -> Dataset:
    """The corpus as `SimCSETrainer` takes it: `anchor`, and `positive`, `negative…`, `group` where the source has them.

    Raises:
        InputError: no such source or column, no rows, or a text that is null or empty (its row is named).
    """
    source = script.dataset_name or script.train_file
    return _rows(read_table(source, script.dataset_config, script.dataset_split), script.anchor_column)


def load_validation(script: SimCSEScriptArguments) -> Dataset | None:
    """The held-out rows of `validation_file`, likewise; None without one."""
    return _rows(read_table(script.validation_file), script.anchor_column) if script.validation_file else None


def load_sts(script: SimCSEScriptArguments) -> Dataset | None:
    """The pairs of `sts_file` with their similarities; None without one.

    Raises:
        InputError: as for `load_corpus`, or a score that is no number.
    """
    if script.sts_file is None:
        return None
    table = read_table(script.sts_file).require_rows()
    columns = {name: texts_of(*_column(table, name)) for name in ("sentence1", "sentence2")}
    scores = []
    for row, value in enumerate(table.column("score")):
        try:
            scores.append(float(value))
            if not math.isfinite(scores[-1]):
                raise ValueError(value)
        except (TypeError, ValueError) as error:
            raise InputError(f"{table.where(row)}, column `score`: {value!r} is no number") from error
    return Dataset.from_dict({**columns, "score": scores})


def _rows(table: Table, anchor_column: str | None) -> Dataset:
    table.require_rows()
    anchor = anchor_column or ("anchor" if "anchor" in table.columns else "text")
    names = {"anchor": anchor, **{name: name for name in ("positive", *negative_columns(list(table.columns)))}}
    columns = {
        name: texts_of(*_column(table, column))
        for name, column in names.items()
        if name == "anchor" or column in table.columns
    }
    if "group" in table.columns:
        # A column of both numbers and strings has no type in Arrow.
        columns["group"] = [None if group is None else str(group) for group in table.column("group")]
    return Dataset.from_dict(columns)


def _column(table: Table, name: str) -> tuple:
    return table.column(name), lambda row: f"{table.where(row)}, column `{name}`"
