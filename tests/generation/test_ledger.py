import errno
import json
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_entries import KEYS, fill, found, read

from hf_xling.errors import InputError, XlingError
from hf_xling.generation.ledger import SYNC_ENTRIES, Ledger
from hf_xling.generation.records import Completion

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        *("வணக்கம்\nஉலகம்", "a\r\nb\x00c", "\u2028 \u2029 \x85 \x0b", "😀", '"} 00000000 {"key": "', ", ", "\\"),
        *(
            '", "error": "',
            ', "error": "',
            '\\", "error": "x',
            '"finish_reason": "length"',
            ', "finish_reason": "length"',
        ),
    ]
)
COMPLETIONS = st.builds(
    Completion,
    text=st.none() | TEXT,
    finish_reason=st.none() | st.sampled_from(["eos_token", "length", "stop"]) | TEXT,
    generated_tokens=st.none() | st.integers(0, 10**6),
    seed=st.none() | st.integers(0, 2**63 - 1),
    error=st.none() | TEXT,
    model_id=st.none() | TEXT,
    model_sha=st.none() | TEXT,
)
ENTRIES = st.lists(st.tuples(st.sampled_from(KEYS[:4]), COMPLETIONS), max_size=6)


@given(ENTRIES, ENTRIES)
def test_entries_survive_a_round_trip_and_the_newest_counts(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("ledger")
    fill(folder, first)
    with Ledger(folder) as ledger:
        assert found(ledger) == dict(first)
        for number, (key, completion) in enumerate(second, 1):
            ledger.add(key, completion)
            assert found(ledger) == dict(first + second[:number])
    assert read(folder) == dict(first + second)


@settings(max_examples=60)
@given(ENTRIES.filter(len), st.data())
def test_a_file_cut_anywhere_loses_at_most_the_torn_entry_and_takes_new_ones(tmp_path_factory, entries, data):
    folder = tmp_path_factory.mktemp("ledger")
    fill(folder, entries)
    path = folder / "ledger.jsonl"
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    assert read(folder) == dict(entries[:whole])
    assert path.read_bytes() == b"".join(line + b"\n" for line in content[:cut].split(b"\n")[:-1])
    fill(folder, [(KEYS[0], Completion("new"))])
    assert read(folder) == dict([*entries[:whole], (KEYS[0], Completion("new"))])


def test_every_cut_of_a_tamil_ledger(tmp_path):
    entries = [(KEYS[0], Completion("ஒரு நாய்\nஓடுகிறது", "length", 4, 7)), (KEYS[1], Completion(None, error="429 …"))]
    fill(tmp_path, entries)
    path = tmp_path / "ledger.jsonl"
    content = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        with Ledger(tmp_path) as ledger:
            assert [ledger.get(key) for key, _ in entries] == [
                completion if end <= cut else None for (_, completion), end in zip(entries, ends, strict=True)
            ]


@given(st.integers(0, 400), st.integers(0, 255).filter(lambda byte: byte != 10))
def test_a_damaged_byte_costs_no_more_than_its_entry(tmp_path_factory, place, byte):
    folder = tmp_path_factory.mktemp("ledger")
    entries = {key: Completion(f"text of {key[:3]}", "eos_token", 5) for key in KEYS[:3]}
    fill(folder, entries.items())
    path = folder / "ledger.jsonl"
    content = bytearray(path.read_bytes())
    place %= len(content)
    if content[place] == 10:  # without its end an entry becomes a part of the next
        return
    number = content[:place].count(10)
    content[place] = byte
    path.write_bytes(content)
    with Ledger(folder) as ledger:
        for index, key in enumerate(entries):
            known = ledger.get(key)
            assert known == entries[key] or (index == number and known is None)
    assert path.read_bytes() == bytes(content)


def test_a_damaged_entry_is_left_out_with_a_warning_and_the_others_stay(tmp_path, caplog):
    fill(tmp_path, [(key, Completion(f"text {n}")) for n, key in enumerate(KEYS[:3], 1)])
    path = tmp_path / "ledger.jsonl"
    damaged = path.read_bytes().replace(b"text 2", b"text 9")
    path.write_bytes(damaged)
    assert read(tmp_path) == {KEYS[0]: Completion("text 1"), KEYS[2]: Completion("text 3")}
    (warning,) = caplog.records
    assert "ledger.jsonl: a damaged entry at byte" in warning.getMessage()
    # As a power failure may leave it: the file is as long as it was to be, but parts of it are nothing.
    path.write_bytes(damaged[:20] + bytes(300) + b"\n" + damaged[-1 - damaged[:-1][::-1].index(b"\n") :] + bytes(99))
    assert read(tmp_path) == {KEYS[2]: Completion("text 3")}


def test_a_line_is_checksum_and_json_that_other_tools_read(tmp_path):
    fill(tmp_path, [(KEYS[0], Completion("வணக்கம்", "eos_token", 3))])
    checksum, _, content = (tmp_path / "ledger.jsonl").read_text("utf-8").partition(" ")
    assert len(checksum) == 8 and "வணக்கம்" in content
    assert json.loads(content) == {
        **{"key": KEYS[0], "text": "வணக்கம்", "finish_reason": "eos_token", "generated_tokens": 3}
    }


# Several processes


def test_two_writers_are_refused_and_the_lock_goes_with_its_holder(tmp_path):
    with Ledger(tmp_path) as ledger, Ledger(tmp_path, rank=1) as other:
        for rank, path in ((0, ledger.path), (1, other.path)):
            with pytest.raises(InputError) as caught, Ledger(tmp_path, rank):
                pass
            assert str(caught.value) == f"{path}: another process is writing this ledger"
        ledger.add(KEYS[0], Completion("x"))
        other.add(KEYS[1], Completion("y"))
    fill(tmp_path, [(KEYS[2], Completion("z"))])
    assert set(read(tmp_path)) == set(KEYS[:3])


RANKED = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(KEYS[:3]), COMPLETIONS), max_size=12)


