"""Writing and reading ledgers for their tests."""

import hashlib

from hf_xling.generation.ledger import Ledger

KEYS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(200)]


def fill(folder, entries, rank=0) -> None:
    with Ledger(folder, rank) as ledger:
        for key, completion in entries:
            ledger.add(key, completion)


def found(ledger) -> dict:
    """What `ledger` holds under `KEYS`, with its states checked."""
    known = {key: completion for key in KEYS if (completion := ledger.get(key)) is not None}
    assert len(ledger) == len(known)
    for key in KEYS:
        completion = known.get(key)
        state = "answered"
        if completion is None:
            state = None
        elif completion.error is not None:
            state = "failed"
        elif completion.finish_reason == "length":
            state = "cut"
        assert ledger.state(key) == state
    return known


def read(folder, rank=0) -> dict:
    with Ledger(folder, rank) as ledger:
        return found(ledger)
