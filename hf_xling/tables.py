"""Reading what people bring: .txt (a text a line), .csv, .tsv, .jsonl, .parquet, folders of Parquet, Hub datasets.

A message about a row names it as the user counts it: by data row, from 1, without the header, and by file line where
that differs. `stream_table` reads a source in blocks of rows, and `read_table` joins them: there is one parser.
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from hf_xling.errors import InputError, one_line

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
# File names that say a split to `load_dataset`.
SPLIT_FILE = re.compile(r"(?<![a-z])(train(ing)?|valid(ation)?|val|dev|test(ing)?|eval(uation)?)(?![a-z])", re.I)
HUB_ID = re.compile(r"^[\w-][\w.-]*(/[\w-][\w.-]*)?$")
ROWS = 4096
# By default pyarrow reads the column chunks of a whole row group ahead, and one may be the whole file.
PARQUET_READING = {"pre_buffer": False, "buffer_size": 2**16}

T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """Columns of equal length, with the name of their source for messages: all rows of it, or a block of them.

    Attributes:
        name: the file, folder or dataset id, as the user gave it.
        columns: values by column name; a missing value is `None`.
        lines: the file line on which each row starts, or None where rows have no lines of their own.
        start: how many rows of the source stand before this block.
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
            up_to = f" up to row {self.start + len(self.lines)}" if self.ragged else ""
            raise InputError(f"{self.name}: has no column `{name}`{up_to}; its {known}")
        return self.columns[name]

    def row(self, index: int) -> str:
        """How messages name the row at `index` (from 0, in this block) within its source: `row 11 (line 14)`."""
        number = self.start + index + 1
        same = self.lines is None or self.lines[index] == number
        return f"row {number}" if same else f"row {number} (line {self.lines[index]})"

    def where(self, index: int) -> str:
        """`row` with the source's name: `reviews.csv, row 11 (line 14)`."""
        return f"{self.name}, {self.row(index)}"

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
    first, *others = stream_table(source, config=config, split=split)
    columns, lines = first.columns, first.lines
    for block in others:
        for name, values in block.columns.items():  # each block has all columns of those before it
            columns.setdefault(name, [None] * block.start).extend(values)
        if lines is not None:
            lines.extend(block.lines)
    return Table(first.name, columns, lines, class_names=first.class_names)


def stream_table(
    source: str | Path, rows: int = ROWS, config: str | None = None, split: str = "train"
) -> Iterator[Table]:
    """Read the same table in blocks of at most `rows` rows, in their order, in memory that does not grow with them.

    There is at least one block: a source without rows gives an empty one. Row and line numbers are those of the whole
    source. A JSONL block has the columns of all rows up to its end; what a row lacks is None.

    Args:
        source, config, split: as for `read_table`; a dataset folder or Hub dataset is loaded into a cache on disk.
        rows: the most rows of a block.

    Raises:
        InputError: as `read_table`, at once if there is no such source, or when the reading comes to what is wrong.
    """
    if rows < 1:
        raise ValueError(f"rows={rows}: a block has at least one row")
    path = Path(source)
    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        # Splits and configs are for `load_dataset` to find; one table in parts needs no copy in its cache.
        plain = (
            parts and config is None and split == "train" and not any(SPLIT_FILE.search(part.name) for part in parts)
        )
        return _parquet(parts, str(source), rows) if plain else _dataset(str(source), config, split, rows)
    if not path.exists() and path.suffix not in SUFFIXES and HUB_ID.match(str(source)):
        return _dataset(str(source), config, split, rows)
    if not path.exists():
        raise InputError(f"{source}: no such file or folder")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{source}: unknown kind of file; known are {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        return _parquet([path], str(source), rows)
    return _text_file(path, str(source), rows)


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


def _text_file(path: Path, name: str, rows: int) -> Iterator[Table]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            if path.suffix == ".txt":
                for start, lines in _chunks((line.rstrip("\r\n") for line in stream), rows):
                    yield Table(name, {"text": lines}, start=start)
            elif path.suffix == ".jsonl":
                yield from _jsonl(stream, name, rows)
            else:
                yield from _delimited(stream, name, "\t" if path.suffix == ".tsv" else ",", rows)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}, line {_undecodable_line(path)}: is not UTF-8 ({error.reason})") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error


