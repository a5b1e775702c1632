"""The sides of an audit: the texts that were there before augmentation, and those that each step of it made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from huggingface_hub import metadata_load
from tqdm import tqdm
from yaml import YAMLError

from hf_xling.errors import InputError, one_line
from hf_xling.provenance.generation_run import GenerationRun
from hf_xling.quality.words import BATCH, TextCounts
from hf_xling.tables import PARQUET_READING, table_files

SOURCE = "source"  # the task of rows that nothing was generated for
_ORIGIN = ("task", "language")


@dataclass(frozen=True)
class Side:
    """The texts of one origin: the `task` that made them (`source` for those before augmentation), their `language`."""

    task: str
    language: str | None
    counts: TextCounts

    @property
    def name(self) -> str:
        """As tables and plots show it, such as `translate, ta`."""
        return f"{self.task}, {self.language}" if self.language else self.task


def corpus_sides(
    sentences: Iterable[pyarrow.RecordBatch], pairs: Iterable[pyarrow.RecordBatch], language: str | None
) -> list[Side]:
    """The sides of a corpus, by the rows of its configs `sentences` and `pairs`.

    Before augmentation are the rows with the task `source`; where there are none, the distinct anchors of the pairs,
    in `language`, that of the source. A group is one sentence of the source, so its first anchor is counted.
    """
    found: dict[tuple[str, str | None], TextCounts] = {}
    for batch in sentences:
        for origin, texts in _by_origin(batch, "anchor"):
            found.setdefault(origin, TextCounts()).add(texts)
    before = [Side(*origin, counts) for origin, counts in found.items() if origin[0] == SOURCE]
    after = [Side(*origin, counts) for origin, counts in found.items() if origin[0] != SOURCE]
    return (before or [Side(SOURCE, language, TextCounts(_anchors(pairs)))]) + after


def _by_origin(batch: pyarrow.RecordBatch, column: str) -> Iterator[tuple[tuple[str, str | None], list[str]]]:
    texts: dict[tuple[str, str | None], list[str]] = {}
    for *origin, text in zip(*(batch.column(name).to_pylist() for name in (*_ORIGIN, column)), strict=True):
        texts.setdefault(tuple(origin), []).append(text)
    yield from texts.items()


def _anchors(pairs: Iterable[pyarrow.RecordBatch]) -> Iterator[str]:
    seen: set[int] = set()
    for batch in pairs:
        for group, anchor in zip(batch.column("group").to_pylist(), batch.column("anchor").to_pylist(), strict=True):
            if group not in seen:
                seen.add(group)
                yield anchor


def run_sides(rows: Iterable[pyarrow.RecordBatch], manifest: Mapping[str, Any]) -> list[Side]:
    """The sides of a run of stage 1, by its accepted rows: each distinct source text, each distinct answer to it.

    A text that stands in many rows of the input was asked for once, and counts once.
    """
    before, after = TextCounts(), TextCounts()
    seen: set[int] = set()  # hashes: of a million texts they take a tenth of what the texts would

    def is_new(key: Any) -> bool:
        return (number := hash(key)) not in seen and not seen.add(number)

    for batch in rows:
        sources, texts = (batch.column(name).to_pylist() for name in ("source_text", "text"))
        before.add([source for source in sources if is_new(source)])
        after.add([text for source, text in zip(sources, texts, strict=True) if is_new((source, text))])
    return [Side(SOURCE, manifest["source_language"], before), Side(manifest["chain"][-1], manifest["language"], after)]


def read_sides(folder: str) -> list[Side]:
    """The sides of what lies in `folder`: a corpus with its card, or a finished run of stage 1.

    Raises:
        InputError: it is neither, or cannot be read.
    """
    path = Path(folder)
    if (path / "manifest.json").is_file():
        manifest = GenerationRun.open(folder, "audit").manifest
        return run_sides(_batches(table_files(path / "accepted"), ("source_text", "text")), manifest)
    try:
        card = metadata_load(path / "README.md") or {}
        files = {config["config_name"]: [file["path"] for file in config["data_files"]] for config in card["configs"]}
        parts = {
            name: [part for pattern in files[name] for part in sorted(path.glob(pattern)) if part.name[0] != "."]
            for name in files
        }
        language = next(iter(card.get("language") or ()), None)  # that of the source comes first
        named = ", ".join(files["sentences"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, YAMLError) as error:
        raise InputError(
            f"audit {folder}: holds no corpus (README.md with a config `sentences`) and no run of `hf-xling generate`"
        ) from error
    if not parts["sentences"]:
        raise InputError(f"audit {folder}: its card names {named}, and there is no such file")
    rows = _batches(parts["sentences"], (*_ORIGIN, "anchor"))
    return corpus_sides(rows, _batches(parts.get("pairs", []), ("group", "anchor")), language)


def _batches(parts: Sequence[Path], columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
    """The rows of `parts`, some ten thousand at a time."""
    with tqdm(desc="audit", unit="row", unit_scale=True, delay=2) as progress:
        for part in parts:
            try:
                with pyarrow.parquet.ParquetFile(part, **PARQUET_READING) as file:
                    if missing := [name for name in columns if name not in file.schema_arrow.names]:
                        raise InputError(f"{part}: has no column `{missing[0]}`")
                    for batch in file.iter_batches(8 * BATCH, columns=list(columns)):
                        yield batch
                        progress.update(len(batch))
            except (pyarrow.ArrowException, OSError) as error:
                raise InputError(f"{part}: not readable as Parquet: {one_line(error)}") from error
