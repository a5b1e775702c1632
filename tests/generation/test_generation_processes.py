import os
import subprocess
import sys

import pytest
from generation_runs import CLI, DEAD, arguments, other_words, rows
from loopback import LoopbackTGI

from hf_xling.sample.replay import serving

# Processes of their own


@pytest.mark.parametrize("wire", ["generate", "chat", "no info"])
def test_generation_works_offline_and_needs_no_torch(tmp_path, wire):
    (tmp_path / "input.txt").write_text("one\ntwo\n")
    program = (
        "import sys\nfrom hf_xling.generation.stage import main\nmain(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules, 'torch'\nassert 'datasets' not in sys.modules, 'datasets'\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "error"}
    server = LoopbackTGI(other_words)
    if wire == "no info":
        server.info, wire = None, "auto"
    with serving(server.app()) as url:
        command = [sys.executable, "-c", program, *arguments(tmp_path, url, "out"), f"--wire={wire}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "out", "accepted")) == 2


def test_a_failure_on_the_command_line_is_one_line_and_a_status(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    done = subprocess.run([*CLI, *arguments(tmp_path, DEAD, "out")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: --endpoint {DEAD}: no connection") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("key", [[], ["--api_key_variable=MY_KEY"]])
def test_tokens_go_where_they_are_meant_for_and_are_written_nowhere(tmp_path, key):
    (tmp_path / "input.txt").write_text("one\nbad\n")
    server = LoopbackTGI(lambda source: 401 if source == "bad" else other_words(source))
    environment = os.environ | {"HF_TOKEN": "hf_VerySecretToken", "MY_KEY": "sk-VerySecretKey"}
    with serving(server.app()) as url:
        command = [*CLI, *arguments(tmp_path, url, "out"), *key, "--debug"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == "" and "1 of 2 texts are unanswered" in done.stderr
    sent = [headers.get("Authorization") for headers in server.headers]
    assert sent == (["Bearer sk-VerySecretKey"] if key else [None]) * 3
    assert not any("VerySecretToken" in str(headers) for headers in server.headers)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5 and "VerySecret" not in done.stderr
    for path in files:
        content = path.read_bytes() + str(path).encode()
        assert b"VerySecret" not in content and b"Authorization" not in content
