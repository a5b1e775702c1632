"""Whatever a server puts into the fields of an answer, rows and ledgers hold the project's own types."""

import asyncio
import json
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pyarrow
import pytest
from aiohttp import web
from generation_runs import config, contents, other_words, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_entries import KEYS
from loopback import LoopbackTGI
from wires import CHAT, Wire, chatted, complete, generated, httpx, with_client

from hf_xling.errors import EndpointError, InputError, XlingError
from hf_xling.generation.endpoint import EndpointClient
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.protocol import RequestError, waiting_time
from hf_xling.generation.records import Completion
from hf_xling.generation.rows import ROW_SCHEMA
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import serving

ODD = [None, True, -1, 2**31, 2**70, 1.5, float("nan"), "", " 12 ", "twelve", "9" * 30, [], [3], {}, {"n": 3}]


def as_json(answer):
    return httpx.Response(200, text=json.dumps(answer))  # NaN, too, as Python's servers send it


# Fields of answers


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("field", ["generated_tokens", "seed", "finish_reason", "details"])
def test_an_odd_field_of_generate_costs_no_answer(field, value):
    answer = generated("x")
    (answer if field == "details" else answer["details"])[field] = value
    completion = complete(as_json(answer))
    assert completion.text == "x"
    assert completion.generated_tokens in (None, 4, 12, 2**31 - 1) and completion.seed in (None, 3, 12, 2**31)
    assert isinstance(completion.finish_reason, str | None)


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("field", ["completion_tokens", "usage", "finish_reason", "id", "created", "model", "logprobs"])
def test_an_odd_field_of_chat_costs_no_answer(field, value):
    answer = chatted("x")
    holder = {"completion_tokens": answer["usage"], "finish_reason": answer["choices"][0]}.get(field, answer)
    holder[field] = value
    completion = complete(as_json(answer), "chat")
    assert (completion.text, completion.seed) == ("x", 3)
    assert completion.generated_tokens in (None, 5, 12) and isinstance(completion.finish_reason, str | None)


@pytest.mark.parametrize(
    ("value", "tokens"),
    [(7, 7), ("7", 7), (" 7 ", 7), (7.0, 7), ("7.5", None), (True, None), (-7, None), (2**31, None)],
)
def test_a_count_of_tokens_is_read_where_it_is_one(value, tokens):
    answer = generated("x")
    answer["details"]["generated_tokens"] = value
    assert complete(answer).generated_tokens == tokens
    answer = chatted("x")
    answer["usage"]["completion_tokens"] = value
    assert complete(answer, "chat").generated_tokens == tokens


@pytest.mark.parametrize(
    ("value", "ending", "is_whole", "is_cut"),
    [
        *((word, word, True, False) for word in ("stop", "STOP", "eos_token", "end_turn", "stop_sequence", "COMPLETE")),
        *((word, word, True, False) for word in ("FINISH_REASON_STOP", "FinishReason.STOP", "endTurn", "stopped_eos")),
        *((word, word, False, True) for word in ("length", "max_tokens", "MAX_TOKENS", "model_length", "Length")),
        *(
            (word, word, False, True)
            for word in ("FINISH_REASON_MAX_TOKENS", "maxTokens", "max-tokens", "stopped_limit")
        ),
        *((word, word, False, False) for word in ("content_filter", "abort", "SAFETY", "tool_calls", "", "a word")),
        (None, None, False, False),
        (2, "2", False, False),
        ({"type": "stop", "matched": 128009}, "stop", True, False),
        ({"type": "length", "length": 9}, "length", False, True),
        ({"odd": [1]}, '{"odd": [1]}', False, False),
        (["stop"], '["stop"]', False, False),
        ("two\nlines\x00", "two lines", False, False),
        ("half \ud83d", "half ", False, False),
        ("w" * 500, "w" * 59 + "…", False, False),
    ],
    ids=repr,
)
@pytest.mark.parametrize("wire", ["generate", "chat"])
def test_how_an_answer_ended_is_one_word_that_says_whether_it_is_whole(wire, value, ending, is_whole, is_cut):
    completion = complete(as_json((generated if wire == "generate" else chatted)("x", value)), wire)
    assert (completion.finish_reason, completion.is_whole, completion.is_cut) == (ending, is_whole, is_cut)