@settings(max_examples=40)
@given(RANKED, st.integers(0, 3))
def test_the_files_of_all_ranks_are_read_and_a_failure_hides_no_answer_of_another(tmp_path_factory, entries, reader):
    folder = tmp_path_factory.mktemp("ledger")
    for rank in range(3):
        fill(folder, [(key, completion) for of, key, completion in entries if of == rank], rank)
    known = read(folder, reader)
    assert known.keys() == {key for _, key, _ in entries}
    for key, completion in known.items():
        own = [entry for rank, of, entry in entries if of == key and rank == reader]
        others = [entry for rank, of, entry in entries if of == key and rank != reader]
        assert completion in own[-1:] + others
        if completion.error is not None:
            assert not any(entry.error is None for entry in own[-1:] + others)


def test_what_others_have_added_is_read_at_the_next_look(tmp_path):
    with Ledger(tmp_path) as first:
        first.add(KEYS[0], Completion(None, error="503"))
        first.add(KEYS[1], Completion("mine"))
        with Ledger(tmp_path, 1) as second:
            assert set(found(second)) == set(KEYS[:2])
            for key in KEYS[:3]:
                second.add(key, Completion(None, error="timed out"))
            first.refresh()
            assert found(first)[KEYS[1]] == Completion("mine")
            second.add(KEYS[0], Completion("theirs"))
            # A line that is not whole yet is left for the next look.
            content = b'00000000 {"key": "' + KEYS[4].encode()
            with open(second.path, "ab") as stream:
                stream.write(content)
            first.refresh()
            os.truncate(second.path, second.path.stat().st_size - len(content))
            second.add(KEYS[3], Completion("a later one", "length"))
            first.refresh()
            assert found(first) == {
                KEYS[0]: Completion("theirs"),
                KEYS[1]: Completion("mine"),
                KEYS[2]: Completion(None, error="timed out"),
                KEYS[3]: Completion("a later one", "length"),
            }


KILLED = """
import os, signal, sys
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.records import Completion
ledger = Ledger(sys.argv[1]).__enter__()
for key in sys.argv[2:]:
    ledger.add(key, Completion(f"text of {key}"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_added_entry_survives_a_kill_of_the_process(tmp_path):
    keys = KEYS[: SYNC_ENTRIES + 5]
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), *keys], timeout=300)
    assert done.returncode == -9
    assert read(tmp_path) == {key: Completion(f"text of {key}") for key in keys}


# The ledger and its disk: when entries are forced to it, and what becomes of a run when it takes no more


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
