"""A look before the run: what it would ask (`--dry_run`), and a check of one row before many are paid for."""

from __future__ import annotations

from collections.abc import Sequence

from hf_xling.generation.asking import Asker, Missing
from hf_xling.generation.budgets import expected_tokens, prompt_tokens
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.endpoint import EndpointInfo
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.sources import Sources

LONG_RUN = 100  # missing answers from which on a row is checked first
CHECKED_ROWS = 3  # texts that may be refused before the endpoint is held to refuse all
SHOWN_PROMPTS = 3
SHOWN_CHARACTERS = 2000  # of a prompt or an answer


def describe(config: GenerateConfig, sources: Sources) -> str:
    """What a run would ask: prompts, counts, distinct texts and an estimate of tokens. Nothing is asked or written."""
    info = EndpointInfo("chat" if config.wire == "chat" or config.serve else "generate", model_id=None)
    asker, texts = Asker(config, info, max_repetition=1.0), sources.distinct()
    requests = len(texts) * config.samples
    languages = config.source_profile, config.profile
    asked = sum(prompt_tokens(asker.prompt(text), text, config.source_profile) for text in texts) * config.samples
    answered = sum(min(expected_tokens(text, *languages), config.max_new_tokens) for text in texts) * config.samples
    shown = [f"prompt {number}:\n{_shown(asker.prompt(text))}" for number, text in enumerate(texts[:SHOWN_PROMPTS], 1)]
    empty = sum(1 for source in sources if source.text is None or not source.text.strip())
    counts = (
        f"{len(sources):,} texts, {len(texts):,} of them distinct, {empty:,} empty; {config.samples} answers to each: "
        f"{requests:,} requests to {config.template.id}\n"
        f"about {asked:,} tokens of prompts and {answered:,} of answers (high estimates; at most "
        f"{requests * config.max_new_tokens:,} in the last tries)\n"
        "nothing was asked or written"
    )
    return "\n\n".join([*shown, counts])


def candidates(missing: Missing) -> list[Request]:
    """The rows to try the check with: the first that is missing, then the shortest of the next thousand."""
    first, *others = missing.requests(range(min(len(missing), 1000)))
    return [first, *sorted(others, key=lambda request: len(request.source))][:CHECKED_ROWS]


def show_check(request: Request, completion: Completion) -> str:
    """The prompt and the answer of a check, for the user."""
    return f"check of one row\n{_shown(request.prompt)}\n--- answers ---\n{_cut(completion.text or '(nothing)')}\n---"


def _shown(prompt: str | Sequence[dict[str, str]]) -> str:
    if isinstance(prompt, str):
        return _cut(prompt)
    return "\n".join(f"{message['role']}: {_cut(message['content'])}" for message in prompt)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text):,} characters)"