def test_a_content_in_parts_is_their_text():
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a "}, {"type": "text", "text": "dog"}]
    assert complete(chatted(parts), "chat").text == "a dog"
    assert complete(chatted([]), "chat").text == ""
    assert complete(chatted(["a ", "dog"]), "chat").text == "a dog"
    assert complete(chatted({"type": "output_text", "text": "a dog"}), "chat").text == "a dog"
    assert complete({"choices": [{"text": "a dog", "finish_reason": "stop"}]}, "chat").text == "a dog"
    two = chatted("second")
    two["choices"][0]["index"] = 1
    assert complete({**two, "choices": two["choices"] + chatted("first")["choices"]}, "chat").text == "first"
    assert complete([generated("a list of one")]).text == "a list of one"


def test_a_finish_reason_under_another_name_counts_where_there_is_none():
    for field, word, is_whole in (("native_finish_reason", "STOP", True), ("stop_reason", "###", False)):
        answer = chatted("x", None)
        answer["choices"][0][field] = word
        assert complete(answer, "chat").is_whole == is_whole


@pytest.mark.parametrize("wire", ["generate", "chat"])
def test_half_of_a_surrogate_pair_is_a_damaged_character(wire):
    answer = as_json((generated if wire == "generate" else chatted)("fine \ud83d"))
    assert complete(answer, wire).text == "fine \ufffd"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
