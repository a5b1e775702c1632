"""A look before the run: what it would ask (`--dry_run`), and a check of one row before many are paid for."""

from __future__ import annotations

from collections.abc import Sequence

from hf_xling.generation.asking import Asker, Missing
from hf_xling.generation.budgets import expected_tokens, prompt_tokens
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.endpoint import EndpointInfo
from hf_xling.generation.prompts import FORMS
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.sources import Sources, is_usable

LONG_RUN = 100  # missing answers from which on a row is checked first
CHECKED_ROWS = 3  # texts that may be refused before the endpoint is held to refuse all
SHOWN_PROMPTS = 3
SHOWN_CHARACTERS = 2000  # of a prompt or an answer


def describe(config: GenerateConfig, sources: Sources) -> str:
    """What a run would ask: prompts, counts, distinct texts and an estimate of tokens. Nothing is asked or written."""
    texts = sources.distinct()
    wires = ["chat"] if config.serve else ["generate", "chat"] if config.wire == "auto" else [config.wire]
    askers = {wire: Asker(config, EndpointInfo(wire, model_id=None), max_repetition=1.0) for wire in wires}
    asker, forms = askers[wires[0]], {wire: _form(config, wire) for wire in wires}
    requests = len(texts) * config.samples
    languages = config.source_profile, config.profile
    asked = sum(prompt_tokens(asker.prompt(text), text, config.source_profile) for text in texts) * config.samples
    answered = sum(min(expected_tokens(text, *languages), config.max_new_tokens) for text in texts) * config.samples
    shown = [f"prompt {number}:\n{_shown(asker.prompt(text))}" for number, text in enumerate(texts[:SHOWN_PROMPTS], 1)]
    if len(wires) > 1:  # which of them, the endpoint tells when it is asked
        forms = {
            "generate": f"of an endpoint whose /info is TGI's: {forms['generate']}",
            "chat": f"else: {forms['chat']}",
        }
        shown[1:1] = [f"the same:\n{_shown(askers['chat'].prompt(text))}\n({forms['chat']})" for text in texts[:1]]
    shown[:1] = [f"{first}\n({forms[wires[0]]})" for first in shown[:1]]
    empty = sum(1 for source in sources if not is_usable(source.text))
    counts = (
        f"{len(sources):,} texts, {len(texts):,} of them distinct, {empty:,} empty; {config.samples} answers to each: "
        f"{requests:,} requests to {config.template.id}\n"
        f"about {asked:,} tokens of prompts and {answered:,} of answers (high estimates; at most "
        f"{requests * config.max_new_tokens:,} in the last tries)\n"
        "nothing was asked or written"
    )
    return "\n\n".join([*shown, counts])


def _form(config: GenerateConfig, wire: str) -> str:
    """In what form the model gets a prompt."""
    if wire == "chat":
        return "chat messages; the server puts them into the form of the model that it serves (--wire chat)"
    form = config.template.form if config.template.form in FORMS else "of the prompt file"
    return f"sent as it stands, in the form {form}, whatever model is served (--wire generate; --prompt has another)"


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
