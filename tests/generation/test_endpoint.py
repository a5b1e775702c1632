import asyncio
import json

import huggingface_hub
import pytest

from hf_xling.errors import EndpointError
from hf_xling.generation.endpoint import EndpointClient, EndpointInfo, RequestError
from hf_xling.generation.records import Completion, Request

# What the installed huggingface_hub speaks through.
httpx = pytest.importorskip("httpx" if huggingface_hub.__version__.startswith("1.") else "httpx2")

URL = "http://tgi.test:8080"
REQUEST = Request("A dog.", "prompt", {"seed": 3, "max_new_tokens": 9, "stop": ["<|eot_id|>"]}, "m", "s")
CHAT = Request("A dog.", [{"role": "user", "content": "A dog."}], {"seed": 3, "max_tokens": 9}, "m", "s")


def details(text, reason="eos_token", **more):
    return {"generated_text": text, "details": {"finish_reason": reason, "generated_tokens": 4, "seed": 3, **more}}


class Wire:
    """A transport that answers every request with `answer` and keeps what it was sent."""

    def __init__(self, answer):
        self.answer, self.sent = answer, []

    def __call__(self, request):
        self.sent.append(request)
        answer = self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def with_client(transport, act, **kwargs):
    async def run():
        async with EndpointClient(URL, transport=httpx.MockTransport(transport), **kwargs) as client:
            return await act(client)

    return asyncio.run(run())


def complete(answer, request=REQUEST, stop=(), kind="generate"):
    wire = Wire(answer)
    return with_client(wire, lambda client: client.complete(request, stop), wire=kind), wire


def failure(answer, request=REQUEST, kind="generate") -> RequestError:
    with pytest.raises(RequestError) as caught:
        complete(answer, request, kind=kind)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
    return caught.value


def test_generate_posts_the_request_to_generate_and_nothing_else():
    completion, wire = complete(details("ஒரு நாய்."))
    assert completion == Completion("ஒரு நாய்.", "eos_token", 4, 3)
    (sent,) = wire.sent
    assert (sent.method, str(sent.url)) == ("POST", f"{URL}/generate")
    body = json.loads(sent.content)
    assert body["inputs"] == "prompt"
    given = {name: value for name, value in body["parameters"].items() if value is not None}
    assert given == {**REQUEST.parameters, "details": True, "return_full_text": False}


def test_chat_posts_messages_for_the_model_that_is_served():
    choice = {"index": 0, "message": {"role": "assistant", "content": " ஒரு நாய். "}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}
    answer = {"id": "", "created": 0, "model": "m", "system_fingerprint": "", "choices": [choice], "usage": usage}
    completion, wire = complete(answer, CHAT, kind="chat")
    assert completion == Completion("ஒரு நாய்.", "stop", 5, 3)
    (sent,) = wire.sent
    body = {name: value for name, value in json.loads(sent.content).items() if value is not None}
    assert str(sent.url) == f"{URL}/v1/chat/completions"
    assert body == {"messages": CHAT.prompt, "model": "tgi", "seed": 3, "max_tokens": 9, "stream": False}


@pytest.mark.parametrize(
    ("text", "left"),
    [("ஒரு நாய்.<|eot_id|>", "ஒரு நாய்."), (" x \n<|eot_id|>more<|eot_id|>", "x"), ("<|eot_id|>", ""), ("", "")],
)
def test_the_stop_string_and_outer_space_are_no_part_of_the_text(text, left):
    completion, _ = complete(details(text, "stop_sequence"), stop=("<|eot_id|>",))
    assert completion.text == left and completion.finish_reason == "stop_sequence"


def test_an_answer_without_details_is_still_an_answer():
    assert complete({"generated_text": "x"})[0] == Completion("x")


def error(status, kind=None, message="bad luck"):
    return httpx.Response(status, json={"error": message, **({"error_type": kind} if kind else {})})


@pytest.mark.parametrize(
    ("answer", "reason", "retry"),
    [
        (lambda: error(422, "validation", "too\nlong"), "422 too long", False),
        (lambda: error(422, "template_error"), "422 bad luck", False),
        (lambda: error(422), "422 bad luck", False),
        (lambda: error(424, "generation"), "424 bad luck", True),
        (lambda: error(429, "overloaded"), "429 bad luck", True),
        (lambda: error(429), "429 bad luck", True),
        (lambda: error(500, "incomplete_generation"), "500 bad luck", True),
        (lambda: error(503, "healthcheck"), "503 bad luck", True),
        (lambda: error(413, "validation"), "413 bad luck", False),
        (lambda: httpx.Response(401), "401 Unauthorized", False),
        (lambda: httpx.Response(404, text="not\nhere"), "404 Not Found", False),
        (lambda: httpx.Response(502, text="<html>proxy</html>"), "502 Bad Gateway", True),
        (lambda: httpx.Response(503), "503 Service Unavailable", True),
        (lambda: httpx.Response(504, json={"error": None}), "504 None", True),
        (lambda: httpx.ConnectError("refused"), "no connection (refused)", True),
        (lambda: httpx.RemoteProtocolError("closed"), "no connection (closed)", True),
        (lambda: httpx.ReadError("reset"), "no connection (reset)", True),
        (lambda: httpx.ReadTimeout("slow"), "timed out", True),
        (lambda: httpx.PoolTimeout("slow"), "timed out", True),
        (lambda: httpx.Response(200, text='{"generated_te'), "the answer is not what this wire gives", True),
        (lambda: httpx.Response(200, json={"text": "x"}), "the answer is not what this wire gives", True),
        (lambda: httpx.Response(200, json=[]), "the answer is not what this wire gives", True),
        (lambda: httpx.Response(200, json=details(None)), "the answer is not what this wire gives", True),
        (
            lambda: httpx.Response(200, text=json.dumps(details("\ud83d"))),
            "the answer is not what this wire gives",
            True,
        ),
    ],
    ids=range(24),
)
def test_a_failure_is_one_line_and_says_whether_to_try_again(answer, reason, retry):
    failed = failure(answer())
    assert (str(failed), failed.retry) == (reason, retry)