@pytest.mark.parametrize("content", [None, ""])
def test_reasoning_without_an_answer_is_seen_as_reasoning_that_never_ended(world, field, content):
    """`reasoning_content` (vLLM, DeepSeek) or `reasoning` (OpenRouter) beside a null content."""
    server = LoopbackTGI(other_words)

    async def chat(request):
        body = await request.json()
        source = server.source_in(body["messages"])
        answer = chatted(other_words(source) if source == "one of them" else content)
        answer["choices"][0]["message"][field] = "Let me think about it."
        return web.json_response(answer)

    server._chat = chat
    manifest, out, _ = world(["one of them", "two of them"], server=server, wire="chat")
    assert manifest["reasons"] == {"reasoning": 1} and manifest["reasoning"] == {"stripped": 0, "rejected": 1}
    assert rows(out, "accepted")[0]["text"] == other_words("one of them")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["stop", "length"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(["finish_reason", "generated_tokens", "seed", "type", "error", "code", "message", "content"])
DETAILS = JSON | st.dictionaries(WORDS, JSON, max_size=4)
TEXT = JSON | st.just("another way to say it")
GENERATED = st.fixed_dictionaries({}, optional={"generated_text": TEXT, "details": DETAILS, "error": JSON})
CHOICE = st.fixed_dictionaries(
    {}, optional={"message": JSON | st.fixed_dictionaries({"content": TEXT}), "finish_reason": JSON, "error": DETAILS}
)
CHATTED = st.fixed_dictionaries(
    {}, optional={"choices": JSON | st.lists(CHOICE, max_size=2), "usage": DETAILS, "error": DETAILS}
)


class RandomTGI(LoopbackTGI):
    """Answers every request with the next of `bodies`, as they are; without any left, as it should."""

    def __init__(self, bodies):
        super().__init__(lambda source: f"in other words {source}")
        self.odd = list(bodies)

    async def _generate(self, request):
        return await self._odd(request, super()._generate)

    async def _chat(self, request):
        return await self._odd(request, super()._chat)

    async def _odd(self, request, otherwise):
        if not self.odd:
            return await otherwise(request)
        return web.Response(text=json.dumps(self.odd.pop()), content_type="application/json")


@pytest.mark.parametrize("wire", ["generate", "chat"])
@settings(max_examples=100)
@given(data=st.data())
def test_a_random_answer_is_a_completion_that_ledger_and_rows_can_hold_or_a_failure(tmp_path_factory, wire, data):
    answer = as_json(data.draw(GENERATED if wire == "generate" else CHATTED))
    try:
        completion = complete(answer, wire)
    except RequestError as error:
        assert error.kind in ("transient", "overloaded", "denied", "unavailable", "timeout", "generation", "refused")
        return
    folder = tmp_path_factory.mktemp("ledger")
    with Ledger(folder) as ledger:
        ledger.add(KEYS[0], completion)
    with Ledger(folder) as ledger:
        assert ledger.get(KEYS[0]) == completion
        assert ledger.state(KEYS[0]) == ("cut" if completion.is_cut else "answered")
    for name in ("text", "finish_reason", "generated_tokens", "seed"):
        pyarrow.array([getattr(completion, name)], ROW_SCHEMA.field(name).type)


@pytest.mark.parametrize("wire", ["generate", "chat"])
@settings(max_examples=8)
@given(data=st.data())
def test_random_answers_end_each_row_once_and_the_run_resumes(tmp_path_factory, wire, data):
    folder = tmp_path_factory.mktemp("run")
    texts = [f"text {number} of a few" for number in range(4)]
    (folder / "input.txt").write_text("\n".join(texts))
    bodies = data.draw(st.lists(GENERATED if wire == "generate" else CHATTED, max_size=8))
    server = RandomTGI(bodies)
    with serving(server.app()) as url:
        fields = {"wire": wire, "output": "out", "temperature": 0.0}
        with suppress(XlingError):
            generate(config(folder, url, **fields))
        server.odd.clear()
        try:
            generate(config(folder, url, **fields))
        except XlingError as error:  # where what the first run has paid for is all rejected
            assert "none of 4 rows is accepted" in str(error)
    ended = [row["id"] for kind in ("accepted", "rejected") for row in rows(folder / "out", kind)]
    assert sorted(ended) == ["1", "2", "3", "4"]


# Ledgers that hold what older versions let in


def test_a_ledger_with_values_of_any_type_opens_and_its_rows_are_written(tmp_path):
    (tmp_path / "input.txt").write_text("one\ntwo\nthree\nfour\n")
    with serving(LoopbackTGI(lambda source: f"in other words {source[::-1]}").app()) as url:
        generate(config(tmp_path, url))
        ledger, odd = tmp_path / "out" / "ledger" / "ledger.jsonl", []
        values = [
            {"finish_reason": {"type": "eos"}, "generated_tokens": "4", "seed": 2**70},
            {"finish_reason": 7, "generated_tokens": [1], "seed": "x"},
            {"finish_reason": "MAX_TOKENS", "generated_tokens": -1, "of_a_later_version": True},
            {"finish_reason": None},
        ]
        for line, value in zip(ledger.read_text().splitlines(), values, strict=True):
            content = json.dumps({**json.loads(line[9:]), **value}).encode()
            odd.append(b"%08x %s\n" % (zlib.crc32(content), content))
        ledger.write_bytes(b"".join(odd))
        generate(config(tmp_path, url))
        first = contents(tmp_path / "out")
        generate(config(tmp_path, url))
        assert contents(tmp_path / "out") == first
    reasons = {row["reason"] for row in rows(tmp_path / "out", "rejected")}
    assert reasons == {"unfinished: 7", "unfinished: no finish reason"}
    accepted = rows(tmp_path / "out", "accepted")
    assert len(accepted) == 2  # the cut one was asked for again with more tokens
    assert {row["generated_tokens"] for row in accepted} == {4} and all(row["seed"] in (None, 7) for row in accepted)


@pytest.mark.parametrize("word", ["length", "max_tokens", "MAX_TOKENS"])
def test_a_cut_answer_is_known_as_one_when_the_ledger_is_opened_again(tmp_path, word):
    with Ledger(tmp_path) as ledger:
        ledger.add(KEYS[0], Completion('a "finish_reason": "length"', word, 4))
        ledger.add(KEYS[1], Completion('a "finish_reason": "length"', "stop", 4))
        assert (ledger.state(KEYS[0]), ledger.state(KEYS[1])) == ("cut", "answered")
    with Ledger(tmp_path) as ledger:
        assert (ledger.state(KEYS[0]), ledger.state(KEYS[1])) == ("cut", "answered")


# Endings of rows


@pytest.mark.parametrize("word", ["content_filter", "tool_calls", "", None])
def test_an_answer_that_is_not_whole_is_rejected_with_the_word_for_it(world, word):
    answers = {"two": ("in other words owt", word)}
    _, out, server = world(["one", "two"], lambda source: answers.get(source, f"in other words {source[::-1]}"))
    (row,) = rows(out, "rejected")
    assert row["reason"] == f"unfinished: {word or 'no finish reason'}" and server.seen["two"] == 1


def test_an_answer_that_a_fault_of_the_server_ended_is_asked_for_again(world):
    left = ["abort", "error"]
    manifest, _, server = world(
        ["one"], lambda source: ("in other words", left.pop()) if left else ("in other words eno", "stop")
    )
    assert manifest["accepted"] == 1 and server.seen["one"] == 3


def test_a_fault_that_lasts_is_a_failure_of_the_endpoint(world):
    with pytest.raises(EndpointError, match="most often because of `the answer ended by `abort``"):
        world(["one"], lambda source: ("in other", "abort"))


def test_an_empty_answer_that_was_cut_gets_a_larger_budget_at_once(world):
    budgets = []

    def answer(source):
        budgets.append(server.bodies[-1]["max_tokens"])
        return (None, "length") if len(budgets) < 3 else ("in other words eno", "stop")

    server = LoopbackTGI(answer)
    server._chat = _chat_of_any_content.__get__(server)
    manifest, _, _ = world(["one"], server=server, wire="chat")
    assert manifest["accepted"] == 1 and budgets == sorted(set(budgets))


async def _chat_of_any_content(self, request):
    text, reason = await self._answer(request, "messages")
    return web.json_response(chatted(text, reason))


# How long to wait

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "5"}, None, 5),
        ({"retry-after": "0.5"}, None, 0.5),
        ({"retry-after": format_datetime(at(90), usegmt=True)}, None, 90),
        ({"retry-after": format_datetime(at(-90), usegmt=True)}, None, 0),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "-5"}, None, None),
        ({"retry-after": "nan"}, None, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, None, 1.5),
        ({"x-ratelimit-reset": "12"}, None, 12),
        ({"x-ratelimit-reset": str(int(at(60).timestamp()))}, None, 60),
        ({"x-ratelimit-reset": str(int(at(60).timestamp() * 1000))}, None, 60),
        ({"x-ratelimit-reset-requests": "1m30.5s", "x-ratelimit-reset-tokens": "2m0s"}, None, 90.5),
        ({"x-ratelimit-reset-tokens": "6ms"}, None, 0.006),
        ({"ratelimit-reset": "7"}, None, 7),
        ({"ratelimit": '"default";r=0;t=30'}, None, 30),
        ({"anthropic-ratelimit-requests-reset": "2026-11-30T12:00:20Z"}, None, 20),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-limit": "5"}, None, None),
        ({}, {"error": {"message": "Rate limit reached. Please try again in 7.66s. Visit …"}}, 7.66),
        ({}, {"error": {"message": "Please try again in 1m5s."}}, 65),
        ({}, {"error": {"message": "retry after 500 milliseconds"}}, 0.5),
        ({}, {"error": "wait 5"}, 5),
        ({}, {"error": "wait 2 minutes"}, 120),
        ({}, {"error": {"details": [{"@type": "RetryInfo", "retryDelay": "30s"}]}}, 30),
        ({}, {"error": "Model org/m is currently loading", "estimated_time": 20.5}, 20.5),
        ({}, {"error": {"metadata": {"retry_after": 3}}}, 3),
        ({"retry-after": "5"}, {"retry_after": 9}, 5),
        ({"x-rate-limit-reset": "8"}, None, 8),
        ({"x-ratelimit-retry-after": "8"}, None, 8),
        ({"x-ms-retry-after-ms": "800"}, None, 0.8),
        ({"x-ratelimit-reset-ms": "1500"}, None, 1.5),
        ({"retry-after": "5, 5"}, None, 5),
        ({"retry-after": "1d"}, None, 86400),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, None, 50),
        (
            {
                **{"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "60s"},
                **{"x-ratelimit-remaining-tokens": "5000", "x-ratelimit-reset-tokens": "1s"},
            },
            None,
            60,
        ),
        ({}, {"error": {"metadata": {"headers": {"X-RateLimit-Reset": str(int(at(30).timestamp() * 1000))}}}}, 30),
        ({}, {"error": {"message": "You can retry your request in 12 secs"}}, 12),
        ({}, {"error": "try again in 1 minute and 30 seconds"}, 90),
        ({}, {"error": "the limit resets at 2026-11-30T12:00:45Z"}, 45),
        ({}, "slow down, try again in 8 seconds", 8),
        ({}, {"error": "we retry requests 3 times"}, None),
        ({}, {"error": "you must wait"}, None),
        ({}, ["odd"], None),
        ({}, None, None),
    ],
    ids=repr,
)
def test_the_time_that_a_server_wants_to_be_left_alone(headers, body, seconds):
    said = waiting_time({**headers, "date": format_datetime(NOW, usegmt=True)}, body)
    assert said == (None if seconds is None else pytest.approx(seconds))


