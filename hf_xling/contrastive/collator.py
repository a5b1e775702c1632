"""From rows of token ids to the forward passes of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hf_xling.contrastive.packing import chunks
from hf_xling.training.chunking import Side


@dataclass
class SimCSECollator:
    """Lays all views of a batch out for the encoder, without padding where it can do without.

    >>> collate([{"views": [[2, 7, 3], [2, 7, 3]], "group": 5}, {"views": [[2, 8, 9, 3], [2, 8, 9, 3]], "group": 6}])
    {"groups": tensor([5, 6]),
     "chunks": [{"input_ids": tensor([[2, 7, 3, 2, 7, 3, 2, 8, 9, 3, 2, 8, 9, 3]]), "position_ids": …,
                 "text_lengths": [(2, 3), (2, 4)]}],
     "places": tensor([0, 2, 1, 3])}     # of the anchors, then of the positives, among the texts of all chunks

    Args:
        packed: whether the encoder takes flat batches (`packing.can_pack`).
        token_budget: tokens of one forward pass at most; None for all at once.
        first_position: what the encoder calls the position of a text's first token.
        pad: the id of the padding token.
        side: of the padding; None for chunks of texts of one length.
    """

    packed: bool
    token_budget: int | None = None
    first_position: int = 0
    pad: int = 0
    side: Side = "right"

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        # All anchors, all positives, all first negatives, …: row i of each belongs together.
        texts = [view for views in zip(*(row["views"] for row in rows), strict=True) for view in views]
        parts, places = chunks(
            texts,
            packed=self.packed,
            token_budget=self.token_budget,
            first_position=self.first_position,
            pad=self.pad,
            side=self.side,
        )
        return {"groups": torch.tensor([row["group"] for row in rows]), "chunks": parts, "places": places}
