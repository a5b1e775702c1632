"""A checkpoint made ready for training: checked against its tokenizer and the settings, packed where it can be."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForTextEncoding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from hf_xling.contrastive.checkpoint import form_of
from hf_xling.contrastive.config import SimCSEConfig
from hf_xling.contrastive.model import SimCSEModel, shorten_dropout
from hf_xling.contrastive.packing import PACKED_ATTENTION, Chunk, can_pack, narrow_last_layer
from hf_xling.errors import InputError
from hf_xling.training.adapters import adapted, check_adapter
from hf_xling.training.chunking import Side
from hf_xling.training.pretrained import (
    load_pretrained,
    load_tokenizer,
    make_trainable,
    side_of_padding,
    token_positions,
)

logger = logging.getLogger(__name__)


def lower_case(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let `tokenizer` put texts in lower case first, as sentence-transformers does where a checkpoint asks for it."""
    from tokenizers.normalizers import Lowercase, Sequence

    if hasattr(tokenizer, "backend_tokenizer"):
        before = tokenizer.backend_tokenizer.normalizer
        tokenizer.backend_tokenizer.normalizer = Sequence([Lowercase(), *([before] if before is not None else [])])


def prepare(
    model: str | PreTrainedModel,
    name: str,
    args: SimCSEConfig,
    tokenizer: PreTrainedTokenizerBase | None,
    peft_config: Any,
    revision: str | None,
) -> tuple[SimCSEModel, PreTrainedTokenizerBase]:
    """Load `model`, if it is a name, and put pooling, heads and adapter on it; the arguments are `SimCSETrainer`'s.

    Returns:
        The model, which takes flat batches where it can (`SimCSEModel.packed`), and its tokenizer.

    Raises:
        InputError: what cannot be trained so; the option is named.
    """
    check_adapter(model, peft_config, revision)
    form, told = form_of(name, revision, args.pooling)
    torch.manual_seed(args.seed)  # the MLP's weights; Trainer seeds only later
    encoder = load_encoder(model, revision) if isinstance(model, str) else model
    tokenizer = tokenizer or load_tokenizer(name, revision)
    make_trainable(encoder, tokenizer, name)
    positions = token_positions(encoder) or args.max_length
    if args.max_length > positions:
        raise InputError(f"--max_length {args.max_length}: {name} has positions for {positions} tokens")
    if form.lower:
        lower_case(tokenizer)
    side = vectors_side(encoder, tokenizer, args.max_length, name)
    if args.mlm_weight and tokenizer.mask_token_id is None:
        raise InputError(f"--mlm_weight {args.mlm_weight}: the tokenizer of {name} has no mask token")
    if form.pooling.startswith("cls") and not first_token_sees_others(encoder):
        raise InputError(
            f"--pooling {form.pooling}: the first token of {name} does not depend on the others; take mean"
        )
    if args.packing and can_pack(encoder, args.max_length):
        encoder.set_attn_implementation(PACKED_ATTENTION)
        if form.pooling.startswith("cls"):
            narrow_last_layer(encoder, args.max_length)
    elif args.packing:
        logger.info("%s: its attention is of another kind; batches are padded to similar lengths", name)
    masked_lm = masked_language_model(name, revision, encoder) if args.mlm_weight else None
    if peft_config is not None:
        encoder = adapted(encoder, peft_config, name, revision)
    prepared = SimCSEModel(encoder, form, masked_lm, side)
    shorten_dropout(prepared)
    if told and args.process_index == 0:
        logger.warning("%s", told)
    return prepared, tokenizer


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
