"""A model server for benchmarks: a process of its own with so many slots, each held for as long as an answer takes.

Speaks enough of TGI's wire (`/info`, `/health`, `/generate`) and of OpenAI's (`/v1/models`, `/v1/chat/completions`,
`/v1/completions`) for the clients that are compared. Plain asyncio, because a web framework would take the CPU that a
client on the same machine needs. What a request asks about is told by the number in its text (`workload`), so that all
clients get the same answer times in whatever form they ask. `/stats` says what the slots have done.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import workload

MODEL = "benchmark/model"
_END = b"\r\n\r\n"


class Slots:
    """So many places. A request takes one as soon as one is free, and holds it for its answer time.

    Args:
        slots: how many.
        times: the answer time of each row in seconds; none: all answers are there at once.
        refuse: answer 429 where TGI does, instead of letting requests wait.
    """

    def __init__(self, slots: int, times: list[float], refuse: bool):
        self.slots, self.times, self.refuse = slots, times, refuse
        self._waiting: deque[tuple[Callable[[float], None], float, float]] = deque()
        self._taken = self.answered = self.refused = self.most_taken = self.most_waiting = 0
        self._busy = 0.0
        self._first: float | None = None
        self._last = 0.0

    def ask(self, number: int, reply: Callable[[float | None], None]) -> None:
        """Call `reply` with the seconds that the request waited for its slot when its time is over; None refuses it."""
        now = asyncio.get_running_loop().time()
        if self._first is None:
            self._first = now
        seconds = self.times[number] if self.times else 0.0
        if self._taken < self.slots:
            self._taken += 1
            self.most_taken = max(self.most_taken, self._taken)
            self._hold(reply, seconds, 0.0)
        elif self.refuse:
            self.refused += 1
            reply(None)
        else:
            self._waiting.append((reply, seconds, now))
            self.most_waiting = max(self.most_waiting, len(self._waiting))

    def stats(self) -> dict[str, Any]:
        """What was done between the first request and the last answer. `busy` is in slot-seconds.

        Only the answer times themselves count as busy: where this process is late to end one, that is idle time.
        """
        makespan = self._last - self._first if self._first is not None else 0.0
        return {
            "answered": self.answered,
            "refused": self.refused,
            "busy": self._busy,
            "makespan": makespan,
            "utilisation": self._busy / (self.slots * makespan) if makespan else 0.0,
            "most_taken": self.most_taken,
            "most_waiting": self.most_waiting,
        }

    def _hold(self, reply: Callable[[float], None], seconds: float, waited: float) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._release, reply, seconds, waited)
        else:
            self._release(reply, seconds, waited)

    def _release(self, reply: Callable[[float], None], seconds: float, waited: float) -> None:
        self._taken -= 1
        self._busy += seconds
        self.answered += 1
        self._last = now = asyncio.get_running_loop().time()
        if self._waiting:
            self._taken += 1
            following, its_seconds, since = self._waiting.popleft()
            self._hold(following, its_seconds, now - since)
        reply(waited)


class Connection(asyncio.Protocol):
    """One connection; requests come one after another, each with a Content-Length."""

    def __init__(self, slots: Slots):
        self.slots = slots
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_END)) >= 0:
            head = self._buffer[:end]
            lowered = head.lower()
            place = lowered.find(b"content-length:")
            length = int(lowered[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            start = end + len(_END)
            if len(self._buffer) < start + length:
                return
            body, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
            self._answer(head.split(b" ", 2)[1].decode(), body, close=b"connection: close" in lowered)

    def _answer(self, path: str, body: bytes, close: bool) -> None:
        if path in _ANSWERS:
            number = workload.number_in(body)

            def reply(waited: float | None) -> None:
                if waited is None:
                    self._send(429, {"error": "Model is overloaded", "error_type": "overloaded"}, close)
                    return
                seconds = self.slots.times[number] if self.slots.times else 0.0
                times = f"x-queue-time: {1000 * waited:.0f}\r\nx-inference-time: {1000 * seconds:.0f}\r\n"
                self._send(200, _ANSWERS[path](workload.answer(number)), close, times)

            self.slots.ask(number, reply)
        elif path == "/info":
            most = {"max_concurrent_requests": self.slots.slots}
            self._send(200, {"model_id": MODEL, "model_sha": "0", "version": "benchmark", **most}, close)
        elif path == "/v1/models":
            self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]}, close)
        elif path == "/stats":
            self._send(200, self.slots.stats(), close)
        else:
            self._send(200 if path == "/health" else 404, {}, close)

    def _send(self, status: int, content: Any, close: bool, headers: str = "") -> None:
        if self._transport.is_closing():
            return
        body = json.dumps(content, ensure_ascii=False).encode()
        closing = "connection: close\r\n" if close else ""
        head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n{headers}{closing}"
        self._transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        if close:
            self._transport.close()


def _generated(text: str) -> dict[str, Any]:
    details = {"finish_reason": "eos_token", "generated_tokens": _tokens(text), "seed": 0, "prefill": [], "tokens": []}
    return {"generated_text": text, "details": details}


def _chat(text: str) -> dict[str, Any]:
    return _openai({"message": {"role": "assistant", "content": text}}, text)


def _openai(content: dict[str, Any], text: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 60, "completion_tokens": _tokens(text), "total_tokens": 60 + _tokens(text)}
    choice = {"index": 0, "finish_reason": "stop", **content}
    return {"id": "0", "object": "completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage}


def _tokens(text: str) -> int:
    return len(text) // 2


_ANSWERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "/generate": _generated,
    "/v1/chat/completions": _chat,
    "/v1/completions": lambda text: _openai({"text": text}, text),
}


async def serve(slots: Slots, port: int) -> None:
    """Serve until the process is ended; the port is printed once it is open."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(slots), "127.0.0.1", port, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Parse and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--slots", type=int, default=128)
    parser.add_argument("--rows", type=int, default=0, help="how many rows have an answer time")
    parser.add_argument("--mean", type=float, default=0.0, help="answer time in seconds; 0: all answers at once")
    parser.add_argument(
        "--longest", type=float, default=20.0, help="answer time of a runaway, in multiples of the mean"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refuse", action="store_true", help="429 where there is no free slot, as TGI has it")
    options = parser.parse_args()
    times = []
    if options.mean:
        times = workload.answer_times(options.rows, options.mean, options.longest, options.seed)
    asyncio.run(serve(Slots(options.slots, times, options.refuse), options.port))


if __name__ == "__main__":
    main()
