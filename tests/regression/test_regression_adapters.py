"""LoRA over many architectures, given by name or as an object: the ratings on disk are those of training."""

import json
import shutil

import pytest
import torch
from families import save_model
from peft import LoraConfig
from regression_runs import configure
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertModel

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError
from hf_xling.regression.rater import Rater

FAMILIES = [
    *("bert", "roberta", "xlm-roberta", "distilbert", "albert", "electra", "mpnet", "deberta", "deberta-v2"),
    *("modernbert", "xlm", "gpt2", "llama", "qwen2"),
]


def lora(**fields):
    return LoraConfig(task_type="SEQ_CLS", r=4, lora_dropout=0.0, **fields)


@pytest.fixture(scope="module")
def tokenizer(bert_folder):
    return AutoTokenizer.from_pretrained(bert_folder)


def trained(model, rated, folder, tokenizer, peft_config=None, **fields):
    args = configure(folder, **{"max_steps": 3, "learning_rate": 2e-2, **fields})
    options = {"processing_class": tokenizer, "peft_config": peft_config or lora()}
    trainer = RegressionTrainer(model, args, rated, **options)
    trainer.train()
    trainer.save_model()
    return trainer


def assert_the_same_on_disk(trainer, rated, folder):
    wanted = trainer.predict(rated).predictions[:, 0]
    assert wanted.std() > 0.01, "all ratings are one"
    torch.manual_seed(123)  # what is made new when it is loaded would be another
    found = Rater.load(folder).logits(rated["text"][:])[:, 0]
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-4)


@pytest.mark.parametrize("given", ["object", "name"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_saved_adapter_gives_the_ratings_of_training(rated, tmp_path, tokenizer, kind, given):
    rows = rated.select(range(48))
    model = str(save_model(tmp_path / "base", kind, tokenizer))
    if given == "object":
        torch.manual_seed(7)
        model = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
    trainer = trained(model, rows, tmp_path / "run", tokenizer)
    assert_the_same_on_disk(trainer, rows, tmp_path / "run")


@pytest.mark.parametrize("given", ["object", "name"])
def test_a_pooler_that_the_base_lacks_is_saved(rated, tmp_path, tokenizer, bert_folder, given):
    BertModel.from_pretrained(bert_folder, add_pooling_layer=False).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    model = str(tmp_path / "base")
    if given == "object":
        model = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
    assert_the_same_on_disk(trained(model, rated, tmp_path / "run", tokenizer), rated, tmp_path / "run")


def test_a_rating_model_is_a_base_too(rated, tmp_path, tokenizer, still):
    for given in (str(still), AutoModelForSequenceClassification.from_pretrained(still)):
        folder = tmp_path / type(given).__name__
        assert_the_same_on_disk(trained(given, rated, folder, tokenizer), rated, folder)


@pytest.mark.parametrize("targets", [None, "all-linear", ["query", "dense"], r".*\.(query|dense)"])
def test_what_is_saved_as_a_whole_is_not_adapted(rated, tmp_path, tokenizer, bert_folder, targets):
    """The dense layer of a new pooler is trained itself."""
    BertModel.from_pretrained(bert_folder, add_pooling_layer=False).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    config = lora(target_modules=targets)
    trainer = trained(str(tmp_path / "base"), rated, tmp_path / "run", tokenizer, config)
    names = {name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad}
    assert not [name for name in names if "lora" in name and ("pooler" in name or "classifier" in name)]
    assert any("pooler" in name for name in names) and any("lora_A" in name for name in names)
    assert config.modules_to_save is None, "the caller's own config was changed"
    assert_the_same_on_disk(trainer, rated, tmp_path / "run")


# What an adapter cannot be loaded over again


def test_a_model_without_a_checkpoint_is_refused(rated, tmp_path, tokenizer, bert_folder):
    model = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=1)
    model = type(model)(model.config)
    model.name_or_path = model.config._name_or_path = ""
    with pytest.raises(InputError, match=r"peft_config: .* was not loaded from a checkpoint.*save_pretrained"):
        RegressionTrainer(
            model, configure(tmp_path), rated, processing_class=tokenizer, peft_config=lora(), lineage=None
        )


@pytest.mark.parametrize("change", ["resized", "trained"])
def test_weights_that_are_not_those_of_the_checkpoint_are_refused(rated, tmp_path, bert_folder, change):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    model = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=1)
    if change == "resized":
        tokenizer.add_tokens(["zebra"])
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    else:
        with torch.no_grad():
            model.bert.encoder.layer[0].attention.self.query.weight.add_(1.0)
    with pytest.raises(InputError, match=r"peft_config: its weights are not those of .*bert .*save_pretrained"):
        RegressionTrainer(model, configure(tmp_path), rated, processing_class=tokenizer, peft_config=lora())
    model.save_pretrained(tmp_path / "own")
    tokenizer.save_pretrained(tmp_path / "own")
    trainer = trained(str(tmp_path / "own"), rated, tmp_path / "run", tokenizer)
    assert_the_same_on_disk(trainer, rated, tmp_path / "run")


# Where its base is


@pytest.mark.parametrize("given", ["object", "name"])
def test_a_base_by_a_relative_path_is_found_from_elsewhere(rated, tmp_path, tokenizer, bert_folder, monkeypatch, given):
    (tmp_path / "work").mkdir()
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(bert_folder, tmp_path / "work" / "base")
    monkeypatch.chdir(tmp_path / "work")
    model = "base"
    if given == "object":
        model = AutoModelForSequenceClassification.from_pretrained("base", num_labels=1)
    trainer = trained(model, rated, "run", tokenizer)
    wanted = trainer.predict(rated).predictions[:, 0]
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = Rater.load(tmp_path / "work" / "run").logits(rated["text"][:])[:, 0]
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-4)


@pytest.mark.parametrize("written", ["../base", "base"])
def test_a_base_may_be_named_from_the_folder_of_the_adapter(
    rated, tmp_path, tokenizer, bert_folder, monkeypatch, written
):
    """As adapters that were written before have it, or by others."""
    shutil.copytree(bert_folder, tmp_path / "base")
    trainer = trained(str(tmp_path / "base"), rated, tmp_path / "run", tokenizer)
    path = tmp_path / "run" / "adapter_config.json"
    told = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**told, "base_model_name_or_path": written}), "utf-8")
    if written == "base":
        shutil.move(tmp_path / "base", tmp_path / "run" / "base")
    monkeypatch.chdir(tmp_path.parent)
    wanted = trainer.predict(rated).predictions[:, 0]
    assert Rater.load(tmp_path / "run").logits(rated["text"][:])[:, 0].tolist() == pytest.approx(
        wanted.tolist(), abs=1e-4
    )


def test_a_base_that_is_gone_is_named(rated, tmp_path, tokenizer, bert_folder):
    shutil.copytree(bert_folder, tmp_path / "base")
    trained(str(tmp_path / "base"), rated, tmp_path / "run", tokenizer)
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(InputError, match=r"--model .*run: its base model .*base"):
        Rater.load(tmp_path / "run")


def test_peft_writes_no_card_with_a_path_of_this_machine(rated, tmp_path, tokenizer, bert_folder):
    trainer = trained(str(bert_folder), rated, tmp_path / "run", tokenizer)
    assert not (tmp_path / "run" / "README.md").exists()
    trainer.create_model_card()
    trainer.save_model()
    assert str(bert_folder) not in (tmp_path / "run" / "README.md").read_text("utf-8")
