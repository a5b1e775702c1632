"""A text-generation endpoint of the tests: it counts what it is asked and answers, or fails, as a test wants."""

import asyncio
from collections import Counter
from collections.abc import Callable

from aiohttp import web

from hf_xling.sample.replay import model_list, sources_in

Answer = str | int | tuple[str, str]


def source_in(prompt) -> str:
    for _, source in sources_in(prompt):
        return source
    raise AssertionError(f"no template made {prompt!r}")


class LoopbackTGI:
    """Answers each source by `answer(source)`: a text, a text and a finish reason, or the status of an error.

    Attributes:
        seen: how often each source was asked for.
        bodies, headers: of the requests, in order.
        delay: seconds that an answer takes.
        info: what `/info` says; None for a server that has none, such as vLLM's.
        model_id: what `/v1/models` says.
        source_in: finds the source in a prompt; to be replaced where a test brings a template or language of its own.
    """

    def __init__(self, answer: Callable[[str], Answer], model_id: str = "org/model", model_sha: str | None = "abc123"):
        self.answer, self.seen = answer, Counter()
        self.bodies, self.headers = [], []
        self.model_id, self.source_in, self.delay = model_id, source_in, 0.0
        self.info = {"model_id": model_id, "model_sha": model_sha, "max_concurrent_requests": 8}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/generate", self._generate)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/info", self._info)
        app.router.add_get("/health", self._health)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        return web.json_response(model_list(self.model_id))

    async def _info(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        if self.info is None:
            raise web.HTTPNotFound
        return web.json_response(self.info)

    async def _answer(self, request: web.Request, field: str) -> tuple[str, str] | web.Response:
        body = await request.json()
        source = self.source_in(body[field])
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.seen[source] += 1
        if self.delay:  # else `bodies[-1]` is what is answered now
            await asyncio.sleep(self.delay)
        answer = self.answer(source)
        if isinstance(answer, int):
            kind = {422: "validation", 429: "overloaded", 424: "generation"}.get(answer, "other")
            return web.json_response({"error": f"bad luck with {source}", "error_type": kind}, status=answer)
        return answer if isinstance(answer, tuple) else (answer, "eos_token")

    async def _generate(self, request: web.Request) -> web.Response:
        answer = await self._answer(request, "inputs")
        if isinstance(answer, web.Response):
            return answer
        text, reason = answer
        details = {
            "finish_reason": reason,
            "generated_tokens": len(text.split()),
            "seed": 7,
            "prefill": [],
            "tokens": [],
        }
        return web.json_response({"generated_text": text, "details": details})

    async def _chat(self, request: web.Request) -> web.Response:
        answer = await self._answer(request, "messages")
        if isinstance(answer, web.Response):
            return answer
        text, reason = answer
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        usage = {"prompt_tokens": 1, "completion_tokens": len(text.split()), "total_tokens": 2}
        return web.json_response(
            {"id": "", "created": 0, "model": "m", "system_fingerprint": "", "choices": [choice], "usage": usage}
        )
