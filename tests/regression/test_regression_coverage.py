"""Texts in a language that the tokenizer does not know: refused, allowed, told, and warned of."""

import json

import pytest
from datasets import Dataset
from regression_runs import configure, train

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError
from hf_xling.regression.predict import main as predict

TELUGU = ["తెలుగు భాష", "మంచి సినిమా", "చాలా బాగుంది", "నచ్చలేదు"]


@pytest.fixture(scope="module")
def unknown(sentences):
    return Dataset.from_dict({"text": [*TELUGU] * 8, "label": [1.0, 2.0, 3.0, 4.0] * 8})


def test_a_language_that_it_does_not_know_is_refused(bert_folder, unknown, tmp_path):
    message = r"column `text`: 100.0% of the tokens unknown, 1.0 pieces a word; .*bert does not know .*--allow_unknown"
    with pytest.raises(InputError, match=message):
        RegressionTrainer(str(bert_folder), configure(tmp_path), unknown)
    RegressionTrainer(str(bert_folder), configure(tmp_path, allow_unknown_tokens=True), unknown)


def test_a_few_unknown_words_are_told(bert_folder, rated, tmp_path, capsys):
    rows = Dataset.from_dict({"text": [f"{text} తెలుగు" for text in rated["text"]], "label": rated["label"]})
    trainer = train(bert_folder, rows, tmp_path)
    assert 0.1 < trainer.coverage.unknown < 0.2
    assert f"training texts: {trainer.coverage}" in capsys.readouterr().err
    trainer.create_model_card()
    assert "of the tokens unknown" in (tmp_path / "README.md").read_text("utf-8")


def test_predict_warns(bert_folder, rated, tmp_path, capsys):
    train(bert_folder, rated, tmp_path / "model").save_model()
    for name, texts in (("telugu", TELUGU), ("english", rated["text"][:4])):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (tmp_path / f"{name}.jsonl").write_text(rows, "utf-8")
        given = ["--model", str(tmp_path / "model"), "--input", str(tmp_path / f"{name}.jsonl")]
        capsys.readouterr()
        predict([*given, "--output", str(tmp_path / f"{name}.csv")])
        warned = "does not know this language or script" in capsys.readouterr().err
        assert warned == (name == "telugu")
