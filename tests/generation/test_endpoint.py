import asyncio
import json
from urllib.parse import urlsplit

import huggingface_hub
import pytest
import virtual_time
from wires import CHAT, GENERATE, REQUESTS, URL, Wire, chatted, complete, generated, httpx, models, with_client

from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.endpoint import EndpointClient, EndpointInfo
from hf_xling.generation.protocol import RequestError
from hf_xling.generation.records import Completion

# What it serves

TGI = {"model_id": "org/m", "model_sha": "abc", "max_concurrent_requests": 64, "version": "3.3"}
NO_INFO = {  # what is in place of TGI's /info elsewhere
    "none": lambda: httpx.Response(404),
    "detail": lambda: httpx.Response(404, json={"detail": "Not Found"}),
    "error": lambda: httpx.Response(500, text="oops"),
    "page": lambda: httpx.Response(200, text="<html>hello</html>"),
    "list": lambda: httpx.Response(200, json=["model"]),
    "other": lambda: httpx.Response(200, json={"name": "x"}),
}


def info(answers, url=URL, **fields) -> tuple[EndpointInfo, list[str]]:
    """What a client says is served by what answers so by path, and the paths that it asked."""
    wire = Wire(answers, by_path=True)
    told = with_client(wire, lambda client: client.info(), url, **fields)
    return told, [request.url.path for request in wire.sent]


@pytest.mark.parametrize("wire", ["auto", "generate", "chat"])
def test_tgi_tells_the_model_and_the_window(wire):
    named = "chat" if wire == "chat" else "generate"
    assert info({"/info": TGI}, wire=wire) == (EndpointInfo(named, "org/m", "abc", "tgi", 64, "3.3"), ["/info"])
    assert info({"/info": {"model_id": "m"}}, wire=wire)[0] == EndpointInfo(named, "m")
    assert info({"/info": TGI}, wire=wire, model="adapter")[0].model == "adapter"


@pytest.mark.parametrize("answer", NO_INFO.values(), ids=NO_INFO)
@pytest.mark.parametrize("wire", ["auto", "chat"])
def test_what_is_no_tgi_is_spoken_to_in_chat_by_the_name_of_its_model(answer, wire):
    told, asked = info({"/info": answer(), "/v1/models": models("org/vllm")}, wire=wire)
    assert told == EndpointInfo("chat", "org/vllm", None, "org/vllm") and asked == ["/info", "/v1/models"]
    told, asked = info({"/info": answer(), "/v1/models": models("a", "b")}, wire=wire, model="b")
    assert told == EndpointInfo("chat", "b", None, "b") and asked == ["/info"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: models("a", "b"), "serves 2 models (a, b, …) at /v1/models"),
        (lambda: models(*"abcde"), "serves 5 models (a, b, c, …) at /v1/models"),
        (lambda: models(), "names no model at /v1/models"),
        (lambda: httpx.Response(404), "names no model (404 Not Found) at /v1/models"),
        (lambda: httpx.Response(200, text="<html>"), "does not answer with a list of models at /v1/models"),
        (lambda: {"data": [{"name": "a"}]}, "names no model at /v1/models"),
    ],
)
def test_which_model_is_asked_for_where_it_cannot_be_known(answer, said):
    with pytest.raises(InputError) as caught:
        info({"/v1/models": answer()}, wire="auto")
    assert str(caught.value) == f"--endpoint {URL}: {said}; give the one to ask for as --model"


@pytest.mark.parametrize("answer", NO_INFO.values(), ids=NO_INFO)
def test_the_generate_wire_wants_tgi(answer):
    with pytest.raises(EndpointError) as caught:
        info({"/info": answer(), "/v1/models": models("a")}, wire="generate")
    assert str(caught.value).startswith(f"--endpoint {URL}: its /info ")
    assert str(caught.value).endswith("; is it TGI's /generate? (--wire chat)")


