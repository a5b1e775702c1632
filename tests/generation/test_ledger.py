import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.generation.ledger import SYNC_EVERY, Ledger
from hf_xling.generation.records import Completion

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["வணக்கம்\nஉலகம்", "a\r\nb\x00c", "\u2028 \u2029 \x85 \x0b", "😀", '"} 00000000 {"key": "']
)
COMPLETIONS = st.builds(
    Completion,
    text=st.none() | TEXT,
    finish_reason=st.none() | st.sampled_from(["eos_token", "length"]),
    generated_tokens=st.none() | st.integers(0, 10**6),
    seed=st.none() | st.integers(0, 2**64 - 1),
    error=st.none() | TEXT,
)
ENTRIES = st.lists(st.tuples(st.sampled_from(["k1", "k2", "k3", "தமிழ்"]), COMPLETIONS), max_size=6)


def fill(folder, entries) -> None:
    with Ledger(folder) as ledger:
        for key, completion in entries:
            ledger.add(key, completion)


def read(folder) -> dict:
    with Ledger(folder) as ledger:
        found = {key: ledger.get(key) for key in ("k1", "k2", "k3", "தமிழ்", *map(str, range(200)))}
        found = {key: completion for key, completion in found.items() if completion is not None}
        assert len(ledger) == len(found)
        return found


@given(ENTRIES, ENTRIES)
def test_entries_survive_a_round_trip_and_the_newest_counts(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("ledger")
    fill(folder, first)
    assert read(folder) == dict(first)
    fill(folder, second)
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
    assert path.read_bytes() == b"".join(content[:cut].splitlines(keepends=True)[:whole]) or b"\r" in content
    fill(folder, [("k1", Completion("new"))])
    assert read(folder) == dict([*entries[:whole], ("k1", Completion("new"))])


def test_every_cut_of_a_tamil_ledger(tmp_path):
    entries = [("k1", Completion("ஒரு நாய்\nஓடுகிறது", "eos_token", 4, 7)), ("k2", Completion(None, error="429 …"))]
    fill(tmp_path, entries)
    path = tmp_path / "ledger.jsonl"
    content = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        assert read(tmp_path) == dict(entries[: sum(end <= cut for end in ends)])


def test_a_damaged_entry_is_left_out_with_a_warning_and_the_others_stay(tmp_path, caplog):
    fill(tmp_path, [(f"k{n}", Completion(f"text {n}")) for n in (1, 2, 3)])
    path = tmp_path / "ledger.jsonl"
    damaged = path.read_bytes().replace(b"text 2", b"text 9")
    path.write_bytes(damaged)
    assert read(tmp_path) == {"k1": Completion("text 1"), "k3": Completion("text 3")}
    (warning,) = caplog.records
    assert "ledger.jsonl: a damaged entry" in warning.getMessage()
    assert path.read_bytes() == damaged


def test_two_writers_are_refused_and_the_lock_goes_with_its_holder(tmp_path):
    with Ledger(tmp_path) as ledger:
        with pytest.raises(InputError, match="another process is writing this ledger"), Ledger(tmp_path):
            pass
        ledger.add("k1", Completion("x"))
    fill(tmp_path, [("k2", Completion("y"))])
    assert set(read(tmp_path)) == {"k1", "k2"}


def test_an_added_entry_survives_a_kill_of_the_process(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from hf_xling.generation.ledger import Ledger\n"
        "from hf_xling.generation.records import Completion\n"
        "ledger = Ledger(sys.argv[1]).__enter__()\n"
        "for n in range(int(sys.argv[2])):\n"
        "    ledger.add(str(n), Completion(f'text {n}'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    count = SYNC_EVERY + 5
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), str(count)], timeout=60)
    assert done.returncode == -9
    assert read(tmp_path) == {str(n): Completion(f"text {n}") for n in range(count)}


def test_a_line_is_checksum_and_json_that_other_tools_read(tmp_path):
    fill(tmp_path, [("k1", Completion("வணக்கம்", "eos_token", 3))])
    checksum, _, content = (tmp_path / "ledger.jsonl").read_text("utf-8").partition(" ")
    assert len(checksum) == 8 and "வணக்கம்" in content
    assert json.loads(content) == {"key": "k1", "text": "வணக்கம்", "finish_reason": "eos_token", "generated_tokens": 3}
