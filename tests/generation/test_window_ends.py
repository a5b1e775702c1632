"""How a window ends: by an outage, by denials, by an error of our own, or because it is asked to."""

import asyncio

import pytest
from fake_client import FakeClient, answering, failing, failure, pool_of, requests, send_all
from virtual_time import run

from hf_xling.errors import EndpointError
from hf_xling.generation.protocol import RequestError
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.window import MOST_FAILURES_IN_A_ROW, Stopped, Window

# Outages, denials, errors of our own


def test_an_endpoint_that_is_out_gets_nothing_until_it_is_back():
    async def answer(request):
        await asyncio.sleep(0.1)
        if asyncio.get_running_loop().time() < 200:
            return failure("unavailable")
        return "x"

    async def mend(window):
        client.healthy = False
        await asyncio.sleep(200)
        assert len(client.sent) <= 8  # what was in flight when it went out
        client.healthy = True

    client = FakeClient(answer)
    assert set(send_all(pool_of(client, most=8), requests(30), mend).values()) == {Completion("x")}


def test_an_outage_that_lasts_ends_the_run():
    client = FakeClient(lambda request: asyncio.sleep(0.1, failure("unavailable", 503)))
    client.healthy = False
    with pytest.raises(EndpointError, match=r"--endpoint http://fake: out for 6\d\d seconds \(503\); all answers so f"):
        send_all(pool_of(client), requests(30))


def test_denials_in_a_row_end_the_run():
    client = FakeClient(lambda request: asyncio.sleep(1, failure("denied", 401)))
    recorded = []
    with pytest.raises(EndpointError) as caught:
        send_all(pool_of(client), requests(100), record=lambda request, completion: recorded.append(completion.error))
    assert str(caught.value).startswith(
        "--endpoint http://fake: 20 requests in a row failed, the last with `401`; all answers so far are kept"
    )
    assert MOST_FAILURES_IN_A_ROW == 20 <= len(recorded) < 20 + 4


def test_denials_that_are_not_in_a_row_end_nothing():
    async def answer(request):
        return failure("denied") if int(request.source) % MOST_FAILURES_IN_A_ROW else "x"

    assert len(send_all(pool_of(FakeClient(answer), most=1), requests(100))) == 100


@pytest.mark.parametrize("kind", ["refused", "denied", "generation", "transient"])
@pytest.mark.parametrize("good", [0, 50])
def test_failures_for_the_same_reason_end_the_run_from_the_first_or_from_the_middle(kind, good):
    """A credit that is used up, a template that is missing: whatever the status, all others would fare alike."""

    async def answer(request):
        await asyncio.sleep(1)
        return (
            "x" if client.tries.total() <= good else RequestError(f"402 used up, id {client.tries.total()}", kind, 402)
        )

    client, recorded = FakeClient(answer), []
    with pytest.raises(EndpointError, match="20 requests in a row failed, the last with `402 used up, id "):
        send_all(pool_of(client), requests(1000), record=lambda _, completion: recorded.append(completion.error))
    assert len(recorded) <= good + MOST_FAILURES_IN_A_ROW + 8


@pytest.mark.parametrize("known", [True, False], ids=["of an earlier run", "of this one"])
def test_texts_that_fail_alike_end_nothing_where_another_is_still_answered(known):
    """As when the few texts that were refused in the first run are all that the next run asks for."""

    async def answer(request):
        await asyncio.sleep(1)
        return "x" if request.source in ("0", "known") else failure("refused", 413)

    answered = Request("known", "prompt", {}, None, None) if known else None
    client, recorded = FakeClient(answer), []
    sent = requests(100)[1 if known else 0 :]
    send_all(pool_of(client), sent, record=lambda request, _: recorded.append(request.source), answered=answered)
    assert len(recorded) == len(sent) and client.tries["known" if known else "0"] >= 99 // MOST_FAILURES_IN_A_ROW


