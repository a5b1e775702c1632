"""Alignment and uniformity: what contrastive training trades between."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def alignment(x: Tensor, y: Tensor) -> Tensor:
    """The mean squared distance of positive pairs on the unit sphere; lower is better aligned.

    Args:
        x, y: (B, H) embeddings, row i of both a positive pair; they are normalised here.

    Returns:
        A float32 scalar from 0 (equal) to 4 (opposite).

    Source: Wang and Isola 2020, "Understanding Contrastive Representation Learning", equation 4 with alpha = 2.
    """
    x, y = F.normalize(x.float(), dim=-1), F.normalize(y.float(), dim=-1)
    return (x - y).square().sum(dim=-1).mean()


def uniformity(x: Tensor) -> Tensor:
    """The logarithm of the mean Gaussian potential of all pairs of distinct rows; lower is more uniform.

    Args:
        x: (B, H) embeddings with B of at least 2; they are normalised here.

    Returns:
        A float32 scalar from -8 (all opposite) to 0 (all equal).

    Source: Wang and Isola 2020, equation 5 with t = 2.
    """
    return torch.pdist(F.normalize(x.float(), dim=-1)).square().mul(-2).exp().mean().log()
