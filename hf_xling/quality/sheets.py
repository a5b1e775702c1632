"""Sheets for raters: spreadsheet programs show their text and run none of it, and what those save is read."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hf_xling import runs
from hf_xling.errors import InputError, one_line
from hf_xling.folding import fold

SCALES = ("adequacy", "fluency")
COLUMNS = ("item", "source", "text", *SCALES, "comment")
LOWEST, HIGHEST = 1, 5
# What spreadsheet programs take for the beginning of a formula; the wide forms are those of East Asian keyboards.
FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
COMPARED = 100  # characters of a text that tell whether it is the one that was written; some programs cut long cells
_NUMBER = re.compile(r"(\d+)(?:[.,]0+)?")  # 4 may come back as 4.0 or 4,0
_OF_HIGHEST = re.compile(rf"(.+?)\s*/\s*{HIGHEST}")  # 4/5, typed into a cell of text
# What programs make of what was typed, as messages tell it. A month is a word in any language; a day may be its number.
_NAME = r"[^\s\d.,/-]+"
_MONTH = r"[^\W\d_a-z][^\s\d.,/()-]*"  # beside a space: `about 4` and `4 stars` are none
_CHANGED = {
    re.compile(
        rf"\d+[-./]\s?\d+[-./]\s?\d+.*|\d+(\.\s?|-){_NAME}.*|{_NAME}(\.\s?|-)\d+|4\d{{4}}"
        rf"|({_MONTH},\s)?({_MONTH}\s\d{{1,2}}|\d{{1,2}}\s{_MONTH})(,?\s\d+)?"
        r"|(\d+\s?[年년]\s?)?\d+\s?[月월]\s?\d+\s?[日일]"
    ): ("a date of what was typed, such as 4/5 or 4.5"),
    re.compile(r"([^\W\d]{1,4}\s?)?\d{1,2}[:：h]\d{2}([:：]\d{2}([.,]\d+)?)?(\s?[^\s\d]{1,5})?"): (
        "a time of what was typed, such as 4:5"
    ),
    re.compile(r"\d([.,]\d*)?E[+-]?\d+", re.IGNORECASE): "this of a number when it shortened a long number",
}

# Ratings by item, and then by scale
Ratings = dict[int, dict[str, int]]


def protect(text: str) -> str:
    """`text` as a cell that is no formula: an apostrophe before one that begins like a formula, or with an apostrophe.

    >>> protect("=1+1"), unprotect(protect("=1+1")), protect("1+1")
    ("'=1+1", '=1+1', '1+1')
    """
    return f"'{text}" if text.startswith(("'", *FORMULAS)) or text.lstrip().startswith(FORMULAS) else text


def unprotect(cell: str) -> str:
    """The text of a cell that `protect` made."""
    return cell.removeprefix("'")


def write_sheet(path: Path, items: Iterable[Mapping[str, Any]]) -> None:
    """Write the `item`, `source_text` and `text` of each of `items` as CSV, with cells to fill.

    It is UTF-8 with a byte-order mark: without, Excel shows anything but English as garbage.
    """
    with runs.written_aside(path) as aside, open(aside, "w", encoding="utf-8-sig", newline="") as stream:
        sheet = csv.writer(stream, quoting=csv.QUOTE_ALL)
        sheet.writerow(COLUMNS)
        for item in items:
            sheet.writerow([item["item"], protect(item["source_text"]), protect(item["text"]), "", "", ""])


def is_filled(path: Path) -> bool:
    """Whether somebody has written into the sheet at `path`, or made something else of it."""
    try:
        return any(row.get(name) for _, row in _rows(path, _decoded(path)[0]) for name in (*SCALES, "comment"))
    except InputError:
        return True


def read_ratings(path: Path, texts: Mapping[int, str]) -> Ratings:
    """The ratings of a filled sheet; an item without any is left out.

    Args:
        path: comma-, semicolon- or tab-separated, UTF-8 or UTF-16. In a code page of Windows or the Mac the texts have
            lost letters: the numbers are read, and what is left of the texts is compared.
        texts: of the items, by their number.

    Raises:
        InputError: it is no such sheet, an item is unknown, occurs twice or has another text, a cell holds no
            rating, or there is no rating at all. The message names file, row, column and what is needed.
    """
    ratings: Ratings = {}
    seen: dict[int, str] = {}
    content, is_unicode = _decoded(path)
    for where, row in _rows(path, content):
        if not any(row.values()):
            continue
        number = _NUMBER.fullmatch(row["item"])
        item = int(number[1]) if number else 0
        if item not in texts:
            raise InputError(f"{where}, column `item`: {_shown(row['item'])} is none of the items 1 to {len(texts)}")
        if item in seen:
            raise InputError(f"{where}, column `item`: {item} is in {seen[item]} too; each item once is needed")
        seen[item] = where.rpartition(", ")[2]
        if "text" in row and not _is_same(row["text"], texts[item], is_unicode):
            is_lost = not is_unicode or "??" in row["text"]
            lost = "; the file is not UTF-8 and has lost letters: save it as `CSV UTF-8`" if is_lost else ""
            raise InputError(
                f"{where}, column `text`: is not the text of item {item}; is this the sheet of another sample?{lost}"
            )
        rated = {scale: _rating(row[scale], where, scale) for scale in SCALES if row[scale]}
        if rated:
            ratings[item] = rated
    if not ratings:
        raise InputError(f"{path}: holds no rating; whole numbers from {LOWEST} to {HIGHEST} are needed")
    return ratings


def _rating(cell: str, where: str, scale: str) -> int:
    of_highest = _OF_HIGHEST.fullmatch(cell)
    number = _NUMBER.fullmatch(of_highest[1] if of_highest else cell)
    if number is None or not LOWEST <= int(number[1]) <= HIGHEST:
        needed = f"a whole number from {LOWEST} to {HIGHEST}, or nothing, is needed"
        made = next((said for pattern, said in _CHANGED.items() if pattern.fullmatch(cell)), None)
        hint = f" (the spreadsheet program has made {made})" if made else ""
        raise InputError(f"{where}, column `{scale}`: {_shown(cell)}; {needed}{hint}")
    return int(number[1])


def _shown(cell: str) -> str:
    return one_line(repr(cell), 40)


def _is_same(cell: str, text: str, is_unicode: bool) -> bool:
    cell, text = cell.lstrip("'"), text.lstrip("'")
    if fold(cell)[:COMPARED] == fold(text)[:COMPARED]:
        return True
    return ("?" in cell or not is_unicode) and _in_ascii(cell)[:COMPARED] == _in_ascii(text)[:COMPARED]


def _in_ascii(text: str) -> str:
    """What a code page surely leaves of a text: a letter that it lacks is a question mark, one beyond U+FFFF is two."""
    return re.sub(r"[^\x00-\x7f]", lambda letter: "?" * (1 + (letter[0] > "\uffff")), " ".join(text.split()))


def _rows(path: Path, content: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a sheet by column, without white space around its cells, and what messages call it."""
    lines = list(io.StringIO(content, newline=""))
    # Before the header a program may put its `sep=;` and empty rows.
    before = next((n for n, line in enumerate(lines) if line.strip(" ,;\t\r\n") and not line.startswith("sep=")), 0)
    header = "".join(lines[before : before + 1])
    delimiter = next((each for each in ",;\t" if "item" in _names(header, each)), ",")
    names = _names(header, delimiter)
    missing = [name for name in ("item", *SCALES) if names.count(name) != 1]
    if missing:
        known = ", ".join(COLUMNS)
        raise InputError(f"{path}: has no column `{missing[0]}`, or two; the columns of a sheet are {known}")
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(lines[before:], delimiter=delimiter, strict=True)
    number, line = -1, before + 1
    try:
        for cells in reader:
            if cells:
                number += 1
            if cells and number:
                same = "" if line == number else f" (line {line})"
                where = f"{path}, row {number}{same}"
                if any(cell.strip() for cell in cells[len(names) :]):
                    raise InputError(f"{where}: has {len(cells)} cells; the header has {len(names)}")
                given = {name: cell.strip() for name, cell in zip(names, cells, strict=False)}
                yield where, dict.fromkeys(names, "") | given
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {before + reader.line_num}: not valid CSV: {error}") from error


def _names(header: str, delimiter: str) -> list[str]:
    return [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]


def _decoded(path: Path) -> tuple[str, bool]:
    """The text of a file, and whether it is in an encoding of Unicode."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):  # .xlsx and .ods, .xls
        raise InputError(f"{path}: is a workbook; save the sheet as `CSV UTF-8`")
    encoding = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # Excel's `Unicode Text`
        encoding = "utf-16"
    elif b"\0" in content[:2]:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    try:
        return content.decode(encoding), True
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), False  # or another code page: all of them have ASCII's digits
