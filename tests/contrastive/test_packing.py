import math

import numpy
import pytest
import torch
from encoders import POSITIONS, VOCABULARY, make_encoder, token_ids
from hypothesis import given
from hypothesis import strategies as st
from transformers import AttentionInterface

from hf_xling.contrastive import packing
from hf_xling.contrastive.packing import PACKED_ATTENTION, can_pack, chunks, first_position, packed_attention

# Chunks


def texts_of(parts) -> list[tuple[list[int], list[int] | None]]:
    """The token ids, and the positions if there are any, of each text of all chunks, in their order."""
    found = []
    for part in parts:
        if "text_lengths" in part:
            assert part.keys() == {"input_ids", "position_ids", "text_lengths"}
            assert part["input_ids"].shape == part["position_ids"].shape == (1, part["input_ids"].numel())
            lengths = [length for count, length in part["text_lengths"] for _ in range(count)]
            both = (part[name][0].split(lengths) for name in ("input_ids", "position_ids"))
            found += [(ids.tolist(), positions.tolist()) for ids, positions in zip(*both, strict=True)]
        else:
            assert part.keys() == {"input_ids", "attention_mask"}
            for ids, mask in zip(part["input_ids"], part["attention_mask"], strict=True):
                assert mask.tolist() == [1] * int(mask.sum()) + [0] * int((1 - mask).sum()), "padded on the right"
                assert set(ids[mask == 0].tolist()) <= {7}
                found.append((ids[mask == 1].tolist(), None))
    return found


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=80),
    packed=st.booleans(),
    budget=st.one_of(st.none(), st.integers(1, 400)),
)
def test_chunks_hold_each_text_once_at_its_place_within_the_budget(lengths, packed, budget):
    texts = [numpy.arange(length, dtype=numpy.int32) + 100 * number for number, length in enumerate(lengths)]
    parts, places = chunks(texts, packed=packed, token_budget=budget, first_position=2, pad=7)
    found = texts_of(parts)
    assert sorted(places.tolist()) == list(range(len(texts)))
    for text, place in zip(texts, places, strict=True):
        ids, positions = found[place]
        assert ids == text.tolist()
        assert positions is None or positions == list(range(2, 2 + len(text)))
    assert [len(ids) for ids, _ in found] == sorted(lengths), "the shortest first"

    tokens, sizes = sum(lengths), [part["input_ids"].numel() for part in parts]
    counts = [len(texts_of([part])) for part in parts]
    if budget is None and packed:
        assert len(parts) == 1
    limit = budget if budget is not None or packed else -(-tokens // packing.PADDED_CHUNKS)
    if limit is not None:
        assert all(size <= limit or count == 1 for size, count in zip(sizes, counts, strict=True))
        # No chunk could have taken the first text of the next.
        for part, size, count, following in zip(parts, sizes, counts, parts[1:], strict=False):
            first = len(texts_of([following])[0][0])
            assert (size + first if packed else (count + 1) * first) > limit, part
    padding = sum(sizes) - tokens
    if packed:
        assert padding == 0
    elif limit is not None:
        # A chunk's texts pad by less than limit * ln(longest / shortest), and the chunks' ranges do not overlap.
        assert padding <= limit * math.log(max(lengths) / min(lengths)) + 1e-6


def test_one_batch_literally():
    texts = [[2, 7, 3], [2, 8, 9, 3], [2, 7, 3], [2, 3]]
    [flat], places = chunks(texts, packed=True, token_budget=None)
    assert flat["input_ids"].tolist() == [[2, 3, 2, 7, 3, 2, 7, 3, 2, 8, 9, 3]]
    assert flat["position_ids"].tolist() == [[0, 1, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3]]
    assert list(flat["text_lengths"]) == [(1, 2), (2, 3), (1, 4)]
    assert places.tolist() == [1, 3, 2, 0]
    [short, long], places = chunks(texts, packed=False, token_budget=9, pad=5)
    assert short["input_ids"].tolist() == [[2, 3, 5], [2, 7, 3], [2, 7, 3]]
    assert short["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 1]]
    assert long["input_ids"].tolist() == [[2, 8, 9, 3]]
    assert places.tolist() == [1, 3, 2, 0]


# The attention


def test_lengths_that_do_not_add_up_are_refused():
    x = torch.randn(1, 2, 9, 4)
    with pytest.raises(ValueError, match="text_lengths speak of 8 tokens; there are 9"):
        packed_attention(torch.nn.Module(), x, x, x, None, text_lengths=[(1, 2), (2, 3)])
    with pytest.raises((ValueError, RuntimeError)):
        packed_attention(torch.nn.Module(), x, x, x, None, text_lengths=[(2, 2), (2, 3)])


def test_each_text_attends_to_itself_alone():
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, 2, 11, 4, generator=generator) for _ in range(3))
    found, none = packed_attention(
        torch.nn.Module(), query, key, value, None, 0.3, text_lengths=[(2, 2), (1, 3), (1, 4)]
    )
    assert found.shape == (1, 11, 2, 4) and none is None
    for start, end in ((0, 2), (2, 4), (4, 7), (7, 11)):
        for head in range(2):
            q, k, v = (x[0, head, start:end] for x in (query, key, value))
            wanted = torch.softmax(0.3 * q @ k.T, dim=-1) @ v
            torch.testing.assert_close(found[0, start:end, head], wanted, atol=1e-6, rtol=1e-5)


