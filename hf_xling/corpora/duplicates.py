"""Exact and near duplicates among texts, within the splits of a dataset and across them."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from random import Random
from typing import Protocol

import numpy
import pyarrow
from rensa import RMinHash, RMinHashLSH
from tqdm import tqdm

from hf_xling.errors import InputError
from hf_xling.folding import fold, same_digits

# In code points: some three syllables of an Indic script, and less than a word and its neighbours in English.
SHINGLE = 5
PERMUTATIONS = 128
SEED = 1
MISSED = 1e-4  # how likely a pair of exactly the threshold's similarity may be missed
LOWEST_THRESHOLD = 0.1  # below it the permutations are too few for `MISSED`
EXAMPLES = 3
SAMPLE = 100_000  # texts of the first split with which all are compared; 200 MB of the index
BATCH = 1024
SHOWN_FROM = 10_000  # texts; fewer take a second


@dataclass(frozen=True)
class Example:
    """A pair of duplicates.

    Attributes:
        row, other_row: places of the two texts in their splits, from 0.
        similarity: Jaccard similarity of their shingles; 1 for exact duplicates.
    """

    row: int
    other_row: int
    similarity: float


@dataclass(frozen=True)
class Overlap:
    """The rows of one split that stand in another split, or in the same one a second time.

    Attributes:
        exact: rows (from 0, ascending) whose text, folded, is that of a row of the other split.
        near: rows that are not among `exact` and are near duplicates of a row of the other split.
        examples: at most `EXAMPLES` pairs, near duplicates first; within a split no pair stands there in both orders.
    """

    exact: list[int]
    near: list[int]
    examples: list[Example]


@dataclass(frozen=True)
class Duplicates:
    """What `find_duplicates` has found.

    Attributes:
        overlaps: by (split, other split), in both orders and for each split with itself: the rows of the first that
            stand in the second.
        leaked: rows (from 0, ascending) of each split that stand in a split after it, exactly or nearly.
        sample: how many of the distinct texts that stand in the first split alone were compared with all; None if all
            were. The near duplicates of the first split in itself are then those of the sample's texts.
        compared: how many pairs of texts were compared by their shingles.
    """

    overlaps: dict[tuple[str, str], Overlap]
    leaked: dict[str, list[int]]
    sample: int | None = None
    compared: int = 0


class Texts(Protocol):
    """Texts to iterate over and to look up by place: a list, or a column of Arrow (`ArrowTexts`)."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __getitem__(self, place: int, /) -> str: ...


class ArrowTexts:
    """A column of strings, of which only what is asked for becomes Python's."""

    def __init__(self, column: pyarrow.ChunkedArray):
        self._column = column
        self._ends = numpy.cumsum([len(chunk) for chunk in column.chunks]).tolist()

    def __len__(self) -> int:
        return len(self._column)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), 10_000):
            yield from self._column.slice(start, 10_000).to_pylist()

    def __getitem__(self, place: int, /) -> str:
        number = bisect_right(self._ends, place)
        chunk = self._column.chunk(number)
        return chunk[place - self._ends[number] + len(chunk)].as_py()


