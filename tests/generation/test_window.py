import asyncio
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from fake_client import FakeClient, answering, failing, failure, pool_of, requests, send_all
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run

from hf_xling.errors import EndpointError
from hf_xling.generation.pool import Pool
from hf_xling.generation.protocol import RequestError
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.window import MOST_FAILURES_IN_A_ROW, MOST_TRIES, Stopped, Window


@pytest.mark.parametrize(("count", "most"), [(0, 4), (1, 8), (20, 1), (20, 4), (20, 100)])
def test_each_request_is_sent_and_recorded_once_within_the_limit(count, most):
    client = answering()
    assert send_all(pool_of(client, most=most), requests(count)) == {str(n): Completion("x") for n in range(count)}
    assert client.sent == [str(n) for n in range(count)] and client.most == min(count, most)


def test_requests_are_taken_when_there_is_room_for_them():
    given, recorded = [], []

    def sent():
        for request in requests(20):
            given.append(request.source)
            assert len(given) <= len(recorded) + 3 + 1  # what is in flight, and what is next
            yield request

    send_all(pool_of(answering(), most=3), sent(), record=lambda request, answer: recorded.append(request))
    assert len(given) == len(recorded) == 20


def test_the_window_is_refilled_at_each_completion_and_never_waits_for_the_slowest():
    async def answer(request):
        while request.source == "0" and len(client.sent) < 20:  # a barrier would stop here for ever
            await asyncio.sleep(1)
        await asyncio.sleep(1)
        return "x"

    client = FakeClient(answer)
    assert len(send_all(pool_of(client, most=2), requests(20))) == 20


def test_two_endpoints_are_both_kept_full():
    slow, fast = FakeClient(lambda request: asyncio.sleep(9, "slow")), FakeClient(lambda request: asyncio.sleep(1, "f"))
    send_all(pool_of(slow, fast, most=[2, 3]), requests(100))
    assert (slow.most, fast.most) == (2, 3) and len(fast.sent) > 5 * len(slow.sent) > 0


# What may succeed later


def test_a_request_that_backs_off_leaves_its_place_to_another_and_goes_before_any_new_one():
    async def answer(request):
        await asyncio.sleep(60)  # longer than any wait
        return failure("unavailable") if client.tries["0"] == 1 and request.source == "0" else "x"

    client = FakeClient(answer)
    assert len(send_all(pool_of(client, most=1), requests(4))) == 4
    assert client.sent == ["0", "1", "0", "2", "3"]


@pytest.mark.parametrize(("kind", "most"), MOST_TRIES.items())
def test_each_kind_of_failure_has_its_number_of_tries(kind, most):
    outcome = "" if kind == "empty" else failure(kind)
    client = answering(s0=[outcome] * (most - 1), s1=[outcome] * 99)
    recorded = send_all(pool_of(client), requests(4))
    assert client.tries == {"0": most, "1": most, "2": 1, "3": 1}
    assert recorded["0"] == Completion("x")
    assert recorded["1"] == (Completion("") if kind == "empty" else Completion(None, error=kind))  # `empty` counts


@pytest.mark.parametrize("kind", ["refused", "denied"])
def test_what_will_never_succeed_is_sent_once(kind):
    client = answering(s1=failing(kind))
    recorded = send_all(pool_of(client), requests(3))
    assert client.tries == {"0": 1, "1": 1, "2": 1} and recorded["1"] == Completion(None, error=kind)


@pytest.mark.parametrize(("kind", "tries"), [("denied", 2), ("transient", 2), ("refused", 1)])
def test_what_one_endpoint_fails_at_another_may_answer(kind, tries):
    sick, well = FakeClient(lambda request: asyncio.sleep(1, failure(kind))), answering()
    (recorded,) = send_all(pool_of(sick, well), requests(1)).values()
    assert sick.tries["0"] == 1 and well.tries["0"] == tries - 1
    assert recorded == (Completion(None, error="refused") if tries == 1 else Completion("x"))


@pytest.mark.parametrize("kind", ["overloaded", "unavailable", "transient", "timeout"])
def test_an_endpoint_that_says_how_long_to_wait_is_left_alone_for_so_long(kind):
    async def answer(request):
        await asyncio.sleep(0.5)
        now = asyncio.get_running_loop().time()
        times.append(now)
        return "x" if now > 300 or now < 2 else RequestError("429 slow down", kind, 429, wait=50)

    times = []
    recorded = send_all(pool_of(FakeClient(answer), most=4), requests(60))
    assert set(recorded.values()) == {Completion("x")}
    waits = [later - earlier for earlier, later in pairwise(times) if later - earlier > 1]
    assert len(waits) == 6 and min(waits) >= 50


def test_a_request_goes_to_another_endpoint_while_one_wants_to_be_left_alone():
    busy = FakeClient(lambda request: asyncio.sleep(1, RequestError("429", "overloaded", 429, wait=100)))
    free = answering()
    assert set(send_all(pool_of(busy, free), requests(40)).values()) == {Completion("x")}
    assert len(busy.sent) <= 4


def test_a_wait_that_is_longer_than_an_outage_may_last_ends_the_run():
    client = FakeClient(lambda request: asyncio.sleep(1, RequestError("429 a day", "overloaded", 429, wait=86400)))
    with pytest.raises(EndpointError, match=r"--endpoint http://fake: asks to wait 86,400 seconds \(429 a day\)"):
        send_all(pool_of(client), requests(9))


