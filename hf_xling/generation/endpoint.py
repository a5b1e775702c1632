"""A text-generation endpoint, through `huggingface_hub.AsyncInferenceClient`, its failures as the project's own."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Literal, Self

import huggingface_hub
from huggingface_hub import AsyncInferenceClient, set_async_client_factory
from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError, TextGenerationError

from hf_xling.errors import EndpointError, one_line
from hf_xling.generation.records import Completion, Request

Wire = Literal["generate", "chat"]

# The statuses after which the same request may well succeed: overloaded, restarting, a failed forward pass.
RETRY_STATUSES = frozenset({408, 424, 429, 500, 502, 503, 504})
# Hugging Face's own hosts: the only ones that a user's token is for.
TOKEN_HOSTS = re.compile(r"(.+\.)?huggingface\.co|.+\.huggingface\.cloud|.+\.hf\.space")


class RequestError(Exception):
    """A request that failed. `retry` tells whether the same request may succeed later."""

    def __init__(self, reason: str, retry: bool):
        super().__init__(reason)
        self.retry = retry


@dataclass(frozen=True)
class EndpointInfo:
    """What `/info` says: the model behind the endpoint and how many requests it takes at a time."""

    model_id: str | None
    model_sha: str | None
    max_concurrent_requests: int | None


class EndpointClient:
    """A client for one endpoint. Use it as an asynchronous context manager.

    The user's Hugging Face token (`HF_TOKEN`, or that of `hf auth login`) is sent over https to Hugging Face's own
    hosts, those of Inference Endpoints and Spaces among them, and to no other endpoint. A name and password in the URL
    are the user's word for that endpoint, and are sent.

    Args:
        url: base URL (`http://127.0.0.1:8080`), without `/generate` or `/v1`.
        wire: `generate` for TGI's `/generate`, `chat` for `/v1/chat/completions`.
        timeout: seconds for one request.
        transport: an httpx transport in place of the network (for tests).
    """

    def __init__(self, url: str, wire: Wire = "generate", timeout: float = 120.0, transport: Any = None):
        self.url, self.wire, self.timeout = url.rstrip("/"), wire, timeout
        self._transport = transport

    async def __aenter__(self) -> Self:
        self._client = await AsyncInferenceClient(self.url, provider="hf-inference", timeout=self.timeout).__aenter__()
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def info(self) -> EndpointInfo:
        """Ask the endpoint's `/info` what it serves.

        Raises:
            EndpointError: the endpoint cannot be reached, or does not answer as such an endpoint does.
        """
        try:
            answer = await self._inference.get_endpoint_info()
        except Exception as error:
            reason = _request_error(error)
            raise EndpointError(f"--endpoint {self.url}: {reason} (asked for /info)") from error
        if not isinstance(answer, dict) or "model_id" not in answer:
            raise EndpointError(f"--endpoint {self.url}: its /info is not that of a text-generation endpoint")
        return EndpointInfo(answer["model_id"], answer.get("model_sha"), answer.get("max_concurrent_requests"))

    async def complete(self, request: Request, stop: tuple[str, ...] = ()) -> Completion:
        """Send `request` once.

        Raises:
            RequestError: the request failed; whether to try again is its `retry`.
        """
        try:
            answer = await (self._generate(request) if self.wire == "generate" else self._chat(request))
            text = answer.text or ""
            text.encode()  # half of a surrogate pair is no text
        except Exception as error:
            raise _request_error(error) from error
        for end in stop:  # TGI's generated_text includes the string that stopped it
            text = text.partition(end)[0]
        return Completion(text.strip(), answer.finish_reason, answer.generated_tokens, answer.seed)

    @property
    def _inference(self) -> AsyncInferenceClient:
        # The library makes its HTTP client at the first call, by the factory that was set last: here, by this one's.
        set_async_client_factory(self._make_http_client)
        return self._client

    def _make_http_client(self) -> Any:
        # The library's own factory refuses every call under HF_HUB_OFFLINE=1, loopback too; an endpoint is not the Hub.
        httpx = _httpx()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        hooks = {"request": [_keep_token]}
        return httpx.AsyncClient(timeout=self.timeout, limits=limits, transport=self._transport, event_hooks=hooks)

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
        # TGI takes any model name but "tgi" for that of an adapter.
        answer = await self._inference.chat_completion(request.prompt, model="tgi", **request.parameters)
        choice = answer.choices[0]
        tokens = answer.usage.completion_tokens if answer.usage else None
        return Completion(choice.message.content, choice.finish_reason, tokens, request.parameters.get("seed"))


async def _keep_token(request: Any) -> None:
    """Take the user's token off `request` unless it is for its host: the library puts it on every request."""
    token = request.headers.get("Authorization", "").startswith("Bearer ")
    if token and not (request.url.scheme == "https" and TOKEN_HOSTS.fullmatch(request.url.host)):
        del request.headers["Authorization"]


def _request_error(error: Exception) -> RequestError:
    """Map what the client raises (which differs by call, status and major version) to the project's own error."""
    httpx = _httpx()
    if isinstance(error, (InferenceTimeoutError, httpx.TimeoutException)):
        return RequestError("timed out", retry=True)
    if isinstance(error, TextGenerationError) and isinstance(error.__cause__, HfHubHTTPError):
        status = error.__cause__.response.status_code  # the error itself has lost its response
        return RequestError(f"{status} {one_line(error, 160)}", retry=status in RETRY_STATUSES)
    if isinstance(error, (HfHubHTTPError, httpx.HTTPStatusError)):
        status = error.response.status_code
        return RequestError(f"{status} {one_line(_payload_error(error.response), 160)}", retry=status in RETRY_STATUSES)
    if isinstance(error, httpx.TransportError):
        return RequestError(f"no connection ({one_line(error, 100)})", retry=True)
    if isinstance(error, (ValueError, KeyError, TypeError, AttributeError, IndexError)):
        return RequestError("the answer is not what this wire gives", retry=True)  # cut or malformed JSON
    return RequestError(f"{type(error).__name__} {one_line(error, 160)}", retry=False)


def _payload_error(response: Any) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase or "no reason given"


def _httpx() -> ModuleType:
    """The HTTP library of the installed huggingface_hub: httpx in its major version 1, httpx2 in 2."""
    return importlib.import_module("httpx" if huggingface_hub.__version__.startswith("1.") else "httpx2")
