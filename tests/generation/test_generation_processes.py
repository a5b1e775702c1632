import json
import os
import signal
import subprocess
import sys

import pytest
from generation_runs import CLI, DEAD, arguments, contents, other_words, rows
from loopback import LoopbackTGI

from hf_xling.generation.ledger import Ledger
from hf_xling.sample.replay import serving

# Processes of their own


def test_generation_works_offline_and_needs_no_torch(tmp_path):
    (tmp_path / "input.txt").write_text("one\ntwo\n")
    program = (
        "import sys\nfrom hf_xling.generation.stage import main\nmain(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules, 'torch'\nassert 'datasets' not in sys.modules, 'datasets'\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "error"}
    with serving(LoopbackTGI(other_words).app()) as url:
        command = [sys.executable, "-c", program, *arguments(tmp_path, url, "out")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "out", "accepted")) == 2


def test_a_failure_on_the_command_line_is_one_line_and_a_status(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    done = subprocess.run([*CLI, *arguments(tmp_path, DEAD, "out")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: --endpoint {DEAD}: no connection") and done.stderr.count("\n") == 1


def test_the_token_is_sent_and_written_nowhere(tmp_path):
    (tmp_path / "input.txt").write_text("one\nbad\n")
    server = LoopbackTGI(lambda source: 401 if source == "bad" else other_words(source))
    environment = os.environ | {"HF_TOKEN": "hf_VerySecretToken"}
    with serving(server.app()) as url:
        command = [*CLI, *arguments(tmp_path, url, "out")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == "" and "1 of 2 texts are unanswered" in done.stderr
    assert len(server.headers) == 3
    assert not any("VerySecretToken" in str(headers) or "Authorization" in headers for headers in server.headers)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5 and "VerySecretToken" not in done.stderr
    for path in files:
        content = path.read_bytes() + str(path).encode()
        assert b"VerySecretToken" not in content and b"Authorization" not in content


def run_with_kills(tmp_path, texts: list[str], kills: list[int]) -> None:
    """Run, killed when the server has been asked so many times and taken up again; compare with a run left in peace."""
    (tmp_path / "input.txt").write_text("".join(f"{text}\n" for text in texts))
    window, process, killed, asked, due, paid_for = 4, None, None, 0, list(kills), {}

    def answer(source):
        nonlocal asked, killed
        asked += 1
        # What a process had in flight when it was killed is still counted, but kills nobody.
        if due and asked >= due[0] and process is not killed:
            due.pop(0)
            os.kill(process.pid, signal.SIGKILL)
            killed = process
        return other_words(source)

    server = LoopbackTGI(answer)
    with serving(server.app()) as url:
        for _ in kills:
            process = subprocess.Popen([*CLI, *arguments(tmp_path, url, "killed")], stderr=subprocess.DEVNULL)
            assert process.wait(timeout=60) == -signal.SIGKILL
            assert not (tmp_path / "killed" / "accepted").exists()
            with Ledger(tmp_path / "killed" / "ledger") as ledger:
                lines = ledger.path.read_text("utf-8").splitlines()
            kept = {json.loads(line.partition(" ")[2])["text"] for line in lines}
            assert len(server.seen) - window <= len(lines) == len(kept) <= len(server.seen)
            # What the ledger holds is never asked for again.
            assert all(server.seen[source] == count for source, count in paid_for.items())
            paid_for |= {source: count for source, count in server.seen.items() if other_words(source) in kept}
        process = subprocess.Popen([*CLI, *arguments(tmp_path, url, "killed")], stderr=subprocess.DEVNULL)
        assert process.wait(timeout=60) == 0
        again = {source for source, count in server.seen.items() if count > 1}
        assert all(server.seen[source] == count for source, count in paid_for.items())
        # What was in flight at a kill is asked for again.
        assert len(again) <= window * len(kills) and sum(server.seen.values()) <= len(texts) + window * len(kills)
        assert set(server.seen) == set(texts)
        process = subprocess.Popen([*CLI, *arguments(tmp_path, url, "whole")], stderr=subprocess.DEVNULL)
        assert process.wait(timeout=60) == 0
    assert not due
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_killed_run_goes_on_and_pays_for_nothing_twice(tmp_path):
    run_with_kills(tmp_path, [f"text {number}" for number in range(40)], [17])


@pytest.mark.slow
def test_a_run_killed_many_times_ends_as_one_left_in_peace(tmp_path):
    run_with_kills(tmp_path, [f"text {number}" for number in range(300)], [1, 30, 95, 170, 171, 240, 300])
