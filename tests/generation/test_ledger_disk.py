"""The ledger and its disk: when entries are forced to it, and what becomes of a run when it takes no more."""

import errno
import os
import subprocess
import sys
import threading

import pytest
from ledger_entries import KEYS, fill, found, read

from hf_xling.errors import XlingError
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.records import Completion

LONG = 300  # seconds after which a test that waits for something is given up


class Syncs(list[int]):
    """The length of the file at each fsync.

    Attributes:
        error: what an fsync raises; the kernel tells it `times` times.
    """

    def __init__(self):
        super().__init__()
        self.error, self.times = OSError(errno.EIO, "Input/output error"), 0
        self._came, self._fsync = threading.Condition(), os.fsync

    def __call__(self, descriptor: int) -> None:
        with self._came:
            self.append(os.fstat(descriptor).st_size)
            self._came.notify_all()
            self.times -= 1
        if self.times >= 0:
            raise self.error
        self._fsync(descriptor)

    def wait_for(self, count: int) -> None:
        with self._came:
            assert self._came.wait_for(lambda: len(self) >= count, LONG)


@pytest.fixture
def synced(monkeypatch) -> Syncs:
    syncs = Syncs()
    monkeypatch.setattr(os, "fsync", syncs)
    return syncs


def test_entries_reach_the_disk_in_groups(tmp_path, synced):
    with Ledger(tmp_path, sync_entries=5, sync_seconds=1e6) as ledger:
        for key in KEYS[:4]:
            ledger.add(key, Completion("x"))
        assert synced == []
        ledger.add(KEYS[4], Completion("x"))
        synced.wait_for(1)
        ledger.add(KEYS[5], Completion("x"))
        assert len(synced) == 1
    assert len(synced) == 2 and synced[-1] == ledger.path.stat().st_size


def test_a_lone_entry_reaches_the_disk_soon(tmp_path, synced):
    with Ledger(tmp_path, sync_seconds=0.001) as ledger:
        ledger.add(KEYS[0], Completion("x"))
        synced.wait_for(1)
        assert synced == [ledger.path.stat().st_size]


def test_a_disk_that_fails_to_sync_ends_the_run(tmp_path, synced):
    said = "ledger.jsonl: the disk does not take it: Input/output error; its last entries may be lost, and the same com"
    with pytest.raises(XlingError, match=said), Ledger(tmp_path, sync_entries=2, sync_seconds=1e6) as ledger:
        ledger.add(KEYS[0], Completion("x"))
        synced.times = 10**9
        ledger.add(KEYS[1], Completion("y"))
        synced.wait_for(1)
        while True:  # from the moment at which the other thread has the error, an entry raises it
            ledger.add(KEYS[1], Completion("y"))
    synced.times = 0
    assert set(read(tmp_path)) == set(KEYS[:2])


def test_a_failure_to_sync_is_not_forgotten_if_nothing_is_added_after_it(tmp_path, synced):
    synced.times = 1
    said = "the disk does not take it"
    with pytest.raises(XlingError, match=said), Ledger(tmp_path, sync_seconds=0.001) as ledger:
        ledger.add(KEYS[0], Completion("x"))
        synced.wait_for(1)
    fill(tmp_path, [(KEYS[1], Completion("y"))])
    assert set(read(tmp_path)) == set(KEYS[:2])


def test_a_failure_to_sync_at_the_end_is_told_in_one_line(tmp_path, synced):
    with pytest.raises(XlingError, match="the disk does not take it"), Ledger(tmp_path, sync_seconds=1e6) as ledger:
        ledger.add(KEYS[0], Completion("x"))
        synced.times = 1


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_torn_entry_of_a_full_disk_is_taken_back(tmp_path, monkeypatch, share):
    write = os.write
    with Ledger(tmp_path) as ledger:
        ledger.add(KEYS[0], Completion("ஒன்று"))
        ledger.add(KEYS[1], Completion("இரண்டு"))
        before = ledger.path.read_bytes()
        torn = []

        def full(descriptor, data):
            part = b"" if torn else data[: int(len(data) * share)]
            torn.append(part)
            if not part:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, part)

        monkeypatch.setattr(os, "write", full)
        for _ in range(2):
            torn.clear()
            with pytest.raises(XlingError) as caught:
                ledger.add(KEYS[2], Completion("மூன்று"))
            assert str(caught.value) == (
                f"{ledger.path}: cannot be written: No space left on device; its 2 entries are kept, and the same "
                "command goes on from there"
            )
            assert ledger.path.read_bytes() == before
        assert set(found(ledger)) == set(KEYS[:2])
        monkeypatch.setattr(os, "write", write)  # there is room again
        ledger.add(KEYS[2], Completion("மூன்று"))
        assert set(found(ledger)) == set(KEYS[:3])
    assert set(read(tmp_path)) == set(KEYS[:3])


def test_a_write_that_takes_a_part_at_a_time_is_gone_on_with(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    fill(tmp_path, [(key, Completion("வணக்கம்")) for key in KEYS[:3]])
    monkeypatch.undo()
    assert set(read(tmp_path)) == set(KEYS[:3])


# A limit on the size of files is what a process without privileges can have in place of a full disk: the write that
# goes over it is cut short, and the next one fails.
LIMITED = """
import resource, sys
from hf_xling.console import run_command
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.records import Completion

def main(argv):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(argv[1]), resource.RLIM_INFINITY))
    with Ledger(argv[0]) as ledger:
        for key in argv[2:]:
            if ledger.get(key) is None:
                ledger.add(key, Completion("வணக்கம்"))

sys.exit(run_command(main))
"""


def test_a_real_limit_ends_the_run_with_one_line_and_all_whole_entries(tmp_path):
    def run(limit):
        command = [sys.executable, "-c", LIMITED, str(tmp_path), str(limit), *KEYS[:20]]
        return subprocess.run(command, capture_output=True, text=True, timeout=LONG)

    done = run(1000)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    path = tmp_path / "ledger.jsonl"
    assert done.stderr.startswith(f"error: {path}: cannot be written: File too large; its ")
    content = path.read_bytes()
    size = len(content.partition(b"\n")[0]) + 1
    assert 1000 - size < len(content) <= 1000 and content.endswith(b"\n")
    assert set(read(tmp_path)) == set(KEYS[: len(content) // size])
    assert run(10**6).returncode == 0
    assert path.read_bytes().startswith(content) and set(read(tmp_path)) == set(KEYS[:20])
