"""Loading what SimCSE trains and is evaluated on, from what the script was given."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from datasets import Dataset

from hf_xling.contrastive.columns import choose_columns, left_out, pairs_in_words
from hf_xling.contrastive.config import SimCSEConfig, SimCSEScriptArguments
from hf_xling.errors import InputError
from hf_xling.labels import BadRow, number_of
from hf_xling.provenance.lineage import Lineage, descend
from hf_xling.provenance.model_cards import check_model_publishable, hub_name
from hf_xling.provenance.origins import Corpus, corpus_of
from hf_xling.tables import Table, read_table, texts_of
from hf_xling.tables.held_out import read_held_out
from hf_xling.training.pretrained import check_checkpoint


class Loaded(NamedTuple):
    """Rows to train on, held-out rows, pairs with similarities (None where there are none), and where all come from.

    `pairs` says in words what a row to train on is.
    """

    corpus: Dataset
    held_out: Dataset | None
    sts: Dataset | None
    corpora: list[Corpus]
    pairs: str


def load_all(script: SimCSEScriptArguments) -> Loaded:
    """The corpus as `SimCSETrainer` takes it, with `anchor`, and `positive`, `negative…`, `group` where the source has
    them (under these names or others: `columns.choose_columns`); the rows of `validation_file`, likewise; the pairs of
    `sts_file`. Of a source with splits `validation` is read and, for the pairs, `test`.

    Raises:
        InputError: no such source, split or column, no rows, a text that is null or empty (its row is named), or a
            score that is no number.
    """
    table = read_table(script.dataset_name or script.train_file, script.dataset_config, script.dataset_split)
    columns = _columns(table, script)
    corpus, held_out, sts = _rows(table, columns), None, None
    said = pairs_in_words(columns, len(corpus), left_out(table.columns, columns.values()))
    part = (script.dataset_config, script.dataset_split) if script.dataset_name else ()
    corpora = [corpus_of(table.name, {"train": len(corpus)}, table.columns, *part)]
    if script.validation_file:
        # Another dataset has configs of its own.
        same = script.dataset_name is not None and Path(script.validation_file) == Path(script.dataset_name)
        config = script.dataset_config if same else None
        table, split = read_held_out(script.validation_file, "validation", config)
        held_out = _rows(table, _columns(table, script))
        corpora.append(corpus_of(script.validation_file, {"validation": len(held_out)}, {}, config, split))
    if script.sts_file:
        table, split = read_held_out(script.sts_file, "test")
        sts = _pairs(table.require_rows())
        corpora.append(corpus_of(script.sts_file, {"similarity": len(sts)}, {}, split=split))
    return Loaded(corpus, held_out, sts, corpora, said)


def load_lineage(script: SimCSEScriptArguments, args: SimCSEConfig, corpora: list[Corpus]) -> Lineage:
    """What the encoder will descend from, once it is known to be a checkpoint that it starts from.

    Raises:
        InputError: it is none; or the encoder is to be pushed, under a name that a licence bars.
    """
    check_checkpoint(script.model_name_or_path, script.model_revision)
    lineage = descend("SimCSE", script.model_name_or_path, script.model_revision, corpora)
    if args.push_to_hub:
        check_model_publishable(lineage, hub_name(args))
    return lineage


def _pairs(table: Table) -> Dataset:
    columns = {name: texts_of(*_column(table, name)) for name in ("sentence1", "sentence2")}
    scores = []
    for row, value in enumerate(table.column("score")):
        try:
            scores.append(number_of(value))
        except BadRow as error:
            raise InputError(f"{table.where(row)}, column `score`: {value!r} is no number") from error
    return Dataset.from_dict({**columns, "score": scores})


def _columns(table: Table, script: SimCSEScriptArguments) -> dict[str, str]:
    table.require_rows()
    chosen = (script.anchor_column, script.positive_column, script.negative_column)
    return choose_columns(table.columns, table.name, *chosen)


def _rows(table: Table, names: dict[str, str]) -> Dataset:
    columns = {name: texts_of(*_column(table, column)) for name, column in names.items()}
    if "group" in table.columns:
        # A column of both numbers and strings has no type in Arrow.
        columns["group"] = [None if group is None else str(group) for group in table.column("group")]
    return Dataset.from_dict(columns)


def _column(table: Table, name: str) -> tuple:
    return table.column(name), lambda row: f"{table.where(row)}, column `{name}`"
