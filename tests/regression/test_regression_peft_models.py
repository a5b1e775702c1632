"""Models given with an adapter in them: what of them could not be loaded again is refused before training."""

import pytest
import torch
from families import save_model
from peft import LoraConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from regression_runs import configure
from test_regression_adapters import assert_the_same_on_disk, lora
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertModel

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError


@pytest.fixture(scope="module")
def tokenizer(bert_folder):
    return AutoTokenizer.from_pretrained(bert_folder)


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
