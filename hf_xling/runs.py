"""Run folders: files that appear whole or not at all, and a record of what a folder is for."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hf_xling.errors import InputError

logger = logging.getLogger(__name__)

# The underscore keeps it out of uploads by Trainer and out of the files that `load_dataset` finds.
RUN_FILE = "_run.json"
LOCK_FILE = "_run.lock"
STATE_FILE = "trainer_state.json"  # of a Trainer, in each checkpoint and beside the finished model
LONGEST_WAIT = 120.0  # seconds for another process to leave a run folder

_HELD: dict[Path, FileLock] = {}  # the run folders that this process works in


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or folder to; it takes the place of `path` when the block ends well.

    The new content is on disk before the rename. If the block raises, `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield aside
        for file in [aside, *aside.rglob("*")] if aside.is_dir() else [aside]:
            if file.is_file():
                with open(file, "rb") as stream:
                    os.fsync(stream.fileno())
        if aside.is_dir() and path.is_dir():
            old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
            path.rename(old)
            aside.rename(path)
            shutil.rmtree(old)
        else:
            aside.replace(path)
    finally:
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, aside and renamed."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON, aside and renamed."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def file_hash(path: str | Path) -> str:
    """The SHA-256 of a file, or of the names and contents of the files in a folder, in hexadecimal.

    What a run keeps for itself in its folder (hidden files, `_run.*`, checkpoints to resume from) is left out.
    """
    path = Path(path)
    if not path.is_dir():
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        own = any(part.startswith((".", "_run.", "checkpoint-")) for part in file.relative_to(path).parts)
        if file.is_file() and not own:
            digest.update(f"{file.relative_to(path)}\0{file_hash(file)}\0".encode())
    return digest.hexdigest()


def content_hash(source: str | Path | None) -> str | None:
    """`file_hash` of what lies at `source`; None for a dataset on the Hub, which its revision names."""
    return file_hash(source) if source is not None and Path(source).exists() else None


def by_content(fields: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """`fields` with the path in each field of `names` replaced by the hash of what lies there.

    So the same files make the same run however their paths are spelled, and changed files make another. What is no
    local path (a name on the Hub) stays.
    """
    found = {name: content_hash(fields.get(name)) for name in names}
    return {**fields, **{name: f"sha256:{digest}" for name, digest in found.items() if digest is not None}}


def is_finished(folder: str | Path, command: str, arguments: Mapping[str, Any]) -> bool:
    """Whether `folder` holds this very run, finished. Writes nothing.

    Raises:
        InputError: the folder holds another run, as for `claim`.
    """
    _refuse_other_run(Path(folder), command, _flat(json.loads(json.dumps(arguments, default=str))))
    known = read_run(folder)
    return known is not None and known["finished"]


def claim(folder: str | Path, command: str, arguments: Mapping[str, Any]) -> bool:
    """Take `folder` as the output of `command` with `arguments`; return whether that very run is already finished.

    An empty or missing folder is claimed by writing its `_run.json`, and so is one in which another run has written
    nothing else (it failed at its start). The folder of the same run is taken up again. Other processes are kept out
    until this one finishes the run or ends; if one is at work there (as the training of a launcher that was killed may
    be), it is waited for.

    Raises:
        InputError: the folder holds another run (the message names a field that differs) or files of another kind, or
            another process does not leave it; or it cannot be written.
    """
    folder = Path(folder)
    arguments = _flat(json.loads(json.dumps(arguments, default=str)))
    try:
        _refuse_other_run(folder, command, arguments)
        folder.mkdir(parents=True, exist_ok=True)
        _keep_others_out(folder)
        known = read_run(folder)
        if known is None or not (known["finished"] or _contents(folder)):
            write_json(folder / RUN_FILE, {"command": command, "arguments": arguments, "finished": False})
            return False
    except OSError as error:
        raise InputError(f"--output_dir {folder}: cannot be written: {error.strerror or error}") from error
    return bool(known["finished"])


def _refuse_other_run(folder: Path, command: str, arguments: Mapping[str, Any]) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output_dir {folder}: is a file, not a folder")
    known = read_run(folder)
    if known is None and _contents(folder):
        raise InputError(f"--output_dir {folder}: is not empty and holds no run of `{command}`; choose another folder")
    if known is None or not (known["finished"] or _contents(folder)):
        return
    if known["command"] != command:
        raise InputError(f"--output_dir {folder}: holds a run of `{known['command']}`; choose another folder")
    for name in sorted(known["arguments"].keys() | arguments.keys()):
        before, now = (repr(given[name]) if name in given else "not given" for given in (known["arguments"], arguments))
        if before != now:
            raise InputError(
                f"--output_dir {folder}: holds another run ({name} was {before}, is now {now}); choose another folder"
            )


def _contents(folder: Path) -> list[Path]:
    """What lies in `folder` beside the record of a run and hidden files."""
    there = folder.iterdir() if folder.is_dir() else ()
    return [path for path in there if path.name[0] != "." and path.name not in (RUN_FILE, LOCK_FILE)]


def _keep_others_out(folder: Path) -> None:
    if int(os.environ.get("RANK", "0")) != 0 or folder.resolve() in _HELD:
        return  # the processes of one launch share a folder; the first of them holds it
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("%s: another process is at work there; waiting for it", folder)
        try:
            lock.acquire(timeout=LONGEST_WAIT)
        except Timeout as error:
            raise InputError(f"--output_dir {folder}: another process is at work there") from error
    _HELD[folder.resolve()] = lock


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def last_checkpoint(folder: str | Path) -> str | None:
    """The newest whole `checkpoint-N` of a Trainer in `folder`; Trainer writes `STATE_FILE` into it last."""
    whole = [path.parent for path in Path(folder).glob(f"checkpoint-*/{STATE_FILE}") if _is_json(path)]
    return str(max(whole, key=lambda path: int(path.name.split("-")[1]))) if whole else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def read_run(folder: str | Path) -> dict[str, Any] | None:
    """The record of the run in `folder`, or None where there is none."""
    try:
        run = json.loads((Path(folder) / RUN_FILE).read_text(encoding="utf-8"))
        if not isinstance(run, dict) or not {"command", "arguments", "finished"} <= run.keys():
            raise ValueError("not the record of a run")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise InputError(f"{folder}/{RUN_FILE}: is damaged ({error}); choose another folder") from error
    return run


def reopen(folder: str | Path) -> None:
    """Record that the run in `folder` is not finished: what it wrote is about to be replaced."""
    _record(folder, finished=False)


def finish(folder: str | Path, **facts: Any) -> None:
    """Record that the run in `folder` is finished, with what the next stage needs to know of it."""
    _record(folder, finished=True, **facts)
    if (lock := _HELD.pop(Path(folder).resolve(), None)) is not None:
        lock.release()


def _record(folder: str | Path, **facts: Any) -> None:
    run = read_run(folder)
    assert run is not None, f"{folder} was not claimed"
    write_json(Path(folder) / RUN_FILE, {**run, **facts})
