"""The language models that wrote rows of a corpus: by its columns, by its card, by the manifest of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hf_xling.hub.names import model_name
from hf_xling.places import texts

CARD_KEY = "hf_xling"  # in the front matter of a dataset card: names of its sources, and its generators, for programs


@dataclass(frozen=True)
class Generator:
    """A language model that wrote rows of a corpus, or what these were made from; None is what nobody told.

    Attributes:
        model_id, model_sha: its name and revision.
        task, language: what it did, and in which language.
    """

    model_id: str | None = None
    model_sha: str | None = None
    task: str | None = None
    language: str | None = None


WRITTEN_BY = tuple(Generator.__dataclass_fields__)  # columns that tell of each row who wrote it


def writers(columns: Mapping[str, Sequence[Any]]) -> list[Generator]:
    """The distinct generators of rows with the columns `WRITTEN_BY`; none without `model_id`."""
    if "model_id" not in columns:
        return []
    size = len(columns["model_id"])
    rows = zip(*(columns[name] if name in columns else [None] * size for name in WRITTEN_BY), strict=True)
    found = []
    for row in Counter(rows):
        model, sha, task, language = (None if value is None else str(value) for value in row)
        if model is not None or task not in (None, "source"):  # else it is text of the source
            found.append(Generator(model_name(model), sha, task, language))
    return found


def for_card(sources: Sequence[str], generators: Sequence[Generator]) -> dict[str, Any]:
    """What a dataset card tells programs under `CARD_KEY`."""
    told = [{name: value for name, value in asdict(each).items() if value is not None} for each in generators]
    return {"sources": list(sources), "generators": told}


def from_card(card: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Generator]]:
    """The sources and generators that a card tells, which anybody may have written."""
    told = card.get(CARD_KEY)
    told = told if isinstance(told, dict) else {}
    entries = told.get("generators")
    generators = []
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            model, *others = (next(iter(texts(entry.get(name))), None) for name in WRITTEN_BY)
            generators.append(Generator(model_name(model), *others))
    return texts(told.get("sources")), generators
