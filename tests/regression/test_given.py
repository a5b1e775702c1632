"""Objects of another kind, given to trainers and raters: one clear line, which names the row where there is one."""

import pytest
from datasets import Dataset
from torch import nn
from transformers import AutoTokenizer

from hf_xling import RatingEnsemble, RegressionConfig, RegressionTrainer, SimCSEConfig, SimCSETrainer
from hf_xling.errors import InputError
from hf_xling.regression.rater import Rater

TRAINERS = [(SimCSETrainer, SimCSEConfig, {"max_length": 16}), (RegressionTrainer, RegressionConfig, {})]


@pytest.fixture
def make(bert_folder, sentences, tmp_path):
    def made(trainer, config, fields, model=None, rows=None, **options):
        args = config(output_dir=str(tmp_path), use_cpu=True, per_device_train_batch_size=16, **fields)
        known = {"anchor": sentences[:32], "text": sentences[:32], "label": [float(n % 5) for n in range(32)]}
        columns = ["anchor"] if trainer is SimCSETrainer else ["text", "label"]
        rows = rows or Dataset.from_dict({name: known[name] for name in columns})
        return trainer(bert_folder if model is None else model, args, rows, **options)

    return made


@pytest.mark.parametrize("trainer", TRAINERS, ids=["simcse", "regression"])
def test_models_and_tokenizers_of_another_kind(make, trainer, bert_folder):
    for model in (nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)), 5):
        with pytest.raises(InputError, match=rf"model: .* is needed, not {type(model).__name__}"):
            make(*trainer, model=model)
    with pytest.raises(InputError, match="processing_class: a tokenizer is needed, not str"):
        make(*trainer, processing_class=str(bert_folder))
    with pytest.raises(InputError, match=r"peft_config: a config of peft \(LoraConfig\) is needed, not dict"):
        make(*trainer, peft_config={"r": 4})
    assert make(*trainer, processing_class=AutoTokenizer.from_pretrained(bert_folder)).model is not None  # of a Path


@pytest.mark.parametrize("name", ["train_dataset", "eval_dataset"])
@pytest.mark.parametrize(
    ("column", "values", "row"),
    [
        ("label", [1.0, None], 2),
        ("label", ["1", "2"], 1),
        ("label", [[1.0], [2.0]], 1),
        ("label", [1.0, float("nan")], 2),
        ("label", [1.0, float("inf")], 2),
        ("text", ["a", None], 2),
        ("text", [1, 2], 1),
    ],
)
def test_values_of_another_kind_are_named_by_their_row(make, name, column, values, row):
    rows = Dataset.from_dict({"text": ["the dog", "a cat"], "label": [1.0, 2.0], column: values})
    given = {"rows": rows} if name == "train_dataset" else {"eval_dataset": rows}
    with pytest.raises(InputError, match=rf"{name}, row {row}, column `{column}`: "):
        make(*TRAINERS[1], **given)


@pytest.mark.parametrize("labels", [[0.5, 1.0], [-1, 0], [0, None], ["a", "b"]])
def test_classes_are_whole_numbers_from_0(make, labels):
    rows = Dataset.from_dict({"text": ["the dog", "a cat"], "label": labels})
    with pytest.raises(InputError, match=r"train_dataset, row \d, column `label`: "):
        make(RegressionTrainer, RegressionConfig, {"task": "classification"}, rows=rows)


@pytest.mark.parametrize("texts", [None, 5, {"text": "a"}, b"a"])
def test_what_are_no_texts_is_refused(still, texts):
    with pytest.raises(InputError, match="texts: a list of texts is needed, not"):
        RatingEnsemble([Rater.load(still)]).predict(texts)
