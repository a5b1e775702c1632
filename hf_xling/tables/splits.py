"""Splits and configs of dataset folders and Hub datasets, and loading one of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_xling.console import note_once
from hf_xling.errors import InputError, one_line
from hf_xling.tables.files import files_by_split, has_tables, is_hub_id
from hf_xling.tables.table import Table

SPLITS = ("train", "validation", "test")
# Other names of them, the most certain first. `load_dataset` takes `eval` for a test split; here one called `test` is.
_ALIASES = {
    "train": ("train", "training"),
    "test": ("test", "testing", "test_matched", "devtest", "eval", "evaluation", "test_mismatched"),
    "validation": (
        *("validation", "valid", "val", "dev", "development", "validation_matched", "dev_matched"),
        *("eval", "evaluation", "validation_mismatched", "dev_mismatched"),
    ),
}


def split_names(source: str, config: str | None = None) -> list[str] | None:
    """The splits of a dataset folder or Hub dataset; None for a file, or a folder that is one table in parts.

    Raises:
        InputError: it cannot be loaded as a dataset.
    """
    if Path(source).is_dir() and not loads_as_dataset(Path(source)):
        parts = files_by_split(Path(source))
        return None if None in parts else [split for split in SPLITS if split in parts]
    if not Path(source).is_dir() and not is_hub_id(source):
        return None
    from datasets import get_dataset_split_names

    with loading(source, config) as options:
        return list(get_dataset_split_names(**options))


def named_splits(source: str, config: str | None = None) -> dict[str, str] | None:
    """Those of `SPLITS` that `source` has, in that order, with the names that it gives them; None as for `split_names`.

    `dev` is a validation split, for one. It is said which splits are taken by another name and which are left out.
    """
    names = split_names(source, config)
    if names is None:
        return None
    found = known_splits(names)
    renamed = [f"`{name}` is its {split} split" for split, name in found.items() if split != name]
    left = [f"`{name}` is left out" for name in names if name not in found.values()]
    if found and (renamed or left):
        note_once(f"{source}: {', '.join([*renamed, *left])}")
    return found


def known_splits(names: Iterable[str]) -> dict[str, str]:
    """Those of `SPLITS` that are among the `names` of a source's splits, by themselves or by another name."""
    left, found = list(names), {}
    for split, aliases in _ALIASES.items():
        own = {name.lower(): name for name in reversed(left)}
        if name := next((own[alias] for alias in aliases if alias in own), None):
            found[split] = name
            left.remove(name)
    return {split: found[split] for split in SPLITS if split in found}


def own_name(split: str, names: list[str], source: str) -> str:
    """What a source with splits of these `names` calls `split`; an `InputError` if it has no such split."""
    name = split if split in names else known_splits(names).get(split)
    # A slice or sum is for `load_dataset` to read, and where it finds no split, it says why.
    if name is None and names and not {"[", "+"} & set(split):
        raise InputError(f"{source}: cannot be loaded: has no split `{split}`; its splits are {', '.join(names)}")
    return name or split


def loads_as_dataset(folder: Path) -> bool:
    """Whether `load_dataset` reads a folder, and not this package: its card says what its data are, or it has no table
    of a kind that is known here."""
    import yaml
    from huggingface_hub import metadata_load

    try:
        card = metadata_load(folder / "README.md") if (folder / "README.md").is_file() else None
    except (ValueError, yaml.YAMLError):  # `load_dataset` says what is wrong with it
        return True
    declared = isinstance(card, dict) and "configs" in card
    return declared or (folder / ".huggingface.yaml").is_file() or not has_tables(folder)


def dataset_table(source: str, config: str | None, split: str, rows: int) -> Iterator[Table]:
    """The blocks of one split as `load_dataset` reads it."""
    from datasets import ClassLabel, get_dataset_split_names, load_dataset

    with loading(source, config) as options:
        name = own_name(split, get_dataset_split_names(**options), source)
        dataset = load_dataset(options.pop("path"), options.pop("config_name"), split=name, **options)
        classes = {name: kind.names for name, kind in dataset.features.items() if isinstance(kind, ClassLabel)}
        for start in range(0, max(len(dataset), 1), rows):
            yield Table(source, dataset[start : start + rows], start=start, class_names=classes)


@contextmanager
def loading(source: str, config: str | None) -> Iterator[dict[str, Any]]:
    """The arguments with which `datasets` finds `source`; what it raises becomes one `InputError`.

    The cache of `datasets` knows a folder with a card by its last name and that card alone, and would give out the rows
    of another folder of that name, or yesterday's of this one. So a folder gets a cache of its own; and as `datasets`
    takes `[1]` in a path for a pattern, it is shown links to the files in a folder with a plain name.
    """
    with tempfile.TemporaryDirectory(prefix="hf_xling-") as aside:
        options: dict[str, Any] = {"path": source, "config_name": config}
        try:
            if Path(source).is_dir():
                options |= {"path": _links(Path(source), Path(aside) / "data"), "cache_dir": f"{aside}/cache"}
            yield options
        except (InputError, GeneratorExit):
            raise
        except Exception as error:  # datasets, huggingface_hub and pyarrow each raise their own kinds
            raise InputError(_explained(source, options, config, error)) from error


def _links(folder: Path, into: Path) -> str:
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("._"):
            place = into / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(path.resolve(), place)
    into.mkdir(exist_ok=True)
    return str(into)


def _explained(source: str, options: dict[str, Any], config: str | None, error: Exception) -> str:
    from datasets import get_dataset_config_names

    if isinstance(error, ValueError):
        try:
            configs = get_dataset_config_names(options["path"])
        except Exception:  # what `error` says is the cause
            configs = []
        if config is None and len(configs) > 1:
            return f"{source}: has several configs; --dataset_config names one of {', '.join(configs)}"
        if configs and config not in (None, *configs):
            return f"{source}: has no config `{config}`; its configs are {', '.join(configs)}"
    said = one_line(str(error).replace(str(options.get("path")), source))
    return f"{source}: cannot be loaded as a dataset ({type(error).__name__}: {said})"