@pytest.mark.parametrize("wire", ["auto", "generate", "chat"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: httpx.ConnectError("refused"), "no connection (refused)"),
        (lambda: httpx.ReadTimeout("slow"), "timed out"),
        (lambda: httpx.Response(503), "503 Service Unavailable"),
        (lambda: httpx.Response(401), "401 Unauthorized"),
        (lambda: httpx.Response(403, json={"error": "not yours"}), "403 not yours"),
        (lambda: httpx.Response(301, headers={"Location": f"{URL}s"}), "301 Moved Permanently"),
    ],
    ids=range(6),
)
def test_an_endpoint_that_is_down_or_closed_to_us_is_named(answer, said, wire):
    with pytest.raises(EndpointError) as caught:
        info({"/info": answer(), "/v1/models": models("a")}, wire=wire)
    assert str(caught.value) == f"--endpoint {URL}: {said} (asked for /info)"


def test_one_that_goes_down_between_two_questions_is_named():
    with pytest.raises(EndpointError, match=r"no connection \(gone\) \(asked for /v1/models\)"):
        info({"/v1/models": httpx.ConnectError("gone")}, wire="auto")


@pytest.mark.parametrize("url", [URL, f"{URL}/", f"{URL}/v1", f"{URL}/v1/"])
def test_a_url_may_end_in_v1(url):
    wire = Wire({"/info": TGI, "/generate": generated("x"), "/v1/chat/completions": chatted("y")}, by_path=True)

    async def act(client):
        await client.info()
        return (await client.complete(CHAT if client.wire == "chat" else GENERATE)).text

    assert with_client(wire, act, url) == "x" and with_client(wire, act, url, wire="chat") == "y"


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (lambda: httpx.Response(200), True),
        (lambda: httpx.Response(204), True),
        (lambda: httpx.Response(404), True),  # a server without /health that answers
        (lambda: httpx.Response(401), True),
        (lambda: httpx.Response(429), False),
        (lambda: httpx.Response(500), False),
        (lambda: httpx.Response(503), False),
        (lambda: httpx.ConnectError("refused"), False),
        (lambda: httpx.ReadTimeout("slow"), False),
    ],
    ids=range(9),
)
def test_an_endpoint_is_healthy_unless_it_fails(answer, healthy):
    wire = Wire(answer())
    assert with_client(wire, lambda client: client.is_healthy()) is healthy
    assert {request.url.path for request in wire.sent} == {"/health"}


# What it is sent, and what it answers


def test_generate_posts_the_request_to_generate_and_nothing_else():
    wire = Wire(generated("ஒரு நாய்."))
    completion = with_client(wire, lambda client: client.complete(GENERATE))
    assert completion == Completion("ஒரு நாய்.", "eos_token", 4, 3)
    (sent,) = wire.sent
    assert (sent.method, str(sent.url)) == ("POST", f"{URL}/generate")
    body = json.loads(sent.content)
    assert body["inputs"] == "prompt"
    given = {name: value for name, value in body["parameters"].items() if value is not None}
    assert given == {**GENERATE.parameters, "details": True, "return_full_text": False}


@pytest.mark.parametrize(("answers", "model"), [({"/info": TGI}, "tgi"), ({"/v1/models": models("org/v")}, "org/v")])
def test_chat_posts_messages_for_the_model_that_is_served(answers, model):
    wire = Wire({**answers, "/v1/chat/completions": chatted(" ஒரு நாய். ")}, by_path=True)

    async def act(client):
        await client.info()
        return await client.complete(CHAT)

    assert with_client(wire, act, wire="chat") == Completion("ஒரு நாய்.", "stop", 5, 3)
    sent = wire.sent[-1]
    body = {name: value for name, value in json.loads(sent.content).items() if value is not None}
    assert str(sent.url) == f"{URL}/v1/chat/completions"
    assert body == {"messages": CHAT.prompt, "model": model, "seed": 3, "max_tokens": 9, "stream": False}


