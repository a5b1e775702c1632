"""LoRA over many architectures, given by name or as an object: the ratings on disk are those of training."""

import json
import shutil

import pytest
import torch
from families import save_model
from peft import (
    AutoPeftModelForSequenceClassification,
    LoraConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from regression_runs import configure, distance, weights
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, BertModel, pipeline

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


def classifier(folder):
    torch.manual_seed(7)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1)


def make(model, rated, folder, tokenizer, **options):
    args = configure(folder, max_steps=3, learning_rate=2e-2)
    return RegressionTrainer(model, args, rated, processing_class=tokenizer, **options)


@pytest.fixture
def lacking(tmp_path, tokenizer, bert_folder):
    """A function that saves a base whose classifier has parts beside its head that are made new."""

    def saved(kind):
        if kind != "bert":
            return save_model(tmp_path / "base", kind, tokenizer)
        BertModel.from_pretrained(bert_folder, add_pooling_layer=False).save_pretrained(tmp_path / "base")
        return tmp_path / "base"

    return saved


@pytest.mark.parametrize(
    ("kind", "part"), [("bert", "bert.pooler.dense"), ("deberta-v2", "pooler"), ("modernbert", "head")]
)
def test_parts_that_the_base_lacks_must_be_saved(rated, tmp_path, tokenizer, lacking, kind, part):
    base = lacking(kind)
    targets = {"target_modules": "all-linear"} if kind == "modernbert" else {}
    model = get_peft_model(classifier(base), lora(**targets))
    with pytest.raises(InputError, match=rf"model: .*does not save {part}.*modules_to_save"):
        make(model, rated, tmp_path / "run", tokenizer)
    model = get_peft_model(
        classifier(base),
        lora(modules_to_save=[part.removeprefix("bert.")], target_modules=["query", "Wqkv", "query_proj"]),
    )
    trainer = make(model, rated, tmp_path / "run", tokenizer)
    trainer.train()
    trainer.save_model()
    assert_the_same_on_disk(trainer, rated, tmp_path / "run")


def test_an_adapter_over_a_whole_base_is_trained_on(rated, tmp_path, tokenizer, still):
    trainer = make(get_peft_model(classifier(still), lora()), rated, tmp_path / "run", tokenizer)
    trainer.train()
    trainer.save_model()
    assert_the_same_on_disk(trainer, rated, tmp_path / "run")
    model = PeftModel.from_pretrained(classifier(still), tmp_path / "run", is_trainable=True)
    trainer = make(model, rated, tmp_path / "more", tokenizer)
    trainer.train()
    trainer.save_model()
    assert_the_same_on_disk(trainer, rated, tmp_path / "more")
    model = PeftModel.from_pretrained(classifier(still), tmp_path / "run")
    with pytest.raises(InputError, match=r"model: its adapter is frozen.*is_trainable=True"):
        make(model, rated, tmp_path / "run", tokenizer)
    with pytest.raises(InputError, match="is an adapter, and training starts from whole checkpoints"):
        make(str(tmp_path / "run"), rated, tmp_path / "more", tokenizer)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("head", "does not save classifier"),
        ("weights", "its weights are not those of"),
        ("two", "peft_config: the model has an adapter already"),
        ("native", "model: .* has an adapter in it that is no PeftModel"),
    ],
)
def test_adapters_that_cannot_be_loaded_again_are_refused(rated, tmp_path, tokenizer, still, change, said):
    model, options = classifier(still), {}
    if change == "native":
        model.add_adapter(LoraConfig(r=2, target_modules=["query"]))
    else:
        if change == "weights":
            model.bert.encoder.layer[0].attention.self.query.weight.data.add_(1.0)
        kind = None if change == "head" else "SEQ_CLS"
        model = get_peft_model(model, LoraConfig(task_type=kind, r=2, target_modules=["query"]))
        options = {"peft_config": lora()} if change == "two" else {}
    with pytest.raises(InputError, match=said):
        make(model, rated, tmp_path / "run", tokenizer, **options)


