"""What runs of stage 1 generated: their accepted rows, as columns, and the runs that they read in turn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from hf_xling import runs
from hf_xling.errors import InputError

PROVENANCE = ("task", "language", "model_id", "model_sha", "prompt_id")


@dataclass(frozen=True)
class Generation:
    """The output of one run of stage 1.

    Attributes:
        folder: where it lies.
        manifest: the run's `manifest.json`.
        rows: its accepted rows: `root_text`, `text` and `PROVENANCE`, all strings; None once they are in a corpus.
    """

    folder: str
    manifest: dict[str, Any]
    rows: pyarrow.Table | None


def read_manifest(folder: str | Path, option: str = "--generated") -> dict[str, Any]:
    """The manifest of the finished run of `hf-xling generate` in `folder`.

    Raises:
        InputError: `folder`, which `option` gave, holds no finished run.
    """
    path = Path(folder)
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if not isinstance(manifest, dict) or "chain" not in manifest:
            raise ValueError("a manifest of another kind")
        run = runs.read_run(path)
        if run is None or not run["finished"]:  # rows and a manifest are there too after an endpoint has died
            raise ValueError("an unfinished run")
    except (OSError, ValueError) as error:
        raise InputError(f"{option} {folder}: holds no finished run of `hf-xling generate`") from error
    return manifest


def read_generation(folder: str) -> Generation:
    """The accepted rows of the finished run of `hf-xling generate` in `folder`.

    Raises:
        InputError: `folder` holds no finished run.
    """
    manifest, columns = read_manifest(folder), ["source_text", "root_text", "text", *PROVENANCE]
    try:
        # A name that stands in each of a million rows is read once.
        table = pyarrow.parquet.read_table(Path(folder) / "accepted", columns=columns, read_dictionary=[*PROVENANCE])
    except (OSError, ValueError) as error:
        raise InputError(f"--generated {folder}: holds no finished run of `hf-xling generate`") from error
    root = pyarrow.compute.coalesce(table["root_text"], table["source_text"])
    rows = pyarrow.table({"root_text": root, **{name: table[name] for name in ("text", *PROVENANCE)}})
    return Generation(folder, manifest, rows)


class Run(NamedTuple):
    """A run of stage 1: where it lies, and its `manifest.json`."""

    folder: Path
    manifest: dict[str, Any]


class Lineage(NamedTuple):
    """The runs of stage 1 behind a corpus, each after the one that it read; and the chains whose run is gone."""

    runs: list[Run]
    gone: list[list[str]]


def lineage_of(generations: Sequence[Generation]) -> Lineage:
    """The runs of a corpus, and those that they read in turn: a translated paraphrase is the work of two models.

    A run names what it read by its place as seen from its own folder, and as the user gave it.
    """
    found: dict[Path, Run] = {}
    gone: list[list[str]] = []
    for generation in generations:
        line = [Run(Path(generation.folder), generation.manifest)]
        while len(chain := line[0].manifest["chain"]) > 1:
            parent = _parent(line[0])
            if parent is None:
                gone.append(chain[:-1])
                break
            line.insert(0, parent)
        for run in line:
            found.setdefault(run.folder.resolve(), run)
    return Lineage(list(found.values()), gone)


def _parent(run: Run) -> Run | None:
    record = runs.read_run(run.folder) or {"arguments": {}}
    for place in (run.folder / record["arguments"].get("input", ""), Path(run.manifest.get("input", ""))):
        accepted = place.parent if place.suffix == ".parquet" else place
        try:
            manifest = json.loads((accepted.parent / "manifest.json").read_text(encoding="utf-8"))
            if accepted.name == "accepted" and manifest["chain"] == run.manifest["chain"][:-1]:
                return Run(accepted.parent, manifest)
        except (OSError, ValueError, LookupError, TypeError):
            continue  # no longer there, or another run by now
    return None
