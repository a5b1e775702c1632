import shutil

import pytest
import torch
from datasets import Dataset
from regression_runs import configure
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError, XlingError


def test_a_loss_that_is_no_number_ends_the_training(still, rated, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(still)
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    tokenizer = AutoTokenizer.from_pretrained(still)
    trainer = RegressionTrainer(model, configure(tmp_path), rated, processing_class=tokenizer)
    with pytest.raises(XlingError, match="the loss is nan at step 1; a lower --learning_rate"):
        trainer.train()


def test_a_classifier_of_several_labels_is_refused(bert_folder, rated, tmp_path):
    folder = tmp_path / "classifier"
    model = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=3)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.save_pretrained(folder)
    for given in (model, str(folder)):
        with pytest.raises(InputError, match="has 3 labels; a rating has one"):
            RegressionTrainer(given, configure(tmp_path / "run"), rated, processing_class=tokenizer)


def test_a_tokenizer_bigger_than_the_model_is_refused(bert_folder, rated, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.add_tokens(["zebra"])
    with pytest.raises(InputError, match=r"the tokenizer has tokens up to number \d+, .* only \d+"):
        RegressionTrainer(str(bert_folder), configure(tmp_path), rated, processing_class=tokenizer)


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_long_texts_fit_the_positions(request, tmp_path, architecture):
    """Also where the tokenizer knows no bound; XLM-R numbers its positions from 2."""
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, model_max_length=10**30)
    long = Dataset.from_dict({"text": ["the dog " * 40] * 4, "label": [1.0, 2.0, 3.0, 4.0]})
    trainer = RegressionTrainer(str(checkpoint), configure(tmp_path, max_steps=1), long, processing_class=tokenizer)
    trainer.train()
    assert trainer.cutter.max_length == 32
    with pytest.raises(InputError, match="--max_length 33: the model has positions for 32 tokens"):
        RegressionTrainer(str(checkpoint), configure(tmp_path, max_length=33), long, processing_class=tokenizer)


def test_columns_that_are_missing_are_named(bert_folder, rated, tmp_path):
    with pytest.raises(InputError, match="train_dataset: has no column `label`"):
        RegressionTrainer(str(bert_folder), configure(tmp_path), rated.remove_columns("label"))
    with pytest.raises(InputError, match="eval_dataset: has no column `text`"):
        RegressionTrainer(str(bert_folder), configure(tmp_path), rated, rated.remove_columns("text"))


def test_a_folder_without_a_tokenizer_is_refused(bert_folder, rated, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(bert_folder, folder)
    for path in folder.glob("token*"):
        path.unlink()
    with pytest.raises(InputError, match="base: cannot be loaded as a checkpoint"):
        RegressionTrainer(str(folder), configure(tmp_path / "run"), rated)


@pytest.mark.parametrize("fields", [{"max_length": 2}, {"remove_unused_columns": True}])
def test_settings_that_cannot_work_are_refused(tmp_path, fields):
    with pytest.raises(InputError, match=f"--{next(iter(fields))}"):
        configure(tmp_path, **fields)
