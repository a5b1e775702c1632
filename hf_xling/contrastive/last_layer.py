"""The last layer for first tokens alone: where nothing else is read, the others are needed for keys and values only.

In a layer whose attention and residual connection both begin at its input, as in BERT and its kin, what comes out for a
token depends on its own input and on the keys and values of its text. So the layer can be given the first tokens as its
input, and the keys and values of all tokens beside it. Whether an encoder has such a layer is tried, as packing is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_xling.contrastive.packing import TOLERANCE, TextLengths, split_runs, trial

# What the projections of keys and of values are called: in BERT's kin, in DistilBERT, in most others.
PROJECTIONS = (("key", "value"), ("k_lin", "v_lin"), ("k_proj", "v_proj"))


@torch.no_grad()
def narrow_last_layer(encoder: PreTrainedModel, max_length: int) -> bool:
    """Let a packed `encoder` work out its last layer for first tokens alone, in passes with `first_tokens=True`.

    Such a pass returns (1, n, H) for the n texts of a flat batch. Others are as they were.

    Returns:
        Whether the first tokens are then the same; tried as in `packing.can_pack`. If not, the encoder is as it was.
    """
    attention = _last_attention(encoder)
    if attention is None:
        return False
    layer, path, names = attention

    # The layer is taken from the call: a copy of the encoder has this very hook, and projections of its own.
    def first_tokens_in(layer: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]] | None:
        if not kwargs.get("first_tokens"):
            return None
        hidden, *others = args
        module = layer.get_submodule(path)
        projected = tuple(getattr(module, name)(hidden) for name in names)
        return (first_tokens(hidden, kwargs["text_lengths"]), *others), {**kwargs, "keys_and_values": projected}

    (flat,) = trial(encoder, max_length, packed=True)
    was_training = encoder.training
    encoder.eval()
    expected = first_tokens(encoder(**flat).last_hidden_state, flat["text_lengths"]).float()
    hook, same = layer.register_forward_pre_hook(first_tokens_in, with_kwargs=True), False
    try:
        found = encoder(**flat, first_tokens=True).last_hidden_state.float()
        same = found.shape == expected.shape
        same = same and bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError):
        pass  # it is built in another way
    finally:
        encoder.train(was_training)
        if not same:
            hook.remove()
    return same


@torch.compiler.disable
def first_tokens(hidden: Tensor, text_lengths: TextLengths) -> Tensor:
    """(1, T, H) of all tokens to (1, n, H) of the first ones."""
    return torch.cat([texts[:, 0] for texts in split_runs(hidden.squeeze(0), text_lengths)]).unsqueeze(0)


def _last_attention(encoder: PreTrainedModel) -> tuple[nn.Module, str, tuple[str, str]] | None:
    """The last layer, the path of the module in it that projects keys and values, and the names of its projections."""
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    layers = next((each for each in lists if len(each) == getattr(encoder.config, "num_hidden_layers", 0)), None)
    if layers is None:
        return None
    for path, module in layers[-1].named_modules():
        for names in PROJECTIONS:
            if all(hasattr(module, name) for name in names):
                return layers[-1], path, names
    return None
