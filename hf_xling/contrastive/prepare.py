"""A checkpoint made ready for training: checked against its tokenizer and the settings, packed where it can be."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_xling.contrastive.config import SimCSEConfig
from hf_xling.contrastive.dropout import shorten_dropout
from hf_xling.contrastive.form import form_of
from hf_xling.contrastive.last_layer import narrow_last_layer
from hf_xling.contrastive.packing import PACKED_ATTENTION, can_pack
from hf_xling.contrastive.pooling import (
    SimCSEModel,
    first_token_sees_others,
    load_encoder,
    masked_language_model,
    vectors_side,
)
from hf_xling.errors import InputError
from hf_xling.training.adapters import adapted, check_adapter
from hf_xling.training.pretrained import load_tokenizer, make_trainable, token_positions

logger = logging.getLogger(__name__)


def lower_case(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let `tokenizer` put texts in lower case first, as sentence-transformers does where a checkpoint asks for it."""
    from tokenizers.normalizers import Lowercase, Sequence

    if hasattr(tokenizer, "backend_tokenizer"):
        before = tokenizer.backend_tokenizer.normalizer
        tokenizer.backend_tokenizer.normalizer = Sequence([Lowercase(), *([before] if before is not None else [])])


@dataclass(frozen=True)
class Prepared:
    """What `SimCSETrainer` trains: a model, its tokenizer, and whether it takes flat batches."""

    model: SimCSEModel
    tokenizer: PreTrainedTokenizerBase
    packed: bool


def prepare(
    model: str | PreTrainedModel,
    name: str,
    args: SimCSEConfig,
    tokenizer: PreTrainedTokenizerBase | None,
    peft_config: Any,
    revision: str | None,
) -> Prepared:
    """Load `model`, if it is a name, and put pooling, heads and adapter on it; the arguments are `SimCSETrainer`'s.

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
    packed = args.packing and can_pack(encoder, args.max_length)
    if packed:
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
    return Prepared(prepared, tokenizer, packed)
