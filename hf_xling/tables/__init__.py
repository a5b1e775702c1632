"""Reading what people bring: text files, delimited files, JSON, Parquet, folders of them, and Hub datasets.

There is one parser: `stream_table` reads a source in blocks of rows, and `read_table` joins them. A message about a row
names it as the user counts it: by data row, from 1, without the header, and by file line where that differs.
"""

from hf_xling.tables.files import HUB_ID, SUFFIXES, is_hub_id, kind_of, table_files
from hf_xling.tables.parquet import parquet_batches
from hf_xling.tables.sources import ROWS, read_table, stream_table
from hf_xling.tables.splits import SPLITS, known_splits, named_splits, split_names
from hf_xling.tables.table import Table, check_once, row_ids, texts_of

__all__ = [
    "HUB_ID",
    "ROWS",
    "SPLITS",
    "SUFFIXES",
    "Table",
    "check_once",
    "is_hub_id",
    "kind_of",
    "known_splits",
    "named_splits",
    "parquet_batches",
    "read_table",
    "row_ids",
    "split_names",
    "stream_table",
    "table_files",
    "texts_of",
]
