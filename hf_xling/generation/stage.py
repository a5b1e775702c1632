"""`hf-xling generate`: read texts, ask the endpoint for what the ledger lacks, write accepted and rejected rows."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from tqdm import tqdm

from hf_xling import runs
from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.endpoint import EndpointClient, EndpointInfo
from hf_xling.generation.filters import Verdict, duplicates, judge
from hf_xling.generation.languages import get_language
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.prompts import get_template
from hf_xling.generation.records import REJECTED_SCHEMA, ROW_SCHEMA, Completion, Request
from hf_xling.generation.window import run_window
from hf_xling.recipes import RecipeParser
from hf_xling.tables import Table, read_table

COMMAND = "hf-xling generate"
ROWS_PER_PART = 100_000
# The statuses that a text can bring about by itself (424: TGI failed on it); any other error is the endpoint's doing.
ERRORS_OF_TEXTS = ("400", "413", "422", "424")
# The share of texts that the endpoint may leave unanswered in a finished run.
MOST_UNANSWERED = 0.01


@dataclass(frozen=True)
class Source:
    """One text of the input, verbatim, with its row's id and where it came from in a chain."""

    id: str
    text: str | None
    parent_text: str | None
    root_text: str | None

    @property
    def usable(self) -> bool:
        """Whether there is anything to ask about."""
        return bool(self.text and self.text.strip())


def generate(config: GenerateConfig) -> dict[str, Any]:
    """Run stage 1 and return its manifest: counts of rows, distinct texts, requests and reasons, and what made them.

    A run that was killed goes on from its ledger; failures of an earlier run are tried again.

    Raises:
        InputError: the input cannot be used, or the output folder holds another run.
        EndpointError: the endpoint cannot be used, and no rows have been written; or it left more than
            `MOST_UNANSWERED` of the texts without an answer, and the rows are those of an unfinished run.
    """
    sources = read_sources(config)
    folder = Path(config.output_dir)
    info, requests, completions = asyncio.run(_complete_all(config, sources))
    failure = _failure(config, completions)
    if failure is not None and not any(map(_answered, completions.values())):
        raise failure
    runs.reopen(folder)  # the folder may hold a finished run over fewer texts, whose rows these replace
    accepted, rejected = _rows(config, info, sources, requests, completions)
    _write_parts(folder / "accepted", accepted, ROW_SCHEMA)
    _write_parts(folder / "rejected", rejected, REJECTED_SCHEMA)
    template = get_template(config.task)
    manifest = {
        "task": config.task,
        "chain": [*_chain_of(Path(config.input)), config.task],
        "language": config.language,
        "source_language": config.source_language,
        "input": config.input,
        "model_id": info.model_id,
        "model_sha": info.model_sha,
        "prompt_id": template.id,
        "prompt": {"system": template.system, "instruction": template.instruction, "form": template.form},
        "parameters": _parameters(config),
        "rows": len(sources),
        "distinct_texts": len(requests),
        "accepted": len(accepted),
        "rejected": len(rejected),
        "reasons": dict(Counter(row["reason"].split(":")[0] for row in rejected).most_common()),
        "generated_tokens": sum(completion.generated_tokens or 0 for completion in completions.values()),
    }
    runs.write_json(folder / "manifest.json", manifest)
    if failure is not None:
        raise failure
    runs.finish(folder)
    return manifest


def read_sources(config: GenerateConfig) -> list[Source]:
    """The texts of the input, in row order, column by column within a row.

    Raises:
        InputError: no such file or column, no rows, a value that is no text, or an id that is missing or stands twice.
    """
    table = read_table(config.input, split=config.split).require_rows()
    columns = {name: table.column(name) for name in config.text_column}
    for name, row in product(columns, range(len(table))):
        if not isinstance(columns[name][row], str | None):
            raise InputError(f"{table.where(row)}, column `{name}`: {columns[name][row]!r} is no text")
    # Rows of another run carry their lineage: what this run reads as `text` was made there from `source_text`.
    lineage = table.columns if "root_text" in table.columns else {}
    id_column = config.id_column or ("id" if lineage else None)
    ids = _ids(table, id_column) if id_column else [str(n + 1) for n in range(len(table))]
    parents = lineage.get("source_text", [None] * len(table))
    roots = lineage.get("root_text", [None] * len(table))
    several = len(columns) > 1
    return [
        Source(
            id=f"{ids[row]}/{name}" if several else ids[row],
            text=values[row],
            parent_text=parents[row],
            root_text=roots[row] or parents[row],
        )
        for row in range(len(table))
        for name, values in columns.items()
    ]


