import asyncio

import pytest
import virtual_time
from wires import GENERATE, URL, Wire, complete, generated, httpx, with_client

from hf_xling.generation.endpoint import EndpointClient
from hf_xling.generation.protocol import RequestError

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
