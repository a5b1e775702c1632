"""Which endpoint gets which token."""

from urllib.parse import urlsplit

import pytest
from wires import REQUESTS, URL, Wire, httpx, models, with_client

from hf_xling.errors import EndpointError
from hf_xling.generation.protocol import RequestError

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
