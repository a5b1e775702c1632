"""Source texts of a corpus, split before anything is made of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from hf_xling.errors import InputError, one_line
from hf_xling.folding import fold, has_text
from hf_xling.labels import BadRow, class_name
from hf_xling.tables import SPLITS, Table, known_splits, named_splits, split_names, stream_table
from hf_xling.tables.held_out import split_to_read

# Where --text_column is not given: SNLI's columns on the Hub and in its own files, else the one text column.
DEFAULT_COLUMNS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("text",))
LABEL_COLUMNS = ("label", "gold_label")
# Numbers on the Hub and words in its own files; what no majority of SNLI's annotators agreed on is -1 and `-`.
LABELS = {"0": "entailment", "1": "neutral", "2": "contradiction"}
UNLABELLED = ("-1", "-", "")
REASONS = ("no text", "empty text", "unlabelled")  # why a row of the source is dropped; a number is no text


@dataclass(frozen=True)
class Sentences:
    """The distinct sentences of a source, in order of first appearance; a sentence's place is its group.

    A row belongs to the split that the source has it in, or that the hash of its first text says. A sentence belongs to
    the last split (in the order of `SPLITS`) in which any row has it: so no sentence of a test row is one of training.

    Attributes:
        texts: the sentences, verbatim.
        split_of: (n,) int8, the place in `SPLITS` of each sentence's split.
        contradictions: (m, 2) int64, the places of premise and hypothesis of the rows labelled as contradictions.
        counts: a row for each split. `source rows`, less those dropped for each of `REASONS`, have so many `texts`;
            these less the `repeated` ones and those `in a later split` are its `sentences`.
    """

    texts: list[str]
    split_of: numpy.ndarray
    contradictions: numpy.ndarray
    counts: list[dict[str, Any]]

    @property
    def digest(self) -> str:
        """SHA-256 over the sentences, their splits and the contradictions: what a source came to, whatever its name."""
        digest = hashlib.sha256(self.split_of.tobytes() + self.contradictions.tobytes())
        for text in self.texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()


def read_sentences(
    source: str | Mapping[str, str],
    text_columns: Sequence[str] | None = None,
    label_column: str | None = None,
    splits: Sequence[str] | None = None,
    held_out: Mapping[str, float] | None = None,
    config: str | None = None,
) -> Sentences:
    """The sentences of `source`, taken from its text columns.

    Args:
        source: whatever `read_table` reads, or such a source for each split.
        text_columns: the first of two is the premise.
        label_column: of the labels of inference; `none` takes none, and by default it is one of `LABEL_COLUMNS`.
        splits: of a source that has some, those to read; by default all of `SPLITS` that are there.
        held_out: of a source without splits, the shares of `validation` and `test`.
        config: of a source that has some.

    Raises:
        InputError: no such source, split, column or label, or no sentence in it.
    """
    collected, parts = _Collected(held_out or {}), source_parts(source, splits, config)
    name = source if isinstance(source, str) else ", ".join(source.values())
    if held_out and all(part.split is not None for part in parts):
        raise InputError(f"{name}: has splits of its own; --validation_share and --test_share go without")
    for part in parts:
        for number, table in enumerate(stream_table(part.source, config=part.config, split=part.name)):
            if number == 0 and not part.is_one_of_several:
                table.require_rows()
            collected.take(table, part.split, text_columns, label_column)
    sentences = collected.sentences()
    if not sentences.texts:
        raise InputError(f"{name}: holds no sentence")
    return sentences


class Part(NamedTuple):
    """A table of a source.

    Attributes:
        split: which of `SPLITS` it is; None of a source without splits.
        source, config, name: what `read_table` takes.
        is_one_of_several: whether this is one of the splits that the source itself has.
    """

    split: str | None
    source: str
    config: str | None = None
    name: str = "train"
    is_one_of_several: bool = False


def source_parts(
    source: str | Mapping[str, str], splits: Sequence[str] | None = None, config: str | None = None
) -> list[Part]:
    """The tables of a source, in the order of `SPLITS`, or of `splits`; arguments as for `read_sentences`.

    Raises:
        InputError: no such source or split, or options that do not go together.
    """
    if not isinstance(source, str):
        parts = [Part(split, file, name=split_to_read(file, split)) for split, file in source.items()]
        if splits is not None:
            raise InputError(f"--split {' '.join(splits)}: goes with a source that has splits of its own")
        if config is not None:
            raise InputError(f"--dataset_config {config}: goes with a dataset alone, not with further files")
        return parts
    own = split_names(source, config)
    if own is None:
        if splits is not None and splits != ["train"]:
            raise InputError(f"--split {' '.join(splits)}: {source} has no splits of its own")
        return [Part(None, source, config)]
    wanted: list[tuple[str | None, str]]
    if splits is None:
        wanted = [*(named_splits(source, config) or {"train": "train"}).items()]
    else:
        wanted = [(next(iter(known_splits([name])), None), name) for name in splits]
    for split, name in wanted:
        if split is None or not {name, split} & {*own, *known_splits(own)}:
            raise InputError(f"{source}: has no split `{name}` to take; its splits are {', '.join(own)}")
    return [Part(split, source, config, name, is_one_of_several=True) for split, name in wanted]


class _Collected:
    """The sentences of the blocks taken so far."""

    def __init__(self, held_out: Mapping[str, float]):
        self.held_out = held_out
        self.places: dict[str, int] = {}
        self.split_bits = bytearray()  # for each sentence, a bit for each split whose rows have it
        self.contradictions: dict[tuple[int, int], None] = {}
        self.counts: dict[int, Counter[str]] = {}

    def take(
        self, table: Table, split: str | None, text_columns: Sequence[str] | None, label_column: str | None
    ) -> None:
        names = text_columns or _default_columns(table)
        columns = [table.column(name) for name in names]
        labels = _labels(table, label_column, len(names) > 1)
        for index, texts in enumerate(zip(*columns, strict=True)):
            problem = _problem(texts)
            label = None if problem or labels is None else labels(index)
            if problem is None and labels is not None and label is None:
                problem = "unlabelled"
            number = SPLITS.index(split) if split else self._drawn(texts[0])
            counts = self.counts.setdefault(number, Counter())
            counts["source rows"] += 1
            if problem:
                counts[problem] += 1
                continue
            counts["texts"] += len(texts)
            found = [self._place(text, number, counts) for text in texts]
            if label == "contradiction" and len(found) > 1:
                self.contradictions[found[0], found[1]] = None

    def _drawn(self, text: Any) -> int:
        """The split of a row whose source has none: the text alone decides, so that a grown source keeps its splits."""
        if not self.held_out or not isinstance(text, str):
            return 0
        digest = hashlib.blake2b(fold(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        drawn, end = int.from_bytes(digest) / 2**64, 0.0
        for split, share in self.held_out.items():
            end += share
            if drawn < end:
                return SPLITS.index(split)
        return 0

    def _place(self, text: str, number: int, counts: Counter[str]) -> int:
        place = self.places.setdefault(text, len(self.places))
        if place == len(self.split_bits):
            self.split_bits.append(0)
        if not self.split_bits[place] >> number & 1:
            self.split_bits[place] |= 1 << number
            counts["distinct"] += 1
        return place

    def sentences(self) -> Sentences:
        split_bits = numpy.frombuffer(bytes(self.split_bits), dtype=numpy.uint8)
        split_of = numpy.zeros(len(split_bits), dtype=numpy.int8)
        for number in range(1, len(SPLITS)):
            split_of[split_bits >> number & 1 == 1] = number
        rows = []
        for number in sorted(self.counts):
            counts, own = self.counts[number], int((split_of == number).sum())
            later = counts["distinct"] - own
            row = {"split": SPLITS[number], "source rows": counts["source rows"]}
            row |= {reason: counts[reason] for reason in REASONS} | {"texts": counts["texts"]}
            row |= {"repeated": counts["texts"] - counts["distinct"], "in a later split": later, "sentences": own}
            rows.append(row)
        pairs = numpy.array(list(self.contradictions), dtype=numpy.int64).reshape(-1, 2)
        return Sentences(list(self.places), split_of, pairs, rows)


def _default_columns(table: Table) -> Sequence[str]:
    for names in DEFAULT_COLUMNS:
        if set(names) <= set(table.columns):
            return names
    raise InputError(
        f"{table.require_rows().name}: has neither `premise` and `hypothesis` nor `text`; --text_column names its text "
        f"columns ({', '.join(table.columns)})"
    )


def _problem(texts: Sequence[Any]) -> str | None:
    if any(not isinstance(text, str) for text in texts):
        return "no text"
    return None if all(map(has_text, texts)) else "empty text"


def _labels(table: Table, name: str | None, by_default: bool) -> Any:
    """A function that gives the label of a row in words, or None for an unlabelled one; None if labels are not read."""
    if name is None:
        name = next((each for each in LABEL_COLUMNS if by_default and each in table.columns), "none")
    if name == "none":
        return None
    values, classes = table.column(name), table.class_names.get(name)

    def label(index: int) -> str | None:
        value = values[index]
        try:
            word = class_name(value, classes)
        except BadRow as bad:
            word = "" if bad.reason == "label is null" else "no class"
        if word in UNLABELLED:
            return None
        word = LABELS.get(word, word.lower())
        if word not in LABELS.values():
            raise InputError(
                f"{table.where(index)}: `{name}` is {one_line(repr(value), 60)}; entailment, neutral or contradiction "
                "(or 0, 1, 2) is needed; `--label_column none` reads no labels"
            )
        return word

    return label
