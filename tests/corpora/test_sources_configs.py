"""Splits of other names and datasets of several configs, through every command that reads them."""

import json
from functools import partial
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from corpus_folders import card
from hf_xling.dataset_scripts import imdb_ratings, snli_sentences, tamil_movie_reviews

from hf_xling.console import run_command
from hf_xling.corpora.builders import main as build
from hf_xling.corpora.sources import SPLITS, read_sentences
from hf_xling.errors import InputError
from hf_xling.generation.stage import main as generate
from hf_xling.regression.config import RegressionScriptArguments
from hf_xling.regression.data import load_splits
from hf_xling.tables import named_splits, read_table
from hf_xling.tables.held_out import read_held_out


def dataset(folder: Path, configs: dict[str, tuple[str, ...]]) -> str:
    """A folder whose card declares these splits of these configs; each has a row that says so."""
    declared = []
    for config, splits in configs.items():
        files = []
        for number, split in enumerate(splits):
            path = folder / config / f"{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            table = {"text": [f"{config} {split} one", f"{config} {split} two"], "label": [1.0, float(number)]}
            pyarrow.parquet.write_table(pyarrow.table(table), path)
            files.append({"split": split, "path": f"{config}/{number}.parquet"})
        declared.append({"config_name": config, "data_files": files})
    (folder / "README.md").write_text(f"---\n{json.dumps({'configs': declared})}\n---\n")
    return str(folder)


@pytest.mark.parametrize(
    ("splits", "found", "said"),
    [
        (("train", "dev"), {"train": "train", "validation": "dev"}, "`dev` is its validation split"),
        (
            ("training", "val", "testing"),
            dict(zip(SPLITS, ("training", "val", "testing"), strict=True)),
            "`training` is",
        ),
        (("train", "valid"), {"train": "train", "validation": "valid"}, "`valid` is its validation split"),
        (("train", "eval"), {"train": "train", "test": "eval"}, "`eval` is its test split"),
        (("train", "eval", "test"), {"train": "train", "validation": "eval", "test": "test"}, "`eval` is its valid"),
        (("Train", "Dev", "TEST"), dict(zip(SPLITS, ("Train", "Dev", "TEST"), strict=True)), "`Train` is its train"),
        (
            ("train", "validation_matched", "validation_mismatched", "test_matched", "test_mismatched"),
            {"train": "train", "validation": "validation_matched", "test": "test_matched"},
            "`validation_mismatched` is left out, `test_mismatched` is left out",
        ),
        (
            ("train", "dev", "validation", "unsupervised"),
            {"train": "train", "validation": "validation"},
            "`dev` is left out, `unsupervised` is left out",
        ),
        (("train", "validation", "test"), dict(zip(SPLITS, SPLITS, strict=True)), None),
    ],
)
def test_splits_of_other_names_are_taken_or_said(tmp_path, capsys, splits, found, said):
    source = dataset(tmp_path / "data", {"default": splits})
    assert named_splits(source) == found
    line = capsys.readouterr().err
    assert line == "" if said is None else said in line
    assert {SPLITS[place] for place in read_sentences(source).split_of} == set(found)
    for split, name in found.items():
        assert read_table(source, split=split).columns["text"][0] == f"default {name} one"


def test_every_reader_of_splits_knows_their_other_names(tmp_path):
    source = dataset(tmp_path / "data", {"default": ("train", "dev", "eval")})
    script = RegressionScriptArguments(model_name_or_path="m", dataset_name=source)
    assert {split: part["text"][0] for split, part in load_splits(script).datasets.items()} == {
        "train": "default train one",
        "validation": "default dev one",
        "test": "default eval one",
    }
    assert read_held_out(source, "validation")[1] == "dev" and read_held_out(source, "test")[1] == "eval"
    argv = ["--source", source, "--output_dir", str(tmp_path / "rated")]
    assert run_command(partial(build, tamil_movie_reviews.SPEC), argv) == 0
    texts = {read_table(tmp_path / "rated", "raw", split).columns["text"][0] for split in SPLITS}
    assert texts == {"default train one", "default dev one", "default eval one"}


def test_a_split_can_be_taken_by_its_own_name(tmp_path):
    source = dataset(tmp_path / "data", {"default": ("train", "validation_matched", "validation_mismatched", "ta")})
    sentences = read_sentences(source, splits=["validation_mismatched"])
    assert sentences.texts[0] == "default validation_mismatched one" and set(sentences.split_of) == {1}
    both = read_sentences(source, splits=["validation_matched", "validation_mismatched"])
    assert len(both.texts) == 4 and set(both.split_of) == {1}
    with pytest.raises(InputError, match="has no split `ta` to take; its splits are train, validation_matched"):
        read_sentences(source, splits=["ta"])


