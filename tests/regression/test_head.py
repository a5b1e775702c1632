"""Where training starts: in the units of the labels, whatever the model rated before and however it is given."""

import math

import numpy
import pytest
import torch
from datasets import Dataset
from families import make_model, save_model
from regression_runs import configure
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError
from hf_xling.regression.head import output_layer
from hf_xling.regression.rater import Rater


@pytest.fixture(scope="module")
def tokenizer(bert_folder):
    return AutoTokenizer.from_pretrained(bert_folder)


def on_scale(rated, low, high):
    """`rated`, whose labels run from 1 to 5, on another scale."""
    labels = [low + (label - 1) / 4 * (high - low) for label in rated["label"]]
    return Dataset.from_dict({"text": rated["text"][:], "label": labels})


def start(model, rows, folder, tokenizer, **fields):
    return RegressionTrainer(model, configure(folder, **fields), rows, processing_class=tokenizer)


def ratings(trainer, rows):
    return trainer.predict(rows).predictions[:, 0].astype(float)


FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert", "gpt2", "llama", "qwen2")


@pytest.mark.parametrize("given", ["object", "name"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_new_head_starts_in_the_units_of_the_labels(rated, tmp_path, tokenizer, kind, given):
    """Also where its output layer has no bias, as in decoders."""
    rows = on_scale(rated.select(range(64)), 70, 100)
    model = str(save_model(tmp_path / "base", kind, tokenizer))
    if given == "object":
        torch.manual_seed(3)
        model = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
    trainer = start(model, rows, tmp_path / "run", tokenizer)
    labels = numpy.array(rows["label"])
    found = ratings(trainer, rows)
    assert abs(found.mean() - labels.mean()) < 1.5 * labels.std()
    assert ((found - labels) ** 2).mean() < 5 * labels.var()
    assert trainer.model.config.problem_type == "regression"


def test_a_model_without_a_checkpoint_starts_there_too(rated, tmp_path, tokenizer):
    rows = on_scale(rated, 70, 100)
    model = make_model("bert", len(tokenizer), AutoModelForSequenceClassification, num_labels=1)
    trainer = start(model, rows, tmp_path, tokenizer)
    assert abs(ratings(trainer, rows).mean() - numpy.mean(rows["label"])) < numpy.std(rows["label"])


@pytest.fixture(scope="module")
def trained_on(rated, bert_folder, tokenizer, tmp_path_factory):
    """A folder of a rating model of the scale 0 to 1, and one of decoders, without a bias."""
    folders = {}
    for kind in ("bert", "gpt2"):
        folder = tmp_path_factory.mktemp(kind)
        base = save_model(folder / "base", kind, tokenizer)
        trainer = start(str(base), on_scale(rated, 0, 1), folder / "run", tokenizer, max_steps=60, learning_rate=2e-3)
        trainer.train()
        trainer.save_model(str(folder / "model"))
        folders[kind] = folder / "model"
    return folders


@pytest.mark.parametrize("given", ["object", "name"])
@pytest.mark.parametrize(
    ("kind", "scale"),
    [("bert", (1, 7)), ("bert", (100, 0)), ("bert", (1000, 1040)), ("gpt2", (1, 7)), ("gpt2", (10, 0))],
)
def test_a_trained_head_is_fitted_to_another_scale(rated, tmp_path, tokenizer, trained_on, caplog, kind, scale, given):
    rows, model = on_scale(rated, *scale), str(trained_on[kind])
    before = Rater.load(model).logits(rated["text"][:])[:, 0].astype(float)
    assert numpy.corrcoef(before, rated["label"])[0, 1] > 0.7, "it has learnt nothing"
    if given == "object":
        model = AutoModelForSequenceClassification.from_pretrained(model)
    trainer = start(model, rows, tmp_path, tokenizer)
    labels, found = numpy.array(rows["label"]), ratings(trainer, rows)
    assert ((found - labels) ** 2).mean() < 0.6 * labels.var(), "what it had learnt is lost"
    assert abs(numpy.corrcoef(before, found)[0, 1]) > 0.99
    lines = [record.message for record in caplog.records if record.name.startswith("hf_xling")]
    assert len(lines) == 1 and "of another scale than the labels" in lines[0]


@pytest.mark.parametrize("given", ["object", "name"])
@pytest.mark.parametrize("scale", [(0, 1), (0.1, 0.9)], ids=str)
def test_a_head_of_the_same_scale_stays(rated, tmp_path, tokenizer, trained_on, caplog, scale, given):
    model = AutoModelForSequenceClassification.from_pretrained(trained_on["bert"])
    before = [tensor.clone() for tensor in output_layer(model)[1].parameters()]
    given = model if given == "object" else str(trained_on["bert"])
    trainer = start(given, on_scale(rated, *scale), tmp_path, tokenizer)
    after = output_layer(trainer.model)[1].parameters()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not [record for record in caplog.records if record.name.startswith("hf_xling")]


def test_a_head_that_knows_nothing_of_the_labels_is_made_anew(rated, tmp_path, tokenizer, trained_on, caplog):
    labels = [50.0 + 7 * math.sin(row * row) for row in range(len(rated))]
    rows = Dataset.from_dict({"text": rated["text"][:], "label": labels})
    trainer = start(str(trained_on["bert"]), rows, tmp_path, tokenizer)
    found = ratings(trainer, rows)
    assert abs(found.mean() - numpy.mean(labels)) < numpy.std(labels) and found.std() > 0
    assert trainer.model.classifier.bias.item() == pytest.approx(numpy.mean(labels), rel=1e-5)
    assert "nothing to do with the labels" in caplog.text


def test_with_an_adapter_a_head_of_another_scale_is_fitted_too(rated, tmp_path, tokenizer, trained_on):
    from peft import LoraConfig

    rows = on_scale(rated, 1, 7)
    args = configure(tmp_path / "run", max_steps=2)
    options = {"processing_class": tokenizer, "peft_config": LoraConfig(task_type="SEQ_CLS", r=2)}
    trainer = RegressionTrainer(str(trained_on["bert"]), args, rows, **options)
    labels = numpy.array(rows["label"])
    assert ((ratings(trainer, rows) - labels) ** 2).mean() < 0.6 * labels.var()
    trainer.train()
    trainer.save_model()
    assert Rater.load(tmp_path / "run").logits(rows["text"][:])[:, 0] == pytest.approx(ratings(trainer, rows), abs=1e-4)


# Classes


def class_rows(rated):
    return Dataset.from_dict({"text": rated["text"][:], "label": [int(label > 2.5) for label in rated["label"]]})


def test_the_names_of_classes_reach_a_model_that_is_given(rated, tmp_path, bert_folder, tokenizer):
    model = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=2)
    options = {"processing_class": tokenizer, "label_names": ["dull", "good"]}
    trainer = RegressionTrainer(model, configure(tmp_path, task="classification"), class_rows(rated), **options)
    trainer.save_model()
    assert Rater.load(tmp_path).class_names == ["dull", "good"]
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    for given in (again, str(tmp_path)):
        options["label_names"] = ["good", "dull"]
        with pytest.raises(InputError, match="its classes are dull, good, those of the training set good, dull"):
            RegressionTrainer(given, configure(tmp_path / "run", task="classification"), class_rows(rated), **options)
    del options["label_names"]
    RegressionTrainer(again, configure(tmp_path / "run", task="classification"), class_rows(rated), **options)
