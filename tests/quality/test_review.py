"""The sheet: which rows are drawn, what raters see, and what is never written over."""

import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_runs import WRITERS, fill, read_key, read_sheet, row, write_run

from hf_xling.cli import run
from hf_xling.errors import InputError
from hf_xling.quality.review import allocate, draw, make_sheet
from hf_xling.quality.sheets import COLUMNS, FORMULAS, unprotect


@pytest.fixture(scope="module")
def rows():
    """400 rows in two languages, a quarter of them by a second model."""
    return [row(n, language="ta" if n % 5 else "te", model_id=WRITERS[n % 4 == 0]) for n in range(400)]


@pytest.fixture
def folder(rows, tmp_path):
    return write_run(tmp_path / "run", rows, parts=3)


def test_strata_of_language_model_and_length_have_their_share_of_the_sheet(folder, rows):
    drawn = make_sheet(folder, 100)
    assert len(drawn.items) == 100 and sum(stratum["rows"] for stratum in drawn.strata) == len(rows)
    for stratum in drawn.strata:
        assert abs(stratum["sampled"] - stratum["rows"] / 4) < 1
    of = {(each["id"], each["language"], each["model_id"]) for each in rows}
    by_origin = Counter()
    for item in drawn.items:
        stratum = drawn.strata[item["stratum"]]
        assert (item["id"], stratum["language"], item["model_id"]) in of and item["model_id"] == stratum["model_id"]
        by_origin[stratum["language"], stratum["model_id"]] += 1
        low, _, high = stratum["length"].removeprefix("up to ").removesuffix(" characters").partition(" to ")
        length = len(item["source_text"])
        if stratum["length"].startswith("up to"):
            assert length <= int(low)
        else:
            assert int(low.split()[0]) <= length <= int(high or length)
    shares = Counter((each["language"], each["model_id"]) for each in rows)
    assert by_origin.keys() == shares.keys() and len(shares) == 4
    assert len({stratum["length"] for stratum in drawn.strata if stratum["language"] == "ta"}) == 4
    assert all(abs(by_origin[origin] - shares[origin] / 4) < 4 for origin in shares)


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_sheet(rows, tmp_path):
    one, two, other = (write_run(tmp_path / name, rows, parts) for name, parts in (("a", 1), ("b", 4), ("c", 1)))
    make_sheet(one, 50)
    make_sheet(one, 50)  # again, as nobody has written into it
    make_sheet(two, 50)
    make_sheet(other, 50, seed=2)
    assert (one / "review/sheet.csv").read_bytes() == (two / "review/sheet.csv").read_bytes()
    assert read_key(one)["items"] == read_key(two)["items"] != read_key(other)["items"]


