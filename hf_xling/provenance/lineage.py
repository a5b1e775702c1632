"""What a trained model descends from: checkpoints, corpora, and the models that wrote in these.

Each training writes it beside its weights (`LINEAGE_FILE`), and hands on what it found beside those it started from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from hf_xling.errors import InputError, one_line
from hf_xling.places import card_of, hub_file, license_of, place_of
from hf_xling.provenance.origins import Corpus
from hf_xling.runs import write_json

# Not in config.json: an adapter has none, and other models that start from an encoder would copy it.
LINEAGE_FILE = "hf_xling_lineage.json"


@dataclass(frozen=True)
class Base:
    """The checkpoint that a training started from.

    Attributes:
        name, revision, sha256: as of a `Corpus`.
        license, license_name, license_link: what its own card states.
        recorded: whether a lineage of its own stands before it.
        unread: whether it could not be found out what it descends from.
    """

    name: str
    revision: str | None = None
    sha256: str | None = None
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    recorded: bool = False
    unread: bool = False


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        objective: `SimCSE`, `regression` or `classification`.
        base: what it started from.
        corpora: what it was trained on and measured with.
    """

    objective: str
    base: Base
    corpora: tuple[Corpus, ...] = ()


@dataclass(frozen=True)
class Lineage:
    """The trainings behind a model, the first one first; each started from what the one before it made."""

    trainings: tuple[Training, ...] = ()

    def trained_on(self) -> Iterator[Corpus]:
        """The corpora that any of the trainings learnt from."""
        for training in self.trainings:
            yield from (corpus for corpus in training.corpora if "train" in corpus.rows)

    def write(self, folder: str | Path) -> None:
        """Write it beside the weights in `folder`."""
        write_json(Path(folder) / LINEAGE_FILE, asdict(self))


def descend(objective: str, base: str, revision: str | None = None, corpora: Sequence[Corpus] = ()) -> Lineage:
    """The lineage of what is trained from `base` on `corpora`: that of the base, and this training.

    Args:
        objective: of a `Training`.
        base: a checkpoint folder or Hub id.
        revision: on the Hub.
        corpora: see `origins.corpus_of`.

    Raises:
        InputError: the record beside the base is damaged.
    """
    before, unread, card, commit = Lineage(), False, {}, revision
    try:
        before = lineage_beside(base, revision)
        card = card_of(hub_file(base, "README.md", revision))
        config = hub_file(base, "config.json", revision)
        commit = config.parent.name if config else revision  # its folder in the cache of the Hub
    except (OSError, ValueError):  # the Hub does not answer; the checkpoint itself may come from a cache
        unread = True
    place = place_of(base, commit)
    stated: dict[str, Any] = {} if before.trainings else license_of(card)  # there the licence is that of the chain
    start = Base(
        str(place["name"]),
        place["revision"],
        place["sha256"],
        recorded=bool(before.trainings),
        unread=unread,
        **stated,
    )
    return Lineage((*before.trainings, Training(objective, start, tuple(corpora))))


def lineage_beside(name: str | Path, revision: str | None = None) -> Lineage:
    """The lineage of the model in a folder or on the Hub; an empty one where none is recorded.

    Raises:
        InputError: what is recorded is damaged.
        OSError, ValueError: the Hub does not tell.
    """
    path = hub_file(str(name), LINEAGE_FILE, revision)
    return Lineage() if path is None else read_lineage(path)


def read_lineage(file: str | Path) -> Lineage:
    """The other half of `Lineage.write`; anybody may have written it.

    Raises:
        InputError: it is damaged.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
        return Lineage(_read(tuple[Training, ...], content["trainings"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: is no lineage of a model ({type(error).__name__}: {one_line(error)})") from error


def together(lineages: Sequence[Lineage]) -> Lineage:
    """That of several models in one, each training once."""
    trainings: list[Training] = []
    for training in (training for lineage in lineages for training in lineage.trainings):
        if training not in trainings:
            trainings.append(training)
    return Lineage(tuple(trainings))


def _read(kind: Any, value: Any) -> Any:
    """`value`, of JSON, as a `kind` of dataclass, tuple, mapping or plain value; unknown fields are left out.

    Raises:
        TypeError, LookupError: it is none.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        needed = {each.name for each in fields(kind) if each.default is each.default_factory is MISSING}
        return kind(**{name: _read(hints[name], value[name]) for name in hints if name in value or name in needed})
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_read(parts[0], each) for each in value)
    if origin is Mapping:
        return {_read(parts[0], name): _read(parts[1], each) for name, each in value.items()}
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {getattr(kind, '__name__', kind)}")
    return value
