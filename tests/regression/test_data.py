"""Rated texts and texts with classes: which rows are read, and which are named or dropped."""

import csv
import json

import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from rated_rows import failure, labels, load, write

from hf_xling.errors import InputError
from hf_xling.regression.config import RegressionScriptArguments

SPLITS = ("train", "validation", "test")


def test_three_files_with_their_own_columns(tmp_path):
    train = write(tmp_path / "train.csv", ["4.5,நல்ல படம்,a7", '1,"bad, bad",b2'], "stars,review,id")
    test = tmp_path / "test.jsonl"
    test.write_text('{"review": "so so", "stars": 2.25}\n', encoding="utf-8")
    splits = load(train_file=train, test_file=test, text_column="review", label_column="stars")
    assert list(splits.datasets) == ["train", "test"] and splits.label_names is None and splits.dropped == {}
    assert splits.datasets["train"].to_list() == [
        {"id": "a7", "text": "நல்ல படம்", "label": 4.5},
        {"id": "b2", "text": "bad, bad", "label": 1.0},
    ]
    assert splits.datasets["test"].to_list() == [{"id": "1", "text": "so so", "label": 2.25}]
    kinds = {"id": Value("string"), "text": Value("string"), "label": Value("float64")}
    assert all(part.features == kinds for part in splits.datasets.values())


