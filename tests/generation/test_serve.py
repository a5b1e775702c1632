import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import psutil
import pytest
from tiny_llama import make_llama

from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.serve import Server, find_server, serving_model
from hf_xling.runs import file_hash

SUPPORT = Path(__file__).parents[1] / "support"
LONG = 120.0  # seconds after which a test that waits for something is given up
OPENER = build_opener(ProxyHandler({}))  # straight to loopback, whatever the environment says


class StandIn:
    """A server of `fake_server.py` that behaves as told, and what it reported when it was started."""

    def __init__(self, report: Path, behaviour: str = "healthy", port: int | None = None, **traits):
        self.path = report
        program = [sys.executable, str(SUPPORT / "fake_server.py")]
        self.server = Server(
            "the stand-in", lambda model, free: [*program, str(port or free), behaviour, str(report)], **traits
        )

    @property
    def report(self) -> dict:
        return json.loads(self.path.read_text())


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"eos_token_id": 2, "hidden_size": 8}')
    return folder


def gone(processes: list[int], within: float = LONG) -> bool:
    """Whether all of them end in time; one that nobody has waited for has ended as well."""
    deadline = time.monotonic() + within
    while True:
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in processes):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)


def appears(path: Path, process: subprocess.Popen) -> bool:
    """Whether `process` makes the file before it ends."""
    while process.poll() is None and not path.exists():
        time.sleep(0.02)
    return path.exists()


def test_a_server_is_up_in_the_block_and_gone_behind_it(tmp_path, model, capsys):
    stand_in, log = StandIn(tmp_path / "report"), tmp_path / "logs" / "serve.log"
    with serving_model(str(model), log, server=stand_in.server) as served:
        with OPENER.open(f"{served.url}/health") as answer:
            assert answer.status == 200
        assert served.url.startswith("http://127.0.0.1:")
        assert (served.model_id, served.model_sha) == (str(model), file_hash(model)[:40])
        processes = stand_in.report["processes"]
        # Ctrl-C in the terminal goes to the session of the terminal.
        assert {os.getsid(pid) for pid in processes} != {os.getsid(0)}
        assert not gone(processes, within=0.0)
    assert gone(processes)
    assert "GET /health" in log.read_text()
    assert log.read_text().endswith("the server ended with status -15\n")  # by itself, at SIGTERM
    captured = capsys.readouterr()
    assert captured.out == "" and "starting the stand-in" in captured.err


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failing_block_stops_the_server(tmp_path, model, error):
    stand_in = StandIn(tmp_path / "report")
    with pytest.raises(error), serving_model(str(model), tmp_path / "log", server=stand_in.server):
        raise error
    assert gone(stand_in.report["processes"])


def test_a_server_that_takes_no_sigterm_is_killed_with_all_of_its_processes(tmp_path, model):
    stand_in = StandIn(tmp_path / "report", "stubborn")
    with serving_model(str(model), tmp_path / "log", longest_stop=0.1, server=stand_in.server):
        pass
    assert gone(stand_in.report["processes"])


def test_a_server_whose_guard_was_killed_is_stopped_all_the_same(tmp_path, model):
    stand_in = StandIn(tmp_path / "report", "stubborn")
    with serving_model(str(model), tmp_path / "log", server=stand_in.server):
        psutil.Process(stand_in.report["processes"][0]).parent().kill()
    assert gone(stand_in.report["processes"])


def test_a_server_that_dies_is_one_line_with_its_reason_and_its_log(tmp_path, model):
    stand_in, log = StandIn(tmp_path / "report", "dies"), tmp_path / "log"
    with pytest.raises(EndpointError) as caught, serving_model(str(model), log, server=stand_in.server):
        raise AssertionError
    assert str(caught.value) == f"--serve {model}: the stand-in failed: OSError: no weights here; see {log}"
    assert log.read_text().splitlines()[-1] == "the server ended with status 3"
    assert gone(stand_in.report["processes"])


