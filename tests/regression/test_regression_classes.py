"""Rated texts with named classes."""

import json

import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from rated_rows import failure, labels, load, write

SPLITS = ("train", "validation", "test")


def classes(splits):
    """Names of the labels by split."""
    return {split: [splits.label_names[label] for label in part["label"]] for split, part in splits.datasets.items()}


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (["b", "a", "ஆ", "B", "a"], ["B", "a", "b", "ஆ"]),
        (["10", "9", "-1", "2.5"], ["-1", "2.5", "9", "10"]),
        (["10", "9", "nan"], ["10", "9", "nan"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        ([" pos", "neg "], ["neg", "pos"]),
    ],
)
def test_names_of_classes_are_sorted(tmp_path, found, names):
    train = write(tmp_path / "train.csv", [f"text {row},{label}" for row, label in enumerate(found)])
    splits = load("classification", train_file=train)
    assert splits.label_names == names and splits.datasets["train"].features["label"] == Value("int64")
    assert classes(splits) == {"train": [label.strip() for label in found]}


def test_numbers_name_the_same_class_in_every_kind_of_file(tmp_path):
    train = write(tmp_path / "train.csv", ["a,1", "b,0", "c,1"])
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": [1.0, 0.0]}), tmp_path / "test.parquet")
    (tmp_path / "validation.jsonl").write_text('{"text": "a", "label": 0}', "utf-8")
    splits = load(
        "classification",
        train_file=train,
        validation_file=tmp_path / "validation.jsonl",
        test_file=tmp_path / "test.parquet",
    )
    assert classes(splits) == {"train": ["1", "0", "1"], "validation": ["0"], "test": ["1", "0"]}


def test_a_label_map_orders_the_classes(tmp_path):
    train = write(tmp_path / "train.csv", ["good,Happy", "bad,Sad"])
    splits = load("classification", train_file=train, label_map=["Sad=1", "Happy=0", "Angry=2"])
    assert splits.label_names == ["Happy", "Sad", "Angry"] and labels(splits) == [0, 1]
    for numbers in (["Sad=1", "Happy=2"], ["Sad=0", "Happy=0"], ["Sad=0", "Happy=0.5"]):
        message = f"--label_map {' '.join(numbers)}: the numbers of 2 classes are 0 to 1, each once"
        assert failure(task="classification", train_file=train, label_map=numbers) == message
    assert failure(task="classification", train_file=train, label_map=["Sad=0", "Angry=1"]).endswith(
        "row 1 (line 2): the label is 'Happy'; --label_map has Sad, Angry"
    )


def test_a_class_that_training_has_not_is_a_bad_row_elsewhere(tmp_path):
    train = write(tmp_path / "train.csv", ["a,x", "b,y", "c,10"])
    test = write(tmp_path / "test.csv", ["a,x", "b,z", "c,10"])
    fields = {"train_file": train, "test_file": test}
    message = f"{test}, row 2 (line 3): the label is 'z'; the training split has 10, x, y"
    assert failure(task="classification", **fields) == message
    splits = load("classification", **fields, on_bad_row="drop")
    assert classes(splits)["test"] == ["x", "10"]
    assert splits.dropped == {"test": {"label not in the training split": 1}}
    map_of_all = ["x=0", "y=1", "10=2", "z=3"]  # that a class is known by name does not mean that it was learned
    assert "the training split has x, y, 10" in failure(task="classification", **fields, label_map=map_of_all)


def test_classes_have_bad_rows_too(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = ["x", "y", None, " ", [1], float("nan"), "x", "y", True]
    texts = ["a", "b", "c", "d", "e", "f", "a", "a", "g"]
    lines = [json.dumps({"text": text, "label": label}) for text, label in zip(texts, rows, strict=True)]
    path.write_text("\n".join(lines), "utf-8")
    splits = load("classification", train_file=path, on_bad_row="drop")
    assert classes(splits) == {"train": ["x", "y", "x", "True"]}
    assert splits.dropped == {
        "train": {"label is null": 3, "label is not a class": 1, "another label for the same text": 1}
    }
    assert failure(task="classification", train_file=path).endswith(
        "row 3: the label is null; the name of a class is needed"
    )
    path.write_text("\n".join([*lines[:2], lines[7]]), "utf-8")
    assert failure(task="classification", train_file=path).endswith(
        "row 3: the text stands in row 1 with label x, here with y"
    )


def test_one_class_is_none(tmp_path):
    train = write(tmp_path / "train.csv", ["a,x", "b,x", "a,y"])
    message = f"{train}: all labels in column `label` are `x`; at least two classes are needed"
    assert failure(task="classification", train_file=train, on_bad_row="drop") == message
    assert failure(task="classification", train_file=train, on_bad_row="drop", label_map=["x=0", "y=1"]) == message


def test_classes_have_no_range(tmp_path):
    train = write(tmp_path / "train.csv", ["a,1", "b,2"])
    assert "--label_range" in failure(task="classification", train_file=train, label_range=[1.0, 5.0])


def test_a_dataset_names_its_classes(tmp_path):
    kinds = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos", "mixed"])})
    (tmp_path / "data").mkdir()
    for split, found in (("train", [1, 0, -1, 1]), ("test", [0, 1])):
        columns = {"text": [f"{split} {row}" for row in range(len(found))], "label": found}
        Dataset.from_dict(columns, features=kinds).to_parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    name = str(tmp_path)
    assert failure(task="classification", dataset_name=name) == (
        f"{name}, split train, row 3: the label is null; the name of a class is needed"
    )
    splits = load("classification", dataset_name=name, on_bad_row="drop")
    assert splits.label_names == ["neg", "pos", "mixed"] and splits.dropped == {"train": {"label is null": 1}}
    assert classes(splits) == {"train": ["pos", "neg", "pos"], "test": ["neg", "pos"]}
    by_map = load("classification", dataset_name=name, on_bad_row="drop", label_map=["pos=0", "neg=1"])
    assert by_map.label_names == ["pos", "neg"] and classes(by_map) == classes(splits)
    ratings = load(dataset_name=name, on_bad_row="drop", label_map=["neg=-2", "pos=2"])
    assert labels(ratings) == [2.0, -2.0, 2.0]
    assert labels(load(dataset_name=name)) == [1.0, 0.0, -1.0, 1.0]  # as numbers they are what they are
