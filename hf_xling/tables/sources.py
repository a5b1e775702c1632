"""`read_table` and `stream_table`: the rows of whatever a source is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hf_xling.errors import InputError
from hf_xling.tables.files import PACKED, SUFFIXES, check_name, files_by_split, is_hub_id, kind_of
from hf_xling.tables.parquet import parquet_table
from hf_xling.tables.splits import dataset_table, loads_as_dataset, own_name
from hf_xling.tables.table import Table
from hf_xling.tables.text import text_table

ROWS = 4096


def read_table(source: str | Path, config: str | None = None, split: str = "train") -> Table:
    """Read the table that `source` names: a file, a folder, or a dataset on the Hub.

    Args:
        source: a file of a kind in `SUFFIXES`, a folder of them or a dataset folder, or a Hub dataset id.
        config, split: which part of a dataset folder or Hub dataset.

    Raises:
        InputError: there is no such source or part of it, or it cannot be read as what its name says; the line or row
            is named.
    """
    first, *others = stream_table(source, config=config, split=split)
    columns, lines = first.columns, first.lines
    for block in others:
        for name, values in block.columns.items():  # each block has all columns of those before it
            columns.setdefault(name, [None] * block.start).extend(values)
        if lines is not None:
            lines.extend(block.lines or ())
    return Table(first.name, columns, lines, class_names=first.class_names)


def stream_table(
    source: str | Path, rows: int = ROWS, config: str | None = None, split: str = "train"
) -> Iterator[Table]:
    """Read the same table in blocks of at most `rows` rows, in their order, in memory that does not grow with them.

    There is at least one block: a source without rows gives an empty one. Row and line numbers are those of the whole
    source. A JSONL block has the columns of all rows up to its end; what a row lacks is None.

    Args:
        source, config, split: as for `read_table`; what `load_dataset` reads is loaded into a cache on disk.
        rows: the most rows of a block.

    Raises:
        InputError: as `read_table`, at once if there is no such source, or when the reading comes to what is wrong.
    """
    if rows < 1:
        raise ValueError(f"rows={rows}: a block has at least one row")
    path, name = Path(source), str(source)
    check_name(path)
    if path.is_dir():
        if loads_as_dataset(path):
            return dataset_table(name, config, split, rows)
        parts = files_by_split(path)
        if None in parts:
            _check_part(name, config, split)
            return _files(parts[None], name, rows)
        _check_part(name, config)
        return _files(parts[own_name(split, list(map(str, parts)), name)], name, rows)
    if is_hub_id(source):
        return dataset_table(name, config, split, rows)
    if not path.exists():
        raise InputError(f"{source}: no such file or folder")
    if kind_of(path) is None:
        raise InputError(f"{source}: unknown kind of file; known are {', '.join(SUFFIXES)}")
    _check_part(name, config, split)
    return _files([path], name, rows)


def _check_part(name: str, config: str | None, split: str = "train") -> None:
    if config not in (None, "default"):
        raise InputError(f"{name}: has no configs; --dataset_config {config} goes with a dataset that has some")
    if split != "train":
        raise InputError(f"{name}: has no splits, and so no split `{split}`")


def _files(paths: Sequence[Path], name: str, rows: int) -> Iterator[Table]:
    """The blocks of a table in parts, which are of one kind."""
    kind = kind_of(paths[0])
    assert kind is not None, "each of them is a table"
    if kind == ".parquet":
        if packed := next((path for path in paths if path.suffix.lower() in PACKED), None):
            raise InputError(f"{packed}: is packed Parquet; unpack it (Parquet is packed within)")
        return parquet_table(paths, name, rows)
    if len(paths) == 1:
        return (replace(block, name=name) for block in text_table(paths[0], kind, str(paths[0]), rows))
    return _text_parts(paths, kind, name, rows)


def _text_parts(paths: Sequence[Path], kind: str, name: str, rows: int) -> Iterator[Table]:
    names: dict[str, None] = {}
    start = 0
    for path in paths:
        for block in text_table(path, kind, str(path), rows):
            if not block.ragged and names and set(names) != set(block.columns):
                raise InputError(
                    f"{path}: has the columns {', '.join(block.columns)}; the files before it have {', '.join(names)}"
                )
            names |= dict.fromkeys(block.columns)
            columns = {column: block.columns.get(column, [None] * len(block)) for column in names}
            if len(block) or (path == paths[-1] and start == 0):
                yield Table(name, columns, start=start, ragged=block.ragged)
            start += len(block)