def test_a_row_without_an_id_is_called_by_its_number(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": 1, "id": 77}\n{"text": "b", "label": 2}\n', "utf-8")
    assert load(train_file=tmp_path / "train.jsonl").datasets["train"]["id"][:] == ["77", "2"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_line_breaks_in_fields_and_byte_order_marks(tmp_path, kind, mark):
    rows = [("இரண்டு\nவரிகள்", 1.5), ('a "quoted", text\r\n\r\nof\tthree', 2.0), ("one", 3.25)]
    path = tmp_path / f"train.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(
            pyarrow.table(dict(zip(("text", "label"), zip(*rows, strict=True), strict=True))), path
        )
    elif kind == "jsonl":
        path.write_text(mark + "".join(json.dumps({"text": t, "label": x}) + "\n" for t, x in rows), "utf-8")
    else:
        with open(path, "w", encoding="utf-8", newline="") as stream:
            stream.write(mark)
            csv.writer(stream, delimiter="\t" if kind == "tsv" else ",").writerows([("text", "label"), *rows])
    train = load(train_file=path).datasets["train"]
    assert list(zip(train["text"], train["label"], strict=True)) == rows
    line = " (line 4)" if kind in ("csv", "tsv") else ""
    message = f"{path}, row 2{line}: the label is 2.0; --label_range allows 1.5 to 1.75"
    assert failure(train_file=path, label_range=[1.5, 1.75]) == message


def test_named_labels_become_numbers(tmp_path):
    train = write(tmp_path / "train.csv", ["good,Happy", "bad,Sad", "a=b,so=so"])
    splits = load(train_file=train, label_map=["Sad=0", "Happy=1", "so=so=0.5"])
    assert labels(splits) == [1.0, 0.0, 0.5]
    rows = [json.dumps({"text": "good", "label": 1}), json.dumps({"text": "bad", "label": 0})]
    (tmp_path / "train.jsonl").write_text("\n".join(rows), encoding="utf-8")
    splits = load(train_file=str(tmp_path / "train.jsonl"), label_map=["0=-1", "1=2"])
    assert labels(splits) == [2.0, -1.0]


@pytest.mark.parametrize("layout", ["flat", "data"])
def test_splits_of_a_dataset_folder_stay_apart(tmp_path, layout):
    """A folder of Parquet files, named by split as `push_to_hub` does."""
    folder = tmp_path / "ratings" if layout == "flat" else tmp_path / "ratings" / "data"
    folder.mkdir(parents=True)
    for split, ratings in (("train", [1.0, 2.0, 3.0]), ("test", [4.0])):
        rows = Dataset.from_dict({"text": [f"{split} {rating}" for rating in ratings], "label": ratings})
        rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    splits = load(dataset_name=str(tmp_path / "ratings"))
    assert {name: labels(splits, name) for name in splits.datasets} == {"train": [1.0, 2.0, 3.0], "test": [4.0]}
    Dataset.from_dict({"text": ["v"], "label": [9.0]}).to_parquet(folder / "validation-00000-of-00001.parquet")
    assert labels(load(dataset_name=str(tmp_path / "ratings")), "validation") == [9.0]
    Dataset.from_dict({"text": ["v"], "label": [None]}).to_parquet(folder / "validation-00000-of-00001.parquet")
    assert "ratings, split validation, row 1: the label is null" in failure(dataset_name=str(tmp_path / "ratings"))


def test_a_dataset_folder_without_a_test_split_is_refused(tmp_path):
    (tmp_path / "ratings").mkdir()
    Dataset.from_dict({"text": ["a"], "label": [1.0]}).to_parquet(tmp_path / "ratings" / "part-00000.parquet")
    assert "ratings" in failure(dataset_name=str(tmp_path / "ratings"))
    folds = load(dataset_name=str(tmp_path / "ratings"), folds=2)  # these make tests of the training split
    assert list(folds.datasets) == ["train"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["good,1", "bad,"], r"train.csv, row 2 \(line 3\): the label is null; a number is needed"),
        (["good,1", '"two\nlines",2', "bad,many"], r"row 3 \(line 5\): the label is 'many'; a number is needed"),
        (["good,inf"], r"row 1 \(line 2\): the label is 'inf'; a finite number is needed"),
        (["good,nan"], r"row 1 \(line 2\): the label is 'nan'; a finite number is needed"),
        (["good,1e999"], r"row 1 \(line 2\): the label is '1e999'; a finite number is needed"),
        (["good,1", ",2"], r"row 2 \(line 3\): the text is null"),
        (["good,1", "  ,2"], r"row 2 \(line 3\): the text is empty$"),
        ([], r"train.csv: is empty; at least one row of data is needed"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        load(train_file=str(write(tmp_path / "train.csv", rows)))


@pytest.mark.parametrize("value", [None, "x", [1.0], {"stars": 1}, float("inf"), 10**400])
def test_labels_of_json_are_checked_too(tmp_path, value):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a", "label": 1}\n\n' + json.dumps({"text": "b", "label": value}), encoding="utf-8")
    with pytest.raises(InputError, match=r"train.jsonl, row 2 \(line 3\): the label is .* number is needed"):
        load(train_file=str(path))


def test_files_and_columns_that_are_missing_are_named(tmp_path):
    train = write(tmp_path / "train.csv", ["good,1"])
    with pytest.raises(InputError, match=r"nowhere.csv: no such file"):
        load(train_file=str(tmp_path / "nowhere.csv"))
    with pytest.raises(InputError, match=r"gone.csv: no such file"):
        load(train_file=train, test_file=str(tmp_path / "gone.csv"))
    with pytest.raises(InputError, match="has no column `review`; its columns are text, label"):
        load(train_file=train, text_column="review")
    with pytest.raises(InputError, match="has no column `stars`; its columns are text, label"):
        load(train_file=train, label_column="stars")
    (tmp_path / "nothing.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"nothing.csv: is empty"):
        load(train_file=str(tmp_path / "nothing.csv"))


def test_a_name_outside_the_label_map_is_named(tmp_path):
    train = write(tmp_path / "train.csv", ["good,Happy", "bad,Angry"])
    with pytest.raises(InputError, match=r"row 2 \(line 3\): the label is 'Angry'; --label_map has Sad, Happy"):
        load(train_file=train, label_map=["Sad=0", "Happy=1"])


@pytest.mark.parametrize("text", ["1", '"  "', "null", "[]"])
def test_texts_of_json_are_checked_too(tmp_path, text):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a", "label": 1}\n\n{"label": 2, "text": ' + text + "}", encoding="utf-8")
    assert f"{path}, row 2 (line 3): the text is " in failure(train_file=path)


# Bad rows


def test_labels_out_of_range_are_named_and_its_ends_are_in_it(tmp_path):
    train = write(tmp_path / "train.csv", ["a,1", "b,5", "c,5.01"])
    message = f"{train}, row 3 (line 4): the label is 5.01; --label_range allows 1.0 to 5.0"
    assert failure(train_file=train, label_range=[1.0, 5.0]) == message
    assert labels(load(train_file=train, label_range=[1.0, 5.0], on_bad_row="drop")) == [1.0, 5.0]
    train = write(tmp_path / "train.csv", ["a,Sad", "b,Happy"])
    assert "row 2 (line 3): the label is 9.0" in failure(
        train_file=train, label_map=["Sad=0", "Happy=9"], label_range=[0.0, 1.0]
    )


def test_a_text_with_two_labels_names_both_rows(tmp_path):
    rows = ["other,1", "x,1", '"same\ntext",2', "y,1", "z,1", "q,1", '"same\ntext",4']
    train = write(tmp_path / "train.csv", rows)
    message = f"{train}, row 7 (line 9): the text is in row 3 (line 4) with label 2.0, here with 4.0"
    assert failure(train_file=train) == message
    dropped = load(train_file=train, on_bad_row="drop")
    assert labels(dropped) == [1.0, 1.0, 2.0, 1.0, 1.0, 1.0]
    assert dropped.dropped == {"train": {"another label for the same text": 1}}


def test_a_text_with_one_label_may_stand_twice_and_in_two_splits_with_two(tmp_path):
    train = write(tmp_path / "train.csv", ["same,2", "same,2.0", "same.,3"])
    test = write(tmp_path / "test.csv", ["same,4"])
    splits = load(train_file=train, test_file=test)
    assert labels(splits) == [2.0, 2.0, 3.0] and labels(splits, "test") == [4.0]


def test_texts_that_are_one_when_cleaned_contradict_each_other(tmp_path):
    train = write(tmp_path / "train.csv", ["good &amp; bad,2", "good & bad,3"])
    assert labels(load(train_file=train)) == [2.0, 3.0]
    assert "row 2 (line 3): the text is in row 1 (line 2) with label 2.0" in failure(train_file=train, clean=True)


@pytest.mark.parametrize(
    "other", ["GOOD film", "good film ", "good\u200b film", "ｇｏｏｄ film", "good\u00a0film\ufeff"]
)
def test_texts_that_read_alike_contradict_each_other(tmp_path, other):
    train = write(tmp_path / "train.csv", ["good film,2", f"{other},3", "good film,2", f"{other},2"])
    assert "row 2 (line 3): the text is in row 1 (line 2) with label 2.0, here with 3.0" in failure(train_file=train)
    splits = load(train_file=train, on_bad_row="drop")
    assert splits.datasets["train"]["text"][:] == ["good film", "good film", other]


@pytest.mark.parametrize(
    "text", ["\u200b", "\u200d", "\u3164", "\ufeff\ufeff", "\u2800", "\u00ad \u2060", "\U000e0020"]
)
@pytest.mark.parametrize("clean", [False, True])
def test_a_text_of_which_nothing_is_seen_is_empty(tmp_path, text, clean):
    train = write(tmp_path / "train.csv", ["a,1", f"{text},2"])
    assert "row 2 (line 3): the text is empty" in failure(train_file=train, clean=clean)
    splits = load(train_file=train, clean=clean, on_bad_row="drop")
    assert splits.dropped == {"train": {"text is empty": 1}}


def test_texts_are_cleaned_in_all_splits_and_only_when_asked(tmp_path):
    files = {f"{split}_file": write(tmp_path / f"{split}.csv", ["a<NEWLINE>b &lt;3,1"]) for split in SPLITS}
    assert [load(**files).datasets[split]["text"][0] for split in SPLITS] == ["a<NEWLINE>b &lt;3"] * 3
    assert [load(clean=True, **files).datasets[split]["text"][0] for split in SPLITS] == ["a\nb <3"] * 3


def test_a_text_that_cleaning_empties_is_a_bad_row(tmp_path):
    train = write(tmp_path / "train.csv", ["a,1", "<br>&nbsp;,2"])
    assert failure(train_file=train, clean=True).endswith("row 2 (line 3): the text is empty after cleaning")
    assert load(train_file=train, clean=True, on_bad_row="drop").dropped == {"train": {"text is empty": 1}}
    assert labels(load(train_file=train)) == [1.0, 2.0]


def test_bad_rows_are_left_out_and_counted_by_reason(tmp_path):
    rows = ["keep,1", ",2", '"  ",2', "a,", "b,many", "c,inf", "d,nan", "e,9", "keep,2", "keep,1", "last,3", ",", "f,"]
    train, test = write(tmp_path / "train.csv", rows), tmp_path / "test.jsonl"
    test.write_text('{"text": "t", "label": 2}\n{"text": 5, "label": 2}\n', "utf-8")
    validation = write(tmp_path / "validation.csv", ["v,1"])
    splits = load(
        train_file=train, validation_file=validation, test_file=test, on_bad_row="drop", label_range=[1.0, 5.0]
    )
    assert splits.dropped == {
        "train": {
            "text is null": 2,
            "text is empty": 1,
            "label is null": 2,
            "label is not a number": 1,
            "label is not finite": 2,
            "label out of range": 1,
            "another label for the same text": 1,
        },
        "test": {"text is not a string": 1},
    }
    assert splits.datasets["train"].to_list() == [
        {"id": "1", "text": "keep", "label": 1.0},
        {"id": "10", "text": "keep", "label": 1.0},
        {"id": "11", "text": "last", "label": 3.0},
    ]
    assert len(splits.datasets["test"]) == 1


def test_a_split_with_nothing_but_bad_rows_is_refused(tmp_path):
    train = write(tmp_path / "train.csv", ["a,1"])
    test = write(tmp_path / "test.csv", ["a,", ",1", "b,"])
    message = f"{test}: every row was dropped (label is null: 2, text is null: 1); at least one good row is needed"
    assert failure(train_file=train, test_file=test, on_bad_row="drop") == message


def test_files_and_columns_are_no_rows_to_drop(tmp_path):
    train = write(tmp_path / "train.csv", ["a,1"])
    assert "has no column `stars`" in failure(train_file=train, label_column="stars", on_bad_row="drop")
    assert "is empty" in failure(train_file=write(tmp_path / "none.csv", []), on_bad_row="drop")


# The arguments


@pytest.mark.parametrize("item", ["Happy", "Happy=", "Happy=much", "=1", "Happy=nan", "Happy=inf"])
def test_a_label_map_needs_names_and_finite_numbers(item):
    with pytest.raises(InputError, match=f"--label_map {item}: NAME=NUMBER is needed"):
        RegressionScriptArguments(model_name_or_path="m", train_file="t.csv", label_map=["Sad=0", item])


def test_a_label_map_names_each_label_once():
    with pytest.raises(InputError, match="--label_map: `Sad` is given twice"):
        RegressionScriptArguments(model_name_or_path="m", train_file="t.csv", label_map=["Sad=0", "Sad=1"])


def test_script_arguments_that_contradict_each_other_are_refused():
    with pytest.raises(InputError, match="one of --dataset_name and --train_file is needed"):
        RegressionScriptArguments(model_name_or_path="m")
    with pytest.raises(InputError, match="one of --dataset_name and --train_file is needed"):
        RegressionScriptArguments(model_name_or_path="m", dataset_name="d", train_file="t.csv")
    with pytest.raises(InputError, match="--seeds: a seed is given twice"):
        RegressionScriptArguments(model_name_or_path="m", train_file="t.csv", seeds=[1, 2, 1])


@pytest.mark.parametrize("name", ["validation_file", "test_file"])
def test_files_beside_a_dataset_are_not_left_out_silently(name):
    with pytest.raises(InputError, match=f"--{name}: goes with --train_file"):
        RegressionScriptArguments(model_name_or_path="m", dataset_name="d", **{name: "t.csv"})


def test_of_files_that_are_datasets_with_splits_each_is_read_for_what_it_is_given(tmp_path, capsys):
    (tmp_path / "rated").mkdir()
    for number, split in enumerate(SPLITS):
        table = pyarrow.table({"text": [split], "label": [float(number)]})
        pyarrow.parquet.write_table(table, tmp_path / "rated" / f"{split}.parquet")
    splits = load(**{f"{split}_file": tmp_path / "rated" for split in SPLITS})
    assert [splits.datasets[split]["text"] for split in SPLITS] == [["train"], ["validation"], ["test"]]
    assert [corpus.split for corpus in splits.corpora] == [None, "validation", "test"]
    assert capsys.readouterr().err == ""
    load(train_file=tmp_path / "rated")
    told = f"{tmp_path / 'rated'}: its train split alone is read, not validation and test; --dataset_name "
    assert told in capsys.readouterr().err
    (tmp_path / "rated" / "test.parquet").unlink()
    splits = load(train_file=tmp_path / "rated", test_file=tmp_path / "rated")
    assert splits.datasets["test"]["text"] == ["train"] and splits.corpora[1].split == "train"


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
        "row 3: the text is in row 1 with label x, here with y"
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
    assert labels(load(dataset_name=name, on_bad_row="drop")) == [1.0, 0.0, 1.0]  # as numbers they are what they are
    assert failure(dataset_name=name).endswith("split train, row 3: the label is null; a number is needed")
