"""Which files of a folder are published, and as what: no pickle, no token, no path of this machine."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from fsspec.utils import glob_translate
from huggingface_hub import RepoFile
from huggingface_hub.repocard import metadata_load

from hf_xling.errors import InputError
from hf_xling.hub.names import model_name
from hf_xling.places import data_patterns
from hf_xling.runs import RUN_FILE, file_hash, read_run

logger = logging.getLogger(__name__)

Kind = Literal["dataset", "model"]
PLACEHOLDER = "org/name"  # what the card of a model without a name calls it
README = "README.md"
ENSEMBLE_FILE = "ensemble.json"  # names the folders of its members
MODULES_FILE = "modules.json"  # names the folders of what sentence-transformers puts behind the encoder
# An allow list, and not only by what is known to be harmful: a folder may hold anything. JSON goes by name alone, as
# tools keep their logins and logs in it too.
_BESIDE = {README, *(f"{name}{suffix}" for name in ("LICENSE", "NOTICE") for suffix in ("", ".md", ".txt"))}
_JSON = (
    *("config", "generation_config", "adapter_config", "modules", "sentence_bert_config"),
    *("config_sentence_transformers", r"tokenizer\w*", "special_tokens_map", "added_tokens", "vocab"),
    *(r"\w+_results", "hf_xling", "hf_xling_lineage", "ensemble", r"[\w.-]+\.safetensors\.index"),
)
_OF_MODEL = re.compile(rf"(?:{'|'.join(_JSON)})\.json|.+\.(?:safetensors|jinja|model)|vocab\.txt|merges\.txt")
_PICTURES = {"dataset": "audit/audit.png", "model": "training.png"}  # which a card shows
_RESULTS = re.compile(r"\.eval_results/[^/]+\.yaml")  # where the Hub looks for what was measured of a model
_PICKLES = {".bin", ".pt", ".pth", ".pkl"}
_ADAPTER = "adapter_config.json"
Content = Path | bytes


def contents(folder: Path, kind: Kind, repo_id: str) -> dict[str, Content]:
    """What of `folder` is published as `repo_id`, by its path there: files, or bytes where they differ from the file.

    Of a dataset that is the Parquet that its card names (all, where it names none), of a model its weights, tokenizer,
    settings and results, in the folder itself and in those that its `modules.json` and `ensemble.json` name; of both
    the card and a licence. What a run keeps for itself (hidden files, `_run.*`, checkpoints), pickles and JSON of other
    names are none of it. Cards call it `repo_id`; an adapter tells its base by name.

    Raises:
        InputError: there is nothing to publish, the run in the folder is not finished or its record bars publishing,
            or a file that names others is damaged.
    """
    run = read_run(folder)
    if run is not None and run.get("barred"):
        raise InputError(f"{folder}: {run['barred']}")
    if run is not None and not run["finished"]:
        raise InputError(f"{folder}: holds a run that is not finished")
    belongs = _parts_of_model(folder) if kind == "model" else _parts_of_dataset(folder)
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    parts = {name for name in files if _written(name, kind) and belongs(PurePosixPath(name))}
    results = {name for name in files if kind == "model" and is_result(name)}
    found: dict[str, Content] = {name: files[name] for name in files if name in _BESIDE | parts | results}
    if not parts - {_PICTURES[kind]}:
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
    return _written(path, kind) or (kind == "model" and PurePosixPath(path).suffix in _PICKLES)


def is_result(path: str) -> bool:
    """Whether a file tells the Hub what was measured of a model; others may have measured it too."""
    return _RESULTS.fullmatch(path) is not None


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
    """Whether a file is by its name one of those that a dataset or a model consists of."""
    parts = PurePosixPath(path).parts
    if any(part.startswith((".", "_", "checkpoint-")) for part in parts):
        return False
    if path == _PICTURES[kind]:
        return True
    return path.endswith(".parquet") if kind == "dataset" else _OF_MODEL.fullmatch(parts[-1]) is not None


def _parts_of_model(folder: Path) -> Callable[[PurePosixPath], bool]:
    """Whether a file lies where the model in `folder` has its own: there, in its modules, in its members and theirs."""
    models = [PurePosixPath(), *_named(folder / ENSEMBLE_FILE, "members", lambda told: told["members"])]
    places = set(models)
    for model in models:
        modules = _named(folder / model / MODULES_FILE, "modules", lambda told: [module["path"] for module in told])
        places.update(model / module for module in modules)
    return lambda name: name.parent in places


def _named(path: Path, what: str, folders: Callable[[Any], Iterable[str]]) -> list[PurePosixPath]:
    """The folders that the JSON at `path` names; none where there is no such file."""
    if not path.is_file():
        return []
    try:
        return [PurePosixPath(name) for name in folders(json.loads(path.read_text(encoding="utf-8")))]
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: is damaged; it has to name the folders of its {what}") from error


def _parts_of_dataset(folder: Path) -> Callable[[PurePosixPath], bool]:
    """Whether the card in `folder` names a file as data, as `load_dataset` reads it; without a word of it, any may be.

    Folders that hold a run of their own are none of the dataset.
    """
    others = {path.parent.relative_to(folder) for path in folder.rglob(RUN_FILE)} - {Path()}
    card = folder / README
    try:
        front = (metadata_load(card) if card.exists() else None) or {}
        patterns = data_patterns(front)
        if not patterns and any("data_files" in config for config in front.get("configs") or ()):
            raise ValueError("data_files of another form")
        named = [re.compile(glob_translate(PurePosixPath(pattern).as_posix())) for pattern in patterns]
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{card}: its front matter names no data_files that can be read") from error

    def belongs(name: PurePosixPath) -> bool:
        is_named = not named or any(pattern.match(str(name)) for pattern in named)
        return (is_named or str(name) == _PICTURES["dataset"]) and others.isdisjoint(Path(name).parents)

    return belongs


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
