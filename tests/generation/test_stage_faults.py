"""Stage 1 against endpoints that fail: nothing is lost, nothing is mixed up, and nothing is asked for too often."""

import asyncio
import json
from collections import Counter

import pytest
from faulty_tgi import FAULTS, FaultyTGI, serving
from generation_runs import config, rows
from run_accounts import (
    check_manifest,
    check_rows,
    check_tries,
    failed_identities,
    ledger_keys,
    request_key,
    texts_of,
)
from tgi_answers import ERRORS

from hf_xling.generation import stage
from hf_xling.generation.asking import Missing
from hf_xling.generation.endpoint import EndpointClient
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.pool import FAILURES_TO_OPEN
from hf_xling.generation.protocol import RequestError

WINDOW = 16
ODD = ['he said "no" {{ source }}\nand left', "a café on the naïve side 🙂", "### Response: was the headline", "Why?"]


@pytest.fixture
def run(tmp_path):
    """`run(texts, servers …)` → the manifest, and accepted and rejected rows. A second try comes soon."""

    def generate(texts, *servers, **fields):
        lines = [json.dumps({"text": text}) for text in texts]
        (tmp_path / "input.jsonl").write_text("\n".join(lines), "utf-8")
        urls = [server.url for server in servers]
        settings = config(tmp_path, urls, "input.jsonl", **{"max_in_flight": WINDOW, **fields})
        manifest = stage.generate(settings, longest_wait=0.1)
        return manifest, rows(tmp_path / "out", "accepted"), rows(tmp_path / "out", "rejected")

    return generate


def check_run(texts, result, log, *, asked, unseen=0):
    """Everything that must hold after a run that sent the last `asked` of `log`, and up to `unseen` that nobody saw."""
    manifest, accepted, rejected = result
    check_tries(log[len(log) - asked :])
    check_rows(texts, accepted, rejected, log)
    check_manifest(manifest, texts, rejected, log, asked=asked, unseen=unseen)


class FilledTGI(FaultyTGI):
    """Holds its first answers behind the check of one row back until more requests are in flight than half a window."""

    async def answering(self, entry) -> None:
        while entry.source != self.log[0].source and len(self.log) <= 2 + WINDOW // 2:
            await asyncio.sleep(0.001)


# One endpoint


@pytest.mark.parametrize("wire", ["generate", "chat"])
def test_each_row_ends_once_with_its_own_answer_whatever_goes_wrong(run, tmp_path, wire):
    texts = texts_of(640, repeated=40, others=[*ODD, None, None, "", ""])
    ordinary = [text for text in dict.fromkeys(texts[1:]) if text and text not in ODD and len(text) > 40]
    hopeless = dict(zip(ordinary, ["refused", *FAULTS], strict=False))
    server = FilledTGI(always=hopeless)
    with serving(server):
        first = run(texts, server, wire=wire)
        asked, log = len(server.log), list(server.log)
        server.faults, server.always = 0.0, {}
        second = run(texts, server, wire=wire)
        third = run(texts, server, wire=wire)

    check_run(texts, first, log, asked=asked)
    assert 0.25 < sum(entry.outcome is not None for entry in log) / asked < 0.4
    assert Counter(entry.outcome for entry in log).keys() == {None, "cut", "refused", *FAULTS}
    assert WINDOW / 2 < server.most_in_flight[""] <= WINDOW
    # The hopeless ones are rejected: a refusal and a runaway at once, all others after more tries.
    assert {*hopeless, None, ""} <= {row["source_text"] for row in first[2]}
    tries = Counter(entry.source for entry in log)
    assert all((tries[text] == 1) == (fault in ("refused", "loop")) for text, fault in hopeless.items())

    # The second run asks for what had failed and for nothing else, but for a larger budget where that answer is cut.
    again, failed = server.log[asked:], failed_identities(log)
    assert len(failed) >= len(ERRORS) and failed <= {entry.identity for entry in again}
    cut = {entry.source for entry in again if entry.outcome == "cut"}
    assert all(entry.identity in failed or entry.source in cut for entry in again)
    check_run(texts, second, server.log, asked=len(again))
    assert all(entry.outcome in (None, "cut") for entry in again)
    assert third[0]["last_run"]["requests"] == 0 and third[1:] == second[1:]
    # The ledger holds each request that was ever made, failed ones twice, and nothing else.
    keys = Counter(ledger_keys(tmp_path / "out" / "ledger"))
    assert keys.keys() == {request_key(entry) for entry in server.log}
    assert {key for key, count in keys.items() if count > 1} == {
        request_key(entry) for entry in log if entry.identity in failed
    }


def test_an_endpoint_that_takes_less_than_it_is_given_is_given_less(run):
    texts, server = texts_of(300), FilledTGI(faults=0.0, limit=8)
    with serving(server):
        result = run(texts, server)
    check_run(texts, result, server.log, asked=len(server.log))
    assert server.most_in_flight[""] > 8 and server.faults_by_kind["overloaded"] < len(texts)
    assert len(result[1]) == len(texts)


# Endpoints that die


