"""Packed = length-sorted chunks = one padded batch: vectors, and the gradient of each parameter."""

import pytest
import torch
from encoders import POSITIONS, THE_THREE, gradients, largest_difference, make_encoder, token_ids
from transformers import AttentionInterface

from hf_xling import info_nce
from hf_xling.contrastive.model import SimCSEModel
from hf_xling.contrastive.packing import PACKED_ATTENTION, chunks, first_position, packed_attention

POOLINGS = ["cls_mlp", "cls", "mean", "first_last_mean"]
LENGTHS = {
    "mixed": [5, 3, 9, 9, 3, 17, POSITIONS, 30, 30, 2, 5, 5, POSITIONS, 21],
    "all different": [2, 8, 3, 7, 4, 6, 5, 40],
    "all equal": [6] * 8,
    "the longest alone": [POSITIONS] * 12,
    "one token": [1, 1, 4, 1],
}


def by_hand(kind, pooling, texts):
    """The loss by plain transformers: one padded batch in the order given, and the pooling written out."""
    encoder = make_encoder(kind, dropout=0.0)
    torch.manual_seed(1)
    model = SimCSEModel(encoder, pooling).train()
    longest, pad = max(map(len, texts)), encoder.config.pad_token_id
    ids = torch.tensor([[*text.tolist(), *[pad] * (longest - len(text))] for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    output = encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    first, last = output.hidden_states[0], output.last_hidden_state
    if pooling.startswith("cls"):
        vectors = last[:, 0]
    else:
        tokens = last if pooling == "mean" else (first + last) / 2
        vectors = torch.stack([tokens[row, : len(text)].mean(dim=0) for row, text in enumerate(texts)])
    if pooling == "cls_mlp":
        vectors = torch.tanh(vectors @ model.mlp[0].weight.T + model.mlp[0].bias)
    return finished(model, vectors)


def by_model(kind, pooling, texts, packed, token_budget=None, recompute=False):
    encoder = make_encoder(kind, dropout=0.0)
    options = {"first_position": first_position(encoder), "pad": encoder.config.pad_token_id}
    if packed:
        encoder.set_attn_implementation(PACKED_ATTENTION)
    torch.manual_seed(1)
    model = SimCSEModel(encoder, pooling).train()
    parts, places = chunks(texts, packed=packed, token_budget=token_budget, **options)
    vectors, _ = model(parts, recompute)
    return finished(model, vectors[places])


def finished(model, vectors):
    anchors, positives = vectors.chunk(2)
    info_nce(anchors, positives, temperature=0.5).backward()
    return vectors.detach(), gradients(model)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", THE_THREE)
def test_three_ways_are_one(kind, pooling):
    texts = token_ids(LENGTHS["mixed"])
    vectors, exact = by_hand(kind, pooling, texts)
    for packed in (True, False):
        for budget in (None, 60, 10**6):
            found, trained = by_model(kind, pooling, texts, packed, budget)
            torch.testing.assert_close(found, vectors, atol=1e-5, rtol=0)
            assert largest_difference(exact, trained) < 1e-5


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("kind", THE_THREE)
def test_texts_of_all_lengths(kind, lengths):
    texts = token_ids(LENGTHS[lengths])
    vectors, exact = by_hand(kind, "mean", texts)
    for packed, budget, recompute in ((True, None, False), (True, 50, True), (False, None, True)):
        found, trained = by_model(kind, "mean", texts, packed, budget, recompute)
        torch.testing.assert_close(found, vectors, atol=1e-5, rtol=0)
        assert largest_difference(exact, trained) < 1e-5


def test_the_comparison_sees_attention_that_leaks():
    def all_to_all(*args, text_lengths=None, **kwargs):
        return packed_attention(*args, **kwargs)

    texts = token_ids(LENGTHS["mixed"])
    vectors, exact = by_hand("bert", "cls_mlp", texts)
    AttentionInterface.register(PACKED_ATTENTION, all_to_all)
    try:
        found, trained = by_model("bert", "cls_mlp", texts, packed=True)
    finally:
        AttentionInterface.register(PACKED_ATTENTION, packed_attention)
    assert (found - vectors).abs().max() > 1e-2 and largest_difference(exact, trained) > 1e-2


def test_the_comparison_sees_a_wrong_place():
    texts = token_ids(LENGTHS["all equal"])
    _, exact = by_hand("bert", "cls", texts)
    _, moved = by_hand("bert", "cls", [texts[-1], *texts[:-1]])
    assert largest_difference(exact, moved) > 1e-2
