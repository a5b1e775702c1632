"""Texts for a run, and its accounts: what its rows must be by what a `FaultyTGI` has seen of it."""

import json
import random
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faulty_tgi import Asked
from tgi_answers import text_and_tokens

from hf_xling.generation.records import Request
from hf_xling.generation.window import MOST_TRIES

# What the client makes of a fault: the kind of its failure, and how the reason of a rejected row begins.
FAILURES = {
    "overloaded": ("overloaded", "endpoint: 429 Model is overloaded"),
    "incomplete": ("transient", "endpoint: 500 Incomplete generation"),
    "unavailable": ("unavailable", "endpoint: 503 unhealthy"),
    "generation": ("generation", "endpoint: 424 Request failed during generation"),
    "refused": ("refused", "endpoint: 422 Input validation error"),
    "reset": ("unavailable", "endpoint: no connection"),
    "reset_within": ("unavailable", "endpoint: no connection"),
    "death": ("unavailable", "endpoint: no connection"),
    "torn": ("transient", "endpoint: the answer is not what this wire gives"),
    "empty": ("empty", "empty"),
    "loop": (None, "repetition"),
    "cut": (None, "truncated"),
}
ANSWERS = (None, "empty", "loop", "cut")  # which an endpoint gives with status 200; all others are errors
MOST_TOKENS = 1024  # --max_new_tokens where it is not given
ERRORS_SEEN = FAILURES.keys() - {"death", *ANSWERS}  # by a client that was there to see them


def texts_of(distinct: int, repeated: int = 0, others: Sequence[str | None] = ()) -> list[str | None]:
    """Texts for a run, in mixed order behind the first, which is an ordinary one: a long run begins with a check."""
    draw, letters = random.Random(distinct), str.maketrans("0123456789", "abcdefghij")
    nouns = ["river", "house", "garden", "teacher", "letter", "winter", "market", "paper", "window", "summer"]
    words = [*nouns, "old", "new", "small", "quiet", "yellow", "broken"]
    plain = [
        f"the {' '.join(draw.sample(words, draw.randint(3, 9)))} {str(number).translate(letters)}"
        for number in range(distinct)
    ]
    rest = [*plain[1:], *draw.choices(plain, k=repeated), *others]
    draw.shuffle(rest)
    return [plain[0], *rest]


def request_key(entry: Asked, model_sha: str = "0123456789abcdef") -> str:
    """The key in the ledger of what was asked."""
    if "messages" in entry.body:
        parameters = {name: entry.body[name] for name in entry.body.keys() - {"messages", "model", "stream"}}
        return Request("", entry.body["messages"], parameters, "org/model", model_sha).key
    given = entry.body["parameters"]
    parameters = {name: given[name] for name in given.keys() - {"details", "return_full_text"}}
    return Request("", entry.body["inputs"], parameters, "org/model", model_sha).key


def answered_with(entry: Asked) -> tuple[str, int]:
    """The text and the tokens of the answer that was given."""
    return text_and_tokens(entry.outcome, entry.source, entry.limit)


