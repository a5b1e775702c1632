"""Runs that are told to end, or whose disk is full: finished answers are kept, and nothing is asked for again."""

import asyncio
import io
import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
from faulty_tgi import FaultyTGI, serving
from generation_runs import CLI, arguments, config, contents
from tgi_answers import WORDY, chance

from hf_xling.errors import XlingError
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.stage import generate

WINDOW = 4  # of `arguments`
LONG = 300  # seconds after which a test that waits for something is given up
TOLD = "interrupted: waiting"  # how a run begins its line on an interruption
# Those whose answers the server cuts at no limit.
TEXTS = [text for n in range(40) if chance("wordy", text := f"a text of number {n}") >= WORDY][:30]


class HeldTGI(FaultyTGI):
    """Gives `free` answers at once and holds all others back until `release`."""

    def __init__(self, free: int, **fields):
        super().__init__(**{"faults": 0.0, **fields})
        self.free = free
        self.open = threading.Event()

    async def answering(self, entry) -> None:
        if self.free > 0:
            self.free -= 1
            return
        while not self.open.is_set():
            await asyncio.sleep(0.01)

    def wait_for_requests(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.log) >= count, timeout=LONG)


@pytest.fixture(autouse=True)
def texts(tmp_path):
    (tmp_path / "input.txt").write_text("".join(f"{text}\n" for text in TEXTS))


