"""Run folders: files that appear whole or not at all, and a record of what a folder is for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_xling.errors import InputError

# The underscore keeps it out of uploads by Trainer and out of the files that `load_dataset` finds.
RUN_FILE = "_run.json"


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
    """The SHA-256 of a file, or of the names and contents of the files in a folder, in hexadecimal."""
    path = Path(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(str(file.relative_to(path)).encode() if file != path else b"")
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def content_hash(source: str | Path | None) -> str | None:
    """`file_hash` of what lies at `source`; None for a dataset on the Hub, which its revision names."""
    return file_hash(source) if source is not None and Path(source).exists() else None


def claim(folder: str | Path, command: str, arguments: Mapping[str, Any]) -> bool:
    """Take `folder` as the output of `command` with `arguments`; return whether that very run is already finished.

    An empty or missing folder is claimed by writing its `_run.json`, and so is one in which another run has written
    nothing else (it failed at its start). The folder of the same run is taken up again.

    Raises:
        InputError: the folder holds another run (the message names a field that differs) or files of another kind.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output_dir {folder}: is a file, not a folder")
    arguments = _flat(json.loads(json.dumps(arguments, default=str)))
    known = read_run(folder)
    contents = (
        [name for name in folder.iterdir() if name.name[0] != "." and name.name != RUN_FILE] if folder.is_dir() else []
    )
    if known is None or not (contents or known["finished"]):
        if contents:
            raise InputError(
                f"--output_dir {folder}: is not empty and holds no run of `{command}`; choose another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RUN_FILE, {"command": command, "arguments": arguments, "finished": False})
        return False
    if known["command"] != command:
        raise InputError(f"--output_dir {folder}: holds a run of `{known['command']}`; choose another folder")
    for name in sorted(known["arguments"].keys() | arguments.keys()):
        before, now = (repr(given[name]) if name in given else "not given" for given in (known["arguments"], arguments))
        if before != now:
            raise InputError(
                f"--output_dir {folder}: holds another run ({name} was {before}, is now {now}); "
                "choose another folder, or delete this one"
            )
    return bool(known["finished"])


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def last_checkpoint(folder: str | Path) -> str | None:
    """The newest whole `checkpoint-N` of a Trainer in `folder`; Trainer writes `trainer_state.json` into it last."""
    whole = [path.parent for path in Path(folder).glob("checkpoint-*/trainer_state.json") if _is_json(path)]
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


def finish(folder: str | Path, **facts: Any) -> None:
    """Record that the run in `folder` is finished, with what the next stage needs to know of it."""
    run = read_run(folder)
    assert run is not None, f"{folder} was not claimed"
    write_json(Path(folder) / RUN_FILE, {**run, "finished": True, **facts})
