"""Exact and near duplicates among texts, within the splits of a dataset and across them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from random import Random
from typing import Any

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


def find_duplicates(
    splits: Mapping[str, Sequence[str] | pyarrow.ChunkedArray], threshold: float = 0.8, sample: int = SAMPLE
) -> Duplicates:
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
    names = list(splits)
    overlaps = {
        (split, other): _overlap(here, there, texts, near, sampled)
        for here, split in enumerate(names)
        for there, other in enumerate(names)
    }
    leaked = {}
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


def iterate(column: pyarrow.ChunkedArray) -> Iterator[Any]:
    """The values of a column, of which a few thousand at a time become Python's."""
    for start in range(0, len(column), 10_000):
        yield from column.slice(start, 10_000).to_pylist()


class _Distinct:
    """The distinct texts of some splits, each with a number, its place.

    The texts themselves stay where they are: a million of them would take more memory here than all the rest.

    Attributes:
        places: for each split the place of the text of each of its rows.
        standing: for each text a number with a bit for each split in which it stands.
    """

    def __init__(self, splits: Mapping[str, Sequence[str] | pyarrow.ChunkedArray]):
        text = pyarrow.large_string()  # a column of more than 2 GiB is no matter
        parts = [part if isinstance(part, pyarrow.ChunkedArray) else pyarrow.chunked_array([part], text)
                 for part in splits.values()]  # fmt: skip
        self._texts = pyarrow.chunked_array([chunk for part in parts for chunk in part.chunks], text)
        digests = numpy.fromiter(map(_digest, iterate(self._texts)), numpy.uint64, len(self._texts))
        _, first, inverse = numpy.unique(digests, return_index=True, return_inverse=True)
        order = numpy.argsort(first)  # places in the order of first appearance
        rank = numpy.empty_like(order)
        rank[order] = numpy.arange(len(order))
        self._first = first[order]
        self.places = numpy.split(rank[inverse], numpy.cumsum([len(part) for part in parts])[:-1])
        standing = numpy.zeros(len(order), dtype=numpy.int64)
        for split, places in enumerate(self.places):
            standing[places] |= 1 << split
        self.standing: list[int] = standing.tolist()

    def text(self, place: int) -> str:
        """Folded, its digits too."""
        return same_digits(fold(self._texts[int(self._first[place])].as_py()))

    def sample(self, size: int) -> set[int] | None:
        """`size` of the texts that stand in the first split alone, or None where there are no more."""
        alone = [place for place, standing in enumerate(self.standing) if standing == 1]
        return set(Random(SEED).sample(alone, size)) if len(alone) > size else None

    def order(self, sampled: set[int] | None) -> Iterator[int]:
        """All texts; those that are not in the sample come last, when all others are in the index."""
        places = range(len(self.standing))
        last = set() if sampled is None else {p for p in places if self.standing[p] == 1 and p not in sampled}
        return chain((place for place in places if place not in last), sorted(last))


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
                            for split in range(len(texts.places)):
                                if standing[two] >> split & 1:
                                    near.setdefault(one, {}).setdefault(split, (two, similarity))
                if sampled is None or place in sampled or standing[place] != 1:
                    index.insert(place, signature)
                    indexed[place] = signature
            progress.update(len(batch))
    return near, compared


def _jaccard(one: set[str], two: set[str]) -> float:
    common = len(one & two)
    return common / (len(one) + len(two) - common)


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
    here: int,
    there: int,
    texts: _Distinct,
    near: Mapping[int, Mapping[int, tuple[int, float]]],
    sampled: set[int] | None,
) -> Overlap:
    """The `Overlap` of two splits, by their numbers, from the near duplicates of each distinct text."""
    own, theirs = texts.places[here], texts.places[there]
    if here == there:
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
        twin_row = int(numpy.flatnonzero(theirs == twin)[int(here == there and twin == place)])
        pair = (min(row, twin_row), max(row, twin_row)) if here == there else (row, twin_row)
        chosen.setdefault(pair, Example(row, twin_row, similarity))
        if len(chosen) == EXAMPLES:
            break
    return Overlap(exact.tolist(), nearly.tolist(), list(chosen.values()))
