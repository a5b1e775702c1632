"""Masked tokens for the auxiliary masked-language-model loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenMasking:
    """Chooses tokens to be predicted: of these 80 % are masked, 10 % replaced by any other, 10 % left.

    It is done in the training step and not in the collator: a loader prepares the next batch before this one is
    trained, and so a resumed run would mask other tokens than one that was not interrupted.

    Args:
        mask: the id of the mask token.
        special: ids that are never chosen, padding among them.
        vocabulary: how many tokens there are.
        probability: of a token to be chosen.

    Source: Devlin et al. 2019, "BERT", section 3.1.
    """

    mask: int
    special: tuple[int, ...]
    vocabulary: int
    probability: float = 0.15

    def __call__(self, ids: Tensor) -> dict[str, Tensor]:
        """`masked_ids`, and `mlm_labels`: what stood at the chosen tokens, else -100; both of the shape of `ids`."""
        open_to_it = ~torch.isin(ids, torch.tensor(self.special, device=ids.device))
        chosen = open_to_it & (torch.rand(ids.shape, device=ids.device) < self.probability)
        fate = torch.rand(ids.shape, device=ids.device)
        masked = torch.where(chosen & (fate < 0.8), self.mask, ids)
        other = torch.randint(self.vocabulary, ids.shape, device=ids.device)
        masked = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), other, masked)
        return {"masked_ids": masked, "mlm_labels": torch.where(chosen, ids, -100)}