def _undecodable_line(path: Path) -> int:
    """The number of the first line that is not UTF-8; the decoder's own error counts from its last buffer."""
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    raise AssertionError(f"{path} has changed while it was read")


def _chunks(items: Iterable[T], rows: int) -> Iterator[tuple[int, list[T]]]:
    """`items` in lists of `rows`, each with the number of items before it; one empty list if there are none."""
    items, start = iter(items), 0
    while (chunk := list(islice(items, rows))) or start == 0:
        yield start, chunk
        if len(chunk) < rows:
            return
        start += len(chunk)


def _delimited(stream: Iterator[str], name: str, delimiter: str, rows: int) -> Iterator[Table]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        header = next(filter(None, reader), None)  # the csv module gives [] for a blank line
        if not header:
            raise InputError(f"{name}: is empty; a header line with the columns' names is needed")
        if len(set(header)) != len(header):
            raise InputError(f"{name}: names a column twice in its header: {', '.join(header)}")
        for start, chunk in _chunks(_delimited_rows(reader, name, len(header)), rows):
            columns = {column: [row[place] or None for _, row in chunk] for place, column in enumerate(header)}
            yield Table(name, columns, [line for line, _ in chunk], start)
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not valid CSV: {error}") from error


def _delimited_rows(reader: Any, name: str, fields: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that `reader` has left, each with the line on which it starts."""
    number, line = 0, reader.line_num + 1
    for row in reader:
        if row:
            number += 1
            if len(row) != fields:
                raise InputError(f"{name}, row {number} (line {line}): has {len(row)} fields; the header has {fields}")
            yield line, row
        line = reader.line_num + 1


def _jsonl(stream: Iterator[str], name: str, rows: int) -> Iterator[Table]:
    names: dict[str, None] = {}
    for start, chunk in _chunks(_jsonl_rows(stream, name), rows):
        names |= dict.fromkeys(key for _, row in chunk for key in row)
        columns = {key: [row.get(key) for _, row in chunk] for key in names}
        yield Table(name, columns, [line for line, _ in chunk], start, ragged=True)


def _jsonl_rows(stream: Iterator[str], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
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
        yield number, row


def _parquet(paths: list[Path], name: str, rows: int) -> Iterator[Table]:
    import pyarrow
    import pyarrow.parquet

    path, start = paths[0], 0
    try:
        empty = [pyarrow.parquet.read_schema(path := part).empty_table() for part in paths]
        try:
            columns = pyarrow.concat_tables(empty).to_pydict()
        except pyarrow.ArrowException as error:
            raise InputError(f"{name}: its Parquet files have different columns: {one_line(error)}") from error
        if len(columns) != len(empty[0].column_names):
            raise InputError(f"{path}: names a column twice: {', '.join(empty[0].column_names)}")
        for path in paths:
            with pyarrow.parquet.ParquetFile(path, **PARQUET_READING) as file:
                for batch in filter(len, file.iter_batches(rows)):
                    yield Table(name, batch.to_pydict(), start=start)
                    start += len(batch)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable as Parquet: {one_line(error)}") from error
    if start == 0:
        yield Table(name, columns)


def _dataset(source: str, config: str | None, split: str, rows: int) -> Iterator[Table]:
    from datasets import ClassLabel, load_dataset

    # The cache of datasets 5.2 knows a folder with a card by its last name and that card alone, and would give out the
    # rows of another folder of that name, or yesterday's of this one.
    with tempfile.TemporaryDirectory(prefix="hf_xling-") as cache:
        try:
            dataset = load_dataset(source, config, split=split, cache_dir=cache if Path(source).is_dir() else None)
        except Exception as error:  # datasets, huggingface_hub and pyarrow each raise their own kinds
            raise InputError(f"{source}: cannot be loaded as a dataset ({type(error).__name__}: {error})") from error
        classes = {name: kind.names for name, kind in dataset.features.items() if isinstance(kind, ClassLabel)}
        for start in range(0, max(len(dataset), 1), rows):
            yield Table(source, dataset[start : start + rows], start=start, class_names=classes)
