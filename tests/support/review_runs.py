"""Finished runs of stage 1 with the accepted rows that a test wants, and sheets as spreadsheet programs save them."""

import csv
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet

from hf_xling.generation.rows import ROW_SCHEMA

WRITERS = ("org/one", "org/two")
NO = None  # no rating


def row(number: int, **given) -> dict:
    """An accepted row; sources get longer with their number."""
    source = given.get("source_text", f"A dog runs past house number {number}" + " and on" * (number % 7))
    fields = {"id": str(number), "source_text": source, "text": f"நாய் {number} ஓடுகிறது", "language": "ta"}
    return {
        **dict.fromkeys(ROW_SCHEMA.names),
        **fields,
        "task": "translate",
        "sample": 0,
        "model_id": WRITERS[0],
        **given,
    }


def write_run(folder: Path, rows: list[dict], parts: int = 1, **facts) -> Path:
    """The output folder of a run whose accepted rows are `rows`, in so many Parquet files."""
    (folder / "accepted").mkdir(parents=True)
    size = -(-len(rows) // parts) or 1
    for part in range(parts):
        table = pyarrow.Table.from_pylist(rows[part * size : (part + 1) * size], schema=ROW_SCHEMA)
        pyarrow.parquet.write_table(table, folder / "accepted" / f"part-{part:05d}.parquet")
    manifest = {"chain": ["translate"], "task": "translate", "language": "ta", "source_language": "en"}
    manifest |= {"model_id": "org/model", "model_sha": None, **facts}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    run = {"command": "hf-xling generate", "arguments": {}, "finished": True}
    (folder / "_run.json").write_text(json.dumps(run))
    return folder


def read_sheet(folder: Path) -> list[dict[str, str]]:
    with open(folder / "review" / "sheet.csv", encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def read_key(folder: Path) -> dict:
    return json.loads((folder / "review" / "key.json").read_text("utf-8"))


def fill(folder: Path, path: Path, rate, delimiter: str = ",", encoding: str = "utf-8-sig") -> Path:
    """Save the sheet of the run in `folder` at `path`; `rate(item)` gives what is written into some of its columns."""
    rows = [{**cells, **rate(int(cells["item"]))} for cells in read_sheet(folder)]
    with open(path, "w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def rated(adequacy, fluency=""):
    """Writes the ratings of these lists, by item."""

    def rate(item):
        values = (column[item - 1] if isinstance(column, list) else column for column in (adequacy, fluency))
        return {
            name: "" if value is NO else str(value) for name, value in zip(("adequacy", "fluency"), values, strict=True)
        }

    return rate
