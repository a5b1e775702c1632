"""Filling the ledger: what it lacks goes through the window, and comes back as entries."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass

from tqdm import tqdm

from hf_xling.console import note
from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.asking import Asker, Missing
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.endpoint import EndpointClient, EndpointInfo
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.pool import Endpoint, Pool
from hf_xling.generation.preview import LONG_RUN, candidates, show_check
from hf_xling.generation.ranks import Ranks
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.rows import ERRORS_OF_TEXTS
from hf_xling.generation.window import Window

HEADROOM = 0.1  # of what /info allows is left to others
DEFAULT_IN_FLIGHT = 64  # where the endpoint does not say what it takes
GRACE = 10.0  # seconds that answers in flight have to come in after an interruption


@dataclass
class Spent:
    """What filling the ledger took: requests sent (again, too), completions recorded, their tokens, and seconds."""

    requests: int = 0
    completions: int = 0
    tokens: int = 0
    seconds: float = 0.0


async def connect(
    config: GenerateConfig, urls: Sequence[str], stack: AsyncExitStack, ranks: Ranks | None = None
) -> Pool:
    """Ask all endpoints what they serve, and make a pool of them. `stack` closes them.

    Raises:
        EndpointError: one of them cannot be used.
        InputError: they serve different models, and that was not allowed.
    """
    endpoints = []
    for url in urls:
        client = EndpointClient(url, config.wire, config.timeout, model=config.model, api_key=config.api_key)
        info = await (await stack.enter_async_context(client)).info()
        endpoints.append(Endpoint(client, info, _most_in_flight(config, info, ranks or Ranks())))
    first = endpoints[0]
    for endpoint in endpoints[1:]:
        one, other = ((e.info.model_id, e.info.model_sha) for e in (first, endpoint))
        if endpoint.info.wire != first.info.wire:
            raise InputError(
                f"--endpoint {endpoint.client.name}: speaks another wire than {first.client.name}; give --wire"
            )
        if one != other and not config.allow_mixed_models:
            raise InputError(
                f"--endpoint {endpoint.client.name}: serves {_named(*other)}, but {first.client.name} serves "
                f"{_named(*one)}; --allow_mixed_models takes both"
            )
    return Pool(endpoints, config.longest_outage)


def common_info(pool: Pool) -> EndpointInfo:
    """What a run records as its model; of several, their names and shas in order, with a `+` between them."""
    infos = sorted((endpoint.info for endpoint in pool.endpoints), key=lambda i: (i.model_id or "", i.model_sha or ""))
    ids = dict.fromkeys(info.model_id for info in infos if info.model_id)
    shas = dict.fromkeys(info.model_sha for info in infos if info.model_sha)
    first = infos[0]
    return EndpointInfo(first.wire, "+".join(ids) or None, "+".join(shas) or None, first.model, version=first.version)


class Filling:
    """Asks for what the ledger lacks.

    Attributes:
        spent: what it has taken so far.
    """

    def __init__(self, asker: Asker, pool: Pool, ledger: Ledger, ranks: Ranks):
        self.asker, self.pool, self.ledger, self.ranks = asker, pool, ledger, ranks
        self.spent = Spent()
        self._window: Window | None = None
        self._progress: tqdm | None = None
        self._answered: Request | None = None

    async def run(self, missing: Missing) -> None:
        """Ask for all that is missing. Before a long run one row is checked, with its prompt and answer shown.

        Raises:
            EndpointError: the check failed, or the endpoints are out or deny everything.
            Stopped: a signal came; the answers in flight were waited for, and kept.
        """
        started, self._answered = time.monotonic(), missing.answered
        if len(missing) * self.ranks.world >= LONG_RUN and self.ranks.is_first:
            await self._check(missing)
        self.ranks.wait_for_all()  # none of the others asks for anything before the check
        config, before = self.asker.config, self.spent.completions
        name = f"{config.task} to {config.profile.code}" + (f", rank {self.ranks.rank}" if self.ranks.world > 1 else "")
        with tqdm(desc=name, total=missing.share, initial=missing.share - len(missing), unit="text") as self._progress:
            self._progress.update(before)
            shown = asyncio.create_task(self._show_state(self._progress))
            try:
                await self._send(missing.requests())
            finally:
                shown.cancel()
        self.spent.seconds = time.monotonic() - started

    async def _check(self, missing: Missing) -> None:
        errors = []
        for request in candidates(missing):
            await self._send(iter([request]))
            last, completion, _ = self.asker.outcome(self.ledger, request.source, request.sample)
            if completion is not None and completion.error is None:
                note(show_check(last, completion))
                return
            errors.append(completion.error if completion is not None else "no answer")
            if not errors[-1].startswith(ERRORS_OF_TEXTS):
                break
        urls = ", ".join(endpoint.client.name for endpoint in self.pool.endpoints)
        raise EndpointError(f"--endpoint {urls}: the check of one row failed: {'; '.join(dict.fromkeys(errors))}")

    async def _send(self, requests: Iterator[Request]) -> None:
        stop, answered = self.asker.config.template.stop, self._answered
        window = self._window = Window(requests, self.pool, self._record, stop, answered=answered)
        try:
            with _drained_by_signals(window):
                await window.run()
        finally:
            self.spent.requests += window.sent

    async def _show_state(self, progress: tqdm) -> None:
        """Say each second how many requests are in flight and were sent, or what the run waits for."""
        while True:
            await asyncio.sleep(1)
            sent, in_flight = self.spent.requests + self._window.sent, self._window.in_flight
            counts = f"{in_flight}/{self.pool.limit} in flight, {sent:,} sent"
            progress.set_postfix_str(self.pool.waits_for or counts)

    def _record(self, request: Request, completion: Completion) -> Request | None:
        self.ledger.add(request.key, completion)
        self.spent.completions += 1
        self.spent.tokens += completion.generated_tokens or 0
        follow_up = self.asker.follow_up(request, completion)
        if follow_up is None and self._progress is not None:
            self._progress.update()
        return follow_up


@contextmanager
def _drained_by_signals(window: Window) -> Iterator[None]:
    """Let SIGINT and SIGTERM drain `window`; the second of them, or a long wait, ends it at once."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
    came = 0

    def drain() -> None:
        nonlocal came
        came += 1
        if came > 1:
            window.drop()
        else:
            note(f"interrupted: waiting up to {GRACE:.0f} seconds for {window.in_flight} answers (again: drop them)")
            window.drain()
            loop.call_later(GRACE, window.drop)

    # Only the main thread may set handlers; elsewhere signals are the business of whoever runs there.
    with suppress(RuntimeError, ValueError, NotImplementedError):
        for number in signals:
            loop.add_signal_handler(number, drain)
    try:
        yield
    finally:
        with suppress(RuntimeError, ValueError, NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)


def _most_in_flight(config: GenerateConfig, info: EndpointInfo, ranks: Ranks) -> int:
    """Requests at a time to one endpoint from this process; the processes of a launch share what it takes."""
    if config.max_in_flight is not None:
        most = config.max_in_flight
    elif info.max_concurrent_requests is not None:
        most = int(info.max_concurrent_requests * (1 - HEADROOM))
    else:
        most = DEFAULT_IN_FLIGHT
    return max(1, most // ranks.world)


def _named(model_id: str | None, model_sha: str | None) -> str:
    return f"{model_id} ({model_sha or 'no sha'})"
