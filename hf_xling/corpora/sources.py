"""Source texts of a corpus, and what was generated from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet

from hf_xling import runs
from hf_xling.errors import InputError
from hf_xling.tables import read_table

# Where --text_column is not given: SNLI's columns, else the one text column.
DEFAULT_COLUMNS = (("premise", "hypothesis"), ("text",))


@dataclass(frozen=True)
class Sentences:
    """The distinct sentences of a source, in order of first appearance.

    Attributes:
        texts: the sentences, verbatim.
        slots: how many texts the source holds, with repetitions.
        empty: how many of the slots hold nothing; they are left out.
    """

    texts: list[str]
    slots: int
    empty: int


@dataclass(frozen=True)
class Generation:
    """The output of one run of stage 1.

    Attributes:
        folder: where it lies.
        manifest: the run's `manifest.json`.
        rows: its accepted rows, one a distinct pair of root and text.
    """

    folder: str
    manifest: dict[str, Any]
    rows: list[dict[str, Any]]


def read_sentences(source: str, text_columns: list[str] | None = None, split: str = "train") -> Sentences:
    """The sentences of `source` (whatever `read_table` reads), taken from its text columns.

    Raises:
        InputError: no such source or column, or no sentence in it.
    """
    table = read_table(source, split=split).require_rows()
    if text_columns is None:
        known = [names for names in DEFAULT_COLUMNS if set(names) <= set(table.columns)]
        if not known:
            raise InputError(
                f"{source}: has neither `premise` and `hypothesis` nor `text`; --text_column names its text columns "
                f"({', '.join(table.columns)})"
            )
        text_columns = list(known[0])
    columns = [table.column(name) for name in text_columns]
    slots = [value for row in zip(*columns, strict=True) for value in row]
    filled = [text for text in slots if isinstance(text, str) and text.strip()]
    if not filled:
        raise InputError(f"{source}: holds no sentence")
    return Sentences(list(dict.fromkeys(filled)), len(slots), len(slots) - len(filled))


def read_generation(folder: str) -> Generation:
    """The accepted rows of the finished run of `hf-xling generate` in `folder`, each distinct (root, text) once.

    Raises:
        InputError: `folder` holds no finished run.
    """
    path = Path(folder)
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if not isinstance(manifest, dict) or "chain" not in manifest:
            raise ValueError("a manifest of another kind")
        run = runs.read_run(path)
        if run is None or not run["finished"]:  # rows and a manifest are there too after an endpoint has died
            raise ValueError("an unfinished run")
        table = pyarrow.parquet.read_table(path / "accepted")
    except (OSError, ValueError) as error:
        raise InputError(f"--generated {folder}: holds no finished run of `hf-xling generate`") from error
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in table.to_pylist():
        row["root_text"] = row["root_text"] or row["source_text"]
        rows.setdefault((row["root_text"], row["text"]), row)
    return Generation(folder, manifest, list(rows.values()))