@pytest.mark.parametrize("given", ["name", "model"])
@pytest.mark.parametrize("kind", [PromptTuningConfig, PrefixTuningConfig, PromptEncoderConfig])
def test_adapters_that_learn_a_prompt_are_refused(rated, tmp_path, tokenizer, still, kind, given):
    """Nothing can merge one into its base, which is how ratings are read."""
    more = {} if kind is PromptTuningConfig else {"encoder_hidden_size": 8}
    config = kind(task_type="SEQ_CLS", num_virtual_tokens=3, **more)
    model, options = str(still), {"peft_config": config}
    if given == "model":
        model, options = get_peft_model(classifier(still), config), {}
    with pytest.raises(InputError, match=f"peft_config: {kind.__name__} learns a prompt.*LoraConfig"):
        make(model, rated, tmp_path / "run", tokenizer, **options)


def trained_adapter(checkpoint, rated, folder, **fields):
    args = configure(folder, max_steps=30, learning_rate=5e-3, **fields)
    # peft knows no layers of DistilBERT by itself.
    modules = {"target_modules": ["q_lin", "v_lin"]} if "distilbert" in str(checkpoint) else {}
    trainer = RegressionTrainer(str(checkpoint), args, rated, peft_config=lora(lora_alpha=8, **modules))
    trainer.train()
    trainer.save_model()
    return trainer


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_an_adapter_is_loaded_with_its_head(request, rated, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    trainer = trained_adapter(checkpoint, rated, tmp_path / "run")
    wanted = trainer.predict(rated).predictions[:, 0]
    assert wanted.std() > 0.1, "all ratings are one"
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert "adapter_model.safetensors" in names and "model.safetensors" not in names
    base = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=1)
    by_peft = Rater(PeftModel.from_pretrained(base, tmp_path / "run"), trainer.processing_class)
    assert by_peft.logits(rated["text"][:])[:, 0].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    by_name = AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "run", num_labels=1)
    assert Rater(by_name, trainer.processing_class).logits(rated["text"][:8])[:, 0] == pytest.approx(
        wanted[:8], abs=1e-5
    )
    ours = Rater.load(tmp_path / "run")
    assert ours.logits(rated["text"][:])[:, 0].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    ours.save(tmp_path / "merged")
    rate = pipeline("text-classification", str(tmp_path / "merged"), device="cpu")
    given = [answer["score"] for answer in rate(rated["text"][:8], function_to_apply="none")]
    assert given == pytest.approx(wanted[:8].tolist(), abs=1e-5)


def test_an_adapter_trains_nothing_of_the_body(bert_folder, rated, tmp_path):
    trainer = trained_adapter(bert_folder, rated, tmp_path / "run")
    base = AutoModel.from_pretrained(bert_folder).state_dict()
    body = trainer.model.get_base_model().bert
    for name, tensor in body.state_dict().items():
        if "lora" not in name and "pooler" not in name:
            assert torch.equal(tensor, base[name.replace(".base_layer", "")]), name
    groups = {group["initial_lr"] for group in trainer.optimizer.param_groups}
    assert len(groups) == 2, "the output layer has a rate of its own"


def test_an_adapter_resumes_and_keeps_its_best(bert_folder, rated, tmp_path):
    fields = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3, "save_total_limit": 3, "learning_rate": 5e-3}

    def run(folder, resume=None):
        trainer = RegressionTrainer(str(bert_folder), configure(folder, **fields), rated, peft_config=lora())
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run(tmp_path)
    resumed = run(tmp_path, str(tmp_path / "checkpoint-3"))
    assert distance(weights(whole.model), weights(resumed.model)) == 0


def test_an_encoder_without_a_pooler_brings_a_new_one_home(bert_folder, rated, tmp_path):
    """As AutoModel saves one that was made without: the pooler is new, and part of the adapter's checkpoint."""
    folder = tmp_path / "bare"
    shutil.copytree(bert_folder, folder)
    AutoModel.from_pretrained(bert_folder, add_pooling_layer=False).save_pretrained(folder)
    trainer = trained_adapter(folder, rated, tmp_path / "run")
    assert "bert.pooler.dense.weight" in trainer.loading
    wanted = trainer.predict(rated).predictions[:, 0]
    ours = Rater.load(tmp_path / "run").logits(rated["text"][:])[:, 0]
    assert ours.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)


def test_layers_that_there_are_not_are_refused(bert_folder, rated, tmp_path):
    with pytest.raises(InputError, match="--lora_target_modules"):
        RegressionTrainer(str(bert_folder), configure(tmp_path), rated, peft_config=lora(target_modules=["nowhere"]))
