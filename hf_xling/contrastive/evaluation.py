"""How good sentence vectors are: alignment and uniformity, and agreement with annotated similarities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import scipy.stats
import torch
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_xling.contrastive.model import SimCSEModel, encode
from hf_xling.contrastive.packing import chunks, first_position, on_device
from hf_xling.errors import InputError, XlingError
from hf_xling.training.pretrained import as_texts

TOKENS_PER_PASS = 8192


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


def relative_distance(x: Tensor, y: Tensor) -> Tensor:
    """The mean squared distance of positive pairs on the unit sphere, relative to that of random pairs; 1 is chance.

    Alignment alone falls when all vectors draw together, and rises when they spread; this tells the two apart.

    Args:
        x, y: (B, H) embeddings with B of at least 2, row i of both a positive pair.

    Returns:
        A float32 scalar from 0.
    """
    x, y = F.normalize(x.float(), dim=-1), F.normalize(y.float(), dim=-1)
    distances = torch.cdist(x, y).square()
    others = (distances.sum() - distances.trace()) / (len(x) * (len(x) - 1))
    return distances.trace() / len(x) / others


def pair_metrics(x: Tensor, y: Tensor, identical: bool) -> dict[str, float]:
    """Uniformity of a batch's anchors, at least 2, and, unless its views are identical, how positives lie."""
    metrics = {"uniformity": uniformity(x)}
    if not identical:
        metrics |= {"alignment": alignment(x, y), "relative_distance": relative_distance(x, y)}
    return {name: value.item() for name, value in metrics.items()}


def sts_metrics(
    model: SimCSEModel, tokenizer: PreTrainedTokenizerBase, pairs: Dataset, max_length: int, with_mlp: bool = False
) -> dict[str, float]:
    """Correlations (`spearman`, `pearson`) of the cosines of `sentence1` and `sentence2` with `score`.

    Vectors are those of the exported checkpoint: with the MLP only if that is kept (`with_mlp`).

    Raises:
        XlingError: all cosines are equal, as of an encoder that has collapsed.
    """
    texts = list(dict.fromkeys([*pairs["sentence1"], *pairs["sentence2"]]))
    encoded = encode_texts(model, tokenizer, texts, max_length, with_mlp)
    vectors = dict(zip(texts, F.normalize(encoded, dim=-1), strict=True))
    cosines = [
        float(vectors[one] @ vectors[other]) for one, other in zip(pairs["sentence1"], pairs["sentence2"], strict=True)
    ]
    if max(cosines) == min(cosines):
        raise XlingError("all sentences of the similarity set have one vector; a lower --learning_rate may help")
    scores = pairs["score"][:]
    return {
        "spearman": float(scipy.stats.spearmanr(scores, cosines).statistic),
        "pearson": float(scipy.stats.pearsonr(scores, cosines).statistic),
    }


def check_sts(pairs: Dataset, name: str) -> Dataset:
    """`pairs`, if it has what a similarity set needs; an `InputError` that names the column otherwise."""
    for column in ("sentence1", "sentence2", "score"):
        if column not in pairs.column_names:
            raise InputError(f"{name}: has no column `{column}`; its columns are {', '.join(pairs.column_names)}")
    if len(set(pairs["score"])) < 2:
        raise InputError(f"{name}, column `score`: holds no two different numbers; they cannot be correlated")
    return pairs


def encode_texts(
    model: SimCSEModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str] | str,
    max_length: int,
    with_mlp: bool = False,
) -> Tensor:
    """The vectors (n, H) of `texts` in float32 on the CPU, as the exported checkpoint gives them."""
    prompted = [model.form.prompt + text for text in as_texts(texts)]
    ids = tokenizer(prompted, truncation=True, max_length=max_length)["input_ids"]
    parts, places = chunks(
        [numpy.array(text) for text in ids],
        packed=model.packed,
        token_budget=TOKENS_PER_PASS,
        first_position=first_position(model.encoder),
        pad=tokenizer.pad_token_id or 0,
        side=model.side,
    )
    moved = on_device(parts, next(model.parameters()).device)
    return encode(model, moved, with_mlp).float().cpu()[places]
