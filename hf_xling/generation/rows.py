"""From the ledger to rows: answers judged, fanned out to every row of the input, and written as Parquet parts.

Everything here goes row by row, so that memory does not grow with what the endpoint has written.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from tqdm import tqdm

from hf_xling import runs
from hf_xling.folding import has_text
from hf_xling.generation.asking import SHOWN_FROM, Asker
from hf_xling.generation.filters import SCORES, Duplicates, FilterConfig, Judge, Verdict
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.records import Completion
from hf_xling.generation.scores import Similarity
from hf_xling.generation.sources import Source, Sources

# Columns of accepted rows; rejected rows have their `reason`, and the names of all filters that they failed, as well.
ROW_SCHEMA = pyarrow.schema(
    [
        ("id", pyarrow.string()),
        ("source_text", pyarrow.string()),
        ("text", pyarrow.string()),
        ("language", pyarrow.string()),
        ("task", pyarrow.string()),
        ("sample", pyarrow.int32()),
        ("prompt_id", pyarrow.string()),
        ("model_id", pyarrow.string()),
        ("model_sha", pyarrow.string()),
        ("request_key", pyarrow.string()),
        ("finish_reason", pyarrow.string()),
        ("generated_tokens", pyarrow.int32()),
        ("seed", pyarrow.int64()),
        ("root_text", pyarrow.string()),
        *SCORES,
    ]
)
REJECTED_SCHEMA = pyarrow.schema(
    [*ROW_SCHEMA, ("reason", pyarrow.string()), ("failed", pyarrow.list_(pyarrow.string()))]
)
ROWS_PER_PART = 100_000
ROWS_PER_BATCH = 4096  # whose embeddings are computed together
NOT_ASKED = Completion(None, error="was not asked")
NO_SOURCE_TEXT = Verdict(None, dict.fromkeys(score.name for score in SCORES), ("no_source_text",))
# The beginnings of errors that a text can bring about by itself (424: TGI failed on it); any other is the endpoint's.
ERRORS_OF_TEXTS = ("400", "403", "413", "422", "424", "451")


@dataclass
class Tally:
    """What the ledger holds for a run.

    Attributes:
        answers: samples of distinct texts that the endpoint did its part for: a text, or an error that the text
            brought about.
        unanswered: the others, by their error.
        tokens: generated for all of them, cut answers that were asked for again included.
    """

    answers: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    tokens: int = 0


def tally(asker: Asker, ledger: Ledger, texts: Sequence[str]) -> Tally:
    """Count the answers to `texts`."""
    counts = Tally()
    for text in tqdm(texts, desc="answers", unit="text", unit_scale=True, disable=len(texts) < SHOWN_FROM):
        for sample in range(asker.config.samples):
            _, completion, tokens = asker.outcome(ledger, text, sample)
            error = (completion or NOT_ASKED).error
            counts.tokens += tokens
            if error is None or error.startswith(ERRORS_OF_TEXTS):
                counts.answers += 1
            else:
                counts.unanswered[error] += 1
    return counts


@dataclass(frozen=True)
class Written:
    """How many rows were accepted, rejected for which reason, with the first example of each, and rid of reasoning.

    An example is the reason in full, such as the endpoint's own words.
    """

    accepted: int
    reasons: Counter[str]
    examples: dict[str, str]
    without_reasoning: int


def write_rows(
    folder: Path,
    asker: Asker,
    filters: FilterConfig,
    ledger: Ledger,
    sources: Sources,
    similarity: Similarity | None = None,
    rows_per_part: int = ROWS_PER_PART,
    rows_per_batch: int = ROWS_PER_BATCH,
) -> Written:
    """Write `accepted/` and `rejected/` in `folder`: each sample of each row of the input is in one of them once.

    Rows keep the order of the input. Both folders take the place of earlier ones when they are whole.
    """
    for left in [*folder.glob(".accepted.*"), *folder.glob(".rejected.*")]:
        shutil.rmtree(left)  # by a process that was killed here
    config, reasons, duplicates, without_reasoning = asker.config, Counter[str](), Duplicates(), 0
    examples: dict[str, str] = {}
    common = {"language": config.profile.code, "task": config.task, "prompt_id": config.template.id}
    with runs.written_aside(folder / "accepted") as one, runs.written_aside(folder / "rejected") as other:
        accepted, rejected = _Parts(one, ROW_SCHEMA, rows_per_part), _Parts(other, REJECTED_SCHEMA, rows_per_part)
        for answer in _judged(asker, filters, ledger, sources, similarity, rows_per_batch):
            source, verdict, completion, key = answer.source, answer.verdict, answer.completion, answer.request_key
            failed = verdict.failed
            without_reasoning += verdict.reasoning
            if key and verdict.text and not failed and duplicates.seen(key, verdict.text):
                failed = ("duplicate",)
            row = {
                **common,
                "id": source.id,
                "source_text": source.text,
                "text": verdict.text,
                "sample": answer.sample,
                "model_id": completion.model_id or asker.info.model_id,
                "model_sha": completion.model_sha or asker.info.model_sha,
                "request_key": key,
                "finish_reason": completion.finish_reason,
                "generated_tokens": completion.generated_tokens,
                "seed": completion.seed,
                "root_text": source.root_text,
                **verdict.scores,
            }
            if failed:
                kind = failed[0].split(":")[0]
                reasons[kind] += 1
                examples.setdefault(kind, failed[0])
                rejected.add({**row, "reason": failed[0], "failed": list(failed)})
            else:
                accepted.add(row)
        accepted.close()
        rejected.close()
    return Written(accepted.rows, reasons, examples, without_reasoning)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A sample of a row, and what the filters say of it; without a key where there was nothing to ask."""

    source: Source
    sample: int
    request_key: str | None
    completion: Completion
    verdict: Verdict