@contextmanager
def started(tmp_path, server, output="out", command=CLI):
    """The command against `server`, as a process whose lines on stderr can be read."""
    argv = [*command, *arguments(tmp_path, server.url, output)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until_told(process: subprocess.Popen) -> str:
    """What `process` writes on stderr until it tells that it was interrupted."""
    shown = ""
    for line in process.stderr:
        shown += line
        if TOLD in line:
            return shown
    raise AssertionError(shown)


def lines(shown: str) -> list[str]:
    """What was written on stderr, without the bars of progress."""
    shown = shown.replace("\r", "\n")
    return [line for line in shown.split("\n") if line.strip() and "text/s" not in line and "row/s" not in line]


def kept(folder: Path) -> int:
    with Ledger(folder / "ledger") as ledger:
        return len(ledger)


def uninterrupted(tmp_path) -> dict[str, bytes]:
    with serving(server := FaultyTGI(faults=0.0)):
        generate(config(tmp_path, server.url, output="whole"))
    return contents(tmp_path / "whole")


def test_an_interrupted_run_takes_in_what_it_has_asked_for(tmp_path):
    server = HeldTGI(free=10)
    with serving(server):
        with started(tmp_path, server) as process:
            server.wait_for_requests(10 + WINDOW)
            process.send_signal(signal.SIGTERM)
            shown = until_told(process)
            assert process.poll() is None  # it waits for the four
            server.open.set()
            out, rest = process.communicate(timeout=LONG)
        assert (process.returncode, out) == (130, "")
        waiting, told = lines(shown + rest)
        assert waiting == "interrupted: waiting up to 10 seconds for 4 answers (again: drop them)"
        assert told == "interrupted: 14 answers are kept; the same command goes on from there"
        assert kept(tmp_path / "out") == len(server.log) == 14
        assert not (tmp_path / "out" / "accepted").exists()
        generate(config(tmp_path, server.url))
        assert len(server.log) == len(TEXTS) == len(server.asked)
    assert contents(tmp_path / "out") == uninterrupted(tmp_path)


class Told(io.StringIO):
    """A stream that knows whether an interruption was told on it."""

    def __init__(self):
        super().__init__()
        self.told = threading.Event()

    def write(self, text: str) -> int:
        if TOLD in text:
            self.told.set()
        return super().write(text)


@contextmanager
def signalled(server: HeldTGI, requests: int, *numbers: signal.Signals):
    """Send these signals to this process when `server` has been asked so often, the second when the first is told."""
    stream = Told()

    def send():
        server.wait_for_requests(requests)
        for number in numbers:
            os.kill(os.getpid(), number)
            assert stream.told.wait(LONG)

    handlers = {number: signal.getsignal(number) for number in numbers}
    thread = threading.Thread(target=send)
    thread.start()
    with redirect_stderr(stream):
        yield
    thread.join()
    assert handlers == {number: signal.getsignal(number) for number in numbers}


@pytest.mark.parametrize("numbers", [(signal.SIGINT,) * 2, (signal.SIGTERM,) * 2, (signal.SIGINT, signal.SIGTERM)])
def test_the_second_signal_ends_it_at_once(tmp_path, numbers):
    with serving(server := HeldTGI(free=10)):
        with signalled(server, 10 + WINDOW, *numbers), pytest.raises(KeyboardInterrupt) as caught:
            generate(config(tmp_path, server.url, max_in_flight=WINDOW), grace=1e6)
        assert str(caught.value) == "10 answers are kept; the same command goes on from there"
        assert kept(tmp_path / "out") == 10
        server.open.set()
        generate(config(tmp_path, server.url))
        assert len(server.log) == len(TEXTS) + WINDOW


def test_what_backs_off_is_not_waited_for(tmp_path):
    with serving(server := HeldTGI(0, faults=1.0, kinds={"overloaded": 1})), started(tmp_path, server) as process:
        server.wait_for_requests(20)
        process.send_signal(signal.SIGINT)
        shown, asked = until_told(process), len(server.log)
        shown += process.communicate(timeout=LONG)[1]
        assert process.returncode == 130 and len(server.log) <= asked + WINDOW
        assert lines(shown)[-1] == "interrupted: 0 answers are kept; the same command goes on from there"


def test_answers_that_take_too_long_are_given_up(tmp_path):
    with serving(server := HeldTGI(free=3)):
        said = "3 answers are kept; the same command goes on from there"
        with signalled(server, 3 + WINDOW, signal.SIGINT), pytest.raises(KeyboardInterrupt, match=said):
            generate(config(tmp_path, server.url, max_in_flight=WINDOW), grace=0.0)
        server.open.set()
    assert kept(tmp_path / "out") == 3


def test_an_interruption_of_the_check_of_one_row_ends_the_run(tmp_path):
    (tmp_path / "input.txt").write_text("".join(f"{text}, {n}\n" for text in TEXTS for n in range(4)))
    with serving(server := HeldTGI(free=0)):
        with signalled(server, 1, signal.SIGTERM), pytest.raises(KeyboardInterrupt, match="0 answers are kept"):
            generate(config(tmp_path, server.url), grace=0.0)
        assert len(server.log) == 1
        server.open.set()


# A full disk. What takes its place is a limit on the size of files; see `test_ledger_disk`.

LIMITED = """
import resource, sys
from hf_xling.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
sys.exit(main())
"""


def test_a_disk_that_fills_up_ends_the_run_and_loses_nothing(tmp_path):
    with serving(server := FaultyTGI(faults=0.0)):
        with started(tmp_path, server, command=[sys.executable, "-c", LIMITED, "generate"]) as process:
            _, shown = process.communicate(timeout=LONG)
        path = tmp_path / "out" / "ledger" / "ledger.jsonl"
        count = path.read_bytes().count(b"\n")
        assert process.returncode == 1 and 0 < count < len(TEXTS) and path.read_bytes().endswith(b"\n")
        assert lines(shown) == [
            f"error: {path}: cannot be written: File too large; its {count} entries are kept, and the same command "
            "goes on from there"
        ]
        asked = len(server.log)
        assert count <= asked <= count + WINDOW
        generate(config(tmp_path, server.url))
        assert len(server.log) - asked == len(TEXTS) - count
    assert contents(tmp_path / "out") == uninterrupted(tmp_path)


def test_a_disk_without_room_for_the_rows_leaves_the_answers(tmp_path, monkeypatch):
    """The ledger has taken all answers; writing the rows fails."""
    with serving(server := FaultyTGI(faults=0.0)):
        settings = config(tmp_path, server.url)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        generate(settings)
        for path in [*(tmp_path / "out" / "accepted").iterdir()]:
            path.unlink()
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
        try:
            with pytest.raises(XlingError, match=r"/out: its rows cannot be written: .*File too large; all an"):
                generate(settings)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        generate(settings)
        assert len(server.log) == len(TEXTS)
    assert contents(tmp_path / "out") == uninterrupted(tmp_path)
