"""Words that name groups of people, and how often they stand in a vocabulary."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from hf_xling.errors import InputError
from hf_xling.folding import has_text
from hf_xling.generation.languages import read_mappings
from hf_xling.quality.words import cut_words

# (group, category), such as ("gender", "women")
Category = tuple[str, str]


@dataclass(frozen=True)
class TermList:
    """The terms of one language: `terms` by group and category; a document of `demographics.yaml` describes them."""

    language: str
    terms: dict[str, dict[str, str]]

    @property
    def categories(self) -> list[Category]:
        """All of them, in their order."""
        return [(group, category) for group, categories in self.terms.items() for category in categories]

    def count(self, vocabulary: Mapping[str, int]) -> dict[Category, int]:
        """How many words of `vocabulary` (counts by word, as `TextCounts` has them) belong to each category."""
        words = sorted(vocabulary)
        counts = {}
        for group, category in self.categories:
            found: set[str] = set()
            for term in self.terms[group][category].split():
                (word,) = cut_words(term.removesuffix("*"))
                if term.endswith("*"):
                    found.update(_beginning_with(word, words))
                else:
                    found.update(_beginning_with(f"{word}'", words))  # woman's
                    found.update({word} & vocabulary.keys())
            counts[group, category] = sum(vocabulary[word] for word in found)
        return counts


def _beginning_with(beginning: str, words: Sequence[str]) -> Sequence[str]:
    """Those of the sorted `words` that begin so."""
    start = bisect_left(words, beginning)
    return words[start : bisect_left(words, beginning + chr(sys.maxunicode), start)]


def read_terms(path: str | None = None) -> dict[str, TermList]:
    """The built-in lists by language; the file at `path` has lists in the place of those of its languages.

    Raises:
        InputError: there is no such file, or it does not describe lists of terms.
    """
    lists = _read(files(__package__).joinpath("demographics.yaml"), "demographics.yaml")
    return lists if path is None else lists | _read(Path(path), f"--terms {path}")


def _read(path: Path | Traversable, where: str) -> dict[str, TermList]:
    lists: dict[str, TermList] = {}
    for mapping in read_mappings(path, TermList, where):
        language, terms = mapping["language"], mapping["terms"]
        if not isinstance(language, str) or language in lists:
            again = "stands there twice" if language in lists else "is no language code; put it in quotes"
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
