"""A run of stage 1 as later stages read it: its manifest, its accepted and rejected rows, and the run that it read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from hf_xling import runs
from hf_xling.errors import InputError
from hf_xling.hub.names import model_name
from hf_xling.provenance.generators import Generator
from hf_xling.tables import table_files

PROVENANCE = (
    "task",
    "language",
    "model_id",
    "model_sha",
    "prompt_id",
)  # columns of accepted rows that name their maker


@dataclass(frozen=True)
class GenerationRun:
    """The output of one `hf-xling generate`.

    Attributes:
        folder: its output folder.
        manifest: its `manifest.json`.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path, option: str = "--generated") -> GenerationRun:
        """The finished run in `folder`.

        Raises:
            InputError: `folder`, which `option` gave, holds no finished run.
        """
        try:
            manifest = _read_manifest(Path(folder))
            record = runs.read_run(folder)
            if record is None or not record["finished"]:  # an endpoint that died leaves rows and a manifest, too
                raise ValueError("an unfinished run")
        except (OSError, ValueError) as error:
            raise InputError(f"{option} {folder}: holds no finished run of `hf-xling generate`") from error
        return cls(Path(folder), manifest)

    @classmethod
    def of_rows(cls, place: str | Path) -> GenerationRun | None:
        """The run whose accepted rows are at `place`, its `accepted/` or a file in it; None if there is none."""
        place = Path(place)
        accepted = place.parent if place.suffix == ".parquet" else place
        try:
            return cls(accepted.parent, _read_manifest(accepted.parent)) if accepted.name == "accepted" else None
        except (OSError, ValueError):
            return None

    @property
    def chain(self) -> tuple[str, ...]:
        """The tasks that made its rows, from the text of the source on."""
        return tuple(self.manifest["chain"])

    @property
    def generator(self) -> Generator:
        """The model that wrote its rows."""
        told = {name: self.manifest.get(name) for name in ("model_sha", "language")}
        return Generator(model_name(self.manifest.get("model_id")), task=self.chain[-1], **told)

    def accepted(self) -> pyarrow.Table:
        """The accepted rows: `root_text`, `text` and the columns of `PROVENANCE`, all strings.

        Raises:
            InputError: they cannot be read.
        """
        columns = ["source_text", "root_text", "text", *PROVENANCE]
        try:
            # A name that is in each of a million rows is read once.
            table = pyarrow.parquet.read_table(self.folder / "accepted", columns=columns, read_dictionary=[*PROVENANCE])
        except (OSError, ValueError) as error:
            raise InputError(f"--generated {self.folder}: its accepted rows cannot be read") from error
        root = pyarrow.compute.coalesce(table["root_text"], table["source_text"])
        return pyarrow.table({"root_text": root, **{name: table[name] for name in ("text", *PROVENANCE)}})

    def rejected_examples(self, number: int) -> dict[str, list[dict[str, str | None]]]:
        """Up to `number` different rejected rows for each reason, as `source_text` and `text`, in their order.

        Raises:
            InputError: the rejected rows cannot be read.
        """
        wanted = {reason: min(count, number) for reason, count in self.manifest["reasons"].items()}
        found: dict[str, list[dict[str, str | None]]] = {reason: [] for reason in wanted}
        try:
            for part in table_files(self.folder / "rejected"):
                with pyarrow.parquet.ParquetFile(part) as file:
                    for batch in file.iter_batches(batch_size=4096, columns=["source_text", "text", "reason"]):
                        for row in batch.to_pylist():
                            examples = found.get(
                                row.pop("reason").split(":")[0], []
                            )  # after it: what the endpoint said
                            if len(examples) < number and row not in examples:
                                examples.append(row)
                        if all(len(found[reason]) >= count for reason, count in wanted.items()):
                            return found
        except (OSError, ValueError, LookupError) as error:
            raise InputError(f"--generated {self.folder}: its rejected rows cannot be read") from error
        return found

    def parent(self) -> GenerationRun | None:
        """The run whose rows this one read; None if it read no run, or if that run is no longer there.

        A run names its input by the path from its own folder, and as the user gave it.
        """
        record = runs.read_run(self.folder) or {"arguments": {}}
        for place in (self.folder / record["arguments"].get("input", ""), Path(self.manifest.get("input", ""))):
            run = GenerationRun.of_rows(place)
            if run is not None and run.chain == self.chain[:-1]:  # else another run is there by now
                return run
        return None


def _read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run, which has a chain.

    Raises:
        OSError, ValueError: there is none.
    """
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or not isinstance(manifest.get("chain"), list) or not manifest["chain"]:
        raise ValueError("not the manifest of a run")
    if not all(isinstance(manifest.get(name), str | None) for name in ("model_id", "model_sha", "language")):
        raise ValueError("names that are no text")
    return manifest


class Ancestry(NamedTuple):
    """The runs behind some rows, each after the one that it read; and the chains of tasks whose run is gone."""

    runs: list[GenerationRun]
    gone: list[tuple[str, ...]]

    @property
    def generators(self) -> list[Generator]:
        """The models that wrote, those of the runs that are gone without their names."""
        return [*(run.generator for run in self.runs), *(Generator(task=chain[-1]) for chain in self.gone)]


def ancestry(of: Iterable[GenerationRun]) -> Ancestry:
    """The runs of a corpus and those that they read in turn: a translated paraphrase is the work of two models."""
    found: dict[Path, GenerationRun] = {}
    gone: list[tuple[str, ...]] = []
    for run in of:
        line = [run]
        while len(line[0].chain) > 1:
            parent = line[0].parent()
            if parent is None:
                gone.append(line[0].chain[:-1])
                break
            line.insert(0, parent)
        for each in line:
            found.setdefault(each.folder.resolve(), each)
    return Ancestry(list(found.values()), gone)