@pytest.mark.parametrize("back_after", [None, 0.2], ids=["for good", "and come back"])
def test_an_endpoint_that_dies_loses_nothing_to_the_other(run, caplog, back_after):
    texts, kinds = texts_of(400, repeated=40), dict.fromkeys(FAULTS, 1)
    mortal = FaultyTGI(seed=1, kinds=kinds, latency=0.01, dies_at=60, back_after=back_after)
    other = FaultyTGI(seed=2, kinds=kinds, latency=0.01)

    async def until_it_is_asked_again(entry):
        while len(other.log) > 200 and len(mortal.log) <= (mortal.asked_by_return or len(mortal.log)):
            await asyncio.sleep(0.01)

    if back_after is not None:
        other.answering = until_it_is_asked_again
    with serving(mortal, other):
        result = run(texts, mortal, other, max_in_flight=4)

    # Which server said the last word on a text is known from the order in time.
    log = sorted(mortal.log + other.log, key=lambda entry: entry.time)
    check_run(texts, result, log, asked=len(log), unseen=WINDOW + FAILURES_TO_OPEN)
    assert mortal.most_in_flight[""] <= 4 and other.most_in_flight[""] <= 4
    assert f"{mortal.url}: no connection" in caplog.text and "waiting for it" in caplog.text
    assert (mortal.asked_by_return is None) == (back_after is None)
    assert not any(row["reason"].startswith("endpoint: no connection") for row in result[2])


def test_the_only_endpoint_dies_and_comes_back(run, caplog):
    texts = texts_of(300)
    server = FaultyTGI(faults=0.0, latency=0.01, dies_at=100, back_after=0.3)
    with serving(server):
        result = run(texts, server)
    check_run(texts, result, server.log, asked=len(server.log), unseen=WINDOW + FAILURES_TO_OPEN)
    assert "waiting for it" in caplog.text
    # What was in flight at the death was sent again, and only that: the breaker kept all others at home.
    assert server.faults_by_kind["death"] <= WINDOW and not result[2]


# The accounts themselves: bugs planted in the client, and in its rows


def swap_two_answers(monkeypatch):
    add, added = Ledger.add, []

    def add_swapped(self, key, completion):
        if completion.finish_reason != "length":
            added.append((key, completion))
            if len(added) == 20:
                return
            if len(added) == 21:
                (first, one), (second, other) = added[-2:]
                add(self, first, other)
                key, completion = second, one
        add(self, key, completion)

    monkeypatch.setattr(Ledger, "add", add_swapped)


def leave_one_out(monkeypatch):
    requests = Missing.requests
    monkeypatch.setattr(Missing, "requests", lambda self, *which: list(requests(self, *which))[:-1].__iter__())


def pay_for_one_twice(monkeypatch):
    complete, answered = EndpointClient.complete, []

    async def complete_twice(self, request, stop=()):
        answered.append(await complete(self, request, stop))
        return answered[-1] if len(answered) != 10 else await complete(self, request, stop)

    monkeypatch.setattr(EndpointClient, "complete", complete_twice)


def give_up_early(monkeypatch):
    complete = EndpointClient.complete

    async def complete_or_refuse(self, request, stop=()):
        try:
            return await complete(self, request, stop)
        except RequestError as error:
            raise RequestError(str(error), "refused", error.status) from error

    monkeypatch.setattr(EndpointClient, "complete", complete_or_refuse)


@pytest.mark.parametrize(
    "plant, complaint",
    [
        (swap_two_answers, "a wrong answer"),
        (leave_one_out, "was never asked about"),
        (pay_for_one_twice, "was asked again after it was answered"),
        (give_up_early, "neither answered nor asked often enough"),
    ],
)
def test_a_bug_planted_in_the_client_is_noticed(run, monkeypatch, plant, complaint):
    texts, server = texts_of(150), FaultyTGI(always={"the worst of all": "torn"}, faults=0.0)
    with serving(server):
        plant(monkeypatch)
        result = run([*texts, "the worst of all"], server)
    with pytest.raises(AssertionError, match=complaint):
        check_run([*texts, "the worst of all"], result, server.log, asked=len(server.log))


def test_a_bug_planted_in_the_rows_is_noticed(run):
    texts, server = texts_of(60, others=[None, ""]), FaultyTGI(kinds={"loop": 1}, faults=0.1)
    with serving(server):
        manifest, accepted, rejected = run(texts, server)
    check_run(texts, (manifest, accepted, rejected), server.log, asked=len(server.log))
    first, second, *others = accepted
    texts_swapped = [first | {"text": second["text"]}, second | {"text": first["text"]}, *others]
    for wrong in (
        (accepted[1:], rejected),
        ([first, *accepted], rejected),
        (texts_swapped, rejected),
        ([first | {"source_text": second["source_text"]}, second, *others], rejected),
        ([first | {"request_key": second["request_key"]}, second, *others], rejected),
        (accepted[1:], [*rejected, first | {"reason": "copy"}]),
        ([*accepted, rejected[-1]], rejected[:-1]),
        (accepted, [row | {"reason": "endpoint: timed out"} for row in rejected]),
    ):
        with pytest.raises(AssertionError):
            check_rows(texts, *wrong, server.log)