def test_a_server_that_is_never_healthy_is_stopped(tmp_path, model):
    stand_in, log = StandIn(tmp_path / "report", "deaf"), tmp_path / "log"
    context = serving_model(str(model), log, longest_start=0.1, server=stand_in.server)
    # What the server has written by then depends on how fast it starts.
    with pytest.raises(EndpointError, match=r"the stand-in was not up after 0.1 s: .*; see "), context:
        raise AssertionError
    assert not stand_in.path.exists() or gone(stand_in.report["processes"])


def test_a_port_in_use_is_told(tmp_path, model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stand_in = StandIn(tmp_path / "report", port=taken.getsockname()[1])
        context = serving_model(str(model), tmp_path / "log", server=stand_in.server)
        with pytest.raises(EndpointError, match="in use"), context:
            raise AssertionError


def test_two_servers_at_a_time_have_ports_of_their_own(tmp_path, model):
    first, second = StandIn(tmp_path / "1"), StandIn(tmp_path / "2")
    with (
        serving_model(str(model), tmp_path / "log1", server=first.server) as one,
        serving_model(str(model), tmp_path / "log2", server=second.server) as two,
    ):
        assert one.url != two.url


PARENT = """
import sys, time
from pathlib import Path
sys.path[:0] = {here!r}
from test_serve import StandIn
from hf_xling.generation.serve import serving_model
folder = Path(sys.argv[1])
stand_in = StandIn(folder / "report", sys.argv[2])
with serving_model(str(folder / "model"), folder / "log", longest_stop=0.2, server=stand_in.server) as served:
    (folder / "up").touch()
    time.sleep(600)
"""


@pytest.fixture
def parent(tmp_path, model):
    """`parent(behaviour, ready)` → a process with a server, once it has made the file `ready`, and the report."""
    with ExitStack() as stack:

        def start(behaviour: str, ready: str) -> tuple[subprocess.Popen, dict]:
            command = [
                sys.executable,
                "-c",
                PARENT.format(here=[str(SUPPORT), str(Path(__file__).parent)]),
                str(tmp_path),
                behaviour,
            ]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            stack.callback(process.kill)
            assert appears(tmp_path / ready, process)
            return process, json.loads((tmp_path / "report").read_text())

        yield start


@pytest.mark.parametrize(
    ("behaviour", "ready", "ending"),
    [
        *(("healthy", "up", ending) for ending in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
        ("deaf", "report", signal.SIGKILL),
        ("stubborn", "up", signal.SIGKILL),
    ],
)
def test_no_server_outlives_the_process_that_started_it(parent, behaviour, ready, ending):
    process, report = parent(behaviour, ready)
    assert not gone(report["processes"], within=0.0)
    process.send_signal(ending)
    assert process.wait(LONG) == -ending
    assert gone(report["processes"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets two sockets share a port until one listens")
def test_nobody_else_gets_the_port_while_the_model_is_loading(parent):
    _, report = parent("deaf", "report")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", report["port"]))


def test_bad_models_are_told_before_anything_is_started(tmp_path, model):
    empty, file, log = tmp_path / "empty", tmp_path / "model.gguf", tmp_path / "log"
    empty.mkdir(), file.touch()
    stand_in = StandIn(tmp_path / "report", revisions=True)
    (tmp_path / "a@b").mkdir()
    (tmp_path / "a@b" / "config.json").write_text("{}")
    for name, reason in {
        empty: "holds no config.json; the folder of a checkpoint is needed",
        file: "is a file; the folder of a checkpoint is needed",
        tmp_path / "missing": "no such folder, and no config.json of such a model on the Hub",
        "org/missing": "no such folder, and no config.json of such a model on the Hub",
        tmp_path / "a@b": "the stand-in takes no path with an @",
    }.items():
        with pytest.raises(InputError, match=reason) as caught, serving_model(str(name), log, server=stand_in.server):
            raise AssertionError
        assert str(caught.value).startswith(f"--serve {name}: ") and "\n" not in str(caught.value)
    assert not log.exists() and not stand_in.path.exists()


def test_a_model_of_the_hub_is_known_by_its_commit(tmp_path):
    commit, repository = "c0ffee" * 6 + "c0ff", Path(os.environ["HF_HOME"]) / "hub" / "models--org--cached"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "generation_config.json").write_text('{"eos_token_id": [2, 5], "top_k": 7, "do_sample": false}')
    stand_in = StandIn(tmp_path / "report", samples=False)
    with serving_model("org/cached", tmp_path / "log", server=stand_in.server) as served:
        assert (served.model_id, served.model_sha) == ("org/cached", commit)
        assert json.loads(served.extra_body["generation_config"]) == {
            "do_sample": True,
            "eos_token_id": [2, 5],
            "top_k": 7,
        }


def test_a_server_that_does_not_sample_by_itself_is_told_to(tmp_path, model):
    with serving_model(str(model), tmp_path / "log", server=StandIn(tmp_path / "1").server) as served:
        assert served.extra_body == {}
    stand_in = StandIn(tmp_path / "2", samples=False)
    with serving_model(str(model), tmp_path / "log", server=stand_in.server) as served:
        assert served.extra_body == {"generation_config": '{"do_sample": true, "eos_token_id": 2}'}


def test_a_server_is_handed_no_secrets(tmp_path, model, monkeypatch):
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "VLLM_API_KEY"):
        monkeypatch.setenv(name, "VerySecret")
    stand_in, log = StandIn(tmp_path / "report"), tmp_path / "log"
    with serving_model(str(model), log, server=stand_in.server):
        environment = stand_in.report["environment"]
    assert not any("VerySecret" in value for value in environment.values())
    assert "VerySecret" not in log.read_text()
    assert environment["HF_HUB_OFFLINE"] == "1" and environment["TOKENIZERS_PARALLELISM"] == "false"


def test_the_best_installed_server_is_chosen():
    vllm = find_server(lambda name: object())
    assert (vllm.name, vllm.samples) == ("vLLM", True)
    assert vllm.command("org/model", 1234)[2:] == [
        *("-m", "vllm.entrypoints.openai.api_server", "--model", "org/model"),
        *("--host", "127.0.0.1", "--port", "1234"),
    ]
    transformers = find_server(lambda name: None if name == "vllm" else object())
    assert (transformers.name, transformers.samples) == ("transformers serve", False)
    assert "--continuous-batching" in transformers.command("org/model", 1234)
    with pytest.raises(InputError, match=r"pip install 'hf_xling\[serve\]'"):
        find_server(lambda name: object() if name in ("pydantic", "fastapi", "uvicorn") else None)


@pytest.mark.slow
def test_transformers_serves_a_real_model(tmp_path):
    server = find_server(lambda name: None if name == "vllm" else find_spec(name))
    folder = make_llama(tmp_path / "llama")
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with serving_model(str(folder), tmp_path / "log", server=server) as served:
        processes = [child.pid for child in psutil.Process().children(recursive=True) if child.pid not in before]
        answers = {ask(served, seed=seed) for seed in range(8)}
        assert len(processes) >= 2 and len(answers) > 1, "it samples"
    assert gone(processes)
    with serving_model(str(folder), tmp_path / "log", server=server) as served:
        assert len({ask(served, seed=seed, temperature=0.0) for seed in range(4)}) == 1, "it is greedy"


def ask(served, **fields) -> str:
    body = {"model": served.model_id, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 16}
    body |= {"temperature": 0.7, **served.extra_body, **fields}
    url, headers = f"{served.url}/v1/chat/completions", {"Content-Type": "application/json"}
    with OPENER.open(Request(url, json.dumps(body).encode(), headers), timeout=LONG) as stream:
        answer = json.load(stream)
    assert answer["usage"]["completion_tokens"] in range(1, 17)
    return answer["choices"][0]["message"]["content"]
