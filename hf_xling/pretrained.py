"""Loading pretrained parts with one clear line where there is nothing to load."""

from __future__ import annotations

from typing import Any

from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from hf_xling.errors import InputError


def load_pretrained(loader: Any, name: str, revision: str | None = None, **kwargs: Any) -> Any:
    """`loader.from_pretrained(name)` for an Auto class of transformers.

    Raises:
        InputError: `name` is neither a checkpoint folder nor reachable on the Hub, or is damaged.
    """
    try:
        return loader.from_pretrained(name, revision=revision or "main", **kwargs)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # RuntimeError: sizes that do not fit
        raise InputError(f"--model_name_or_path {name}: cannot be loaded as a checkpoint ({error})") from error


def check_checkpoint(name: str, revision: str | None = None) -> None:
    """An `InputError` if `name` holds no config and tokenizer; its weights are not read."""
    load_pretrained(AutoConfig, name, revision)
    load_tokenizer(name, revision)


def load_tokenizer(name: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer beside the model `name`.

    Raises:
        InputError: there is none. transformers then makes one that knows its special tokens alone, silently.
    """
    tokenizer = load_pretrained(AutoTokenizer, name, revision)
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise InputError(f"--model_name_or_path {name}: cannot be loaded as a checkpoint (it holds no tokenizer)")
    return tokenizer


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, name: str) -> None:
    """An `InputError` if `tokenizer` has tokens that `model` has no embedding for."""
    if len(tokenizer) > model.config.vocab_size:
        raise InputError(
            f"the tokenizer has {len(tokenizer)} tokens, {name} only {model.config.vocab_size}; "
            "give the tokenizer that belongs to the model"
        )


def token_positions(model: PreTrainedModel) -> int | None:
    """How many tokens of a text have positions in `model`, or None where that has no bound.

    RoBERTa and its kin (XLM-R) number positions from behind the padding token's number: of 514 they use 512.
    """
    for path, module in model.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return getattr(model.config, "max_position_embeddings", None)


def quiet_transformers() -> None:
    """For scripts: no bars and reports of transformers around loading and saving; training's own progress stays."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
