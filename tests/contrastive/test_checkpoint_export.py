"""What is saved: a checkpoint that AutoModel and SentenceTransformer load, with the vectors of training."""

import json

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from simcse_runs import train
from transformers import AutoModel, AutoTokenizer

from hf_xling.contrastive.evaluation import encode_texts
from hf_xling.contrastive.model import pool

TEXTS = ["the dog eats fish", "a cat", "the old houses the boy wants one tree " * 4]


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences})


def sentence_transformer(folder):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    assert model.max_seq_length == 16
    return torch.tensor(model.encode(TEXTS, show_progress_bar=False))


def plain(folder, pooling):
    """The vectors by AutoModel, which wants no more than what the checkpoint holds, and the model."""
    model, loading = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    batch = AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding=True, truncation=True, max_length=16, return_tensors="pt"
    )
    with torch.no_grad():
        output = model.eval()(**batch, output_hidden_states=True)
    hidden = output.last_hidden_state
    if pooling == "first_last_mean":
        hidden = (output.hidden_states[0] + hidden) / 2
    return pool(hidden, batch["attention_mask"], pooling), model


@pytest.mark.parametrize(
    ("architecture", "pooling"),
    [
        *[("bert", pooling) for pooling in ("cls_mlp", "cls", "mean", "first_last_mean")],
        ("xlmr", "mean"),
        ("xlmr", "first_last_mean"),
        ("distilbert", "cls_mlp"),
        ("distilbert", "first_last_mean"),
    ],
)
def test_transformers_and_sentence_transformers_load_the_same_encoder(request, corpus, tmp_path, pooling, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    trainer = train(checkpoint, corpus, tmp_path / "run", pooling=pooling, max_steps=2)
    out = tmp_path / "encoder"
    trainer.save_model(str(out))
    trained = encode_texts(trainer.model, trainer.processing_class, TEXTS, 16)
    vectors, model = plain(out, pooling)
    torch.testing.assert_close(vectors, trained, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sentence_transformer(out), vectors, atol=1e-5, rtol=1e-5)
    before, base = plain(checkpoint, pooling)
    assert (before - vectors).abs().max() > 1e-2, "the encoder has not moved"
    if architecture != "distilbert":
        for name, tensor in base.pooler.state_dict().items():
            assert torch.equal(tensor, model.pooler.state_dict()[name])


def test_a_kept_mlp_is_for_sentence_transformers_alone(bert_folder, corpus, tmp_path):
    trainer = train(bert_folder, corpus, tmp_path / "run", keep_mlp=True, max_steps=2)
    trainer.save_model(str(tmp_path / "encoder"))
    vectors, _ = plain(tmp_path / "encoder", "cls_mlp")
    with torch.no_grad():
        after = trainer.model.mlp(vectors)
    torch.testing.assert_close(sentence_transformer(tmp_path / "encoder"), after, atol=1e-5, rtol=1e-5)
    assert (after - vectors).abs().max() > 0.1
    assert not [key for key in load_file(tmp_path / "encoder" / "model.safetensors") if "mlp" in key]


def test_keeping_an_mlp_that_there_is_not_changes_nothing(bert_folder, corpus, tmp_path):
    trainer = train(bert_folder, corpus, tmp_path / "run", keep_mlp=True, pooling="mean", max_steps=1)
    trainer.save_model(str(tmp_path / "encoder"))
    vectors, _ = plain(tmp_path / "encoder", "mean")
    torch.testing.assert_close(sentence_transformer(tmp_path / "encoder"), vectors, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["cls_mlp", "first_last_mean"])
def test_the_export_holds_no_mlp_and_no_pickle(bert_folder, corpus, tmp_path, pooling):
    run = tmp_path / "run"
    fields = {"save_strategy": "steps", "save_steps": 2, "max_steps": 2, "pooling": pooling}
    train(bert_folder, corpus, run, **fields).save_model()
    names = {path.name for path in run.iterdir() if path.is_file()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "modules.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert "simcse_heads.safetensors" not in names
    assert load_file(run / "model.safetensors").keys() == load_file(bert_folder / "model.safetensors").keys()
    assert (run / "checkpoint-2" / "simcse_heads.safetensors").exists() == (pooling == "cls_mlp")
    assert not (run / "checkpoint-2" / "training_args.bin").exists()
    assert "hf_xling" not in (run / "config.json").read_text("utf-8"), "it loads where hf_xling is not"


@pytest.mark.parametrize("pooling", ["cls_mlp", "cls", "mean", "first_last_mean"])
def test_the_pooling_is_recorded(bert_folder, corpus, tmp_path, pooling):
    trainer = train(bert_folder, corpus, tmp_path / "run", pooling=pooling, max_steps=1)
    trainer.save_model()
    trainer.create_model_card()
    recorded = json.loads((tmp_path / "run" / "1_Pooling" / "config.json").read_text())
    mean = pooling.endswith("mean")
    assert recorded["pooling_mode_cls_token"] == (not mean) and recorded["pooling_mode_mean_tokens"] == mean
    modules = [module["path"] for module in json.loads((tmp_path / "run" / "modules.json").read_text())]
    assert ("1_WeightedLayerPooling" in modules) == (pooling == "first_last_mean")
    card = (tmp_path / "run" / "README.md").read_text("utf-8")
    assert ("mean of the token vectors" in card) == mean and ("vector of the first token" in card) == (not mean)


def test_a_folder_called_like_a_checkpoint_gets_no_heads(bert_folder, corpus, tmp_path):
    trainer = train(bert_folder, corpus, tmp_path / "checkpoints", max_steps=1)
    trainer.save_model()
    assert (tmp_path / "checkpoints" / "model.safetensors").exists()
    assert not (tmp_path / "checkpoints" / "simcse_heads.safetensors").exists()
