"""The SimCSE objective: InfoNCE over cosine similarities, with the rows of all processes as negatives."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.nn.functional import all_gather

TEMPERATURE = 0.05  # of Gao et al. 2021


def info_nce(
    anchors: Tensor,
    positives: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: float = TEMPERATURE,
    groups: Tensor | None = None,
    negative_weight: float = 0.0,
    symmetric: bool = False,
) -> Tensor:
    """The mean over rows of the cross-entropy of picking an anchor's own positive among all positives and negatives.

    Row i's logits are `cos(anchors[i], candidate) / temperature` over the B positives and, if given, the N negatives;
    its target is positive i. With dropout pairs (two encodings of one text) this is unsupervised SimCSE; with text
    pairs and hard negatives it is supervised SimCSE, and sentence-transformers' `MultipleNegativesRankingLoss` with
    `scale = 1 / temperature`. Without structure in the embeddings the loss is log(B + N).

    Args:
        anchors: (B, H) embeddings, of any length; they are normalised here.
        positives: (B, H), row i belonging to anchor i.
        negatives: (N, H) or None. With N = B, row i is the hard negative of anchor i.
        temperature: divides the similarities.
        groups: (B,) integers or None. Positives of other rows of an anchor's group are no negatives of it (paraphrases
            and translations of one sentence, repeated premises) and leave its denominator. Negatives always count.
        negative_weight: added to the logit of a row's own hard negative; wants N = B.
        symmetric: average with the same loss in the other direction (positives picking their anchors; hard negatives
            take part in the first direction only).

    Returns:
        A scalar; float64 if the inputs are, else float32, under autocast too: half-precision logits at a temperature of
            0.05 are 1 % off.

    Raises:
        ValueError: shapes that do not fit, or a temperature that is not above 0.

    Sources: Gao et al. 2021, "SimCSE: Simple Contrastive Learning of Sentence Embeddings" (dropout pairs, hard
    negatives and their weight); van den Oord et al. 2018 for InfoNCE.
    """
    if anchors.ndim != 2 or anchors.shape != positives.shape or len(anchors) == 0:
        raise ValueError(
            f"anchors and positives must both be (B, H) with B > 0, not {(*anchors.shape,)} and {(*positives.shape,)}"
        )
    if negatives is not None and (negatives.ndim != 2 or negatives.shape[1] != anchors.shape[1]):
        raise ValueError(f"negatives must be (N, {anchors.shape[1]}), not {(*negatives.shape,)}")
    if negative_weight and (negatives is None or len(negatives) != len(anchors)):
        raise ValueError("negative_weight wants one hard negative a row")
    if groups is not None and groups.shape != anchors.shape[:1]:
        raise ValueError(f"groups must be ({len(anchors)},), not {(*groups.shape,)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    # Under autocast the products would be rounded to half precision again.
    with torch.autocast(anchors.device.type, enabled=False):
        anchors, positives = _normalise(anchors), _normalise(positives)
        scores = anchors @ positives.T / temperature
        rows = torch.arange(len(scores), device=scores.device)
        if groups is not None:
            relatives = groups[:, None] == groups[None, :]
            relatives[rows, rows] = False
            scores = scores.masked_fill(relatives, float("-inf"))
        logits = scores
        if negatives is not None:
            negative_scores = anchors @ _normalise(negatives).T / temperature
            if negative_weight:
                negative_scores = negative_scores + negative_weight * torch.eye(
                    len(scores), dtype=negative_scores.dtype, device=negative_scores.device
                )
            logits = torch.cat([scores, negative_scores], dim=1)
        loss = F.cross_entropy(logits, rows)
        if symmetric:
            loss = (loss + F.cross_entropy(scores.T, rows)) / 2
    return loss


def _normalise(embeddings: Tensor) -> Tensor:
    embeddings = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
    return F.normalize(embeddings, dim=-1)


def gather_rows(rows: Tensor) -> Tensor:
    """(n, …) rows of this process to (W·n, …) rows of all W processes, in their order; n is the same in each.

    Every process then computes the same loss over all rows. The backward pass adds up what all of them say of a row, W
    times its gradient, and DDP's mean over processes takes that W away again: the result is the gradient of one process
    with all rows. (A gather without gradient, with one's own rows put back in, leaves it at 1/W.)
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    gathered = torch.cat(all_gather(rows))
    if gathered.requires_grad:
        # torch 2.13 receives gradients into memory laid out like the gradient that comes in here, taking it for rows
        # one behind the other: what came from a transposed loss would arrive scrambled.
        gathered.register_hook(Tensor.contiguous)
    return gathered
