"""A batch as several passes over texts of similar lengths: little padding, and a bound on the memory of a pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy
import torch
from torch import Tensor

# Of a pass: padding that costs less than a pass of its own would, beside a share of its real tokens.
PADDING_SHARE, PADDING_TOKENS = 0.1, 64
# Between a text alone and among others: of how far texts lie apart, and of their size (rounding).
TOLERANCE, ROUNDING = 1e-3, 1e-5

# On which side of texts padding changes nothing; None where it does on both, and texts of one length go together.
Side = Literal["right", "left"] | None


def split_padded(
    lengths: Sequence[int],
    token_budget: int | None,
    bounded_padding: bool = True,
    side: Side = "right",
    padded: bool = True,
) -> list[list[int]]:
    """The places of texts in `lengths`, shortest first, cut into passes whose texts are padded to their longest.

    Args:
        lengths: of the texts, in tokens.
        token_budget: tokens of a pass at most, padding included, but at least one text; None for no bound.
        bounded_padding: let a pass hold at most `PADDING_SHARE` of its real tokens and `PADDING_TOKENS` of padding.
        side: None for passes of texts of one length.
        padded: False for texts laid flat, without padding.
    """
    parts: list[list[int]] = [[]]
    real = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[place]
        together = real + length
        size = length * (len(parts[-1]) + 1) if padded else together
        full = token_budget is not None and size > token_budget
        wasteful = bounded_padding and size > (1 + PADDING_SHARE) * together + PADDING_TOKENS
        unlike = side is None and parts[-1] and lengths[parts[-1][-1]] != length
        if parts[-1] and (full or wasteful or unlike):
            parts.append([])
            together = length
        parts[-1].append(place)
        real = together
    return parts


def pad(texts: Sequence[numpy.ndarray], pad_token_id: int, side: Side = "right") -> dict[str, Any]:
    """`input_ids` and `attention_mask`, (n, longest) int64, of the token ids of n texts."""
    longest = max(map(len, texts))
    ids = numpy.full((len(texts), longest), pad_token_id, dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, text in enumerate(texts):
        place = slice(longest - len(text), longest) if side == "left" else slice(len(text))
        ids[row, place] = text
        mask[row, place] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


@torch.no_grad()
def neutral_side(run: Callable[[dict[str, Any]], Tensor], texts: Sequence[numpy.ndarray], pad_token_id: int) -> Side:
    """The side on which padding does not change what a model gives, as most take the right side; tried on `texts`.

    Args:
        run: gives the rows of a padded batch, one or more for each text.
        texts: token ids, of several lengths.
        pad_token_id: of the padding token.
    """
    alone = torch.cat([run(pad([text], pad_token_id)) for text in texts]).float()
    apart = (alone - alone.mean(dim=0)).abs().max()
    limit = TOLERANCE * apart + ROUNDING * alone.abs().max()
    for side in ("right", "left"):
        # Weights that are no numbers are another error than this.
        if not (run(pad(texts, pad_token_id, side)).float() - alone).abs().max() > limit:
            return side
    return None


def places(parts: Sequence[Sequence[int]]) -> Tensor:
    """Where each text is among those of all passes: (texts,) int64."""
    order = torch.tensor([place for part in parts for place in part])
    found = torch.empty(len(order), dtype=torch.long)
    found[order] = torch.arange(len(order))
    return found
