"""Text files as people have them: quotes in TSV, other delimiters, packing, JSON that is not quite JSON Lines."""

import bz2
import csv
import gzip
import io
import json
import lzma

import pyarrow
import pytest

from hf_xling.errors import InputError
from hf_xling.tables import kind_of, read_table, stream_table

ROWS = {"text": ["வணக்கம்", "two\twords"], "label": ["1", None]}
CSV = 'text,label\nவணக்கம்,1\n"two\twords",\n'.encode()


@pytest.fixture
def file(tmp_path):
    def write(name: str, content: str | bytes) -> str:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return str(tmp_path / name)

    return write


def refused(source: str) -> str:
    with pytest.raises(InputError) as caught:
        read_table(source)
    message = str(caught.value)
    assert source in message and len(message.splitlines()) == 1
    return message.removeprefix(source)


# Quotes in TSV


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ('1\t"Hello\n2\tbye"\n', [("1", '"Hello'), ("2", 'bye"')]),
        ('1\t"Hello" she said\n2\t6" nails\n', [("1", '"Hello" she said'), ("2", '6" nails')]),
        ('"1\tone\n2"\ttwo\n', [('"1', "one"), ('2"', "two")]),
        ('1\t"a\n2\tb\n3\tc\n4\td"\n', [("1", '"a'), ("2", "b"), ("3", "c"), ("4", 'd"')]),
        ('1\tnever "closed\r\n2\tb\r\n', [("1", 'never "closed'), ("2", "b")]),
        ('1\t"\n2\tb\n', [("1", '"'), ("2", "b")]),
        # A program that encloses fields in quotes wrote these.
        ('1\t"say ""hi"""\n2\tb\n', [("1", 'say "hi"'), ("2", "b")]),
        ('1\t"two\nlines"\n2\tb\n', [("1", "two\nlines"), ("2", "b")]),
        ('1\t"a\ttab"\n2\t"b"\n', [("1", "a\ttab"), ("2", "b")]),
        ('"a, ""b"" and\r\n\r\na\ttab"\t2\n', [('a, "b" and\r\n\r\na\ttab', "2")]),
    ],
    ids=range(10),
)
def test_quotes_in_tsv_merge_no_rows(file, body, rows):
    table = read_table(file("a.tsv", "id\ttext\n" + body))
    assert list(zip(table.columns["id"], table.columns["text"], strict=True)) == rows


def test_a_ragged_row_among_lone_quotes_is_named(file):
    assert refused(file("a.tsv", 'id\ttext\n1\t"Hello\n3\n2\tbye"\n')).startswith(", row 2 (line 3): has 1 fields")
    assert refused(file("b.tsv", 'id\ttext\n1\t"Hello\n2\tb\tc\n')).startswith(", row 2 (line 3): has 3 fields")


# Delimiters


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "text;label\ngood;1\n", "separated by semicolons, not by commas (`text;label`); save it with commas"),
        ("a.csv", "text;label\ngood, bad;10,50\n", "separated by semicolons"),
        ("a.csv", "text;label;note, long\ngood;1;x\n", "separated by semicolons"),
        ("a.csv", "id;text,more\n1;good\n", "separated by semicolons"),
        ("a.csv", '"text";"label"\n"good; bad";1\n', "separated by semicolons"),
        ("a.CSV", "text;label\n", "separated by semicolons"),
        ("a.csv", "text\tlabel\ngood\t1\n", "separated by tabs, not by commas (`text label`); name it .tsv"),
        ("a.csv", "text|label\r\ngood|1\r\n", "separated by bars"),
        ("a.csv", "sep=;\ntext;label\ngood;1\n", "separated by semicolons"),
        ("a.tsv", "text,label\ngood,1\n", "separated by commas, not by tabs (`text,label`); name it .csv"),
        ("a.tsv", "text;label\ngood;1\n", "separated by semicolons, not by tabs (`text;label`); save it with tabs"),
    ],
)
def test_another_delimiter_is_named(file, name, content, said):
    assert said in refused(file(name, content))


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", "text\none; two\nthree\n", {"text": ["one; two", "three"]}),
        ("a.csv", "text;raw\nplain\n", {"text;raw": ["plain"]}),
        ("a.tsv", "the text, as written\na, b\n", {"the text, as written": ["a, b"]}),
        ("a.csv", "sep=,\ntext,label\ngood,1\n", {"text": ["good"], "label": ["1"]}),
        ("a.csv", "text,label (0|1|2)\na|b|c,1\n", {"text": ["a|b|c"], "label (0|1|2)": ["1"]}),
    ],
)
def test_what_only_looks_like_a_delimiter_is_none(file, name, content, columns):
    assert read_table(file(name, content)).columns == columns


# Names and packing


@pytest.mark.parametrize("name", ["a.CSV", "A.Csv", "a.csv.GZ", "a.CSV.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zst"])
def test_suffixes_in_any_case_and_packed(file, tmp_path, name):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}.get(
        name.lower().split(".")[-1], bytes
    )
    assert kind_of(name) == ".csv"
    assert read_table(file(name, pack(CSV))).columns == ROWS
    assert [len(block) for block in stream_table(tmp_path / name, 1)] == [1, 1]