@pytest.mark.parametrize(
    ("text", "left"),
    [("ஒரு நாய்.<|eot_id|>", "ஒரு நாய்."), (" x \n<|eot_id|>more<|eot_id|>", "x"), ("<|eot_id|>", ""), ("", "")],
)
def test_the_stop_string_and_outer_space_are_no_part_of_the_text(text, left):
    completion = complete(generated(text, "stop_sequence"), stop=("###", "<|eot_id|>"))
    assert completion.text == left and completion.finish_reason == "stop_sequence"


def test_an_answer_without_details_or_usage_is_still_an_answer():
    assert complete({"generated_text": "x"}) == Completion("x")
    answer = chatted("x", "length")
    del answer["usage"]
    assert complete(answer, "chat") == Completion("x", "length", None, 3)
    assert complete(chatted(None), "chat").text == ""  # a model that only thought, say


def test_the_times_in_the_queue_and_at_work_are_told():
    def told(**headers):
        times = []
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        wire = Wire(httpx.Response(200, json=generated("x"), headers=headers))
        with_client(wire, lambda client: client.complete(GENERATE), on_times=lambda *pair: times.append(pair))
        return times

    assert told(x_queue_time="250", x_inference_time="1500", x_total_time="1750") == [(0.25, 1.5)]
    assert told(x_queue_time="250") == told(x_queue_time="t=9", x_inference_time="-") == told() == []


# Connections


def test_two_endpoints_at_once_each_keep_their_own_connection():
    wires = [Wire({"model_id": name}) for name in ("a", "b")]

    async def run():
        one, two = (EndpointClient(URL, transport=httpx.MockTransport(wire)) for wire in wires)
        async with one, two:
            return [(await client.info()).model_id for client in (one, two, one)]

    assert asyncio.run(run()) == ["a", "b", "a"]


def test_a_closed_client_leaves_none_of_its_connections_to_others():
    with_client(Wire({"model_id": "m"}), lambda client: client.info())

    async def borrow():
        async with huggingface_hub.get_async_session() as session:
            return session.is_closed

    assert asyncio.run(borrow()) is False


BOTH = pytest.mark.parametrize("wire", ["generate", "chat"])
TOO_LONG = "`inputs` must have less than 9 tokens"
MALFORMED = "the answer is not what this wire gives"


def failure(answer, wire="generate") -> tuple[str, str, int | None]:
    with pytest.raises(RequestError) as caught:
        complete(answer, wire)
    error = caught.value
    assert "\n" not in str(error) and len(str(error)) < 200
    return str(error), error.kind, error.status


def error(status, kind=None, message="bad luck"):
    return httpx.Response(status, json={"error": message, **({"error_type": kind} if kind else {})})


@BOTH
@pytest.mark.parametrize(
    ("answer", "reason", "kind"),
    [
        (lambda: error(422, "validation", "too\nlong"), "422 too long", "refused"),
        (lambda: error(422, "template_error"), "422 bad luck", "refused"),
        (lambda: error(422), "422 bad luck", "refused"),
        (lambda: error(413, "validation"), "413 bad luck", "refused"),
        (lambda: error(400), "400 bad luck", "refused"),
        (lambda: error(424, "generation"), "424 bad luck", "generation"),
        (lambda: error(429, "overloaded"), "429 bad luck", "overloaded"),
        (lambda: error(429), "429 bad luck", "overloaded"),
        (lambda: error(500, "incomplete_generation"), "500 bad luck", "transient"),
        (lambda: error(501), "501 bad luck", "transient"),
        (lambda: httpx.Response(524, text="error code: 524"), "524 error code: 524", "transient"),
        (lambda: error(503, "healthcheck"), "503 bad luck", "unavailable"),
        (lambda: httpx.Response(502, text="<html>proxy</html>"), "502 Bad Gateway", "unavailable"),
        (lambda: httpx.Response(503), "503 Service Unavailable", "unavailable"),
        (lambda: httpx.Response(504, json={"error": None}), "504 Gateway Timeout", "unavailable"),
        (lambda: httpx.Response(408), "408 Request Timeout", "timeout"),
        (lambda: httpx.Response(401), "401 Unauthorized", "denied"),
        (lambda: error(403, message="not yours"), "403 not yours", "denied"),
        (lambda: httpx.Response(404, text="not\nhere"), "404 not here", "denied"),
        (lambda: httpx.Response(405, json=["no"]), "405 Method Not Allowed", "denied"),
        (lambda: httpx.Response(307, headers={"Location": "https://other.test"}), "307 Temporary Redirect", "denied"),
    ],
    ids=range(21),
)
def test_the_status_says_what_kind_of_failure_it_is(answer, reason, kind, wire):
    assert failure(answer(), wire) == (reason, kind, int(reason[:3]))