def _chain_of(path: Path) -> list[str]:
    """The tasks that made the rows at `path`, if it is the `accepted/` of another run or a part of it."""
    accepted = path.parent if path.suffix == ".parquet" else path
    manifest = accepted.parent / "manifest.json"
    if accepted.name != "accepted" or not manifest.is_file():
        return []
    return json.loads(manifest.read_text(encoding="utf-8"))["chain"]


def _ids(table: Table, column: str) -> list[str]:
    """The values of `column`, each given and given once."""
    rows: dict[str, int] = {}
    for row, value in enumerate(table.column(column)):
        if value is None:
            raise InputError(f"{table.where(row)}: has no id in column `{column}`")
        if (first := rows.setdefault(str(value), row)) != row:
            raise InputError(f"{table.where(row)}: has the id `{value}` of row {first + 1}; ids must be unique")
    return list(rows)


def _parameters(config: GenerateConfig) -> dict[str, Any]:
    """The sampling parameters in the names of the wire; TGI's /generate refuses a temperature of 0 and a top_p of 1."""
    sampling = config.temperature > 0
    common = {"seed": config.seed, "top_p": config.top_p if sampling else None}
    if config.wire == "chat":
        specific = {"max_tokens": config.max_new_tokens, "temperature": config.temperature}
    else:
        specific = {
            "max_new_tokens": config.max_new_tokens,
            "do_sample": sampling,
            "temperature": config.temperature if sampling else None,
            "stop": list(get_template(config.task).stop),
        }
    return {name: value for name, value in {**common, **specific}.items() if value is not None}


def _requests(config: GenerateConfig, sources: Sequence[Source], info: EndpointInfo) -> dict[str, Request]:
    """One request for each distinct text, by text: a text that stands in many rows is generated once."""
    template, parameters = get_template(config.task), _parameters(config)
    languages = get_language(config.source_language), get_language(config.language)
    render = template.render if config.wire == "generate" else template.messages
    return {
        text: Request(text, render(text, *languages), parameters, info.model_id, info.model_sha)
        for text in dict.fromkeys(source.text for source in sources if source.usable)
    }


def run_identity(config: GenerateConfig) -> dict[str, Any]:
    """What makes a run another one; where its input lies is told from its output, so that both can move together."""
    names = ("split", "text_column", "id_column", "task", "language", "source_language", "wire")
    path = Path(config.input)
    place = os.path.relpath(path.resolve(), Path(config.output_dir).resolve()) if path.exists() else config.input
    return {"input": place, **{name: getattr(config, name) for name in names}, "parameters": _parameters(config)}


async def _complete_all(
    config: GenerateConfig, sources: Sequence[Source]
) -> tuple[EndpointInfo, dict[str, Request], dict[str, Completion]]:
    """Fill the ledger; return what is served, the request of each distinct text, and its completion."""
    stop = get_template(config.task).stop
    async with EndpointClient(config.endpoint, config.wire, config.timeout) as client:
        info = await client.info()
        # Only now, with the input read and the endpoint up, is anything written.
        runs.claim(config.output_dir, COMMAND, run_identity(config))
        requests = _requests(config, sources, info)
        with Ledger(Path(config.output_dir) / "ledger") as ledger:
            known = {text: ledger.get(request.key) for text, request in requests.items()}
            missing = [request for text, request in requests.items() if known[text] is None or known[text].error]
            name = f"{config.task} to {config.language}"
            with tqdm(total=len(requests), initial=len(requests) - len(missing), desc=name, unit="text") as progress:

                def record(request: Request, completion: Completion) -> None:
                    ledger.add(request.key, completion)
                    progress.update()

                size = config.max_in_flight or min(info.max_concurrent_requests or 100, 100)
                await run_window(missing, lambda request: client.complete(request, stop), record, size)
            completions = {text: ledger.get(request.key) for text, request in requests.items()}
    return info, requests, completions


