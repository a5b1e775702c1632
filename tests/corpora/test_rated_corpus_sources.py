"""Where rated corpora come from, and what cannot be built."""

import csv
import os
import re
import shutil
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from corpus_folders import card
from datasets import ClassLabel, Dataset, Features, Value, load_dataset
from rated_files import SCRIPTS, SPECS, TWEETS, build, load, reviews, write_csv

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.errors import InputError
from hf_xling.runs import file_hash


@pytest.fixture
def imdb(tmp_path):
    """A dataset folder as IMDB's is: classes `neg` and `pos`, and a split without labels."""
    folder, texts = tmp_path / "source" / "imdb", [f"{text}<br /><br />A film." for text in reviews(7)]
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    splits = {"train": ([0, 1, -1], texts[:3]), "test": ([1, 0], texts[3:5]), "unsupervised": ([-1, -1], texts[5:])}
    folder.mkdir(parents=True)
    for split, (labels, part) in splits.items():
        Dataset.from_dict({"text": part, "label": labels}, features).to_parquet(
            folder / f"{split}-00000-of-00001.parquet"
        )
    names = "".join(f"  - split: {split}\n    path: {split}-*\n" for split in splits)
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: plain_text\n  data_files:\n{names}---\n")
    return folder


def test_imdb_has_its_classes_as_ratings_and_no_unsupervised_split(imdb, tmp_path):
    folder, counts = build(tmp_path / "d", "--source", imdb, script="imdb_ratings")
    assert {split for _, split in counts} == {"train", "test"} == set(load_dataset(str(folder), "clean"))
    assert counts["clean", "train"] | {"source rows": 3, "no label": 1, "rows": 2} == counts["clean", "train"]
    assert [row["label"] for row in load(folder, "clean")] == [0.0, 1.0]
    assert load(folder, "clean", "test")[0]["text"].endswith("\nA film.")
    body = card(folder)[1]
    assert "**For local use only:** IMDB states no licence" in body and "`imdb`" in body
    _, mapped = build(tmp_path / "m", "--source", imdb, "--label_map", "neg=1", "pos=10", script="imdb_ratings")
    assert mapped == counts and [row["label"] for row in load(tmp_path / "m", "raw")] == [1.0, 10.0]


def test_imdb_is_never_built_for_the_hub(imdb, tmp_path, capsys):
    argv = ["--source", str(imdb), "--output_dir", str(tmp_path / "d"), "--repo_id", "me/imdb"]
    assert run_command(partial(main, SPECS["imdb_ratings"]), argv) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and not (tmp_path / "d").exists()
    assert error.startswith("error: --repo_id me/imdb: cannot be published: it holds text of IMDB, and IMDB states no")
    assert "publish the model" in error
    build(tmp_path / "d", *argv[:2], script="imdb_ratings")


def test_one_file_is_a_training_split_and_columns_can_be_named(tmp_path):
    rows = [("good film", "Happy"), ("bad film", "Sad"), ("film", "Angry")]
    path = write_csv(tmp_path / "a.csv", rows, ("tweet", "mood"))
    columns = ["--text_column", "tweet", "--label_column", "mood", "--label_map", "Sad=0", "Happy=1.5"]
    folder, counts = build(tmp_path / "d", "--source", path, *columns, "--repo_id", "me/mine", "--license", "mit")
    assert [(row["text"], row["label"]) for row in load(folder, "clean")] == [("good film", 1.5), ("bad film", 0.0)]
    assert counts["raw", "train"]["label no number"] == 1
    front, body = card(folder)
    assert front["license"] == "mit" and 'load_dataset("me/mine", "clean")' in body and "`Sad=0, Happy=1.5`" in body
    assert f"`a.csv` (SHA-256 `{file_hash(path)}`)" in body


def test_a_folder_is_read_anew_when_its_content_has_changed(tmp_path):
    for name, splits in (("one", ("train",)), ("two", ("train", "test"))):
        (tmp_path / name / "x").mkdir(parents=True)
        for split in splits:
            write_csv(tmp_path / name / "x" / f"{split}.csv", [(f"{name} of {split}", 1)])
    for name, splits in (("one", {"train"}), ("two", {"train", "test"})):
        folder, counts = build(tmp_path / f"built-{name}", "--source", tmp_path / name / "x")
        assert {split for _, split in counts} == splits
        assert [row["text"] for row in load(folder, "raw")] == [f"{name} of train"]