@BOTH
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "`inputs` must have less than 9 tokens", "error_type": "validation"}, TOO_LONG),
        ({"error": {"message": TOO_LONG, "type": "BadRequestError", "param": None, "code": 400}}, TOO_LONG),
        ({"object": "error", "message": TOO_LONG, "type": "BadRequestError", "code": 400}, TOO_LONG),
        ({"detail": "Model not loaded"}, "Model not loaded"),
        (
            {"detail": [{"type": "missing", "loc": ["body", "messages", 0], "msg": "Field required", "input": {}}]},
            "body.messages.0: Field required",
        ),
        ({"detail": ["odd"]}, "Bad Request"),
        ({"error": {"code": 7}}, "{'code': 7}"),
        ({}, "Bad Request"),
        ("just text", "just text"),
    ],
    ids=range(9),
)
def test_the_reason_is_found_in_the_bodies_of_the_servers_that_there_are(body, reason, wire):
    assert failure(httpx.Response(400, json=body), wire) == (f"400 {reason}", "refused", 400)


def test_a_long_reason_is_cut():
    reason, _, _ = failure(error(422, "validation", "வ" * 1000))
    assert 100 < len(reason) < 200 and reason.endswith("…")


@BOTH
@pytest.mark.parametrize(
    ("answer", "reason", "kind"),
    [
        (lambda: httpx.ConnectError("refused"), "no connection (refused)", "unavailable"),
        (lambda: httpx.RemoteProtocolError("closed"), "no connection (closed)", "unavailable"),
        (lambda: httpx.ReadError("reset"), "no connection (reset)", "unavailable"),
        (lambda: httpx.ReadTimeout("slow"), "timed out", "timeout"),
        (lambda: httpx.ConnectTimeout("slow"), "timed out", "timeout"),
        (lambda: httpx.PoolTimeout("slow"), "timed out", "timeout"),
        (lambda: httpx.DecodingError("not gzip"), MALFORMED, "transient"),
        (lambda: ZeroDivisionError("what?"), "ZeroDivisionError what?", "denied"),
    ],
    ids=range(8),
)
def test_no_answer_is_a_failure_without_a_status(answer, reason, kind, wire):
    assert failure(answer(), wire) == (reason, kind, None)


@pytest.mark.parametrize(
    ("wire", "answer"),
    [
        ("generate", lambda: httpx.Response(200, text='{"generated_te')),
        ("generate", lambda: {"text": "x"}),
        ("generate", lambda: []),
        ("generate", lambda: generated(None)),
        ("chat", lambda: httpx.Response(200, text='{"choices": [')),
        ("chat", lambda: {"choices": []}),
        ("chat", lambda: {}),
        ("chat", lambda: httpx.Response(200, text="")),
        ("chat", lambda: httpx.Response(200, text="<html>sign in</html>")),
    ],
    ids=range(9),
)
def test_an_answer_that_is_none_may_be_one_the_next_time(wire, answer):
    assert failure(answer(), wire) == (MALFORMED, "transient", None)


def test_the_address_and_its_password_are_in_no_reason():
    with pytest.raises(RequestError) as caught:
        with_client(Wire(httpx.Response(404)), lambda c: c.complete(GENERATE), "http://user:secret@tgi.test")
    assert "secret" not in str(caught.value)


class Trickle(httpx.AsyncByteStream):
    """A body that never ends, a byte each second."""

    async def __aiter__(self):
        while True:
            await asyncio.sleep(1)
            yield b" "


