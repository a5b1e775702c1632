"""Fills or opens a ledger: `python ledger_client.py fill|open FOLDER ENTRIES`."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import workload
from measured import measuring, tell

from hf_xling.generation.ledger import Ledger
from hf_xling.generation.records import Completion


def main(what: str, folder: str, entries: int) -> None:
    """Add or open, and tell what it took."""
    report: dict[str, Any] = {}
    if what == "fill":
        with measuring(report), Ledger(folder) as ledger:
            for number in range(entries):
                text = workload.answer(number)
                ledger.add(_key(number), Completion(text, "eos_token", len(text) // 2, 0))
    else:
        with measuring(report):
            ledger = Ledger(folder).__enter__()
        assert len(ledger) == entries
        assert ledger.get(_key(entries - 1)).text == workload.answer(entries - 1)
        report["mib"] = ledger.path.stat().st_size / 2**20
        ledger.__exit__(None, None, None)
    tell(report)


def _key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