def find_duplicates(splits: Mapping[str, Texts], threshold: float = 0.8, sample: int = SAMPLE) -> Duplicates:
    """Find the texts that stand in `splits` more than once, exactly or nearly.

    Texts are compared after `fold`. Equal ones are exact duplicates. Near duplicates are texts whose sets of character
    `SHINGLE`-grams, with the digits of all scripts as one, have a Jaccard similarity of at least `threshold`.
    Candidates come from MinHash signatures by locality-sensitive hashing, and each is verified on the shingles
    themselves: no pair is reported wrongly, and a pair at the threshold is missed with a probability of at most
    `MISSED`, one above it more rarely. Hashes and permutations are seeded: equal texts in equal order give an equal
    result.

    **Which row goes.** Where a text stands in two splits, the row of the earlier split is the leaked one, so `splits`
    are to be in the order train, validation, test. The training rows go, and the test set stays the published one:
    without a part of its rows, its figures could not be set beside those of others.

    **Time and memory** grow with the number of texts, but in clusters of candidates with its square. Of a first split
    with more than `sample` texts that stand nowhere else, the near duplicates *in itself* are those of a seeded sample
    of `sample` of these texts, each compared with all: what part of the texts has a near duplicate is known from that.
    What stands in later splits is always compared with all.

    Args:
        splits: texts by name of the split, in the order of their use.
        threshold: the least Jaccard similarity of near duplicates, from `LOWEST_THRESHOLD` to 1.
        sample: of how many texts of the first split near duplicates in itself are sought at most.

    Raises:
        InputError: a threshold out of its range.

    Sources: Broder, "On the resemblance and containment of documents" (1997); Leskovec, Rajaraman and Ullman, "Mining
    of Massive Datasets", chapter 3; Lee et al., "Deduplicating training data makes language models better" (2022).
    """
    if not LOWEST_THRESHOLD <= threshold <= 1:
        raise InputError(f"a threshold of {threshold} for near duplicates: {LOWEST_THRESHOLD} to 1 is needed")
    texts = _Distinct(splits)
    sampled = texts.sample(sample)
    near, compared = _near(texts, sampled, threshold)
    overlaps = {(split, other): _overlap(split, other, texts, near, sampled) for split in splits for other in splits}
    leaked, names = {}, list(splits)
    for number, split in enumerate(names):
        found = (overlaps[split, later] for later in names[number + 1 :])
        leaked[split] = sorted({row for overlap in found for row in (*overlap.exact, *overlap.near)})
    return Duplicates(overlaps, leaked, None if sampled is None else len(sampled), compared)


def shingles(text: str) -> list[str]:
    """The character `SHINGLE`-grams of `text`, spaces included; a shorter text is its own only one.

    Characters, not words: Indic scripts join to words what English writes apart.

    >>> shingles("a film")
    ['a fil', ' film']
    """
    return [text[start : start + SHINGLE] for start in range(max(len(text) - SHINGLE + 1, 1))]


def _digest(text: str) -> int:
    """64 bits that stand for the folded text: of a million texts two share theirs in one case of 30 million."""
    return int.from_bytes(hashlib.blake2b(fold(text).encode(), digest_size=8).digest())


class _Distinct:
    """The distinct texts of some splits, each with a number, its place.

    The texts themselves stay where they are: a million of them would take more memory here than all the rest.

    Attributes:
        names: of the splits.
        standing: for each text a number with a bit for each split in which it stands.
    """

    def __init__(self, splits: Mapping[str, Texts]):
        self.names = list(splits)
        self._splits = list(splits.values())
        sizes = [len(texts) for texts in self._splits]
        digests = numpy.fromiter(map(_digest, chain.from_iterable(self._splits)), numpy.uint64, sum(sizes))
        _, first, inverse = numpy.unique(digests, return_index=True, return_inverse=True)
        order = numpy.argsort(first)  # places in the order of first appearance
        rank = numpy.empty_like(order)
        rank[order] = numpy.arange(len(order))
        ends = numpy.cumsum(sizes, dtype=numpy.int64)
        self._places = numpy.split(rank[inverse], ends[:-1])
        number = numpy.searchsorted(ends, first[order], side="right")
        self._first = number, first[order] - (ends - sizes)[number]
        standing = numpy.zeros(len(order), dtype=numpy.int64)
        for split, places in enumerate(self._places):
            standing[places] |= 1 << split
        self.standing: list[int] = standing.tolist()

    def places_in(self, number: int) -> numpy.ndarray:
        """The place of the text of each row of a split."""
        return self._places[number]

    def text(self, place: int) -> str:
        """Folded, its digits too."""
        split, row = self._first
        return same_digits(fold(self._splits[split[place]][int(row[place])]))

    def sample(self, size: int) -> set[int] | None:
        """`size` of the texts that stand in the first split alone, or None where there are no more."""
        alone = [place for place, standing in enumerate(self.standing) if standing == 1]
        return set(Random(SEED).sample(alone, size)) if len(alone) > size else None

    def order(self, sampled: set[int] | None) -> Iterator[int]:
        """All texts; those that are not in the sample come last, when all others are in the index."""
        if sampled is None:
            return iter(range(len(self.standing)))
        last = [place for place, standing in enumerate(self.standing) if standing == 1 and place not in sampled]
        ends = set(last)
        return (place for part in ((p for p in range(len(self.standing)) if p not in ends), last) for place in part)