def test_a_reset_of_a_limit_is_no_waiting_time_of_another_failure():
    headers = {"x-ratelimit-reset": "60"}
    for status, wait in ((429, 60), (500, None), (503, None)):
        with pytest.raises(RequestError) as caught:
            complete(httpx.Response(status, json={}, headers=headers))
        assert caught.value.wait == wait


# Errors in answers that say 200


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, "overloaded", "429 slow down"),
        ({"error": {"code": "503", "message": "no server"}}, "unavailable", "503 no server"),
        ({"error": {"code": 400, "message": "no template"}}, "refused", "400 no template"),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, "overloaded", "rate_limit_exceeded slow"),
        ({"error": {"code": "insufficient_quota", "message": "pay"}}, "denied", "insufficient_quota pay"),
        ({"error": "out of luck"}, "transient", "out of luck"),
        ({"object": "error", "message": "slow", "code": 429}, "overloaded", "429 slow"),
        ({"code": 402, "message": "Insufficient balance"}, "denied", "402 Insufficient balance"),
        ({"status": 503, "detail": "no server"}, "unavailable", "503 no server"),
        ({"errors": [{"message": "slow", "code": 429.0}]}, "overloaded", "429 slow"),
        ([{"error": {"code": 429, "message": "slow"}}], "overloaded", "429 slow"),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, "overloaded", "1002 rate limit"),
        ({"error_code": 18, "error_msg": "too many requests"}, "overloaded", "18 too many requests"),
        ({"error": {"code": "context_length_exceeded", "message": "no"}}, "refused", "context_length_exceeded no"),
        ({"error": True}, "transient", "True"),
        ({"choices": [{"error": {"code": 502, "message": "up"}, "message": {"content": ""}}]}, "unavailable", "502 up"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("wire", ["generate", "chat"])
def test_an_error_in_an_answer_with_status_200_is_one(wire, body, kind, reason):
    with pytest.raises(RequestError) as caught:
        complete(body, wire)
    assert (caught.value.kind, str(caught.value)) == (kind, reason)


def test_an_error_of_null_is_none():
    assert complete({**chatted("x"), "error": None}, "chat").text == "x"
    assert complete({**generated("x"), "error": ""}).text == "x"
    assert complete({**chatted("x"), "error": {"message": None, "code": None}}, "chat").text == "x"
    assert complete({**chatted("x"), "message": "fine"}, "chat").text == "x"


def test_a_used_up_credit_is_no_overload():
    body = {"error": {"message": "You exceeded your quota", "type": "insufficient_quota", "code": "insufficient_quota"}}
    with pytest.raises(RequestError) as caught:
        complete(httpx.Response(429, json=body, headers={"retry-after": "5"}), "chat")
    assert caught.value.kind == "denied"


def test_a_limit_by_the_minute_is_an_overload_whatever_it_says_of_billing():
    told = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "exceeded your current quota, see billing"}
    told["details"] = [{"retryDelay": "26s"}]
    with pytest.raises(RequestError) as caught:
        complete(httpx.Response(429, json={"error": told}), "chat")
    assert (caught.value.kind, caught.value.wait) == ("overloaded", 26)