def _judged(
    asker: Asker, filters: FilterConfig, ledger: Ledger, sources: Sources, similarity: Similarity | None, size: int
) -> Iterator[_Answer]:
    """Each sample of each row in order; `size` of them are compared in meaning at a time."""
    config = asker.config
    instruction = config.template.instruction_text(config.source_profile, config.profile)
    judge = Judge(filters, config.task, instruction, config.source_profile, config.profile)

    def judged(source: Source, sample: int) -> _Answer:
        if not has_text(source.text):
            return _Answer(source, sample, None, Completion(None), NO_SOURCE_TEXT)
        request, completion, _ = asker.outcome(ledger, source.text, sample)
        completion = completion or NOT_ASKED
        return _Answer(source, sample, request.key, completion, judge(source.text, completion))

    rows = (judged(source, sample) for source in sources for sample in range(config.samples))
    with tqdm(desc="filters", total=len(sources) * config.samples, unit="row", unit_scale=True) as progress:
        while batch := list(islice(rows, size)):
            if similarity is not None:
                scored = [place for place, answer in enumerate(batch) if answer.verdict.is_scored]
                pairs = [(str(batch[place].source.text), str(batch[place].verdict.text)) for place in scored]
                for place, value in zip(scored, similarity(pairs), strict=True):
                    batch[place] = replace(batch[place], verdict=judge.compared(batch[place].verdict, value))
            yield from batch
            progress.update(len(batch))


class _Parts:
    """Writes rows as Parquet parts of so many; at least one, which may be empty."""

    def __init__(self, folder: Path, schema: pyarrow.Schema, rows_per_part: int):
        folder.mkdir()
        self._folder, self._schema, self._rows_per_part = folder, schema, rows_per_part
        self._columns: dict[str, list[Any]] = {name: [] for name in schema.names}
        self._parts = self.rows = 0

    def add(self, row: dict[str, Any]) -> None:
        for name, values in self._columns.items():  # far less memory than a dictionary for each row
            values.append(row[name])
        self.rows += 1
        if self.rows % self._rows_per_part == 0:
            self._write()

    def close(self) -> None:
        if self.rows % self._rows_per_part or not self._parts:
            self._write()

    def _write(self) -> None:
        table = pyarrow.table(self._columns, schema=self._schema)
        pyarrow.parquet.write_table(table, self._folder / f"part-{self._parts:05d}.parquet")
        self._parts += 1
        self._columns = {name: [] for name in self._columns}
