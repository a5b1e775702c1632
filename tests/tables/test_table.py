import csv
import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError, one_line
from hf_xling.tables import read_table, texts_of


@pytest.fixture
def file(tmp_path):
    def write(name: str, content: str | bytes) -> str:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return str(tmp_path / name)

    return write


def failure(source: str) -> str:
    """The message of reading `source`, which must be an InputError that names it and fits a line as it is shown."""
    with pytest.raises(InputError) as caught:
        read_table(source).require_rows()
    message = str(caught.value)
    assert message.startswith(source) or source in message
    assert "\n" not in one_line(message) and len(message.splitlines()) == 1
    return message.removeprefix(source)


# What is read


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_same_rows_in_every_kind_of_file(file, mark, newline):
    lines = {
        "a.csv": ["text,label", '"வணக்கம், உலகம்",1', "two words,2"],
        "a.tsv": ["text\tlabel", "வணக்கம், உலகம்\t1", "two words\t2"],
        "a.jsonl": ['{"text": "வணக்கம், உலகம்", "label": "1"}', "", '{"text": "two words", "label": "2"}'],
    }
    for name, content in lines.items():
        table = read_table(file(name, mark + newline.join(content) + newline))
        assert table.columns == {"text": ["வணக்கம், உலகம்", "two words"], "label": ["1", "2"]}
    assert read_table(file("a.txt", f"{mark}வணக்கம், உலகம்{newline}two words")).columns == {
        "text": ["வணக்கம், உலகம்", "two words"]
    }


def test_blank_lines_of_a_txt_are_rows(file):
    table = read_table(file("a.txt", "one\n\n  \nfour\n"))
    assert table.columns["text"] == ["one", "", "  ", "four"]
    assert table.where(3).endswith("a.txt, row 4")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_any_text_survives_csv_and_its_rows_know_their_lines(tmp_path_factory, rows):
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(stream.getvalue().encode())
    table = read_table(path)
    assert list(zip(table.columns["a"], table.columns["b"], strict=True)) == rows
    for index in range(len(rows)):
        head = io.StringIO(newline="")
        csv.writer(head, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows[:index]])
        lines = len(io.StringIO(head.getvalue(), newline="").readlines())
        assert table.lines[index] == lines + 1


def test_rows_are_named_by_data_row_and_by_line_where_that_differs(file):
    table = read_table(file("a.csv", 'text\n"one\nline\n\nmore"\n\ntwo\n'))
    assert table.columns["text"] == ["one\nline\n\nmore", "two"]
    assert table.where(0).endswith("a.csv, row 1 (line 2)") and table.where(1).endswith("a.csv, row 2 (line 7)")
    table = read_table(file("a.jsonl", '{"a": 1}\n\n{"a": 2}\n'))
    assert table.where(0).endswith("row 1") and table.where(1).endswith("row 2 (line 3)")


def test_missing_values_are_none(file):
    assert read_table(file("a.csv", 'a,b\n,1\n"",2\n')).columns == {"a": [None, None], "b": ["1", "2"]}
    assert read_table(file("a.jsonl", '{"a": 1}\n{"b": 2}\n')).columns == {"a": [1, None], "b": [None, 2]}


def test_a_header_may_stand_under_blank_lines(file):
    table = read_table(file("a.csv", "\n\ntext\none\n"))
    assert table.columns == {"text": ["one"]} and table.lines == [4]


def test_parquet_files_and_folders(tmp_path):
    for part, values in enumerate((["a", None], ["தமிழ்"])):
        pyarrow.parquet.write_table(pyarrow.table({"text": values}), tmp_path / f"part-{part}.parquet")
    assert read_table(tmp_path / "part-1.parquet").columns == {"text": ["தமிழ்"]}
    table = read_table(tmp_path)
    assert table.columns == {"text": ["a", None, "தமிழ்"]} and table.where(2) == f"{tmp_path}, row 3"


# What is refused


def test_nothing_to_read(file, tmp_path):
    assert failure(str(tmp_path / "none.csv")) == ": no such file or folder"
    assert failure(str(tmp_path / "no" / "such" / "folder")) == ": no such file or folder"
    for name in ("a.txt", "a.csv", "a.jsonl"):
        assert "is empty" in failure(file(name, ""))
        assert "is empty" in failure(file(name, "\ufeff"))
    assert "at least one row" in failure(file("b.csv", "text,label\n"))
    assert "at least one row" in failure(file("b.jsonl", "\n\n{}\n"))