# What an endpoint says of itself


@pytest.mark.parametrize(
    "info",
    [
        {"max_concurrent_requests": "128"},
        {"max_concurrent_requests": [1], "model_sha": 7, "version": {"v": 3}},
        {"max_concurrent_requests": -1, "model_sha": ""},
        {"max_concurrent_requests": 0, "model_sha": None, "version": None},
    ],
    ids=repr,
)
def test_an_info_with_odd_fields_is_read(info):
    told = with_client(Wire({"/info": {"model_id": "m", **info}}, by_path=True), lambda client: client.info())
    assert (told.model_id, told.model_sha, told.version) == ("m", None, None)
    assert told.max_concurrent_requests == (128 if info["max_concurrent_requests"] == "128" else None)


@pytest.mark.parametrize("info", [{"model_id": 7}, {"model_id": ""}, ["m"], "m", None, {"model_id": None}], ids=repr)
def test_an_info_that_names_no_model_is_none(info):
    wire = Wire({"/info": httpx.Response(200, text=json.dumps(info)), "/v1/models": {"data": [{"id": "org/v"}]}}, True)
    assert with_client(wire, lambda client: client.info(), wire="auto").model_id == "org/v"


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (lambda: httpx.Response(401, json={"error": "bad key"}), EndpointError, "401 bad key (asked for /v1/models)"),
        (lambda: httpx.Response(403), EndpointError, "403 Forbidden (asked for /v1/models)"),
        (lambda: httpx.Response(500, json={"error": "broken"}), EndpointError, "500 broken (asked for /v1/models)"),
        (lambda: httpx.Response(502, text="<html>"), EndpointError, "502 Bad Gateway (asked for /v1/models)"),
        (lambda: httpx.Response(429), EndpointError, "429 Too Many Requests (asked for /v1/models)"),
        (lambda: httpx.Response(404), InputError, "(404 Not Found) at /v1/models; give the one to ask for as --model"),
        (lambda: {"data": [{"id": 7}, {"name": "x"}, 3]}, InputError, "names no model at /v1/models"),
        (lambda: {"data": {"id": "x"}}, InputError, "does not answer with a list of models at /v1/models"),
        (lambda: httpx.Response(200, text="<html>sign in</html>"), InputError, "does not answer with a list of models"),
        (lambda: httpx.Response(404, text="wrong port"), InputError, "names no model (404 wrong port) at /v1/models"),
        (lambda: {"message": "Invalid key", "code": 401}, EndpointError, "401 Invalid key (asked for /v1/models)"),
        (lambda: [{"id": "a"}, {"id": "b"}], InputError, "serves 2 models (a, b, …)"),
    ],
    ids=range(12),
)
def test_why_no_model_is_known_is_said(answer, error, said):
    wire = Wire({"/v1/models": answer()}, by_path=True)
    with pytest.raises(error) as caught:
        with_client(wire, lambda client: client.info(), wire="auto")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/models",
        "/generate",
        "/info",
        "/v1/completions",
    ],
)
def test_a_path_of_the_api_behind_the_base_url_is_no_part_of_it(path):
    wire = Wire({"/base/v1/models": {"data": [{"id": "org/v"}]}, "/base/v1/chat/completions": chatted("x")}, True)

    async def act(client):
        await client.info()
        return (client.name, (await client.complete(CHAT)).text)

    told = with_client(wire, act, f" https://host.test/base{path}", wire="auto")
    assert told == ("https://host.test/base", "x")