@pytest.mark.parametrize(("left", "ends"), [(4, False), (5, True), (15, True)])
def test_failures_at_the_end_are_looked_into(left, ends):
    async def answer(request):
        return "x" if client.tries.total() <= 40 else failure("refused", 400)

    client = FakeClient(answer)
    if not ends:
        assert len(send_all(pool_of(client, most=1), requests(40 + left))) == 40 + left
        return
    with pytest.raises(EndpointError, match=f"{left} requests in a row failed, the last with `400`"):
        send_all(pool_of(client, most=1), requests(40 + left))


@pytest.mark.parametrize("most", [1, 4])
def test_an_error_of_our_own_drops_what_is_in_flight_and_is_raised_as_it_is(most):
    recorded = []

    def record(request, completion):
        recorded.append(request.source)
        if len(recorded) >= 3:
            raise OSError(28, "No space left on device")

    client = answering()
    with pytest.raises(OSError, match="No space left"):
        send_all(pool_of(client, most=most), requests(1000), record=record)
    # Four may come at one time.
    assert len(recorded) < 3 + most and client.in_flight == 0 and len(client.sent) <= 2 + 2 * most


def test_an_error_in_what_is_to_be_sent_is_raised_as_it_is():
    def broken():
        yield from requests(3)
        raise ValueError("no more")

    for most in (1, 2, 3, 4):
        client = answering()
        with pytest.raises(ValueError, match="no more"):
            send_all(pool_of(client, most=most), broken())
        assert client.in_flight == 0


# Ending early


def test_draining_waits_for_what_is_in_flight_and_sends_nothing_more():
    async def drain(window):
        await asyncio.sleep(2.5)
        assert window.in_flight == 4
        window.drain()

    recorded, client = {}, answering(s8=failing("unavailable"), s9=[""], s10=failing("refused"))
    with pytest.raises(Stopped):
        send_all(
            pool_of(client), requests(100), drain, lambda request, answer: recorded.update({request.source: answer})
        )
    assert client.sent == [str(n) for n in range(12)]
    # What would have been sent again is not recorded: 8 and 9 are asked for by the next run.
    assert set(recorded) == {str(n) for n in range(12)} - {"8", "9"} and recorded["10"].error == "refused"


@pytest.mark.parametrize(
    ("most", "first", "others", "follow"),
    [
        (3, ("overloaded", 0.1), ("overloaded", 0.1), False),  # all back off
        (1, ("overloaded", 0.1), ("refused", 60), False),  # the first could go again, but there is no room
        (3, (None, 1), (None, 1), True),  # each answer is followed by another request
    ],
    ids=["backs off", "has no room yet", "follows"],
)
def test_draining_waits_for_nothing_that_backs_off_follows_or_has_no_room_yet(most, first, others, follow):
    async def answer(request):
        kind, seconds = others if int(request.source) else first
        return await asyncio.sleep(seconds, failure(kind) if kind else "x")

    async def drain(window):
        await asyncio.sleep(30.5)
        sent.extend(client.sent)
        window.drain()

    sent, client = [], FakeClient(answer)
    with pytest.raises(Stopped):
        send_all(pool_of(client, most=most), requests(3), drain, lambda request, _: request if follow else None)
    assert client.sent == sent


def test_dropping_ends_at_once():
    async def drop(window):
        await asyncio.sleep(2.5)
        window.drain()
        window.drop()
        window.drop()

    async def main():
        client, recorded = FakeClient(lambda request: asyncio.sleep(1000, "x")), []
        window = Window(iter(requests(9)), pool_of(client), lambda request, completion: recorded.append(request))
        task = asyncio.create_task(drop(window))
        with pytest.raises(Stopped):
            await window.run()
        await task
        assert asyncio.get_running_loop().time() < 3 and client.in_flight == 0 and recorded == []

    run(main())


def test_a_cancelled_window_leaves_nothing_behind():
    async def main():
        client = answering(s0=failing("overloaded"))
        window = Window(iter(requests(9)), pool_of(client), lambda request, completion: None)
        task = asyncio.create_task(window.run())
        await asyncio.sleep(1.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.in_flight == 0 and len(asyncio.all_tasks()) == 1

    run(main())
