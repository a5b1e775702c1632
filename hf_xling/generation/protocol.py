"""What an endpoint sends, read once and made into the project's own types, whatever its fields hold.

Nothing behind this module meets a value that came off the network as it came.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from hf_xling.errors import one_line
from hf_xling.generation.records import Completion

# What a failure says of the next try, by status. Of the others those from 500 on are `transient`.
FAILURES = {
    408: "timeout",
    409: "transient",
    424: "generation",
    425: "transient",
    429: "overloaded",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
    529: "overloaded",
}
# The statuses that a text can bring about by itself; any other refusal is meant for all of them.
REFUSALS_OF_TEXTS = frozenset({400, 413, 422})
# What providers write into an error instead of a status, or beside one that says too little.
OVERLOADED_WORDS = re.compile(r"rate.?limit|too.?many.?requests|overloaded|resource.?exhausted", re.IGNORECASE)
DENIED_WORDS = re.compile(r"insufficient.?(quota|credit|balance|fund)|billing|payment|invalid.?api.?key", re.IGNORECASE)
# Fields of error bodies that hold how long to wait, in seconds or with a unit.
WAITING_FIELDS = ("retry_after", "retryAfter", "retryDelay", "retry_after_seconds", "estimated_time")
_RESET = re.compile(r"(x-|anthropic-)?ratelimit-(reset(-.*)?|.*-reset)")
_TRY_AGAIN = re.compile(r"(?:try again|retry|wait)(?: in| after| for)? ([\d.]+(?: ?[a-z]+(?:\d[\d.]*[a-z]+)*)?)", re.I)
_AMOUNT = r"(\d+(?:\.\d+)?) ?(ms|milli|h|m|s)[a-z]*"
_DURATION = re.compile(rf"(?:{_AMOUNT} ?)+", re.IGNORECASE)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "milli": 0.001}
_EPOCH = 1e9  # a number of seconds that large is a time, and one a thousand times as large is in milliseconds


class RequestError(Exception):
    """A request that failed.

    Attributes:
        kind: `overloaded` (too many requests), `unavailable` (no connection, or a gateway without a server behind it),
            `timeout`, `transient` (a failure inside the server, a malformed answer), `generation` (the model failed on
            this text), `refused` (this text will never do) or `denied` (no text will: a wrong token, path or model).
        status: the HTTP status, where there was an answer.
        wait: seconds until the server wants to be asked again, where it says so.
    """

    def __init__(self, reason: str, kind: str, status: int | None = None, wait: float | None = None):
        super().__init__(reason)
        self.kind, self.status, self.wait = kind, status, wait


def read_generated(body: Any) -> Completion:
    """The answer of TGI's `/generate`.

    Raises:
        ValueError: it is none.
    """
    (answer,) = body if isinstance(body, list) else (body,)  # `POST /` answers a list, and so do some gateways
    answer = _mapping(answer)
    details = _mapping(answer.get("details"), needed=False)
    fields = (details.get(name) for name in ("finish_reason", "generated_tokens", "seed"))
    return Completion.of(_text(answer.get("generated_text")), *fields)


def read_chatted(body: Any, seed: int | None) -> Completion:
    """The answer of `/v1/chat/completions` to a request with `seed`. A `null` content is an empty text.

    Reasoning that the server took off and that nothing follows is given back as a block that is not closed.

    Raises:
        ValueError: it is none.
    """
    answer = _mapping(body)
    choices = answer.get("choices")
    choice = _mapping(choices[0] if isinstance(choices, list) and choices else None)
    message = _mapping(choice.get("message"))
    content = message.get("content")
    if isinstance(content, list):  # in parts, of which those of other types than `text` are no part of the answer
        parts = [_mapping(part) for part in content]
        content = "".join(_text(part.get("text")) for part in parts if part.get("type") == "text")
    if not content:
        reasoning = (message.get(name) for name in ("reasoning_content", "reasoning"))
        content = next((f"<think>{_text(said)}" for said in reasoning if text_or_none(said)), content)
    tokens = _mapping(answer.get("usage"), needed=False).get("completion_tokens")
    return Completion.of(_text("" if content is None else content), choice.get("finish_reason"), tokens, seed)


def failure_of(status: int, phrase: str, headers: Mapping[str, str], body: Any) -> RequestError:
    """The failure that a response with an error status is.

    Args:
        phrase: the reason to give where the body holds none.
        body: as JSON; None where it is none.
    """
    reason, code = _payload_error(body)
    other = "refused" if status in REFUSALS_OF_TEXTS else "transient" if status >= 500 else "denied"
    kind = FAILURES.get(status, other)
    if status == 429 and DENIED_WORDS.search(f"{code} {reason}"):
        kind = "denied"  # the credit is used up: waiting brings none
    reason = f"{status} {one_line(reason or phrase or 'no reason given', 160)}"
    return RequestError(reason, kind, status, waiting_time(headers, body, is_overload=kind == "overloaded"))


def failure_within(headers: Mapping[str, str], body: Any) -> RequestError | None:
    """The failure that is told in a response with status 200, as some providers do; None where there is none."""
    if not isinstance(body, Mapping):
        return None
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    for told in (body, choice):
        if isinstance(told, Mapping) and told.get("error"):
            reason, code = _payload_error(told)
            if code.isascii() and code.isdigit() and 400 <= int(code) < 600:
                return failure_of(int(code), "", headers, told)
            words = f"{code} {reason}"
            kind = "overloaded" if OVERLOADED_WORDS.search(words) else "transient"
            kind = "denied" if DENIED_WORDS.search(words) else kind
            reason = one_line(" ".join(filter(None, (code, reason))) or "no reason given", 160)
            return RequestError(reason, kind, None, waiting_time(headers, told, is_overload=kind == "overloaded"))
    return None


def waiting_time(headers: Mapping[str, str], body: Any = None, *, is_overload: bool = True) -> float | None:
    """Seconds until a server that failed a request wants to be asked again; None where it does not say.

    `Retry-After` (RFC 9110, in seconds or as a date) comes first, then what the body of the error says, then, for an
    `is_overload`, the headers that tell when a limit on rates is reset: the first one of several.
    """
    now = _seconds(headers.get("date", ""), 0.0) or time.time()  # its own clock, by which its dates are meant
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    if (seconds := _seconds(headers.get("retry-after", ""), now)) is not None:
        return seconds
    for name, value in _fields(body):
        if name in WAITING_FIELDS and (seconds := _seconds(str(value), now)) is not None:
            return seconds
        if isinstance(value, str) and (found := _TRY_AGAIN.search(value)):
            return _seconds(found[1], now)
    if not is_overload:
        return None
    resets = [_seconds(value, now) for name, value in headers.items() if _RESET.fullmatch(name.lower())]
    resets += [_seconds(found, now) for found in re.findall(r"\bt=(\d+)", headers.get("ratelimit", ""))]
    return min((seconds for seconds in resets if seconds is not None), default=None)


def queue_times(headers: Mapping[str, str]) -> tuple[float, float] | None:
    """The seconds that a request waited in TGI's queue and was worked on; None where its headers do not say."""
    times = [_number(headers.get(name)) for name in ("x-queue-time", "x-inference-time")]
    return None if None in times else (times[0] / 1000, times[1] / 1000)


