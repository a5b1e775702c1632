"""Tables in Parquet files, one or many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet

from hf_xling.errors import InputError, one_line
from hf_xling.tables.table import Table


def parquet_batches(
    paths: Iterable[Path], columns: Sequence[str] | None = None, rows: int = 32_768
) -> Iterator[pyarrow.RecordBatch]:
    """The rows of Parquet files, one file behind the other, in batches of 1 to `rows` rows, by default all `columns`.

    Raises:
        InputError: a file is damaged or lacks a column.
    """
    for path in paths:
        try:
            # By default pyarrow reads the column chunks of a whole row group ahead, and one may be the whole file.
            with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=2**16) as file:
                if missing := [name for name in columns or () if name not in file.schema_arrow.names]:
                    raise InputError(f"{path}: has no column `{missing[0]}`")
                yield from filter(len, file.iter_batches(rows, columns=None if columns is None else list(columns)))
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{path}: not readable as Parquet: {one_line(error)}") from error


def parquet_table(paths: Sequence[Path], name: str, rows: int) -> Iterator[Table]:
    """The blocks of a table in parts. They have the same columns, in any order; their types become one.

    Raises:
        InputError: a file is damaged, or has other columns than those before it.
    """
    path, start = paths[0], 0
    classes: dict[str, list[str]] = {}
    try:
        schema = _plain_schema(path)
        for path in paths:
            classes |= _class_names(pyarrow.parquet.read_schema(path))
            schema = _joined(schema, _plain_schema(path), path, name)
        for path in paths:
            for batch in parquet_batches([path], rows=rows):
                if not batch.schema.equals(schema):
                    batch = pyarrow.Table.from_batches([batch]).select(schema.names).cast(schema)
                yield Table(name, batch.to_pydict(), start=start, class_names=classes)
                start += len(batch)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: strings that are not UTF-8
        raise InputError(f"{path}: not readable as Parquet: {one_line(error)}") from error
    if start == 0:
        yield Table(name, schema.empty_table().to_pydict(), class_names=classes)


def _plain_schema(path: Path) -> pyarrow.Schema:
    """The columns of a file, without dictionaries."""
    own = pyarrow.parquet.read_schema(path)
    if len(set(own.names)) < len(own.names):
        raise InputError(f"{path}: names a column twice: {', '.join(own.names)}")
    return pyarrow.schema([(field.name, _plain(field.type)) for field in own])


def _joined(schema: pyarrow.Schema, own: pyarrow.Schema, path: Path, name: str) -> pyarrow.Schema:
    """What the columns of all parts so far can be read as."""
    if set(own.names) != set(schema.names):
        raise InputError(
            f"{name}: its Parquet files have different columns: {path.name} has {', '.join(own.names)}; those before "
            f"it have {', '.join(schema.names)}"
        )
    try:
        return pyarrow.unify_schemas([schema, own], promote_options="permissive")
    except pyarrow.ArrowException as error:
        raise InputError(f"{name}: its Parquet files have different columns: {path.name}: {one_line(error)}") from error


def _plain(kind: pyarrow.DataType) -> pyarrow.DataType:
    """The type of the values of a dictionary; any string as the largest kind of them."""
    if pyarrow.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return pyarrow.large_string() if pyarrow.types.is_string_view(kind) else kind


def _class_names(schema: pyarrow.Schema) -> dict[str, list[str]]:
    """The names of the classes that `datasets` wrote beside a column of their numbers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: kind["names"] for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, ValueError, AttributeError):  # no metadata, or of another kind
        return {}
