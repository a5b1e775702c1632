import json
import os
import subprocess
import sys

import pytest
from generation_runs import CLI, DEAD, arguments, other_words, rows
from loopback import LoopbackTGI

from hf_xling.console import run_command
from hf_xling.generation.stage import main
from hf_xling.sample.replay import serving

# Processes of their own


def test_generation_works_offline_and_needs_no_torch(tmp_path):
    (tmp_path / "input.txt").write_text("one\ntwo\n")
    program = (
        "import json, sys\nfrom hf_xling.generation.stage import main\n"
        "for argv in json.loads(sys.argv[1]):\n    main(argv)\n"
        "assert 'torch' not in sys.modules, 'torch'\nassert 'datasets' not in sys.modules, 'datasets'\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "error"}
    tgi, other = LoopbackTGI(other_words), LoopbackTGI(other_words)
    other.info = None
    with serving(tgi.app()) as url, serving(other.app()) as other_url:
        runs = {"generate": url, "chat": url, "auto": other_url}
        argvs = [[*arguments(tmp_path, url, wire), f"--wire={wire}"] for wire, url in runs.items()]
        command = [sys.executable, "-c", program, json.dumps(argvs)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert all(len(rows(tmp_path / wire, "accepted")) == 2 for wire in runs)


def test_a_failure_on_the_command_line_is_one_line_and_a_status(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    done = subprocess.run([*CLI, *arguments(tmp_path, DEAD, "out")], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: --endpoint {DEAD}: no connection") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("key", [[], ["--api_key_variable=MY_KEY"]])
def test_tokens_go_where_they_are_meant_for_and_are_written_nowhere(tmp_path, key, monkeypatch, capsys):
    (tmp_path / "input.txt").write_text("one\nbad\n")
    server = LoopbackTGI(lambda source: 401 if source == "bad" else other_words(source))
    monkeypatch.setenv("HF_TOKEN", "hf_VerySecretToken")
    monkeypatch.setenv("MY_KEY", "sk-VerySecretKey")
    with serving(server.app()) as url:
        assert run_command(main, [*arguments(tmp_path, url, "out"), *key, "--debug"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "1 of 2 texts are unanswered" in err and "VerySecret" not in err
    sent = [headers.get("Authorization") for headers in server.headers]
    assert sent == (["Bearer sk-VerySecretKey"] if key else [None]) * 3
    assert not any("VerySecretToken" in str(headers) for headers in server.headers)
    written = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert str(tmp_path / "out" / "ledger" / "ledger.jsonl") in written
    for path, content in written.items():
        content += path.encode()
        assert b"VerySecret" not in content and b"Authorization" not in content