def model_names(body: Any) -> list[str]:
    """The names of the models that `/v1/models` lists; none where the answer is not such a list."""
    entries = body.get("data") if isinstance(body, Mapping) else None
    entries = entries if isinstance(entries, list) else []
    return [entry["id"] for entry in entries if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)]


def text_or_none(value: Any) -> str | None:
    """`value` where it is a text that says something; None for anything else."""
    return value if isinstance(value, str) and value.strip() else None


def _mapping(value: Any, needed: bool = True) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    if needed:
        raise ValueError("an object is needed")
    return {}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is needed")
    value.encode()  # half of a surrogate pair is no text: UnicodeEncodeError is a ValueError
    return value


def _payload_error(body: Any) -> tuple[str, str]:
    """The reason and the code in an error's body: TGI's text, an object, or FastAPI's `detail`, a text or a list."""
    if not isinstance(body, Mapping):
        return "", ""
    told = body.get("error") or body.get("detail") or body.get("message") or ""
    if isinstance(told, list):
        problems = [problem for problem in told if isinstance(problem, Mapping) and problem.get("msg")]
        return "; ".join(f"{_path(problem.get('loc'))}: {problem['msg']}" for problem in problems), ""
    if not isinstance(told, Mapping):
        return str(told), _code(body)
    return str(told.get("message") or dict(told)), _code(told) or _code(body)


def _code(told: Mapping[str, Any]) -> str:
    codes = (told.get(name) for name in ("code", "status", "error_type", "type"))
    return next((str(code) for code in codes if isinstance(code, (str, int)) and code), "")


def _path(parts: Any) -> str:
    return ".".join(map(str, parts)) if isinstance(parts, list) else str(parts)


def _fields(value: Any, depth: int = 5) -> Iterator[tuple[str, Any]]:
    """All fields of an error's body, also of objects within it."""
    if depth and isinstance(value, Mapping):
        for name, within in value.items():
            yield str(name), within
            yield from _fields(within, depth - 1)
    elif depth and isinstance(value, list):
        for within in value:
            yield from _fields(within, depth - 1)


def _number(value: Any) -> float | None:
    """A finite number from 0 on."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds(value: str, now: float) -> float | None:
    """The seconds from `now` that a number, a duration (`1m30.5s`, `20ms`), a time in seconds or a date names."""
    value = value.strip()
    number = _number(value)
    if number is not None:
        number = number / 1000 if number >= 1000 * _EPOCH else number
        return max(0.0, number - now) if number >= _EPOCH else number
    if _DURATION.fullmatch(value):
        return sum(float(amount) * _UNITS[unit.lower()] for amount, unit in re.findall(_AMOUNT, value, re.IGNORECASE))
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return max(0.0, parse(value).timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            continue
    return None
