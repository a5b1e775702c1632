"""The texts that stage 1 is asked about: rows of any table, with their ids and where they came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from hf_xling import places
from hf_xling.errors import InputError
from hf_xling.folding import has_text
from hf_xling.generation.config import GenerateConfig
from hf_xling.tables import Table, is_hub_id, read_table, row_ids


class Source(NamedTuple):
    """One text of the input, verbatim, with its row's id and the text that a chain began with."""

    id: str
    text: str | None
    root_text: str | None


@dataclass(frozen=True)
class Sources:
    """The texts of the input, column by column within a row.

    Attributes:
        names: the text columns.
        columns: the texts of each.
        ids, roots: of the rows; None where they are only numbered, or begin a chain.
    """

    names: Sequence[str]
    columns: Sequence[Sequence[str | None]]
    ids: Sequence[str] | None = None
    roots: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.columns[0]) * len(self.columns)

    def __iter__(self) -> Iterator[Source]:
        several = len(self.names) > 1
        for row in range(len(self.columns[0])):
            id = self.ids[row] if self.ids else str(row + 1)
            for name, texts in zip(self.names, self.columns, strict=True):
                yield Source(f"{id}/{name}" if several else id, texts[row], self.roots[row] if self.roots else None)

    def distinct(self) -> list[str]:
        """Each text once, in the order of the rows; those without anything to ask about are left out."""
        rows = range(len(self.columns[0]))
        texts = (column[row] for row in rows for column in self.columns)
        return list(dict.fromkeys(text for text in texts if has_text(text)))


def read_sources(config: GenerateConfig) -> Sources:
    """The texts of the input.

    Raises:
        InputError: no such file or column, no rows, a value that is no text, or an id that is missing or appears twice.
    """
    table = read_table(config.input, config.dataset_config, config.split).require_rows()
    columns = [table.column(name) for name in config.text_column]
    for (name, values), row in product(zip(config.text_column, columns, strict=True), range(len(table))):
        if not isinstance(values[row], str | None):
            raise InputError(f"{table.where(row)}, column `{name}`: {values[row]!r} is no text")
    # Rows of another run: what this run reads as `text` was made there from `source_text`.
    lineage = table.columns if "root_text" in table.columns else {}
    if not lineage:
        return Sources(
            config.text_column, columns, _ids(table, config.id_column) if config.id_column else row_ids(table)
        )
    parents = lineage.get("source_text") or [None] * len(table)
    roots = [root or parent for root, parent in zip(lineage["root_text"], parents, strict=True)]
    return Sources(config.text_column, columns, _ids(table, config.id_column or "id", lineage.get("sample")), roots)


def chain_of(path: Path) -> list[str]:
    """The tasks that made the rows at `path`, if it is the `accepted/` of another run or a part of it."""
    return (_manifest_above(path) or {"chain": []})["chain"]


def source_record(source: str) -> dict[str, Any] | None:
    """What the card of a source states of its licence, terms and languages, for the stages that hand on its text.

    Of another run's rows it is what that run recorded. None of a local source without a card.
    """
    manifest = _manifest_above(Path(source))
    if manifest is not None:
        return manifest.get("source")
    if not is_hub_id(source) and places.local_card(source) is None:
        return None
    found = places.read_dataset_card(source)
    languages = [*places.texts(found.front.get("language"))]
    told = {"name": found.place["name"], "revision": found.place["revision"], "languages": languages, **found.stated}
    return {name: value for name, value in told.items() if value} | ({"unread": True} if found.unread else {})


def _manifest_above(path: Path) -> dict[str, Any] | None:
    accepted = path.parent if path.suffix == ".parquet" else path
    manifest = accepted.parent / "manifest.json"
    if accepted.name != "accepted" or not manifest.is_file():
        return None
    return json.loads(manifest.read_text(encoding="utf-8"))


def _ids(table: Table, column: str, samples: Sequence[int] | None = None) -> list[str]:
    """The values of `column`, each given and given once; a further sample of another run is `ID#SAMPLE`."""
    rows: dict[str, int] = {}
    several = samples is not None and any(samples)
    for row, (value, sample) in enumerate(zip(table.column(column), samples or [0] * len(table), strict=True)):
        if value is None:
            raise InputError(f"{table.where(row)}: has no id in column `{column}`")
        # An id that has a `#` is itself of a further sample, and gets its number even if that is 0.
        name = f"{value}#{sample}" if several and (sample or "#" in str(value)) else str(value)
        if (first := rows.setdefault(name, row)) != row:
            raise InputError(f"{table.where(row)}: has the id `{name}` of row {first + 1}; ids must be unique")
    return list(rows)
