"""Tables in text files: a text a line, delimited fields, JSON; packed or not."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from hf_xling.errors import InputError, one_line
from hf_xling.tables.table import Table

T = TypeVar("T")

_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", "^": "carets", "~": "tildes"}
# How files begin that are no UTF-8 text.
_BEGINNINGS = {
    **{b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PAR1": "Parquet", b"PK\x03\x04": "a zip archive or a workbook"},
    **{b"\x1f\x8b": "packed by gzip", b"BZh": "packed by bzip2", b"\xfd7zXZ": "packed by xz"},
    b"\x28\xb5\x2f\xfd": "packed by zstd",
}
_ENCLOSED = re.compile(r'"(?:[^"]|"")*"')


def _open_zstd(path: Path) -> BinaryIO:
    import pyarrow

    return pyarrow.input_stream(str(path), compression="zstd")


_OPEN: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _open_zstd}


def text_table(path: Path, kind: str, name: str, rows: int) -> Iterator[Table]:
    """The blocks of a `.txt`, `.csv`, `.tsv` or `.jsonl` file (`kind`, which the name of the file need not end in).

    Raises:
        InputError: it cannot be read as such a file; the line or row is named.
    """
    try:
        literal = kind == ".tsv" and _has_literal_quotes(path, name)
        with closing(_lines(path, name)) as lines:
            if kind == ".txt":
                for start, texts in _chunks((line.rstrip("\r\n") for line in lines), rows):
                    yield Table(name, {"text": texts}, start=start)
            elif kind == ".jsonl":
                yield from _jsonl(lines, name, rows)
            else:
                yield from _delimited(lines, name, "\t" if kind == ".tsv" else ",", literal, rows)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}, line {_undecodable_line(path)}: is not UTF-8 ({error.reason})") from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or one_line(error)}") from error


def _bytes(path: Path) -> BinaryIO:
    return _OPEN.get(path.suffix.lower(), lambda path: open(path, "rb"))(path)


def _lines(path: Path, name: str) -> Generator[str]:
    """The lines with their ends, which are \\n, \\r or both."""
    with closing(_bytes(path)) as stream:
        beginning = stream.read(8)
    for magic, said in _BEGINNINGS.items():
        if beginning.startswith(magic):
            raise InputError(f"{name}, line 1: is not UTF-8 text but {said}")
    with closing(_bytes(path)) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        for number, line in enumerate(text, 1):
            if "\0" in line:
                raise InputError(f"{name}, line {number}: holds a NUL character; UTF-8 text without any is needed")
            yield line


def _undecodable_line(path: Path) -> int:
    """The number of the first line that is not UTF-8; the decoder's own error counts from its last buffer."""
    with closing(_bytes(path)) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    raise AssertionError(f"{path} has changed while it was read")


def _chunks(items: Iterable[T], rows: int) -> Iterator[tuple[int, list[T]]]:
    """`items` in lists of `rows`, each with the number of items before it; one empty list if there are none."""
    items, start = iter(items), 0
    while (chunk := list(islice(items, rows))) or start == 0:
        yield start, chunk
        if len(chunk) < rows:
            return
        start += len(chunk)


def _delimited(lines: Iterator[str], name: str, delimiter: str, literal: bool, rows: int) -> Iterator[Table]:
    """`literal`: quotes are characters like all others."""
    csv.field_size_limit(2**31 - 1)
    lines = _with_delimiter(lines, name, delimiter)
    quoting = csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting)  # type: ignore[arg-type]  # one of them
    try:
        header = next(filter(None, reader), None)  # the csv module gives [] for a blank line
        if not header:
            raise InputError(f"{name}: is empty; a header line with the columns' names is needed")
        if len(set(header)) != len(header):
            raise InputError(f"{name}: names a column twice in its header: {', '.join(header)}")
        for start, chunk in _chunks(_delimited_rows(reader, name, len(header)), rows):
            columns = {column: [row[place] or None for _, row in chunk] for place, column in enumerate(header)}
            yield Table(name, columns, [line for line, _ in chunk], start)
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not valid CSV: {error}") from error


