"""`stream_table`: the rows of `read_table`, block by block."""

import csv
import gc
import io
import json
import tracemalloc
from itertools import islice
from random import Random

import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.tables import SUFFIXES, read_table, stream_table

KINDS = (*SUFFIXES, "folder")
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=8)
ROWS = st.lists(st.fixed_dictionaries({"text": VALUES}, optional={"label": VALUES, "id": VALUES}), max_size=12)


def write(folder, kind, rows, parts=(5,), group=2):
    """`rows` as a file of this kind, or as a folder of Parquet whose parts have these lengths (the last: the rest)."""
    path = folder / f"a{kind}"
    if kind == ".txt":
        path.write_bytes("".join(row["text"].replace("\n", " ") + "\n" for row in rows).encode())
    elif kind in (".csv", ".tsv"):
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, ["text", "label", "id"], dialect="excel" if kind == ".csv" else "excel-tab")
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(b"\xef\xbb\xbf" + stream.getvalue().encode())
    elif kind == ".jsonl":
        path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n\n" for row in rows).encode())
    else:
        schema = pyarrow.schema([(name, pyarrow.string()) for name in ("text", "label", "id")])
        path = folder / ("a.parquet" if kind == ".parquet" else "parts")
        if kind == ".parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path, row_group_size=group)
        else:
            path.mkdir()
            for part, length in enumerate([*parts, len(rows)]):
                table = pyarrow.Table.from_pylist(rows[:length], schema)
                pyarrow.parquet.write_table(table, path / f"part-{part}.parquet", row_group_size=group)
                rows = rows[length:]
    return path


def rows_of(table):
    """The rows as (values that are there, name in messages)."""
    return [
        ({name: values[row] for name, values in table.columns.items() if values[row] is not None}, table.where(row))
        for row in range(len(table))
    ]


@pytest.mark.parametrize("kind", KINDS)
@given(rows=ROWS, size=st.integers(1, 5), parts=st.lists(st.integers(0, 4), max_size=3), group=st.integers(1, 4))
def test_blocks_are_the_table_cut(tmp_path_factory, kind, rows, size, parts, group):
    path = write(tmp_path_factory.mktemp("rows"), kind, rows, parts, group)
    whole, blocks = read_table(path), list(stream_table(path, size))
    assert [row for block in blocks for row in rows_of(block)] == rows_of(whole)
    assert set(blocks[-1].columns) == set(whole.columns)
    assert len(blocks) == 1 or all(1 <= len(block) <= size for block in blocks)
    assert [block.start for block in blocks] == [sum(map(len, blocks[:number])) for number in range(len(blocks))]
    if kind != ".txt":
        assert [values for values, _ in rows_of(whole)] == rows
    if kind in (".txt", ".csv", ".tsv", ".jsonl"):
        assert [len(block) for block in blocks[:-1]] == [size] * (len(blocks) - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_more_rows_than_a_block_of_its_own_make_one_table(tmp_path, kind):
    rows = [{"text": f"text {number}"} for number in range(10_000)]
    rows[9_000]["label"] = "late"
    table = read_table(write(tmp_path, kind, rows, parts=(3_000, 0)))
    assert table.columns["text"] == [row["text"] for row in rows] and table.start == 0
    assert table.where(9_999).startswith(f"{table.name}, row 10000")
    if kind != ".txt":
        assert table.columns["label"] == [None] * 9_000 + ["late"] + [None] * 999


def test_rows_are_named_within_the_whole_file(tmp_path):
    (tmp_path / "a.csv").write_text('text\n"one\nline"\ntwo\n\nthree\n', "utf-8")
    *_, last = stream_table(tmp_path / "a.csv", 2)
    assert last.start == 2 and last.where(0) == f"{tmp_path}/a.csv, row 3 (line 6)" and last.row(0) == "row 3 (line 6)"
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2}\n\n{"a": 3}\n', "utf-8")
    _, second, third = stream_table(tmp_path / "a.jsonl", 1)
    assert second.row(0) == "row 2" and third.row(0) == "row 3 (line 4)"


def test_a_source_without_rows_is_one_empty_block(tmp_path):
    for kind in KINDS:
        (block,) = stream_table(write(tmp_path, kind, []))
        assert len(block) == 0 and (kind == ".jsonl" or block.column("text") == [])
        with pytest.raises(InputError, match="is empty; at least one row"):
            block.require_rows()


# Columns of JSONL, which come and go


def test_a_column_once_seen_is_in_all_later_blocks(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"b": 2}\n{"c": 3}\n{"a": 4}\n', "utf-8")
    first, second = stream_table(path, 2)
    assert first.columns == {"a": [1, None], "b": [None, 2]}
    assert second.columns == {"a": [None, 4], "b": [None, None], "c": [3, None]}