def _near(
    texts: _Distinct, sampled: set[int] | None, threshold: float
) -> tuple[dict[int, dict[int, tuple[int, float]]], int]:
    """For each text with near duplicates: one in each split that has any, by the split's number, and its similarity.

    The second value is the number of pairs that were compared.
    """
    bands, rows = _bands(threshold)
    index = RMinHashLSH(threshold, bands * rows, bands)
    indexed: dict[int, RMinHash] = {}
    # Signatures tell nearly all wrong candidates; of pairs at the threshold five deviations lose one in a million.
    least = threshold - 5 * (threshold * (1 - threshold) / (bands * rows)) ** 0.5
    near: dict[int, dict[int, tuple[int, float]]] = {}
    standing, count = texts.standing, len(texts.standing)
    compared = 0
    known = [0] * count  # for each text a bit for each split in which a near duplicate of it is known
    with tqdm(total=count, desc="duplicates", unit="text", unit_scale=True, disable=count < SHOWN_FROM) as progress:
        order = texts.order(sampled)
        while batch := list(islice(order, BATCH)):
            tokens = [shingles(texts.text(place)) for place in batch]
            signatures = RMinHash.from_token_sets(tokens, bands * rows, SEED)
            for place, own, signature in zip(batch, tokens, signatures, strict=True):
                for other in sorted(index.query(signature)):
                    # Where both know a near duplicate in each split of the other there is nothing new to learn; this
                    # keeps large clusters cheap.
                    news = standing[other] & ~known[place] or standing[place] & ~known[other]
                    if not news or signature.jaccard(indexed[other]) < least:
                        continue
                    compared += 1
                    similarity = _jaccard(set(own), set(shingles(texts.text(other))))
                    if similarity >= threshold:
                        for one, two in ((place, other), (other, place)):
                            known[one] |= standing[two]
                            for split in _splits(standing[two]):
                                near.setdefault(one, {}).setdefault(split, (two, similarity))
                if sampled is None or place in sampled or standing[place] != 1:
                    index.insert(place, signature)
                    indexed[place] = signature
            progress.update(len(batch))
    return near, compared


def _jaccard(one: set[str], two: set[str]) -> float:
    common = len(one & two)
    return common / (len(one) + len(two) - common)


def _splits(standing: int) -> set[int]:
    return {number for number in range(standing.bit_length()) if standing >> number & 1}


def _bands(threshold: float) -> tuple[int, int]:
    """Bands of a signature and rows of a band: the fewest candidates for which `MISSED` holds.

    The usual choice weighs wrong candidates as much as missed pairs, and misses many of those; here wrong ones cost
    nothing but time.
    """
    for rows in range(PERMUTATIONS // 2, 0, -1):
        bands = PERMUTATIONS // rows
        if (1 - threshold**rows) ** bands <= MISSED:
            return bands, rows
    raise AssertionError(f"no bands for {threshold}")


def _overlap(
    split: str,
    other: str,
    texts: _Distinct,
    near: Mapping[int, Mapping[int, tuple[int, float]]],
    sampled: set[int] | None,
) -> Overlap:
    """The `Overlap` of two splits, from the near duplicates of each distinct text."""
    here, there = texts.names.index(split), texts.names.index(other)
    own, theirs = texts.places_in(here), texts.places_in(there)
    if split == other:
        distinct, counts = numpy.unique(own, return_counts=True)
        twins = distinct[counts > 1]
    else:
        twins = numpy.intersect1d(own, theirs)
    in_sample = sampled if sampled is not None and here == there == 0 else None
    close = [place for place, of in near.items() if there in of and (in_sample is None or place in in_sample)]
    is_exact = numpy.isin(own, twins)
    exact = numpy.flatnonzero(is_exact)
    nearly = numpy.flatnonzero(numpy.isin(own, close) & ~is_exact)
    chosen: dict[tuple[int, int], Example] = {}
    places, first = numpy.unique(own, return_index=True)
    for row in (*numpy.sort(first[numpy.isin(places, own[nearly])]), *numpy.sort(first[numpy.isin(places, twins)])):
        row, place = int(row), int(own[row])
        twin, similarity = (place, 1.0) if is_exact[row] else near[place][there]
        twin_row = int(numpy.flatnonzero(theirs == twin)[int(split == other and twin == place)])
        pair = (min(row, twin_row), max(row, twin_row)) if split == other else (row, twin_row)
        chosen.setdefault(pair, Example(row, twin_row, similarity))
        if len(chosen) == EXAMPLES:
            break
    return Overlap(exact.tolist(), nearly.tolist(), list(chosen.values()))