def _delimited_rows(reader: Any, name: str, fields: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that `reader` has left, each with the line on which it starts."""
    number, line = 0, reader.line_num + 1
    for row in reader:
        if row:
            number += 1
            if len(row) != fields:
                raise InputError(f"{name}, row {number} (line {line}): has {len(row)} fields; the header has {fields}")
            yield line, row
        line = reader.line_num + 1


def _with_delimiter(lines: Iterator[str], name: str, delimiter: str) -> Iterator[str]:
    """The same lines; an `InputError` if those of the header and the first row have another delimiter than `delimiter`.

    Excel's own line `sep=,` is blanked.
    """
    head: list[str] = []
    filled: list[str] = []
    for line in lines:
        head.append(line)
        filled += [line.strip("\r\n")] if line.strip() else []
        if len(filled) == 2:
            break
    header = filled[0] if filled else ""
    first = filled[1] if len(filled) == 2 else None
    said = re.fullmatch(r'"?sep=(.)"?', header, re.I)
    if said and said[1] == delimiter:
        head = ["\n" if line.strip("\r\n") == header else line for line in head]
    for other, word in _DELIMITERS.items():
        found = header.count(other)
        if not found or (other == "," and ", " in header):  # `a text, as written` is a name
            continue
        if delimiter not in header:
            fits = first is None or first.count(other) >= found
        else:  # it belongs to the name of a column if the other one alone splits both lines alike
            own = header.count(delimiter)
            fits = first is not None and first.count(other) == found and first.count(delimiter) != own
        if fits:
            ways = {"\t": "name it .tsv", ",": "name it .csv"}
            raise InputError(
                f"{name}: its columns are separated by {word}, not by {_DELIMITERS[delimiter]} "
                f"(`{one_line(header, 60)}`); {ways.get(other, f'save it with {_DELIMITERS[delimiter]}')}"
            )
    return chain(head, lines)


def _has_literal_quotes(path: Path, name: str) -> bool:
    """Whether the quotes of a tab-separated file are characters like all others.

    Some programs enclose fields in quotes, as in CSV, and others write them as they are. They are characters if one
    does not enclose a field, and each line is a row by itself; or if, taken for CSV, the file is broken or a row runs
    from one whole line into another.
    """
    tabs, loose, whole = -1, False, True
    with closing(_lines(path, name)) as lines:
        for line in filter(None, (line.rstrip("\r\n") for line in lines)):
            tabs = line.count("\t") if tabs < 0 else tabs
            whole = whole and line.count("\t") == tabs
            quoted = [part for part in line.split("\t") if '"' in part] if '"' in line else []
            loose = loose or not all(map(_ENCLOSED.fullmatch, quoted))
            if loose and not whole:
                break
    if not loose or whole:
        return loose
    taken: list[int] = []  # the tabs of the lines of a row

    def counted(lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            taken.append(line.count("\t"))
            yield line

    with closing(_lines(path, name)) as lines:
        try:
            for row in csv.reader(counted(lines), delimiter="\t", strict=True):
                if row and (len(row) != tabs + 1 or (len(taken) > 1 and taken[0] == taken[-1] == tabs)):
                    return True
                taken.clear()
        except csv.Error:
            return True
    return False


def _jsonl(lines: Iterator[str], name: str, rows: int) -> Iterator[Table]:
    names: dict[str, None] = {}
    for start, chunk in _chunks(_json_rows(lines, name), rows):
        names |= dict.fromkeys(key for _, row in chunk for key in row)
        columns = {key: [row.get(key) for _, row in chunk] for key in names}
        yield Table(name, columns, [line for line, _ in chunk], start, ragged=True)


def _json_rows(lines: Iterator[str], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each object with its line; those of an array, with which a file may begin, with their numbers."""
    first = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if first and line.lstrip().startswith("["):
            for place, row in enumerate(_json(line + "".join(lines), name, number), 1):
                if not isinstance(row, dict):
                    raise InputError(f"{name}, row {place}: is {type(row).__name__}; an object is needed")
                yield place, row
            return
        first = False
        row = _json(line.rstrip("\r\n"), name, number)
        if not isinstance(row, dict):
            raise InputError(f"{name}, line {number}: is {type(row).__name__}; an object a line is needed")
        yield number, row


def _json(text: str, name: str, line: int) -> Any:
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:  # half of a surrogate pair, as cut emoji leave it, cannot be written as UTF-8
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError as error:
        raise InputError(f"{name}, line {line}: holds half of a surrogate pair, which is no text") from error
    except json.JSONDecodeError as error:
        where = f"line {line + error.lineno - 1}"
        raise InputError(f"{name}, {where}: not valid JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
        raise InputError(f"{name}, line {line}: not valid JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"`{next(name for name in names if names.count(name) > 1)}` appears twice in an object")
    return found


# NaN is no JSON: programs write it where there is no value.
_CONSTANTS = {"NaN": None, "Infinity": float("inf"), "-Infinity": float("-inf")}
_DECODER = json.JSONDecoder(parse_constant=_CONSTANTS.get, object_pairs_hook=_object)
