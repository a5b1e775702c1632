"""`Table`: columns of values that know their source and name their rows as its owner counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hf_xling.console import note_once
from hf_xling.errors import InputError
from hf_xling.folding import has_text


@dataclass(frozen=True)
class Table:
    """Columns of equal length, with the name of their source for messages: all rows of it, or a block of them.

    Attributes:
        name: the file, folder or dataset id, as the user gave it.
        columns: values by column name; a missing value is `None`.
        lines: the file line on which each row starts, or None where rows have no lines of their own.
        start: how many rows of the source come before this block.
        ragged: whether later blocks can have columns that this one has not (JSONL).
        class_names: names of the classes by column, for `ClassLabel` columns of a dataset; their values are integers.
    """

    name: str
    columns: dict[str, list[Any]]
    lines: list[int] | None = None
    start: int = 0
    ragged: bool = False
    class_names: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def column(self, name: str) -> list[Any]:
        """The values of column `name`; an unknown name is an `InputError` that lists the known ones.

        A block of JSONL has all columns that any row up to its end has. One that is still unknown is an error there
        too, and not a list of None: a mistyped name shall be told before a whole file has been read for nothing.
        `columns.get` is for columns that may be absent.
        """
        if name not in self.columns:
            known = f"columns are {', '.join(self.columns)}" if self.columns else "rows are empty"
            up_to = f" up to row {self.start + len(self.lines or self)}" if self.ragged else ""
            raise InputError(f"{self.name}: has no column `{name}`{up_to}; its {known}")
        return self.columns[name]

    def row(self, index: int) -> str:
        """How messages name the row at `index` (from 0, in this block) within its source: `row 11 (line 14)`."""
        number = self.start + index + 1
        line = number if self.lines is None else self.lines[index]
        return f"row {number}" if line == number else f"row {number} (line {line})"

    def where(self, index: int) -> str:
        """`row` with the source's name: `reviews.csv, row 11 (line 14)`."""
        return f"{self.name}, {self.row(index)}"

    def require_rows(self) -> Table:
        """This table, if it has rows; an `InputError` if it has none."""
        if len(self) == 0:
            raise InputError(f"{self.name}: is empty; at least one row of data is needed")
        return self


def texts_of(values: Sequence[Any], where: Any) -> list[str]:
    """`values` as non-empty strings; `where(index)` names a row whose value is not one in the `InputError`."""
    for index, value in enumerate(values):
        if not has_text(value):
            what = "null; a text is needed" if value is None else f"{value!r}; a text is needed"
            raise InputError(f"{where(index)}: the text is {'empty' if isinstance(value, str) else what}")
    return list(values)


def row_ids(table: Table, column: str = "id") -> list[str]:
    """An id for each row: its value in `column`, else the number of the data row, from 1.

    If two rows would have one id, all rows go by their numbers. It is said where a row goes by its number though the
    table has the column.
    """
    numbers = [str(table.start + row + 1) for row in range(len(table))]
    if column not in table.columns:
        return numbers
    given = [
        str(value) if value is not None and value == value and has_text(str(value)) else None
        for value in table.columns[column]
    ]
    ids = [number if id is None else id for id, number in zip(given, numbers, strict=True)]
    if len(set(ids)) < len(ids):
        note_once(f"{table.name}: the values of column `{column}` are not unique; rows are named by their numbers")
        return numbers
    if missing := given.count(None):
        note_once(f"{table.name}: {missing:,} rows have no value in column `{column}`; they are named by their numbers")
    return ids


def check_once(option: str, names: Sequence[str] | None) -> None:
    """An `InputError` if `names`, the value of `option`, names a column twice."""
    names = names or ()
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{option} {' '.join(names)}: names the column `{twice[0]}` twice")