@pytest.mark.parametrize(("status", "retry"), [(422, False), (429, True), (500, True), (401, False)])
def test_the_chat_wire_fails_alike(status, retry):
    failed = failure(error(status, "any"), CHAT, "chat")
    assert (str(failed), failed.retry) == (f"{status} bad luck", retry)
    assert failure(httpx.Response(200, json={"choices": []}), CHAT, "chat").retry


def test_the_address_and_its_password_are_in_no_reason():
    async def run():
        async with EndpointClient(
            "http://user:secret@tgi.test", transport=httpx.MockTransport(lambda request: httpx.Response(404))
        ) as client:
            await client.complete(REQUEST)

    with pytest.raises(RequestError) as caught:
        asyncio.run(run())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://huggingface.co", True),
        ("https://router.huggingface.co", True),
        ("https://x1.eu-west-1.aws.endpoints.huggingface.cloud", True),
        ("https://ME-mine.HF.space:443", True),
        ("http://x1.eu-west-1.aws.endpoints.huggingface.cloud", False),
        ("http://127.0.0.1:8080", False),
        ("https://tgi.test", False),
        ("https://huggingface.co.tgi.test", False),
        ("https://nothuggingface.co", False),
        ("https://hf.space.test", False),
        ("https://tgi.test/huggingface.co", False),
        ("https://huggingface.co:x@tgi.test", False),
    ],
)
@pytest.mark.parametrize("kind", ["generate", "chat"])
def test_the_users_token_goes_to_hugging_face_and_to_nobody_else(url, sent, kind, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_VerySecretToken")
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(200, json={"model_id": "m"}) if request.method == "GET" else error(422)

    async def run():
        async with EndpointClient(url, kind, transport=httpx.MockTransport(answer)) as client:
            await client.info()
            with pytest.raises(RequestError, match="422"):
                await client.complete(REQUEST if kind == "generate" else CHAT)

    asyncio.run(run())
    assert len(asked) == 2
    for request in asked:
        assert (request.headers.get("Authorization") == "Bearer hf_VerySecretToken") == sent
        assert sent or b"VerySecretToken" not in b"".join(value for _, value in request.headers.raw)


def test_a_name_and_password_in_the_url_are_sent(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_VerySecretToken")
    wire = Wire({"model_id": "m"})

    async def run():
        async with EndpointClient("http://user:secret@tgi.test", transport=httpx.MockTransport(wire)) as client:
            await client.info()

    asyncio.run(run())
    assert [request.headers["Authorization"] for request in wire.sent] == ["Basic dXNlcjpzZWNyZXQ="]


def test_info_tells_the_model_and_the_window():
    answer = {"model_id": "org/m", "model_sha": "abc", "max_concurrent_requests": 64, "version": "3.3"}
    wire = Wire(answer)
    assert with_client(wire, lambda client: client.info()) == EndpointInfo("org/m", "abc", 64)
    assert [str(request.url) for request in wire.sent] == [f"{URL}/info"]
    assert with_client(Wire({"model_id": "m"}), lambda client: client.info()) == EndpointInfo("m", None, None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: httpx.ConnectError("refused"), "no connection (refused)"),
        (lambda: httpx.Response(404), "404 Not Found"),
        (lambda: httpx.Response(401), "401 Unauthorized"),
        (lambda: httpx.Response(200, text="<html>hello</html>"), "not what this wire gives"),
        (lambda: httpx.Response(200, json=["model"]), "not that of a text-generation endpoint"),
        (lambda: httpx.Response(200, json={"name": "x"}), "not that of a text-generation endpoint"),
        (lambda: httpx.ReadTimeout("slow"), "timed out"),
    ],
    ids=range(7),
)
def test_an_endpoint_that_is_none_is_named(answer, said):
    with pytest.raises(EndpointError) as caught:
        with_client(Wire(answer()), lambda client: client.info())
    assert str(caught.value).startswith(f"--endpoint {URL}: ") and said in str(caught.value)


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
