"""Function words: which language a text in a shared script is in, and which words of it carry content.

A rule for plain cases, such as a French answer where an English one was asked for. It says nothing about a language
without a list in `function_words.yaml`, or about a text with few function words: short ones, names, headlines.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Set
from functools import cache
from importlib.resources import files

import yaml

from hf_xling.generation.scores import fold

LEAST_WORDS = 5  # of a text
LEAST_DISTINCT = 3  # function words of another language, and ...
LEAST_SHARE = 0.2  # ... their share of all words, ...
MOST_OWN = 1 / 3  # ... and how many of the language itself there may be for each
LEAST_WITHOUT_OWN = 8  # words of a text: with none of its own language, two foreign ones are enough
# Letters that a language has in foreign words only
_FOREIGN_LETTERS = {
    **dict.fromkeys(("en", "sw", "id"), re.compile(r"[^\W\d_a-z]")),
    "qu": re.compile(r"[^\W\d_a-zñ]"),
    "hi": re.compile("ळ"),
}


@cache
def _lists() -> Mapping[str, frozenset[str]]:
    texts = yaml.safe_load(files(__package__).joinpath("function_words.yaml").read_text("utf-8"))
    return {code: frozenset(fold(text).split()) for code, text in texts.items()}


@cache
def _languages_of() -> Mapping[str, frozenset[str]]:
    """The languages of each function word."""
    codes = defaultdict(set)
    for code, words in _lists().items():
        for word in words:
            codes[word].add(code)
    return {word: frozenset(of) for word, of in codes.items()}


def _base(code: str) -> str:
    return code.replace("_", "-").split("-")[0].lower()


def function_words(code: str) -> frozenset[str]:
    """Those of the language `code` (`pt` for `pt-BR`), folded; none if there is no list of them."""
    return _lists().get(_base(code), frozenset())


# What `fold` makes of English contractions, and the words that they are of; "'s" and "'d" are any of several.
_CONTRACTED = {"re": "are", "ve": "have", "ll": "will", "m": "am"}
_NEGATED = {"can": "can", "won": "will", "shan": "shall"}


def uncontracted(folded: str, code: str) -> str:
    """`folded` with the words of its contractions, where `code` is English: "doesn t" is "does not"."""
    if _base(code) != "en":
        return folded
    words: list[str] = []
    for word in folded.split():
        if word == "t" and words and words[-1].endswith("n"):
            words[-1:] = [_NEGATED.get(words[-1], words[-1][:-1]), "not"]
        elif word == "cannot":
            words += ["can", "not"]
        else:
            words.append(_CONTRACTED.get(word, word) if words else word)
    return " ".join(words)


def in_other_language(text: str, folded: str, code: str, known: Set[str] = frozenset()) -> bool:
    """Whether `text` is plainly in another language than `code`, of the same script.

    Args:
        text, folded: the text, and what `scores.fold` makes of it.
        code: the language that it should be in.
        known: words that are no sign of another language: those of a source in `code` itself.
    """
    code, words, languages_of = _base(code), folded.split(), _languages_of()
    if code not in _lists() or len(words) < LEAST_WORDS:
        return False
    # Of each other language, the words that are not those of `code` as well
    found: dict[str, list[str]] = defaultdict(list)
    own = []
    for word in words:
        codes = languages_of.get(word, ())
        if code in codes:
            own.append(word)
        elif word not in known:
            for other in codes:
                found[other].append(word)
    other, theirs = max(found.items(), key=lambda item: (len(item[1]), item[0]), default=("", []))
    plainly = len(set(theirs)) >= LEAST_DISTINCT and len(theirs) >= LEAST_SHARE * len(words)
    plainly = plainly and sum(other not in languages_of[word] for word in own) <= MOST_OWN * len(theirs)
    if not plainly and not own and len(words) >= LEAST_WITHOUT_OWN:
        letters = _FOREIGN_LETTERS.get(code)
        strange = {word for word in words if letters and word not in known and letters.search(word)}
        # English names stand in the midst of other scripts.
        same_script = {word for word in theirs if not word.isascii() or any(map(str.isascii, _lists()[code]))}
        plainly = len(same_script) >= 2 or len(strange) >= 2
    if not plainly:
        return False
    # In names and titles all words of content are capitalised.
    content = [word for word in text.split() if fold(word) not in languages_of]
    return not content or not all(word[:1].istitle() for word in content)
