import asyncio
import random
import time

import pytest

from hf_xling.generation.endpoint import RequestError
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.window import MAX_ATTEMPTS, run_window


def requests(count):
    return [Request(str(n), f"prompt {n}", {}, None, None) for n in range(count)]


def run(send, count=20, size=4, record=None):
    recorded = {}

    def keep(request, completion):
        assert request.source not in recorded
        recorded[request.source] = completion

    asyncio.run(run_window(requests(count), send, record or keep, size, longest_wait=0.002))
    return recorded


@pytest.mark.parametrize(("count", "size"), [(0, 4), (1, 8), (20, 1), (20, 4), (20, 100)])
def test_each_request_is_sent_and_recorded_once_within_the_window(count, size):
    now, most, sent = 0, 0, []

    async def send(request):
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        sent.append(request.source)
        await asyncio.sleep(0.001)
        now -= 1
        return Completion(f"answer {request.source}")

    assert run(send, count, size) == {str(n): Completion(f"answer {n}") for n in range(count)}
    assert sorted(sent) == sorted(str(n) for n in range(count))
    assert most == min(count, size)


def test_the_window_is_refilled_at_each_completion_and_never_waits_for_the_slowest():
    finished = []

    async def send(request):
        if request.source == "0":
            while len(finished) < 19:  # a barrier would stop here for ever
                await asyncio.sleep(0)
        finished.append(request.source)
        return Completion("x")

    async def bounded():
        await asyncio.wait_for(run_window(requests(20), send, lambda *_: None, 2), 5)

    asyncio.run(bounded())
    assert finished[-1] == "0" and len(finished) == 20


def test_what_may_succeed_later_is_tried_again():
    tries = {}

    async def send(request):
        tries[request.source] = tries.get(request.source, 0) + 1
        if tries[request.source] <= int(request.source) % MAX_ATTEMPTS:
            raise RequestError("429 overloaded", retry=True)
        return Completion("x")

    assert set(run(send, 10).values()) == {Completion("x")}
    assert tries == {str(n): n % MAX_ATTEMPTS + 1 for n in range(10)}


def test_failures_are_completions_with_their_error():
    tries = {}

    async def send(request):
        tries[request.source] = tries.get(request.source, 0) + 1
        raise RequestError("422 too long", False) if request.source == "1" else RequestError("timed out", True)

    recorded = run(send, 3)
    assert recorded == {
        "0": Completion(None, error="timed out"),
        "1": Completion(None, error="422 too long"),
        "2": Completion(None, error="timed out"),
    }
    assert tries == {"0": MAX_ATTEMPTS, "1": 1, "2": MAX_ATTEMPTS}


def test_an_error_of_our_own_stops_all_and_is_raised_as_it_is():
    recorded = []

    def record(request, completion):
        recorded.append(request.source)
        if len(recorded) >= 3:  # from now on the disk is full, for every worker
            raise OSError(28, "No space left on device")

    async def send(request):
        await asyncio.sleep(random.Random(request.source).random() / 1000)
        return Completion("x")

    with pytest.raises(OSError, match="No space left"):
        run(send, 1000, 4, record)
    assert 3 <= len(recorded) < 3 + 4


def test_a_cancelled_window_ends_at_once_even_between_two_tries():
    async def send(request):
        raise RequestError("429 overloaded", retry=True)

    async def cancelled():
        task = asyncio.create_task(run_window(requests(3), send, lambda *_: None, 3, longest_wait=60))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = time.monotonic()
    asyncio.run(cancelled())
    assert time.monotonic() - before < 5
