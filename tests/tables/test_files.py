"""Folders of tables: what is read of them, what is left out and said, and what is refused."""

import os
import shutil

import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_xling.errors import InputError
from hf_xling.tables import named_splits, read_table, split_names


def parquet(path, values, kind=None, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table({"text": pyarrow.array(values, kind), **columns})
    pyarrow.parquet.write_table(table, path)
    return path


def refused(source, **options):
    with pytest.raises(InputError) as caught:
        read_table(source, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).removeprefix(str(source))


NAMES = ["plain", "a[1]", "what?", "all*", "{x}", "a::b", "தமிழ் இடம்", "100%", "[", "**"]


@pytest.mark.parametrize("kind", ["parquet", "csv", "splits", "card"])
@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_folder_and_its_files(tmp_path, name, kind):
    folder = tmp_path / name / "x" / name
    folder.mkdir(parents=True)
    if kind == "parquet":
        for part in range(2):
            parquet(folder / f"{name} part-{part}.parquet", [str(part)])
    elif kind == "csv":
        for part in range(2):
            (folder / f"{name}-{part}.csv").write_text(f"text\n{part}\n")
    elif kind == "splits":
        (folder / f"{name}-train.csv").write_text("text\n0\n1\n")
        (folder / f"{name}-test.csv").write_text("text\n2\n")
    else:
        parquet(folder / "data" / "a.parquet", ["0", "1"])
        (folder / "README.md").write_text(
            "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/*.parquet\n---\n"
        )
    assert read_table(folder).columns["text"] == ["0", "1"]
    assert split_names(str(folder)) == {"splits": ["train", "test"], "card": ["train"]}.get(kind)


@pytest.mark.parametrize(
    "junk", ["._part-0.parquet", ".DS_Store", "_SUCCESS", ".part-0.parquet.crc", "_metadata", "~$a.csv"]
)
@pytest.mark.parametrize("name", ["part-0.parquet", "train-0.parquet", "data/part-0.parquet"])
def test_hidden_files_are_no_tables(tmp_path, junk, name):
    path = parquet(tmp_path / name, ["a"])
    (path.parent / junk).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "x.parquet").write_bytes(b"\0\5\x16\7")
    assert read_table(tmp_path).columns == {"text": ["a"]}


@pytest.mark.parametrize("other", ["b.jsonl", "b.csv", "b.tsv", "b.jsonl.gz"])
def test_tables_of_two_kinds_are_both_named(tmp_path, other):
    parquet(tmp_path / "a.parquet", ["a"])
    (tmp_path / other).write_text('{"text": "b"}\n')
    assert refused(tmp_path).startswith(f": holds tables of several kinds, a.parquet and {other}")


def test_kinds_may_differ_from_split_to_split(tmp_path):
    (tmp_path / "train.csv").write_text("text\na\n")
    (tmp_path / "test.jsonl").write_text('{"text": "b"}\n')
    assert [read_table(tmp_path, split=split).columns["text"] for split in ("train", "test")] == [["a"], ["b"]]
    (tmp_path / "train.jsonl").write_text('{"text": "c"}\n')
    assert "train.csv and train.jsonl" in refused(tmp_path)


def test_a_table_that_is_there_packed_and_unpacked_is_not_read_twice(tmp_path):
    for name in ("a.csv", "a.csv.gz"):
        (tmp_path / name).write_text("text\na\n")
    assert refused(tmp_path) == ": has one table twice, a.csv and a.csv.gz; leave one of them"


def test_what_is_left_out_is_said(tmp_path, capsys):
    parquet(tmp_path / "train.parquet", ["a"])
    for name in ("more.parquet", "old/train.parquet"):
        parquet(tmp_path / name, ["b"])
    for name in ("notes.txt", "README.txt", "LICENSE", "stats.json", "sheet.xlsx", "picture.png"):
        (tmp_path / name).write_text("x")
    assert read_table(tmp_path).columns == {"text": ["a"]}
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"{tmp_path}: more.parquet, notes.txt, old/train.parquet and 2 more left out; what is read is train.parquet"
    )
    read_table(tmp_path)
    assert capsys.readouterr().err == ""  # once is enough


def test_text_parts_join_as_one_table(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,1\nb,2\n")
    (tmp_path / "b.CSV").write_text("label,text\n3,c\n")
    table = read_table(tmp_path)
    assert table.columns == {"text": ["a", "b", "c"], "label": ["1", "2", "3"]} and table.where(2).endswith(", row 3")
    (tmp_path / "c.csv").write_text("text\nd\n")
    assert refused(tmp_path).endswith("c.csv: has the columns text; the files before it have text, label")
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "b.ndjson").write_text('{"text": "b", "label": 1}\n{}\n')
    assert read_table(tmp_path).columns == {"text": ["a", "b", None], "label": [None, 1, None]}


def test_a_csv_means_the_same_in_a_folder(tmp_path):
    content = 'text,label\nNA,3_5\n"null",007\nnan,1e400\n'
    (tmp_path / "train.csv").write_text(content)
    assert read_table(tmp_path).columns == read_table(tmp_path / "train.csv").columns


