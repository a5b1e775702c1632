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
COMPARED = (
    100  # characters of a text that tell whether a sheet is the one that was written; some programs cut long cells
)
_NUMBER = re.compile(r"(\d+)(?:[.,]0+)?")  # 4 may come back as 4.0 or 4,0

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
    stream = io.StringIO(newline="")
    sheet = csv.writer(stream, quoting=csv.QUOTE_ALL)
    sheet.writerow(COLUMNS)
    for item in items:
        sheet.writerow([item["item"], protect(item["source_text"]), protect(item["text"]), "", "", ""])
    with runs.written_aside(path) as aside:
        aside.write_text(stream.getvalue(), encoding="utf-8-sig", newline="")


def is_filled(path: Path) -> bool:
    """Whether somebody has written into the sheet at `path`, or made something else of it."""
    try:
        return any(row.get(name) for _, row in _rows(path) for name in (*SCALES, "comment"))
    except InputError:
        return True


def read_ratings(path: Path, texts: Mapping[int, str]) -> Ratings:
    """The ratings of a filled sheet; an item without any is left out.

    Args:
        path: comma-, semicolon- or tab-separated, UTF-8 or UTF-16.
        texts: of the items, by their number.

    Raises:
        InputError: it is no such sheet, an item is unknown, stands there twice or has another text, a cell holds no
            rating, or there is no rating at all. The message names file, row, column and what is needed.
    """
    ratings: Ratings = {}
    seen: dict[int, str] = {}
    for where, row in _rows(path):
        if not any(row.values()):
            continue
        number = _NUMBER.fullmatch(row["item"])
        item = int(number[1]) if number else None
        if item not in texts:
            raise InputError(f"{where}, column `item`: {_shown(row['item'])} is none of the items 1 to {len(texts)}")
        if item in seen:
            raise InputError(f"{where}, column `item`: {item} stands in {seen[item]} too; each item once is needed")
        seen[item] = where.rpartition(", ")[2]
        if "text" in row and not _is_same(row["text"], texts[item]):
            raise InputError(
                f"{where}, column `text`: is not the text of item {item}; is this the sheet of another sample?"
            )
        rated = {scale: _rating(row[scale], where, scale) for scale in SCALES if row[scale]}
        if rated:
            ratings[item] = rated
    if not ratings:
        raise InputError(f"{path}: holds no rating; whole numbers from {LOWEST} to {HIGHEST} are needed")
    return ratings


def _rating(cell: str, where: str, scale: str) -> int:
    number = _NUMBER.fullmatch(cell)
    if number is None or not LOWEST <= int(number[1]) <= HIGHEST:
        needed = f"a whole number from {LOWEST} to {HIGHEST}, or nothing, is needed"
        raise InputError(f"{where}, column `{scale}`: {_shown(cell)}; {needed}")
    return int(number[1])


def _shown(cell: str) -> str:
    return one_line(repr(cell), 40)


def _is_same(cell: str, text: str) -> bool:
    one, other = (fold(value.lstrip("'")) for value in (cell, text))
    return one[:COMPARED] == other[:COMPARED]


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a sheet by column, without white space around its cells, and what messages call it."""
    lines = list(io.StringIO(_decoded(path), newline=""))
    header = next((line for line in lines if line.strip()), "")
    names, delimiter = next(
        ((names, delimiter) for delimiter in ",;\t" if "item" in (names := _names(header, delimiter))), ((), ",")
    )
    missing = [name for name in ("item", *SCALES) if names.count(name) != 1]
    if missing:
        raise InputError(
            f"{path}: has no column `{missing[0]}`, or two; the columns of a sheet are {', '.join(COLUMNS)}"
        )
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number, line = -1, 1
    try:
        for cells in reader:
            if cells:
                number += 1
            if cells and number:
                same = "" if line == number else f" (line {line})"
                where = f"{path}, row {number}{same}"
                if any(cell.strip() for cell in cells[len(names) :]):
                    raise InputError(f"{where}: has {len(cells)} cells; the header has {len(names)}")
                yield (
                    where,
                    dict.fromkeys(names, "") | {name: cell.strip() for name, cell in zip(names, cells, strict=False)},
                )
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from error


def _names(header: str, delimiter: str) -> list[str]:
    return [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]


def _decoded(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's `Unicode Text`
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: is not UTF-8; save the sheet as `CSV UTF-8`") from error
