"""Loading pretrained parts with one clear line where there is nothing to load."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from hf_xling.errors import InputError

MODEL_OPTION = "--model_name_or_path"  # as training calls it


def load_pretrained(
    loader: Any, name: str, revision: str | None = None, option: str = MODEL_OPTION, **kwargs: Any
) -> Any:
    """`loader.from_pretrained(name)` for an Auto class of transformers; errors name `option`.

    Raises:
        InputError: `name` is neither a checkpoint folder nor reachable on the Hub, or is damaged.
    """
    try:
        return loader.from_pretrained(name, revision=revision or "main", **kwargs)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # RuntimeError: sizes that do not fit
        raise InputError(f"{option} {name}: cannot be loaded as a checkpoint ({error})") from error


def check_checkpoint(name: str, revision: str | None = None) -> None:
    """An `InputError` if `name` holds no config and tokenizer, or is an adapter; its weights are not read."""
    if (Path(name) / "adapter_config.json").is_file():
        raise InputError(
            f"{MODEL_OPTION} {name}: is an adapter, and training starts from whole checkpoints; merge it into its base "
            "(`merge_and_unload` of peft) and save that"
        )
    load_pretrained(AutoConfig, name, revision)
    load_tokenizer(name, revision)


def load_tokenizer(name: str, revision: str | None = None, option: str = MODEL_OPTION) -> PreTrainedTokenizerBase:
    """The tokenizer beside the model `name`.

    Raises:
        InputError: there is none. transformers then makes one that knows its special tokens alone, silently.
    """
    tokenizer = load_pretrained(AutoTokenizer, name, revision, option)
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise InputError(f"{option} {name}: cannot be loaded as a checkpoint (it holds no tokenizer)")
    return tokenizer


def unlike_checkpoint(model: PreTrainedModel, name: str, revision: str | None = None) -> tuple[set[str], set[str]]:
    """The names of the tensors of `model` that the checkpoint `name` lacks, and of those that it has with other values.

    Raises:
        InputError: there is no such checkpoint.
    """
    config = copy.deepcopy(model.config)
    with torch.random.fork_rng():  # what is made new here is thrown away
        saved, loading = load_pretrained(
            type(model),
            name,
            revision,
            "peft_config:",
            config=config,
            dtype=model.dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    lacking, values = set(loading["missing_keys"]), saved.state_dict()
    other = {key for key, *_ in loading["mismatched_keys"]}
    for key, tensor in model.state_dict().items():
        if key not in lacking and not torch.equal(tensor.cpu(), values[key]):
            other.add(key)
    return lacking, other


def check_trainable(model: PreTrainedModel, name: str) -> None:
    """An `InputError` if `model` is an encoder-decoder, or its weights are in half precision.

    In bfloat16 most steps are smaller than a weight's rounding and change nothing; in float16 they overflow.
    """
    if "decoder_input_ids" in inspect.signature(model.forward).parameters:
        raise InputError(f"{MODEL_OPTION} {name}: is an encoder-decoder ({model.config.model_type}); give an encoder")
    if model.dtype in (torch.float16, torch.bfloat16):
        raise InputError(
            f"{name}: its weights are {model.dtype}; load it with dtype=torch.float32 (--bf16 then computes in half)"
        )


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, name: str) -> None:
    """An `InputError` if `tokenizer` has tokens that `model` has no embedding for, or pads with another one."""
    size = getattr(model.config, "vocab_size", None)
    highest = max(tokenizer.get_vocab().values(), default=0)
    if size is not None and highest >= size:
        raise InputError(
            f"the tokenizer has tokens up to number {highest}, {name} only {size}; "
            "give the tokenizer that belongs to the model"
        )
    pads = tokenizer.pad_token_id, getattr(model.config, "pad_token_id", None)
    if None not in pads and pads[0] != pads[1]:
        raise InputError(
            f"the tokenizer pads with token {pads[0]}, {name} with {pads[1]}; "
            "give the tokenizer that belongs to the model"
        )


def token_positions(model: PreTrainedModel) -> int | None:
    """How many tokens of a text have positions in `model`, or None where that has no bound.

    RoBERTa and its kin (XLM-R) number positions from behind the padding token's number: of 514 they use 512.
    """
    for path, module in model.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    positions = getattr(model.config, "max_position_embeddings", None)
    return positions if positions is not None and positions > 0 else None


def quiet_transformers() -> None:
    """For scripts: no bars and reports of transformers around loading and saving; training's own progress stays."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
