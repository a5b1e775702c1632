"""A text-generation endpoint that fails on purpose: TGI 3.3's wire with its statuses, error bodies and headers.

What becomes of a request depends on the seed, on what is asked and on how often it was asked before, and on nothing
else: not on time, and not on the order in which requests come. What it answers to a source depends on the source alone.
Only more requests at a time than it takes are turned away whatever they are, as TGI does.
"""

import asyncio
import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tgi_answers import chance, content, tokens_of

from hf_xling.sample.replay import model_list, sources_in

# What can go wrong by chance, with its share of all that goes wrong. `refused` is for `FaultyTGI.always` alone.
FAULTS = {
    "overloaded": 4,  # 429
    "incomplete": 4,  # 500
    "unavailable": 3,  # 503
    "generation": 3,  # 424
    "reset": 3,  # the connection, in place of an answer
    "reset_within": 3,  # … in the middle of one
    "torn": 3,  # half of the JSON, with status 200
    "empty": 3,  # an answer without text
    "loop": 2,  # one that goes round until the token limit
}
NO_ANSWER = ("reset", "reset_within")
_RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: what is closed is reset


@dataclass(slots=True)
class Asked:
    """A request that came, and what became of it.

    Attributes:
        time: when, on the monotonic clock.
        run: the first segment of the path, if there is one: who asked.
        identity: SHA-256 of the whole body.
        limit: tokens that the answer may have.
        fault: what was to go wrong, `cut` for an answer cut at its token limit; None for a good answer.
        is_whole: whether the answer, good or not, went out with its last byte.
    """

    time: float
    run: str
    identity: str
    source: str
    body: dict[str, Any]
    limit: int
    fault: str | None
    is_whole: bool = False

    @property
    def outcome(self) -> str | None:
        """`fault`, or `death` where the server or the client ended before the answer was out."""
        return self.fault if self.is_whole or self.fault in NO_ANSWER else "death"


