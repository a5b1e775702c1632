"""The files of a dataset: tables of rows as Parquet, with a hash of the content in their names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pyarrow
import pyarrow.parquet

from hf_xling import runs

ROWS_PER_SHARD = 500_000
ROWS_PER_GROUP = 50_000  # of Parquet; so many rows are copied at a time


def write_config(
    splits: Mapping[str, pyarrow.Table],
    schema: pyarrow.Schema,
    folder: Path,
    rows_per_shard: int = ROWS_PER_SHARD,
) -> list[dict[str, str]]:
    """Write a config of a dataset into `folder`, whole or not at all; return the card's `data_files`.

    File names carry a hash of the content: `load_dataset` finds a local folder in its cache by the folder's last name
    and its card, and would give out other rows that have the same card.

    Args:
        splits: the rows of each split, one or more; columns that `schema` does not name are left out.
        schema: of the rows; `load_dataset` gives them with its types.
        folder: its name is that of the config.
        rows_per_shard: the most rows of a file; the files of a split have equally many, or one more.
    """
    from datasets import Features  # here: a script's --help does not need it

    schema = Features.from_arrow_schema(schema).arrow_schema  # with what `datasets` writes into a file's metadata
    files = []
    with runs.written_aside(folder) as aside:
        aside.mkdir()
        for split, table in splits.items():
            shards = -(-len(table) // rows_per_shard)
            ends = [len(table) * number // shards for number in range(shards + 1)]
            written = [aside / f"{split}-{number:05d}-of-{shards:05d}.parquet" for number in range(shards)]
            for path, start, end in zip(written, ends[:-1], ends[1:], strict=True):
                _write(table.slice(start, end - start), schema, path)
            digest = hashlib.sha256("".join(map(runs.file_hash, written)).encode()).hexdigest()[:16]
            for path in written:
                path.rename(path.with_stem(f"{path.stem}-{digest}"))
            files.append({"split": split, "path": f"{folder.name}/{split}-*-{digest}.parquet"})
    return files


def _write(table: pyarrow.Table, schema: pyarrow.Schema, path: Path) -> None:
    # As `datasets` does: the Hub then stores only once what two versions of a file share.
    with pyarrow.parquet.ParquetWriter(
        path, schema, use_content_defined_chunking=True, write_page_index=True
    ) as writer:
        for start in range(0, len(table), ROWS_PER_GROUP):
            writer.write_table(table.slice(start, ROWS_PER_GROUP).select(schema.names).cast(schema))
