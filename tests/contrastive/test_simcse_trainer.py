import json
import math
import shutil

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from simcse_runs import BATCH, assert_equal_weights, configure, losses, train, weights
from transformers import AutoModel, AutoTokenizer, TrainerCallback

from hf_xling import SimCSEConfig, SimCSETrainer, info_nce
from hf_xling.contrastive.pooling import pool


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences})


# The objective


@pytest.mark.parametrize("pooling", ["cls_mlp", "cls", "mean"])
def test_learns_to_tell_sentences_apart(bert_folder, corpus, tmp_path, pooling):
    trainer = train(bert_folder, corpus, tmp_path / "run", pooling=pooling, max_steps=40)
    course = losses(trainer)
    assert len(course) == 40
    assert sum(course[-5:]) / 5 < 0.7 * math.log(BATCH)
    assert sum(course[-5:]) < sum(course[:5])


def test_the_loss_is_info_nce_of_the_views(bert_folder, sentences, tmp_path):
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
        configure(tmp_path / "run", pooling="mean", per_device_eval_batch_size=BATCH, **options),
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


def test_gradient_accumulation_takes_the_mean_of_its_batches(bert_folder, corpus, tmp_path):
    run = train(bert_folder, corpus, tmp_path / "run", max_steps=2, gradient_accumulation_steps=3, learning_rate=1e-9)
    assert all(0.3 * math.log(BATCH) < loss < 1.5 * math.log(BATCH) for loss in losses(run))


def test_evaluation_measures_pairs_at_its_own_batch_size(bert_folder, corpus, tmp_path):
    trainer = SimCSETrainer(
        str(bert_folder), configure(tmp_path, per_device_eval_batch_size=8), eval_dataset=corpus.select(range(24))
    )
    small = trainer.evaluate()["eval_loss"]
    trainer.args.per_device_eval_batch_size = 24
    large = trainer.evaluate()["eval_loss"]
    assert math.isfinite(small) and small < large


def test_the_best_checkpoint_is_restored(bert_folder, corpus, tmp_path):
    class Spoil(TrainerCallback):
        """Raises the learning rate, once the first checkpoint stands, to where it does harm."""

        def on_step_begin(self, args, state, control, optimizer, **kwargs):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 if state.global_step < 2 else 3.0

    trainer = train(
        bert_folder,
        corpus,
        tmp_path,
        callbacks=[Spoil()],
        eval_dataset=Dataset.from_dict({"anchor": corpus["anchor"][:32], "positive": corpus["anchor"][:32]}),
        per_device_eval_batch_size=32,
        max_steps=4,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=2,
        save_steps=2,
        load_best_model_at_end=True,
    )
    scores = [line["eval_loss"] for line in trainer.state.log_history if "eval_loss" in line]
    assert scores[0] < scores[1] - 0.1
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-2")
    assert trainer.evaluate()["eval_loss"] == pytest.approx(scores[0], abs=1e-5)


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


# What is saved


@pytest.mark.parametrize("pooling", ["cls_mlp", "cls", "mean"])
def test_transformers_and_sentence_transformers_load_the_same_encoder(bert_folder, corpus, tmp_path, pooling):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    trainer = train(bert_folder, corpus, tmp_path / "run", pooling=pooling, save_strategy="steps", save_steps=2)
    out = tmp_path / "encoder"
    trainer.save_model(str(out))

    texts = ["the dog eats fish", "a cat", "the old houses the boy wants one tree " * 4]
    model, loading = AutoModel.from_pretrained(out, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(out)
    batch = tokenizer(texts, padding=True, truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        hidden = model.eval()(**batch).last_hidden_state
    plain = hidden[:, 0] if pooling != "mean" else pool(hidden, batch["attention_mask"], "mean")
    encoder = sentence_transformers.SentenceTransformer(str(out), device="cpu")
    assert encoder.max_seq_length == 16
    torch.testing.assert_close(
        torch.tensor(encoder.encode(texts, show_progress_bar=False)), plain, atol=1e-5, rtol=1e-5
    )

    base = AutoModel.from_pretrained(bert_folder).eval()
    with torch.no_grad():
        before = base(**batch).last_hidden_state
    assert (before - hidden).abs().max() > 1e-2, "the encoder has not moved"
    for name, tensor in base.pooler.state_dict().items():
        assert torch.equal(tensor, model.pooler.state_dict()[name])


def test_the_export_holds_no_mlp_and_no_pickle(bert_folder, corpus, tmp_path):
    trainer = train(bert_folder, corpus, tmp_path / "run", save_strategy="steps", save_steps=2)
    trainer.save_model()
    names = {path.name for path in (tmp_path / "run").iterdir() if path.is_file()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "modules.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert "simcse_mlp.safetensors" not in names
    assert not [key for key in load_file(tmp_path / "run" / "model.safetensors") if "mlp" in key]
    assert (tmp_path / "run" / "checkpoint-2" / "simcse_mlp.safetensors").exists()
    assert not (tmp_path / "run" / "checkpoint-2" / "training_args.bin").exists()
    pooling = json.loads((tmp_path / "run" / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode_cls_token"] and not pooling["pooling_mode_mean_tokens"]


def test_a_folder_called_like_a_checkpoint_gets_no_mlp(bert_folder, corpus, tmp_path):
    trainer = train(bert_folder, corpus, tmp_path / "checkpoints", max_steps=1)
    trainer.save_model()
    assert (tmp_path / "checkpoints" / "model.safetensors").exists()
    assert not (tmp_path / "checkpoints" / "simcse_mlp.safetensors").exists()
