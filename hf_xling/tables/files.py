"""Which files are tables, and which split of a folder each of them belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hf_xling.console import note_once
from hf_xling.errors import InputError

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
_SAME = {".json": ".jsonl", ".ndjson": ".jsonl", ".tab": ".tsv", ".pq": ".parquet"}  # other suffixes of these kinds
PACKED = (".gz", ".bz2", ".xz", ".zst")  # a suffix behind that of the kind
# What may hold rows too, but is not read.
_OTHER = (".xlsx", ".xls", ".ods", ".arrow", ".feather", ".orc", ".avro", ".zip", ".tar", ".tgz", ".7z", ".sqlite")
_HIDDEN = (".", "_", "~$")  # beginnings of names; the last one is of the lock files of Office programs
# Beside other tables these kinds are notes and settings.
_BESIDE = (".txt", ".json")
_NO_DATA = re.compile(
    r"(readme|licen[cs]e|notice|changelog)\b.*|(dataset_infos?|dataset_dict|config|state)\.json", re.IGNORECASE
)
# The words that tell `load_dataset` a split.
_SPLIT = re.compile(
    r"(?<![a-z])(?:(?P<train>train(?:ing)?)|(?P<validation>valid(?:ation)?|val|dev)"
    r"|(?P<test>test(?:ing)?|eval(?:uation)?))(?![a-z])",
    re.IGNORECASE,
)
HUB_ID = re.compile(r"^[\w-][\w.-]*(/[\w-][\w.-]*)?$")


def kind_of(path: str | Path) -> str | None:
    """The one of `SUFFIXES` that a file is, by its name in any case, packed or not; None where it is none of them."""
    stem, suffix = os.path.splitext(Path(path).name.lower())
    if suffix in PACKED:
        suffix = os.path.splitext(stem)[1]
    kind = _SAME.get(suffix, suffix)
    return kind if kind in SUFFIXES else None


def is_hub_id(source: str | Path) -> bool:
    """Whether `source` is the id of a dataset on the Hub: nothing local, and no file by its name."""
    return HUB_ID.match(str(source)) is not None and not Path(source).exists() and kind_of(source) is None


def check_name(path: Path) -> None:
    """An `InputError` if the name of a file is not UTF-8: no record or card could name it."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{os.fsencode(path)!r}: its name is not UTF-8; rename it") from error


def table_files(folder: Path) -> list[Path]:
    """The tables that lie in `folder` itself, sorted; hidden files (`.x`, `_x`, `~$x`) are none."""
    return sorted(
        path for path in folder.glob("*") if kind_of(path) and not path.name.startswith(_HIDDEN) and path.is_file()
    )


def has_tables(folder: Path) -> bool:
    """Whether a table lies in a folder or in one below it."""
    return any(map(kind_of, _shown_files(folder)))


def files_by_split(folder: Path) -> dict[str | None, list[Path]]:
    """The tables of a folder by split, in their order; under None alone where no name tells a split.

    They lie in the folder itself or, where it has none, in folders below. A split is told by the name of the file, else
    by that of a folder between. It is said which files are left out.

    Raises:
        InputError: a split has tables of several kinds, or one file packed and unpacked.
    """
    files = sorted(_shown_files(folder))
    tables = [path for path in files if kind_of(path)]
    tables = [path for path in tables if path.parent == folder] or tables
    tables = [path for path in tables if not path.name.lower().endswith(_BESIDE)] or tables
    parts: dict[str | None, list[Path]] = {}
    for path in tables:
        check_name(path)
        parts.setdefault(_split_of(path.relative_to(folder)), []).append(path)
    parts = {split: paths for split, paths in parts.items() if split is not None or len(parts) == 1}
    for paths in parts.values():
        _check_alike(folder, paths)
    used = [path for paths in parts.values() for path in paths]
    out = [path for path in files if path not in used and (kind_of(path) or path.name.lower().endswith(_OTHER))]
    if used and out:
        left, read = ([path.relative_to(folder) for path in paths] for paths in (out, used))
        note_once(f"{folder}: {_listed(left)} left out; what is read is {_listed(read)}")
    return parts


def _shown_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(_HIDDEN) for part in path.relative_to(folder).parts)
        if not hidden and not _NO_DATA.fullmatch(path.name) and path.is_file():
            yield path


def _split_of(path: Path) -> str | None:
    found = next(filter(None, map(_SPLIT.search, [path.name, *map(str, reversed(path.parent.parts))])), None)
    return found.lastgroup if found else None


def _check_alike(folder: Path, paths: list[Path]) -> None:
    kinds: dict[str | None, Path] = {}
    names: dict[Path, Path] = {}
    for path in paths:
        kinds.setdefault(kind_of(path), path)
        unpacked = path.with_suffix("") if path.suffix.lower() in PACKED else path
        if (other := names.setdefault(unpacked, path)) != path:
            raise InputError(f"{folder}: has one table twice, {other.name} and {path.name}; leave one of them")
    if len(kinds) > 1:
        shown = " and ".join(str(path.relative_to(folder)) for path in kinds.values())
        raise InputError(f"{folder}: holds tables of several kinds, {shown}; give one file, or a folder of one kind")


def _listed(names: Sequence[Path], most: int = 3) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
