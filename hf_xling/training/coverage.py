"""Whether a tokenizer knows the language of some texts: unknown tokens, and into how many pieces it cuts a word.

An encoder whose tokenizer does not know the script gives nearly one vector for all texts, and trains without an error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_xling.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEXTS, CHARACTERS = 1000, 2000  # texts that are counted at most, and of each its beginning
NO_CHARACTER = "\U0010ffff"  # which no text has, and no vocabulary
MOST_UNKNOWN = 0.2  # of the tokens
# Blocks of scripts that are written without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Tai, Balinese,
# Javanese, Chinese and Japanese, Yi.
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u1aaf\u1b00-\u1b7f\u2e80-\u2fdf\u3005-\u30ff\u3400-\u9fff"
    "\ua000-\ua4cf\ua980-\ua9ff\uaa60-\uaadf\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class Coverage:
    """What a tokenizer makes of texts.

    Attributes:
        unknown: the share of tokens, from 0 to 1, that are the unknown token. What vanishes of a word counts as that
            share of one.
        pieces: tokens a word; in scripts without spaces, tokens a character.
        unit: `word` or `character`.
        bytes: the share of tokens that are single bytes of what has no token of its own.
    """

    unknown: float
    pieces: float
    unit: str
    bytes: float = 0.0

    def __str__(self) -> str:
        """`93.1% of the tokens unknown, 1.9 pieces a word`."""
        single = f", {self.bytes:.1%} single bytes" if self.bytes else ""
        return f"{self.unknown:.1%} of the tokens unknown{single}, {self.pieces:.1f} pieces a {self.unit}"

    @property
    def is_poor(self) -> bool:
        """Whether so many tokens are unknown that a model has hardly anything to read."""
        return self.unknown > MOST_UNKNOWN

    @property
    def figures(self) -> dict[str, float]:
        """As `all_results.json` has them."""
        return {"unknown_tokens": round(self.unknown, 6), f"pieces_per_{self.unit}": round(self.pieces, 4)}


def coverage(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Coverage:
    """What `tokenizer` makes of the first `TEXTS` of `texts`, without its special tokens."""
    texts = [text[:CHARACTERS] for text in texts[:TEXTS]]
    if not texts:
        return Coverage(0.0, 0.0, "word")
    encoded = tokenizer(texts, add_special_tokens=False, truncation=False, verbose=False)
    unknown, single = _unknown_tokens(tokenizer), _byte_tokens(tokenizer)
    tokens, unknowns, bytes_ = 0.0, 0.0, 0
    for number, ids in enumerate(encoded["input_ids"]):
        vanished = _vanished(texts[number], encoded[number].offsets) if tokenizer.is_fast else 0
        tokens += len(ids) + vanished
        unknowns += vanished + sum(token in unknown for token in ids)
        bytes_ += sum(token in single for token in ids) if single else 0
    letters = [letter for text in texts for letter in text if unicodedata.category(letter)[0] in "LN"]
    unspaced = sum(UNSPACED.match(letter) is not None for letter in letters) > len(letters) / 2
    units = len(letters) if unspaced else sum(len(text.split()) for text in texts)
    unit, tokens_or_one = "character" if unspaced else "word", max(tokens, 1)
    return Coverage(unknowns / tokens_or_one, tokens / max(units, 1), unit, bytes_ / tokens_or_one)


def check_coverage(
    tokenizer: PreTrainedTokenizerBase,
    dataset: Any,
    columns: Sequence[str],
    allowed: bool,
    name: str,
    of: str = "",
) -> dict[str, Coverage]:
    """What `tokenizer` makes of the texts in those of `columns` that `dataset` has, by column, from a sample of rows.

    Args:
        dataset: of texts; what is none has no columns.
        name: of the model.
        of: what errors call `dataset`, if it is not the training set.

    Raises:
        InputError: it knows too few of their tokens, and that is not `allowed`.
    """
    found: dict[str, Coverage] = {}
    for column in columns:
        if column not in getattr(dataset, "column_names", ()) or not len(dataset):
            continue
        rows = dataset.select(range(0, len(dataset), -(-len(dataset) // TEXTS)))
        found[column] = coverage(tokenizer, [text for text in rows[column] if isinstance(text, str)])
        if found[column].is_poor and not allowed:
            raise InputError(
                f"{f'{of}, ' if of else ''}column `{column}`: {found[column]}; {name} does not know this language or "
                "script; take a model that does (--allow_unknown_tokens trains it all the same)"
            )
    return found


def check_held_out(
    tokenizer: PreTrainedTokenizerBase, sets: Mapping[str, Any], columns: Sequence[str], allowed: bool, name: str
) -> dict[str, Coverage]:
    """`check_coverage` of each of `sets`: a dataset, or several by name (what is neither is left out).

    Returns:
        By set, and where it has several of the columns by column too: `eval_dataset`, `sts_dataset sentence1`.
    """
    found: dict[str, Coverage] = {}
    for of, given in sets.items():
        if isinstance(given, Mapping):
            given = {f"{of}[{key!r}]": each for key, each in given.items()}
            found |= check_held_out(tokenizer, given, columns, allowed, name)
        elif hasattr(given, "column_names"):
            of_set = check_coverage(tokenizer, given, columns, allowed, name, of)
            found |= {f"{of} {column}" if len(columns) > 1 else of: each for column, each in of_set.items()}
    return found


def _unknown_tokens(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The unknown token, as the tokenizer declares it or as its file has it."""
    known = {tokenizer.unk_token_id} - {None}
    if tokenizer.is_fast:
        try:
            tokens = tokenizer.backend_tokenizer.model.tokenize(NO_CHARACTER)
        except Exception:  # tokenizers raises no other kind: of a file without one, or with one that it lacks
            return known
        if len(tokens) == 1:  # and not four bytes
            known.add(tokens[0].id)
    return known


def _byte_tokens(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    vocabulary = tokenizer.get_vocab()
    return {vocabulary[token] for token in (f"<0x{byte:02X}>" for byte in range(256)) if token in vocabulary}


def _vanished(text: str, offsets: Sequence[tuple[int, int]]) -> float:
    """How many words of `text` no token has anything of; of other words the share of their letters."""
    covered = bytearray(len(text))
    for start, end in offsets:
        covered[start:end] = b"\1" * (end - start)
    lost = 0.0
    for match in re.finditer(r"\S+", text):
        start, end = match.span()
        if not any(covered[start:end]):
            lost += 1
        elif not all(covered[start:end]):  # accents and signs may be left out on purpose
            letters = [place for place in range(start, end) if unicodedata.category(text[place])[0] in "LN"]
            lost += sum(not covered[place] for place in letters) / max(len(letters), 1)
    return lost
