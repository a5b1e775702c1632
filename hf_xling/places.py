"""Where a dataset or checkpoint lies, and what its card states: for every stage that reads or hands on one."""

from __future__ import annotations

import fnmatch
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from hf_xling.errors import one_line
from hf_xling.folding import has_text
from hf_xling.runs import content_hash
from hf_xling.tables import HUB_ID, is_hub_id

logger = logging.getLogger(__name__)

README = "README.md"
STATED = ("license", "license_name", "license_link", "terms", "citation")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ENTRY_OR_BRACE = re.compile(
    r"(?P<entry>(?P<line>^[ \t]*)?(?<!\w)@[A-Za-z]+\s*\{(?=[^{},=]{0,200},))|[{}]", re.MULTILINE
)
_FOLDERS_UP = 4  # from a file to the card of its dataset: `data/LANGUAGE/SPLIT/` is usual
_LONGEST = 4000  # characters of a citation that is handed on


class DatasetCard(NamedTuple):
    """What was found of a dataset.

    Attributes:
        place: its `name`, `revision` and `sha256`, as of `place_of`.
        front: the front matter of its card; empty where there is none.
        stated: the fields of `STATED` that say something.
        unread: whether the Hub did not give it out.
    """

    place: dict[str, str | None]
    front: dict[str, Any]
    stated: dict[str, str]
    unread: bool = False


def read_dataset_card(source: str) -> DatasetCard:
    """The card of a dataset, on the Hub or local (`local_card`); of one that cannot be read a warning is given."""
    if not is_hub_id(source):
        return DatasetCard(place_of(source), *_read(local_card(source)))
    try:
        path = hub_file(source, README, kind="dataset")
    except (OSError, ValueError) as error:  # the rows came from a cache, and the Hub does not answer
        said = "%s: its card cannot be read now (%s): its licence and terms are taken as not stated"
        logger.warning(said, source, type(error).__name__)
        return DatasetCard(place_of(source), {}, {}, unread=True)
    info = _info(source)
    # Its folder in the cache has the name of the commit.
    return DatasetCard(place_of(source, path.parent.name if path else getattr(info, "sha", None)), *_read(path, info))


def _info(source: str) -> Any:
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(source)
    except (OSError, ValueError):  # its files are in the cache
        return None


def _read(path: Path | None, info: Any = None) -> tuple[dict[str, Any], dict[str, str]]:
    """The front matter of the card at `path`, and what it states."""
    front = card_of(path)
    asked = next(iter(texts(front.get("extra_gated_prompt")) + texts(front.get("extra_gated_heading"))), None)
    asked = asked or ("who reads it has to ask for access" if getattr(info, "gated", False) else None)
    body = path.read_text(encoding="utf-8", errors="replace") if path is not None else ""
    cited = "\n\n".join(entry.replace("`", "'") for entry in _bibtex(body))
    stated = {**license_of(front), "terms": asked and one_line(asked), "citation": cited[:_LONGEST]}
    return front, {name: value for name, value in stated.items() if value}


def _bibtex(body: str) -> list[str]:
    """The entries of BibTeX in a text, each up to the brace that closes it; one without that ends where a line begins
    the next, and is left out."""
    entries, start, depth = [], 0, 0
    for found in _ENTRY_OR_BRACE.finditer(body):
        if found["entry"] and (not depth or found["line"] is not None):
            start, depth = found.start() + len(found["line"] or ""), 1
        elif depth:
            depth += -1 if found[0] == "}" else 1
            if not depth:
                entries.append(body[start : found.end()])
    return entries


def texts(value: Any) -> tuple[str, ...]:
    """The texts in a field of a card, which may be one or several, or something else."""
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else ()
    return tuple(dict.fromkeys(filter(has_text, values)))


def card_of(path: Path | None) -> dict[str, Any]:
    """The front matter of a card, which anybody may have written; empty where there is none."""
    from huggingface_hub import metadata_load

    try:
        card = metadata_load(path) if path is not None else None
    except (ValueError, yaml.YAMLError):
        card = None
    return card if isinstance(card, dict) else {}


