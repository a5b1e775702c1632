"""Rated documents on their way into the model: cut to what it takes, as token ids, in the passes of a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from datasets import Dataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from hf_xling.errors import InputError
from hf_xling.regression.config import LongText
from hf_xling.training.chunking import Side, pad, split_padded

TEXTS_PER_CALL = 1_000
NOTEWORTHY = 0.05  # of the documents that are cut
# Of a cut text a quarter of the tokens is its head, as Sun et al. 2019 found best ("How to Fine-Tune BERT for Text
# Classification?", section 5.3.1: 128 and 382 of 510).
HEAD_SHARE = 0.25
# Neighbouring windows share at least this part of their tokens, so that what one cuts the other has whole.
OVERLAP_SHARE = 0.125


def check_rows(sets: Mapping[str, Any], task: str) -> None:
    """Check the texts and labels of datasets, or of several by name, before anything is made of them.

    Raises:
        InputError: a text that is none, or a label that is no finite number (of classes: no whole number from 0).
    """
    for name, given in sets.items():
        if isinstance(given, Mapping):
            check_rows({f"{name}[{key!r}]": each for key, each in given.items()}, task)
        for column in ("text", "label") if isinstance(given, Dataset) else ():
            for row, value in enumerate(given[column] if column in given.column_names else (), 1):
                number = isinstance(value, int | float) and math.isfinite(value)
                if column == "text":
                    fits, needed = isinstance(value, str), "a text"
                elif task == "classification":
                    fits, needed = number and value >= 0 and value == int(value), "a whole number from 0"
                else:
                    fits, needed = number, "a finite number"
                if not fits:
                    raise InputError(f"{name}, row {row}, column `{column}`: is {value!r}; {needed} is needed")


@dataclass(frozen=True)
class Cutter:
    """Cuts texts to what the model takes.

    Attributes:
        tokenizer: of the model; its special tokens are around each part.
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


@dataclass(frozen=True)
class Cut:
    """How much of a dataset `max_length` cuts off.

    Attributes:
        documents, tokens: how many there are.
        long_documents: have more tokens than a part may have.
        cut_tokens: are in no part of their document.
    """

    documents: int
    long_documents: int
    tokens: int
    cut_tokens: int

    @property
    def is_noteworthy(self) -> bool:
        """Whether so much is cut that a user should know."""
        return self.cut_tokens > 0 and self.long_documents > NOTEWORTHY * self.documents

    def in_words(self, max_length: int) -> str:
        """`of 480 documents 403 (84 %) are longer than 512 tokens; 31 % of all tokens are cut`."""
        return (
            f"of {self.documents:,} documents {self.long_documents:,} ({self.long_documents / self.documents:.0%}) are "
            f"longer than {max_length} tokens; {self.cut_tokens / max(self.tokens, 1):.0%} of all tokens are cut"
        )


class DocumentTable:
    """Rated documents, each as one part or more of token ids (`long_text.Cutter`).

    Attributes:
        cut: what was cut off.

    Args:
        dataset: with the columns `text` and `label`.
        cutter: makes the parts.
        name: what errors call the dataset.

    Raises:
        InputError: a column is missing, or there are no rows.
    """

    def __init__(self, dataset: Dataset, cutter: Cutter, name: str = "dataset"):
        for column in ("text", "label"):
            if column not in dataset.column_names:
                raise InputError(f"{name}: has no column `{column}`; its columns are {', '.join(dataset.column_names)}")
        if len(dataset) == 0:
            raise InputError(f"{name}: is empty")
        self.labels = list(dataset["label"])
        self._parts: list[list[numpy.ndarray]] = []
        tokens, long, cut = 0, 0, 0
        starts = range(0, len(dataset), TEXTS_PER_CALL)
        for start in tqdm(starts, desc=f"tokens of {name}", unit="batch", disable=len(starts) < 10):
            for parts, length in cutter(dataset[start : start + TEXTS_PER_CALL]["text"]):
                if length == 0:
                    raise InputError(f"{name}, row {len(self._parts) + 1}: the text has no tokens")
                self._parts.append(parts)
                tokens += length
                long += length > cutter.max_length
                cut += length - len(parts[0]) if len(parts) == 1 else 0
        self.cut = Cut(len(self._parts), long, tokens, cut)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """`parts`: the token ids of each, (length,) int32; `label`."""
        return {"parts": self._parts[row], "label": self.labels[row]}


@dataclass
class RegressionCollator:
    """Sorts the parts of all documents of a batch by length into passes with little padding.

    >>> collate([{"parts": [[2, 7, 3]], "label": 4.5}, {"parts": [[2, 8, 9, 3], [2, 9, 9, 3]], "label": 1.0}])
    {"labels": tensor([4.5, 1.0]),
     "chunks": [{"input_ids": (3, 4), "attention_mask": (3, 4), "documents": tensor([0, 1, 1]),
                 "labels": tensor([4.5, 1.0, 1.0]), "weights": tensor([1.0, 0.5, 0.5])}]}

    A part has its document's label; the weights of a document's parts add up to 1.

    Args:
        pad_token_id: the id of the padding token.
        token_budget: tokens of a pass at most, padding included, but at least one part.
        label_dtype: float32 for ratings, int64 for classes.
        side: of the padding; None for passes of texts of one length.
    """

    pad_token_id: int = 0
    token_budget: int | None = None
    label_dtype: torch.dtype = torch.float32
    side: Side = "right"

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        parts = [part for row in rows for part in row["parts"]]
        documents = torch.tensor([number for number, row in enumerate(rows) for _ in row["parts"]])
        weights = torch.tensor([1 / len(row["parts"]) for row in rows for _ in row["parts"]])
        labels = torch.tensor([row["label"] for row in rows], dtype=self.label_dtype)
        chunks = []
        for places in split_padded([len(part) for part in parts], self.token_budget, side=self.side):
            where = torch.tensor(places)
            of_parts = {"documents": documents[where], "labels": labels[documents[where]], "weights": weights[where]}
            chunks.append({**pad([parts[place] for place in places], self.pad_token_id, self.side), **of_parts})
        return {"labels": labels, "chunks": chunks}
