"""The regression script's folds, ensembles, classes, adapters and data options, in the process."""

import contextlib
import csv
import io
import json
import re
import shutil
import statistics

import numpy
import pytest
from hf_xling.trainers import regression
from script_runs import read_predictions, regression_argv, snapshot
from transformers import AutoConfig

from hf_xling import RatingEnsemble
from hf_xling.console import run_command
from hf_xling.regression.results import text_hash

SHORT = ("--num_train_epochs", "1", "--save_strategy", "no", "--eval_strategy", "no")


def results(folder):
    return json.loads((folder / "all_results.json").read_text("utf-8"))


def read(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def rows_of(path):
    return [(row["text"], float(row["label"])) for row in read(path)]


def train_only(checkpoint, files, output, *more):
    common = ("--output_dir", str(output), "--use_cpu", "true", "--disable_tqdm", "true", "--learning_rate", "1e-3")
    return ["--model_name_or_path", str(checkpoint), "--train_file", str(files / "train.csv"), *common, *more]


@pytest.fixture(scope="module")
def plain(bert_folder, files, tmp_path_factory):
    """The folder of a short run, to be looked at only, its closing lines and what it says on the way."""
    folder, said = tmp_path_factory.mktemp("plain") / "run", io.StringIO()
    with contextlib.redirect_stderr(said):
        closing = regression.main(regression_argv(bert_folder, files, folder, *SHORT))
    return folder, closing, said.getvalue()


def test_what_was_loaded_and_made_is_said(plain):
    assert re.search(
        r": \d+ tensors loaded; newly made: classifier.bias, classifier.weight; dropped: nothing\n", plain[2]
    )


def test_predictions_name_the_text_by_hash(plain, files):
    folder = plain[0]
    rows, source = read_predictions(folder), rows_of(files / "test.csv")
    assert list(rows[0]) == ["id", "text_hash", "label", "prediction"]
    assert [row["text_hash"] for row in rows] == [text_hash(text) for text, _ in source]
    constant = statistics.fmean(label for _, label in rows_of(files / "train.csv"))
    found = results(folder)
    wanted = statistics.fmean((label - constant) ** 2 for _, label in source)
    assert found["test_constant_mse"] == pytest.approx(wanted, rel=1e-5)


def test_seeds_make_an_ensemble(bert_folder, files, tmp_path):
    closing = regression.main(regression_argv(bert_folder, files, tmp_path / "run", *SHORT, "--seeds", "1", "2", "3"))
    together = results(tmp_path / "run")
    members = [
        [float(row["prediction"]) for row in read_predictions(tmp_path / "run" / f"seed-{n}")] for n in (1, 2, 3)
    ]
    rows = read_predictions(tmp_path / "run")
    mean, spread = numpy.mean(members, axis=0), numpy.std(members, axis=0, ddof=1)
    assert [float(row["prediction"]) for row in rows] == pytest.approx(mean, rel=1e-6)
    assert [float(row["spread"]) for row in rows] == pytest.approx(spread, rel=1e-6)
    labels = numpy.array([float(row["label"]) for row in rows])
    assert together["ensemble_test_mse"] == pytest.approx(((mean - labels) ** 2).mean(), rel=1e-6)
    assert 0 <= together["ensemble_test_calibration_calibration_error"] <= 1
    assert f"of the mean of their predictions {together['ensemble_test_mse']:.4f}" in closing
    texts = [text for text, _ in rows_of(files / "test.csv")]
    loaded = RatingEnsemble.from_pretrained(tmp_path / "run").predict(texts)
    assert loaded.mean == pytest.approx(mean, abs=1e-5) and loaded.spread == pytest.approx(spread, abs=1e-4)


def test_folds_test_each_text_once_and_train_on_none_that_they_test(bert_folder, files, tmp_path):
    """Two texts stand twice: each in one fold."""
    data = tmp_path / "data"
    shutil.copytree(files, data)
    rows = (data / "train.csv").read_text("utf-8").splitlines()
    (data / "train.csv").write_text("\n".join([*rows, rows[1], rows[2]]) + "\n", encoding="utf-8")
    source = read(data / "train.csv")
    more = ("--folds", "3", "--seeds", "1", "2", "--num_train_epochs", "1")
    argv = train_only(bert_folder, data, tmp_path / "run", *more)
    closing = regression.main(argv)
    together = results(tmp_path / "run")
    assert together["folds"] == 3 and together["seeds"] == [1, 2]
    tested = {}
    for fold in (1, 2, 3):
        of_fold = [read_predictions(tmp_path / "run" / f"fold-{fold}" / f"seed-{seed}") for seed in (1, 2)]
        assert [row["text_hash"] for row in of_fold[0]] == [row["text_hash"] for row in of_fold[1]]
        found = results(tmp_path / "run" / f"fold-{fold}" / "seed-1")
        assert found["n_train"] + found["n_validation"] + found["n_test"] == len(source) and found["n_validation"] >= 2
        for rows in zip(*of_fold, strict=True):
            tested.setdefault((rows[0]["id"], rows[0]["text_hash"]), []).append(fold)
            assert rows[0]["id"] == rows[1]["id"]
    assert len(tested) == len(source) and all(len(folds) == 1 for folds in tested.values()), "each row once"
    by_text = {}
    for (_, text), folds in tested.items():
        by_text.setdefault(text, set()).update(folds)
    assert len(by_text) == len(source) - 2 and all(len(folds) == 1 for folds in by_text.values()), "a text in one fold"
    out_of_fold = read(tmp_path / "run" / "out_of_fold.csv")
    assert len(out_of_fold) == len(source) and all(row["spread"] for row in out_of_fold)
    errors = [float(row["prediction"]) - float(row["label"]) for row in out_of_fold]
    assert together["out_of_fold_mse"] == pytest.approx(statistics.fmean(e * e for e in errors), rel=1e-6)
    runs = [results(tmp_path / "run" / f"fold-{fold}" / f"seed-{seed}") for fold in (1, 2, 3) for seed in (1, 2)]
    assert together["test_mse"] == pytest.approx(statistics.fmean(run["test_mse"] for run in runs))
    assert together["test_mse_std"] == pytest.approx(statistics.stdev(run["test_mse"] for run in runs))
    assert len(closing.splitlines()) == 7 and closing.splitlines()[-1].startswith("together: test MSE ")
    assert len(RatingEnsemble.from_pretrained(tmp_path / "run").members) == 6
    assert not list((tmp_path / "run").rglob("checkpoint-*"))
    before = snapshot(tmp_path / "run")
    assert "already finished" in regression.main(argv)
    after = snapshot(tmp_path / "run")
    assert {path: time for path, time in after.items() if path.parent != tmp_path / "run"} == {
        path: time for path, time in before.items() if path.parent != tmp_path / "run"
    }


def test_folds_beside_a_test_set(bert_folder, files, tmp_path):
    """The folds test parts of the training set; the test set is for the ensemble of all."""
    regression.main(regression_argv(bert_folder, files, tmp_path / "run", *SHORT, "--folds", "2"))
    together, test = results(tmp_path / "run"), rows_of(files / "test.csv")
    members = [read(tmp_path / "run" / f"fold-{fold}" / "test_set_predictions.csv") for fold in (1, 2)]
    mean = numpy.mean([[float(row["prediction"]) for row in rows] for rows in members], axis=0)
    assert [float(row["prediction"]) for row in read_predictions(tmp_path / "run")] == pytest.approx(mean, rel=1e-6)
    labels = numpy.array([label for _, label in test])
    assert together["ensemble_test_mse"] == pytest.approx(((mean - labels) ** 2).mean(), rel=1e-6)
    assert len(read(tmp_path / "run" / "out_of_fold.csv")) == len(rows_of(files / "train.csv"))
    assert results(tmp_path / "run" / "fold-1")["n_test"] == 16
    assert results(tmp_path / "run" / "fold-1")["n_validation"] == 8, "the validation file chooses, in each fold"


def test_folds_are_those_of_the_texts_whatever_the_seed(bert_folder, files, tmp_path):
    for seed in ("1", "2"):
        argv = train_only(bert_folder, files, tmp_path / seed, *SHORT, "--folds", "2", "--seed", seed)
        regression.main(argv)
    first, second = ([row["id"] for row in read_predictions(tmp_path / seed / "fold-1")] for seed in ("1", "2"))
    assert first == second and first != [str(number) for number in range(1, 17)], "at random"


def test_a_validation_share_is_held_out(bert_folder, files, tmp_path):
    regression.main(
        train_only(bert_folder, files, tmp_path / "run", "--validation_share", "0.25", "--num_train_epochs", "1")
    )
    found = results(tmp_path / "run")
    assert (found["n_train"], found["n_validation"]) == (24, 8)
    state = json.loads((tmp_path / "run" / "trainer_state.json").read_text("utf-8"))
    assert [line["eval_mse"] for line in state["log_history"] if "eval_mse" in line]


def test_classes(bert_folder, files, tmp_path):
    for split in ("train", "validation", "test"):
        named = [(text, "long" if label > 2 else "short") for text, label in rows_of(files / f"{split}.csv")]
        with open(tmp_path / f"{split}.csv", "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("text", "label"), *named])
    more = ("--task", "classification", "--num_train_epochs", "3", "--seeds", "1", "2")
    closing = regression.main(regression_argv(bert_folder, tmp_path, tmp_path / "run", *more))
    config = AutoConfig.from_pretrained(tmp_path / "run" / "seed-1")
    assert config.id2label == {0: "long", 1: "short"} and config.problem_type == "single_label_classification"
    rows = read_predictions(tmp_path / "run" / "seed-1")
    assert {row["label"] for row in rows} == {"long", "short"} >= {row["prediction"] for row in rows}
    found = results(tmp_path / "run" / "seed-1")
    assert found["test_accuracy"] == statistics.fmean(row["label"] == row["prediction"] for row in rows)
    assert 0 <= found["test_macro_f1"] <= 1 and "test_mse" not in found
    assert "test accuracy" in closing and "always the commonest class" in closing
    assert results(tmp_path / "run")["test_accuracy_std"] is not None
    assert not (tmp_path / "run" / "ensemble.json").exists()
    state = json.loads((tmp_path / "run" / "seed-1" / "trainer_state.json").read_text("utf-8"))
    f1 = [line["eval_macro_f1"] for line in state["log_history"] if "eval_macro_f1" in line]
    assert state["best_metric"] == max(f1)


def test_an_adapter_is_trained_and_loaded(bert_folder, files, tmp_path):
    argv = regression_argv(bert_folder, files, tmp_path / "run", "--use_peft", "--lora_r", "4", "--seeds", "1", "2")
    regression.main(argv)
    assert (tmp_path / "run" / "seed-1" / "adapter_model.safetensors").exists()
    texts = [text for text, _ in rows_of(files / "test.csv")]
    wanted = [float(row["prediction"]) for row in read_predictions(tmp_path / "run")]
    assert RatingEnsemble.from_pretrained(tmp_path / "run").predict(texts).mean == pytest.approx(wanted, abs=1e-5)
    assert "LoRA adapter" in (tmp_path / "run" / "seed-1" / "README.md").read_text("utf-8")


def test_bad_rows_are_dropped_and_counted(bert_folder, files, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(files, data)
    with open(data / "train.csv", "a", encoding="utf-8") as stream:
        stream.write("the dog,\n,3\nthe cat,many\nthe bird,9\n")
    argv = regression_argv(bert_folder, data, tmp_path / "run", *SHORT, "--label_range", "1", "4")
    assert run_command(regression.main, argv) == 2
    assert "train.csv, row 33 (line 34): the label is null" in capsys.readouterr().err
    closing = regression.main([*argv, "--on_bad_row", "drop"])
    assert results(tmp_path / "run")["n_train"] == 32
    assert closing.count("train: 1 rows dropped (") == 4


def test_texts_are_cleaned_where_that_is_asked_for(bert_folder, files, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(files, data)
    content = (data / "test.csv").read_text("utf-8")
    (data / "test.csv").write_text(content.replace("the ", "<br />the <NEWLINE> "), encoding="utf-8")
    regression.main(regression_argv(bert_folder, data, tmp_path / "clean", *SHORT, "--clean", "true"))
    regression.main(regression_argv(bert_folder, data, tmp_path / "raw", *SHORT, "--allow_unknown_tokens", "true"))
    clean, raw = (read_predictions(tmp_path / name) for name in ("clean", "raw"))
    assert [row["text_hash"] for row in clean] != [row["text_hash"] for row in raw]
    assert [row["prediction"] for row in clean] != [row["prediction"] for row in raw]


def test_what_is_cut_is_told_before_training(bert_folder, files, tmp_path, caplog):
    argv = regression_argv(bert_folder, files, tmp_path / "run", *SHORT, "--max_length", "5")
    regression.main(argv)
    assert "are longer than 5 tokens" in caplog.text and "--long_text windows reads all" in caplog.text
    assert results(tmp_path / "run")["long_documents"] > 20 and results(tmp_path / "run")["cut_tokens"] > 0.1
    caplog.clear()
    regression.main(regression_argv(bert_folder, files, tmp_path / "all", *SHORT))
    assert "tokens are cut" not in caplog.text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--folds", "1"], "--folds 1: at least 2"),
        (["--folds", "40"], "--folds 40: the training set has only 32 distinct texts"),
        (["--validation_share", "1"], "--validation_share 1.0: a number from 0 to 1"),
        (["--label_range", "4", "1"], "--label_range: two numbers are needed"),
        (["--layer_lr_decay", "0"], "--layer_lr_decay 0.0"),
        (["--freeze_body_steps", "-1"], "--freeze_body_steps -1"),
        (["--token_budget", "0"], "--token_budget 0"),
        (["--early_stopping_patience", "0"], "--early_stopping_patience 0"),
        (["--long_text", "middle"], "middle"),
        (["--task", "ranking"], "ranking"),
    ],
)
def test_options_that_cannot_work(bert_folder, files, tmp_path, more, message, capsys):
    assert run_command(regression.main, regression_argv(bert_folder, files, tmp_path / "run", *more)) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ") and message in said


@pytest.mark.parametrize("given", ["file", "share", "seeds"])
def test_without_a_test_set_the_validation_set_is_told(bert_folder, files, tmp_path, given):
    """In the closing line, in the results and in the card, of the checkpoint that is saved."""
    folder = tmp_path / "run"
    more = {
        "file": ("--validation_file", str(files / "validation.csv")),
        "share": ("--validation_share", "0.25"),
        "seeds": ("--validation_file", str(files / "validation.csv"), "--seeds", "1", "2"),
    }[given]
    closing = regression.main(train_only(bert_folder, files, folder, "--num_train_epochs", "2", *more))
    found = results(folder)
    assert f"validation MSE {found['validation_mse']:.4f} (always the mean rating: " in closing.splitlines()[-1]
    assert closing.splitlines()[-1].split(" → ")[0].endswith("on 8 texts; no test set")
    card = (folder / "README.md").read_text("utf-8")
    assert "Nothing was measured" not in card and f"{found['validation_mse']:.4f}" in card
    assert "8 texts of the validation set, which chose the checkpoint, and so says too much good of it" in card
    if given == "file":
        state = json.loads((folder / "trainer_state.json").read_text("utf-8"))
        assert found["validation_mse"] == pytest.approx(state["best_metric"], rel=1e-4)


def test_validation_does_not_stand_in_for_a_test_set(plain):
    folder, closing, _ = plain
    found, card = results(folder), (folder / "README.md").read_text("utf-8")
    assert "validation_mse" in found and "chosen_by" not in found and "validation MSE" not in closing
    assert f"{found['test_mse']:.4f}" in card and "validation set" not in card
