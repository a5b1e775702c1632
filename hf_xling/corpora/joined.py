"""The rows of a corpus: source sentences and what was generated from them, joined by lineage, columns at a time.

A million rows take seconds and a few hundred MiB so; as Python objects they would take minutes and gigabytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pyarrow
import pyarrow.compute as pc

from hf_xling.corpora.sources import SPLITS, Sentences
from hf_xling.hub.names import model_name
from hf_xling.provenance.generation_run import PROVENANCE

TEXTS = {"sentences": ("anchor",), "pairs": ("anchor", "positive"), "triplets": ("anchor", "positive", "negative")}
NEGATIVE_GROUP = "negative_group"  # of a triplet: the sentence that contradicts the anchor; it is not published
_TEXT = pyarrow.large_string()  # a column of more than 2 GiB is no matter


@dataclass
class Joined:
    """The rows of a corpus.

    Attributes:
        tables: by config (`sentences`, and where something was generated `pairs` and `triplets`): its text columns,
            `group`, the columns of `PROVENANCE`, and `split` (int8, the place in `SPLITS`), which is ascending.
        counts: by config, a row for each split; what was found, less what was dropped, are its `rows`.
        strangers: accepted rows of each generation whose root is no sentence of the source.
        sources: the sentences of the source; their places are the groups.
    """

    tables: dict[str, pyarrow.Table]
    counts: dict[str, list[dict[str, Any]]]
    strangers: list[int]
    sources: pyarrow.Array

    def drop(self, texts: Mapping[str, pyarrow.Array]) -> None:
        """Drop the rows in which one of `texts` stands, which are given by split, and count them as `leaked`.

        With a sentence of the source goes all that was generated from it.
        """
        for config, table in self.tables.items():
            lost = numpy.zeros(len(table), dtype=bool)
            for split, those in texts.items():
                here = table["split"].to_numpy() == SPLITS.index(split)
                groups = pc.index_in(those.cast(_TEXT), value_set=self.sources).drop_null().to_numpy()
                for name in ("group", NEGATIVE_GROUP):
                    if name in table.column_names:
                        lost |= here & numpy.isin(table[name].to_numpy(), groups)
                for name in TEXTS[config]:
                    lost |= here & pc.is_in(table[name], value_set=those.cast(_TEXT)).to_numpy()
            self.tables[config] = table.filter(pyarrow.array(~lost))
            for row in self.counts.get(config, ()):
                row["rows"] = _count(self.tables[config]["split"], SPLITS.index(row["split"]))
                row["leaked"] = _count(table["split"], SPLITS.index(row["split"])) - row["rows"]


def join(sentences: Sentences, language: str | None, with_source: bool, accepted: Sequence[pyarrow.Table]) -> Joined:
    """The rows of a corpus: by split, in the order of the source, those of one generation after those of another.

    - `sentences`: the source's own (`with_source`) and the generated ones, as `anchor`.
    - `pairs`: each generated text is the `positive` of the sentence at the root of its chain.
    - `triplets`: pairs whose anchor has a contradiction; `negative` is that contradiction as the same run wrote it, so
      that language and style do not give it away. There is one for each contradiction and run.

    Two generations may come to one text (the translations of a sentence and of its paraphrase): it is kept once in its
    group. All that comes from one sentence stands in that sentence's split.

    Args:
        sentences, language: of the source.
        with_source: whether the source sentences are rows of `sentences`.
        accepted: the accepted rows of each run (`GenerationRun.accepted`), in the order of the runs.
    """
    texts = pyarrow.array(sentences.texts, _TEXT)
    generated = [_generated(rows, texts, sentences.split_of) for rows in accepted]
    strangers = [len(all) - len(rows) for all, rows in zip(accepted, generated, strict=True)]
    own = [_source(texts, sentences.split_of, language)] if with_source else []
    anchors = [rows.drop_columns("root_text").rename_columns({"text": "anchor"}) for rows in generated]
    joined = Joined({}, {}, strangers, texts)
    kinds = {"source": own, "generated": anchors}
    _add(joined, "sentences", [*own, *anchors], **{kind: _splits(rows) for kind, rows in kinds.items() if rows})
    if generated:
        pairs = [rows.rename_columns({"root_text": "anchor", "text": "positive"}) for rows in generated]
        _add(joined, "pairs", pairs, generated=_splits(pairs))
    if generated and len(sentences.contradictions):
        triplets, apart, lacking = zip(*(_triplets(rows, len(texts), sentences) for rows in generated), strict=True)
        lost = {"in two splits": numpy.concatenate(apart), "not generated": numpy.concatenate(lacking)}
        _add(joined, "triplets", triplets, contradictions=_splits(triplets), **lost)
    return joined


def _source(texts: pyarrow.Array, split_of: numpy.ndarray, language: str | None) -> pyarrow.Table:
    size = len(texts)
    columns = {"anchor": texts, "group": pyarrow.array(numpy.arange(size)), "split": pyarrow.array(split_of)}
    known = {"task": "source", "language": language}
    columns |= {name: _repeated(known.get(name), size) for name in PROVENANCE}
    return _by_split(pyarrow.table(columns))


def _repeated(value: str | None, size: int) -> pyarrow.Array:
    places = pyarrow.array(numpy.zeros(size, numpy.int32), mask=numpy.full(size, value is None))
    return pyarrow.DictionaryArray.from_arrays(places, pyarrow.array([value or ""], pyarrow.string()))


def _generated(rows: pyarrow.Table, texts: pyarrow.Array, split_of: numpy.ndarray) -> pyarrow.Table:
    """The rows whose root is a sentence of the source, with that sentence's place and split."""
    group = pc.index_in(rows["root_text"].cast(_TEXT), value_set=texts)
    rows = rows.append_column("group", group)
    rows = rows.filter(pc.is_valid(group)) if group.null_count else rows
    places = rows["group"].to_numpy()
    columns = {name: rows[name].cast(_TEXT) for name in ("root_text", "text")}
    columns |= {"group": pyarrow.array(places.astype(numpy.int64)), "split": pyarrow.array(split_of[places])}
    return _by_split(pyarrow.table(columns | {name: _provenance(name, rows[name]) for name in PROVENANCE}))