def test_an_unknown_kind_of_file_lists_the_known(file):
    assert failure(file("a.xlsx", "x")).endswith("known are .txt, .csv, .tsv, .jsonl, .parquet")
    assert "unknown kind of file" in failure(file("LICENSE", "x"))


def test_an_unknown_column_lists_the_known(file):
    with pytest.raises(InputError, match="has no column `tekst`; its columns are text, label"):
        read_table(file("a.csv", "text,label\nx,1\n")).column("tekst")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_the_line_that_is_not_utf_8_is_named(file, name):
    good = {"a.txt": "text", "a.csv": '"text"', "a.jsonl": '{"text": 1}'}[name]
    # Far behind the decoder's first buffer, whose offsets mean nothing to anyone.
    content = "\n".join(["text" if name == "a.csv" else good, *[good] * 5000]).encode() + b"\ncaf\xe9\nmore"
    assert failure(file(name, content)).startswith(", line 5002: is not UTF-8 (")
    assert failure(file(name, "text".encode("utf-16"))).startswith(", line 1: is not UTF-8")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n3\n", ", row 2 (line 3): has 1 fields; the header has 2"),
        ('a,b\n"1\n\n1",2\n\n3,4,5\n', ", row 2 (line 6): has 3 fields; the header has 2"),
        ("a,a\n1,2\n", ": names a column twice in its header: a, a"),
        ('a,b\n1,"2\n3,4\n', ", line 3: not valid CSV: unexpected end of data"),
        ('a,b\n1,"2"x\n', ", line 2: not valid CSV: ',' expected after '\"'"),
        ('"a"b,c\n1,2\n', ", line 1: not valid CSV: ',' expected after '\"'"),
        ('"a,b\n1,2\n', ", line 2: not valid CSV: unexpected end of data"),
    ],
)
def test_broken_csv_names_its_row(file, content, said):
    assert failure(file("a.csv", content)) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not valid JSON: Expecting property name"),
        ("text", "not valid JSON: Expecting value (column 1)"),
        ("[1]", "is list; an object a line is needed"),
        ("null", "is NoneType; an object a line is needed"),
        ('{"a": %s}' % ("9" * 5000), "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        (r'{"text": "\ud83d cut"}', "half of a surrogate pair"),
        (r'{"\udc00": 1}', "half of a surrogate pair"),
    ],
    ids=range(8),
)
def test_broken_jsonl_names_its_line(file, line, said):
    message = failure(file("a.jsonl", f'{{"text": "\\ud83d\\ude00"}}\n\n{line}\n'))
    assert message.startswith(", line 3: ") and said in message


def test_damaged_parquet_is_named(file, tmp_path):
    good = tmp_path / "parts" / "0.parquet"
    good.parent.mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x"] * 100}), good)
    assert "not readable as Parquet" in failure(file("a.parquet", good.read_bytes()[:-5]))
    assert "not readable as Parquet" in failure(file("b.parquet", ""))
    (good.parent / "1.parquet").write_bytes(good.read_bytes()[10:])
    with pytest.raises(InputError, match=r"1\.parquet: not readable as Parquet"):
        read_table(good.parent)
    pyarrow.parquet.write_table(pyarrow.table({"text": [1.5]}), good.parent / "1.parquet")
    with pytest.raises(InputError, match="different columns"):
        read_table(good.parent)


def test_a_folder_without_data_is_one_clear_line(tmp_path):
    assert "cannot be loaded as a dataset" in failure(str(tmp_path))


def test_a_name_that_is_no_file_is_asked_of_the_hub_and_the_failure_named():
    assert "cannot be loaded as a dataset" in failure("some-org/no_such_dataset_of_ours")


def test_texts_must_be_texts(file):
    table = read_table(file("a.jsonl", '{"t": "x"}\n\n{"t": " "}\n{"t": null}\n{"t": 5}\n'))
    for count, said in ((2, "row 2 (line 3): the text is empty"), (1, None)):
        if said is None:
            assert texts_of(table.columns["t"][:count], table.where) == ["x"]
        else:
            with pytest.raises(InputError) as caught:
                texts_of(table.columns["t"][:count], table.where)
            assert said in str(caught.value)
    for values, said in (([None], "the text is null"), ([5], "the text is 5")):
        with pytest.raises(InputError, match=said):
            texts_of(values, table.where)


def test_a_dataset_folder_reads_as_its_split(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text(json.dumps({"text": "வணக்கம்"}) + "\n", "utf-8")
    assert read_table(tmp_path).columns == {"text": ["வணக்கம்"]}
    with pytest.raises(InputError, match="cannot be loaded"):
        read_table(tmp_path, split="nowhere")
