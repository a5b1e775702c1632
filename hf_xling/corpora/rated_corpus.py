"""Corpora of rated texts: as they are and cleaned, with the rows counted that are dropped and those that leak."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy
import pyarrow

from hf_xling.cleaning import clean_text
from hf_xling.corpora.builders import CorpusBuilder, CorpusConfig, CorpusSpec, Splits, check_filled
from hf_xling.corpora.duplicates import find_duplicates, iterate
from hf_xling.corpora.sources import source_parts
from hf_xling.errors import InputError, one_line
from hf_xling.folding import fold, has_text
from hf_xling.generation.languages import iso_code
from hf_xling.hub.cards import counts_table
from hf_xling.labels import BadRow, label_values, rating_of
from hf_xling.recipes import option
from hf_xling.tables import SPLITS, Table, read_table, row_ids, split_names

CONFIGS = ("clean", "raw")  # the first is the dataset's default
SCHEMA = pyarrow.schema({"id": pyarrow.string(), "text": pyarrow.string(), "label": pyarrow.float64()})
# Why a row of the source is not in a config. `leaked`: is in a later split too, exactly or nearly; `contradicting`:
# has the text of an earlier row of its split with another label. Rows with one of the other reasons are in no config.
REASONS = ("no text", "empty text", "no label", "label no number", "leaked", "contradicting")
# Of a usable row: `id` as the source has it, else its data row there (from 1); its text twice; its rating.
_USABLE = pyarrow.schema({"id": pyarrow.string(), **dict.fromkeys(CONFIGS, pyarrow.large_string()), "label": "float64"})


@dataclass
class RatedCorpusConfig(CorpusConfig):
    """What is built from rated texts."""

    text_column: str | None = option("column of the texts; default: the corpus's own", None)
    label_column: str | None = option("column of the ratings; default: the corpus's own", None)
    label_map: list[str] | None = option("ratings of named labels: Sad=0 Happy=1", None)
    scale: str | None = option("what the ratings are, such as: stars, from 1 to 5", None)

    def __post_init__(self) -> None:
        super().__post_init__()
        label_values(self.label_map)


@dataclass(frozen=True, kw_only=True)
class RatedCorpusSpec(CorpusSpec):
    """What a corpus of rated texts is.

    Attributes:
        text_columns, label_columns, id_columns: names that sources give to these; the first that is there is taken.
        about, scale: for the card, what is true of the source `made_for` alone, and what its labels are.
    """

    text_columns: tuple[str, ...] = ("text",)
    label_columns: tuple[str, ...] = ("label",)
    id_columns: tuple[str, ...] = ("id",)
    about: str = ""
    scale: str | None = None

    config_type = RatedCorpusConfig

    def builder(self, config: RatedCorpusConfig) -> RatedCorpusBuilder:
        """The builder of this corpus, which has read the source."""
        return RatedCorpusBuilder(self, config)


def read_rated_texts(spec: RatedCorpusSpec, config: RatedCorpusConfig) -> tuple[Splits, dict[str, Counter[str]]]:
    """The usable rows of each split, in the order of `SPLITS`, and the number of others by reason.

    The rows have the columns `id`, `clean`, `raw` (strings) and `label` (float64). A text is empty if nothing that is
    seen is left of it after cleaning.

    Raises:
        InputError: no such source, column or training split, or a split without a usable row (its first is named).
    """
    rows: Splits = {}
    unusable: dict[str, Counter[str]] = {}
    values = label_values(config.label_map)
    for split, table in _tables(config):
        text_column = config.text_column or _known(table, spec.text_columns) or spec.text_columns[0]
        label_column = config.label_column or _known(table, spec.label_columns) or spec.label_columns[0]
        ids = row_ids(table, _known(table, spec.id_columns) or "id")
        columns = zip(ids, table.column(text_column), table.column(label_column), strict=True)
        usable: list[tuple[str, str, str, float]] = []
        unusable[split], first = Counter(), ""
        for index, (id, text, label) in enumerate(columns):
            clean = clean_text(text) if isinstance(text, str) else None
            rating = _rating(label, values, table.class_names.get(label_column))
            if has_text(clean) and isinstance(rating, float):
                usable.append((id, clean, text, rating))
                continue
            blank = not has_text(clean)
            problem = "no text" if clean is None else "empty text" if blank else str(rating)
            if not unusable[split]:
                first = f"{table.row(index)} has {problem}: {one_line(repr(text if blank else label), 80)}"
            unusable[split][problem] += 1
        if not usable:
            raise InputError(
                f"{table.name}: no row can be used: {first} (a text and a number, or a name of --label_map, are needed)"
            )
        rows[split] = pyarrow.table([*map(pyarrow.array, zip(*usable, strict=True), _USABLE.types)], schema=_USABLE)
    return rows, unusable


def _tables(config: RatedCorpusConfig) -> Iterator[tuple[str, Table]]:
    """The table of each split, which must have rows."""
    parts = {part.split or "train": part for part in source_parts(config.sources, config=config.dataset_config)}
    if "train" not in parts:
        names = split_names(config.source, config.dataset_config) or ()
        raise InputError(f"{config.source}: has no split `train`; its splits are {', '.join(names)}")
    for split in filter(parts.__contains__, SPLITS):
        part = parts[split]
        table = read_table(part.source, part.config, part.name).require_rows()
        yield split, replace(table, name=f"{table.name}, split {part.name}") if part.is_one_of_several else table


def _known(table: Table, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table.columns), None)


def _rating(label: Any, values: dict[str, float] | None, classes: list[str] | None) -> float | str:
    """The rating that `label` is, or the reason why it is none."""
    try:
        return rating_of(label, values, classes)
    except BadRow as bad:
        return "no label" if bad.reason == "label is null" else "label no number"


class RatedCorpusBuilder(CorpusBuilder):
    """Builds a corpus of rated texts.

    `raw` has the texts as they are. `clean` has them by `clean_text`, without the rows that are in a later split too
    (training rows that are in test: the test set stays the published one) and without contradictions, which
    `trainers/regression.py` refuses. Duplicates are sought among the cleaned texts. The counts are, for each config and
    split, its `source rows`, those dropped for each of `REASONS`, and the `rows` left.
    """

    template = "rated_dataset_card"
    schemas = dict.fromkeys(CONFIGS, SCHEMA)
    spec: RatedCorpusSpec
    config: RatedCorpusConfig

    def __init__(self, spec: RatedCorpusSpec, config: RatedCorpusConfig):
        super().__init__(spec, config)
        self.usable, self.unusable = read_rated_texts(spec, config)

    def digest(self) -> str:
        digest = hashlib.sha256(json.dumps(self.unusable).encode())
        for split, table in self.usable.items():
            for batch in table.to_batches(10_000):
                digest.update(json.dumps([split, batch.to_pydict()]).encode())
        return digest.hexdigest()

    def tables(self) -> dict[str, Splits]:
        texts = {split: rows["clean"] for split, rows in self.usable.items()}
        self.duplicates = find_duplicates(texts, self.config.near_threshold)
        leaked = self.duplicates.leaked
        found: dict[str, Splits] = {name: {} for name in CONFIGS}
        counts = []
        for name, (split, usable) in product(CONFIGS, self.usable.items()):
            is_kept = numpy.ones(len(usable), dtype=bool)
            is_kept[leaked[split] if self.config.drop_leaked or name == "clean" else []] = False
            kept = usable.filter(pyarrow.array(is_kept))
            check_filled(split, len(usable), len(kept), "usable rows")
            rows = kept if name == "raw" else kept.filter(pyarrow.array(_agrees(kept)))
            found[name][split] = rows.select(["id", name, "label"]).rename_columns(SCHEMA.names)
            lost = {"leaked": len(usable) - len(kept), "contradicting": len(kept) - len(rows)}
            reasons = {reason: (self.unusable[split] | lost).get(reason, 0) for reason in REASONS}
            total = {"source rows": len(usable) + self.unusable[split].total()}
            counts.append({"config": name, "split": split, **total, **reasons, "rows": len(rows)})
        self.counts = {self.name: counts}
        return found

    def card(self, tables: Mapping[str, Splits]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The front matter and the facts of the card."""
        is_known = self.known is not None and self.known.name == self.spec.made_for
        metadata = {
            "pretty_name": f"{self.called}, texts with ratings",
            "language": [iso_code(self.language)] if self.language and iso_code(self.language) else [],
            "task_categories": ["text-classification"],
            "task_ids": ["sentiment-scoring"] if is_known else [],
            "tags": ["regression"],
        }
        counts = self.counts[self.name]
        last = [row for row in counts if row["config"] == "clean"][-1]
        cleaned = (text for rows in tables["clean"].values() for text in iterate(rows["text"]))
        facts = {
            "name": self.name,
            "about": self.spec.about if is_known else "",
            "scale": self.config.scale or (self.spec.scale if is_known else None),
            "local_only": self.licences.local_only,
            "splits": [*self.usable],
            "last_dropped": last["source rows"] - last["rows"],
            "contradicting": any(row["contradicting"] for row in counts),
            "like_markup": sum(clean_text(text) != text for text in cleaned),
            "table": counts_table(counts),
            "statistics": [*_statistics(tables)],
            "examples": [*self._examples()],
        }
        return metadata, facts

    def _examples(self) -> Iterator[dict[str, Any]]:
        """Pairs of duplicates, each once."""
        order = [*self.usable]
        for (split, other), overlap in self.duplicates.overlaps.items():
            for example in overlap.examples if order.index(split) <= order.index(other) else ():
                rows = (split, example.row), (other, example.other_row)
                sides = [{"split": split, **self.usable[split].slice(row, 1).to_pylist()[0]} for split, row in rows]
                yield {"sides": sides, "similarity": example.similarity}


def _agrees(rows: pyarrow.Table) -> list[bool]:
    """Whether the label of each row is that of the first row with its text."""
    labels: dict[str, float] = {}
    pairs = zip(map(fold, iterate(rows["clean"])), rows["label"].to_numpy(), strict=True)
    return [labels.setdefault(text, label) == label for text, label in pairs]


def _statistics(tables: Mapping[str, Splits]) -> Iterator[dict[str, Any]]:
    """Of the labels of each config and split; `constant` is the mean squared error of the training mean."""
    for name, splits in tables.items():
        constant = splits["train"]["label"].to_numpy().mean()
        for split, rows in splits.items():
            labels = rows["label"].to_numpy()
            told = {"lowest": labels.min(), "highest": labels.max(), "mean": labels.mean(), "deviation": labels.std()}
            error = ((labels - constant) ** 2).mean()
            yield {"config": name, "split": split, "rows": len(rows), **told, "constant": error}
