"""The window: so many requests in flight at all times, refilled on each completion and never at a barrier."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from hf_xling.errors import EndpointError
from hf_xling.generation.pool import Endpoint, Pool, backoff
from hf_xling.generation.protocol import RequestError
from hf_xling.generation.records import Completion, Request

# How often a request is sent before its failure is final, by the kind of the failure; an `empty` answer then counts.
# Being overloaded is no fault of a request, and the window shrinks, so this may take long.
MOST_TRIES = {
    "overloaded": 20,
    "unavailable": 8,
    "transient": 6,
    "timeout": 3,
    "generation": 3,
    "empty": 3,
    "broken": 3,
}
# A denial is final, unless another endpoint may see it otherwise.
MOST_TRIES_OF_SEVERAL = {**MOST_TRIES, "denied": 3}
# So many failures in a row (a wrong token, a used-up credit, a missing chat template) end the run, unless an answered
# request shows that they are about these texts: the next million will fare no better.
MOST_FAILURES_IN_A_ROW = 20
FAILURES_AT_THE_END = 5  # in a row, that are looked into when nothing is left to send
LONGEST_WAIT = 30.0  # seconds before a request is sent again


class Stopped(Exception):
    """The window was asked to stop before all was done."""


@dataclass(slots=True, eq=False)
class _Job:
    request: Request
    tries: Counter = field(default_factory=Counter)
    failed_at: Endpoint | None = None  # of its last try


class Window:
    """Sends requests through a pool, as many at a time as its endpoints take.

    A request that may succeed later leaves its place to another, waits for a random, growing time, and is sent before
    any new one. One that fails for good is recorded as a completion with its `error`: a failure is a row, not a crash.

    Args:
        requests: what to send. They are taken one by one, when there is room for them.
        pool: where to.
        record: called with each request and its final completion. It may return another request, to be sent next.
        stop: strings at which an answer ends.
        longest_wait: seconds before a request is sent again, at most.
        answered: a request that an earlier run had answered, if there is one.

    Attributes:
        sent: how many requests have been sent, those that were sent again included.
    """

    def __init__(
        self,
        requests: Iterator[Request],
        pool: Pool,
        record: Callable[[Request, Completion], Request | None],
        stop: tuple[str, ...] = (),
        longest_wait: float = LONGEST_WAIT,
        answered: Request | None = None,
    ):
        self._requests, self._pool, self._record, self._stop = requests, pool, record, stop
        self._longest_wait = longest_wait
        self._next: deque[_Job] = deque()  # what is sent before any new request
        self._new: _Job | None = None
        self._waiting: dict[_Job, asyncio.TimerHandle] = {}  # what backs off
        self._in_flight: set[asyncio.Task] = set()
        self._exhausted = self._stopping = False
        self._answered, self._failures = answered, 0
        self.sent = 0

    @property
    def in_flight(self) -> int:
        """Requests whose answer has not come yet."""
        return len(self._in_flight)

    async def run(self) -> None:
        """Send all requests.

        Raises:
            EndpointError: no endpoint came back, or all requests fail.
            Stopped: `drain` or `drop` was called.
            Exception: what `record` or the iterator of requests raised. Requests in flight are dropped.
        """
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pool.start(self._fill, self._fail)
        try:
            self._fill()
            await self._done
            if self._failures >= FAILURES_AT_THE_END and self._answered is not None:
                await self._check_failures(*self._last)
        finally:
            self._cancel_waiting()
            for task in self._in_flight:
                task.cancel()
            await asyncio.gather(*self._in_flight, self._pool.close(), return_exceptions=True)

    def drain(self) -> None:
        """Send nothing more, and end when what is in flight has come."""
        self._stopping = self._exhausted = True
        self._next.clear()
        self._new = None
        self._cancel_waiting()
        self._fill()

    def drop(self) -> None:
        """End now, without what is in flight."""
        self._fail(Stopped())

    def _fill(self) -> None:
        """Send what there is room for; end the run when there is nothing left."""
        try:
            while not self._done.done() and (job := self._peek()) and (endpoint := self._pool.take(job.failed_at)):
                if self._next:
                    self._next.popleft()
                else:
                    self._new = None
                task = asyncio.get_running_loop().create_task(self._send(job, endpoint))
                self._in_flight.add(task)
                task.add_done_callback(self._landed)
        except Exception as error:  # of the iterator
            self._fail(error)
        if self._exhausted and not (self._next or self._new or self._waiting or self._in_flight or self._done.done()):
            if self._stopping:
                self._fail(Stopped())
            else:
                self._done.set_result(None)

    def _peek(self) -> _Job | None:
        """What is sent next, if there is anything."""
        if not (self._next or self._new or self._exhausted):
            request = next(self._requests, None)
            self._new, self._exhausted = (None, True) if request is None else (_Job(request), False)
        return self._next[0] if self._next else self._new

    async def _send(self, job: _Job, endpoint: Endpoint) -> None:
        epoch, failure = endpoint.limit.epoch, None
        self.sent += 1
        try:
            completion = await endpoint.client.complete(job.request, self._stop)
        except RequestError as error:
            failure, completion = error, Completion(None, error=str(error))
        self._pool.give_back(endpoint, epoch, failure)
        kind = failure.kind if failure is not None else _fault_of(completion)
        if kind is not None:
            job.tries[kind] += 1
            job.failed_at = endpoint
            most = MOST_TRIES if len(self._pool.endpoints) == 1 else MOST_TRIES_OF_SEVERAL
            # Who is told how long to wait, and waits, is as patient as with an overload.
            if job.tries[kind] < most.get("overloaded" if failure is not None and failure.wait else kind, 1):
                if not self._stopping:
                    self._send_later(job, job.tries.total())
                return
            if kind == "broken" and failure is None:
                completion = Completion(None, error=f"the answer ended by `{completion.finish_reason}`")
        if self._pool.is_mixed:
            completion = replace(completion, model_id=endpoint.info.model_id, model_sha=endpoint.info.model_sha)
        follow_up = self._record(job.request, completion)
        if follow_up is not None and not self._stopping:
            self._next.append(_Job(follow_up))
        if completion.error is None:
            self._failures, self._answered = 0, job.request if completion.text else self._answered
            return
        self._failures, self._last = self._failures + 1, (endpoint, completion.error)
        if self._failures % MOST_FAILURES_IN_A_ROW == 0:
            await self._check_failures(*self._last)

    async def _check_failures(self, endpoint: Endpoint, error: str) -> None:
        """Raise an `EndpointError` after too many failures in a row, unless an answered request is answered again."""
        failures = self._failures
        if self._answered is not None:
            self.sent += 1
            try:
                await endpoint.client.complete(self._answered, self._stop)
                return
            except RequestError as failure:
                if failure.kind in ("overloaded", "unavailable", "timeout"):
                    return  # which tells nothing
        raise EndpointError(
            f"--endpoint {endpoint.client.name}: {failures} requests in a row failed, the last with `{error}`; all "
            "answers so far are kept, and the same command asks for the others"
        )

    def _send_later(self, job: _Job, tries: int) -> None:
        wait = backoff(tries, 0.5, self._longest_wait)
        self._waiting[job] = asyncio.get_running_loop().call_later(wait, self._send_again, job)

    def _send_again(self, job: _Job) -> None:
        del self._waiting[job]
        self._next.append(job)
        self._fill()

    def _landed(self, task: asyncio.Task) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        self._fill()

    def _fail(self, error: BaseException) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    def _cancel_waiting(self) -> None:
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()


def _fault_of(completion: Completion) -> str | None:
    """What is wrong with an answer so that the same request is sent again; a larger budget is for one that was cut."""
    if completion.is_broken:
        return "broken"
    return None if completion.text or completion.is_cut else "empty"
