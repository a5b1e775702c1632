"""The texts of a dataset as token ids, tokenised once, and what of them is cut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy
from datasets import Dataset
from tqdm import tqdm

from hf_xling.errors import InputError
from hf_xling.regression.long_text import Cutter

TEXTS_PER_CALL = 1_000
NOTEWORTHY = 0.05  # of the documents that are cut


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
                if column == "text":
                    fits, needed = isinstance(value, str), "a text"
                elif task == "classification":
                    fits, needed = isinstance(value, int) and value >= 0, "a whole number from 0"
                else:
                    fits, needed = isinstance(value, int | float) and math.isfinite(value), "a finite number"
                if not fits:
                    raise InputError(f"{name}, row {row}, column `{column}`: is {value!r}; {needed} is needed")


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
