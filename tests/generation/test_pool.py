import asyncio
import logging
from dataclasses import replace
from itertools import pairwise

import pytest
from fake_client import FakeClient, failure, pool_of
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from hf_xling.errors import EndpointError
from hf_xling.generation.pool import (
    DECREASE,
    FAILURES_TO_OPEN,
    INCREASE,
    LEAST_QUEUED,
    LONGEST_PROBE_WAIT,
    Limit,
    Pool,
    backoff,
)


def test_waits_are_random_and_double_up_to_the_longest():
    for tries, most in ((1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (10**6, 30.0)):
        waits = [backoff(tries, 0.5, 30.0) for _ in range(200)]
        assert 0 <= min(waits) < most / 2 < max(waits) <= most


async def never(request):
    raise AssertionError("nothing is sent here")


def clients(*names: str) -> list[FakeClient]:
    return [FakeClient(never, f"http://{name}") for name in names]


def taken(pool: Pool, count: int) -> list[str | None]:
    endpoints = [pool.take() for _ in range(count)]
    return [endpoint and endpoint.client.url.removeprefix("http://") for endpoint in endpoints]


def test_the_endpoint_with_the_least_outstanding_is_next_by_what_it_takes():
    pool = pool_of(*clients("small", "large"), most=[2, 6])
    order = taken(pool, 9)
    assert order.count("small") == 2 and order.count("large") == 6 and order[-1] is None
    assert order.index("small") < 3 and "small" not in order[:4][order.index("small") + 1 :]
    assert pool.limit == 8


def test_where_a_request_has_just_failed_it_goes_only_if_no_other_has_room():
    pool = pool_of(*clients("a", "b"), most=[4, 2])
    failed, other = pool.endpoints
    assert [pool.take(failed) is other for _ in range(4)] == [True, True, False, False]
    assert pool.take() is failed
    failed.is_open = True
    assert pool.take(other) is None
    other.outstanding = 1
    assert pool.take(other) is other  # better than nowhere


def test_a_place_is_free_again_when_its_request_has_come_back():
    async def main():
        pool = pool_of(*clients("a"), most=2)
        pool.start(lambda: None, lambda error: None)
        first, second = pool.take(), pool.take()
        assert pool.take() is None and first is second
        pool.give_back(first, 0, None)
        assert pool.take() is first and pool.take() is None
        pool.give_back(first, 0, failure("overloaded"))
        assert int(first.limit) == int(2 * DECREASE) and pool.take() is None
        pool.give_back(first, 0, failure("refused"))
        assert pool.take() is first
        pool.give_back(first, 0, None)
        assert int(first.limit) == 2

    run(main())


def test_endpoints_are_mixed_where_model_or_sha_differs():
    pool = pool_of(*clients("a", "b"))
    assert not pool.is_mixed
    a, b = pool.endpoints
    b.info = replace(b.info, model_sha="other")
    assert Pool([a, b]).is_mixed and not Pool([a]).is_mixed


class Broken:
    """A pool of which each named endpoint has failed until its breaker opened."""

    def __init__(self, *names: str, longest_outage: float = 600.0, out: tuple[str, ...] | None = None):
        self.pool = pool_of(*clients(*names), longest_outage=longest_outage)
        self.freed, self.errors = [], []
        self.pool.start(lambda: self.freed.append(self.now()), self.errors.append)
        self.endpoints = dict(zip(names, self.pool.endpoints, strict=True))
        for name in names if out is None else out:
            self.break_off(name)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def fail(self, name: str, kind: str = "unavailable") -> None:
        endpoint = self.endpoints[name]
        endpoint.outstanding += 1
        self.pool.give_back(endpoint, endpoint.limit.epoch, failure(kind))

    def break_off(self, name: str) -> None:
        self.endpoints[name].client.healthy = False
        for _ in range(FAILURES_TO_OPEN):
            self.fail(name)


@pytest.mark.parametrize("kind", ["unavailable", "timeout"])
def test_failures_in_a_row_open_the_breaker_and_health_closes_it(kind, caplog):
    async def main():
        broken = Broken("a", out=())
        endpoint, client = broken.endpoints["a"], broken.endpoints["a"].client
        client.healthy = False
        for _ in range(FAILURES_TO_OPEN - 1):
            broken.fail("a", kind)
        assert not endpoint.is_open and broken.pool.take() is endpoint
        broken.fail("a", kind)
        assert endpoint.is_open and broken.pool.take() is None and broken.pool.limit == 0
        for _ in range(20):  # of what was in flight
            broken.fail("a", kind)
        await asyncio.sleep(100)
        assert len(client.probes) > 3 and endpoint.is_open and not broken.freed
        assert max(b - a for a, b in pairwise(client.probes)) <= LONGEST_PROBE_WAIT
        client.healthy = True
        await asyncio.sleep(LONGEST_PROBE_WAIT)
        assert len(broken.freed) == 1 and not endpoint.is_open and broken.pool.take() is endpoint
        # One more failure is enough now; an answer makes it five again.
        client.healthy = False
        broken.fail("a", kind)
        assert endpoint.is_open
        client.healthy = True
        await asyncio.sleep(LONGEST_PROBE_WAIT)
        broken.pool.give_back(endpoint, 0, None)
        broken.fail("a", kind)
        assert not endpoint.is_open and not broken.errors
        await broken.pool.close()

    with caplog.at_level(logging.WARNING):
        run(main())
    # Of two outages the first alone is told: the progress line shows all.
    assert len(caplog.records) == 1 and caplog.records[0].getMessage().startswith("http://a: ")


@pytest.mark.parametrize("kind", ["overloaded", "transient", "generation", "refused", "denied", None])
def test_an_endpoint_that_answers_is_not_out_whatever_it_says(kind):
    async def main():
        broken = Broken("a", out=())
        for number in range(10 * FAILURES_TO_OPEN):
            if number % FAILURES_TO_OPEN == 0:
                endpoint = broken.pool.take()
                broken.pool.give_back(endpoint, 0, kind and failure(kind))
            else:
                broken.fail("a")
            assert not broken.endpoints["a"].is_open
        await broken.pool.close()

    run(main())


@pytest.mark.parametrize("kind", ["transient", "generation", "denied"])
def test_one_that_fails_at_everything_is_out_while_another_answers(kind):
    async def main():
        broken = Broken("sick", "well", out=())
        sick, well = broken.endpoints.values()
        for _ in range(3 * FAILURES_TO_OPEN):
            broken.fail("sick", kind)
        assert not sick.is_open  # it may be the texts
        well.outstanding += 1
        broken.pool.give_back(well, 0, None)
        sick.client.healthy = False
        for _ in range(FAILURES_TO_OPEN):  # what texts or too many requests bring about says nothing of an endpoint
            broken.fail("sick", "refused")
            broken.fail("sick", "overloaded")
        for number in range(FAILURES_TO_OPEN):
            assert not sick.is_open, number
            broken.fail("sick", kind)
        assert sick.is_open and taken(broken.pool, 2) == ["well", "well"]
        for _ in range(3 * FAILURES_TO_OPEN):
            broken.fail("well", kind)  # the one that is left is judged by no other
        assert not well.is_open and not broken.errors
        await broken.pool.close()

    run(main())


def test_an_outage_of_all_endpoints_ends_the_run_when_it_has_lasted_too_long():
    async def main():
        broken = Broken("a", "b", longest_outage=300.0, out=("a",))
        await asyncio.sleep(1000)  # b goes on
        assert not broken.errors
        probes = broken.endpoints["a"].client.probes
        assert len([probe for probe in probes if probe > 500]) < 500 / LONGEST_PROBE_WAIT * 4
        endpoint = broken.endpoints["b"]
        endpoint.outstanding += 1
        broken.pool.give_back(endpoint, 0, None)
        broken.break_off("b")
        await asyncio.sleep(299)
        assert not broken.errors
        await asyncio.sleep(LONGEST_PROBE_WAIT)
        error = broken.errors[0]
        assert isinstance(error, EndpointError)
        assert str(error).startswith("--endpoint http://") and "out for 3" in str(error)
        assert "(unavailable); all answers so far are kept, and the same command goes on from there" in str(error)
        await broken.pool.close()

    run(main())


def test_one_that_is_healthy_and_answers_nothing_is_tried_at_growing_intervals():
    async def main():
        broken = Broken("a", longest_outage=100.0, out=())
        tried = []
        while broken.now() < 1800:
            if (endpoint := broken.pool.take()) is not None:
                tried.append(broken.now())
                broken.pool.give_back(endpoint, endpoint.limit.epoch, failure("unavailable"))
            await asyncio.sleep(0.1)
        assert 9 < len(tried) < 1800 / LONGEST_PROBE_WAIT * 4 and not broken.errors
        await broken.pool.close()

    run(main())


def test_one_that_comes_back_in_time_ends_nothing():
    async def main():
        broken = Broken("a", longest_outage=300.0)
        await asyncio.sleep(250)
        broken.endpoints["a"].client.healthy = True
        await asyncio.sleep(1000)
        assert not broken.errors and len(broken.freed) == 1
        await broken.pool.close()

    run(main())


def test_the_next_run_through_a_pool_starts_afresh():
    async def main():
        broken = Broken("a", "b", out=("a",))
        await broken.pool.close()  # between the check of one row and the others
        broken.endpoints["b"].outstanding = 2
        broken.pool.start(lambda: None, lambda error: None)
        assert taken(broken.pool, 9).count("a") == 4
        probes = len(broken.endpoints["a"].client.probes)
        await asyncio.sleep(1000)
        assert len(broken.endpoints["a"].client.probes) == probes

    run(main())


def shrunk(most: int, times: int) -> Limit:
    limit = Limit(most)
    for _ in range(times):
        limit.overloaded(limit.epoch)
    return limit


def test_what_was_sent_before_a_decrease_brings_about_one_only():
    limit = Limit(100)
    for _ in range(50):
        limit.overloaded(0)
    assert int(limit) == 70 and limit.epoch == 1
    limit.overloaded(1)
    assert int(limit) == 49 and limit.epoch == 2
    limit.overloaded(0)
    assert int(limit) == 49


def test_a_limit_never_falls_below_one():
    assert int(shrunk(100, 50)) == 1
    limit = shrunk(3, 50)
    limit.waited(100.0, 1.0)
    assert int(limit) == 1


def test_a_window_of_answers_allows_a_few_more_up_to_the_most():
    limit = shrunk(100, 1)
    before = int(limit)
    for _ in range(before):
        limit.answered()
    assert before + INCREASE * 100 - 1 <= int(limit) <= before + INCREASE * 100
    for _ in range(10_000):
        limit.answered()
    assert int(limit) == 100
    small = shrunk(8, 1)
    assert int(small) == 5
    for _ in range(6):
        small.answered()
    assert int(small) == 6


def test_a_queue_that_is_longer_than_the_work_shrinks_the_limit_but_to_no_less_than_a_share():
    limit = Limit(100)
    for _ in range(2000):
        limit.waited(9.0, 1.0)
        limit.answered()
    assert int(limit) == LEAST_QUEUED * 100
    for _ in range(3000):
        limit.waited(0.0, 1.0)
        limit.answered()
    assert int(limit) == 100
    limit = shrunk(100, 20)  # overload may take more than that; a queue takes nothing away then
    before = int(limit)
    assert before < LEAST_QUEUED * 100
    for _ in range(100):
        limit.waited(9.0, 1.0)
    assert int(limit) == before


def test_after_a_decrease_the_shorter_queue_is_waited_for():
    limit = Limit(100)
    while not limit.epoch:
        limit.waited(1.5, 1.0)
    for _ in range(15):
        limit.waited(1.5, 1.0)
    assert limit.epoch == 1


def test_a_queue_as_long_as_the_work_is_left_alone_and_one_of_half_its_length_may_grow():
    limit = shrunk(100, 1)
    for _ in range(1000):
        limit.waited(0.9, 1.0)
        limit.answered()
    assert int(limit) == 70
    for _ in range(3000):
        limit.waited(0.3, 1.0)
        limit.answered()
    assert int(limit) == 100


EVENTS = st.one_of(
    st.just(("answered",)),
    st.tuples(st.just("overloaded"), st.integers(0, 5)),
    st.tuples(st.just("waited"), st.floats(0, 1e6), st.floats(0, 1e6)),
)


@given(st.integers(1, 200), st.lists(EVENTS, max_size=300))
def test_whatever_happens_a_limit_stays_between_one_and_the_most(most, events):
    limit = Limit(most)
    for name, *values in events:
        before, epoch = int(limit), limit.epoch
        getattr(limit, name)(*values)
        assert 1 <= int(limit) <= most
        assert limit.epoch in (epoch, epoch + 1)
        assert name == "answered" or int(limit) <= before
        if name == "overloaded" and values[0] != epoch:
            assert (int(limit), limit.epoch) == (before, epoch)
