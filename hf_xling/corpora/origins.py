"""Where a corpus or checkpoint comes from: its commit on the Hub or its hash, what its card states, who wrote in it."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from hf_xling.corpora.cards import lineage_of
from hf_xling.corpora.generated import Generation
from hf_xling.corpora.generators import WRITTEN_BY, Generator, from_card, run_generator, texts, writers
from hf_xling.corpora.terms import SOURCES, find_terms, known_names
from hf_xling.errors import one_line
from hf_xling.hub.contents import README, data_patterns
from hf_xling.runs import content_hash
from hf_xling.tables import HUB_ID, dataset_id

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Corpus:
    """Rows that a model was trained on or measured with.

    Attributes:
        name: its id on the Hub, or the name of the local file or folder.
        revision: its commit on the Hub.
        sha256: of what is local; None of what is on the Hub.
        config, split: which part of it.
        rows: how many, by what they were used for: `train`, `validation`, `test`, `similarity`.
        sources: names of what it was made from; itself where there is nothing else.
        generators: the models that wrote in it.
        languages: of its texts.
        license, license_name, license_link: what its own card states.
        questions: what is not certain of this.
    """

    name: str
    revision: str | None = None
    sha256: str | None = None
    config: str | None = None
    split: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    generators: tuple[Generator, ...] = ()
    languages: tuple[str, ...] = ()
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    questions: tuple[str, ...] = ()


def corpus_of(
    source: str | None,
    rows: Mapping[str, int],
    columns: Mapping[str, Sequence[Any]],
    config: str | None = None,
    split: str | None = None,
) -> Corpus:
    """What can be told of a corpus that was just read.

    Args:
        source: a file, a folder, or a Hub id; None for a dataset that has no name.
        rows: by use, as of a `Corpus`.
        columns: of the rows that are trained on; those of `WRITTEN_BY` tell who wrote them.
        config, split: that were read.
    """
    place, card = _dataset(source)
    sources, written = _of_run(source) or from_card(card)
    sources, questions = sources or _named(card), ()
    if not sources and place["sha256"] is not None:
        sources = tuple(known_names(source))
        said = "A corpus was local and goes by the name {}; whether it is that was not checked."
        questions = tuple(map(said.format, sources))
    generators = dict.fromkeys([*writers(columns), *written])
    languages = [*map(str, filter(None, dict.fromkeys(columns.get("language", ())))), *texts(card.get("language"))]
    return Corpus(
        **place,
        config=config,
        split=split,
        rows=dict(rows),
        sources=sources or (place["name"],),
        generators=tuple(generators),
        languages=tuple(dict.fromkeys(languages)),
        **license_of(card),
        questions=questions,
    )


def unnamed_corpus(dataset: Any) -> tuple[Corpus, ...]:
    """What the columns of a `datasets.Dataset` to be trained on tell; nothing where there is none."""
    if dataset is None or not hasattr(dataset, "column_names"):
        return ()
    columns = {name: dataset[name] for name in WRITTEN_BY if name in dataset.column_names}
    return (corpus_of(None, {"train": len(dataset)}, columns),)


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


def card_of(path: Path | None) -> dict[str, Any]:
    """The front matter of a card, which anybody may have written; empty where there is none."""
    from huggingface_hub import metadata_load

    try:
        card = metadata_load(path) if path is not None else None
    except (ValueError, yaml.YAMLError):
        card = None
    return card if isinstance(card, dict) else {}


def license_of(card: Mapping[str, Any]) -> dict[str, str | None]:
    """The fields `license`, `license_name` and `license_link` of a card."""
    named = {name: next(iter(texts(card.get(name))), None) for name in ("license_name", "license_link")}
    licenses = [license for license in texts(card.get("license")) if license != "unknown"]
    if len(licenses) > 1:
        return {"license": "other", **named, "license_name": "-and-".join(licenses)}
    return {"license": next(iter(licenses), None), **named}


def place_of_dataset(source: str) -> dict[str, str | None]:
    """`place_of` a dataset on the Hub as it was just loaded, or of a file or folder of texts."""
    return _dataset(source)[0]


def _dataset(source: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Where a dataset lies, and its card."""
    if source is None:
        return {"name": "a dataset that was given in Python", "revision": None, "sha256": None}, {}
    try:
        path = hub_file(source, README, kind="dataset")
        if Path(source).exists() or not HUB_ID.match(source):
            return place_of(source), card_of(path) or _card_above(source)
        if path is not None:  # its folder in the cache has the name of the commit
            return place_of(source, path.parent.name), card_of(path)
        from huggingface_hub import HfApi

        return place_of(source, HfApi().dataset_info(source).sha), {}
    except (OSError, ValueError):  # the rows came from a cache, and the Hub does not answer
        return place_of(source), {}


def _card_above(source: str) -> dict[str, Any]:
    """The card of the corpus of which a local file or folder is a part; empty where there is none.

    It lies one or two folders further up, and names the files as its own.
    """
    for path in dict.fromkeys((Path(os.path.abspath(source)), Path(source).resolve())):  # in a cache files are links
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        for folder in path.parents[:2]:
            card = card_of(folder / README) if (folder / README).is_file() else {}
            names = [file.relative_to(folder).as_posix() for file in files]
            # In fnmatch `*` goes over slashes too: of a card it is better to find too much than too little.
            patterns = (pattern.removeprefix("./").replace("**/", "*") for pattern in data_patterns(card))
            if any(fnmatch.filter(names, pattern) for pattern in patterns):
                return card
    return {}


def _named(card: Mapping[str, Any]) -> tuple[str, ...]:
    """The sources that a card's `source_datasets` names; of several names of one source the last, which is an id."""
    names: dict[str, str] = {}
    for entry in texts(card.get("source_datasets")):
        name = entry.removeprefix("extended|")
        if name not in ("original", "extended", "other"):
            terms = find_terms(name, SOURCES)
            names[terms.name if terms else name] = name
    return tuple(names.values())


def _of_run(source: str | None) -> tuple[tuple[str, ...], list[Generator]] | None:
    """Of rows of stage 1 that are read as they are: their source, and the models of all runs behind them."""
    accepted = Path(source or "")
    accepted = accepted.parent if accepted.suffix == ".parquet" else accepted
    if accepted.name != "accepted":
        return None
    file = accepted.parent / "manifest.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        lineage = lineage_of([Generation(str(file.parent), manifest, [])])
        roots = [run.manifest["input"] for run in lineage.runs if len(run.manifest["chain"]) == 1]
        generators = [*(run_generator(run.manifest) for run in lineage.runs)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    generators += [Generator(task=chain[-1]) for chain in lineage.gone]
    return tuple(root if dataset_id(root) else Path(root).name for root in roots), generators
