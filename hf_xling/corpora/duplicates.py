"""Exact and near duplicates among texts, within the splits of a dataset and across them."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasketch import MinHash, MinHashLSH
from tqdm import tqdm

from hf_xling.errors import InputError

# In code points: some three syllables of an Indic script, and less than a word and its neighbours in English.
SHINGLE = 5
PERMUTATIONS = 128
SEED = 1
MISSED = 1e-4  # how likely a pair of exactly the threshold's similarity may be missed
LOWEST_THRESHOLD = 0.1  # below it the permutations are too few for `MISSED`
EXAMPLES = 3
BATCH = 4096  # shingles permuted at once: 4 MB
SHOWN_FROM = 10_000  # texts; fewer take a second or two


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
    """

    overlaps: dict[tuple[str, str], Overlap]
    leaked: dict[str, list[int]]


def find_duplicates(splits: Mapping[str, Sequence[str]], threshold: float = 0.8) -> Duplicates:
    """Find the texts that stand in `splits` more than once, exactly or nearly.

    Texts are compared after `fold`. Equal ones are exact duplicates. Near duplicates are texts whose sets of character
    `SHINGLE`-grams have a Jaccard similarity of at least `threshold`. Candidates come from MinHash signatures by
    locality-sensitive hashing, and each is verified on the shingles themselves: no pair is reported wrongly, and a pair
    at the threshold is missed with a probability of at most `MISSED`, one above it more rarely. Hashes and permutations
    are seeded: equal texts in equal order give an equal result.

    **Which row goes.** Where a text stands in two splits, the row of the earlier split is the leaked one, so `splits`
    are to be in the order train, validation, test. The training rows go, and the test set stays the published one:
    without a part of its rows, its figures could not be set beside those of others.

    Time and memory grow with the number of texts, but in clusters of candidates with its square; about 10 kB of the
    index are needed for each distinct text.

    Args:
        splits: texts by name of the split, in the order of their use.
        threshold: the least Jaccard similarity of near duplicates, from `LOWEST_THRESHOLD` to 1.

    Raises:
        InputError: a threshold out of its range.

    Sources: Broder, "On the resemblance and containment of documents" (1997); Leskovec, Rajaraman and Ullman, "Mining
    of Massive Datasets", chapter 3; Lee et al., "Deduplicating training data makes language models better" (2022).
    """
    if not LOWEST_THRESHOLD <= threshold <= 1:
        raise InputError(f"a threshold of {threshold} for near duplicates: {LOWEST_THRESHOLD} to 1 is needed")
    places: dict[str, dict[str, list[int]]] = {}  # rows by split, for each distinct text
    for split, texts in splits.items():
        for row, text in enumerate(texts):
            places.setdefault(fold(text), {}).setdefault(split, []).append(row)
    rows = list(places.values())
    near = _near(list(places), [frozenset(by_split) for by_split in rows], threshold)
    overlaps = {(split, other): _overlap(split, other, rows, near) for split in splits for other in splits}
    leaked, names = {}, list(splits)
    for number, split in enumerate(names):
        found = (overlaps[split, later] for later in names[number + 1 :])
        leaked[split] = sorted({row for overlap in found for row in (*overlap.exact, *overlap.near)})
    return Duplicates(overlaps, leaked)


def fold(text: str) -> str:
    """`text` in NFC, without differences of case, and with one space for each run of white space."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())  # folding the case can take letters apart


def shingles(text: str) -> set[str]:
    """The character `SHINGLE`-grams of `text`, spaces included; a shorter text is its own only one.

    Characters, not words: Indic scripts join to words what English writes apart.

    >>> sorted(shingles("a film"))
    [' film', 'a fil']
    """
    return {text[start : start + SHINGLE] for start in range(max(len(text) - SHINGLE + 1, 1))}


def _near(
    texts: Sequence[str], standing: Sequence[frozenset[str]], threshold: float
) -> list[dict[str, tuple[int, float]]]:
    """For each of the distinct `texts`, a near duplicate in each split that has one: its place and similarity.

    Args:
        texts: folded.
        standing: the splits in which each of them stands.
        threshold: of `find_duplicates`.
    """
    index = MinHashLSH(num_perm=PERMUTATIONS, params=_bands(threshold))
    blank = MinHash(PERMUTATIONS, seed=SEED, hashfunc=zlib.crc32)  # its SHA-1 takes seven times as long
    near: list[dict[str, tuple[int, float]]] = [{} for _ in texts]
    sizes: list[int] = []
    for place, text in enumerate(
        tqdm(texts, desc="duplicates", unit="text", unit_scale=True, disable=len(texts) < SHOWN_FROM)
    ):
        own = shingles(text)
        signature = _signature(own, blank)
        for other in sorted(index.query(signature)):
            if standing[other] <= near[place].keys() and standing[place] <= near[other].keys():
                continue  # nothing new to learn; this keeps large clusters cheap
            if min(len(own), sizes[other]) / max(len(own), sizes[other]) < threshold:
                continue  # the quotient is the most that their similarity can be
            # Shingles are made again, not kept: they take a hundred times the memory of the texts.
            theirs = shingles(texts[other])
            common = len(own & theirs)
            similarity = common / (len(own) + len(theirs) - common)
            if similarity >= threshold:
                for one, two in ((place, other), (other, place)):
                    for split in standing[two]:
                        near[one].setdefault(split, (two, similarity))
        index.insert(place, signature, check_duplication=False)
        sizes.append(len(own))
    return near


def _bands(threshold: float) -> tuple[int, int]:
    """Bands of a signature and rows of a band: the fewest candidates for which `MISSED` holds.

    datasketch's own choice weighs wrong candidates as much as missed ones, and misses 60% of the pairs at 0.8; here
    wrong ones cost nothing but time.
    """
    for rows in range(PERMUTATIONS // 2, 0, -1):
        bands = PERMUTATIONS // rows
        if (1 - threshold**rows) ** bands <= MISSED:
            return bands, rows
    raise AssertionError(f"no bands for {threshold}")


def _signature(shingles: set[str], blank: MinHash) -> MinHash:
    signature = blank.copy()
    encoded = [shingle.encode("utf-8", "surrogatepass") for shingle in shingles]
    for start in range(0, len(encoded), BATCH):
        signature.update_batch(encoded[start : start + BATCH])
    return signature


def _overlap(
    split: str, other: str, rows: Sequence[Mapping[str, list[int]]], near: Sequence[Mapping[str, tuple[int, float]]]
) -> Overlap:
    """The `Overlap` of two splits, from the rows and the near duplicates of each distinct text."""
    exact, nearly, examples = [], [], []
    for place, by_split in enumerate(rows):
        own, theirs = by_split.get(split, []), by_split.get(other, [])
        if split == other:
            theirs = theirs[1:]
        if own and theirs:
            exact += own
            examples.append((1, Example(own[0], theirs[0], 1.0)))
        elif own and other in near[place]:
            nearly += own
            twin, similarity = near[place][other]
            examples.append((0, Example(own[0], rows[twin][other][0], similarity)))
    chosen: dict[tuple[int, int], Example] = {}
    for _, example in sorted(examples, key=lambda item: (item[0], item[1].row)):
        pair = (example.row, example.other_row)
        chosen.setdefault(tuple(sorted(pair)) if split == other else pair, example)
        if len(chosen) == EXAMPLES:
            break
    return Overlap(sorted(exact), sorted(nearly), list(chosen.values()))
