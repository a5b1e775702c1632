"""The sides of an audit: the texts that were there before augmentation, and those that each step of it made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
from tqdm import tqdm

from hf_xling.errors import InputError
from hf_xling.places import README, card_of, data_patterns, texts
from hf_xling.provenance.generation_run import GenerationRun
from hf_xling.quality.words import TextCounts
from hf_xling.tables import parquet_batches, table_files

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
        by_origin: dict[tuple[str, str | None], list[str]] = {}
        for task, of, anchor in _values(batch, (*_ORIGIN, "anchor")):
            by_origin.setdefault((task, of), []).append(anchor)
        for origin, own in by_origin.items():
            found.setdefault(origin, TextCounts()).add(own)
    before = [Side(*origin, counts) for origin, counts in found.items() if origin[0] == SOURCE]
    after = [Side(*origin, counts) for origin, counts in found.items() if origin[0] != SOURCE]
    if not before:
        before, seen = [Side(SOURCE, language, TextCounts())], set[int]()
        for batch in pairs:
            before[0].counts.add(_distinct(_values(batch, ("group", "anchor")), seen))
    return before + after


def _values(batch: pyarrow.RecordBatch, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def _distinct(keyed: Iterable[tuple[Any, ...]], seen: set[int]) -> list[str]:
    """The texts of (key, text) whose key is not in `seen`, to which its hash is added.

    The hashes of a million texts take a tenth of the memory of the texts.
    """
    new = []
    for key, text in keyed:
        if (number := hash(key)) not in seen:
            seen.add(number)
            new.append(text)
    return new


def run_sides(rows: Iterable[pyarrow.RecordBatch], manifest: Mapping[str, Any]) -> list[Side]:
    """The sides of a run of stage 1, by its accepted rows: each distinct source text, each distinct answer to it.

    A text that is in many rows of the input was asked for once, and counts once.
    """
    before, after = TextCounts(), TextCounts()
    sources, pairs = set[int](), set[int]()
    for batch in rows:
        both = list(_values(batch, ("source_text", "text")))
        before.add(_distinct(((source, source) for source, _ in both), sources))
        after.add(_distinct(((pair, pair[1]) for pair in both), pairs))
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
    card = card_of(path / README) if (path / README).is_file() else {}
    configs = card.get("configs")
    named = [each for each in (configs if isinstance(configs, list) else ()) if isinstance(each, dict)]
    files = {each.get("config_name"): data_patterns({"configs": [each]}) for each in named}
    if not files.get("sentences"):
        raise InputError(
            f"audit {folder}: holds no corpus (README.md with a config `sentences`) and no run of `hf-xling generate`"
        )
    sentences, pairs = (
        [part for pattern in files.get(name, ()) for part in sorted(path.glob(pattern)) if part.name[0] != "."]
        for name in ("sentences", "pairs")
    )
    if not sentences:
        told = ", ".join(files["sentences"])
        raise InputError(f"audit {folder}: its card names {told}, and there is no such file")
    language = next(iter(texts(card.get("language"))), None)  # that of the source comes first
    return corpus_sides(_batches(sentences, (*_ORIGIN, "anchor")), _batches(pairs, ("group", "anchor")), language)


def _batches(parts: Sequence[Path], columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
    """The rows of `parts`, with a progress bar."""
    with tqdm(desc="audit", unit="row", unit_scale=True, delay=2) as progress:
        for batch in parquet_batches(parts, columns):
            yield batch
            progress.update(len(batch))
