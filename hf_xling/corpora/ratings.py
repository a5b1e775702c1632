"""Rated texts as a dataset: as they are and cleaned, with the rows counted that are dropped and those that leak."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow

from hf_xling import runs
from hf_xling.cleaning import clean_text
from hf_xling.corpora import duplicates as dup
from hf_xling.corpora.rated_card import local_only, rated_card, rated_licensing
from hf_xling.corpora.shards import TableBuilder, write_config
from hf_xling.errors import InputError, one_line
from hf_xling.folding import fold, is_empty
from hf_xling.generation.languages import language_code
from hf_xling.hub.cards import counts_table
from hf_xling.hub.push import PushArguments
from hf_xling.hub.values import check_license, check_repo_id
from hf_xling.labels import BadRow, label_values, rating_of
from hf_xling.provenance.licences import check_publishable
from hf_xling.provenance.origins import read_origins
from hf_xling.recipes import RecipeParser
from hf_xling.tables import SPLITS, Table, named_splits, read_table, row_ids, split_names
from hf_xling.tables.held_out import split_to_read

CONFIGS = ("clean", "raw")  # the first is the dataset's default
_TEXT = datasets.Value("string")
FEATURES = datasets.Features({"id": _TEXT, "text": _TEXT, "label": datasets.Value("float64")})
# Why a row of the source is not in a config. `leaked`: stands in a later split too, exactly or nearly; `contradicting`:
# has the text of an earlier row of its split with another label. The others are of no use anywhere.
REASONS = ("no text", "empty text", "no label", "label no number", "leaked", "contradicting")
_SOURCES = ("source", "train_file", "validation_file", "test_file")
Rows = dict[str, list["RatedRow"]]  # by split


@dataclass(frozen=True)
class RatedCorpusSpec:
    """What a corpus of rated texts is; each script in `dataset_scripts/` declares one.

    Attributes:
        name: of the corpus and its script.
        description: what the script reads.
        text_columns, label_columns, id_columns: names that sources give to these; the first that is there is taken.
        made_for: the source of `terms.SOURCES` that it is made for; None if there is none. A file of any name may be
            that one: what bars its text bars all but sources that are said to be others.
        about, scale: for the card, what is true of that source alone, and what its labels are.
    """

    name: str
    description: str
    text_columns: tuple[str, ...] = ("text",)
    label_columns: tuple[str, ...] = ("label",)
    id_columns: tuple[str, ...] = ("id",)
    made_for: str | None = None
    about: str = ""
    scale: str | None = None


@dataclass
class RatedBuildConfig:
    """What a script of `dataset_scripts/` builds from rated texts."""

    output_dir: str = field(metadata={"help": "the dataset folder to write: Parquet and README.md"})
    source: str | None = field(
        default=None, metadata={"help": "dataset folder or Hub id with its own splits, or one file"}
    )
    dataset_config: str | None = field(default=None, metadata={"help": "config of a source that has some"})
    train_file: str | None = field(default=None, metadata={"help": "instead: .csv, .tsv, .jsonl or .parquet"})
    validation_file: str | None = field(default=None, metadata={"help": "the same for the validation split"})
    test_file: str | None = field(default=None, metadata={"help": "the same for the test split"})
    text_column: str | None = field(default=None, metadata={"help": "of the texts; default: the corpus's own"})
    label_column: str | None = field(default=None, metadata={"help": "of the ratings; default: the corpus's own"})
    label_map: list[str] | None = field(default=None, metadata={"help": "ratings of named labels: Sad=0 Happy=1"})
    drop_leaked: bool = field(
        default=False, metadata={"help": "leave leaked rows out of `raw` too, not only of `clean`"}
    )
    near_threshold: float = field(default=0.8, metadata={"help": "least Jaccard similarity of near duplicates"})
    language: str | None = field(
        default=None, metadata={"help": "language of the texts; default: what the source's card states"}
    )
    source_name: str | None = field(
        default=None, metadata={"help": "what the source is, such as IMDB; default: its id on the Hub, or its file"}
    )
    scale: str | None = field(default=None, metadata={"help": "what the ratings are, such as: stars, from 1 to 5"})
    license: str | None = field(default=None, metadata={"help": "licence identifier for the card, such as cc-by-4.0"})
    repo_id: str | None = field(default=None, metadata={"help": "its name on the Hub, for the card and --push_to_hub"})

    _argument_group_name = "corpus"

    def __post_init__(self) -> None:
        if (self.source is None) == (self.train_file is None):
            raise InputError("one of --source and --train_file is needed")
        if self.source is not None and (self.validation_file, self.test_file) != (None, None):
            raise InputError("--validation_file and --test_file go with --train_file; a source has splits of its own")
        if self.source is None and self.dataset_config is not None:
            raise InputError(f"--dataset_config {self.dataset_config}: goes with --source")
        if not dup.LOWEST_THRESHOLD <= self.near_threshold <= 1:
            raise InputError(f"--near_threshold {self.near_threshold}: {dup.LOWEST_THRESHOLD} to 1 is needed")
        label_values(self.label_map)
        self.language = self.language and language_code(self.language, "--language")
        check_license(self.license)
        check_repo_id(self.repo_id, "dataset")


class RatedRow(NamedTuple):
    """A usable row: `id` as the source has it, else its data row there (from 1); its text twice; its rating."""

    id: str
    raw: str
    clean: str
    label: float


def read_rated_texts(spec: RatedCorpusSpec, config: RatedBuildConfig) -> tuple[Rows, dict[str, Counter[str]]]:
    """The usable rows of each split that `config` names, in the order of `SPLITS`, and the number of others by reason.

    A text is empty if nothing that is seen is left of it after cleaning.

    Raises:
        InputError: no such source, column or training split, or a split without a usable row (its first is named).
    """
    rows, unusable, values = {}, {}, label_values(config.label_map)
    for split, table in _tables(config).items():
        text_column = config.text_column or _known(table.require_rows(), spec.text_columns) or spec.text_columns[0]
        label_column = config.label_column or _known(table, spec.label_columns) or spec.label_columns[0]
        ids = row_ids(table, _known(table, spec.id_columns) or "id")
        columns = zip(ids, table.column(text_column), table.column(label_column), strict=True)
        rows[split], unusable[split], first = [], Counter(), ""
        for index, (id, text, label) in enumerate(columns):
            clean = clean_text(text) if isinstance(text, str) else None
            rating = _rating(label, values, table.class_names.get(label_column))
            blank = clean is None or is_empty(clean)
            if not blank and isinstance(rating, float):
                rows[split].append(RatedRow(id, text, clean, rating))
                continue
            problem = "no text" if clean is None else "empty text" if blank else rating
            if not unusable[split]:
                first = f"{table.row(index)} has {problem}: {one_line(repr(text if blank else label), 80)}"
            unusable[split][problem] += 1
        if not rows[split]:
            raise InputError(
                f"{table.name}: no row can be used: {first} (a text and a number, or a name of --label_map, are needed)"
            )
    return rows, unusable


def _tables(config: RatedBuildConfig) -> dict[str, Table]:
    if config.source is None:
        files = {split: getattr(config, f"{split}_file") for split in SPLITS}
        return {split: read_table(file, split=split_to_read(file, split)) for split, file in files.items() if file}
    source = config.source, config.dataset_config
    names = named_splits(*source)
    if names is None:
        return {"train": read_table(*source)}
    if "train" not in names:
        raise InputError(f"{config.source}: has no split `train`; its splits are {', '.join(split_names(*source))}")
    tables = {split: read_table(*source, name) for split, name in names.items()}
    return {split: replace(table, name=f"{table.name}, split {names[split]}") for split, table in tables.items()}


def _known(table: Table, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table.columns), None)


def _rating(label: Any, values: dict[str, float] | None, classes: list[str] | None) -> float | str:
    """The rating that `label` is, or the reason why it is none."""
    try:
        return rating_of(label, values, classes)
    except BadRow as bad:
        return "no label" if bad.reason == "label is null" else "label no number"


def published(
    usable: Rows, unusable: Mapping[str, Counter[str]], leaked: Mapping[str, Sequence[int]], drop_leaked: bool
) -> tuple[dict[str, Rows], list[dict[str, Any]]]:
    """The rows of each config and split, and the counts that `build` returns; `leaked` are places in `usable`."""
    rows, counts = {name: {} for name in CONFIGS}, []
    for name, split in product(CONFIGS, usable):
        places = set(leaked[split] if drop_leaked or name == "clean" else ())
        kept = [row for place, row in enumerate(usable[split]) if place not in places]
        if not kept:
            raise InputError(f"split {split}: each of its {len(places):,} usable rows stands in a later split too")
        rows[name][split] = kept if name == "raw" else _agreeing(kept)
        dropped = unusable[split] + Counter(leaked=len(places), contradicting=len(kept) - len(rows[name][split]))
        total = {"source rows": len(usable[split]) + unusable[split].total()}
        reasons = {reason: dropped[reason] for reason in REASONS}
        counts.append({"config": name, "split": split, **total, **reasons, "rows": len(rows[name][split])})
    return rows, counts


def _agreeing(rows: Sequence[RatedRow]) -> list[RatedRow]:
    """The rows whose label is that of the first row with their text."""
    labels: dict[str, float] = {}
    return [row for row in rows if labels.setdefault(fold(row.clean), row.label) == row.label]


def build(spec: RatedCorpusSpec, config: RatedBuildConfig) -> list[dict[str, Any]]:
    """Build the corpus into `config.output_dir`; return its counts.

    `raw` has the texts as they are. `clean` has them by `clean_text`, without the rows that stand in a later split
    (training rows that stand in test: the test set stays the published one) and without contradictions, which
    `trainers/regression.py` refuses. Duplicates are sought among the cleaned texts. The counts are, for each config and
    split, its `source rows`, those dropped for each of `REASONS`, and the `rows` left.

    Raises:
        InputError: a source that cannot be used, a split of which nothing is left, a name on the Hub for texts that
            must not be republished, or an output folder of another run.
    """
    origins = read_origins(
        [getattr(config, name) for name in _SOURCES], config.source_name, config=config.dataset_config
    )
    chain = rated_licensing(spec, config, origins)
    if config.repo_id:
        if barred := local_only(chain):
            way_out = f"build {spec.name} for local use, without --repo_id, and publish the model trained on it instead"
            raise InputError(f"--repo_id {config.repo_id}: {barred}; {way_out}")
        check_publishable(chain)
    output = Path(config.output_dir)
    usable, unusable = read_rated_texts(spec, config)
    digest = hashlib.sha256(json.dumps([usable, unusable]).encode()).hexdigest()
    identity = runs.by_content({**vars(config), "output_dir": None, "repo_id": None}, _SOURCES)
    if config.dataset_config is None:
        del identity["dataset_config"]  # corpora that were built before there was one stay the same
    if config.source is not None and not Path(config.source).exists():
        identity["source"] += f" ({digest})"  # a dataset on the Hub can change under its name
    if runs.claim(output, f"dataset_scripts/{spec.name}.py", identity):
        return runs.read_run(output)["counts"]
    texts = {split: [row.clean for row in rows] for split, rows in usable.items()}
    duplicates = dup.find_duplicates(texts, config.near_threshold)
    rows, counts = published(usable, unusable, duplicates.leaked, config.drop_leaked)
    files = {}
    with tempfile.TemporaryDirectory(prefix="hf_xling-") as cache:
        for name in CONFIGS:
            content = f"{digest}-{config.near_threshold}-{config.drop_leaked}"
            tables = {split: _as_table(part, name) for split, part in rows[name].items()}
            options = {"config_name": name, "content_hash": content, "cache_dir": cache}
            files[name] = write_config(TableBuilder(spec.name, tables, FEATURES, **options), output / name)
    facts = {"usable": usable, "duplicates": duplicates, "rows": rows, "counts": counts, "files": files}
    runs.write_text(output / "README.md", rated_card(spec, config, origins, chain, facts))
    of_each = {name: sum(map(len, rows[name].values())) for name in CONFIGS}
    called = config.repo_id or f"org/{spec.name}"
    barred = local_only(chain) or next(iter(chain.breaches), None)
    runs.finish(output, rows=of_each, counts=counts, repo_id=called, barred=barred)
    return counts


def _as_table(rows: Sequence[RatedRow], text: str) -> pyarrow.Table:
    """The columns of `FEATURES`; `text` is one of `CONFIGS`."""
    columns = {"id": [row.id for row in rows], "text": [getattr(row, text) for row in rows]}
    return pyarrow.table({**columns, "label": [row.label for row in rows]}, FEATURES.arrow_schema)


def main(spec: RatedCorpusSpec, argv: Sequence[str]) -> str:
    """Parse, build, and return the closing lines; the scripts of rated corpora call this."""
    types = [RatedBuildConfig, PushArguments]
    parser = RecipeParser(types, prog=f"dataset_scripts/{spec.name}.py", description=spec.description)
    config, push = parser.parse(argv)
    push.check(config.repo_id)
    closing = [f"{spec.name}:", counts_table(build(spec, config)), f"dataset: {config.output_dir}"]
    return "\n".join([*closing, *push.publish(config.output_dir, config.repo_id)])
