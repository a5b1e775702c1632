import math
import shutil

import pytest
import torch
from datasets import Dataset
from simcse_runs import BATCH, assert_equal_weights, configure, losses, train, weights
from transformers import AutoModel, AutoTokenizer

from hf_xling import SimCSEConfig, SimCSETrainer, info_nce
from hf_xling.contrastive.model import pool


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences})


# The objective


@pytest.mark.parametrize("pooling", ["cls_mlp", "cls", "mean", "first_last_mean"])
def test_learns_to_tell_sentences_apart(bert_folder, corpus, tmp_path, pooling):
    course = losses(train(bert_folder, corpus, tmp_path / "run", pooling=pooling, max_steps=40))
    assert sum(course[-5:]) / 5 < 0.7 * math.log(BATCH)
    assert sum(course[-5:]) < sum(course[:5])


@pytest.mark.parametrize("packing", [True, False])
def test_the_loss_is_info_nce_of_the_views(bert_folder, sentences, tmp_path, packing):
    """With dropout off, one batch's loss is what `info_nce` says of its texts, options and all."""
    columns = {
        "anchor": sentences[:BATCH],
        "positive": sentences[BATCH : 2 * BATCH],
        "negative_2": sentences[2 * BATCH : 3 * BATCH],
        "negative_1": sentences[3 * BATCH : 4 * BATCH],
        "group": [f"g{row // 2}" for row in range(BATCH)],
        "premise_id": list(range(BATCH)),
    }
    options = {"temperature": 0.1, "symmetric": True}
    trainer = SimCSETrainer(
        str(bert_folder),
        configure(tmp_path / "run", pooling="mean", packing=packing, per_device_eval_batch_size=BATCH, **options),
        eval_dataset=Dataset.from_dict(columns),
    )
    measured = trainer.evaluate()["eval_loss"]

    model, tokenizer = AutoModel.from_pretrained(bert_folder).eval(), AutoTokenizer.from_pretrained(bert_folder)
    with torch.no_grad():
        anchors, positives, first, second = (
            pool(model(**batch).last_hidden_state, batch["attention_mask"], "mean")
            for batch in (
                tokenizer(columns[name], padding=True, return_tensors="pt")
                for name in ("anchor", "positive", "negative_1", "negative_2")
            )
        )
    groups = torch.arange(BATCH) // 2
    wanted = info_nce(anchors, positives, torch.cat([first, second]), groups=groups, **options)
    assert measured == pytest.approx(wanted.item(), abs=1e-5)
    assert measured != pytest.approx(info_nce(anchors, positives, first, groups=groups, **options).item(), abs=1e-3)


def test_hard_negatives_weight_and_groups_reach_training(bert_folder, sentences, tmp_path):
    columns = {"anchor": sentences[:BATCH], "negative": sentences[BATCH : 2 * BATCH]}
    plain = Dataset.from_dict(columns)
    one_group = Dataset.from_dict({"anchor": sentences[:BATCH], "group": ["same"] * BATCH})

    def first_loss(corpus, **fields):
        return losses(train(bert_folder, corpus, tmp_path / "run", max_steps=1, **fields))[0]

    assert first_loss(plain) < first_loss(plain, negative_weight=3.0)
    assert first_loss(one_group) == pytest.approx(0.0, abs=1e-6)


def test_a_batch_of_one_group_teaches_nothing(bert_folder, sentences, tmp_path):
    """None of its rows is a negative of another: the loss is 0, and so is its gradient."""
    corpus = Dataset.from_dict({"anchor": sentences[:BATCH], "group": ["same"] * BATCH})
    trainer = train(bert_folder, corpus, tmp_path / "run", max_steps=2)
    assert losses(trainer) == pytest.approx([0.0, 0.0], abs=1e-6)
    start = AutoModel.from_pretrained(bert_folder).state_dict()
    assert_equal_weights(trainer.model.encoder.state_dict(), start, atol=1e-6)


