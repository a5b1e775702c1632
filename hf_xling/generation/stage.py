"""`hf-xling generate`: read texts, ask the endpoint for what the ledger lacks, write accepted and rejected rows.

Several processes share the work: `accelerate launch -m hf_xling.generation.stage …` with the same options.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import huggingface_hub

import hf_xling
from hf_xling import runs
from hf_xling.console import run_command
from hf_xling.errors import EndpointError, InputError, XlingError, one_line
from hf_xling.folding import has_text
from hf_xling.generation.asking import Asker, Missing, expected_tokens, prompt_tokens
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.endpoint import EndpointInfo, Wire, without_password
from hf_xling.generation.filling import GRACE, Filling, Ranks, Spent, common_info, connect, shown_prompt
from hf_xling.generation.filters import FilterConfig
from hf_xling.generation.languages import LANGUAGES, Language
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.pool import Pool
from hf_xling.generation.prompts import FORMS
from hf_xling.generation.rows import Tally, Written, tally, write_rows
from hf_xling.generation.scores import Similarity
from hf_xling.generation.serve import ServedModel, serving_model
from hf_xling.generation.sources import Sources, chain_of, read_sources, source_record
from hf_xling.generation.window import LONGEST_WAIT, Stopped
from hf_xling.recipes import RecipeParser

COMMAND = "hf-xling generate"
# The share of texts that the endpoint may leave unanswered in a finished run.
MOST_UNANSWERED = 0.01
# The share of rejected rows above which the last line of a run is a warning.
MOST_REJECTED = 0.5
SHOWN_PROMPTS = 3  # in a dry run


def generate(
    config: GenerateConfig,
    filters: FilterConfig | None = None,
    *,
    grace: float = GRACE,
    longest_wait: float = LONGEST_WAIT,
) -> dict[str, Any]:
    """Run stage 1 and return its manifest: counts of rows, distinct texts, requests and reasons, and what made them.

    A run that was killed goes on from its ledger; failures of an earlier run are tried again. A finished run that is
    given again with other filters makes its rows anew and asks for nothing. Of several processes the first one returns
    the manifest, the others an empty one.

    Args:
        grace, longest_wait: seconds, as `Filling` has them.

    Raises:
        InputError: the input cannot be used, or the output folder holds another run.
        EndpointError: the endpoint cannot be used, and no rows have been written; or it left more than
            `MOST_UNANSWERED` of the texts without an answer, and the rows are those of an unfinished run.
        XlingError: the disk takes no more; all answers before that are kept. Or no row at all was accepted: the rows
            are those of an unfinished run, too.
        KeyboardInterrupt: SIGINT or SIGTERM came; all finished answers are kept.
    """
    if config.dry_run:
        raise InputError("--dry_run: is for the command `hf-xling generate` alone; a run would ask and write")
    filters, ranks = filters or FilterConfig(), Ranks.from_environment()
    sources, folder = read_sources(config), Path(config.output_dir)
    texts = sources.distinct()
    # Loaded before anything is paid for: a misspelt name must not come to light after hours.
    compare = Similarity(filters.similarity_model) if filters.similarity_model and ranks.is_first else None
    with ExitStack() as stack:
        served = _serve(config, config.serve, ranks, stack) if config.serve else None

        async def fill() -> tuple[Asker, Ledger, Spent]:
            """What makes the requests, the ledger that `stack` closes, and what filling it took."""
            async with AsyncExitStack() as connections:
                asker, pool, ledger = await _asker(config, filters, served, ranks, connections, stack)
                filling = Filling(asker, pool, ledger, ranks, grace, longest_wait)
                try:
                    await filling.run(Missing(asker, ledger, texts, ranks.rank, ranks.world))
                except Stopped as error:
                    told = f"{len(ledger):,} answers are kept; the same command goes on from there"
                    raise KeyboardInterrupt(told) from error
                return asker, ledger, filling.spent

        asker, ledger, spent = asyncio.run(fill())
        ranks.wait_for_all()
        if not ranks.is_first:
            return {}
        ledger.refresh()
        counts = tally(asker, ledger, texts)
        failure = _failure(config, counts)
        if failure is not None and not counts.answers:
            raise failure
        try:
            runs.reopen(folder)  # the folder may hold a finished run over fewer texts, whose rows these replace
            written = write_rows(folder, asker, filters, ledger, sources, compare)
            manifest = _manifest(config, filters, asker.info, len(sources), len(texts), counts, written, spent)
            runs.write_json(folder / "manifest.json", manifest)
        except OSError as error:
            raise XlingError(
                f"{folder}: its rows cannot be written: {error.strerror or one_line(error)}; all answers are kept, "
                "and the same command goes on from there"
            ) from error
    if failure is not None:
        raise failure
    if not written.accepted:
        raise XlingError(
            f"{folder}: none of {len(sources) * config.samples:,} rows is accepted ({_commonest(manifest)}); "
            f"{folder / 'rejected'} holds them, with their reasons; the answers are kept"
        )
    runs.finish(folder, **_facts(config, filters))
    return manifest


def is_generated(config: GenerateConfig, filters: FilterConfig | None = None) -> bool:
    """Whether the output folder holds this very run, finished, with rows by these filters."""
    if not runs.is_finished(config.output_dir, COMMAND, run_identity(config)):
        return False
    run = runs.read_run(config.output_dir) or {}
    facts = _facts(config, filters or FilterConfig())
    return {name: run.get(name) for name in facts} == facts


def run_identity(config: GenerateConfig) -> dict[str, Any]:
    """What makes a run another one; where its input lies is told from its output, so that both can move together.

    Filters and the number of samples are left out: other ones make other rows from the same ledger.
    """
    path = Path(config.input)
    place = os.path.relpath(path.resolve(), Path(config.output_dir).resolve()) if path.exists() else config.input
    return {
        "input": place,
        **_dataset_config(config),
        **{name: getattr(config, name) for name in ("split", "text_column", "id_column", "task", "wire")},
        **{name: _profile_identity(profile) for name, profile in _profiles(config).items()},
        "prompt": config.template.id,
        "parameters": config.sampling(),
    }


def _dataset_config(config: GenerateConfig) -> dict[str, str]:
    return {} if config.dataset_config is None else {"dataset_config": config.dataset_config}


def _profiles(config: GenerateConfig) -> dict[str, Language]:
    return {"language": config.profile, "source_language": config.source_profile}


def _profile_identity(profile: Language) -> str | dict[str, Any]:
    """What requests depend on: the code of a built-in profile, the name and lengths of another one."""
    if profile == LANGUAGES.get(profile.code):
        return profile.code
    return {name: getattr(profile, name) for name in ("code", "name", "length_factor", "tokens_per_character")}


def _facts(config: GenerateConfig, filters: FilterConfig) -> dict[str, Any]:
    """What rows depend on beside what the requests do."""
    scripts = {name: list(map(list, profile.script)) for name, profile in _profiles(config).items()}
    return {"filters": asdict(filters), "samples": config.samples, "scripts": scripts}


def _serve(config: GenerateConfig, model: str, ranks: Ranks, stack: ExitStack) -> ServedModel:
    """Start the server of `--serve`; `stack` stops it."""
    if ranks.world > 1:
        raise InputError(f"--serve {model}: is for one process; start a server and give its URL as --endpoint")
    folder = Path(config.output_dir)
    runs.claim(folder, COMMAND, run_identity(config))
    return stack.enter_context(serving_model(model, folder / ".server.log"))


async def _asker(
    config: GenerateConfig,
    filters: FilterConfig,
    served: ServedModel | None,
    ranks: Ranks,
    connections: AsyncExitStack,
    stack: ExitStack,
) -> tuple[Asker, Pool, Ledger]:
    """Connect to the endpoints, claim the folder and open its ledger, which `stack` closes."""
    extra = None
    if served is None:
        pool = await connect(config, config.endpoint, connections, ranks.world)
        info = common_info(pool)
    else:
        pool = await connect(replace(config, model=served.model_id), [served.url], connections)
        # A folder is recorded by its name: where it lies on this machine is nobody's business.
        name = Path(served.model_id).resolve().name if Path(served.model_id).is_dir() else served.model_id
        info = replace(common_info(pool), model_id=name, model_sha=served.model_sha)
        extra = {"extra_body": dict(served.extra_body)} if served.extra_body else None
    # Only now, with the input read and the endpoint up, is anything written.
    if ranks.is_first:
        runs.claim(config.output_dir, COMMAND, run_identity(config))
    ranks.wait_for_all()
    ledger = stack.enter_context(Ledger(Path(config.output_dir) / "ledger", ranks.rank))
    return Asker(config, info, filters.max_repetition, extra), pool, ledger


def _failure(config: GenerateConfig, counts: Tally) -> EndpointError | None:
    """What is wrong with a run of which too many texts stayed unanswered."""
    unanswered = counts.unanswered.total()
    if unanswered <= MOST_UNANSWERED * (counts.answers + unanswered):
        return None
    ((commonest, _),) = counts.unanswered.most_common(1)
    who = (
        f"--endpoint {' '.join(map(without_password, config.endpoint))}"
        if config.endpoint
        else f"--serve {config.serve}"
    )
    return EndpointError(
        f"{who}: {unanswered:,} of {counts.answers + unanswered:,} texts are unanswered, most often because of "
        f"`{commonest}`; the same command asks for them again"
    )


def _manifest(
    config: GenerateConfig,
    filters: FilterConfig,
    info: EndpointInfo,
    rows: int,
    distinct: int,
    counts: Tally,
    written: Written,
    spent: Spent,
) -> dict[str, Any]:
    template, rejected = config.template, written.reasons.total()
    prompt = {name: getattr(template, name) for name in ("system", "instruction", "form")}
    prompt["stop"] = list(template.stop)
    return {
        "task": config.task,
        "chain": [*chain_of(Path(config.input)), config.task],
        "language": config.profile.code,
        "language_name": config.profile.name,
        "source_language": config.source_profile.code,
        "input": config.input,
        "source": source_record(config.input),
        **_dataset_config(config),
        "model_id": info.model_id,
        "model_sha": info.model_sha,
        "wire": info.wire,
        "prompt_id": template.id,
        "prompt": {**prompt, "sha256": hashlib.sha256(json.dumps(prompt, sort_keys=True).encode()).hexdigest()},
        "parameters": config.sampling(),
        "samples": config.samples,
        "filters": asdict(filters),
        "rows": rows,
        "distinct_texts": distinct,
        "accepted": written.accepted,
        "rejected": rejected,
        "acceptance_rate": round(written.accepted / max(1, written.accepted + rejected), 4),
        "reasons": dict(written.reasons.most_common()),
        # The reason in full of the first row of each, where it says more: the endpoint's own words, say.
        "examples": {reason: example for reason, example in written.examples.items() if example != reason},
        "reasoning": {"stripped": written.without_reasoning, "rejected": written.reasons["reasoning"]},
        "generated_tokens": counts.tokens,
        # Of the last run of the command alone: what it found in the ledger cost it nothing.
        "last_run": {
            **asdict(spent),
            "seconds": round(spent.seconds, 3),
            "completions_per_second": round(spent.completions / spent.seconds, 3) if spent.seconds else None,
            "tokens_per_second": round(spent.tokens / spent.seconds, 3) if spent.seconds else None,
        },
        "versions": {
            "hf_xling": hf_xling.__version__,
            "huggingface_hub": huggingface_hub.__version__,
            "python": platform.python_version(),
            "endpoint": info.version,
        },
    }


def describe(config: GenerateConfig, sources: Sources) -> str:
    """What a run would ask: prompts, counts, distinct texts and an estimate of tokens. Nothing is asked or written."""
    texts = sources.distinct()
    wires: tuple[Wire, ...] = ("generate", "chat")  # of the two, the endpoint decides when it is asked
    if config.serve or config.wire != "auto":
        wires = ("generate",) if config.wire == "generate" else ("chat",)
    askers = [Asker(config, EndpointInfo(wire, model_id=None), max_repetition=1.0) for wire in wires]
    prompt, languages = askers[0].prompt, (config.source_profile, config.profile)
    requests = len(texts) * config.samples
    asked = sum(prompt_tokens(prompt(text), text, config.source_profile) for text in texts) * config.samples
    answered = sum(min(expected_tokens(text, *languages), config.max_new_tokens) for text in texts) * config.samples
    shown = [f"prompt {number}:\n{shown_prompt(prompt(text))}" for number, text in enumerate(texts[:SHOWN_PROMPTS], 1)]
    if shown:
        form = config.template.form if config.template.form in FORMS else "of the prompt file"
        forms = {
            "generate": f"sent as it is, in the form {form}, whatever model is served "
            "(--wire generate; --prompt has another)",
            "chat": "chat messages; the server puts them into the form of the model that it serves (--wire chat)",
        }
        if len(wires) > 1:
            other = shown_prompt(askers[1].prompt(texts[0]))
            shown[0] += f"\n(of an endpoint whose /info is TGI's: {forms['generate']})"
            shown[0] += f"\n\nthe same:\n{other}\n(else: {forms['chat']})"
        else:
            shown[0] += f"\n({forms[wires[0]]})"
    empty = sum(not has_text(source.text) for source in sources)
    counts = (
        f"{len(sources):,} texts, {len(texts):,} of them distinct, {empty:,} empty; {config.samples} answers to each: "
        f"{requests:,} requests to {config.template.id}\n"
        f"about {asked:,} tokens of prompts and {answered:,} of answers (high estimates; at most "
        f"{requests * config.max_new_tokens:,} in the last tries)\n"
        "nothing was asked or written"
    )
    return "\n\n".join([*shown, counts])


def main(argv: Sequence[str]) -> str:
    """Parse, generate, and return the closing lines."""
    parser = RecipeParser([GenerateConfig, FilterConfig], prog=COMMAND, description=__doc__)
    config, filters = parser.parse(argv)
    if config.dry_run:
        return describe(config, read_sources(config))
    manifest = generate(config, filters)
    if not manifest:
        return ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in manifest["reasons"].items())
    rejected = f"{manifest['rejected']:,} rejected" + (f" ({reasons})" if reasons else "")
    reasoning = manifest["reasoning"]["stripped"]
    stripped = f"\nthe model's reasoning was stripped from {reasoning:,} answers" if reasoning else ""
    words = manifest["examples"].get("endpoint", "").removeprefix("endpoint: ")
    failed = (
        f"\nthe endpoint failed on {manifest['reasons']['endpoint']:,} of them, first with `{words}`" if words else ""
    )
    closing = (
        f"{manifest['rows']:,} rows ({manifest['distinct_texts']:,} distinct texts): "
        f"{manifest['accepted']:,} accepted, {rejected}{failed}{stripped}\n"
        f"accepted rows: {Path(config.output_dir) / 'accepted'}"
    )
    share = manifest["rejected"] / (manifest["accepted"] + manifest["rejected"])
    if share <= MOST_REJECTED:
        return closing
    return (
        f"{closing}\nWARNING: {share:.0%} of the rows are rejected, more than {MOST_REJECTED:.0%}; most often because "
        f"of {_commonest(manifest)}: read {Path(config.output_dir) / 'rejected'} before you use the others"
    )


def _commonest(manifest: dict[str, Any]) -> str:
    """The most common reason of rejected rows, with its first example where that says more."""
    reason = next(iter(manifest["reasons"]), "no_source_text")
    return manifest["examples"].get(reason, reason)


if __name__ == "__main__":
    sys.exit(run_command(main))
