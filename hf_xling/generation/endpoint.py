"""A text-generation endpoint, through `huggingface_hub.AsyncInferenceClient`, its failures as the project's own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from huggingface_hub import AsyncInferenceClient, get_token, set_async_client_factory
from huggingface_hub.errors import InferenceTimeoutError

from hf_xling.errors import EndpointError, InputError, one_line
from hf_xling.generation.connections import httpx, transport_for_many
from hf_xling.generation.records import Completion, Request

Wire = Literal["generate", "chat"]

# Hugging Face's own hosts: the only ones that a user's saved token is for.
TOKEN_HOSTS = re.compile(r"(.+\.)?huggingface\.co|.+\.huggingface\.cloud|.+\.hf\.space")
LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
# Stands for "no token": given none, the library reads the saved one from disk at every request, and sends it.
NO_TOKEN = "none"

# What a failure says of the next try, by status. Of the others those from 500 on are `transient`.
FAILURES = {
    408: "timeout",
    424: "generation",
    429: "overloaded",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
# The statuses that a text can bring about by itself; any other refusal is meant for all of them.
REFUSALS_OF_TEXTS = frozenset({400, 413, 422})
# The statuses that say of any question that it is not for us, or not for this address.
REFUSALS_OF_US = frozenset({301, 302, 303, 307, 308, 401, 403})


class RequestError(Exception):
    """A request that failed.

    Attributes:
        kind: `overloaded` (too many requests), `unavailable` (no connection, or a gateway without a server behind it),
            `timeout`, `transient` (a failure inside the server, a malformed answer), `generation` (the model failed on
            this text), `refused` (this text will never do) or `denied` (no text will: a wrong token, path or model).
        status: the HTTP status, where there was an answer.
    """

    def __init__(self, reason: str, kind: str, status: int | None = None):
        super().__init__(reason)
        self.kind, self.status = kind, status


@dataclass(frozen=True)
class EndpointInfo:
    """What an endpoint serves.

    Attributes:
        wire: how it is spoken to.
        model_id, model_sha: the model as rows record it; the sha is None where the endpoint does not tell it.
        model: what a chat request names; TGI takes any name but `tgi` for that of an adapter.
        max_concurrent_requests: how many requests it takes at a time; None where it does not say.
        version: of the server.
    """

    wire: Wire
    model_id: str | None
    model_sha: str | None = None
    model: str = "tgi"
    max_concurrent_requests: int | None = None
    version: str | None = None


class EndpointClient:
    """A client for one endpoint. Use it as an asynchronous context manager, and ask for `info` first.

    The user's Hugging Face token (`HF_TOKEN`, or that of `hf auth login`) is sent over https to Hugging Face's own
    hosts, those of Inference Endpoints and Spaces among them, and to no other endpoint. An `api_key` is for this
    endpoint, and is sent; so are a name and password in the URL.

    Attributes:
        name: what messages call it: the URL without a name and password.

    Args:
        url: base URL (`http://127.0.0.1:8080`), with or without `/v1`.
        wire: `generate` for TGI's `/generate`, `chat` for `/v1/chat/completions`; `auto` takes `generate` where
            `/info` answers as TGI's does, else `chat`.
        timeout: seconds for one request.
        model: the model to ask for on the chat wire; needed where an endpoint does not name just one.
        api_key: sent as a bearer token.
        on_times: called with the seconds that a request waited in TGI's queue and was worked on, as TGI's headers tell.
        transport: an httpx transport in place of the network (for tests).
    """

    def __init__(
        self,
        url: str,
        wire: Wire | Literal["auto"] = "generate",
        timeout: float = 120.0,
        *,
        model: str | None = None,
        api_key: str | None = None,
        on_times: Callable[[float, float], None] | None = None,
        transport: Any = None,
    ):
        self.url, self.wire, self.timeout, self.model = url.rstrip("/").removesuffix("/v1"), wire, timeout, model
        self.name = without_password(self.url)
        self.on_times, self._transport = on_times, transport
        address = urlsplit(self.url)
        ours = address.scheme == "https" and TOKEN_HOSTS.fullmatch(address.hostname or "")
        self._token = api_key or (get_token() if ours else None) or NO_TOKEN

    async def __aenter__(self) -> Self:
        client = AsyncInferenceClient(self.url, provider="hf-inference", token=self._token, timeout=self.timeout)
        self._client = await client.__aenter__()
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def info(self) -> EndpointInfo:
        """Ask the endpoint what it serves: by `/info`, and by `/v1/models` where there is none.

        Raises:
            EndpointError: the endpoint cannot be reached, or does not answer as such an endpoint does.
            InputError: it serves several models, or does not say which, and no `model` was given.
        """
        try:
            answer = await self._inference.get_endpoint_info()
            problem = None if isinstance(answer, dict) and "model_id" in answer else "is not that of such an endpoint"
        except Exception as error:
            failure = _request_error(error)
            if failure.kind in ("unavailable", "timeout") or failure.status in REFUSALS_OF_US:
                raise EndpointError(f"--endpoint {self.name}: {failure} (asked for /info)") from error
            answer, problem = {}, f"answers {failure}"
        if problem is None:
            info = EndpointInfo(
                wire="chat" if self.wire == "chat" else "generate",
                model_id=answer["model_id"],
                model_sha=answer.get("model_sha"),
                model=self.model or "tgi",
                max_concurrent_requests=answer.get("max_concurrent_requests"),
                version=answer.get("version"),
            )
        elif self.wire == "generate":
            raise EndpointError(f"--endpoint {self.name}: its /info {problem}; is it TGI's /generate? (--wire chat)")
        else:
            model = self.model or await self._only_model()
            info = EndpointInfo("chat", model, None, model)
        self.wire, self.model = info.wire, info.model
        return info

    async def is_healthy(self) -> bool:
        """Whether the endpoint is up: `/health` answers with anything but an error of the server."""
        try:
            await self._inference.health_check()
        except Exception as error:
            return (_request_error(error).status or 503) < 429  # 404: one without /health that is up
        return True

    async def complete(self, request: Request, stop: tuple[str, ...] = ()) -> Completion:
        """Send `request` once.

        Raises:
            RequestError: the request failed; its `kind` says what that means for the next try.
        """
        try:
            # httpx's timeout is for each read; a server that sends a byte now and then would never meet it.
            async with asyncio.timeout(self.timeout):
                answer = await (self._generate(request) if self.wire == "generate" else self._chat(request))
            text = answer.text or ""
            text.encode()  # half of a surrogate pair is no text
        except Exception as error:
            failure = _request_error(error)
            raise failure from (None if failure is error else error)
        for end in stop:  # TGI's generated_text includes the string that stopped it
            text = text.partition(end)[0]
        return replace(answer, text=text.strip())

    @property
    def _inference(self) -> AsyncInferenceClient:
        # The library makes its HTTP client at the first call, by the factory that was set last: here, by this one's.
        set_async_client_factory(self._make_http_client)
        return self._client

    def _make_http_client(self) -> Any:
        # The library's own factory refuses every call under HF_HUB_OFFLINE=1, loopback too; an endpoint is not the Hub.
        trust_env = not LOOPBACK.fullmatch(urlsplit(self.url).hostname or "")
        self._http = httpx.AsyncClient(
            timeout=self.timeout,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            transport=self._transport or transport_for_many(trust_env),
            event_hooks={"request": [self._keep_token], "response": [self._tell_times, _raise_for_status]},
            # A proxy of the environment is for the world outside.
            trust_env=trust_env,
        )
        return self._http

    async def _keep_token(self, request: Any) -> None:
        if request.headers.get("Authorization") == f"Bearer {NO_TOKEN}":
            del request.headers["Authorization"]

    async def _tell_times(self, response: Any) -> None:
        headers = response.headers
        if self.on_times is not None and "x-queue-time" in headers and "x-inference-time" in headers:
            with suppress(ValueError):  # a proxy's own idea of these headers
                self.on_times(float(headers["x-queue-time"]) / 1000, float(headers["x-inference-time"]) / 1000)

    async def _only_model(self) -> str:
        try:
            headers = {} if self._token == NO_TOKEN else {"Authorization": f"Bearer {self._token}"}
            response = await self._http.get(f"{self.url}/v1/models", headers=headers)
            models = [entry["id"] for entry in response.json()["data"]]
        except Exception as error:
            failure = _request_error(error)
            if failure.kind in ("unavailable", "timeout"):
                raise EndpointError(f"--endpoint {self.name}: {failure} (asked for /v1/models)") from error
            models = []
        if len(models) != 1:
            told = f"serves {len(models):,} models ({', '.join(models[:3])}, …)" if models else "names no model"
            raise InputError(f"--endpoint {self.name}: {told} at /v1/models; give the one to ask for as --model")
        return models[0]

    async def _generate(self, request: Request) -> Completion:
        # `POST /` answers a list and may echo the prompt, so the path is always named.
        answer = await self._inference.text_generation(
            request.prompt, model=f"{self.url}/generate", details=True, return_full_text=False, **request.parameters
        )
        if not isinstance(answer.generated_text, str):
            raise TypeError("no generated_text")
        details = answer.details
        if details is None:
            return Completion(answer.generated_text)
        return Completion(answer.generated_text, details.finish_reason, details.generated_tokens, details.seed)

    async def _chat(self, request: Request) -> Completion:
        answer = await self._inference.chat_completion(request.prompt, model=self.model, **request.parameters)
        choice = answer.choices[0]
        tokens = answer.usage.completion_tokens if answer.usage else None
        return Completion(choice.message.content, choice.finish_reason, tokens, request.parameters.get("seed"))


def without_password(url: str) -> str:
    """`url` as it may be shown: without a name and password."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def _request_error(error: Exception) -> RequestError:
    """Map what the client raises (which differs by call and major version) to the project's own error."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, (InferenceTimeoutError, httpx.TimeoutException, TimeoutError)):
        return RequestError("timed out", "timeout")
    if isinstance(error, httpx.TransportError):
        return RequestError(f"no connection ({one_line(error, 100)})", "unavailable")
    if isinstance(error, (ValueError, KeyError, TypeError, AttributeError, IndexError, httpx.DecodingError)):
        return RequestError("the answer is not what this wire gives", "transient")  # cut or malformed JSON
    return RequestError(f"{type(error).__name__} {one_line(error, 160)}", "denied")


async def _raise_for_status(response: Any) -> None:
    """Raise the `RequestError` of a response that is no answer.

    A hook of the HTTP client: the library's own errors lose the response in some calls, let redirects pass, and fail
    on bodies that they do not know.
    """
    status = response.status_code
    if status >= 300:
        await response.aread()
        other = "refused" if status in REFUSALS_OF_TEXTS else "transient" if status >= 500 else "denied"
        reason = f"{status} {one_line(_payload_error(response), 160)}"
        raise RequestError(reason, FAILURES.get(status, other), status)


def _payload_error(response: Any) -> str:
    """The reason in an error's body: TGI's text, vLLM's object, or the `detail` of FastAPI, a text or a list."""
    try:
        body = response.json()
        reason = body.get("error") or body.get("detail") or body["message"]
        if isinstance(reason, list):
            return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in reason)
        return str(reason.get("message") or reason) if isinstance(reason, dict) else str(reason)
    except (ValueError, KeyError, TypeError, AttributeError):
        return response.reason_phrase or "no reason given"
