"""Which columns of a table are the views of a row: by their names, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from hf_xling.errors import InputError

# The columns of text pairs under the names that published corpora give them.
PAIRS = (
    *(("anchor", name) for name in ("positive", "pos")),
    *(("query", name) for name in ("positive", "pos", "answer", "passage", "document")),
    *(("question", name) for name in ("positive", "pos", "answer")),
    *(("text", "positive"), ("sentence", "positive"), ("sent0", "sent1")),
)
# In these columns stand pairs that mean the same, or any pairs, with a label that tells.
ANY_PAIRS = (
    *(("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("sentence_a", "sentence_b"), ("text1", "text2")),
    *(("text_a", "text_b"), ("question1", "question2"), ("premise", "hypothesis"), ("source", "target")),
    *(("src", "tgt"), ("original", "paraphrase"), ("text", "paraphrase"), ("text", "translation")),
)
LABELS = (
    *("label", "labels", "gold_label", "score", "similarity", "similarity_score", "relatedness_score"),
    "is_duplicate",
)
SINGLE = ("anchor", "text", "sentence")
# Beside a single text each of these is the other one of a pair.
SECOND = ({name for _, name in (*PAIRS, *ANY_PAIRS)} | {"translated", "paraphrased", "source_text"}) - {"target"}
NEGATIVE = re.compile(r"(negative|neg|hard_neg|hard_negative)(?:_?(\d+))?$")
CHOOSE = "--anchor_column and --positive_column (and --negative_column) choose the columns"


def choose_columns(
    names: Sequence[str],
    source: str,
    anchor: str | None = None,
    positive: str | None = None,
    negatives: Sequence[str] | None = None,
) -> dict[str, str]:
    """The columns of a table by their names here: `anchor`, `positive` of text pairs, `negative` or `negative_1`, ….

    Args:
        names: of the columns that hold texts or labels.
        source: what errors call the table.
        anchor, positive, negatives: columns that the user has named; they win over what names say.

    Raises:
        InputError: the names do not say which column is the anchor, or whether rows are pairs.
    """
    known = {name.strip().lower(): name for name in names}
    listed = f"its columns are {', '.join(names)}"
    if anchor is not None or positive is not None:
        found = {"anchor": anchor or next((known[name] for name in SINGLE if name in known), None)}
        found["positive"] = positive or known.get("positive")
        if found["anchor"] is None:
            raise InputError(f"{source}: --anchor_column is needed with --positive_column; {listed}")
    else:
        found = _by_names(known, source, listed)
    chosen = {name: column for name, column in found.items() if column is not None}
    columns = negatives if negatives is not None else [known[name] for name in negative_columns(known)]
    single = len(columns) == 1
    chosen |= {"negative" if single else f"negative_{number}": name for number, name in enumerate(columns, 1)}
    if missing := [column for column in chosen.values() if column not in names]:
        raise InputError(f"{source}: has no column `{missing[0]}`; {listed}")
    return chosen


def _by_names(known: dict[str, str], source: str, listed: str) -> dict[str, str | None]:
    pair = next((pair for pair in (*PAIRS, *ANY_PAIRS) if set(pair) <= known.keys()), None)
    if pair is not None:
        label = next((known[name] for name in LABELS if name in known), None)
        if pair in ANY_PAIRS and label is not None:
            raise InputError(
                f"{source}: has `{known[pair[0]]}`, `{known[pair[1]]}` and `{label}`: not each row need be a pair of "
                f"texts that mean the same; keep those rows, and {CHOOSE}"
            )
        return {"anchor": known[pair[0]], "positive": known[pair[1]]}
    single = next((known[name] for name in SINGLE if name in known), None)
    second = next((known[name] for name in known if name in SECOND), None)
    if single is None:
        raise InputError(
            f"{source}: has no column `anchor`, `text` or `sentence`, nor known names of pairs; {CHOOSE}; {listed}"
        )
    if second is not None:
        raise InputError(
            f"{source}: has `{single}` and `{second}`: are they pairs, or is each `{single}` meant alone "
            f"(--anchor_column {single})? {CHOOSE}"
        )
    return {"anchor": single, "positive": None}


def negative_columns(names: Collection[str]) -> list[str]:
    """The columns of hard negatives among `names`, `negative` first, then by number."""
    matches = {name: match for name in names if (match := NEGATIVE.match(name)) is not None}
    return sorted(matches, key=lambda name: int(matches[name][2] or -1))


def pairs_in_words(columns: dict[str, str], rows: int) -> str:
    """`1,200 dropout pairs (text)`, `1,200 text pairs (sent0, sent1)`, `1,200 triplets (…)`."""
    names = ", ".join(columns.values())
    if "positive" not in columns:
        more = len(columns) - 1
        with_negatives = f" with {more} hard negative{'s' * (more > 1)}" if more else ""
        return f"{rows:,} dropout pairs ({names}){with_negatives}"
    return f"{rows:,} {'text pairs' if len(columns) == 2 else 'triplets'} ({names})"
