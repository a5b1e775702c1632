"""Texts made comparable: without differences that a reader does not see."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TypeGuard

# Beginnings and ends of ranges, for a regular expression's `[]`.
CONTROLS = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # those that are no white space
# Soft hyphen, zero-width non-joiner and joiner, word joiner: within words, where half of all writers leave them out.
WITHIN_WORDS = "\u00ad\u200c\u200d\u2060"
# Code points that show nothing: controls, Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt, with the
# reserved ones: joiners, variation selectors, soft hyphen, byte-order mark, marks of direction, fillers, tags), the
# marks of interlinear annotation, and letters and controls without a shape: the empty cell of Braille, the null note
# head, the filler of Khitan, the joiners of Egyptian hieroglyphs.
_SHOW_NOTHING = (
    f"{CONTROLS}{WITHIN_WORDS}\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2061-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u2800\U00013430-\U0001343f\U00016fe4\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U0001d159\U000e0000-\U000e0fff"
)
_UNSEEN = re.compile(f"[{_SHOW_NOTHING}]+")
_SEEN = re.compile(rf"[^\s{_SHOW_NOTHING}]")
_DIGIT = re.compile(r"\d")


def fold(text: str) -> str:
    """`text` without what nobody sees: code points that show nothing, full width, case, kinds of white space.

    NFKC makes one of the spellings of a letter, also of half- and full-width forms and ligatures. A run of white space
    is one space. Halves of surrogate pairs, which are no text, are question marks.

    >>> fold("Ｔｈｅ\\u00a0 FI\\u00adLM\\u200d")
    'the film'
    """
    if text.isascii():
        return " ".join((text if text.isprintable() else _UNSEEN.sub("", text)).lower().split())
    text = _UNSEEN.sub("", text.encode("utf-8", "replace").decode())
    text = unicodedata.normalize("NFKC", text)
    if (lower := text.casefold()) != text:
        text = unicodedata.normalize("NFKC", lower)  # folding the case can take letters apart
    return " ".join(text.split())


def has_text(value: object) -> TypeGuard[str]:
    """Whether `value` is a string in which a reader sees something: what is left when it is folded.

    >>> has_text("a"), has_text("\\u200b \\u3164"), has_text(None)
    (True, False, False)
    """
    return isinstance(value, str) and _SEEN.search(value) is not None


class Characters(dict[int, int | str | None]):
    """A table for `str.translate` that fills itself: each character is looked up in Unicode's tables once.

    Args:
        becomes: what takes a character's place (None: nothing), by its code point and its general category.
    """

    def __init__(self, becomes: Callable[[int, str], int | str | None]):
        super().__init__()
        self._becomes = becomes

    def __missing__(self, point: int) -> int | str | None:
        self[point] = self._becomes(point, unicodedata.category(chr(point)))
        return self[point]


def same_digits(text: str) -> str:
    """`text` with the decimal digits of any script as 0 to 9.

    >>> same_digits("௨௦२६")
    '2026'
    """
    return text if text.isascii() else _DIGIT.sub(lambda digit: str(int(digit[0])), text)