def test_the_proxy_that_is_in_the_way_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.test:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for answer in (httpx.ConnectError("refused"), httpx.Response(407), httpx.Response(503)):
        with pytest.raises(EndpointError) as caught:
            with_client(Wire(answer), lambda client: client.info(), "https://host.test", wire="auto")
        assert "requests go through the proxy http://proxy.test:3128 of the environment variable HTTPS_PROXY" in str(
            caught.value
        )
        assert "secret" not in str(caught.value)
    for wrong in ("socks5://proxy.test:1080", "ftp://proxy.test", "http://proxy.test:port"):
        monkeypatch.setenv("HTTPS_PROXY", wrong)
        with pytest.raises(EndpointError, match=r"--endpoint https://host.test: .*HTTPS_PROXY"):
            asyncio.run(EndpointClient("https://host.test").__aenter__())
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "host.test")
    with pytest.raises(EndpointError) as caught:
        with_client(Wire(httpx.ConnectError("refused")), lambda client: client.info(), "https://host.test")
    assert "proxy" not in str(caught.value)


def test_a_key_that_the_endpoint_repeats_is_in_no_message():
    answer = httpx.Response(401, json={"error": {"message": "Incorrect API key provided: sk-very-secret."}})
    with pytest.raises(EndpointError) as caught:
        with_client(Wire(answer), lambda client: client.info(), api_key="sk-very-secret")
    assert "Incorrect API key provided: ***." in str(caught.value)
