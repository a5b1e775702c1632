"""From rows of texts to one padded batch of all views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase


@dataclass
class SimCSECollator:
    """Tokenises the views of a batch together, so that one forward pass encodes them all.

    Rows have `anchor`; `positive` if the pair is two texts, else the anchor stands twice and dropout makes the two
    views differ; `negative` or `negative_1`, `negative_2`, … for hard negatives; `group` for texts that are not
    negatives of one another.

    >>> collate([{"anchor": "a dog", "group": "s1"}, {"anchor": "a cat", "group": "s2"}])
    {"input_ids": (4, 5), "attention_mask": (4, 5), …,   # rows: a dog, a cat (anchors), a dog, a cat (positives)
     "groups": tensor([0, 1])}                            # numbered within the batch

    Args:
        tokenizer: of the encoder.
        max_length: in tokens; longer texts are cut.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int = 64

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        anchors = [row["anchor"] for row in rows]
        positives = [row["positive"] for row in rows] if "positive" in rows[0] else anchors
        # All first negatives, then all second ones, so that the first B are the rows' own.
        negatives = [row[name] for name in negative_columns(rows[0]) for row in rows]
        batch = self.tokenizer(
            [*anchors, *positives, *negatives],
            truncation=True,
            max_length=self.max_length,
            padding=True,
            return_tensors="pt",
        )
        # A row without a group is one of its own; the pair cannot be another row's name.
        numbers: dict[Any, int] = {}
        names = [("row", index) if row.get("group") is None else row["group"] for index, row in enumerate(rows)]
        groups = torch.tensor([numbers.setdefault(name, len(numbers)) for name in names])
        return {**batch, "groups": groups}


def negative_columns(names: Any) -> list[str]:
    """The columns of hard negatives among `names`, `negative` first, then by number."""
    numbered = [name for name in names if name.startswith("negative_") and name.removeprefix("negative_").isdigit()]
    return [name for name in names if name == "negative"] + sorted(numbered, key=lambda name: int(name[9:]))