def test_a_batch_of_one_row_teaches_nothing(bert_folder, sentences, tmp_path):
    """It is alone at the end of an epoch where that is not left out."""
    corpus = Dataset.from_dict({"anchor": sentences[: BATCH + 1]})
    trainer = train(bert_folder, corpus, tmp_path / "run", max_steps=4, dataloader_drop_last=False)
    first, alone, *_ = losses(trainer)
    assert first > 0.5 and alone == pytest.approx(0.0, abs=1e-6)
    assert all(tensor.isfinite().all() for tensor in weights(trainer).values())


def test_bf16_leaves_the_loss_in_fp32(bert_folder, corpus, tmp_path, monkeypatch):
    seen = []

    def watched(*args, **kwargs):
        loss = info_nce(*args, **kwargs)
        seen.append(loss.dtype)
        return loss

    monkeypatch.setattr("hf_xling.contrastive.trainer.info_nce", watched)
    full = train(bert_folder, corpus, tmp_path / "full", max_steps=3)
    half = train(bert_folder, corpus, tmp_path / "half", max_steps=3, bf16=True)
    assert seen == [torch.float32] * 6
    assert losses(half) == pytest.approx(losses(full), rel=0.02)
    assert losses(half) != losses(full), "autocast is not at work"
    assert all(tensor.dtype == torch.float32 for tensor in weights(half).values())


def test_gradient_accumulation_takes_the_mean_of_its_batches(bert_folder, corpus, tmp_path):
    run = train(bert_folder, corpus, tmp_path / "run", max_steps=2, gradient_accumulation_steps=3, learning_rate=1e-9)
    assert all(0.3 * math.log(BATCH) < loss < 1.5 * math.log(BATCH) for loss in losses(run))


def test_activation_checkpointing_changes_nothing(bert_folder, corpus, tmp_path):
    plain = train(bert_folder, corpus, tmp_path / "plain")
    kind = "activation" if hasattr(SimCSEConfig, "activation_checkpointing") else "gradient"  # the older name
    checkpointed = train(bert_folder, corpus, tmp_path / "checkpointed", **{f"{kind}_checkpointing": True})
    assert getattr(checkpointed.model.encoder, f"is_{kind}_checkpointing")
    assert_equal_weights(weights(plain), weights(checkpointed), atol=1e-6)


# Repeatability


def test_the_seed_alone_decides(bert_folder, corpus, tmp_path):
    first = train(bert_folder, corpus, tmp_path / "first", seed=7)
    torch.manual_seed(12345)  # whatever ran before in this process
    torch.rand(100)
    second = train(bert_folder, corpus, tmp_path / "second", seed=7)
    assert_equal_weights(weights(first), weights(second))
    other = train(bert_folder, corpus, tmp_path / "third", seed=8)
    assert not torch.equal(first.model.mlp[0].weight, other.model.mlp[0].weight)


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_resumed_equals_uninterrupted(request, corpus, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    whole = train(checkpoint, corpus, tmp_path / "run", max_steps=6, save_strategy="steps", save_steps=3)
    start = AutoModel.from_pretrained(checkpoint).state_dict()
    name = next(name for name in start if "layer.0" in name and name.endswith("weight"))
    assert (whole.model.encoder.state_dict()[name] - start[name]).abs().max() > 1e-4, "it has not moved"
    shutil.rmtree(tmp_path / "run" / "checkpoint-6")
    torch.manual_seed(99)
    resumed = train(
        checkpoint,
        corpus,
        tmp_path / "run",
        str(tmp_path / "run" / "checkpoint-3"),
        max_steps=6,
        save_strategy="steps",
        save_steps=3,
    )
    assert resumed.state.global_step == 6
    assert_equal_weights(weights(whole), weights(resumed))
    assert losses(whole) == losses(resumed)


def test_an_encoder_without_a_pooler_resumes(bert_folder, corpus, tmp_path):
    def run(resume=None):
        encoder = AutoModel.from_pretrained(bert_folder, add_pooling_layer=False)
        args = configure(tmp_path / "run", max_steps=2, save_strategy="steps", save_steps=1)
        trainer = SimCSETrainer(encoder, args, corpus, processing_class=AutoTokenizer.from_pretrained(bert_folder))
        trainer.train(resume_from_checkpoint=resume)
        return weights(trainer)

    whole = run()
    assert_equal_weights(whole, run(str(tmp_path / "run" / "checkpoint-1")))
