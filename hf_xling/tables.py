"""Reading what people bring: .txt (a text a line), .csv, .tsv, .jsonl, .parquet, folders of Parquet, Hub datasets.

A message about a row names it as the user counts it: by data row, from 1, without the header, and by file line where
that differs.
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_xling.errors import InputError

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
# File names that say a split to `load_dataset`.
SPLIT_FILE = re.compile(r"(?<![a-z])(train(ing)?|valid(ation)?|val|dev|test(ing)?|eval(uation)?)(?![a-z])", re.I)
HUB_ID = re.compile(r"^[\w-][\w.-]*(/[\w-][\w.-]*)?$")


@dataclass(frozen=True)
class Table:
    """Columns of equal length, with the name of their source for messages.

    Attributes:
        name: the file, folder or dataset id, as the user gave it.
        columns: values by column name; a missing value is `None`.
        lines: the file line on which each row starts, or None where rows have no lines of their own.
    """

    name: str
    columns: dict[str, list[Any]]
    lines: list[int] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def column(self, name: str) -> list[Any]:
        """The values of column `name`; an unknown name is an `InputError` that lists the known ones."""
        if name not in self.columns:
            raise InputError(f"{self.name}: has no column `{name}`; its columns are {', '.join(self.columns)}")
        return self.columns[name]

    def where(self, index: int) -> str:
        """How messages name the row at `index` (from 0): `reviews.csv, row 11 (line 14)`."""
        row = f"{self.name}, row {index + 1}"
        return row if self.lines is None or self.lines[index] == index + 1 else f"{row} (line {self.lines[index]})"

    def require_rows(self) -> Table:
        """This table, if it has rows; an `InputError` if it has none."""
        if len(self) == 0:
            raise InputError(f"{self.name}: is empty; at least one row of data is needed")
        return self


def read_table(source: str | Path, config: str | None = None, split: str = "train") -> Table:
    """Read the table that `source` names: a file, a folder, or a dataset on the Hub.

    Args:
        source: a file with one of `SUFFIXES`, a folder of Parquet files or a dataset folder, or a Hub dataset id.
        config, split: which part of a dataset folder or Hub dataset.

    Raises:
        InputError: there is no such source, or it cannot be read as what its name says; the line or row is named.
    """
    path = Path(source)
    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        # Splits and configs are for `load_dataset` to find; one table in parts needs no copy in its cache.
        plain = (
            parts and config is None and split == "train" and not any(SPLIT_FILE.search(part.name) for part in parts)
        )
        return _read_parquet(parts, str(source)) if plain else _read_dataset(str(source), config, split)
    if not path.exists() and path.suffix not in SUFFIXES and HUB_ID.match(str(source)):
        return _read_dataset(str(source), config, split)
    if not path.exists():
        raise InputError(f"{source}: no such file or folder")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{source}: unknown kind of file; known are {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        return _read_parquet([path], str(source))
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            if path.suffix == ".txt":
                return Table(str(source), {"text": [line.rstrip("\r\n") for line in stream]})
            if path.suffix == ".jsonl":
                return _read_jsonl(stream, str(source))
            return _read_delimited(stream, str(source), "\t" if path.suffix == ".tsv" else ",")
    except UnicodeDecodeError as error:
        raise InputError(f"{source}, line {_undecodable_line(path)}: is not UTF-8 ({error.reason})") from error
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}") from error


def texts_of(values: Sequence[Any], where: Any) -> list[str]:
    """`values` as non-empty strings; `where(index)` names a row whose value is not one in the `InputError`."""
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(
                f"{where(index)}: the text is {'null' if value is None else repr(value)}; a text is needed"
            )
        if not value.strip():
            raise InputError(f"{where(index)}: the text is empty")
    return list(values)


def _undecodable_line(path: Path) -> int:
    """The number of the first line that is not UTF-8; the decoder's own error counts from its last buffer."""
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    raise AssertionError(f"{path} has changed while it was read")


def _read_delimited(stream: Iterator[str], name: str, delimiter: str) -> Table:
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        header = next(filter(None, reader), None)  # the csv module gives [] for a blank line
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not valid CSV: {error}") from error
    if not header:
        raise InputError(f"{name}: is empty; a header line with the columns' names is needed")
    if len(set(header)) != len(header):
        raise InputError(f"{name}: names a column twice in its header: {', '.join(header)}")
    columns: dict[str, list[Any]] = {column: [] for column in header}
    lines: list[int] = []
    try:
        start = reader.line_num + 1
        for row in reader:
            if row:
                if len(row) != len(header):
                    raise InputError(
                        f"{name}, row {len(lines) + 1} (line {start}): has {len(row)} fields; "
                        f"the header has {len(header)}"
                    )
                lines.append(start)
                for column, value in zip(header, row, strict=True):
                    columns[column].append(value if value != "" else None)
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not valid CSV: {error}") from error
    return Table(name, columns, lines)


def _read_jsonl(stream: Iterator[str], name: str) -> Table:
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if "\\u" in line:  # half of a surrogate pair, as cut emoji leave it, cannot be written as UTF-8
                json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{name}, line {number}: holds half of a surrogate pair, which is no text") from error
        except json.JSONDecodeError as error:
            raise InputError(f"{name}, line {number}: not valid JSON: {error.msg} (column {error.colno})") from error
        except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
            raise InputError(f"{name}, line {number}: not valid JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{name}, line {number}: is {type(row).__name__}; an object a line is needed")
        rows.append(row)
        lines.append(number)
    names = dict.fromkeys(key for row in rows for key in row)
    return Table(name, {key: [row.get(key) for row in rows] for key in names}, lines)


def _read_parquet(paths: list[Path], name: str) -> Table:
    import pyarrow
    import pyarrow.parquet

    parts = []
    try:
        for path in paths:
            parts.append(pyarrow.parquet.read_table(path))
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable as Parquet: {error}") from error
    try:
        table = pyarrow.concat_tables(parts)
    except pyarrow.ArrowException as error:
        raise InputError(f"{name}: its Parquet files have different columns: {error}") from error
    return Table(name, {column: table[column].to_pylist() for column in table.column_names})


def _read_dataset(source: str, config: str | None, split: str) -> Table:
    from datasets import load_dataset

    # The cache of datasets 5.2 knows a folder with a card by its last name and that card alone, and would give out the
    # rows of another folder of that name, or yesterday's of this one.
    with tempfile.TemporaryDirectory(prefix="hf_xling-") as cache:
        try:
            dataset = load_dataset(source, config, split=split, cache_dir=cache if Path(source).is_dir() else None)
        except Exception as error:  # datasets, huggingface_hub and pyarrow each raise their own kinds
            raise InputError(f"{source}: cannot be loaded as a dataset ({type(error).__name__}: {error})") from error
        return Table(source, {column: list(dataset[column]) for column in dataset.column_names})
