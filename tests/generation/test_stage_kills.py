"""The real command, killed at any moment: it ends as one left in peace does, and pays for next to nothing twice."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_tgi import Asked, FaultyTGI, serving
from generation_runs import CLI, arguments, rows
from run_accounts import check_lives, check_rows, ledger_keys, request_key, texts_of

WINDOW = 8
PATIENCE = 600.0  # seconds that a process may take for what a test waits for

# Waits for a moment in the life of a process; False if the process ended before.
Moment = Callable[[subprocess.Popen], bool]


class Lives:
    """Processes of one run, one after another. Each asks under a path of its own, so that the server's log tells them.

    Attributes:
        ledgers: the keys in the ledger at the end of each process, by its name.
        killed: the names of those that were killed.
    """

    def __init__(self, tmp_path: Path, server: FaultyTGI, output: str):
        self.tmp_path, self.server, self.folder = tmp_path, server, tmp_path / output
        self.ledgers: dict[str, set[str]] = {}
        self.killed: list[str] = []

    def live(self, until: Moment | None = None) -> None:
        """Run the command, to a kill at that moment or to its end."""
        name = f"{self.folder.name}-{len(self.ledgers)}"
        command = [
            *CLI,
            *arguments(self.tmp_path, f"{self.server.url}/{name}", self.folder),
            f"--max_in_flight={WINDOW}",
        ]
        errors = self.tmp_path / "stderr.txt"
        with open(errors, "wb") as stderr:
            process = subprocess.Popen(command, stderr=stderr, stdout=stderr)
            try:
                if until is not None and until(process):
                    process.kill()
                self.server.holds_from = None
                status = process.wait(PATIENCE)
            finally:
                process.kill()
        assert status in (0, -signal.SIGKILL), errors.read_text("utf-8")
        if status:
            self.killed.append(name)
        keys = ledger_keys(self.folder / "ledger")
        self.ledgers[name] = set(keys)
        assert len(keys) == len(self.ledgers[name]), "an answer is in the ledger twice"

    def at_second(self, seconds: float) -> Moment:
        """So many seconds after the start: most likely the process is importing."""

        def until(process: subprocess.Popen) -> bool:
            self.server.holds_from = len(self.server.log)  # so that it cannot end before
            time.sleep(seconds)
            return process.poll() is None

        return until

    def at_request(self, number: int, seconds: float) -> Moment:
        """So many seconds after the server was asked so often, and by this process at least once."""

        def until(process: subprocess.Popen) -> bool:
            log = self.server.log
            wanted = max(number, len(log) + 1)
            self.server.holds_from = wanted + WINDOW // 2  # it cannot end while these answers are held back
            with self.server.changed:
                while len(log) < wanted and process.poll() is None:
                    self.server.changed.wait(0.1)
            time.sleep(seconds)
            return process.poll() is None

        return until

    def at_rows(self, seconds: float) -> Moment:
        """So many seconds after the process began to write rows."""

        def until(process: subprocess.Popen) -> bool:
            before = set(self.folder.glob(".accepted.*"))
            while process.poll() is None and not set(self.folder.glob(".accepted.*")) - before:
                time.sleep(0.001)
            time.sleep(seconds)
            return process.poll() is None

        return until


def run_with_kills(
    tmp_path: Path, texts: list[str], server: FaultyTGI, *, starting: int, asking: int, writing: int
) -> Lives:
    """Kill a run so often at random moments of each kind, and compare its end with that of a run left in peace."""
    (tmp_path / "input.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
    untroubled = FaultyTGI(faults=0.0)
    killed, peace = Lives(tmp_path, server, "killed"), Lives(tmp_path, untroubled, "peace")
    draw, distinct = random.Random(len(texts)), len(set(texts))
    # A random one in each of equal parts of the run: two that are close together are one to the process.
    numbers = [int((part + draw.random()) * (distinct - 2 * WINDOW) / asking) for part in range(asking)]
    moments = [killed.at_request(number, draw.uniform(0, 0.03)) for number in numbers]
    for _ in range(starting):  # not near the end, which a fast process might reach
        moments.insert(draw.randint(0, len(moments) // 2), killed.at_second(draw.uniform(0, 0.6)))
    moments += [killed.at_rows(draw.uniform(0, 0.1)) for _ in range(writing)]
    with serving(server, untroubled):
        for moment in [*moments, None]:
            killed.live(moment)
        peace.live()

    for kind in ("accepted", "rejected"):
        names = [sorted(part.name for part in (lives.folder / kind).iterdir()) for lives in (killed, peace)]
        assert names[0] == names[1]
        for name in names[0]:
            assert (killed.folder / kind / name).read_bytes() == (peace.folder / kind / name).read_bytes(), name
    manifests = [json.loads((lives.folder / "manifest.json").read_text("utf-8")) for lives in (killed, peace)]
    assert manifests[0] | {"last_run": None} == manifests[1] | {"last_run": None}
    assert not [*killed.folder.glob(".accepted.*"), *killed.folder.glob(".rejected.*")]
    check_rows(texts, rows(killed.folder, "accepted"), rows(killed.folder, "rejected"), server.log)
    lost = check_lives(server.log, killed.ledgers, WINDOW)
    assert {name for name in lost if lost[name]} <= set(killed.killed)
    assert all(most <= WINDOW for most in server.most_in_flight.values())
    assert len(killed.killed) >= starting + asking
    return killed


def test_a_killed_run_goes_on_and_pays_for_nothing_twice(tmp_path):
    texts = texts_of(250, repeated=50)
    server = FaultyTGI(faults=0.1, kinds={"overloaded": 1, "incomplete": 1, "reset": 1, "torn": 1}, latency=0.01)
    run_with_kills(tmp_path, texts, server, starting=1, asking=1, writing=1)


@pytest.mark.slow
def test_a_run_killed_at_fifty_moments_ends_as_one_left_in_peace(tmp_path):
    texts = texts_of(1800, repeated=200)
    server = FaultyTGI(faults=0.0, latency=0.02)
    killed = run_with_kills(tmp_path, texts, server, starting=8, asking=36, writing=6)
    # The kills lay all over the run: nearly each found the ledger in another state, but those behind the asking.
    sizes = [len(killed.ledgers[name]) for name in killed.killed]
    assert len({size for size in sizes if 0 < size < len(server.asked)}) >= 30
    assert len(server.log) <= len(server.asked) + WINDOW * len(killed.killed)


def test_the_accounts_notice_what_is_paid_for_twice_and_what_is_lost():
    def asked(run, number, fault=None):
        body = {"inputs": str(number), "parameters": {"max_new_tokens": 32}}
        return Asked(0.0, run, str(number), str(number), body, 32, fault, is_whole=True)

    keys = [request_key(asked("", number)) for number in range(4)]
    log = [asked("a", 0), asked("a", 1), asked("a", 2, "overloaded"), asked("b", 1), asked("b", 2), asked("b", 3)]
    good = {"a": {keys[0]}, "b": set(keys)}
    assert check_lives(log, good, window=1) == {"a": 1, "b": 0}
    for entries, ledgers, window, complaint in (
        (log, {"a": set(keys[:2]), "b": set(keys)}, 1, "b asked again"),
        (log, good, 0, "a lost 1 answers"),
        (log, {"a": {keys[0]}, "b": set(keys[1:])}, 1, "b lost what was in the ledger"),
        (log, {"a": {keys[0]}, "b": set(keys[:3])}, 1, "something was never answered"),
        ([*log, asked("b", 3)], good, 1, "b asked twice"),
    ):
        with pytest.raises(AssertionError, match=complaint):
            check_lives(entries, ledgers, window)