COMMANDS = {
    "generate": (generate, "--input", ["--task", "paraphrase", "--language", "en", "--dry_run"]),
    "corpus": (partial(build, snli_sentences.SPEC), "--source", []),
    "ratings": (partial(build, imdb_ratings.SPEC), "--source", []),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_config_is_chosen_by_its_name_and_the_names_are_told(tmp_path, capsys, command):
    source = dataset(tmp_path / "data", {"ta": ("train",), "te": ("train",)})
    main, option, more = COMMANDS[command]
    argv = [option, source, "--output_dir", str(tmp_path / "out"), *more]
    for given, said in (
        ([], "has several configs; --dataset_config names one of ta, te"),
        (["--dataset_config", "hi"], "has no config `hi`; its configs are ta, te"),
    ):
        assert run_command(main, [*argv, *given]) == 2
        assert capsys.readouterr().err.splitlines()[-1] == f"error: {source}: {said}"
    assert run_command(main, [*argv, "--dataset_config", "te"]) == 0
    if command == "generate":
        assert "te train one" in capsys.readouterr().out
        return
    out, column = tmp_path / "out", "anchor" if command == "corpus" else "text"
    config = "sentences" if command == "corpus" else "raw"
    assert read_table(out, config).columns[column] == ["te train one", "te train two"]
    assert ", config `te`" in card(out)[1]
    capsys.readouterr()
    assert run_command(main, [*argv, "--dataset_config", "ta"]) == 2
    assert "holds another run (dataset_config was 'te', is now 'ta')" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_config_of_what_has_none_is_refused(tmp_path, capsys, command):
    (tmp_path / "a.csv").write_text("text,label\na,1\n")
    main, option, more = COMMANDS[command]
    argv = [option, str(tmp_path / "a.csv"), "--output_dir", str(tmp_path / "out"), "--dataset_config", "x", *more]
    assert run_command(main, argv) == 2
    assert "a.csv: has no configs; --dataset_config x goes with a dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("train", "test", "more"),
    [
        ("a dog runs here\n", "a dog runs here\nanother text altogether\n", []),
        ("a dog runs over the green grass\n", "a dog runs over the green grass!\n", ["--drop_leaked"]),
    ],
)
def test_a_train_split_that_the_test_split_empties_is_not_left_out(tmp_path, capsys, train, test, more):
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "test.txt").write_text(test)
    argv = ["--source", str(tmp_path / "train.txt"), "--test_file", str(tmp_path / "test.txt"), *more]
    assert run_command(partial(build, snli_sentences.SPEC), [*argv, "--output_dir", str(tmp_path / "d")]) == 2
    assert "split train: each of its 1 texts is in a later split too" in capsys.readouterr().err
    assert not list((tmp_path / "d").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("option", "files", "own"),
    [
        ("--test_file", ("train", "dev", "test"), "train, validation, test"),
        ("--test_file", ("train", "dev"), "train, validation"),
        ("--test_file", ("dev", "test"), "validation, test"),
        ("--test_file", ("train",), "train"),
        ("--validation_file", ("train", "dev", "test"), "train, validation, test"),
        ("--validation_file", ("train", "test"), "train, test"),
        ("--source", ("train", "dev", "test"), "train, validation, test"),
        ("--source", ("dev", "test"), "validation, test"),
    ],
)
def test_a_folder_of_several_splits_is_no_file_of_one(tmp_path, capsys, option, files, own):
    (tmp_path / "data").mkdir()
    for name in files:
        (tmp_path / "data" / f"{name}.csv").write_text(f"text,label\nwords of {name},1\n")
    (tmp_path / "a.csv").write_text("text,label\nother words here,1\n")
    given = {"--source": tmp_path / "a.csv", "--test_file": tmp_path / "a.csv"} | {option: tmp_path / "data"}
    argv = [*(str(part) for pair in given.items() for part in pair), "--output_dir", str(tmp_path / "out")]
    assert run_command(partial(build, tamil_movie_reviews.SPEC), argv) == 2
    split = "train" if option == "--source" else option.strip("-").removesuffix("_file")
    said = f"{tmp_path / 'data'}: has splits of its own ({own}); a file of {split} is needed"
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {said}" and not (tmp_path / "out").exists()


def test_a_folder_of_one_split_is_a_file_of_that_split(tmp_path):
    for split, name in (("train", "training"), ("validation", "dev"), ("test", "test")):
        (tmp_path / split).mkdir()
        (tmp_path / split / f"{name}.csv").write_text(f"text,label\nall of the {split} words,1\n")
    given = [part for split in SPLITS for part in (f"--{split}_file", str(tmp_path / split))]
    argv = [*given, "--output_dir", str(tmp_path / "rated")]
    assert run_command(partial(build, tamil_movie_reviews.SPEC), argv) == 0
    for split in SPLITS:
        assert read_table(tmp_path / "rated", "raw", split).columns["text"] == [f"all of the {split} words"]
    sentences = read_sentences({split: str(tmp_path / split) for split in SPLITS}, ["text"])
    assert sentences.texts == [f"all of the {split} words" for split in SPLITS]
