"""Texts in a language that the tokenizer does not know: refused, allowed, told, and warned of."""

import json

import pytest
from datasets import Dataset
from hf_xling.trainers import regression
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
    assert 0.1 < trainer.coverage["text"].unknown < 0.2
    assert f"column text: {trainer.coverage['text']}" in capsys.readouterr().err
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


# Held-out texts


def test_held_out_texts_are_looked_at_before_training(bert_folder, rated, unknown, tmp_path):
    for given, name in ((unknown, "eval_dataset"), ({"te": unknown}, r"eval_dataset\['te'\]")):
        with pytest.raises(InputError, match=rf"{name}, column `text`: 100.0% of the tokens unknown"):
            RegressionTrainer(str(bert_folder), configure(tmp_path), rated, given)
    trainer = RegressionTrainer(str(bert_folder), configure(tmp_path, allow_unknown_tokens=True), rated, unknown)
    trainer.create_model_card()
    assert "| 100.0% of the tokens unknown" in (tmp_path / "README.md").read_text("utf-8")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_run_in_another_language_than_its_test_texts_ends_at_once(bert_folder, rated, unknown, tmp_path, split):
    files = {}
    for name in ("train", "validation", "test"):
        files[name] = tmp_path / f"{name}.jsonl"
        (unknown if name == split else rated.select(range(24))).to_json(files[name], force_ascii=False)
    argv = [token for name, path in files.items() for token in (f"--{name}_file", str(path))]
    argv += ["--model_name_or_path", str(bert_folder), "--output_dir", str(tmp_path / "run"), "--max_steps", "1"]
    argv += ["--use_cpu", "true", "--disable_tqdm", "true"]
    with pytest.raises(InputError, match=r"column `text`: 100.0% of the tokens unknown, .*--allow_unknown_tokens"):
        regression.main(argv)
    assert not list((tmp_path / "run").glob("*.safetensors"))
    regression.main([*argv, "--allow_unknown_tokens", "true"])
    results = json.loads((tmp_path / "run" / "all_results.json").read_text("utf-8"))
    shares = {name: results[f"{name}_dataset_unknown_tokens"] for name in ("eval", "test")}
    assert shares == {"eval": float(split == "validation"), "test": float(split == "test")}
