import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from hf_xling.contrastive.collator import SimCSECollator, negative_columns
from hf_xling.contrastive.pooling import SimCSEModel, encode, pool


@pytest.fixture(scope="module")
def tokenizer(bert_folder):
    return AutoTokenizer.from_pretrained(bert_folder)


@pytest.fixture(scope="module")
def collate(tokenizer):
    return SimCSECollator(tokenizer, max_length=16)


def texts(tokenizer, batch):
    return tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True)


# The collator


def test_dropout_pairs_stand_twice(collate, tokenizer):
    batch = collate([{"anchor": "the dog"}, {"anchor": "a cat eats"}])
    assert texts(tokenizer, batch) == ["the dog", "a cat eats", "the dog", "a cat eats"]
    assert batch["input_ids"].shape == (4, 5)  # [CLS] a cat eats [SEP]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1] * 5, [1, 1, 1, 1, 0], [1] * 5]
    assert batch["groups"].tolist() == [0, 1]


def test_layout_with_positives_and_negatives(collate, tokenizer):
    rows = [
        {"anchor": "boy", "positive": "girl", "negative_10": "fish", "negative_2": "bread"},
        {"anchor": "man", "positive": "woman", "negative_10": "water", "negative_2": "tree"},
    ]
    wanted = ["boy", "man", "girl", "woman", "bread", "tree", "fish", "water"]
    assert texts(tokenizer, collate(rows)) == wanted


def test_negative_columns_in_the_order_of_their_numbers():
    names = ["negative_10", "anchor", "negative_2", "negative", "negative_x", "negatives", "negative_"]
    assert negative_columns(names) == ["negative", "negative_2", "negative_10"]


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        (["s7", "s1", "s7", "s3"], [0, 1, 0, 2]),
        ([30, 4, 4, 30], [0, 1, 1, 0]),
        ([2**40, -1, 2**40, 0], [0, 1, 0, 2]),
    ],
    ids=["strings", "integers", "large integers"],
)
def test_groups_are_numbered_within_the_batch(collate, groups, wanted):
    rows = [{"anchor": "the dog", "group": group} for group in groups]
    assert collate(rows)["groups"].tolist() == wanted


def test_a_row_without_a_group_is_nobodys_relative(collate):
    rows = [{"anchor": "the dog", "group": group} for group in (None, None, 0, 1, 0)]
    first, second, *others = collate(rows)["groups"].tolist()
    assert first != second and not {first, second} & set(others)
    assert others[0] == others[2] != others[1]


def test_long_texts_are_cut_and_padding_can_be_rounded_up(tokenizer):
    rows = [{"anchor": "the dog " * 40}, {"anchor": "a cat"}]
    assert SimCSECollator(tokenizer, max_length=10)(rows)["input_ids"].shape == (4, 10)


# Pooling


def test_pool_takes_the_first_token_or_the_mean_of_the_unmasked():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]], [[5.0, 6.0], [7.0, 8.0], [9.0, 10.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    for pooling in ("cls", "cls_mlp"):
        assert pool(hidden, mask, pooling).tolist() == [[1.0, 2.0], [5.0, 6.0]]
    assert pool(hidden, mask, "mean").tolist() == [[2.0, 3.0], [7.0, 8.0]]


@pytest.mark.parametrize("pooling", ["cls_mlp", "cls", "mean"])
def test_dropout_pairs_differ_in_training_alone(bert_folder, collate, pooling):
    model = SimCSEModel(AutoModel.from_pretrained(bert_folder), pooling)
    batch = collate([{"anchor": "the dog eats fish"}, {"anchor": "a cat"}])
    batch.pop("groups")
    torch.manual_seed(0)
    trained = model.train()(**batch)
    assert (trained[:2] - trained[2:]).abs().max() > 1e-2
    evaluated = model.eval()(**batch)
    torch.testing.assert_close(evaluated[:2], evaluated[2:])


def test_encode_leaves_out_the_mlp_and_dropout_and_restores_the_mode(bert_folder, collate):
    model = SimCSEModel(AutoModel.from_pretrained(bert_folder), "cls_mlp").train()
    batch = collate([{"anchor": "the dog eats fish"}, {"anchor": "a cat"}])
    batch.pop("groups")
    vectors = encode(model, batch)
    assert model.training and model.encoder.training and not vectors.requires_grad
    model.eval()
    torch.testing.assert_close(vectors, model.encoder(**batch).last_hidden_state[:, 0])
    assert (vectors - model(**batch)).abs().max() > 1e-2
    encode(model, batch)
    assert not model.training


def test_padding_changes_no_vector(bert_folder, collate):
    for pooling in ("cls_mlp", "cls", "mean"):
        model = SimCSEModel(AutoModel.from_pretrained(bert_folder), pooling).eval()
        alone = collate([{"anchor": "a cat"}])
        beside = collate([{"anchor": "a cat"}, {"anchor": "the old houses the boy wants one tree"}])
        assert beside["input_ids"].shape[1] > alone["input_ids"].shape[1]
        vectors = [model(**{k: v for k, v in batch.items() if k != "groups"})[0] for batch in (alone, beside)]
        torch.testing.assert_close(*vectors, atol=1e-5, rtol=1e-4)


def test_the_pretrained_pooler_is_not_the_mlp_and_is_not_trained(bert_folder):
    encoder = AutoModel.from_pretrained(bert_folder)
    model = SimCSEModel(encoder, "cls_mlp")
    assert not any(parameter.requires_grad for parameter in encoder.pooler.parameters())
    assert all(parameter.requires_grad for parameter in model.mlp.parameters())
    assert not torch.equal(model.mlp[0].weight, encoder.pooler.dense.weight)
    assert SimCSEModel(encoder, "mean").mlp is None
