"""Which columns of a table are the views of a row: by their names and contents, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hf_xling.errors import InputError

# The columns of text pairs under the names that published corpora give them.
PAIRS = (
    *(("anchor", name) for name in ("positive", "pos", "positives", "entailment", "pair")),
    *(("query", name) for name in ("positive", "pos", "positives", "answer", "passage", "document")),
    *(("question", name) for name in ("positive", "pos", "answer")),
    *(("text", "positive"), ("sentence", "positive"), ("sent0", "sent1"), ("premise", "entailment")),
)
# These columns hold pairs that mean the same, or any pairs, with a label that tells.
ANY_PAIRS = (
    *(("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("sentence_a", "sentence_b"), ("text1", "text2")),
    *(("text_a", "text_b"), ("question1", "question2"), ("premise", "hypothesis"), ("source", "target")),
    *(("src", "tgt"), ("original", "paraphrase"), ("text", "paraphrase"), ("text", "translation")),
    *(("text", "text_pair"), ("sentence", "sentence_pair")),
)
LABEL = re.compile(r"(.*_)?(labels?|scores?|similarity|class|relation|judge?ment|verdict)|is_.+")
SINGLE = ("anchor", "text", "sentence")
# Columns that tell something about a row, unless they hold sentences.
ABOUT = re.compile(
    r"(.*_)?(ids?|idx|index|uuid|sha|hash|key|group|split|fold|task|model|reason|language|lang|script|source|url|uri|"
    r"path|file|filename|domain|genre|category|topic|tags?|author|user|name|date|time|timestamp|licen[sc]e)"
)
ABOUT_WORDS, CLASS_WORDS = 4, 3  # of a value on average, from which (up to which) it is a text (may be a class)
CLASSES = 20  # of a column at most
_CODE = re.compile(r"\S*[\d_/:@\\]\S*|[^\w]*[\d\W]+")  # a number, a date, a hash, a path
NEGATIVE = re.compile(
    r"(?:(?:hard_?)?neg(?:ative)?s?(?:_(?:text|sentence|passage|document)s?)?|contradictions?)(?:_?(\d+))?"
)
CHOOSE = "--anchor_column and --positive_column (and --negative_column) choose the columns"


def choose_columns(
    columns: Mapping[str, Sequence[Any]],
    source: str,
    anchor: str | None = None,
    positive: str | None = None,
    negatives: Sequence[str] | None = None,
) -> dict[str, str]:
    """The columns of a table by their names here: `anchor`, `positive` of text pairs, `negative` or `negative_1`, ….

    Args:
        columns: of the table, with the values of some rows.
        source: what errors call the table.
        anchor, positive, negatives: columns that the user has named; they win over what names say.

    Raises:
        InputError: the names do not say which column is the anchor, or whether rows are pairs.
    """
    known = {name.strip().lower(): name for name, values in columns.items() if _may_be_text(values)}
    listed = f"its columns are {', '.join(columns)}"
    if anchor is not None or positive is not None:
        found = {"anchor": anchor or next((known[name] for name in SINGLE if name in known), None)}
        found["positive"] = positive or known.get("positive")
        if found["anchor"] is None:
            raise InputError(f"{source}: --anchor_column is needed with --positive_column; {listed}")
    else:
        found = _by_names(known, columns, source, listed)
    chosen = {name: column for name, column in found.items() if column is not None}
    given = negatives if negatives is not None else [known[name] for name in negative_columns(known)]
    given = [name for name in given if name not in chosen.values()] if negatives is None else given
    single = len(given) == 1
    chosen |= {"negative" if single else f"negative_{number}": name for number, name in enumerate(given, 1)}
    if missing := [column for column in chosen.values() if column not in columns]:
        raise InputError(f"{source}: has no column `{missing[0]}`; {listed}")
    if (
        anchor is None
        and positive is None
        and "positive" not in chosen
        and (more := left_out(columns, chosen.values()))
    ):
        raise InputError(
            f"{source}: has `{chosen['anchor']}` and `{more[0]}`: are they pairs, or is each `{chosen['anchor']}` "
            f"meant alone (--anchor_column {chosen['anchor']})? {CHOOSE}"
        )
    return chosen


def _by_names(
    known: dict[str, str], columns: Mapping[str, Sequence[Any]], source: str, listed: str
) -> dict[str, str | None]:
    pair = next((pair for pair in (*PAIRS, *ANY_PAIRS) if set(pair) <= known.keys()), None)
    if pair is not None:
        label = next((name for name, values in columns.items() if name not in pair and _is_label(name, values)), None)
        if pair in ANY_PAIRS and label is not None:
            raise InputError(
                f"{source}: has `{known[pair[0]]}`, `{known[pair[1]]}` and `{label}`: not each row need be a pair of "
                f"texts that mean the same; keep those rows, and {CHOOSE}"
            )
        return {"anchor": known[pair[0]], "positive": known[pair[1]]}
    single = next((known[name] for name in SINGLE if name in known), None)
    if single is None:
        raise InputError(
            f"{source}: has no column `anchor`, `text` or `sentence`, nor known names of pairs; {CHOOSE}; {listed}"
        )
    return {"anchor": single, "positive": None}


def left_out(columns: Mapping[str, Sequence[Any]], taken: Collection[str]) -> list[str]:
    """The columns of texts that are not `taken`: by what is in them, not by their names alone."""
    return [name for name, values in columns.items() if name not in taken and _holds_texts(name, values)]


def _holds_texts(name: str, values: Sequence[Any]) -> bool:
    """Whether `values` are texts, or lists of them, and no ids, numbers, dates or names of classes."""
    some = [text for value in values for text in (value if isinstance(value, list) else [value])]
    texts = [value for value in some if isinstance(value, str) and value.strip()]
    codes = sum(_CODE.fullmatch(text.strip()) is not None for text in texts)
    if not texts or codes > len(texts) / 2 or LABEL.fullmatch(name.strip().lower()):
        return False
    if ABOUT.fullmatch(name.strip().lower()):
        return _words(texts) >= ABOUT_WORDS
    return not _are_classes(texts)


def _is_label(name: str, values: Sequence[Any]) -> bool:
    """Whether a column tells of each row whether it is a pair: a label or a score, by its name or its values."""
    some = [value for value in values if value is not None]
    if LABEL.fullmatch(name.strip().lower()):
        return True
    if ABOUT.fullmatch(name.strip().lower()) or len(set(map(str, some))) < 2:
        return False
    try:
        numbers = [float(value) for value in some]  # a CSV has them as strings
    except (TypeError, ValueError):
        return all(isinstance(value, str) for value in some) and _are_classes(some)
    return not all(map(float.is_integer, numbers)) or len(set(numbers)) <= min(CLASSES, len(numbers) / 2)


def _are_classes(texts: Sequence[str]) -> bool:
    return len(set(texts)) <= min(CLASSES, len(texts) / 2) and _words(texts) <= CLASS_WORDS


def _words(texts: Sequence[str]) -> float:
    return sum(len(text.split()) for text in texts) / len(texts)


def _may_be_text(values: Sequence[Any]) -> bool:
    return not isinstance(next((value for value in values if value is not None), None), int | float)


def negative_columns(names: Collection[str]) -> list[str]:
    """The columns of hard negatives among `names`, `negative` first, then by number."""
    matches = {name: match for name in names if (match := NEGATIVE.fullmatch(name)) is not None}
    return sorted(matches, key=lambda name: int(matches[name][1] or -1))


def pairs_in_words(columns: dict[str, str], rows: int, unused: Sequence[str] = ()) -> str:
    """`1,200 dropout pairs (text)`, `1,200 text pairs (sent0, sent1); left out: title`, `1,200 triplets (…)`."""
    names = ", ".join(columns.values())
    more_texts = f"; left out: {', '.join(unused)}" if unused else ""
    if "positive" not in columns:
        more = len(columns) - 1
        with_negatives = f" with {more} hard negative{'s' * (more > 1)}" if more else ""
        return f"{rows:,} dropout pairs ({names}){with_negatives}{more_texts}"
    return f"{rows:,} {'text pairs' if len(columns) == 2 else 'triplets'} ({names}){more_texts}"
