import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from hf_xling.contrastive.model import SimCSEModel, encode, pool
from hf_xling.contrastive.packing import PACKED_ATTENTION, chunks

POOLINGS = ["cls_mlp", "cls", "mean", "first_last_mean"]


@pytest.fixture(scope="module")
def tokenizer(bert_folder):
    return AutoTokenizer.from_pretrained(bert_folder)


def make(folder, pooling, packed=True):
    encoder = AutoModel.from_pretrained(folder)
    if packed:
        encoder.set_attn_implementation(PACKED_ATTENTION)
    return SimCSEModel(encoder, pooling)


def batch(tokenizer, texts, packed=True):
    """The chunks of `texts`, which are given by their lengths, the shortest first."""
    parts, places = chunks(tokenizer(texts)["input_ids"], packed=packed, token_budget=10**6, pad=tokenizer.pad_token_id)
    assert places.tolist() == list(range(len(texts)))
    return parts


PAIRS = ["a cat", "a cat", "the dog eats fish", "the dog eats fish"]


def test_pool_takes_the_first_token_or_the_mean_of_the_unmasked():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]], [[5.0, 6.0], [7.0, 8.0], [9.0, 10.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    for pooling in ("cls", "cls_mlp"):
        assert pool(hidden, mask, pooling).tolist() == [[1.0, 2.0], [5.0, 6.0]]
    for pooling in ("mean", "first_last_mean"):
        assert pool(hidden, mask, pooling).tolist() == [[2.0, 3.0], [7.0, 8.0]]


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_dropout_pairs_differ_in_training_alone(bert_folder, tokenizer, pooling, packed):
    model, parts = make(bert_folder, pooling, packed), batch(tokenizer, PAIRS, packed)
    torch.manual_seed(0)
    trained, _ = model.train()(parts)
    assert (trained[::2] - trained[1::2]).abs().max() > 1e-2
    evaluated, _ = model.eval()(parts)
    torch.testing.assert_close(evaluated[::2], evaluated[1::2])


def test_first_last_mean_is_that_of_the_official_code(bert_folder, tokenizer):
    """avg_first_last of SimCSE's models.py, whose first hidden state is the embeddings' output."""
    texts = ["a cat", "the old houses the boy wants"]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        output = AutoModel.from_pretrained(bert_folder)(**inputs, output_hidden_states=True)
        both = (output.hidden_states[0] + output.hidden_states[-1]) / 2.0
        mask = inputs["attention_mask"].unsqueeze(-1)
        official = (both * mask).sum(1) / mask.sum(1)
        found, _ = make(bert_folder, "first_last_mean").eval()(batch(tokenizer, texts))
    torch.testing.assert_close(found, official, atol=1e-6, rtol=1e-5)
    last = (output.last_hidden_state * mask).sum(1) / mask.sum(1)
    assert (last - official).abs().max() > 1e-2


def test_encode_leaves_out_the_mlp_and_dropout_and_restores_the_mode(bert_folder, tokenizer):
    model, parts = make(bert_folder, "cls_mlp").train(), batch(tokenizer, PAIRS)
    vectors = encode(model, parts)
    assert model.training and model.encoder.training and not vectors.requires_grad
    model.eval()
    plain = AutoModel.from_pretrained(bert_folder)(**tokenizer(PAIRS, padding=True, return_tensors="pt"))
    torch.testing.assert_close(vectors, plain.last_hidden_state[:, 0], atol=1e-6, rtol=1e-5)
    assert (vectors - model(parts)[0]).abs().max() > 1e-2
    encode(model, parts)
    assert not model.training


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_company_changes_no_vector(bert_folder, tokenizer, pooling, packed):
    model = make(bert_folder, pooling, packed).eval()
    alone, beside = (
        model(batch(tokenizer, texts, packed))[0][0]
        for texts in (["a cat"], ["a cat", "the old houses the boy wants one tree"])
    )
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=1e-4)


def test_the_pretrained_pooler_is_not_the_mlp_and_is_not_trained(bert_folder):
    encoder = AutoModel.from_pretrained(bert_folder)
    model = SimCSEModel(encoder, "cls_mlp")
    assert not any(parameter.requires_grad for parameter in encoder.pooler.parameters())
    assert all(parameter.requires_grad for parameter in model.mlp.parameters())
    assert not torch.equal(model.mlp[0].weight, encoder.pooler.dense.weight)
    assert all(SimCSEModel(encoder, pooling).mlp is None for pooling in ("cls", "mean", "first_last_mean"))


def test_the_mlp_is_made_as_the_encoder_is(bert_folder):
    encoder = AutoModel.from_pretrained(bert_folder, dtype=torch.bfloat16)
    mlp = SimCSEModel(encoder, "cls_mlp").mlp
    assert mlp[0].weight.dtype == torch.bfloat16 and not mlp[0].bias.any()
    assert mlp[0].weight.float().std().item() == pytest.approx(encoder.config.initializer_range, rel=0.1)
