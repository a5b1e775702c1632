"""From tokenised documents to the passes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hf_xling.training.chunking import Side, pad, split_padded


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
