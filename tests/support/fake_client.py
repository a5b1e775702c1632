"""A client without a network, for the tests of what sends through it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from virtual_time import run

from hf_xling.generation.endpoint import EndpointInfo
from hf_xling.generation.pool import Endpoint, Pool
from hf_xling.generation.protocol import RequestError
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.window import Window


def requests(count: int) -> list[Request]:
    return [Request(str(number), f"prompt {number}", {}, None, None) for number in range(count)]


class FakeClient:
    """Answers each request by `await answer(request)`: a text, a completion, or an error to raise.

    Attributes:
        healthy: what `/health` says.
        sent: the sources in the order in which they were sent, `tries` how often each, `probes` when health was asked.
        most: the most that were in flight at a time.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[str | Completion | Exception]], url: str = "http://fake"):
        self.answer, self.url, self.name, self.on_times = answer, url, url, None
        self.healthy = True
        self.sent: list[str] = []
        self.tries: Counter[str] = Counter()
        self.probes: list[float] = []
        self.in_flight = self.most = 0

    async def is_healthy(self) -> bool:
        self.probes.append(asyncio.get_running_loop().time())
        return self.healthy

    async def complete(self, request: Request, stop: tuple[str, ...] = ()) -> Completion:
        self.sent.append(request.source)
        self.tries[request.source] += 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            answer = await self.answer(request)
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Completion) else Completion(answer)


def failure(kind: str, status: int | None = None) -> RequestError:
    return RequestError(f"{status or kind}", kind, status)


def pool_of(*clients: FakeClient, most: int | Sequence[int] = 4, **fields) -> Pool:
    sizes = [most] * len(clients) if isinstance(most, int) else most
    info = EndpointInfo("generate", "org/model", "abc123")
    return Pool([Endpoint(client, info, size) for client, size in zip(clients, sizes, strict=True)], **fields)


def send_all(pool: Pool, sent, act=None, record=None, **fields) -> dict[str, Completion]:
    """What is recorded by source when the requests `sent` go through `pool`; `act(window)` is run beside the window."""
    recorded: dict[str, Completion] = {}

    def keep(request, completion):
        assert request.source not in recorded
        recorded[request.source] = completion

    async def main():
        window = Window(iter(sent), pool, record or keep, **fields)
        beside = asyncio.create_task(act(window)) if act else None
        try:
            await window.run()
        finally:
            if beside is not None:
                await beside
        assert window.sent == sum(len(endpoint.client.sent) for endpoint in pool.endpoints)
        assert [endpoint.outstanding for endpoint in pool.endpoints] == [0] * len(pool.endpoints)

    run(main())
    return recorded


def answering(**outcomes) -> FakeClient:
    """A client that answers source `sN` by the outcomes given for it in turn (then `x`), a second after it is asked."""

    async def answer(request):
        await asyncio.sleep(1)
        left = outcomes.get(f"s{request.source}")
        return left.pop(0) if left else "x"

    return FakeClient(answer)


def failing(*kinds: str) -> list:
    return [failure(kind) for kind in kinds]
