"""Batches without padding: the tokens of all texts laid flat, and attention for all texts of one length together.

A text of a flat batch must attend to itself alone. Texts are sorted by length, so that those of one length lie side by
side and their attention is one ordinary call without a mask; all other layers work on tokens and do not care. Where an
architecture has attention of another kind, `can_pack` says no, and `chunks` pads texts of similar lengths instead.

Where only first tokens are read, the others are needed in the last layer for keys and values alone. In a layer whose
attention and residual connection both begin at its input, as in BERT and its kin, what comes out for a token depends on
its own input and on the keys and values of its text: `narrow_last_layer`. Whether an encoder has such a layer is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hf_xling.training.chunking import Side, places, split_padded
from hf_xling.training.chunking import pad as pad_texts

PACKED_ATTENTION = "hf_xling_packed"
# Of a padded batch: so many chunks of texts of similar lengths leave little padding and still fill the machine.
PADDED_CHUNKS = 8
# What the projections of keys and of values are called: in BERT's kin, in DistilBERT, in most others.
PROJECTIONS = (("key", "value"), ("k_lin", "v_lin"), ("k_proj", "v_proj"))
TOLERANCE = 1e-4  # between packed and padded vectors, relative to their size; a leak between texts is 100 times that

Chunk = dict[str, Any]


class TextLengths:
    """(how many texts, their length) for each run of texts of one length, in the order of a flat batch's tokens.

    An object of its own, since `torch.compile` looks into lists, and compiles anew for each that is unlike the last.
    What reads it is left out of compilation.
    """

    def __init__(self, runs: Iterable[tuple[int, int]]):
        self._runs = tuple(runs)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._runs)

    def __repr__(self) -> str:
        return f"TextLengths({list(self._runs)})"


@torch.compiler.disable
def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    text_lengths: TextLengths | None = None,
    keys_and_values: tuple[Tensor, Tensor] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention within each text of a flat batch, as transformers' `AttentionInterface` calls it.

    Args:
        query, key, value: (1, heads, T, width) of T tokens; of the n texts' first tokens with `keys_and_values`.
        text_lengths: where the texts lie; without it this is transformers' own `sdpa`, for padded batches.
        keys_and_values: (1, T, heads · width) each, of all tokens, where only first tokens ask (`narrow_last_layer`).

    Returns:
        (1, T or n, heads, width), and no weights.
    """
    if text_lengths is None:
        sdpa = ALL_ATTENTION_FUNCTIONS["sdpa"]
        return sdpa(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    asking = text_lengths
    if keys_and_values is not None:
        key, value = (x.unflatten(-1, (query.shape[1], -1)).transpose(1, 2) for x in keys_and_values)
        asking = TextLengths((count, 1) for count, _ in text_lengths)
    pairs = zip((query, key, value), (asking, text_lengths, text_lengths), strict=True)
    runs = zip(*(split_runs(x.squeeze(0).transpose(0, 1), lengths) for x, lengths in pairs), strict=True)
    outputs = []
    for run in runs:
        q, k, v = (texts.transpose(1, 2) for texts in run)
        output = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
        outputs.append(output.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs).unsqueeze(0), None


def split_runs(tokens: Tensor, text_lengths: TextLengths) -> list[Tensor]:
    """(T, …) tokens as (count, length, …) for each run of texts of one length.

    Split, not sliced: the gradient of a slice is as large as the whole, and there are many.
    """
    sizes = [count * length for count, length in text_lengths]
    if sum(sizes) != len(tokens):
        raise ValueError(f"text_lengths speak of {sum(sizes)} tokens; there are {len(tokens)}")
    return [run.unflatten(0, shape) for run, shape in zip(tokens.split(sizes), text_lengths, strict=True)]


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
AttentionMaskInterface.register(PACKED_ATTENTION, sdpa_mask)


def chunks(
    texts: Sequence[numpy.ndarray],
    *,
    packed: bool,
    token_budget: int | None = None,
    first_position: int = 0,
    pad: int = 0,
    side: Side = "right",
) -> tuple[list[Chunk], Tensor]:
    """The texts of a batch as inputs of one or more forward passes, the shortest first.

    Args:
        texts: the token ids of each.
        packed: flat, or padded to the longest of the chunk.
        token_budget: tokens of a chunk at most, padding included, but at least one text; None for all in one if
            packed, for `PADDED_CHUNKS` of about equal size otherwise.
        first_position: what the encoder calls the position of a text's first token; for packing.
        pad: the id of the padding token.
        side: of the padding; None for chunks of texts of one length.

    Returns:
        The chunks, and (S,) the place of each text of `texts` among the texts of all chunks.
    """
    lengths = [len(text) for text in texts]
    if packed:
        parts = split_padded(lengths, token_budget, padded=False)
        return [_flat([texts[place] for place in part], first_position) for part in parts], places(parts)
    budget = token_budget or -(-sum(lengths) // PADDED_CHUNKS)
    parts = split_padded(lengths, budget, bounded_padding=False, side=side)
    return [pad_texts([texts[place] for place in part], pad, side) for part in parts], places(parts)


def _flat(texts: Sequence[numpy.ndarray], first_position: int) -> Chunk:
    lengths = [len(text) for text in texts]
    positions = numpy.concatenate([numpy.arange(length) for length in lengths]) + first_position
    return {
        "input_ids": torch.from_numpy(numpy.concatenate(texts).astype(numpy.int64))[None],
        "position_ids": torch.from_numpy(positions)[None],
        "text_lengths": TextLengths((len(list(run)), length) for length, run in groupby(lengths)),
    }


class SimCSECollator:
    """Lays all views of a batch out for the encoder, without padding where it can do without.

    >>> collate([{"views": [[2, 7, 3], [2, 7, 3]], "group": 5}, {"views": [[2, 8, 9, 3], [2, 8, 9, 3]], "group": 6}])
    {"groups": tensor([5, 6]),
     "chunks": [{"input_ids": tensor([[2, 7, 3, 2, 7, 3, 2, 8, 9, 3, 2, 8, 9, 3]]), "position_ids": …,
                 "text_lengths": [(2, 3), (2, 4)]}],
     "places": tensor([0, 2, 1, 3])}     # of the anchors, then of the positives, among the texts of all chunks

    Args:
        layout: how `chunks` lays texts out: its arguments but for the texts.
    """

    def __init__(self, **layout: Any):
        self.layout = layout

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        # All anchors, all positives, all first negatives, …: row i of each belongs together.
        texts = [view for views in zip(*(row["views"] for row in rows), strict=True) for view in views]
        parts, places = chunks(texts, **self.layout)
        return {"groups": torch.tensor([row["group"] for row in rows]), "chunks": parts, "places": places}


def first_position(encoder: PreTrainedModel) -> int:
    """What `encoder` calls the position of a text's first token: RoBERTa and its kin number from behind the padding."""
    for path, module in encoder.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


@torch.no_grad()
def can_pack(encoder: PreTrainedModel, max_length: int) -> bool:
    """Whether `encoder` gives the same token vectors packed as padded; tried on texts of 3 to `max_length` tokens.

    Its attention implementation is left as it was.
    """
    before, was_training = encoder.config._attn_implementation, encoder.training
    flat, padded = (trial(encoder, max_length, packed) for packed in (True, False))
    encoder.eval()
    try:
        expected = torch.cat(
            [encoder(**chunk).last_hidden_state[chunk["attention_mask"].bool()] for chunk in padded]
        ).float()
        encoder.set_attn_implementation(PACKED_ATTENTION)
        found = encoder(**flat[0]).last_hidden_state[0].float()
        return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError):
        return False  # it has no such argument, no such attention, or no such output
    finally:
        encoder.set_attn_implementation(before)
        encoder.train(was_training)


def trial(encoder: PreTrainedModel, max_length: int, packed: bool) -> list[Chunk]:
    """Random texts of 3 to `max_length` tokens to try `encoder` on, where it is."""
    generator, pad = numpy.random.default_rng(0), encoder.config.pad_token_id or 0
    lengths = [3, 3, max(3, max_length // 2), max_length, max_length]
    # More tokens than a model has positions: buffers of that size must not matter.
    lengths *= 1 + 1024 // sum(lengths)
    # Canine has no vocabulary but Unicode.
    tokens = numpy.delete(numpy.arange(getattr(encoder.config, "vocab_size", 256)), pad)
    texts = [generator.choice(tokens, length) for length in sorted(lengths)]
    parts, _ = chunks(texts, packed=packed, token_budget=None, first_position=first_position(encoder), pad=pad)
    return on_device(parts, encoder.device)


def on_device(parts: Iterable[Chunk], device: torch.device) -> list[Chunk]:
    """The chunks with their tensors on `device`."""
    return [
        {name: value.to(device) if isinstance(value, Tensor) else value for name, value in part.items()}
        for part in parts
    ]


@torch.no_grad()
def narrow_last_layer(encoder: PreTrainedModel, max_length: int) -> bool:
    """Let a packed `encoder` work out its last layer for first tokens alone, in passes with `first_tokens=True`.

    Such a pass returns (1, n, H) for the n texts of a flat batch. Others are as they were.

    Returns:
        Whether the first tokens are then the same; tried as in `can_pack`. If not, the encoder is as it was.
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
