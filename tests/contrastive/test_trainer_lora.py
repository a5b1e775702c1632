"""LoRA: an adapter is trained, saved, and loaded by others with the vectors of training."""

import shutil

import pytest
import torch
import transformers
from datasets import Dataset
from packaging.version import Version
from peft import LoraConfig, PeftModel, get_peft_model
from simcse_runs import assert_equal_weights, configure, losses, weights
from transformers import AutoModel, AutoTokenizer, BertModel

from hf_xling import SimCSETrainer
from hf_xling.contrastive.evaluation import encode_texts
from hf_xling.contrastive.model import pool
from hf_xling.errors import InputError
from hf_xling.training.adapters import LoraArguments

TEXTS = ["the dog eats fish", "a cat", "the old houses the boy wants one tree " * 4]


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences[:128]})


def train(checkpoint, corpus, folder, resume=None, held_out=None, **fields) -> SimCSETrainer:
    adapter = LoraConfig(task_type="FEATURE_EXTRACTION", r=4, lora_dropout=0.1, target_modules="all-linear")
    args = configure(folder, **{"learning_rate": 1e-2, **fields})
    trainer = SimCSETrainer(str(checkpoint), args, corpus, held_out, peft_config=adapter)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def plain(base, folder, pooling):
    """The vectors by PeftModel on its base."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=16, return_tensors="pt")
    model = AutoModel.from_pretrained(base)
    model = (PeftModel.from_pretrained(model, folder) if folder != base else model).eval()
    with torch.no_grad():
        output = model(**batch, output_hidden_states=True)
    hidden = output.last_hidden_state
    if pooling == "first_last_mean":
        hidden = (output.hidden_states[0] + hidden) / 2
    return pool(hidden, batch["attention_mask"], pooling)


@pytest.mark.parametrize(
    ("architecture", "pooling"),
    [
        *[("bert", pooling) for pooling in ("cls_mlp", "mean", "first_last_mean")],
        ("xlmr", "first_last_mean"),
        ("distilbert", "mean"),
    ],
)
def test_others_load_the_adapter_with_the_vectors_of_training(request, corpus, tmp_path, architecture, pooling):
    checkpoint, out = request.getfixturevalue(f"{architecture}_folder"), tmp_path / "adapter"
    trainer = train(checkpoint, corpus, tmp_path / "run", pooling=pooling, max_steps=2)
    assert trainer.packed
    trainer.save_model(str(out))
    names = {path.name for path in out.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "modules.json"} <= names
    assert "model.safetensors" not in names
    trained = encode_texts(trainer.model, trainer.processing_class, TEXTS, 16)
    vectors = plain(checkpoint, out, pooling)
    torch.testing.assert_close(vectors, trained, atol=1e-5, rtol=1e-5)
    assert (vectors - plain(checkpoint, checkpoint, pooling)).abs().max() > 1e-2, "the adapter does nothing"
    if Version(transformers.__version__) < Version("5.23"):
        return  # 5.17 loads an adapter's base alone: it does not find the prefix that peft saves
    sentence_transformers = pytest.importorskip("sentence_transformers")
    model = sentence_transformers.SentenceTransformer(str(out), device="cpu")
    found = torch.tensor(model.encode(TEXTS, show_progress_bar=False))
    torch.testing.assert_close(found, vectors, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"mlm_weight": 0.5}], ids=["plain", "masked_lm"])
def test_only_the_adapter_and_heads_move(bert_folder, corpus, tmp_path, fields):
    trainer = train(bert_folder, corpus, tmp_path, **fields)
    moved, start = set(), AutoModel.from_pretrained(bert_folder).state_dict()
    for name, tensor in trainer.model.encoder.base_model.model.state_dict().items():
        if "lora_" in name:
            moved |= {name} if "lora_B" in name and tensor.any() else set()
        else:
            assert torch.equal(tensor, start[name.replace(".base_layer", "")]), name
    assert len(moved) > 10 and not any("pooler" in name for name in moved)
    trainable = {name for name, p in trainer.model.named_parameters() if p.requires_grad}
    assert all("lora_" in name or name.startswith(("mlp.", "masked_lm.cls.")) for name in trainable)
    assert "mlp.0.weight" in trainable and not any("word_embeddings" in name for name in trainable)


@pytest.mark.parametrize(
    "fields", [{}, {"mlm_weight": 0.5, "pooling": "mean"}, {"token_budget": 64}], ids=["plain", "masked_lm", "budget"]
)
def test_resumed_equals_uninterrupted(bert_folder, corpus, tmp_path, fields):
    fields = {**fields, "max_steps": 5, "save_strategy": "steps", "save_steps": 2}
    whole = train(bert_folder, corpus, tmp_path, **fields)
    names = {path.name for path in (tmp_path / "checkpoint-2").iterdir()}
    assert "adapter_model.safetensors" in names and "model.safetensors" not in names
    shutil.rmtree(tmp_path / "checkpoint-4")
    torch.manual_seed(99)
    resumed = train(bert_folder, corpus, tmp_path, str(tmp_path / "checkpoint-2"), **fields)
    assert_equal_weights(weights(whole), weights(resumed))
    assert losses(whole) == losses(resumed)


def test_the_best_adapter_is_restored(bert_folder, corpus, tmp_path):
    steps = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1, "max_steps": 4}
    fields = {**steps, "load_best_model_at_end": True, "metric_for_best_model": "loss", "learning_rate": 0.5}
    pairs = Dataset.from_dict({"anchor": corpus["anchor"][:32], "positive": corpus["anchor"][32:64]})
    trainer = train(bert_folder, corpus, tmp_path, held_out=pairs, **fields)
    scores = [line["eval_loss"] for line in trainer.state.log_history if "eval_loss" in line]
    assert max(scores) > min(scores) + 1e-2
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(scores), abs=1e-5)


def test_the_revision_of_the_base_is_recorded(bert_folder, corpus, tmp_path):
    adapter = LoraConfig(task_type="FEATURE_EXTRACTION", target_modules="all-linear")
    options = {"peft_config": adapter, "model_revision": "v1.2"}
    trainer = SimCSETrainer(str(bert_folder), configure(tmp_path), corpus, **options)
    assert trainer.model.encoder.peft_config["default"].revision == "v1.2"
    assert trainer.model.encoder.peft_config["default"].base_model_name_or_path == str(bert_folder)


def test_layers_that_there_are_not_are_refused(distilbert_folder, corpus, tmp_path):
    adapter = LoraConfig(task_type="FEATURE_EXTRACTION", target_modules=["no_such_layer"])
    with pytest.raises(InputError, match=r"--lora_target_modules \(peft_config\): does not fit .*distilbert"):
        SimCSETrainer(str(distilbert_folder), configure(tmp_path), corpus, peft_config=adapter)


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_all_linear_layers_are_adapted_by_default(request, corpus, tmp_path, architecture):
    """peft itself knows no layers of DistilBERT, and of BERT two."""
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    adapter = LoraConfig(task_type="FEATURE_EXTRACTION", r=2)
    trainer = SimCSETrainer(str(checkpoint), configure(tmp_path), corpus, peft_config=adapter)
    adapted = {name.split(".lora_A")[0] for name, _ in trainer.model.encoder.named_modules() if ".lora_A." in name}
    assert len(adapted) == 2 * 6 + (architecture != "distilbert")  # of each of two layers, and the pooler
    assert adapter.target_modules is None, "the caller's own config was changed"


# The fields of the command line


def test_fields_become_the_config_of_peft():
    assert LoraArguments().config("FEATURE_EXTRACTION") is None
    fields = {"lora_r": 4, "lora_alpha": 9, "lora_dropout": 0.0, "lora_target_modules": ["query", "value"]}
    config = LoraArguments(use_peft=True, **fields).config("FEATURE_EXTRACTION", modules_to_save=["score"])
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 9, 0.0)
    assert config.target_modules == {"query", "value"} and config.modules_to_save == ["score"]
    assert (
        LoraArguments(use_peft=True, lora_target_modules=["all-linear"]).config("SEQ_CLS").target_modules
        == "all-linear"
    )


@pytest.mark.parametrize("fields", [{"lora_r": 0}, {"lora_dropout": 1.0}, {"lora_dropout": -0.1}])
def test_fields_that_cannot_work_are_refused(fields):
    with pytest.raises(InputError, match=f"--{next(iter(fields))}"):
        LoraArguments(use_peft=True, **fields)


# Models with an adapter in them already


def test_a_model_with_an_adapter_is_trained_and_saved(bert_folder, corpus, tmp_path):
    adapter = LoraConfig(task_type="FEATURE_EXTRACTION", r=4, lora_dropout=0.1, target_modules="all-linear")
    model = get_peft_model(AutoModel.from_pretrained(bert_folder), adapter)
    trainer = SimCSETrainer(model, configure(tmp_path / "run", learning_rate=1e-2, pooling="mean"), corpus)
    trainer.train()
    trainer.save_model()
    trained = encode_texts(trainer.model, trainer.processing_class, TEXTS, 16)
    torch.testing.assert_close(plain(bert_folder, tmp_path / "run", "mean"), trained, atol=1e-5, rtol=1e-5)
    for given, said in (((model, adapter), "has an adapter already"), ((str(tmp_path / "run"), None), "is an adapter")):
        with pytest.raises(InputError, match=said):
            SimCSETrainer(given[0], configure(tmp_path / "more"), corpus, peft_config=given[1])


def test_a_model_whose_base_lacks_more_than_the_adapter_saves_is_refused(bert_folder, corpus, tmp_path):
    BertModel.from_pretrained(bert_folder, add_pooling_layer=False).save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(tmp_path / "base")
    adapter = LoraConfig(task_type="FEATURE_EXTRACTION", target_modules=["query"])
    model = get_peft_model(AutoModel.from_pretrained(tmp_path / "base"), adapter)
    with pytest.raises(InputError, match=r"model: its adapter does not save pooler.dense, .*modules_to_save"):
        SimCSETrainer(model, configure(tmp_path / "run"), corpus)
