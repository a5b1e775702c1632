"""Filling the ledger: what it lacks goes through the window, and comes back as entries.

The processes of one launch (`accelerate launch -m hf_xling.generation.stage …`) share the work. Reading RANK and
WORLD_SIZE needs no torch; waiting for other processes does, and imports it where there are some.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from tqdm import tqdm

from hf_xling.console import note
from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.asking import Asker, Missing
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.endpoint import EndpointClient, EndpointInfo
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.pool import Endpoint, Pool
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.rows import ERRORS_OF_TEXTS
from hf_xling.generation.window import LONGEST_WAIT, Window

HEADROOM = 0.1  # of what /info allows is left to others
DEFAULT_IN_FLIGHT = 64  # where the endpoint does not say what it takes
GRACE = 10.0
LONG_RUN = 100  # missing answers from which on a row is checked first
CHECKED_ROWS = 3  # texts that may be refused before the endpoint is held to refuse all
SHOWN_CHARACTERS = 2000  # of a prompt or an answer
LONGEST_STAGE = timedelta(days=30)  # torch's own limit on waiting is half an hour; a rank may have hours more to do


@dataclass(frozen=True)
class Ranks:
    """This process's number in a launch, and how many processes there are."""

    rank: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> Self:
        """As a launcher has set them; one process where there is none."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks to the user and writes the rows."""
        return self.rank == 0

    def wait_for_all(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            from accelerate import PartialState

            PartialState(cpu=True, timeout=LONGEST_STAGE).wait_for_everyone()


@dataclass
class Spent:
    """What filling the ledger took: requests sent (again, too), completions recorded, their tokens, and seconds."""

    requests: int = 0
    completions: int = 0
    tokens: int = 0
    seconds: float = 0.0


async def connect(config: GenerateConfig, urls: Sequence[str], stack: AsyncExitStack, world: int = 1) -> Pool:
    """Ask all endpoints what they serve, and make a pool of them. `stack` closes them.

    Args:
        world: how many processes share what the endpoints take at a time.

    Raises:
        EndpointError: one of them cannot be used.
        InputError: they serve different models, and that was not allowed.
    """
    endpoints = []
    for url in urls:
        client = EndpointClient(url, config.wire, config.timeout, model=config.model, api_key=config.api_key)
        info = await (await stack.enter_async_context(client)).info()
        most = config.max_in_flight or DEFAULT_IN_FLIGHT
        if config.max_in_flight is None and info.max_concurrent_requests is not None:
            most = int(info.max_concurrent_requests * (1 - HEADROOM))
        endpoints.append(Endpoint(client, info, max(1, most // world)))
    first = endpoints[0]
    for endpoint in endpoints[1:]:
        one, other = (f"{e.info.model_id} ({e.info.model_sha or 'no sha'})" for e in (first, endpoint))
        names = endpoint.client.name, first.client.name
        if endpoint.info.wire != first.info.wire:
            raise InputError(f"--endpoint {names[0]}: speaks another wire than {names[1]}; give --wire")
        if one != other and not config.allow_mixed_models:
            raise InputError(
                f"--endpoint {names[0]}: serves {other}, but {names[1]} serves {one}; --allow_mixed_models takes both"
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

    Args:
        grace: seconds that answers in flight have to come in after an interruption.
        longest_wait: seconds before a request that failed is sent again, at most.

    Attributes:
        spent: what it has taken so far.
    """

    def __init__(
        self,
        asker: Asker,
        pool: Pool,
        ledger: Ledger,
        ranks: Ranks,
        grace: float = GRACE,
        longest_wait: float = LONGEST_WAIT,
    ):
        self.asker, self.pool, self.ledger, self.ranks = asker, pool, ledger, ranks
        self.grace, self.longest_wait = grace, longest_wait
        self.spent = Spent()
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
            await self._send(missing.requests())
        self.spent.seconds = time.monotonic() - started

    async def _check(self, missing: Missing) -> None:
        """Try the first text that is missing, then the shortest of the next thousand, until one is answered."""
        first, *others = missing.requests(range(min(len(missing), 1000)))
        errors: list[str] = []
        for request in [first, *sorted(others, key=lambda request: len(request.source))][:CHECKED_ROWS]:
            await self._send(iter([request]))
            last, completion, _ = self.asker.outcome(self.ledger, request.source, request.sample)
            if completion is not None and completion.error is None:
                answer = shortened(completion.text or "(nothing)")
                note(f"check of one row\n{shown_prompt(last.prompt)}\n--- answers ---\n{answer}\n---")
                return
            errors.append((completion and completion.error) or "no answer")
            if not errors[-1].startswith(ERRORS_OF_TEXTS):
                break
        urls = ", ".join(endpoint.client.name for endpoint in self.pool.endpoints)
        raise EndpointError(f"--endpoint {urls}: the check of one row failed: {'; '.join(dict.fromkeys(errors))}")

    async def _send(self, requests: Iterator[Request]) -> None:
        stop = self.asker.config.template.stop
        window = Window(requests, self.pool, self._record, stop, self.longest_wait, self._answered)
        shown = asyncio.create_task(self._show_state(window))
        try:
            with _drained_by_signals(window, self.grace):
                await window.run()
        finally:
            shown.cancel()
            self.spent.requests += window.sent

    async def _show_state(self, window: Window) -> None:
        """Say each second how many requests are in flight and were sent, or what the run waits for."""
        while self._progress is not None:
            await asyncio.sleep(1)
            counts = f"{window.in_flight}/{self.pool.limit} in flight, {self.spent.requests + window.sent:,} sent"
            self._progress.set_postfix_str(self.pool.waits_for or counts)

    def _record(self, request: Request, completion: Completion) -> Request | None:
        self.ledger.add(request.key, completion)
        self.spent.completions += 1
        self.spent.tokens += completion.generated_tokens or 0
        follow_up = self.asker.follow_up(request, completion)
        if follow_up is None and self._progress is not None:
            self._progress.update()
        return follow_up


@contextmanager
def _drained_by_signals(window: Window, grace: float) -> Iterator[None]:
    """Let SIGINT and SIGTERM drain `window`; the second of them, or a long wait, ends it at once."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
    came = 0

    def drain() -> None:
        nonlocal came
        came += 1
        if came > 1:
            window.drop()
        else:
            note(f"interrupted: waiting up to {grace:.0f} seconds for {window.in_flight} answers (again: drop them)")
            window.drain()
            loop.call_later(grace, window.drop)

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


def shown_prompt(prompt: str | Sequence[Mapping[str, str]]) -> str:
    """A prompt, or chat messages, for the user."""
    if isinstance(prompt, str):
        return shortened(prompt)
    return "\n".join(f"{message['role']}: {shortened(message['content'])}" for message in prompt)


def shortened(text: str) -> str:
    """`text`, without what is behind its first `SHOWN_CHARACTERS`."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text):,} characters)"
