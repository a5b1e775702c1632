"""From rows of rated texts to one padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase


@dataclass
class RegressionCollator:
    """Tokenises the texts of a batch and stacks their labels.

    >>> collate([{"text": "a fine film", "label": 4.5}, {"text": "dull", "label": 1.0}])
    {"input_ids": (2, 5), "attention_mask": (2, 5), …, "labels": tensor([4.5, 1.0])}
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        texts = [row["text"] for row in rows]
        batch = self.tokenizer(texts, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt")
        return {**batch, "labels": torch.tensor([row["label"] for row in rows], dtype=torch.float32)}
