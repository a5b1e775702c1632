"""From token vectors to a sentence vector, and the model that SimCSE trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

# What a pooling is called in a sentence-transformers checkpoint, where the training-only MLP is left out.
EXPORTED_POOLING = {"cls_mlp": "cls", "cls": "cls", "mean": "mean"}


class SimCSEModel(nn.Module):
    """An encoder with its pooling, and for `cls_mlp` the MLP of SimCSE.

    The MLP (one dense layer and tanh over the first token's vector) is newly made, trained, and not exported: Gao et
    al. 2021 find unsupervised SimCSE best when it is trained with the MLP and used without. It is not the pooler of a
    pretrained BERT, which stays in the encoder as it was and gets no gradient.

    Args:
        encoder: what `AutoModel` loads; its forward returns `last_hidden_state`.
        pooling: a key of `EXPORTED_POOLING`.
    """

    def __init__(self, encoder: PreTrainedModel, pooling: str = "cls_mlp"):
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.mlp = None
        if pooling == "cls_mlp":
            width = encoder.config.hidden_size
            dense = nn.Linear(width, width, dtype=encoder.dtype, device=encoder.device)
            nn.init.normal_(dense.weight, std=getattr(encoder.config, "initializer_range", 0.02))
            nn.init.zeros_(dense.bias)
            self.mlp = nn.Sequential(dense, nn.Tanh())
        # A pooler that the objective never reaches would be an unused parameter to DDP.
        pooler = getattr(encoder, "pooler", None)
        if pooler is not None:
            pooler.requires_grad_(False)

    @property
    def config(self):
        """The encoder's config, where Trainer looks for one."""
        return self.encoder.config

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """What Trainer calls for `--activation_checkpointing`."""
        self.encoder.activation_checkpointing_enable(**options)

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """What Trainer calls for the same in older versions; can go when the floor in setup.cfg is past 5.17."""
        self.encoder.gradient_checkpointing_enable(**options)

    def forward(self, **inputs: Tensor) -> Tensor:
        """Sentence vectors (B, H) of tokenised texts (`input_ids`, `attention_mask` (B, T), …)."""
        hidden = self.encoder(**inputs).last_hidden_state
        vectors = pool(hidden, inputs["attention_mask"], self.pooling)
        return vectors if self.mlp is None else self.mlp(vectors)


def pool(hidden: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """Token vectors (B, T, H) to sentence vectors (B, H): the first token's, or the mean over unmasked tokens."""
    if pooling == "mean":
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return hidden[:, 0]


@torch.no_grad()
def encode(model: SimCSEModel, inputs: dict[str, Tensor]) -> Tensor:
    """Sentence vectors as an exported checkpoint gives them: without the MLP and without dropout."""
    was_training = model.training
    model.eval()
    hidden = model.encoder(**inputs).last_hidden_state
    model.train(was_training)
    return pool(hidden, inputs["attention_mask"], EXPORTED_POOLING[model.pooling])