@dataclass
class FaultyTGI:
    """The server. Serve it by `serving`, which sets `url`.

    Args:
        seed: of the faults.
        faults: share of requests that fail.
        kinds: what may go wrong then, with its weight.
        always: sources that fail whenever they are asked for, with the kind of the fault.
        latency: seconds that an answer takes.
        heavy_tailed: those seconds are a mean only, over a Pareto distribution with exponent 1.5, cut at 50 times.
        limit: `max_concurrent_requests`, which `/info` tells.
        dies_at: with which request the server dies: connections are cut, and new ones refused.
        back_after: seconds after which it then comes back; None for never.

    Attributes:
        log: all requests, in the order in which they came.
        asked, answered: how often each identity was asked, and how often answered well and wholly.
        most_in_flight: at a time, by run. A request is in flight until the server begins to answer or to fail it.
        asked_by_return: how many requests had come when it came back from death.
        holds_from: as soon as so many requests have come, all answers are held back until this is None again.
    """

    seed: int = 0
    faults: float = 0.3
    kinds: Mapping[str, int] = field(default_factory=lambda: dict(FAULTS))
    always: Mapping[str, str] = field(default_factory=dict)
    latency: float = 0.0
    heavy_tailed: bool = False
    limit: int = 128
    model_sha: str = "0123456789abcdef"
    dies_at: int | None = None
    back_after: float | None = None

    def __post_init__(self) -> None:
        self.log: list[Asked] = []
        self.asked, self.most_in_flight, self._in_flight = Counter[str](), Counter[str](), Counter[str]()
        self.asked_by_return: int | None = None
        self.holds_from: int | None = None
        self._is_dead, self.url = False, ""
        self.changed = threading.Condition()  # notified when a request has come

    @property
    def answered(self) -> Counter[str]:
        return Counter(entry.identity for entry in self.log if entry.outcome is None)

    @property
    def faults_by_kind(self) -> Counter[str]:
        return Counter(entry.outcome for entry in self.log if entry.outcome is not None)

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=2 * 1024**2)
        for prefix in ("", "/{run}"):
            app.router.add_post(f"{prefix}/generate", self._ask)
            app.router.add_post(f"{prefix}/v1/chat/completions", self._ask)
            app.router.add_get(f"{prefix}/info", self._info)
            app.router.add_get(f"{prefix}/health", self._health)
            app.router.add_get(f"{prefix}/v1/models", self._models)
        # TGI too ends a request whose client has gone.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def answering(self, entry: Asked) -> None:
        """Called before a good answer; tests that hold one back replace it."""

    async def _info(self, request: web.Request) -> web.Response:
        told = {"model_id": "org/model", "model_sha": self.model_sha, "max_concurrent_requests": self.limit}
        sizes = {"max_best_of": 2, "max_stop_sequences": 4, "max_input_tokens": 4095, "max_total_tokens": 4096}
        return web.json_response({**told, **sizes, "max_client_batch_size": 4, "version": "3.3.0", "sha": None})

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response(model_list("org/model"))

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        run = request.match_info.get("run", "")
        body = await request.json()
        chat = "messages" in body
        _, source = next(sources_in(body["messages"] if chat else body["inputs"]))
        limit = body["max_tokens"] if chat else body["parameters"]["max_new_tokens"]
        identity = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        seed = (body if chat else body["parameters"]).get("seed")
        draw = (source, limit, seed, self.asked[identity])
        fault = self._fault(source, draw) or ("cut" if tokens_of(source) > limit else None)
        entry = Asked(time.monotonic(), run, identity, source, body, limit, fault)
        if self._in_flight[run] >= self.limit:
            entry.fault = "overloaded"
        self.asked[identity] += 1
        self._in_flight[run] += 1
        self.most_in_flight[run] = max(self.most_in_flight[run], self._in_flight[run])
        with self.changed:
            self.log.append(entry)
            self.changed.notify_all()
        if self._is_dead or (self.dies_at is not None and len(self.log) >= self.dies_at):
            await self._die(entry)
        try:
            await asyncio.sleep(self._seconds(draw))
            while self.holds_from is not None and len(self.log) >= self.holds_from:
                await asyncio.sleep(0.001)
            if entry.fault is None:
                await self.answering(entry)
        finally:
            self._in_flight[run] -= 1
        if entry.fault == "reset":
            return _reset(request)
        return await self._respond(request, entry, *content(entry.fault, source, limit, seed, chat))

    def _fault(self, source: str, draw: tuple) -> str | None:
        if source in self.always:
            return self.always[source]
        drawn = chance("fault", self.seed, *draw)
        if drawn >= self.faults:
            return None
        drawn *= sum(self.kinds.values()) / self.faults
        for kind, weight in self.kinds.items():
            drawn -= weight
            if drawn < 0:
                return kind
        return kind

    def _seconds(self, draw: tuple) -> float:
        if not self.heavy_tailed:
            return self.latency
        return self.latency / 3 * min(50.0, (1 - chance("seconds", self.seed, *draw)) ** (-1 / 1.5))

    async def _respond(
        self, request: web.Request, entry: Asked, status: int, told: dict[str, Any]
    ) -> web.StreamResponse:
        body = json.dumps(told).encode()
        if entry.fault == "torn":
            body = body[: len(body) // 2]
        response = web.StreamResponse(status=status)
        response.content_type, response.content_length = "application/json", len(body)
        if status == 200:
            tokens = (told.get("details") or told.get("usage") or {}).get
            taken = round(1000 * (time.monotonic() - entry.time))
            numbers = {"total-time": taken, "validation-time": 0, "queue-time": 0, "inference-time": taken}
            numbers["generated-tokens"] = tokens("generated_tokens") or tokens("completion_tokens")
            for name, number in {**numbers, "time-per-token": 1, "prompt-tokens": 9}.items():
                response.headers[f"x-{name}"] = str(number)
        await response.prepare(request)
        if entry.fault == "reset_within":
            await response.write(body[: len(body) // 2])
            await asyncio.sleep(0.002)
            return _reset(request)
        await response.write(body)
        entry.is_whole = True
        await response.write_eof()
        return response

    async def _die(self, entry: Asked) -> None:
        self._in_flight[entry.run] -= 1
        if not self._is_dead:
            self._is_dead, self.dies_at = True, None
            self._death = asyncio.create_task(self._be_dead())
        await asyncio.Event().wait()  # until the loss of its connection ends it

    async def _be_dead(self) -> None:
        for site in list(self._runner.sites):
            await site.stop()
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        if self.back_after is not None:
            await asyncio.sleep(self.back_after)
            await self.stop()
            self._is_dead, self.asked_by_return = False, len(self.log)
            await self.start(int(self.url.rpartition(":")[2]))


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    return web.Response()


@contextmanager
def serving(*servers: FaultyTGI) -> Iterator[asyncio.AbstractEventLoop]:
    """Run `servers` on free loopback ports, on one event loop in a thread of its own, which is yielded."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def each(do: str) -> None:
        await asyncio.gather(*(getattr(server, do)() for server in servers))

    asyncio.run_coroutine_threadsafe(each("start"), loop).result()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(each("stop"), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
