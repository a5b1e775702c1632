"""A loopback server that speaks TGI's wire and answers from recorded pairs: `hf-xling serve-replay`.

Text Generation Inference 3.3's `/generate`, `/v1/chat/completions`, `/v1/models`, `/info` and `/health`, with its
statuses and error bodies. A prompt that none of this project's built-in templates made for its built-in languages, or
whose source was not recorded, is a 422.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from aiohttp import web

from hf_xling.console import announce
from hf_xling.errors import InputError, XlingError
from hf_xling.generation.languages import LANGUAGES
from hf_xling.generation.prompts import TASKS
from hf_xling.recipes import RecipeParser, option
from hf_xling.runs import file_hash
from hf_xling.tables import read_table

MAX_CONCURRENT_REQUESTS = 128
DEFAULT_MAX_NEW_TOKENS = 100
INFO = {
    **{"max_concurrent_requests": MAX_CONCURRENT_REQUESTS, "max_best_of": 1, "max_stop_sequences": 4},
    **{"max_input_tokens": 4095, "max_total_tokens": 4096, "max_client_batch_size": 4},
    **{"version": "3.3.0-replay", "sha": None},
}

Prompt = str | list[dict[str, str]]


@dataclass(frozen=True)
class Recording:
    """Recorded answers by (task, source), and what the server says it serves."""

    answers: Mapping[tuple[str, str], str]
    model_id: str
    model_sha: str

    def answer(self, prompt: Prompt, max_tokens: int | None) -> tuple[str, int, str]:
        """The recorded answer within `max_tokens`, how many tokens (here words) it has, and the finish reason."""
        text = next((self.answers[key] for key in sources_in(prompt) if key in self.answers), None)
        if text is None:
            raise _refusal("nothing is recorded for this prompt")
        words, budget = text.split(" "), max_tokens or DEFAULT_MAX_NEW_TOKENS
        return " ".join(words[:budget]), min(len(words), budget), "length" if len(words) > budget else "eos_token"


def sources_in(prompt: Prompt) -> Iterator[tuple[str, str]]:
    """The (task, source) of each built-in template that makes `prompt`, for some pair of the built-in languages."""
    chat = not isinstance(prompt, str)
    text = prompt if isinstance(prompt, str) else prompt[-1].get("content")
    if not isinstance(text, str):
        return
    for length, endings in _beginnings(chat).items():
        for task, after in endings.get(text[:length], ()):
            if text.endswith(after) and len(text) >= length + len(after):
                source = text[length : len(text) - len(after)]
                yield task, source if chat else TASKS[task].unspaced(source)


@cache
def _beginnings(chat: bool) -> dict[int, dict[str, list[tuple[str, str]]]]:
    """What is before the source in each prompt, by its length, with the task and what is after the source.

    There are some 180 prompts of a few dozen lengths, so that a prompt is found by as many look-ups.
    """
    found: dict[int, dict[str, list[tuple[str, str]]]] = {}
    mark = "\0"
    for (task, template), source_language, language in product(TASKS.items(), LANGUAGES.values(), LANGUAGES.values()):
        if chat:
            text = template.messages(mark, source_language, language)[-1]["content"]
        else:
            text = template.render(mark, source_language, language)
        before, _, after = text.partition(mark)
        endings = found.setdefault(len(before), {}).setdefault(before, [])
        if (task, after) not in endings:
            endings.append((task, after))
    return found


@dataclass
class ServeReplayConfig:
    """What `hf-xling serve-replay` serves, and where."""

    pairs: str = option("recorded pairs (.jsonl, .tsv or .csv) with the columns task, source, text")
    port: int = option("port on 127.0.0.1; 0 takes a free one", 8080)

    _argument_group_name = "serve-replay"


def read_recording(path: str | Path) -> Recording:
    """Read recorded pairs; where a (task, source) occurs twice, the first answer counts.

    Raises:
        InputError: a missing file, column or value, or an unknown task; the row is named.
    """
    table = read_table(path).require_rows()
    answers: dict[tuple[str, str], str] = {}
    columns = (table.column("task"), table.column("source"), table.column("text"))
    for row, (task, source, text) in enumerate(zip(*columns, strict=True)):
        if not isinstance(task, str) or task not in TASKS:
            raise InputError(f"{table.where(row)}: unknown task {task!r}; known are {', '.join(TASKS)}")
        if not isinstance(source, str) or not isinstance(text, str):
            raise InputError(f"{table.where(row)}: `source` and `text` must be texts")
        answers.setdefault((task, source), text)
    return Recording(answers, f"replay/{Path(path).stem}", file_hash(path)[:40])


def make_app(recording: Recording) -> web.Application:
    """The server as an aiohttp application."""
    in_flight = 0

    @web.middleware
    async def overload(request: web.Request, handler: Any) -> web.StreamResponse:
        nonlocal in_flight
        if in_flight >= MAX_CONCURRENT_REQUESTS and request.method == "POST":
            return web.json_response({"error": "Model is overloaded", "error_type": "overloaded"}, status=429)
        in_flight += 1
        try:
            return await handler(request)
        finally:
            in_flight -= 1

    async def generate(request: web.Request) -> web.Response:
        body = await _body(request)
        parameters = body.get("parameters") or {}
        if problem := _invalid(body.get("inputs"), parameters):
            raise _refusal(problem)
        text, tokens, reason = recording.answer(body["inputs"], parameters.get("max_new_tokens"))
        details = {"finish_reason": reason, "generated_tokens": tokens, "seed": parameters.get("seed")}
        shown = {"details": details | {"prefill": [], "tokens": []}} if parameters.get("details") else {}
        return web.json_response({"generated_text": text, **shown})

    async def chat(request: web.Request) -> web.Response:
        body = await _body(request)
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
            raise _refusal("`messages` cannot be empty")
        text, tokens, reason = recording.answer(messages, body.get("max_tokens"))
        reason = "length" if reason == "length" else "stop"
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        usage = {"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens}
        about = {"object": "chat.completion", "id": "", "created": 0, "system_fingerprint": ""}
        return web.json_response({**about, "model": recording.model_id, "choices": [choice], "usage": usage})

    async def info(request: web.Request) -> web.Response:
        return web.json_response({"model_id": recording.model_id, "model_sha": recording.model_sha, **INFO})

    async def models(request: web.Request) -> web.Response:
        return web.json_response(model_list(recording.model_id))

    async def health(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(middlewares=[overload], client_max_size=2 * 1024**2)
    app.router.add_post("/generate", generate)
    app.router.add_post("/v1/chat/completions", chat)
    for path, handler in (("/v1/models", models), ("/info", info), ("/health", health)):
        app.router.add_get(path, handler)
    return app


def model_list(model_id: str) -> dict[str, Any]:
    """The body of TGI's `/v1/models`, which lists the one model that it serves."""
    return {"object": "list", "data": [{"id": model_id, "object": "model", "created": 0, "owned_by": model_id}]}


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON object in `request`; for anything else TGI has a 4xx in plain text."""
    try:
        body = await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"Failed to parse the request body as JSON: {error}") from error
    if not isinstance(body, dict):
        raise web.HTTPUnprocessableEntity(text="Failed to deserialize the JSON body into the target type")
    return body


def _invalid(inputs: Any, parameters: Mapping[str, Any]) -> str | None:
    """What TGI's validation would refuse in a request, or None."""
    temperature, top_p = parameters.get("temperature"), parameters.get("top_p")
    if not isinstance(inputs, str) or not inputs:
        return "`inputs` cannot be empty"
    if temperature is not None and temperature <= 0:
        return "`temperature` must be strictly positive"
    if top_p is not None and not 0 < top_p < 1:
        return "`top_p` must be > 0.0 and < 1.0"
    if len(parameters.get("stop") or ()) > 4:
        return "`stop` supports up to 4 stop sequences"
    return None


def _refusal(problem: str) -> web.HTTPException:
    told = {"error": f"Input validation error: {problem}", "error_type": "validation"}
    return web.HTTPUnprocessableEntity(text=json.dumps(told), content_type="application/json")


async def _start(app: web.Application, port: int) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        await runner.cleanup()
        raise XlingError(f"--port {port}: cannot be listened on: {error.strerror}") from error
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@contextmanager
def serving(app: web.Application) -> Iterator[str]:
    """Serve `app` on a free loopback port from a thread of its own; yield its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner, url = asyncio.run_coroutine_threadsafe(_start(app, 0), loop).result()
    try:
        yield url
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def main(argv: Sequence[str]) -> str:
    """Serve until interrupted or terminated."""
    parser = RecipeParser([ServeReplayConfig], prog="hf-xling serve-replay", description=__doc__)
    (config,) = parser.parse(argv)
    recording = read_recording(config.pairs)

    async def serve() -> None:
        runner, url = await _start(make_app(recording), config.port)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        announce(f"{len(recording.answers):,} recorded pairs served at {url} (Ctrl-C stops)")
        await stop.wait()
        await runner.cleanup()

    asyncio.run(serve())
    return "stopped"