@pytest.mark.parametrize("kind", ["hangs", "trickles"])
def test_an_endpoint_that_hangs_or_trickles_meets_the_timeout(kind):
    async def answer(request):
        if kind == "hangs":
            await asyncio.sleep(1e6)
        return httpx.Response(200, stream=Trickle())

    async def ask():
        async with EndpointClient(URL, timeout=30, transport=httpx.MockTransport(answer)) as client:
            with pytest.raises(RequestError, match="timed out") as caught:
                await client.complete(GENERATE)
        return caught.value.kind, asyncio.get_running_loop().time()

    assert virtual_time.run(ask()) == ("timeout", 30)


# Which endpoint gets which token


HF = "https://x1.eu-west-1.aws.endpoints.huggingface.cloud"
SAVED = "hf_VerySecretToken"


@pytest.fixture(autouse=True)
def saved_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", SAVED)


def requests_of_a_run(url, wire="generate", answers=None, **fields) -> list:
    """What is sent when a client asks what is served, for health, and for one answer that is refused."""
    answers = answers or {"/info": {"model_id": "m"}, "/health": httpx.Response(404)}
    answers = {**answers, "/generate": httpx.Response(422), "/v1/chat/completions": httpx.Response(422)}
    prefix = urlsplit(url).path.removesuffix("/v1")
    transport = Wire({f"{prefix}{path}": answer for path, answer in answers.items()}, by_path=True)

    async def act(client):
        await client.info()
        await client.is_healthy()
        with pytest.raises(RequestError, match="422"):
            await client.complete(REQUESTS[client.wire])

    with_client(transport, act, url, wire=wire, **fields)
    return transport.sent


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://huggingface.co", True),
        ("https://router.huggingface.co", True),
        (HF, True),
        (f"{HF}/v1", True),
        ("https://ME-mine.HF.space:443", True),
        (HF.replace("https", "http"), False),
        ("http://127.0.0.1:8080", False),
        ("https://tgi.test", False),
        ("https://huggingface.co.tgi.test", False),
        ("https://nothuggingface.co", False),
        ("https://hf.space.test", False),
        ("https://tgi.test/huggingface.co", False),
        ("https://huggingface.co:x@tgi.test", False),
    ],
)
@pytest.mark.parametrize("wire", ["generate", "chat"])
def test_the_users_token_goes_to_hugging_face_and_to_nobody_else(url, sent, wire):
    asked = requests_of_a_run(url, wire)
    assert len(asked) == 3
    for request in asked:
        assert (request.headers.get("Authorization") == f"Bearer {SAVED}") == sent
        assert sent or SAVED.encode() not in b"".join(value for _, value in request.headers.raw)


@pytest.mark.parametrize("url", [URL, HF, "http://127.0.0.1:8080"])
def test_a_key_for_the_endpoint_goes_there_in_place_of_the_users_token(url):
    servers = {"generate": None, "chat": {"/v1/models": models("org/v")}}
    for wire, answers in servers.items():
        for request in requests_of_a_run(url, wire, answers, api_key="sk-mine"):
            assert request.headers["Authorization"] == "Bearer sk-mine"
            assert SAVED.encode() not in b"".join(value for _, value in request.headers.raw)


def test_without_any_token_none_is_sent(monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    for url in (URL, HF):
        for request in requests_of_a_run(url, "auto", {"/v1/models": models("org/v")}):
            assert "Authorization" not in request.headers


def test_a_name_and_password_in_the_url_are_sent_and_told_nobody():
    asked = requests_of_a_run("http://user:secret@tgi.test")
    assert {request.headers["Authorization"] for request in asked} == {"Basic dXNlcjpzZWNyZXQ="}
    with pytest.raises(EndpointError) as caught:
        with_client(Wire(httpx.Response(401)), lambda client: client.info(), "http://user:secret@tgi.test")
    assert str(caught.value) == "--endpoint http://tgi.test: 401 Unauthorized (asked for /info)"
