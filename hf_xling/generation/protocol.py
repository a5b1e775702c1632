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
from hf_xling.generation.records import Completion, ending, whole_number

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
REFUSALS_OF_TEXTS = frozenset({400, 413, 422, 451})
# What providers write into an error instead of a status, or beside one that says too little.
_OVERLOADED = re.compile(r"rate.?limit|too.?many.?requests|overloaded|resource.?exhausted", re.IGNORECASE)
_DENIED = re.compile(
    r"insufficient.?(quota|credit|balance|fund)|billing|payment|invalid.?api.?key|credits?\b", re.IGNORECASE
)
_REFUSED = re.compile(r"invalid.?request|context.?length|too.?long|content.?(filter|policy)|moderation", re.IGNORECASE)
# Where bodies of errors hold their reason and their code; and the fields of answers, which are no errors.
_REASONS = ("error", "errors", "detail", "message", "msg", "error_msg", "status_msg", "base_resp")
_CODES = ("code", "status", "http_status", "status_code", "error_code", "error_type", "type")
_ANSWERS = ("choices", "generated_text", "data", "model_id")
# Names of headers and fields, by their letters alone, that hold how long to wait.
_WAITS = re.compile(r"x?(ms|ratelimit)?retryafter(seconds|ms|milliseconds)?|retrydelay|estimatedtime")
_RESETS = re.compile(r"(x|anthropic)?ratelimit(\w*reset\w*)")
_AMOUNT = r"(\d+(?:\.\d+)?)\s?(ms|milli|d|h|m|s)[a-z]*"
_DURATION = re.compile(rf"{_AMOUNT}(?:(?:,|\sand)?\s?{_AMOUNT})*", re.IGNORECASE)
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "milli": 0.001}
_IN_WORDS = re.compile(
    rf"(?:try again|retry|wait|resets?)[^\d\n]{{0,40}}?"
    rf"({_DURATION.pattern}|\d{{4}}-\d\d-\d\d[T ][\d:.]+Z?|\d+(?:\.\d+)?(?!\s?[a-z\d]))(?![a-z\d])",
    re.IGNORECASE,
)
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
    choices = [each for each in choices if isinstance(each, Mapping)] if isinstance(choices, list) else []
    choice = next((each for each in choices if each.get("index") == 0), _mapping(next(iter(choices), None)))
    message = _mapping(choice.get("message") or choice)
    content = _content(message.get("content", message.get("text")))
    if not content.strip():
        reasoning = (message.get(name) for name in ("reasoning_content", "reasoning", "reasoning_details", "thinking"))
        thought = next(filter(None, reasoning), None)
        refusal = text_or_none(message.get("refusal")) or ""
        content = _text(refusal if thought is None else f"<think>{thought if isinstance(thought, str) else ''}")
    tokens = _mapping(answer.get("usage"), needed=False).get("completion_tokens")
    reason = choice.get("finish_reason")
    if reason is None:
        others = (choice.get(name) for name in ("native_finish_reason", "stop_reason"))
        reason = next((each for each in others if isinstance(each, str) and ending(each) in ("whole", "cut")), None)
    return Completion.of(content, reason, tokens, seed)


def failure_of(status: int, phrase: str, headers: Mapping[str, str], body: Any) -> RequestError:
    """The failure that a response with an error status is.

    Args:
        phrase: the reason to give where the body holds none.
        body: as JSON, or a text; None where it is neither.
    """
    reason, code = _payload_error(body)
    other = "refused" if status in REFUSALS_OF_TEXTS else "transient" if status >= 500 else "denied"
    kind = FAILURES.get(status, other)
    if status in (400, 403) and _OVERLOADED.search(code):
        kind = "overloaded"
    wait = waiting_time(headers, body, is_overload=kind == "overloaded")
    if status == 429 and (_DENIED.search(code) or (wait is None and _DENIED.search(reason))):
        kind = "denied"  # the credit is used up: waiting brings none
    return RequestError(f"{status} {one_line(reason or phrase or 'no reason given', 160)}", kind, status, wait)


def failure_within(headers: Mapping[str, str], body: Any) -> RequestError | None:
    """The failure that is told in a response with status 200, as some providers do; None where there is none."""
    body = body[0] if isinstance(body, list) and len(body) == 1 else body
    if not isinstance(body, Mapping):
        return None
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    names = ("error",) if any(name in body for name in _ANSWERS) else _REASONS
    for told in (body, choice):
        if not isinstance(told, Mapping) or not any(_says_something(told.get(name)) for name in names):
            continue
        reason, code = _payload_error(told)
        if (status := whole_number(code, 599)) is not None and status >= 400:
            return failure_of(status, "", headers, told)
        words = f"{code} {reason}"
        kinds = (("denied", _DENIED), ("overloaded", _OVERLOADED), ("refused", _REFUSED))
        kind = next((kind for kind, pattern in kinds if pattern.search(words)), "transient")
        reason = one_line(" ".join(filter(None, (code, reason))) or "no reason given", 160)
        return RequestError(reason, kind, None, waiting_time(headers, told, is_overload=kind == "overloaded"))
    return None