@pytest.mark.skipif(not TWEETS.exists(), reason="needs shared/data/tamil_tweets beside the repository")
def test_the_twins_among_real_tweets_are_found(tmp_path):
    columns = ["--text_column", "tweet", "--label_column", "sentiment", "--label_map", "Sad=0", "Happy=1"]
    folder, counts = build(tmp_path / "d", "--source", TWEETS, *columns)
    assert counts["raw", "train"] | {"source rows": 1016, "no text": 1, "rows": 1015} == counts["raw", "train"]
    (exact,) = re.findall(r"\| train \| train, a second time \| (\d+) \| \d+ \|", card(folder)[1])
    with open(TWEETS, encoding="utf-8", newline="") as stream:
        texts = [row["tweet"] for row in csv.DictReader(stream)]
    assert int(exact) >= sum(texts.count(text) > 1 for text in texts) >= 10


# Runs


def test_the_same_run_is_the_same_and_another_is_refused(tamil, tmp_path):
    folder, counts, argv, *_ = tamil
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    assert build(folder, *argv)[1] == counts
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before and len(before) == 4
    with pytest.raises(InputError, match=r"holds another run .near_threshold was 0.8, is now 0.9"):
        build(folder, *argv, "--near_threshold", "0.9")
    moved_file = shutil.copy(argv[1], tmp_path / "train.csv")
    assert build(folder, "--source", moved_file, *argv[2:])[1] == counts  # the same content elsewhere
    with open(moved_file, "a", encoding="utf-8") as stream:
        stream.write("z,one more,2\n")
    with pytest.raises(InputError, match=r"holds another run .source was"):
        build(folder, "--source", moved_file, *argv[2:])
    shutil.copytree(Path(argv[1]).parent, tmp_path / "moved")
    moved, _ = build(tmp_path / "again", "--source", tmp_path / "moved" / "train.csv", *argv[2:])
    for path in (path for path in folder.rglob("*") if path.is_file() and path.name[0] != "_"):
        assert path.read_bytes() == (moved / path.relative_to(folder)).read_bytes()
        assert str(tmp_path.parent).encode() not in path.read_bytes() and b"pytest-of-" not in path.read_bytes()


@pytest.mark.parametrize(
    ("splits", "argv", "said"),
    [
        ({}, [], "the following arguments are required: --source"),
        ({}, ["--source", "missing.csv"], "missing.csv: no such file"),
        ({}, ["--source", "org/nothing"], "org/nothing: cannot be loaded as a dataset"),
        ({"train": [("a", 1)]}, ["--text_column", "x"], r"train.csv: has no column `x`; its columns are text, label"),
        (
            {"train": [("a", 1)], "test": [("b", "x")]},
            [],
            r"test.csv: no row can be used: row 1 .line 2. has label no nu",
        ),
        ({"train": [("", 1)]}, [], "train.csv: no row can be used: row 1 .line 2. has no text: None"),
        ({"train": []}, [], "train.csv: is empty"),
        (
            {"train": [("a", 1)], "test": [("A", 1)]},
            [],
            "split train: each of its 1 usable rows is in a later split",
        ),
        ({"train": [("a", 1)]}, ["--near_threshold", "0"], "--near_threshold 0.0: 0.1 to 1 is needed"),
        ({"train": [("a", 1)]}, ["--label_map", "Happy"], "NAME=NUMBER is needed"),
        (
            {"train": [("a", 1)]},
            ["--label_map", "a=1", "a=2"],
            "--label_map: `a` is given twice",
        ),
        ({"train": [("a", 1)]}, ["--label_map", "a=nan"], "NAME=NUMBER is needed"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(files, tmp_path, capsys, splits, argv, said):
    argv = [*files(**splits), *argv, "--output_dir", str(tmp_path / "d")]
    assert run_command(partial(main, SPECS["tamil_movie_reviews"]), argv) == 2
    out, error = capsys.readouterr()
    assert out == "" and re.search(said, error) and error.splitlines()[-1].startswith("error: ")
    assert not list((tmp_path / "d").rglob("*.parquet"))


def test_a_source_without_a_training_split_is_named(tmp_path):
    (tmp_path / "s").mkdir()
    write_csv(tmp_path / "s" / "test.csv", [("a", 1)])
    with pytest.raises(InputError, match="has no split `train`; its splits are test"):
        build(tmp_path / "d", "--source", tmp_path / "s")


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_is_a_short_declaration_that_says_what_it_wants(script, capsys):
    assert SPECS[script].name == script
    path = Path(import_module(f"hf_xling.dataset_scripts.{script}").__file__)
    assert len(path.read_text("utf-8").splitlines()) < 80 and os.path.basename(path) == f"{script}.py"
    with pytest.raises(SystemExit):
        main(SPECS[script], ["--help"])
    shown = capsys.readouterr().out
    assert f"dataset_scripts/{script}.py" in shown and "--near_threshold" in shown
