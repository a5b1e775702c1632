"""Texts that are longer than the model takes: cut at the end, cut in the middle, or read in windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy
from transformers import PreTrainedTokenizerBase

LongText = Literal["truncate", "head_tail", "windows"]
# Of a cut text a quarter of the tokens is its head, as Sun et al. 2019 found best ("How to Fine-Tune BERT for Text
# Classification?", section 5.3.1: 128 and 382 of 510).
HEAD_SHARE = 0.25
# Neighbouring windows share at least this part of their tokens, so that what one cuts the other has whole.
OVERLAP_SHARE = 0.125


@dataclass(frozen=True)
class Cutter:
    """Cuts texts to what the model takes.

    Attributes:
        tokenizer: of the model; its special tokens stand around each part.
        max_length: tokens of a part at most, special tokens included.
        long_text: `truncate` keeps the side that the tokenizer keeps (as a rule the beginning), `head_tail` the
            beginning and the end, `windows` all of it, in overlapping parts of equal length.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    long_text: LongText = "truncate"

    def __call__(self, texts: Sequence[str]) -> list[tuple[list[numpy.ndarray], int]]:
        """For each text its parts, (at most `max_length`,) int32 each, and how many tokens it has uncut.

        A text has one part, but for `windows`.
        """
        encoded = self.tokenizer(
            list(texts), truncation=False, return_attention_mask=False, return_special_tokens_mask=True, verbose=False
        )
        return [
            (self._parts(numpy.array(ids, dtype=numpy.int32), special), len(ids))
            for ids, special in zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
        ]

    def _parts(self, ids: numpy.ndarray, special: Sequence[int]) -> list[numpy.ndarray]:
        if len(ids) <= self.max_length:
            return [ids]
        first = special.index(0)  # a text of special tokens alone is never too long
        last = len(special) - special[::-1].index(0)
        before, content, behind = ids[:first], ids[first:last], ids[last:]
        room = self.max_length - len(before) - len(behind)
        if self.long_text == "windows":
            kept = [content[start : start + room] for start in window_starts(len(content), room)]
        elif self.long_text == "head_tail":
            head = round(HEAD_SHARE * room)
            kept = [numpy.concatenate([content[:head], content[len(content) - (room - head) :]])]
        else:
            kept = [content[-room:] if self.tokenizer.truncation_side == "left" else content[:room]]
        return [numpy.concatenate([before, part, behind]) for part in kept]


def window_starts(length: int, size: int) -> list[int]:
    """Where the windows of `size` tokens begin that cover `length` > `size` tokens.

    As few as overlap by `OVERLAP_SHARE`, the first at the beginning, the last at the end, evenly between.
    """
    step = max(1, size - round(OVERLAP_SHARE * size))
    count = 1 + math.ceil((length - size) / step)
    return [round(number * (length - size) / (count - 1)) for number in range(count)]
