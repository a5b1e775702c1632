"""The model that SimCSE trains: an encoder, its pooling, dropout, and tokens masked for the auxiliary loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PretrainedConfig, PreTrainedModel

from hf_xling.contrastive.packing import PACKED_ATTENTION, Chunk, TextLengths, split_runs
from hf_xling.training.chunking import Side

# The fields of a Pooling module in older checkpoints; newer ones have `pooling_mode` with these values.
POOLING_FIELDS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
DEFAULT_POOLING = "cls_mlp"
# What a pooling is called in a sentence-transformers checkpoint, where the training-only MLP is left out.
EXPORTED_POOLING = {"cls_mlp": "cls", **{name: name for name in (*POOLING_FIELDS.values(), "first_last_mean")}}
DROPOUT_LEVELS = 2**16  # a mask's probability is a multiple of 1 / that: 0.1 becomes 0.100006


@dataclass(frozen=True)
class SentenceForm:
    """How texts become sentence vectors, in training and in the exported checkpoint.

    Attributes:
        pooling: of the token vectors; a key of `EXPORTED_POOLING`.
        prompts: what may come before a text, by name, as sentence-transformers has them.
        default_prompt: the name of the one that `encode` puts there, if any.
        normalize: whether vectors are brought to length 1.
        lower: whether texts are put in lower case first.
    """

    pooling: str = DEFAULT_POOLING
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    normalize: bool = False
    lower: bool = False

    @property
    def prompt(self) -> str:
        """What is before each text."""
        return self.prompts.get(self.default_prompt, "") if self.default_prompt is not None else ""


class SimCSEModel(nn.Module):
    """An encoder with its pooling, for `cls_mlp` the MLP of SimCSE, and if wanted a head for masked tokens.

    The MLP (one dense layer and tanh over the first token's vector) is newly made, trained, and not exported unless
    that is asked for: Gao et al. 2021 find unsupervised SimCSE best when it is trained with the MLP and used without,
    supervised SimCSE with it. It is not the pooler of a pretrained BERT, which stays in the encoder as it was.

    Args:
        encoder: what `AutoModel` loads; its forward returns `last_hidden_state`.
        form: how texts become vectors around it; a string is the pooling alone, a key of `EXPORTED_POOLING`.
        masked_lm: a masked language model around this very encoder, for the auxiliary loss; None for none.
        side: on which padding changes no vector of `encoder`.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        form: SentenceForm | str = DEFAULT_POOLING,
        masked_lm: PreTrainedModel | None = None,
        side: Side = "right",
    ):
        super().__init__()
        self.side = side
        self.encoder = encoder
        self.form = SentenceForm(form) if isinstance(form, str) else form
        self.pooling = self.form.pooling
        self.mlp = None
        if self.pooling == "cls_mlp":
            width = encoder.config.hidden_size
            dense = nn.Linear(width, width, dtype=encoder.dtype, device=encoder.device)
            nn.init.normal_(dense.weight, std=getattr(encoder.config, "initializer_range", 0.02))
            nn.init.zeros_(dense.bias)
            self.mlp = nn.Sequential(dense, nn.Tanh())
        self.masked_lm = masked_lm
        # A pooler that the objective never reaches would be an unused parameter to DDP.
        pooler = getattr(encoder, "pooler", None)
        if pooler is not None:
            pooler.requires_grad_(False)

    @property
    def config(self) -> PretrainedConfig:
        """The encoder's config, where Trainer looks for one."""
        return self.encoder.config

    @property
    def packed(self) -> bool:
        """Whether the encoder takes flat batches."""
        return self.config._attn_implementation == PACKED_ATTENTION

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """What Trainer calls for `--activation_checkpointing`."""
        self.encoder.activation_checkpointing_enable(**options)

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """What Trainer calls for the same in older versions; can go when the floor in setup.cfg is past 5.17."""
        self.encoder.gradient_checkpointing_enable(**options)

    @torch.compiler.disable(recursive=False)  # what it calls is compiled, once for all chunks
    def forward(
        self, chunks: Sequence[Chunk], recompute: bool = False, with_mlp: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Encode a batch.

        Args:
            chunks: its texts, as `packing.chunks` lays them out.
            recompute: keep no graph of a chunk, but encode it again in the backward pass, with the same dropout masks:
                the gradient of the whole batch in the memory of one chunk, for one and a half times the work (gradient
                caching; Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup").
            with_mlp: put the MLP, if there is one, on the vectors.

        Returns:
            Sentence vectors (S, H) of the texts of all chunks, in their order; and, if chunks have masked tokens
            (`TokenMasking`), the sum of the cross-entropies of what was there.
        """
        run = partial(checkpoint, self._encode, use_reentrant=False) if recompute else self._encode
        outputs = [run(chunk, with_mlp) for chunk in chunks]
        vectors = torch.cat([vectors for vectors, _ in outputs])
        losses = [loss for _, loss in outputs if loss is not None]
        return vectors, torch.stack(losses).sum() if losses else None

    def _encode(self, chunk: Chunk, with_mlp: bool) -> tuple[Tensor, Tensor | None]:
        vectors = sentence_vectors(self.encoder, chunk, self.pooling)
        if self.mlp is not None and with_mlp:
            vectors = self.mlp(vectors)
        if self.masked_lm is None or "mlm_labels" not in chunk:
            return vectors, None
        logits = self.masked_lm(**{**encoder_inputs(chunk), "input_ids": chunk["masked_ids"]}).logits
        labels = chunk["mlm_labels"].flatten()
        return vectors, F.cross_entropy(logits.flatten(0, 1).float(), labels, reduction="sum")


def encoder_inputs(chunk: Chunk) -> Chunk:
    """What of a chunk the encoder is given."""
    names = ("input_ids", "attention_mask", "position_ids", "text_lengths")
    return {name: chunk[name] for name in names if name in chunk}


def sentence_vectors(encoder: PreTrainedModel, chunk: Chunk, pooling: str) -> Tensor:
    """The pooled vectors (n, H) of the texts of one chunk, packed or padded, without the MLP."""
    packed, both_ends = "text_lengths" in chunk, pooling == "first_last_mean"
    options = {"output_hidden_states": True} if both_ends else {}
    if packed and pooling.startswith("cls"):
        options = {"first_tokens": True}
    output = encoder(**encoder_inputs(chunk), **options)
    hidden = output.last_hidden_state
    if both_ends:
        hidden = (output.hidden_states[0] + hidden) / 2
    if packed:
        return pool_packed(hidden.squeeze(0), chunk["text_lengths"], pooling)
    return pool(hidden, chunk["attention_mask"], pooling)


@torch.compiler.disable
def pool_packed(hidden: Tensor, text_lengths: TextLengths, pooling: str) -> Tensor:
    """Token vectors (T, H) of a flat batch, or (n, H) of first tokens alone, to sentence vectors (n, H)."""
    if pooling.startswith("cls") and len(hidden) == sum(count for count, _ in text_lengths):
        return hidden  # the last layer has left the others out
    runs = split_runs(hidden, text_lengths)
    return torch.cat([pool(texts, None, pooling) for texts in runs])


def pool(hidden: Tensor, attention_mask: Tensor | None, pooling: str) -> Tensor:
    """Token vectors (B, T, H) to sentence vectors (B, H), as sentence-transformers pools them.

    Args:
        hidden: of texts that are padded on either side.
        attention_mask: (B, T); None where nothing is padded.
        pooling: a value of `EXPORTED_POOLING`; first and last tokens are those of the text, not padding.
    """
    rows = torch.arange(len(hidden), device=hidden.device)
    if pooling.startswith("cls"):
        return hidden[:, 0] if attention_mask is None else hidden[rows, attention_mask.argmax(dim=1)]
    if pooling == "lasttoken":
        behind = 0 if attention_mask is None else attention_mask.flip(1).argmax(dim=1)
        return hidden[rows, hidden.shape[1] - 1 - behind]
    if attention_mask is None:
        attention_mask = torch.ones(hidden.shape[:2], dtype=torch.long, device=hidden.device)
    if pooling == "max":
        return hidden.masked_fill(attention_mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=1)
    weights = attention_mask * attention_mask.cumsum(dim=1) if pooling == "weightedmean" else attention_mask
    weights = weights.unsqueeze(-1).to(hidden.dtype)
    total = weights.sum(dim=1).clamp(min=1)
    return (hidden * weights).sum(dim=1) / (total.sqrt() if pooling == "mean_sqrt_len_tokens" else total)


@torch.no_grad()
def encode(model: SimCSEModel, chunks: Sequence[Chunk], with_mlp: bool = False) -> Tensor:
    """Sentence vectors as an exported checkpoint gives them: without dropout, and with the MLP only if that is kept."""
    was_training = model.training
    model.eval()
    vectors = torch.cat([sentence_vectors(model.encoder, chunk, model.pooling) for chunk in chunks])
    if with_mlp and model.mlp is not None:
        vectors = model.mlp(vectors)
    model.train(was_training)
    return F.normalize(vectors, dim=-1) if model.form.normalize else vectors


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
    probability: float

    def __call__(self, ids: Tensor) -> dict[str, Tensor]:
        """`masked_ids`, and `mlm_labels`: what was at the chosen tokens, else -100; both of the shape of `ids`."""
        open_to_it = ~torch.isin(ids, torch.tensor(self.special, device=ids.device))
        chosen = open_to_it & (torch.rand(ids.shape, device=ids.device) < self.probability)
        fate = torch.rand(ids.shape, device=ids.device)
        masked = torch.where(chosen & (fate < 0.8), self.mask, ids)
        other = torch.randint(self.vocabulary, ids.shape, device=ids.device)
        masked = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), other, masked)
        return {"masked_ids": masked, "mlm_labels": torch.where(chosen, ids, -100)}


class ShortDropout(nn.Dropout):
    """`nn.Dropout` that on a CPU draws 16 random bits for each number, four numbers at a time.

    torch draws them one by one, which takes a tenth of a step in bfloat16. Everywhere else, and under `torch.compile`,
    this is torch's own. The masks are those of torch's generator, so they are the same again after the same seed, and
    replayed by activation checkpointing.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(…) of any floating dtype to the same shape and dtype."""
        kept = round((1 - self.p) * DROPOUT_LEVELS)
        plain = not self.training or kept in (0, DROPOUT_LEVELS) or x.device.type != "cpu" or self.inplace
        if plain or torch.compiler.is_compiling():
            return super().forward(x)
        limits = torch.iinfo(torch.int64)
        drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(limits.min, limits.max)
        mask = drawn.view(torch.int16)[: x.numel()].view(x.shape) < kept - DROPOUT_LEVELS // 2
        return x * mask.to(x.dtype).mul_(DROPOUT_LEVELS / kept)


def shorten_dropout(model: nn.Module) -> None:
    """Make each `nn.Dropout` of `model` a `ShortDropout`, where it is. Neither has weights; nothing of it is saved."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = ShortDropout
