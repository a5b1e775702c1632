"""Counts of lengths, words and words for groups of people over any number of texts; only the vocabulary is kept."""

from __future__ import annotations

import sys
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hf_xling.errors import InputError
from hf_xling.folding import WITHIN_WORDS, has_text
from hf_xling.generation.languages import read_mappings

BATCH = 4096
SEGMENT = 1000  # words, of the standardised type-token ratio
QUANTILES = (5, 50, 95)
APOSTROPHES = "'\u2019\u02bc"
_OUTSIDE, _INSIDE, _APOSTROPHE, _UNSEEN = range(4)


class TextCounts:
    """What an audit needs to know of texts that come by once.

    Memory grows with the vocabulary, and not with the number of texts.

    Attributes:
        texts: how many there are.
        characters, lengths: how many texts there are of each number of characters (code points) and of words.
        vocabulary: how often each distinct word occurs in the texts, in NFC and without differences of case.
    """

    def __init__(self, texts: Iterable[str] = ()):
        self.texts = 0
        self.characters: Counter[int] = Counter()
        self.lengths: Counter[int] = Counter()
        self.vocabulary: Counter[str] = Counter()
        self._segments: list[int] = [0, 0]  # how many, and their distinct words
        self._open: list[str] = []  # the words of a segment that is not full
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        """Count `texts` too."""
        texts = iter(texts)
        while batch := list(islice(texts, BATCH)):
            words, lengths = _cut(batch)
            self.texts += len(batch)
            self.characters.update(map(len, batch))
            self.lengths.update(lengths.tolist())
            # Distinct words are few: to compose whole texts in Tamil takes as long as all the rest.
            for word, number in Counter(words).items():
                self.vocabulary[_composed(word)] += number
            self._cut_segments(words)

    def __add__(self, other: TextCounts) -> TextCounts:
        """The counts of the texts of both; a segment ends where the first ones end."""
        both = TextCounts()
        both.texts = self.texts + other.texts
        for name in ("characters", "lengths", "vocabulary"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        both._segments = [one + two for one, two in zip(self._segments, other._segments, strict=True)]
        return both

    @property
    def words(self) -> int:
        """How many words there are, with repetitions."""
        return self.vocabulary.total()

    def summary(self) -> dict[str, Any]:
        """The counts as numbers for JSON.

        `type_token_ratio` is distinct words to words; it falls as texts are added, so it compares texts of one size
        only. `standardised_type_token_ratio` is its mean over segments of `SEGMENT` words, one behind the other across
        texts, and does not (Johnson 1944, "Studies in language behavior: a program of research", as the mean segmental
        type-token ratio); None where there are fewer words.
        """
        number, distinct = self._segments
        return {
            "texts": self.texts,
            "words": self.words,
            "types": len(self.vocabulary),
            "words_per_text": {str(percent): quantile(self.lengths, percent) for percent in QUANTILES},
            "characters_per_text": {str(percent): quantile(self.characters, percent) for percent in QUANTILES},
            "type_token_ratio": round(len(self.vocabulary) / self.words, 4) if self.words else None,
            "standardised_type_token_ratio": round(distinct / (number * SEGMENT), 4) if number else None,
        }

    def coverage_of(self, task: TextCounts) -> dict[str, float | None]:
        """The shares of the distinct words of `task`, and of all its words, that are in this vocabulary too."""
        common = [count for word, count in task.vocabulary.items() if word in self.vocabulary]
        return {
            "types": round(len(common) / len(task.vocabulary), 4) if task.words else None,
            "words": round(sum(common) / task.words, 4) if task.words else None,
        }

    def _cut_segments(self, words: list[str]) -> None:
        words = self._open + words
        full = len(words) - len(words) % SEGMENT
        for start in range(0, full, SEGMENT):
            self._segments[0] += 1
            self._segments[1] += len(set(map(_composed, set(words[start : start + SEGMENT]))))
        self._open = words[full:]


def cut_words(text: str) -> list[str]:
    """The words of `text`, in NFC and without differences of case.

    A word is a run of letters, marks and digits of any script. Marks are part of it: Indic scripts write vowels as
    marks, and `\\w` would cut words there. Joiners and soft hyphens within it are left out, an apostrophe between two
    letters stays. Scripts that put nothing between words (Chinese, Thai) are not cut.

    >>> cut_words("The woman's dogs"), cut_words("பெண்களின் நாய்!")
    (['the', "woman's", 'dogs'], ['பெண்களின்', 'நாய்'])
    """
    return list(map(_composed, _cut([text])[0]))


def _composed(word: str) -> str:
    return word if word.isascii() else unicodedata.normalize("NFC", word)


def _cut(texts: list[str]) -> tuple[list[str], np.ndarray]:
    """The words of all `texts` in their order, not composed, and (texts,) how many each of them has.

    They are cut as an array of code points: by regular expressions a million texts take most of a minute.
    """
    joined = "\0".join(text.replace("\0", " ") if "\0" in text else text for text in texts).casefold()
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    kinds = _kinds()[points]
    if (kinds == _UNSEEN).any():
        points, kinds = points[kinds != _UNSEEN], kinds[kinds != _UNSEEN]
    inside = kinds == _INSIDE
    between = np.flatnonzero((kinds[1:-1] == _APOSTROPHE) & inside[:-2] & inside[2:]) + 1
    cut = np.where(inside, points, np.uint32(ord(" ")))
    cut[between], inside[between] = ord("'"), True
    begins = inside & ~np.concatenate(([False], inside[:-1]))
    of = np.cumsum(points == 0)[begins]  # the text of each word
    return cut.tobytes().decode("utf-32-le").split(), np.bincount(of, minlength=len(texts))


@lru_cache(maxsize=1)
def _kinds() -> np.ndarray:
    """What each code point is in a word."""
    letters = (_INSIDE if unicodedata.category(chr(point))[0] in "LMN" else _OUTSIDE for point in range(0x110000))
    kinds = np.fromiter(letters, dtype=np.uint8, count=0x110000)
    kinds[list(map(ord, WITHIN_WORDS))], kinds[list(map(ord, APOSTROPHES))] = _UNSEEN, _APOSTROPHE
    return kinds


def quantile(counts: Counter[int], percent: float) -> int:
    """The least of the values that `counts` counts that so many percent of them do not exceed; 0 if there are none."""
    if not counts:
        return 0
    weights = list(counts.values())
    return int(np.quantile(list(counts), percent / 100, weights=weights, method="inverted_cdf"))


@dataclass(frozen=True)
class TermList:
    """The terms of one language: `terms` by group and category; a document of `demographics.yaml` describes them."""

    language: str
    terms: dict[str, dict[str, str]]

    def count(self, vocabulary: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """By group and category, how many words of `vocabulary` (counts by word) belong to it."""
        words = sorted(vocabulary)

        def found(terms: str) -> int:
            return sum(vocabulary[word] for word in _belonging(terms, words))

        return {
            group: {category: found(terms) for category, terms in categories.items()}
            for group, categories in self.terms.items()
        }


def _belonging(terms: str, words: Sequence[str]) -> set[str]:
    """Those of the sorted `words` that `terms`, with spaces between them, name."""
    found: set[str] = set()
    for term in terms.split():
        (word,) = cut_words(term.removesuffix("*"))
        if term.endswith("*"):
            found.update(_beginning_with(word, words))
        else:
            found.update(_beginning_with(f"{word}'", words))  # woman's
            found.update(each for each in _beginning_with(word, words)[:1] if each == word)
    return found


def _beginning_with(beginning: str, words: Sequence[str]) -> Sequence[str]:
    """Those of the sorted `words` that begin so."""
    start = bisect_left(words, beginning)
    return words[start : bisect_left(words, beginning + chr(sys.maxunicode), start)]


def read_terms(path: str | None = None) -> dict[str, TermList]:
    """The built-in lists by language; the file at `path` has lists in the place of those of its languages.

    Raises:
        InputError: there is no such file, or it does not describe lists of terms.
    """
    lists = _read_terms(files(__package__).joinpath("demographics.yaml"), "demographics.yaml")
    return lists if path is None else lists | _read_terms(Path(path), f"--terms {path}")


def _read_terms(path: Path | Traversable, where: str) -> dict[str, TermList]:
    lists: dict[str, TermList] = {}
    for mapping in read_mappings(path, TermList, where):
        language, terms = mapping["language"], mapping["terms"]
        if not isinstance(language, str) or language in lists:
            again = "is there twice" if language in lists else "is no language code; put it in quotes"
            raise InputError(f"{where}: `language: {language}` {again}")
        if not isinstance(terms, dict) or not terms:
            raise InputError(f"{where}, language {language}: `terms` must be a mapping of groups of terms")
        groups = {str(group): _group(terms[group], group, language, where) for group in terms}
        lists[language] = TermList(language, groups)
    return lists


def _group(categories: Any, group: Any, language: str, where: str) -> dict[str, str]:
    named = f"{where}, language {language}, group {group}"
    if not isinstance(categories, dict) or not categories:
        raise InputError(f"{named}: must be a mapping of categories, such as `women: woman women`")
    for category, terms in categories.items():
        if not has_text(terms):
            raise InputError(f"{named}, category {category}: words with spaces between them are needed, not {terms!r}")
        for term in terms.split():
            if len(cut_words(term.removesuffix("*"))) != 1 or "*" in term[:-1]:
                raise InputError(f"{named}, category {category}: {term!r} is no single word, nor `word*`")
    return {str(category): terms for category, terms in categories.items()}
