"""The files of a dataset: the splits of a builder as Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow

from hf_xling import runs

ROWS_PER_SHARD = 500_000
ROWS_PER_TABLE = 10_000


@dataclass
class ContentConfig(datasets.BuilderConfig):
    """The name of the config, and the hash of everything that is read.

    The hash keeps datasets' cache from giving out yesterday's rows once a ledger has grown.
    """

    content_hash: str = ""


class TableBuilder(datasets.ArrowBasedBuilder):
    """Tables as a `datasets` builder.

    Args:
        name: of the dataset.
        splits: the rows of each split; columns that `features` does not name are left out.
        features: of the rows.
        kwargs: `config_name`, `content_hash` and `cache_dir` of `datasets.DatasetBuilder`.
    """

    BUILDER_CONFIG_CLASS = ContentConfig

    def __init__(self, name: str, splits: Mapping[str, pyarrow.Table], features: datasets.Features, **kwargs: Any):
        self.splits, self.features = splits, features
        super().__init__(dataset_name=name, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=self.features)

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        return [datasets.SplitGenerator(name=split, gen_kwargs={"split": split}) for split in self.splits]

    def _generate_tables(self, split: str) -> Any:
        schema, rows = self.features.arrow_schema, self.splits[split]
        for number, start in enumerate(range(0, len(rows), ROWS_PER_TABLE)):
            yield number, rows.slice(start, ROWS_PER_TABLE).select(schema.names).cast(schema)


def write_config(builder: TableBuilder, folder: Path) -> list[dict[str, str]]:
    """Write the splits of `builder` as Parquet into `folder`, whole or not at all; return the card's `data_files`.

    File names carry a hash of the content: `load_dataset` finds a local folder in its cache by the folder's last name
    and its card, and where other rows have the same card, it gives out those.
    """
    files = []
    with runs.written_aside(folder) as aside:
        aside.mkdir()
        builder.download_and_prepare()
        for split in builder.splits:
            dataset = builder.as_dataset(split=split)
            shards = -(-len(dataset) // ROWS_PER_SHARD)
            written = []
            for index in range(shards):
                written.append(aside / f"{split}-{index:05d}-of-{shards:05d}.parquet")
                dataset.shard(shards, index, contiguous=True).to_parquet(written[-1])
            digest = hashlib.sha256("".join(map(runs.file_hash, written)).encode()).hexdigest()[:16]
            for file in written:
                file.rename(file.with_stem(f"{file.stem}-{digest}"))
            files.append({"split": split, "path": f"{folder.name}/{split}-*-{digest}.parquet"})
    return files