def local_card(source: str) -> Path | None:
    """The card of a local folder, or of the dataset that a local folder or file is a part of; None where there is none.

    A card speaks for the files that its `configs` name and, where it has none, for all below it, as on the Hub. Such a
    one is the nearest README, a few folders further up at most, and within the repository.
    """
    own = Path(source) / README
    if own.is_file() and card_of(own):
        return own
    for path in dict.fromkeys((Path(os.path.abspath(source)), Path(source).resolve())):  # in a cache files are links
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        is_nearest = not own.is_file()
        for folder in path.parents[:_FOLDERS_UP]:
            if (folder / README).is_file():
                card = card_of(folder / README)
                if "configs" in card:
                    speaks = _names_one(card, [file.relative_to(folder).as_posix() for file in files])
                else:
                    speaks = is_nearest and bool(card)
                if speaks:
                    return folder / README
                is_nearest = False
            if (folder / ".git").exists():
                break
    return own if own.is_file() else None


def _names_one(card: Mapping[str, Any], files: Sequence[str]) -> bool:
    # In fnmatch `*` goes over slashes too: of a card it is better to find too much than too little.
    patterns = (pattern.removeprefix("./").replace("**/", "*") for pattern in data_patterns(card))
    return any(fnmatch.filter(files, pattern) for pattern in patterns)


def data_patterns(card: Mapping[str, Any]) -> list[str]:
    """The patterns of all files that the front matter of a dataset card names as data, in the forms that `load_dataset`
    takes; of what is in no such form, as anybody may have written it, there are none."""
    configs = card.get("configs")
    return [
        pattern
        for config in (configs if isinstance(configs, list) else ())
        if isinstance(config, dict)
        for pattern in _patterns(config.get("data_files") or _below(config.get("data_dir")))
    ]


def _below(folder: Any) -> str | None:
    return f"{folder.rstrip('/')}/**" if isinstance(folder, str) else None


def _patterns(data_files: Any) -> list[str]:
    """Those in `data_files`, which may be one, a list, or given by split."""
    if isinstance(data_files, str):
        return [data_files]
    if isinstance(data_files, dict):
        data_files = [data_files["path"]] if "path" in data_files else list(data_files.values())
    return [pattern for each in data_files for pattern in _patterns(each)] if isinstance(data_files, list) else []


def license_of(card: Mapping[str, Any]) -> dict[str, str | None]:
    """The fields `license`, `license_name` and `license_link` of a card."""
    named = {name: next(iter(texts(card.get(name))), None) for name in ("license_name", "license_link")}
    licenses = [license for license in texts(card.get("license")) if license != "unknown"]
    if len(licenses) > 1:
        return {"license": "other", **named, "license_name": "-and-".join(licenses)}
    return {"license": next(iter(licenses), None), **named}


def place_of(name: str, commit: str | None = None) -> dict[str, str | None]:
    """`name`, `revision`, `sha256` of what lies in a file or folder or on the Hub, with no path of this machine."""
    if not name:
        return {"name": "a model that was given in Python", "revision": None, "sha256": None}
    if Path(name).exists():
        return {"name": Path(name).resolve().name, "revision": None, "sha256": content_hash(name)}
    if not HUB_ID.match(name):  # such as the path of a folder that is gone: it must not pass for an id
        name = f"{one_line(Path(name).name, 80)} (no longer there)"
    return {"name": name, "revision": commit if _COMMIT.fullmatch(commit or "") else None, "sha256": None}


def hub_file(
    name: str, file: str, revision: str | None = None, kind: Literal["model", "dataset"] = "model"
) -> Path | None:
    """A file of the model or dataset `name`, a folder or on the Hub; None where that has no such file.

    What was just loaded from the Hub is in its cache, at the commit that was loaded.

    Raises:
        OSError, ValueError: it cannot be found out.
    """
    from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import RemoteEntryNotFoundError

    if not name or Path(name).exists() or not HUB_ID.match(name):
        path = Path(name) / file
        return path if name and path.is_file() else None
    cached = try_to_load_from_cache(name, file, revision=revision, repo_type=kind)
    if cached is _CACHED_NO_EXIST:
        return None
    try:
        return Path(cached or hf_hub_download(name, file, revision=revision, repo_type=kind))
    except RemoteEntryNotFoundError:
        return None