def _answered(completion: Completion) -> bool:
    """Whether the endpoint did its part: it gave a text, or an error that the text brought about."""
    return completion.error is None or completion.error.startswith(ERRORS_OF_TEXTS)


def _failure(config: GenerateConfig, completions: dict[str, Completion]) -> EndpointError | None:
    """What is wrong with a run of which too many texts stayed unanswered."""
    reasons = Counter(completion.error for completion in completions.values() if not _answered(completion))
    if reasons.total() <= MOST_UNANSWERED * len(completions):
        return None
    ((commonest, _),) = reasons.most_common(1)
    return EndpointError(
        f"--endpoint {config.endpoint}: {reasons.total():,} of {len(completions):,} texts are unanswered, most often "
        f"because of `{commonest}`; the same command asks for them again"
    )


def _rows(
    config: GenerateConfig,
    info: EndpointInfo,
    sources: Sequence[Source],
    requests: dict[str, Request],
    completions: dict[str, Completion],
) -> tuple[list[dict], list[dict]]:
    """Fan the completions out to every row of the input, as accepted and rejected rows, in input order."""
    language, prompt_id = get_language(config.language), get_template(config.task).id
    verdicts = {text: judge(text, completion, language) for text, completion in completions.items()}
    good = ((text, completions[text].text) for text, verdict in verdicts.items() if verdict.reason is None)
    repeated = {source for source, _ in duplicates(good)}
    accepted, rejected = [], []
    for source in sources:
        completion = completions.get(source.text, Completion(None))
        verdict = verdicts.get(source.text, Verdict(reason="no_source_text"))
        row = {
            "id": source.id,
            "source_text": source.text,
            "text": completion.text,
            "language": config.language,
            "task": config.task,
            "sample": 0,
            "prompt_id": prompt_id,
            "model_id": info.model_id,
            "model_sha": info.model_sha,
            "request_key": requests[source.text].key if source.text in requests else None,
            "finish_reason": completion.finish_reason,
            "generated_tokens": completion.generated_tokens,
            "seed": completion.seed,
            "parent_text": source.parent_text,
            "root_text": source.root_text,
            "script_share": verdict.script_share,
            "length_ratio": verdict.length_ratio,
        }
        reason = "duplicate" if source.text in repeated else verdict.reason
        if reason is None:
            accepted.append(row)
        else:
            rejected.append({**row, "reason": reason})
    return accepted, rejected


def _write_parts(folder: Path, rows: Sequence[dict], schema: pyarrow.Schema) -> None:
    """Write `rows` as Parquet parts; the folder takes the place of an earlier one when it is whole."""
    with runs.written_aside(folder) as aside:
        aside.mkdir()
        for part, start in enumerate(range(0, max(len(rows), 1), ROWS_PER_PART)):
            table = pyarrow.Table.from_pylist(list(rows[start : start + ROWS_PER_PART]), schema=schema)
            pyarrow.parquet.write_table(table, aside / f"part-{part:05d}.parquet")


def main(argv: Sequence[str]) -> str:
    """Parse, generate, and return the closing lines."""
    parser = RecipeParser([GenerateConfig], prog="hf-xling generate", description=__doc__)
    (config,) = parser.parse(argv)
    manifest = generate(config)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in manifest["reasons"].items())
    rejected = f"{manifest['rejected']:,} rejected" + (f" ({reasons})" if reasons else "")
    return (
        f"{manifest['rows']:,} rows ({manifest['distinct_texts']:,} distinct texts): "
        f"{manifest['accepted']:,} accepted, {rejected}\n"
        f"accepted rows: {Path(config.output_dir) / 'accepted'}"
    )
