"""Filled sheets that spreadsheet programs have changed: what is certain is read, and the rest is named."""

import pytest
from review_runs import NO, fill, rated, row, write_run

from hf_xling.errors import InputError
from hf_xling.quality.review import make_sheet, tally_sheets


@pytest.fixture
def folder(tmp_path):
    folder = write_run(tmp_path / "run", [row(n) for n in range(12)])
    make_sheet(folder, 12)
    return folder


def ansi(text, page="cp1252"):
    """`text` as Excel's plain `CSV` has it: what is not in its code page is a question mark."""
    return text.encode(page, "replace")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: ansi(text.replace(",", ";").replace("\n", "\r\n")),
        lambda text: ansi(text, "cp1251"),
        lambda text: ansi(text, "mac_roman").replace(b"\n", b"\r"),
        lambda text: ("sep=,\r\n" + text).encode("utf-8-sig"),
        lambda text: ("\r\n,,,,\r\n" + text).encode(),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: "".join(f"{line},,,\r\n" for line in text.splitlines()).encode(),
    ],
    ids=["ansi", "ansi of Russia", "mac", "sep=", "blank lines", "utf-16-le", "utf-16-be", "trailing"],
)
def test_a_sheet_is_read_whatever_a_spreadsheet_program_made_of_it(folder, tmp_path, change):
    path = fill(folder, tmp_path / "a.csv", rated([1, "4.0", "5/5", "3 / 5", *[NO] * 8], "4.00"), encoding="utf-8")
    path.write_bytes(change(path.read_text("utf-8")))
    found = tally_sheets(folder, [path])
    assert found["raters"][0]["items"] == 12 and found["scales"]["fluency"]["mean"] == 4.0
    assert (found["scales"]["adequacy"]["items"], found["scales"]["adequacy"]["mean"]) == (4, 3.25)


def test_a_sheet_of_another_sample_is_told_in_ansi_too(folder, tmp_path):
    path = fill(folder, tmp_path / "a.csv", rated(4), encoding="utf-8")
    path.write_bytes(ansi(path.read_text("utf-8").replace("ஓடுகிறது", "ஓடியது")))
    with pytest.raises(InputError, match=r"a\.csv, row 1 .*column `text`: is not the text of item 1; .*not UTF-8"):
        tally_sheets(folder, [path])


@pytest.mark.parametrize(
    "cell", ["04. Mai", "04.Mai", "4-May", "05-Apr", "2026-05-04", "04.05.2026", "4/5/2026", "மே-04", "5月4日", "46146",
             "May 4", "Mai 04", "May 4, 2026", "4 May", "4 May 2026", "2024年5月4日", "2024/5/4", "٤ مايو",
             "4. mai 2026", "5월 4일", "2026년 5월 4일", "Monday, May 4, 2026",
             "2026-05-04 00:00:00", "2026-05-04T00:00:00", "மே 4"]
)  # fmt: skip
def test_a_date_is_no_rating_and_the_line_says_what_happened(folder, tmp_path, cell):
    path = fill(folder, tmp_path / "a.csv", rated([3, cell, *[NO] * 10]))
    with pytest.raises(
        InputError, match=r"a\.csv, row 2 \(line 3\), column `adequacy`: .*; a whole number from 1 to 5"
    ) as error:
        tally_sheets(folder, [path])
    assert "made a date of what was typed" in str(error.value)


@pytest.mark.parametrize(
    "cell", ["4:05", "04:05:00", "4:05 AM", "04:05:00 PM", "4:05:00.0", "午前4:05", "4：05", "4h05"]
)
def test_a_time_is_no_rating_and_the_line_says_what_happened(folder, tmp_path, cell):
    path = fill(folder, tmp_path / "a.csv", rated([3, cell, *[NO] * 10]))
    with pytest.raises(InputError, match=r"column `adequacy`: .*made a time of what was typed, such as 4:5"):
        tally_sheets(folder, [path])


@pytest.mark.parametrize("cell", ["good", "4 or 5", "4, 5", "about 4", "4 stars", "4 (good)", "N/A", "4: good"])
def test_words_are_no_rating_and_no_date_that_a_program_made(folder, tmp_path, cell):
    path = fill(folder, tmp_path / "a.csv", rated([3, cell, *[NO] * 10]))
    with pytest.raises(InputError, match="a whole number from 1 to 5") as error:
        tally_sheets(folder, [path])
    assert "program has made" not in str(error.value)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("10,50", "'10,50'; a whole number from 1 to 5"), ("3,5", "a whole number"), ("0/5", "a whole number"),
     ("4/10", "a whole number"), ("1.23E+15", "shortened a long number"), ("1,23E+15", "shortened a long number")],
)  # fmt: skip
def test_numbers_that_are_no_rating(folder, tmp_path, cell, said):
    path = fill(folder, tmp_path / "a.csv", rated([3, cell, *[NO] * 10]))
    with pytest.raises(InputError) as error:
        tally_sheets(folder, [path])
    assert said in str(error.value) and "row 2 (line 3), column `adequacy`" in str(error.value)


@pytest.mark.parametrize("begin", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_a_workbook_is_named_as_one(folder, tmp_path, begin):
    (tmp_path / "a.xlsx").write_bytes(begin + b"\x00" * 50)
    with pytest.raises(InputError, match=r"a\.xlsx: is a workbook; save the sheet as `CSV UTF-8`"):
        tally_sheets(folder, [tmp_path / "a.xlsx"])
