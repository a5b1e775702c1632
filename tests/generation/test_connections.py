import asyncio
from contextlib import asynccontextmanager

import pytest
from huggingface_hub.utils import httpx

from hf_xling.generation.connections import Connections, transport_for_many

LIMITS = httpx.Limits(max_connections=1)


class Server:
    """Answers GET with the number of the connection, as soon as `gate` is set.

    Attributes:
        closed: connections that the client has closed.
    """

    def __init__(self):
        self.connections = self.closed = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        body = b"%d" % self.connections
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await self.gate.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed += 1
        finally:
            writer.close()


@asynccontextmanager
async def connected(server: Server, transport):
    """`ask()` → the number of the connection that `server` answered over."""
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:

            async def ask() -> int:
                return int((await client.get(url)).text)

            yield ask


async def settled(condition) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def run(test) -> None:
    asyncio.run(asyncio.wait_for(test(), 300))


def test_there_are_as_many_connections_as_requests_at_a_time_and_they_are_used_again():
    async def test():
        server = Server()
        async with connected(server, transport_for_many(trust_env=False)) as ask:
            server.gate.clear()
            several = [asyncio.ensure_future(ask()) for _ in range(150)]  # the library's own limit is 100
            await settled(lambda: server.connections == 150)
            server.gate.set()
            assert sorted(await asyncio.gather(*several)) == list(range(1, 151))
            last = await ask()
            assert [await ask() for _ in range(5)] == 5 * [last]  # the one that was free last comes first
            assert server.connections == 150
        await settled(lambda: server.closed == 150)

    run(test)


def test_a_request_that_is_cancelled_leaves_its_place_and_takes_no_answer_of_another():
    async def test():
        server = Server()
        made = []
        transport = Connections(lambda: made.append(None) or httpx.AsyncHTTPTransport(limits=LIMITS))
        async with connected(server, transport) as ask:
            for _ in range(3):
                server.gate.clear()
                task, before = asyncio.ensure_future(ask()), server.connections
                await settled(lambda before=before: server.connections > before)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                server.gate.set()
            assert await ask() == 4 and len(made) == 1

    run(test)


def test_a_server_that_closes_connections_is_connected_to_again():
    closed = asyncio.Semaphore(0)

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7")  # says nothing of closing
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.release()

    async def test():
        async with connected(once, transport_for_many(trust_env=False)) as ask:
            for _ in range(5):
                assert await ask() == 7
                await closed.acquire()  # the end of the connection has been sent, and arrives at once on this machine

    run(test)


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_left_to_the_library(monkeypatch, name):
    for known in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(known, raising=False)
        monkeypatch.delenv(known.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "localhost")
    assert transport_for_many(trust_env=True) is not None
    monkeypatch.setenv(name, "http://proxy.test:3128")
    assert transport_for_many(trust_env=True) is None
    assert transport_for_many(trust_env=False) is not None