def ledger_keys(folder: Path) -> list[str]:
    """The keys in the files of a ledger, in order; a line that a kill has torn is none."""
    keys = []
    for path in sorted(folder.glob("ledger*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                assert int(line[:8], 16) == zlib.crc32(line[9:-1]), f"{path}: a damaged entry"
                keys.append(json.loads(line[9:])["key"])
    return keys


def check_lives(log: Sequence[Asked], ledgers: Mapping[str, set[str]], window: int) -> Counter[str]:
    """No answer was asked for again that was in the ledger when an earlier process was killed, and few others were.

    Args:
        log: all that the server was asked.
        ledgers: the keys of answers in the ledger at the end of each process, by its name, in order.
        window: how many requests a process may have in flight.

    Returns:
        How many answers were lost at the end of each process.
    """
    durable, lost = set[str](), Counter[str]()
    for run, kept in ledgers.items():
        entries: dict[str, Asked] = {}
        for entry in log:
            if entry.run == run:
                before = entries.get(key := request_key(entry))
                assert before is None or before.outcome in ERRORS_SEEN, f"{run} asked twice for {entry.source!r}"
                entries[key] = entry
        assert durable <= kept, f"{run} lost what was in the ledger"
        again = durable & entries.keys()
        assert not again, f"{run} asked again for {[entries[key].source for key in again]}, which the ledger held"
        # What had failed would have been asked for again by the same process, too.
        lost[run] = sum(1 for key, entry in entries.items() if key not in kept and entry.outcome not in ERRORS_SEEN)
        assert lost[run] <= window, f"{run} lost {lost[run]} answers"
        durable = kept
    assert durable >= {request_key(entry) for entry in log}, "something was never answered"
    return lost


def failed_identities(log: Sequence[Asked]) -> set[str]:
    """The requests that were given up: their last try was an error."""
    return {entry.identity for entry in _last(log, by="identity").values() if entry.outcome not in ANSWERS}


def check_tries(log: Sequence[Asked]) -> None:
    """Each request of one run was sent until it was answered, or as often as the kind of its failures allows.

    Another request for the same source follows on one that was cut, with a larger budget, and on nothing else.
    """
    tries: dict[str, Counter[str]] = {}
    done, latest = set(), {}
    for entry in log:
        before = latest.get(entry.source, entry)
        follows = before.outcome == "cut" and entry.limit > before.limit
        assert entry.identity == before.identity or follows, f"{entry.source!r}: a new request after {before.outcome}"
        latest[entry.source] = entry
        assert entry.identity not in done, f"{entry.source!r} was asked again after it was answered or given up"
        kind = FAILURES[entry.outcome][0] if entry.outcome is not None else None
        counts = tries.setdefault(entry.identity, Counter())
        counts[kind] += 1
        if kind is None or counts[kind] == MOST_TRIES.get(kind, 1):
            done.add(entry.identity)
    left = {entry.source for entry in log if entry.identity not in done}
    assert not left, f"{left} were neither answered nor asked often enough"


def check_rows(
    texts: Sequence[str | None], accepted: Iterable[Mapping[str, Any]], rejected: Iterable[Mapping[str, Any]], log
) -> None:
    """Each of `texts` is in one row of either kind, which is what the server's last word on that text makes it."""
    last = _last(log, by="source")
    rows = [(row, None) for row in accepted] + [(row, row["reason"]) for row in rejected]
    assert sorted(int(row["id"]) for row, _ in rows) == list(range(1, len(texts) + 1)), "rows are lost or doubled"
    for row, reason in rows:
        text = texts[int(row["id"]) - 1]
        assert row["source_text"] == text, f"row {row['id']} has another row's source"
        if not text:
            assert reason == "no_source_text" and row["text"] is None
            continue
        assert text in last, f"row {row['id']} was never asked about"
        entry = last[text]
        assert row["request_key"] == request_key(entry), f"row {row['id']} names another request"
        assert entry.outcome != "cut" or entry.limit == MOST_TOKENS, f"row {row['id']} was cut, and asked no further"
        if entry.outcome is None:
            assert reason is None, f"row {row['id']}: {reason}, but it was answered"
        else:
            expected = FAILURES[entry.outcome][1]
            assert reason is not None, f"row {row['id']}: accepted in spite of {entry.outcome}"
            assert reason.startswith(expected), f"row {row['id']}: {reason} for {expected}"
        if entry.outcome in ANSWERS:
            assert (row["text"], row["generated_tokens"]) == answered_with(entry), f"row {row['id']}: a wrong answer"
        else:
            assert row["text"] is None


def check_manifest(
    manifest: Mapping[str, Any],
    texts: Sequence[str | None],
    rejected: Sequence[Mapping[str, Any]],
    log: Sequence[Asked],
    *,
    asked: int,
    unseen: int = 0,
) -> None:
    """The counts of a manifest after a run that sent the last `asked` of `log`, and up to `unseen` to a dead server."""
    distinct = {text for text in texts if text}
    assert (manifest["rows"], manifest["distinct_texts"]) == (len(texts), len(distinct))
    assert manifest["rejected"] == len(rejected) and manifest["accepted"] == len(texts) - len(rejected)
    assert manifest["reasons"] == Counter(row["reason"].split(":")[0] for row in rejected)
    answers = [entry for entry in _last(log, by="identity").values() if entry.outcome in ANSWERS]
    assert manifest["generated_tokens"] == sum(answered_with(entry)[1] for entry in answers)
    assert asked <= manifest["last_run"]["requests"] <= asked + unseen
    assert manifest["last_run"]["completions"] == len({entry.identity for entry in log[len(log) - asked :]})


def _last(log: Iterable[Asked], by: str) -> dict[str, Asked]:
    return {getattr(entry, by): entry for entry in log}
