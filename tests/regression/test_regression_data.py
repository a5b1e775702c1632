import json

import pytest
from datasets import Dataset

from hf_xling.errors import InputError
from hf_xling.regression.config import RegressionScriptArguments
from hf_xling.regression.data import load_splits


def write(path, rows, header="text,label"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def load(folder, **fields):
    return load_splits(RegressionScriptArguments(model_name_or_path="m", **fields))


def test_three_files_with_their_own_columns(tmp_path):
    train = write(tmp_path / "train.csv", ["4.5,நல்ல படம்,a7", '1,"bad, bad",b2'], "stars,review,id")
    test = tmp_path / "test.jsonl"
    test.write_text('{"review": "so so", "stars": 2.25}\n', encoding="utf-8")
    splits = load(tmp_path, train_file=str(train), test_file=str(test), text_column="review", label_column="stars")
    assert list(splits) == ["train", "test"]
    assert splits["train"].to_list() == [
        {"id": "a7", "text": "நல்ல படம்", "label": 4.5},
        {"id": "b2", "text": "bad, bad", "label": 1.0},
    ]
    assert splits["test"].to_list() == [{"id": "1", "text": "so so", "label": 2.25}]


def test_named_labels_become_numbers(tmp_path):
    train = write(tmp_path / "train.csv", ["good,Happy", "bad,Sad", "a=b,so=so"])
    splits = load(tmp_path, train_file=str(train), label_map=["Sad=0", "Happy=1", "so=so=0.5"])
    assert splits["train"]["label"][:] == [1.0, 0.0, 0.5]
    rows = [json.dumps({"text": "good", "label": 1}), json.dumps({"text": "bad", "label": 0})]
    (tmp_path / "train.jsonl").write_text("\n".join(rows), encoding="utf-8")
    splits = load(tmp_path, train_file=str(tmp_path / "train.jsonl"), label_map=["0=-1", "1=2"])
    assert splits["train"]["label"][:] == [2.0, -1.0]


@pytest.mark.parametrize("layout", ["flat", "data"])
def test_splits_of_a_dataset_folder_stay_apart(tmp_path, layout):
    """A folder of Parquet files, named by split as `push_to_hub` does."""
    folder = tmp_path / "ratings" if layout == "flat" else tmp_path / "ratings" / "data"
    folder.mkdir(parents=True)
    for split, labels in (("train", [1.0, 2.0, 3.0]), ("test", [4.0])):
        rows = Dataset.from_dict({"text": [f"{split} {label}" for label in labels], "label": labels})
        rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    splits = load(tmp_path, dataset_name=str(tmp_path / "ratings"))
    assert {name: rows["label"][:] for name, rows in splits.items()} == {"train": [1.0, 2.0, 3.0], "test": [4.0]}
    Dataset.from_dict({"text": ["v"], "label": [9.0]}).to_parquet(folder / "validation-00000-of-00001.parquet")
    assert load(tmp_path, dataset_name=str(tmp_path / "ratings"))["validation"]["label"][:] == [9.0]


def test_a_dataset_folder_without_a_test_split_is_refused(tmp_path):
    (tmp_path / "ratings").mkdir()
    Dataset.from_dict({"text": ["a"], "label": [1.0]}).to_parquet(tmp_path / "ratings" / "part-00000.parquet")
    with pytest.raises(InputError, match="ratings"):
        load(tmp_path, dataset_name=str(tmp_path / "ratings"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["good,1", "bad,"], r"train.csv, row 2 \(line 3\): the label is null; a number is needed"),
        (["good,1", '"two\nlines",2', "bad,many"], r"row 3 \(line 5\): the label is 'many'; a number is needed"),
        (["good,inf"], r"row 1 \(line 2\): the label is 'inf'; a finite number is needed"),
        (["good,nan"], r"row 1 \(line 2\): the label is 'nan'; a finite number is needed"),
        (["good,1e999"], r"row 1 \(line 2\): the label is '1e999'; a finite number is needed"),
        (["good,1", ",2"], r"row 2 \(line 3\): the text is null"),
        (["good,1", "  ,2"], r"row 2 \(line 3\): the text is empty"),
        ([], r"train.csv: is empty; at least one row of data is needed"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, train_file=str(write(tmp_path / "train.csv", rows)))


@pytest.mark.parametrize("value", [None, "x", [1.0], {"stars": 1}, float("inf")])
def test_labels_of_json_are_checked_too(tmp_path, value):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a", "label": 1}\n\n' + json.dumps({"text": "b", "label": value}), encoding="utf-8")
    with pytest.raises(InputError, match=r"train.jsonl, row 2 \(line 3\): the label is .* number is needed"):
        load(tmp_path, train_file=str(path))


def test_files_and_columns_that_are_missing_are_named(tmp_path):
    train = write(tmp_path / "train.csv", ["good,1"])
    with pytest.raises(InputError, match=r"nowhere.csv: no such file"):
        load(tmp_path, train_file=str(tmp_path / "nowhere.csv"))
    with pytest.raises(InputError, match=r"gone.csv: no such file"):
        load(tmp_path, train_file=str(train), test_file=str(tmp_path / "gone.csv"))
    with pytest.raises(InputError, match="has no column `review`; its columns are text, label"):
        load(tmp_path, train_file=str(train), text_column="review")
    with pytest.raises(InputError, match="has no column `stars`; its columns are text, label"):
        load(tmp_path, train_file=str(train), label_column="stars")
    (tmp_path / "nothing.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"nothing.csv: is empty"):
        load(tmp_path, train_file=str(tmp_path / "nothing.csv"))


def test_a_name_outside_the_label_map_is_named(tmp_path):
    train = write(tmp_path / "train.csv", ["good,Happy", "bad,Angry"])
    with pytest.raises(InputError, match=r"row 2 \(line 3\): the label is 'Angry'; --label_map has Sad, Happy"):
        load(tmp_path, train_file=str(train), label_map=["Sad=0", "Happy=1"])


@pytest.mark.parametrize("item", ["Happy", "Happy=", "Happy=much", "=1", "Happy=nan", "Happy=inf"])
def test_a_label_map_needs_names_and_finite_numbers(item):
    with pytest.raises(InputError, match=f"--label_map {item}: NAME=NUMBER is needed"):
        RegressionScriptArguments(model_name_or_path="m", train_file="t.csv", label_map=["Sad=0", item])


def test_a_label_map_names_each_label_once():
    with pytest.raises(InputError, match="--label_map: `Sad` stands twice"):
        RegressionScriptArguments(model_name_or_path="m", train_file="t.csv", label_map=["Sad=0", "Sad=1"])


def test_script_arguments_that_contradict_each_other_are_refused():
    with pytest.raises(InputError, match="one of --dataset_name and --train_file is needed"):
        RegressionScriptArguments(model_name_or_path="m")
    with pytest.raises(InputError, match="one of --dataset_name and --train_file is needed"):
        RegressionScriptArguments(model_name_or_path="m", dataset_name="d", train_file="t.csv")
    with pytest.raises(InputError, match="--seeds: a seed stands twice"):
        RegressionScriptArguments(model_name_or_path="m", train_file="t.csv", seeds=[1, 2, 1])


@pytest.mark.parametrize("name", ["validation_file", "test_file"])
def test_files_beside_a_dataset_are_not_left_out_silently(name):
    with pytest.raises(InputError, match=f"--{name}: goes with --train_file"):
        RegressionScriptArguments(model_name_or_path="m", dataset_name="d", **{name: "t.csv"})
