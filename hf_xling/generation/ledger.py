"""The ledger: an append-only file of answers, so that no answer is lost or paid for twice.

Each line is the CRC-32 of its content, a space, and JSON: `{"key": …, "text": …, …}`. A kill can tear only the last
line; opening drops it.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from hf_xling.errors import InputError
from hf_xling.generation.records import Completion

logger = logging.getLogger(__name__)

SYNC_EVERY = 64  # entries between two fsyncs; a process that is killed loses none, a machine that loses power these


class Ledger:
    """The answers in `folder/ledger.jsonl`, by request key. Use it as a context manager: it is locked while open.

    Args:
        folder: made if missing.

    Raises:
        InputError: another process has the ledger open.
    """

    def __init__(self, folder: str | Path):
        self.path = Path(folder) / "ledger.jsonl"
        self._completions: dict[str, Completion] = {}
        self._unsynced = 0

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path.with_suffix(".lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"{self.path.parent}: another process is writing this ledger") from error
        self.path.touch()
        end = self._load()
        self._file = open(self.path, "ab")
        self._file.truncate(end)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.sync()
        self._file.close()
        self._lock.release()

    def __len__(self) -> int:
        return len(self._completions)

    def get(self, key: str) -> Completion | None:
        """The newest completion under `key`, a failure included, or None."""
        return self._completions.get(key)

    def add(self, key: str, completion: Completion) -> None:
        """Append `completion`; it is with the operating system when this returns, and fsynced in groups."""
        content = json.dumps({"key": key, **completion.to_dict()}, ensure_ascii=False).encode()
        self._file.write(b"%08x %s\n" % (zlib.crc32(content), content))
        self._file.flush()
        self._completions[key] = completion
        self._unsynced += 1
        if self._unsynced >= SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        """Force what was added to the disk."""
        os.fsync(self._file.fileno())
        self._unsynced = 0

    def _load(self) -> int:
        """Read all whole entries; return the length of the file up to the end of the last whole line."""
        end = 0
        with open(self.path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                checksum, _, content = line[:-1].partition(b" ")
                if checksum != b"%08x" % zlib.crc32(content):
                    logger.warning("%s: a damaged entry before byte %d is left out", self.path, end)
                    continue
                entry = json.loads(content)
                key = entry.pop("key")
                self._completions[key] = Completion(**{"text": None, **entry})
        return end
