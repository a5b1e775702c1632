"""From token vectors to a sentence vector, and the model that SimCSE trains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForTextEncoding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from hf_xling.contrastive.form import DEFAULT_POOLING, POOLING_FIELDS, SentenceForm
from hf_xling.contrastive.packing import Chunk, TextLengths, split_runs
from hf_xling.training.chunking import Side
from hf_xling.training.pretrained import load_pretrained, side_of_padding

# What a pooling is called in a sentence-transformers checkpoint, where the training-only MLP is left out.
EXPORTED_POOLING = {"cls_mlp": "cls", **{name: name for name in (*POOLING_FIELDS.values(), "first_last_mean")}}


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
    def config(self):
        """The encoder's config, where Trainer looks for one."""
        return self.encoder.config

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
            (`masking.TokenMasking`), the sum of the cross-entropies of what stood there.
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
        if "mlm_labels" not in chunk:
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


def load_encoder(name: str, revision: str | None = None) -> PreTrainedModel:
    """The encoder `name`, in float32 whatever it was saved in: in half precision most steps would change nothing.

    Of T5 and its kin a checkpoint may hold the encoder alone, where `AutoModel` would make a decoder to it.
    """
    kind = (load_pretrained(AutoConfig, name, revision).architectures or [""])[0]
    loader = AutoModelForTextEncoding if kind.endswith("EncoderModel") else AutoModel
    return load_pretrained(loader, name, revision, dtype=torch.float32)


def vectors_side(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int, name: str) -> Side:
    """The side on which padding does not change the token vectors of `encoder` (`pretrained.side_of_padding`)."""

    def of_tokens(output: Any, batch: Chunk) -> Tensor:
        hidden = output.last_hidden_state
        if hidden.shape[:2] != batch["input_ids"].shape:
            raise ValueError("it gives no vector for each token")
        return hidden[batch["attention_mask"].bool()]

    return side_of_padding(encoder, tokenizer, max_length, of_tokens, name)


@torch.no_grad()
def first_token_sees_others(encoder: PreTrainedModel) -> bool:
    """Whether the vector of a text's first token depends on the tokens behind it; in a decoder it does not."""
    tokens = [token for token in range(4) if token != encoder.config.pad_token_id]
    ids = torch.tensor([[tokens[0], tokens[1]], [tokens[0], tokens[2]]], device=encoder.device)
    was_training = encoder.training
    first = encoder.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[:, 0]
    encoder.train(was_training)
    # Weights that are no numbers are another error than this.
    return not bool((first[0] - first[1]).abs().max() <= 1e-6 * first.abs().max())


def masked_language_model(name: str, revision: str | None, encoder: PreTrainedModel) -> PreTrainedModel:
    """The masked language model `name` around `encoder`, which takes the place of its own.

    Raises:
        InputError: there is no such model for the architecture.
    """
    model = load_pretrained(AutoModelForMaskedLM, name, revision, "--mlm_weight:", dtype=torch.float32)
    setattr(model, model.base_model_prefix, encoder)
    model.tie_weights()
    return model