# Which encoders take it


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "distilbert", "albert", "electra", "modernbert"])
@pytest.mark.parametrize("max_length", [3, 20])
def test_encoders_that_can_pack(kind, max_length):
    assert can_pack(make_encoder(kind), max_length)


@pytest.mark.parametrize("kind", ["mpnet", "deberta-v2", "llama"])
def test_encoders_that_cannot_pack(kind):
    """Relative positions as a bias of the attention, attention of its own, and causal attention."""
    assert not can_pack(make_encoder(kind), 20)


def test_attention_within_a_window_packs_up_to_its_width():
    """ModernBERT's local layers see 32 tokens each way here."""
    assert can_pack(make_encoder("modernbert"), 33)
    assert not can_pack(make_encoder("modernbert"), 36)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_can_pack(dtype):
    assert can_pack(make_encoder("bert").to(dtype), 40)
    assert not can_pack(make_encoder("llama").to(dtype), 40)


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "llama", "mpnet"])
@pytest.mark.parametrize("training", [False, True])
def test_the_probe_leaves_all_as_it_was(kind, training):
    encoder = make_encoder(kind).train(training)
    weights = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    implementation, torch_state, numpy_state = (
        encoder.config._attn_implementation,
        torch.get_rng_state(),
        numpy.random.get_state()[1].copy(),
    )
    can_pack(encoder, 20)
    assert encoder.config._attn_implementation == implementation != PACKED_ATTENTION
    assert all(module.training == training for module in encoder.modules())
    assert all(tensor.equal(weights[name]) for name, tensor in encoder.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in encoder.parameters())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert numpy.array_equal(numpy.random.get_state()[1], numpy_state)


@pytest.mark.parametrize("pad", [0, VOCABULARY - 1, None])
def test_padding_may_have_any_number(pad):
    encoder = make_encoder("bert")
    encoder.config.pad_token_id = pad
    assert can_pack(encoder, 20)


def test_positions_count_from_where_the_encoder_counts():
    assert first_position(make_encoder("bert")) == first_position(make_encoder("distilbert")) == 0
    assert first_position(make_encoder("modernbert")) == 0
    assert first_position(make_encoder("xlm-roberta")) == 2


@pytest.fixture
def attention():
    """Puts another function in the place of the packed attention."""
    yield lambda function: AttentionInterface.register(PACKED_ATTENTION, function)
    AttentionInterface.register(PACKED_ATTENTION, packed_attention)


def all_to_all(module, query, key, value, mask, text_lengths=None, **kwargs):
    return packed_attention(module, query, key, value, mask, **kwargs)


def two_by_two(module, query, key, value, mask, text_lengths=None, **kwargs):
    pairs = [(count // 2, 2 * length) for count, length in text_lengths]
    rest = [(count % 2, length) for count, length in text_lengths]
    both = [run for two in zip(pairs, rest, strict=True) for run in two if run[0]]
    return packed_attention(module, query, key, value, mask, text_lengths=both, **kwargs)


def last_looks_back(module, query, key, value, mask, text_lengths=None, **kwargs):
    output, _ = packed_attention(module, query, key, value, mask, text_lengths=text_lengths, **kwargs)
    beyond = key.shape[2] - text_lengths[-1][1] - 1  # one token more than its own
    leaked, _ = packed_attention(module, query[:, :, -1:], key[:, :, beyond:], value[:, :, beyond:], None, **kwargs)
    return torch.cat([output[:, :-1], leaked], dim=1), None


def wrong_scale(module, query, key, value, mask, scaling=None, **kwargs):
    return packed_attention(module, query, key, value, mask, scaling=1.1 * scaling, **kwargs)


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "distilbert"])
@pytest.mark.parametrize("fault", [all_to_all, two_by_two, last_looks_back, wrong_scale])
def test_attention_across_texts_is_noticed(attention, kind, fault):
    attention(fault)
    assert not can_pack(make_encoder(kind), 20)


@pytest.mark.parametrize("wrong", [0, 1, 3])
def test_positions_from_elsewhere_are_noticed(monkeypatch, wrong):
    monkeypatch.setattr(packing, "first_position", lambda encoder: wrong)
    assert not can_pack(make_encoder("xlm-roberta"), 20)


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "distilbert", "albert", "electra", "modernbert"])
def test_a_packed_encoder_still_answers_padded_batches(kind):
    encoder = make_encoder(kind).eval()
    pad = encoder.config.pad_token_id
    [batch], _ = chunks(token_ids([3, 9, 20]), packed=False, token_budget=1000, pad=pad)
    with torch.no_grad():
        before = encoder(**batch).last_hidden_state
        encoder.set_attn_implementation(PACKED_ATTENTION)
        after = encoder(**batch).last_hidden_state
    torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-5)


def test_more_tokens_than_positions():
    """The flat batch is longer than the buffers that some encoders keep for a text's positions and types."""
    lengths = [POSITIONS] * 30
    encoder = make_encoder("bert").eval()
    [padded], _ = chunks(token_ids(lengths), packed=False, token_budget=10**6)
    [flat], _ = chunks(token_ids(lengths), packed=True, token_budget=None)
    assert flat["input_ids"].numel() > 512
    with torch.no_grad():
        wanted = encoder(**padded).last_hidden_state.flatten(0, 1)
        encoder.set_attn_implementation(PACKED_ATTENTION)
        torch.testing.assert_close(encoder(**flat).last_hidden_state[0], wanted, atol=1e-5, rtol=1e-5)
