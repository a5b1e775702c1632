"""A text-generation endpoint, through `huggingface_hub.AsyncInferenceClient`, its failures as the project's own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import AsyncInferenceClient, get_token, set_async_client_factory
from huggingface_hub.errors import InferenceTimeoutError
from huggingface_hub.utils import httpx

from hf_xling.errors import EndpointError, InputError, one_line
from hf_xling.generation.connections import transport_for_many
from hf_xling.generation.protocol import (
    RequestError,
    failure_of,
    failure_within,
    model_names,
    queue_times,
    read_chatted,
    read_generated,
    text_or_none,
)
from hf_xling.generation.records import MOST_TOKENS, Completion, Request, whole_number

Wire = Literal["generate", "chat"]

# Hugging Face's own hosts: the only ones that a user's saved token is for.
TOKEN_HOSTS = re.compile(r"(.+\.)?huggingface\.co|.+\.huggingface\.cloud|.+\.hf\.space")
LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
# Stands for "no token": given none, the library reads the saved one from disk at every request, and sends it.
NO_TOKEN = "none"

# The statuses that say of any question that it is not for us, or not for this address.
REFUSALS_OF_US = frozenset({301, 302, 303, 307, 308, 401, 403, 407})
# What users copy behind the base URL of an endpoint.
PATHS = re.compile(
    r"(/+v1)?(/+(chat/+completions|chat|completions|responses|messages|embeddings|models|generate(_stream)?|info|health))?/*$",
    re.IGNORECASE,
)
# What the library, or the reading of an answer, raises where an answer is not what it should be.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, httpx.DecodingError)
# The JSON of the last response in a task, as the response hook leaves it for the request that waits in that task.
_body: ContextVar[Any] = ContextVar("body", default=None)


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
        url: base URL (`http://127.0.0.1:8080`), with or without a path of the API (`/v1`, `/v1/chat/completions`).
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
        self.url, self.wire, self.timeout, self.model = base_url(url), wire, timeout, model
        self.name = without_password(self.url)
        self.on_times, self._transport = on_times, transport
        address = urlsplit(self.url)
        ours = address.scheme == "https" and TOKEN_HOSTS.fullmatch(address.hostname or "")
        self._token = api_key or (get_token() if ours else None) or NO_TOKEN
        # A proxy of the environment is for the world outside.
        self._trusts_environment = not LOOPBACK.fullmatch(address.hostname or "")
        proxy = proxy_for(self.url) if self._trusts_environment else None
        self._by_proxy = f"; requests go through {proxy}" if proxy else ""

    async def __aenter__(self) -> Self:
        try:
            self._http = self._make_http_client()
        except Exception as error:  # a proxy of a kind that the library does not speak, or that is no URL
            raise EndpointError(f"--endpoint {self.name}: {self._failure(error)}") from error
        client = AsyncInferenceClient(self.url, provider="hf-inference", token=self._token, timeout=self.timeout)
        self._client = await client.__aenter__()
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)
        await self._http.aclose()  # which the library never had, if it was asked for nothing

    async def info(self) -> EndpointInfo:
        """Ask the endpoint what it serves: by `/info`, and by `/v1/models` where there is none.

        Raises:
            EndpointError: the endpoint cannot be reached, or does not answer as such an endpoint does.
            InputError: it serves several models, or does not say which, and no `model` was given.
        """
        answer, problem = {}, "is not that of such an endpoint"
        try:
            with suppress(*MALFORMED):
                answer = await self._inference.get_endpoint_info()
        except Exception as error:
            failure = self._failure(error)
            if failure.kind in ("unavailable", "timeout") or failure.status in REFUSALS_OF_US:
                raise EndpointError(f"--endpoint {self.name}: {failure} (asked for /info)") from error
            problem = f"answers {failure}"
        if isinstance(answer, dict) and text_or_none(answer.get("model_id")):
            info = EndpointInfo(
                wire="chat" if self.wire == "chat" else "generate",
                model_id=answer["model_id"],
                model_sha=text_or_none(answer.get("model_sha")),
                model=self.model or "tgi",
                max_concurrent_requests=whole_number(answer.get("max_concurrent_requests"), MOST_TOKENS) or None,
                version=text_or_none(answer.get("version")),
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
            return (self._failure(error).status or 503) < 429  # 404: one without /health that is up
        return True

    async def complete(self, request: Request, stop: tuple[str, ...] = ()) -> Completion:
        """Send `request` once.

        Raises:
            RequestError: the request failed; its `kind` says what that means for the next try.
        """
        _body.set(None)
        try:
            # httpx's timeout is for each read; a server that sends a byte now and then would never meet it.
            async with asyncio.timeout(self.timeout):
                # What the library makes of the answer is not used: it fails on fields that nobody asked for.
                with suppress(*MALFORMED):
                    await self._ask(request)
            body = _body.get()
            is_chat = self.wire == "chat"
            answer = read_chatted(body, request.parameters.get("seed")) if is_chat else read_generated(body)
        except Exception as error:
            failure = self._failure(error)
            raise failure from (None if failure is error else error)
        text = answer.text or ""
        for end in stop:  # TGI's generated_text includes the string that stopped it
            text = text.partition(end)[0]
        return replace(answer, text=text.strip())

    @property
    def _inference(self) -> AsyncInferenceClient:
        # The library makes its HTTP client at the first call, by the factory that was set last: here, by this one's.
        set_async_client_factory(lambda: self._make_http_client() if self._http.is_closed else self._http)
        return self._client

    def _make_http_client(self) -> Any:
        # The library's own factory refuses every call under HF_HUB_OFFLINE=1, loopback too; an endpoint is not the Hub.
        trust_env = self._trusts_environment
        return httpx.AsyncClient(
            timeout=self.timeout,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            transport=self._transport or transport_for_many(trust_env),
            event_hooks={"request": [self._keep_token], "response": [self._read]},
            trust_env=trust_env,
        )

    async def _keep_token(self, request: Any) -> None:
        if request.headers.get("Authorization") == f"Bearer {NO_TOKEN}":
            del request.headers["Authorization"]

    async def _read(self, response: Any) -> None:
        """Keep the JSON of `response` for who waits for it; raise the `RequestError` of one that is a failure.

        A hook of the HTTP client: the library's own errors lose the response in some calls, let redirects pass, and
        fail on bodies that they do not know.
        """
        await response.aread()
        body = None
        for read in (response.json, lambda: json.loads(response.text)):  # the latter by the charset that it names
            with suppress(ValueError, RecursionError):
                body = read()
                break
        if response.status_code >= 300:
            if body is None and not response.text.lstrip().startswith("<"):
                body = response.text[:1000]
            raise failure_of(response.status_code, response.reason_phrase, response.headers, body)
        is_answer = not response.url.path.endswith("/health")
        if is_answer and (failure := failure_within(response.headers, body)) is not None:
            raise failure
        _body.set(body)
        if self.on_times is not None and (times := queue_times(response.headers)) is not None:
            self.on_times(*times)

    async def _only_model(self) -> str:
        headers = {} if self._token == NO_TOKEN else {"Authorization": f"Bearer {self._token}"}
        _body.set(None)
        try:
            await self._http.get(f"{self.url}/v1/models", headers=headers)
        except Exception as error:
            failure = self._failure(error)
            if failure.status != 404:  # a server that answers chats alone
                raise EndpointError(f"--endpoint {self.name}: {failure} (asked for /v1/models)") from error
            told = f"names no model ({failure})"
        else:
            models = model_names(_body.get())
            if models is not None and len(models) == 1:
                return models[0]
            told = f"serves {len(models):,} models ({', '.join(models[:3])}, …)" if models else "names no model"
            told = f"does not answer with a list of models{self._by_proxy}" if models is None else told
        raise InputError(f"--endpoint {self.name}: {told} at /v1/models; give the one to ask for as --model")

    async def _ask(self, request: Request) -> None:
        if isinstance(request.prompt, str):
            # `POST /` answers a list and may echo the prompt, so the path is always named.
            path, options = f"{self.url}/generate", {"details": True, "return_full_text": False, **request.parameters}
            await self._inference.text_generation(request.prompt, model=path, **options)
        else:
            messages: list[Any] = request.prompt
            await self._inference.chat_completion(messages, model=self.model, **request.parameters)

    def _failure(self, error: Exception) -> RequestError:
        """`error` as the project's own, without the key for the endpoint, and with the proxy that may be the cause."""
        failure = _request_error(error)
        reason = str(failure) if self._token == NO_TOKEN else str(failure).replace(self._token, "***")
        if failure.kind in ("unavailable", "timeout", "transient", "denied"):
            reason += self._by_proxy
        if reason == str(failure):
            return failure
        return RequestError(reason, failure.kind, failure.status, failure.wait)


def base_url(url: str) -> str:
    """`url` without white space around it and without a path of the API behind it."""
    url = url.strip()
    return PATHS.sub("", url)


def is_base_url(url: str) -> bool:
    """Whether `url` can be an endpoint's."""
    try:
        address = urlsplit(url.strip())
        reachable = bool(address.hostname) and address.port != 0  # a port that is no number raises
    except ValueError:
        return False
    spaces = any(character.isspace() for character in url.strip())
    return address.scheme in ("http", "https") and reachable and not (address.query or address.fragment or spaces)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for `url`, as messages call it; None where there is none."""
    address = urlsplit(url)
    for name in (address.scheme, "all"):
        proxy = getproxies().get(name)
        if proxy and not proxy_bypass(address.hostname or ""):
            return f"the proxy {without_password(proxy)} of the environment variable {name.upper()}_PROXY"
    return None


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
    if isinstance(error, MALFORMED):
        return RequestError("the answer is not what this wire gives", "transient")  # cut or malformed JSON
    return RequestError(f"{type(error).__name__} {one_line(error, 160)}", "denied")
