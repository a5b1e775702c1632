"""Filters: each answer gets scores and, where it is unfit for a corpus, the reason. Rejected rows are kept as data."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from hf_xling.generation.languages import Language
from hf_xling.generation.records import Completion

MIN_SCRIPT_SHARE = 0.5


@dataclass(frozen=True)
class Verdict:
    """What the filters say of one answer.

    Attributes:
        script_share: share of the answer's letters in the script of its language; None without an answer.
        length_ratio: characters of the answer to those of the source; None without an answer.
        reason: why the answer is rejected; None if it is accepted.
    """

    script_share: float | None = None
    length_ratio: float | None = None
    reason: str | None = None


def judge(source: str, completion: Completion, language: Language) -> Verdict:
    """Score the answer to `source` and name the first thing that is wrong with it.

    Reasons: `endpoint: …` (the request failed), `empty` (no letter and no digit), `truncated` (cut at the token limit),
    `copy` (the source again), `wrong_script` (less than half of its letters belong to `language`).
    """
    if completion.error is not None:
        return Verdict(reason=f"endpoint: {completion.error}")
    text = completion.text or ""
    if not fold(text):
        return Verdict(reason="empty")
    script_share, length_ratio = language.script_share(text), len(text) / len(source)
    if completion.finish_reason == "length":
        reason = "truncated"
    elif fold(text) == fold(source):
        reason = "copy"
    elif script_share < MIN_SCRIPT_SHARE:
        reason = "wrong_script"
    else:
        reason = None
    return Verdict(script_share, length_ratio, reason)


def duplicates(answers: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """The (source, answer) pairs whose answer was given before to another source; `answers` come in row order."""
    first_source: dict[str, str] = {}
    return {(source, answer) for source, answer in answers if first_source.setdefault(fold(answer), source) != source}


def fold(text: str) -> str:
    """`text` for comparison: NFKC, case-folded, letters, marks and digits only, single spaces."""
    # Joiners and soft hyphens stand within words, and half of all writers leave them out.
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = (character if unicodedata.category(character)[0] in "LMN" else " " for character in text)
    return " ".join("".join(kept).split())