def test_what_a_run_waits_for_is_told():
    async def look(window):
        await asyncio.sleep(11)
        told.append(pool.waits_for)
        await asyncio.sleep(50)
        told.append(pool.waits_for)

    told, left = [], [RequestError("429 slow down", "overloaded", 429, wait=50)]
    client = FakeClient(lambda request: asyncio.sleep(1, left.pop() if left else "x"))
    pool = pool_of(client, most=1)
    send_all(pool, requests(90), look)
    assert told == ["waiting 40 s: 429 slow down", None]


def test_an_empty_answer_that_was_cut_is_not_asked_for_again_as_it_was():
    client = FakeClient(lambda request: asyncio.sleep(1, Completion("", "max_tokens")))
    assert send_all(pool_of(client), requests(1))["0"].is_cut and client.tries == {"0": 1}


def test_waits_grow_and_have_a_limit():
    async def answer(request):
        times.append(asyncio.get_running_loop().time())
        return failure("overloaded")

    times = []
    random.seed(0)
    send_all(pool_of(FakeClient(answer), most=1), requests(1), longest_wait=20.0)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert len(waits) == MOST_TRIES["overloaded"] - 1
    assert all(wait <= min(20.0, 0.5 * 2 ** (number + 1)) for number, wait in enumerate(waits))
    assert max(waits) > 5


def test_tries_of_different_kinds_are_counted_apart():
    kinds = [kind for kind, most in MOST_TRIES.items() if kind != "empty" for _ in range(most - 1)]
    random.Random(0).shuffle(kinds)
    client = answering(s0=failing(*kinds))
    assert send_all(pool_of(client), requests(2))["0"] == Completion("x")
    assert client.tries["0"] == len(kinds) + 1


def test_an_overloaded_endpoint_is_given_less():
    at_work = 0

    async def answer(request):
        nonlocal at_work
        if at_work == 4:
            return await asyncio.sleep(0.01, failure("overloaded", 429))
        at_work += 1
        await asyncio.sleep(10)
        at_work -= 1
        return "x"

    client = FakeClient(answer)
    pool = pool_of(client, most=64)
    assert set(send_all(pool, requests(400)).values()) == {Completion("x")}
    assert client.most == 64 and int(pool.endpoints[0].limit) < 16
    assert len(client.sent) < 3 * 400


def test_an_answer_may_be_followed_by_another_request_before_any_new_one():
    def record(request, completion):
        recorded.append(request.source)
        return Request(f"more of {request.source}", "", {}, None, None) if request.source in ("0", "3") else None

    recorded, client = [], answering()
    send_all(pool_of(client, most=1), requests(5), record=record)
    assert client.sent == recorded == ["0", "more of 0", "1", "2", "3", "more of 3", "4"]


def test_of_several_models_an_answer_tells_its_own():
    pool = pool_of(answering(), answering(s1=failing("refused")), most=1)
    pool.endpoints[1].info = replace(pool.endpoints[1].info, model_sha="other")
    mixed = Pool(pool.endpoints)
    assert send_all(mixed, requests(2)) == {
        "0": Completion("x", model_id="org/model", model_sha="abc123"),
        "1": Completion(None, error="refused", model_id="org/model", model_sha="other"),
    }


# Whatever happens

OUTCOMES = st.lists(st.sampled_from([*MOST_TRIES, "refused", "more"]), max_size=12)


@settings(max_examples=150)
@given(
    st.lists(OUTCOMES, max_size=MOST_FAILURES_IN_A_ROW - 1),  # more that are refused alike would end the run
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_every_request_ends_in_one_record_of_the_right_answer(plans, sizes, chance):
    plans = {str(number): list(plan) for number, plan in enumerate(plans)}
    told: dict[str, Counter] = {source: Counter() for source in plans}
    recorded: dict[str, list[Completion]] = {source: [] for source in plans}

    async def answer(request):
        (endpoint,) = [e for e in pool.endpoints if e.client.in_flight > int(e.limit)] or [None]
        assert endpoint is None or endpoint.limit.epoch > 0  # only a limit that has shrunk can be exceeded
        await asyncio.sleep(chance.choice((0, 0.1, 1, 20)))
        outcome = plans[request.source].pop(0) if plans[request.source] else "answer"
        told[request.source][outcome] += 1
        if outcome in ("answer", "more", "empty"):
            return Completion("" if outcome == "empty" else f"{outcome} to {request.source}")
        return failure(outcome)

    def record(request, completion):
        recorded[request.source].append(completion)
        return request if completion.text == f"more to {request.source}" else None

    clients = [FakeClient(answer, f"http://{number}") for number in range(len(sizes))]
    pool = pool_of(*clients, most=sizes)
    send_all(pool, requests(len(plans)), record=record)
    for client, size in zip(clients, sizes, strict=True):
        assert client.most <= size
    assert sum((client.tries for client in clients), Counter()) == {s: told[s].total() for s in plans}
    for source, completions in recorded.items():
        *first, last = completions
        assert first == [Completion(f"more to {source}")] * told[source]["more"]
        given_up = {kind for kind, most in MOST_TRIES.items() if told[source][kind] >= most} | (
            {"refused"} & set(told[source])
        )
        if last.error is not None:
            assert last.error in given_up
        else:
            assert last == Completion(f"answer to {source}") or (
                last.text == "" and told[source]["empty"] >= MOST_TRIES["empty"]
            )


# How a window ends: by an outage, by denials, by an error of our own, or because it is asked to


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