def zstd(content):
    return pyarrow.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.jsonl.gz", "a.tsv.gz", "a.TXT.GZ", "a.ndjson", "a.json", "a.tab"])
def test_every_text_kind_is_read_packed_and_by_its_other_names(file, name):
    content = {".txt": "வணக்கம்\n", ".tsv": "text\nவணக்கம்\n"}.get(kind_of(name), '{"text": "வணக்கம்"}\n').encode()
    path = file(name, gzip.compress(content) if name.lower().endswith("gz") else content)
    assert read_table(path).columns == {"text": ["வணக்கம்"]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv.gz", gzip.compress(CSV)[:-12], ": cannot be read: "),
        ("a.csv.gz", CSV, ": cannot be read: Not a gzipped file"),
        ("a.csv.xz", CSV, ": cannot be read: "),
        ("a.csv.bz2", CSV, ": cannot be read: "),
        ("a.csv.zst", CSV, ": cannot be read: "),
        ("a.csv", gzip.compress(CSV), ", line 1: is not UTF-8 text but packed by gzip"),
        ("a.csv", b"PK\x03\x04\x14\0\x06\0", ", line 1: is not UTF-8 text but a zip archive or a workbook"),
        ("a.jsonl", b"PAR1\x15\x04", ", line 1: is not UTF-8 text but Parquet"),
        ("a.csv", CSV.decode().encode("utf-16"), ", line 1: is not UTF-8 text but UTF-16"),
        ("a.csv", "text\nwörter\n".encode("latin-1"), ", line 2: is not UTF-8 (invalid"),
        ("a.csv", "text,label\na,1\n".encode("utf-16-le"), ", line 1: holds a NUL character"),
        ("a.csv", "text,label\na,1\nb\0c,2\n", ", line 3: holds a NUL character"),
        ("a.tsv", "text\tlabel\na\t\0\n", ", line 2: holds a NUL character"),
        ("a.jsonl", '{"text": "a"}\n\0\0\0\0', ", line 2: holds a NUL character"),
        ("a.txt", "a\0\n", ", line 1: holds a NUL character"),
        ("a.csv.zip", b"PK", ": unknown kind of file; known are"),
        ("a.parquet.gz", gzip.compress(b"PAR1"), ": is packed Parquet; unpack it"),
    ],
    ids=range(17),
)
def test_what_is_no_such_text_is_named(file, name, content, said):
    assert said in refused(file(name, content))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_kind_of_line_end(file, end):
    lines = {"a.csv": ["text,label", "a,1", "b,"], "a.tsv": ["text\tlabel", "a\t1", "b\t"], "a.txt": ["a", "b"]}
    lines["a.jsonl"] = ['{"text": "a", "label": "1"}', '{"text": "b", "label": null}']
    for name, content in lines.items():
        for last in (end, ""):
            table = read_table(file(name, end.join(content) + last))
            assert table.columns["text"] == ["a", "b"]
            assert table.columns.get("label") == (None if name == "a.txt" else ["1", None])


# JSON


def test_nan_is_a_missing_value_and_infinity_is_kept(file):
    table = read_table(file("a.jsonl", '{"text": NaN, "label": NaN}\n{"text": "a", "label": [NaN, -Infinity]}\n'))
    assert table.columns == {"text": [None, "a"], "label": [None, [None, float("-inf")]]}


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_objects_is_a_table(file, name, indent):
    rows = [{"text": "வணக்கம்", "label": 1}, {"text": "b"}, {"label": 2.5}]
    table = read_table(file(name, "\ufeff\n" + json.dumps(rows, indent=indent)))
    assert table.columns == {"text": ["வணக்கம்", "b", None], "label": [1, None, 2.5]}
    assert table.where(2).endswith(f"{name}, row 3")
    assert len(read_table(file("b.json", "[]"))) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"text": "a"}, 5]', ", row 2: is int; an object is needed"),
        ('[{"text": "a"},\n{"text": }]', ", line 2: not valid JSON: Expecting value"),
        ('[{"text": "a"}]\n[{"text": "b"}]\n', ", line 2: not valid JSON: Extra data"),
        ('{"text": "a"}\n{"text": "a", "text": "b"}\n', ", line 2: not valid JSON: `text` appears twice"),
        ('{\n  "text": "a"\n}\n', ", line 1: not valid JSON"),
    ],
)
def test_broken_arrays_and_objects_are_named(file, content, said):
    assert said in refused(file("a.json", content))


def test_a_tsv_of_predictions_comes_back(file):
    stream = io.StringIO(newline="")
    rows = [("a\nb", "1"), ('"quoted"', "2"), ("tab\there", "3"), ("plain", "4")]
    csv.writer(stream, delimiter="\t").writerows([("text", "prediction"), *rows])
    table = read_table(file("a.tsv", stream.getvalue()))
    assert list(zip(*table.columns.values(), strict=True)) == rows