def test_raters_see_neither_model_nor_order_and_the_key_has_both(folder, rows):
    make_sheet(folder, 100)
    sheet, key = read_sheet(folder), read_key(folder)
    assert list(sheet[0]) == list(COLUMNS) and [cells["item"] for cells in sheet] == [str(n) for n in range(1, 101)]
    assert (folder / "review/sheet.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    for name in ("sheet.csv", "instructions.md"):
        assert not any(writer in (folder / "review" / name).read_text("utf-8") for writer in WRITERS)
    by_id = {each["id"]: each for each in rows}
    for cells, item in zip(sheet, key["items"], strict=True):
        source = by_id[item["id"]]
        assert (cells["source"], cells["text"]) == (source["source_text"], source["text"])
        assert (item["model_id"], item["sample"], item["seed"]) == (
            source["model_id"],
            source["sample"],
            source["seed"],
        )
        assert cells["adequacy"] == cells["fluency"] == cells["comment"] == ""
    places = [int(item["id"]) for item in key["items"]]
    strata = [item["stratum"] for item in key["items"]]
    assert places != sorted(places) and strata != sorted(strata)
    assert sum(one <= two for one, two in pairwise(strata)) < 80


def test_one_language_and_fewer_rows_than_asked_for(folder):
    closing = run(["review", str(folder), "--sample", "1000", "--language", "te"])
    assert "80 of 80 distinct rows" in closing and "sheet.csv" in closing
    assert {stratum["language"] for stratum in read_key(folder)["strata"]} == {"te"}


def test_a_text_that_stands_in_many_rows_is_one_item(tmp_path):
    rows = [row(n, source_text="A dog.", text="நாய்") for n in range(20)] + [row(20)]
    make_sheet(write_run(tmp_path / "run", rows), 10)
    assert sorted(item["id"] for item in read_key(tmp_path / "run")["items"]) == ["0", "20"]


def test_no_cell_is_a_formula_and_each_text_can_be_had_back(tmp_path):
    texts = [f"{sign}cmd|' /C calc'!A0" for sign in (*FORMULAS, " =", "'", "''=")] + ['a "b", c;d\nஎ', "plain"]
    rows = [row(n, text=text, source_text=text) for n, text in enumerate(texts)]
    make_sheet(write_run(tmp_path / "run", rows), len(texts))
    sheet = read_sheet(tmp_path / "run")
    assert (
        {unprotect(cells["text"]) for cells in sheet} == {unprotect(cells["source"]) for cells in sheet} == set(texts)
    )
    for cells in sheet:
        assert not cells["text"].lstrip().startswith(FORMULAS) and not cells["source"].lstrip().startswith(FORMULAS)
    assert "plain" in {cells["text"] for cells in sheet}


def test_a_filled_sheet_is_not_written_over(folder):
    make_sheet(folder, 20)
    sheet = fill(folder, folder / "review/sheet.csv", lambda item: {"comment": "see below"} if item == 3 else {})
    before = sheet.read_bytes()
    with pytest.raises(InputError, match=r"sheet\.csv: is filled; tally it with --filled"):
        make_sheet(folder, 20)
    assert sheet.read_bytes() == before


def test_a_sheet_that_raters_may_have_keeps_its_key(folder):
    make_sheet(folder, 20)
    before = read_key(folder)
    for sample, seed in ((21, 1), (20, 2)):
        with pytest.raises(InputError, match=r"key of another sample \(--sample 20 --seed 1\)"):
            make_sheet(folder, sample, seed=seed)
    assert read_key(folder) == before


@pytest.mark.parametrize(
    "given_options, message",
    [
        ({"language": "hi"}, "holds no rows in `hi`; it has ta, te"),
        ({"sample": 0}, "--sample 0: at least 1"),
        ({"seed": -1}, "--seed -1: 0 or more"),
        ({"folder": "nowhere"}, "nowhere: holds no finished run"),
    ],
)
def test_what_cannot_be_drawn(folder, given_options, message):
    options = {"folder": str(folder), **given_options}
    argv = [f"--{name}={value}" for name, value in options.items()]
    with pytest.raises(InputError, match=message):
        run(["review", *argv])
    assert not (folder / "review").exists()


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(WRITERS), st.integers(1, 30)), min_size=1, max_size=60)


@settings(max_examples=25)
@given(ROWS, st.integers(1, 80))
def test_the_strata_add_up_to_the_sample(origins, sample):
    rows = [
        row(n, language=language, model_id=writer, source_text="x" * length)
        for n, (language, writer, length) in enumerate(origins)
    ]
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw(write_run(Path(folder), rows), sample, seed=3)
    assert sum(stratum["rows"] for stratum in drawn.strata) == len(rows)
    assert sum(stratum["sampled"] for stratum in drawn.strata) == len(drawn.items) == min(sample, len(rows))
    assert len({item["id"] for item in drawn.items}) == len(drawn.items)
    of = Counter(item["stratum"] for item in drawn.items)
    for number, stratum in enumerate(drawn.strata):
        assert of[number] == stratum["sampled"] <= stratum["rows"]
        assert abs(stratum["sampled"] - len(drawn.items) * stratum["rows"] / len(rows)) < 1


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20), st.integers(1, 10**6))
def test_shares_are_whole_and_as_near_as_can_be(sizes, sample):
    shares = allocate(sizes, sample)
    assert sum(shares) == min(sample, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    assert all(
        abs(share * sum(sizes) - size * sum(shares)) < sum(sizes) for share, size in zip(shares, sizes, strict=True)
    )
