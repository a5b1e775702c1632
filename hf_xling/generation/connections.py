"""Connections for hundreds of requests at a time: each in a pool of its own, the one that was free last taken first.

The HTTP library's one pool walks through all of its connections twice in each request, and asks the system about every
idle one. At 128 requests in flight that is a fifth of a request's CPU time, and most of it where answers come at once;
at 1,024 it takes 3 ms a request, so that one core cannot keep the endpoint busy (`benchmarks/README.md`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.request import getproxies

from huggingface_hub.utils import httpx  # in its major version 2, httpx2


def transport_for_many(trust_env: bool) -> Connections | None:
    """A transport without a limit on connections; None, for the library's own, where the environment names a proxy.

    Args:
        trust_env: whether proxies and certificates that the environment names are to be used.
    """
    if trust_env and not getproxies().keys().isdisjoint(("http", "https", "all")):
        return None
    context = httpx.create_ssl_context(trust_env=trust_env)  # reading the certificates takes time: once for all
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    return Connections(lambda: httpx.AsyncHTTPTransport(verify=context, limits=limits))


class Connections(httpx.AsyncBaseTransport):
    """A transport that gives each request a transport of its own, kept for a later one when its answer has been read.

    Args:
        make: makes a transport for one request at a time.
    """

    def __init__(self, make: Callable[[], Any]):
        self._make = make
        self._all: list[Any] = []
        self._free: list[Any] = []

    async def handle_async_request(self, request: Any) -> Any:
        """Send `request`, over the connection that was used last of those that are free."""
        if not self._free:
            self._all.append(self._make())
            self._free.append(self._all[-1])
        transport = self._free.pop()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:  # cancelled, too; its connection is closed by now, and a later request opens another
            self._free.append(transport)
            raise
        response.stream = _Body(response.stream, lambda: self._free.append(transport))
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._all:
            await transport.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer; `done` is called once, when it is closed."""

    def __init__(self, stream: Any, done: Callable[[], None]):
        self._stream, self._done = stream, done

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            done, self._done = self._done, lambda: None
            done()