def _provenance(name: str, column: pyarrow.ChunkedArray) -> pyarrow.DictionaryArray:
    """A column of names as a dictionary; a model's path on somebody's server becomes its name."""
    column = column.combine_chunks()
    if not pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if name != "model_id":
        return column
    names = pyarrow.array(map(model_name, column.dictionary.to_pylist()), pyarrow.string())
    return pyarrow.DictionaryArray.from_arrays(column.indices, names)


def _triplets(
    rows: pyarrow.Table, groups: int, sentences: Sentences
) -> tuple[pyarrow.Table, numpy.ndarray, numpy.ndarray]:
    """A triplet for each contradiction of which both sides were generated; the splits of those that lie in two splits,
    and of those of which a side was not generated."""
    first = numpy.full(groups, -1)
    group = rows["group"].to_numpy()
    first[group[::-1]] = numpy.arange(len(rows))[::-1]  # of several samples the first
    premise, hypothesis = sentences.contradictions.T
    split = sentences.split_of[premise]
    apart = split != sentences.split_of[hypothesis]
    lacking = ~apart & ((first[premise] < 0) | (first[hypothesis] < 0))
    whole = ~apart & ~lacking
    positive = rows.take(pyarrow.array(first[premise[whole]]))
    negative = rows["text"].take(pyarrow.array(first[hypothesis[whole]]))
    table = positive.rename_columns({"root_text": "anchor", "text": "positive"}).append_column("negative", negative)
    table = table.append_column(NEGATIVE_GROUP, pyarrow.array(hypothesis[whole]))
    return _by_split(table), split[apart], split[lacking]


def _add(joined: Joined, config: str, tables: Sequence[pyarrow.Table], **found: numpy.ndarray) -> None:
    """Add all of `tables`, each text once in its group, as `config`; `found` are the splits of the rows of each kind.

    Of `triplets` the kinds beside `contradictions` are those of which there is no row.
    """
    names = [*TEXTS[config], "group", *PROVENANCE, "split", *([NEGATIVE_GROUP] if config == "triplets" else [])]
    parts = [of_split(rows.select(names), place) for place, _ in enumerate(SPLITS) for rows in tables]
    table = pyarrow.concat_tables(parts).unify_dictionaries()
    once = _once(table, ["group", *TEXTS[config][config == "pairs" :]])  # the anchor of a pair is its group's
    joined.tables[config] = once
    for place, split in enumerate(SPLITS):
        kinds = {kind: int((splits == place).sum()) for kind, splits in found.items()}
        if config == "triplets":  # all of them, of which those without a row are told behind
            kinds["contradictions"] = sum(kinds.values())
        rows = _count(once["split"], place)
        row = {"split": split, **kinds, "same again": _count(table["split"], place) - rows}
        if any(kinds.values()):
            joined.counts.setdefault(config, []).append({**row, "leaked": 0, "rows": rows})


def _once(table: pyarrow.Table, keys: list[str]) -> pyarrow.Table:
    """The first of the rows that have the same `keys`, of which the first is the group."""
    _, inverse, counts = numpy.unique(table["group"].to_numpy(), return_inverse=True, return_counts=True)
    several = numpy.flatnonzero(counts[inverse] > 1)  # only these can be the same, and texts are costly to compare
    if len(several) == 0:
        return table
    number = pyarrow.array(several)
    grouped = table.select(keys).take(number).append_column("number", number).group_by(keys, use_threads=False)
    kept = numpy.ones(len(table), dtype=bool)
    kept[several] = False
    kept[grouped.aggregate([("number", "min")])["number_min"].to_numpy()] = True
    return table if kept.all() else table.filter(pyarrow.array(kept))


def _by_split(table: pyarrow.Table) -> pyarrow.Table:
    """The rows in the order of the splits, so that from here on each split is a slice and needs no copy."""
    splits = table["split"].to_numpy()
    order = numpy.argsort(splits, kind="stable")
    return table if (splits[1:] >= splits[:-1]).all() else table.take(pyarrow.array(order))


def _splits(tables: Sequence[pyarrow.Table]) -> numpy.ndarray:
    return numpy.concatenate([numpy.zeros(0, numpy.int8), *(table["split"].to_numpy() for table in tables)])


def _count(splits: pyarrow.ChunkedArray, place: int) -> int:
    return pc.sum(pc.equal(splits, place)).as_py() or 0


def texts_by_split(joined: Joined, with_source: bool) -> dict[str, pyarrow.ChunkedArray]:
    """The texts of each split that has any: its source sentences, and what was generated from them."""
    texts = {}
    for place, split in enumerate(SPLITS):
        parts = {name: of_split(table, place) for name, table in joined.tables.items()}
        chunks = list(parts["sentences"]["anchor"].chunks)
        if "pairs" in parts and not with_source:
            chunks.insert(0, parts["pairs"]["anchor"].unique())
        if any(map(len, chunks)):
            texts[split] = pyarrow.chunked_array(chunks, _TEXT)
    return texts


def of_split(table: pyarrow.Table, place: int) -> pyarrow.Table:
    """The rows of one split of a table that is in the order of the splits."""
    start, end = numpy.searchsorted(table["split"].to_numpy(), [place, place + 1])
    return table.slice(start, end - start)