SHARDS = {
    "null": (pyarrow.null(), [None]),
    "string": (pyarrow.string(), ["a"]),
    "large": (pyarrow.large_string(), ["a"]),
    "view": (pyarrow.string_view(), ["a"]),
    "dictionary": (pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), ["a"]),
    "large dictionary": (pyarrow.dictionary(pyarrow.int8(), pyarrow.large_string()), ["a"]),
}


@pytest.mark.parametrize("second", SHARDS)
@pytest.mark.parametrize("first", SHARDS)
def test_parquet_shards_of_types_that_can_be_one(tmp_path, first, second):
    for part, name in enumerate((first, second)):
        kind, values = SHARDS[name]
        if name.endswith("dictionary"):
            values = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0], kind.index_type), pyarrow.array(["a"]))
            kind = None
        parquet(tmp_path / f"part-{part}.parquet", values, kind)
    assert read_table(tmp_path).columns["text"] == [*SHARDS[first][1], *SHARDS[second][1]]


def test_parquet_shards_of_numbers_and_of_other_orders(tmp_path):
    kinds = (pyarrow.int32(), pyarrow.int64(), pyarrow.float64(), pyarrow.null())
    for part, kind in enumerate(kinds):
        label = pyarrow.array([None if kind == pyarrow.null() else part], kind)
        table = pyarrow.table({"text": [str(part)], "label": label})
        table = table.select(["label", "text"]) if part % 2 else table
        pyarrow.parquet.write_table(table, tmp_path / f"part-{part}.parquet")
    columns = read_table(tmp_path).columns
    assert columns == {"text": ["0", "1", "2", "3"], "label": [0.0, 1.0, 2.0, None]}
    assert list(map(type, columns["label"][:3])) == [float] * 3  # of one kind, whichever part they stand in


def test_parquet_shards_that_differ_are_named(tmp_path):
    parquet(tmp_path / "0.parquet", ["a"], label=[1])
    parquet(tmp_path / "1.parquet", ["a"])
    said = ": its Parquet files have different columns: 1.parquet has text; those before it have text, label"
    assert refused(tmp_path) == said
    parquet(tmp_path / "1.parquet", ["a"], label=["one"])
    assert "different columns: 1.parquet: " in refused(tmp_path) and "label" in refused(tmp_path)


def test_names_of_classes_are_read_from_a_file_as_from_a_dataset(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features).to_parquet(tmp_path / "a.parquet")
    for source in (tmp_path, tmp_path / "a.parquet"):
        assert read_table(source).class_names == {"label": ["neg", "pos"]}


def test_splits_by_names_of_folders_and_files(tmp_path):
    for name in ("train/part-0.csv", "train/part-1.csv", "Dev/a.csv", "testing/x.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text\n{name}\n")
    assert split_names(str(tmp_path)) == ["train", "validation", "test"]
    assert read_table(tmp_path).columns["text"] == ["train/part-0.csv", "train/part-1.csv"]
    assert read_table(tmp_path, split="validation").columns["text"] == ["Dev/a.csv"]
    assert "has no split `unseen`; its splits are " in refused(tmp_path, split="unseen")


def test_what_is_no_dataset_has_no_splits_and_configs(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\na\n")
    for source in (path, tmp_path):
        assert refused(source, split="test") == ": has no splits, and so no split `test`"
        assert "has no configs; --dataset_config x goes with" in refused(source, config="x")
        assert split_names(str(source)) is None and named_splits(str(source)) is None


def test_of_folders_that_datasets_saved_none_is_a_raw_error(tmp_path):
    rows = Dataset.from_dict({"text": ["a"]})
    DatasetDict({"train": rows}).save_to_disk(tmp_path / "several")
    assert read_table(tmp_path / "several").columns == {"text": ["a"]}
    rows.save_to_disk(tmp_path / "one")
    assert ": cannot be loaded as a dataset (" in refused(tmp_path / "one")


def test_a_damaged_card_and_a_folder_of_nothing_are_one_line(tmp_path):
    (tmp_path / "README.md").write_text("---\nconfigs: [\n---\n")
    parquet(tmp_path / "a.parquet", ["a"])
    assert ": cannot be loaded as a dataset (" in refused(tmp_path)
    (tmp_path / "empty").mkdir()
    assert ": cannot be loaded as a dataset (" in refused(tmp_path / "empty")


@pytest.mark.parametrize("name", [b"caf\xe9.csv", b"caf\xe9"])
def test_a_name_that_is_not_utf_8_is_said_in_utf_8(tmp_path, name):
    source = os.path.join(os.fsencode(tmp_path), name)
    if name.endswith(b".csv"):
        with open(source, "w") as stream:
            stream.write("text\na\n")
    else:
        os.mkdir(source)
    sources = [os.fsdecode(source)] + ([str(tmp_path)] if name.endswith(b".csv") else [])
    for each in sources:
        with pytest.raises(InputError, match=r"caf\\xe9.*: its name is not UTF-8; rename it") as caught:
            read_table(each)
        str(caught.value).encode()
