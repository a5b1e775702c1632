"""The ledger: append-only files of answers, so that no answer is lost or paid for twice.

Each line is the CRC-32 of its content, a space, and JSON that begins with the key: `{"key": …, "text": …, …}`. A kill
can tear only the last line; opening drops it. In memory is where each answer lies, not the answer: a million of
them take some 200 MB.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from filelock import FileLock, Timeout

from hf_xling.errors import InputError, XlingError
from hf_xling.generation.records import Completion, ending

logger = logging.getLogger(__name__)

# A process that is killed loses no entry. A machine that loses power loses those after the last fsync.
SYNC_ENTRIES = 64
SYNC_SECONDS = 0.5

_KEY = slice(18, 82)  # of a line: 8 digits of checksum, a space, `{"key": "`, then 64 hexadecimal digits
_OFFSET_BITS = 48
_STATES: tuple[Literal["answered", "cut", "failed"], ...] = ("answered", "cut", "failed")
_FAILED = 2
_ENDING = b', "finish_reason": "'


class Ledger:
    """The answers in the ledger files of a folder, by request key. Use it as a context manager.

    Each process of a launch appends to a file of its own, which is locked while it is open, and reads all of them.

    Args:
        folder: made if missing.
        rank: number of this process; 0 appends to `ledger.jsonl`, others to `ledger-RANK.jsonl`.
        sync_entries, sync_seconds: entries are fsynced when so many wait for it, or the first of them so long.

    Raises:
        InputError: another process has this ledger open.
    """

    def __init__(
        self,
        folder: str | Path,
        rank: int = 0,
        sync_entries: int = SYNC_ENTRIES,
        sync_seconds: float = SYNC_SECONDS,
    ):
        self.folder = Path(folder)
        self.path = self.folder / (f"ledger-{rank:05d}.jsonl" if rank else "ledger.jsonl")
        self._places: dict[bytes, int] = {}  # key → file number, offset and state, in one integer
        self._files: list[Path] = []
        self._streams: list[BinaryIO] = []
        self._ends: list[int] = []
        self._unsynced, self._sync_entries, self._sync_seconds = 0, sync_entries, sync_seconds
        self._sync_error: OSError | None = None
        self._wake, self._closing = threading.Event(), False

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path.with_suffix(".lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"{self.path}: another process is writing this ledger") from error
        self._output = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._add_file(self.path)
        os.ftruncate(self._output, self._ends[0])  # what a kill tore
        self.refresh()
        self._syncer = threading.Thread(target=self._sync_in_groups, name="ledger", daemon=True)
        self._syncer.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing = True
        self._wake.set()
        self._syncer.join()
        try:
            if self._sync_error is None:
                self.sync()
            else:  # a second fsync would not tell it again
                raise self._not_synced(self._sync_error)
        finally:
            os.close(self._output)
            for stream in self._streams:
                stream.close()
            self._lock.release()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Completion | None:
        """The newest completion under `key`, a failure included, or None."""
        place = self._places.get(bytes.fromhex(key))
        if place is None:
            return None
        place >>= 2
        stream = self._streams[place >> _OFFSET_BITS]
        stream.seek(place & (1 << _OFFSET_BITS) - 1)
        return Completion.from_dict(json.loads(stream.readline()[9:]))

    def state(self, key: str) -> Literal["answered", "cut", "failed"] | None:
        """What is under `key`: an answer, one that was cut at its token limit, a failure, or nothing."""
        place = self._places.get(bytes.fromhex(key))
        return None if place is None else _STATES[place & 3]

    def add(self, key: str, completion: Completion) -> None:
        """Append `completion`; it is with the operating system when this returns, and fsynced in groups.

        Raises:
            XlingError: it cannot be written, as on a full disk; all entries before it are kept.
        """
        if self._sync_error is not None:
            raise self._not_synced(self._sync_error)
        content = json.dumps({"key": key, **completion.to_dict()}, ensure_ascii=False).encode()
        line = memoryview(b"%08x %s\n" % (zlib.crc32(content), content))
        try:
            written = 0
            while written < len(line):
                written += os.write(self._output, line[written:])
        except OSError as error:
            os.ftruncate(self._output, self._ends[0])
            raise XlingError(
                f"{self.path}: cannot be written: {error.strerror}; its {len(self):,} entries are kept, and the same "
                "command goes on from there"
            ) from error
        self._places[bytes.fromhex(key)] = self._ends[0] << 2 | _state(content)
        self._ends[0] += len(line)
        self._unsynced += 1
        if self._unsynced >= self._sync_entries:
            self._wake.set()

    def sync(self) -> None:
        """Force what was added to the disk.

        Raises:
            XlingError: the disk does not take it.
        """
        self._unsynced = 0
        try:
            os.fsync(self._output)
        except OSError as error:
            self._sync_error = error
            raise self._not_synced(error) from error

    def refresh(self) -> None:
        """Read what other processes have added to their files since they were last read."""
        for path in sorted(self.folder.glob("ledger*.jsonl")):
            if path not in self._files:
                self._add_file(path)
            elif path != self.path:
                self._load(self._files.index(path))

    def _add_file(self, path: Path) -> None:
        self._files.append(path)
        self._streams.append(open(path, "rb"))  # noqa: SIM115 - closed with the ledger
        self._ends.append(0)
        self._load(len(self._files) - 1)

    def _load(self, number: int) -> None:
        """Read the whole entries of a file from where reading ended before."""
        end, places = self._ends[number], self._places
        high, stream = number << _OFFSET_BITS, self._streams[number]
        stream.seek(end)
        for line in stream:
            if line[-1] != 10:  # a line feed
                break
            content = line[9:-1]
            try:
                if int(line[:8], 16) != zlib.crc32(content):
                    raise ValueError("the checksum differs")
                key = bytes.fromhex(line[_KEY].decode("ascii"))
            except ValueError:
                logger.warning("%s: a damaged entry at byte %d is left out", self._files[number], end)
            else:
                state, known = _state(content), places.get(key)
                # A failure of another process hides no answer: it may be older.
                if number == 0 or known is None or known & 3 == _FAILED or state != _FAILED:
                    places[key] = (high | end) << 2 | state
            end += len(line)
        self._ends[number] = end

    def _sync_in_groups(self) -> None:
        while not self._closing:
            self._wake.wait(self._sync_seconds)
            self._wake.clear()
            if self._unsynced:
                try:
                    self.sync()
                except XlingError:  # which the next entry, or the end, raises
                    return

    def _not_synced(self, error: OSError) -> XlingError:
        return XlingError(
            f"{self.path}: the disk does not take it: {error.strerror}; its last entries may be lost, and the same "
            "command goes on from what is there"
        )


def _state(content: bytes) -> int:
    """The number in `_STATES` of an entry. Within a text quotes are escaped, so these are only where fields are."""
    if b', "error": "' in content:
        return _FAILED
    start = content.find(_ENDING) + len(_ENDING)
    return int(start >= len(_ENDING) and ending(content[start : content.find(b'"', start)].decode()) == "cut")
