"""Which files of a folder are published, and as what: no pickle, no token, no path of this machine."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path, PurePosixPath
from typing import Literal

from huggingface_hub import RepoFile

from hf_xling.errors import InputError
from hf_xling.hub.names import model_name
from hf_xling.runs import RUN_FILE, file_hash, read_run

logger = logging.getLogger(__name__)

Kind = Literal["dataset", "model"]
PLACEHOLDER = "org/name"  # what the card of a model without a name calls it
README = "README.md"
ENSEMBLE_FILE = "ensemble.json"  # names the folders of its members
# An allow list, and not only by what is known to be harmful: a folder may hold anything.
_BESIDE = {README, *(f"{name}{suffix}" for name in ("LICENSE", "NOTICE") for suffix in ("", ".md", ".txt"))}
_SUFFIXES = {"dataset": {".parquet"}, "model": {".safetensors", ".json", ".jinja", ".model"}}
_NAMES = {"dataset": {"audit.png"}, "model": {"vocab.txt", "merges.txt"}}  # the card shows the picture
_RESULTS = re.compile(r"\.eval_results/[^/]+\.yaml")  # where the Hub looks for what was measured of a model
_OF_TRAINING = "trainer_state.json"  # nobody needs it, and it tells of this machine
_PICKLES = {".bin", ".pt", ".pth", ".pkl"}
_ADAPTER = "adapter_config.json"
Content = Path | bytes


def contents(folder: Path, kind: Kind, repo_id: str) -> dict[str, Content]:
    """What of `folder` is published as `repo_id`, by its path there: files, or bytes where they differ from the file.

    Of a dataset that is its Parquet, of a model its weights, tokenizer, settings and results, of both the card and a
    licence. What a run keeps for itself (hidden files, `_run.*`, checkpoints) and pickles are none of it. Cards call it
    `repo_id`; an adapter tells its base by name.

    Raises:
        InputError: there is nothing to publish, or the run in the folder is not finished.
    """
    run = read_run(folder)
    if run is not None and not run["finished"]:
        raise InputError(f"{folder}: holds a run that is not finished")
    others = _other_runs(folder)
    found: dict[str, Content] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        beside = name in _BESIDE or (kind == "model" and _RESULTS.fullmatch(name))
        if path.is_file() and (beside or _written(name, kind)) and others.isdisjoint(path.parents):
            found[name] = path
    if not any(_written(name, kind) for name in found):
        raise InputError(f"{folder}: holds no {'Parquet' if kind == 'dataset' else 'model'} to publish")
    if README in found:
        called, text = (run or {}).get("repo_id") or PLACEHOLDER, (folder / README).read_text(encoding="utf-8")
        if "/" in called:  # a bare name may be any word
            text = re.sub(rf"(?<![\w.-]){re.escape(called)}(?![\w/-]|\.\w)", repo_id, text)
        found[README] = text.encode()
    for name in [name for name in found if PurePosixPath(name).name == _ADAPTER]:
        found[name] = _adapter_config(folder / name)
    return found


def is_stale(path: str, kind: Kind) -> bool:
    """Whether a file of the repository that the folder has not is left of what was there before.

    Of such files are those that would still be read as data or as a model; what others put beside them stays.
    """
    return _written(path, kind) or (kind == "model" and _suffix(path) in _PICKLES)


def is_same(there: RepoFile | None, content: Content) -> bool:
    """Whether the file in the repository holds `content` already."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if there is None or size != (there.size if there.lfs is None else there.lfs.size):
        return False
    if there.lfs is None:  # git's own id of a blob
        data = content if isinstance(content, bytes) else content.read_bytes()
        return hashlib.sha1(f"blob {size}\0".encode() + data).hexdigest() == there.blob_id
    digest = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else file_hash(content)
    return digest == there.lfs.sha256


def _written(path: str, kind: Kind) -> bool:
    """Whether a file is one of those that a dataset or a model consists of."""
    parts = PurePosixPath(path).parts
    if any(part.startswith((".", "_", "checkpoint-")) for part in parts) or parts[-1] == _OF_TRAINING:
        return False
    return _suffix(path) in _SUFFIXES[kind] or parts[-1] in _NAMES[kind]


def _other_runs(folder: Path) -> set[Path]:
    """Folders inside of `folder` that hold a run of their own, and no member of the ensemble that it may be."""
    runs, ensemble = {path.parent for path in folder.rglob(RUN_FILE)} - {folder}, folder / ENSEMBLE_FILE
    members = json.loads(ensemble.read_text(encoding="utf-8"))["members"] if ensemble.exists() else []
    return runs - {folder / member for member in members}


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix


def _adapter_config(path: Path) -> Content:
    config = json.loads(path.read_text(encoding="utf-8"))
    base = config.get("base_model_name_or_path")
    name = Path(base).resolve().name if base and Path(base).exists() else model_name(base)
    if name == base:
        return path
    logger.warning(
        "%s: its base, %s, is a folder of this machine: push that too, and train the adapter from its name on the Hub, "
        "or nobody else can load it",
        *(path.parent, name),
    )
    return (json.dumps({**config, "base_model_name_or_path": name}, indent=2, sort_keys=True) + "\n").encode()
