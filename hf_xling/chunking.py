"""A batch as several passes over texts of similar lengths: little padding, and a bound on the memory of a pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

# Of a pass: padding that costs less than a pass of its own would, beside a share of its real tokens.
PADDING_SHARE, PADDING_TOKENS = 0.1, 64


def split_padded(lengths: Sequence[int], token_budget: int | None, bounded_padding: bool = True) -> list[list[int]]:
    """The places of texts in `lengths`, shortest first, cut into passes whose texts are padded to their longest.

    Args:
        lengths: of the texts, in tokens.
        token_budget: tokens of a pass at most, padding included, but at least one text; None for no bound.
        bounded_padding: let a pass hold at most `PADDING_SHARE` of its real tokens and `PADDING_TOKENS` of padding.
    """
    parts: list[list[int]] = [[]]
    real = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[place]
        padded, together = length * (len(parts[-1]) + 1), real + length
        full = token_budget is not None and padded > token_budget
        wasteful = bounded_padding and padded > (1 + PADDING_SHARE) * together + PADDING_TOKENS
        if parts[-1] and (full or wasteful):
            parts.append([])
            together = length
        parts[-1].append(place)
        real = together
    return parts


def pad(texts: Sequence[numpy.ndarray], pad_token_id: int) -> dict[str, Any]:
    """`input_ids` and `attention_mask`, (n, longest) int64, of the token ids of n texts."""
    longest = max(map(len, texts))
    ids = numpy.full((len(texts), longest), pad_token_id, dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def places(parts: Sequence[Sequence[int]]) -> Tensor:
    """Where each text stands among those of all passes: (texts,) int64."""
    order = torch.tensor([place for part in parts for place in part])
    found = torch.empty(len(order), dtype=torch.long)
    found[order] = torch.arange(len(order))
    return found