def test_an_unknown_column_of_jsonl_is_told_for_the_rows_that_were_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"b": 2}\n{}\n{"text": 4}\n', "utf-8")
    first, second, _ = islice(stream_table(path, 1), 3)
    with pytest.raises(InputError, match=r"has no column `text` up to row 1; its columns are a$"):
        first.column("text")
    with pytest.raises(InputError, match=r"has no column `text` up to row 2; its columns are a, b$"):
        second.column("text")
    with pytest.raises(InputError, match=r"has no column `tekst`; its columns are a, b, text$"):
        read_table(path).column("tekst")
    path.write_text('{}\n{"text": 1}\n', "utf-8")
    with pytest.raises(InputError, match=r"has no column `text` up to row 1; its rows are empty$"):
        next(stream_table(path, 1)).column("text")
    assert read_table(path).columns == {"text": [None, 1]}


# Errors


@pytest.mark.parametrize("source", ["none.csv", "no/such/folder", "a.xlsx"])
def test_what_cannot_be_there_is_told_before_the_first_block(tmp_path, source):
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"no such file or folder|unknown kind of file"):
        stream_table(tmp_path / source)
    with pytest.raises(ValueError, match="at least one row"):
        stream_table(tmp_path / source, 0)


@pytest.mark.parametrize(
    ("name", "content", "before"),
    [
        ("a.txt", b"one\ntwo\n" * 5_000 + b"f\xff\n", 1_000),
        ("a.csv", b"a,b\n1,2\n3,4\n\n5,6\n7\n", 3),
        ("a.csv", b'a,b\n1,2\n3,4\n5,6\n7,"8', 3),
        ("a.csv", b"a,b\n1,2\n" + b"3,4\n" * 20_000 + b"caf\xe9,1\n", 1_000),
        ("a.tsv", b"", 0),
        ("a.csv", b"a,a\n1,2\n", 0),
        ("a.jsonl", b'{"a": 1}\n\n{"a": 2}\n{"a": 3}\n[4]\n', 3),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}\n{"a": 3}\n{"a": "\\udc00"}\n', 3),
        ("a.parquet", b"PAR1 it is not", 0),
    ],
    ids=range(9),
)
def test_errors_are_those_of_the_whole_behind_the_blocks_before_them(tmp_path, name, content, before):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as whole:
        read_table(tmp_path / name)
    rows = 0
    with pytest.raises(InputError) as streamed:
        for block in stream_table(tmp_path / name, 3):
            rows += len(block)
    assert str(streamed.value) == str(whole.value) and len(str(whole.value).splitlines()) == 1
    assert rows >= before


def test_parts_of_a_folder_are_compared_before_the_first_row(tmp_path):
    path = write(tmp_path, "folder", [{"text": "a"}] * 4, parts=(2,))
    pyarrow.parquet.write_table(pyarrow.table({"text": [1.5]}), path / "part-2.parquet")
    with pytest.raises(InputError, match="its Parquet files have different columns") as caught:
        next(stream_table(path))
    assert len(str(caught.value).splitlines()) == 1
    (path / "part-2.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"part-2\.parquet: not readable as Parquet"):
        next(stream_table(path))


def test_parquet_that_names_a_column_twice_is_refused(tmp_path):
    table = pyarrow.table([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: names a column twice: text, text"):
        read_table(tmp_path / "a.parquet")


# Datasets


def test_datasets_are_cut_and_know_the_names_of_their_classes(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    for split, rows in (("train", 5), ("test", 0)):
        columns = {"text": [f"{split} {row}" for row in range(rows)], "label": [row % 2 for row in range(rows)]}
        Dataset.from_dict(columns, features=features).to_parquet(tmp_path / f"{split}.parquet")
    blocks = list(stream_table(tmp_path, 2))
    assert [len(block) for block in blocks] == [2, 2, 1] and [block.start for block in blocks] == [0, 2, 4]
    assert blocks[2].columns == {"text": ["train 4"], "label": [0]} and blocks[2].row(0) == "row 5"
    whole = read_table(tmp_path)
    assert whole.columns["label"] == [0, 1, 0, 1, 0] and whole.class_names == {"label": ["bad", "good"]}


# Memory


def peak(read):
    """The most megabytes that Python held while `read` ran, above what it held before."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [".csv", ".txt", ".jsonl", ".parquet"])
def test_a_large_file_is_not_held_whole(tmp_path, kind):
    rows = [{"text": f"{number} " + "x" * 5_000} for number in range(2_000)]
    path = write(tmp_path, kind, rows, group=500)
    del rows
    counts = []
    streamed = peak(lambda: counts.extend(len(block) for block in stream_table(path, 20)))
    assert sum(counts) == 2_000 and max(counts) <= 20
    assert streamed < 2  # four blocks are 0.4
    assert peak(lambda: read_table(path)) > 9  # so this would have been seen


def test_the_row_groups_of_parquet_are_not_held_whole(tmp_path):
    """Outside of Python, where Arrow has its own count: one row group of 40 MB, which nothing can compress."""
    random = Random(0)
    rows = [{"text": f"{row} {random.randbytes(1_000).hex()}"} for row in range(20_000)]
    path = write(tmp_path, ".parquet", rows, group=20_000)
    gc.collect()
    before, most = pyarrow.total_allocated_bytes(), 0
    for _ in stream_table(path, 200):
        most = max(most, pyarrow.total_allocated_bytes() - before)
    assert 0 < most < 10 * 2**20