def waiting_time(headers: Mapping[str, str], body: Any = None, *, is_overload: bool = True) -> float | None:
    """Seconds until a server that failed a request wants to be asked again; None where it does not say.

    `Retry-After` (RFC 9110, in seconds or as a date) and its like come first, then the words of the error. For an
    `is_overload`, the time at which a limit on rates is reset comes last: of the limits that are used up, else the
    earliest.
    """
    now = _seconds(headers.get("date", ""), 0.0) or time.time()  # its own clock, by which its dates are meant
    fields = [(_letters(name), value) for name, value in (*headers.items(), *_fields(body))]
    fields.sort(key=lambda field: "ms" not in field[0] and "milli" not in field[0])  # the more exact one first
    for name, value in fields:
        if _WAITS.fullmatch(name) and (seconds := _seconds_in(name, value, now)) is not None:
            return seconds
    for value in (body if isinstance(body, str) else None, *(value for _, value in _fields(body))):
        if isinstance(value, str) and (found := _IN_WORDS.search(value)):
            return _seconds(found[1], now)
    if not is_overload:
        return None
    values, resets = dict(fields), {}
    for name, value in fields:
        if _RESETS.fullmatch(name) and (seconds := _seconds_in(name, value, now)) is not None:
            resets[name] = seconds
    used_up = [resets[name] for name in resets if str(values.get(name.replace("reset", "remaining"))) == "0"]
    for number, found in enumerate(re.findall(r"\b(?:t|reset)=(\d+)", headers.get("ratelimit", ""))):
        resets[f"ratelimit {number}"] = _seconds(found, now) or 0.0
    return max(used_up) if used_up else min(resets.values(), default=None)


def queue_times(headers: Mapping[str, str]) -> tuple[float, float] | None:
    """The seconds that a request waited in TGI's queue and was worked on; None where its headers do not say."""
    queue, work = (_number(headers.get(name)) for name in ("x-queue-time", "x-inference-time"))
    return None if queue is None or work is None else (queue / 1000, work / 1000)


def model_names(body: Any) -> list[str] | None:
    """The names of the models that `/v1/models` lists; None where the answer is no such list."""
    entries = body.get("data") if isinstance(body, Mapping) else body
    if not isinstance(entries, list):
        return None
    names = [entry["id"] for entry in entries if isinstance(entry, Mapping) and text_or_none(entry.get("id"))]
    return list(dict.fromkeys(names))


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
    """`value`, which must be a text; half of a surrogate pair, which is none, becomes U+FFFD."""
    if not isinstance(value, str):
        raise ValueError("a text is needed")
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _content(value: Any) -> str:
    """The text of a message's content: a text, nothing, or parts, of which those of other types are no part of it."""
    if isinstance(value, list):
        return "".join(map(_content, value))
    if isinstance(value, Mapping):
        return _content(value.get("text")) if value.get("type", "text") in ("text", "output_text") else ""
    return _text("" if value is None else value)


def _says_something(told: Any) -> bool:
    return any(map(_says_something, told.values())) if isinstance(told, Mapping) else bool(told)


def _payload_error(body: Any) -> tuple[str, str]:
    """The reason and the code in an error's body: a text, or the field that TGI, OpenAI, FastAPI or others have."""
    if isinstance(body, str):
        return body, ""
    if not isinstance(body, Mapping):
        return "", ""
    told = next((body[name] for name in _REASONS if _says_something(body.get(name))), "")
    if isinstance(told, list):
        problems = [problem for problem in told if isinstance(problem, Mapping)]
        return "; ".join(filter(None, map(_problem, problems))), _code(problems[0] if problems else body) or _code(body)
    if not isinstance(told, Mapping):
        return str(told), _code(body)
    reason = next((told[name] for name in _REASONS if told.get(name)), None) or dict(told)
    return str(reason), _code(told) or _code(body)


def _problem(problem: Mapping[str, Any]) -> str:
    reason = str(problem.get("msg") or problem.get("message") or "")
    return f"{_path(problem['loc'])}: {reason}" if reason and problem.get("loc") else reason


def _code(told: Mapping[str, Any]) -> str:
    """A status as digits where there is one, else the first word that says what went wrong."""
    codes = [told.get(name) for name in _CODES]
    numbers = (number for code in codes if (number := whole_number(code, 599)) is not None and number >= 400)
    words = (str(code) for code in codes if isinstance(code, (str, int)) and not isinstance(code, bool) and code)
    return next(map(str, numbers), None) or next(words, "")


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


def _letters(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


def _seconds_in(name: str, value: Any, now: float) -> float | None:
    """The seconds in a header or field; one whose name ends in `ms` or the like is in milliseconds."""
    text = str(value)
    seconds = _seconds(text, now)
    if seconds is None:
        seconds = _seconds(text.split(",")[0], now)
    in_milliseconds = name.endswith(("ms", "milliseconds")) and _number(text) is not None
    return seconds / 1000 if seconds is not None and in_milliseconds and seconds < _EPOCH else seconds


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
