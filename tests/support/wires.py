"""Transports in place of a network, and what they are asked and answer, for the tests of the client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from huggingface_hub.utils import httpx

from hf_xling.generation.endpoint import EndpointClient
from hf_xling.generation.records import Completion, Request

URL = "http://tgi.test:8080"
GENERATE = Request("A dog.", "prompt", {"seed": 3, "max_new_tokens": 9, "stop": ["<|eot_id|>"]}, "m", "s")
CHAT = Request("A dog.", [{"role": "user", "content": "A dog."}], {"seed": 3, "max_tokens": 9}, "m", "s")
REQUESTS = {"generate": GENERATE, "chat": CHAT}


def generated(text: str | None, reason: str = "eos_token") -> dict[str, Any]:
    return {"generated_text": text, "details": {"finish_reason": reason, "generated_tokens": 4, "seed": 3}}


def chatted(text: str | None, reason: str = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    usage = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}
    return {"id": "", "created": 0, "model": "m", "system_fingerprint": "", "choices": [choice], "usage": usage}


def models(*names: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


class Wire:
    """A transport that answers every request with `answer`, and keeps what it was sent.

    `answer` is JSON, a response, an error to raise, or a mapping of these by path (others are a 404).
    """

    def __init__(self, answer: Any, by_path: bool = False):
        self.answer, self.by_path, self.sent = answer, by_path, []

    def __call__(self, request: Any) -> Any:
        self.sent.append(request)
        answer = self.answer
        if self.by_path:
            answer = answer.get(request.url.path, httpx.Response(404, text="not\nhere"))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def with_client(
    transport: Callable[[Any], Any], act: Callable[[EndpointClient], Awaitable[Any]], url: str = URL, /, **fields: Any
) -> Any:
    """What `act(client)` returns for a client that speaks through `transport`."""

    async def run() -> Any:
        async with EndpointClient(url, transport=httpx.MockTransport(transport), **fields) as client:
            return await act(client)

    return asyncio.run(run())


def complete(answer: Any, wire: str = "generate", stop: tuple[str, ...] = ()) -> Completion:
    """The completion that a client makes of `answer`."""
    return with_client(Wire(answer), lambda client: client.complete(REQUESTS[wire], stop), wire=wire)
