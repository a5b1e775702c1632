"""The endpoints of a run: which of them takes the next request, how many each has at a time, and which is out."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from hf_xling.errors import EndpointError
from hf_xling.generation.endpoint import EndpointClient, EndpointInfo
from hf_xling.generation.protocol import RequestError

logger = logging.getLogger(__name__)

# Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP has it.
INCREASE = 1 / 32  # of the largest limit, more for each window of answers; at least one request
DECREASE = 0.7  # of the limit is left when the endpoint says that it is overloaded
QUEUED_DECREASE = 0.9  # … when requests wait in its queue for longer than they are worked on
LEAST_QUEUED = 0.25  # of the largest limit: a long queue alone takes no more than the rest
# So many failures in a row, of whatever requests, and nothing more is sent until the endpoint is healthy again.
FAILURES_TO_OPEN = 5
LONGEST_PROBE_WAIT = 30.0


def backoff(tries: int, first: float, longest: float) -> float:
    """Seconds to wait after that many tries: random, up to `first`, and to twice as much after each further one.

    The whole wait is random ("full jitter"), so that what failed together is not sent again together.
    """
    return random.uniform(0.0, min(longest, first * 2.0 ** min(tries - 1, 60)))


class Limit:
    """How many requests an endpoint is given at a time: at most `most`, fewer when it says that it is overloaded.

    Only the first of the requests that were sent before a decrease can bring about that decrease.
    """

    def __init__(self, most: int):
        self.most, self._value = most, float(most)
        self.epoch = 0  # grows at each decrease
        self._queue = self._work = 0.0  # moving averages, in seconds

    def __int__(self) -> int:
        return int(self._value)

    def answered(self) -> None:
        """An answer came: allow a little more."""
        if self._queue <= self._work / 2:
            self._value = min(self.most, self._value + max(1.0, INCREASE * self.most) / self._value)

    def overloaded(self, epoch: int) -> None:
        """A request that was sent in `epoch` was turned away: allow less."""
        self._decrease(DECREASE, 1.0, epoch)

    def waited(self, queue: float, work: float) -> None:
        """A request waited `queue` seconds in the endpoint's queue and was worked on for `work` seconds.

        A queue as long as the work itself keeps the endpoint busy; a longer one only brings timeouts nearer.
        """
        # Of the newest value, in an average over about a window; the first one is the average.
        share = 2 / (self._value + 1) if self._work else 1.0
        self._queue += share * (queue - self._queue)
        self._work += share * (work - self._work)
        if self._queue > self._work > 0:
            self._decrease(QUEUED_DECREASE, min(self._value, LEAST_QUEUED * self.most), self.epoch)
            self._queue /= 2  # of the shorter queue nothing is known before its answers come

    def _decrease(self, factor: float, least: float, epoch: int) -> None:
        if epoch == self.epoch:
            self._value = max(1.0, least, self._value * factor)
            self.epoch += 1


class Endpoint:
    """One endpoint of a pool.

    Attributes:
        outstanding: requests that it has now.
        is_open: whether its circuit breaker is open: it is given nothing until it is healthy.
        answers: whether the last of its requests was answered.
        told: why it is given nothing until `free_at`, a time of the event loop, by which it asked not to be asked.
    """

    def __init__(self, client: EndpointClient, info: EndpointInfo, most: int):
        self.client, self.info, self.limit = client, info, Limit(most)
        self.outstanding = self.failures = 0
        self.probes = 0  # of its health since it last answered
        self.is_open = self.answers = self.was_out = False
        self.free_at, self.told = 0.0, ""
        client.on_times = self.limit.waited

    @property
    def is_free(self) -> bool:
        """Whether it may be given requests now."""
        return not self.is_open and (not self.free_at or self.free_at <= asyncio.get_running_loop().time())


class Pool:
    """Gives each request to the endpoint with the least outstanding, by its limit.

    Args:
        endpoints: where requests can go.
        longest_outage: seconds that all endpoints may be out before the run is given up.

    Attributes:
        is_mixed: whether the endpoints serve different models.
    """

    _on_free: Callable[[], None]
    _on_failure: Callable[[Exception], None]

    def __init__(self, endpoints: Sequence[Endpoint], longest_outage: float = 600.0):
        self.endpoints, self.longest_outage = endpoints, longest_outage
        self.is_mixed = len({(endpoint.info.model_id, endpoint.info.model_sha) for endpoint in endpoints}) > 1
        self._probes: set[asyncio.Task] = set()
        self._timers: dict[Endpoint, asyncio.TimerHandle] = {}

    def start(self, on_free: Callable[[], None], on_failure: Callable[[Exception], None]) -> None:
        """Begin a run, with whatever the one before left forgotten, but for the limits.

        Args:
            on_free: called when an endpoint is back.
            on_failure: called with the error when all have been out for too long.
        """
        self._on_free, self._on_failure = on_free, on_failure
        for endpoint in self.endpoints:
            endpoint.outstanding = endpoint.failures = endpoint.probes = 0
            endpoint.is_open = endpoint.answers = False
            endpoint.free_at, endpoint.told = 0.0, ""
        self._alive = asyncio.get_running_loop().time()  # when one of the endpoints was last known to be up

    @property
    def limit(self) -> int:
        """How many requests the endpoints take at a time, all together, now."""
        return sum(int(endpoint.limit) for endpoint in self.endpoints if endpoint.is_free)

    @property
    def waits_for(self) -> str | None:
        """Why nothing is sent now, with the seconds left where an endpoint said how many; None if all is well."""
        if self.limit:
            return None
        endpoint = min(self.endpoints, key=lambda endpoint: (endpoint.is_open, endpoint.free_at))
        left = endpoint.free_at - asyncio.get_running_loop().time()
        return f"waiting {left:.0f} s: {endpoint.told}" if left > 0 else f"waiting: {endpoint.told}"

    def take(self, rather_not: Endpoint | None = None) -> Endpoint | None:
        """The endpoint for the next request, which then is outstanding there; None if all are full or out.

        `rather_not`, where the request has just failed, is taken only where no other has room.
        """
        best, least = None, 2.0
        for endpoint in self.endpoints:
            load = endpoint.outstanding / int(endpoint.limit)
            if load >= 1 or not endpoint.is_free:
                continue
            load += endpoint is rather_not
            if load < least:
                best, least = endpoint, load
        if best is not None:
            best.outstanding += 1
        return best

    def give_back(self, endpoint: Endpoint, epoch: int, failure: RequestError | None) -> None:
        """A request that was sent in `epoch` of the endpoint's limit has its answer, or has failed."""
        endpoint.outstanding -= 1
        endpoint.answers = failure is None
        if failure is None:
            endpoint.limit.answered()
        elif failure.kind == "overloaded":
            endpoint.limit.overloaded(epoch)
        if failure is not None and failure.wait:
            self._pause(endpoint, failure, failure.wait)
        if failure is not None and (
            failure.kind in ("unavailable", "timeout") or self._is_odd_one_out(endpoint, failure)
        ):
            endpoint.failures += 1
            if endpoint.failures >= FAILURES_TO_OPEN and not endpoint.is_open:
                endpoint.is_open, endpoint.told = True, str(failure)
                if not endpoint.was_out:  # a line an endpoint: later outages are on the progress line
                    endpoint.was_out = True
                    logger.warning(
                        "%s: %s, %d times in a row; waiting for it", endpoint.client.name, failure, FAILURES_TO_OPEN
                    )
                probe = asyncio.get_running_loop().create_task(self._wait_until_healthy(endpoint, failure))
                self._probes.add(probe)
                probe.add_done_callback(self._probes.discard)
        else:
            endpoint.failures = endpoint.probes = 0
            self._alive = asyncio.get_running_loop().time()

    def _pause(self, endpoint: Endpoint, failure: RequestError, wait: float) -> None:
        """Give `endpoint` nothing for the `wait` seconds that it asks for in `failure`."""
        loop = asyncio.get_running_loop()
        free_at = loop.time() + wait
        if free_at <= endpoint.free_at:
            return
        endpoint.free_at, endpoint.told = free_at, str(failure)
        first = min(other.free_at for other in self.endpoints)
        if first - loop.time() > self.longest_outage:
            self._on_failure(
                EndpointError(
                    f"--endpoint {endpoint.client.name}: asks to wait {wait:,.0f} seconds ({failure}); all "
                    "answers so far are kept: give the same command again later, or a larger --longest_outage"
                )
            )
            return
        if endpoint in self._timers:
            self._timers[endpoint].cancel()
        self._timers[endpoint] = loop.call_at(free_at, self._on_free)

    def _is_odd_one_out(self, endpoint: Endpoint, failure: RequestError) -> bool:
        """Whether `failure` tells of `endpoint`, not of the text: another one is answering.

        Failing is quick, so an endpoint that fails at everything would soon be given everything.
        """
        others = (other for other in self.endpoints if other is not endpoint)
        odd = failure.kind in ("transient", "generation", "denied")
        return odd and any(other.answers and not other.is_open for other in others)

    async def close(self) -> None:
        """Stop waiting for endpoints."""
        for timer in self._timers.values():
            timer.cancel()
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)

    async def _wait_until_healthy(self, endpoint: Endpoint, failure: RequestError) -> None:
        await asyncio.sleep(endpoint.free_at - asyncio.get_running_loop().time())
        while (out := self._outage()) <= self.longest_outage:
            if endpoint.probes:  # with one that is healthy and answers nothing, too, patience grows
                wait = min(backoff(endpoint.probes, 0.25, LONGEST_PROBE_WAIT), self.longest_outage - out)
                await asyncio.sleep(max(0.05, wait))
            endpoint.probes += 1
            if await endpoint.client.is_healthy():
                endpoint.is_open, endpoint.failures = False, FAILURES_TO_OPEN - 1  # one more failure opens it again
                self._alive = asyncio.get_running_loop().time()
                self._on_free()
                return
        self._on_failure(
            EndpointError(
                f"--endpoint {endpoint.client.name}: out for {out:,.0f} seconds ({failure}); all answers so far are "
                "kept, and the same command goes on from there"
            )
        )

    def _outage(self) -> float:
        """Seconds since one of the endpoints was up, if all are out."""
        out = all(endpoint.is_open for endpoint in self.endpoints)
        return asyncio.get_running_loop().time() - self._alive if out else 0.0
