"""Each command of docs/generation.md, run as it is written there over sentences, endpoints and a model of the tests."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import LoopbackTGI
from tiny_llama import make_llama

from hf_xling.sample.replay import serving

ROOT = Path(__file__).parents[2]
PROMPT = """
name: simplify
version: 1
system: You simplify {{ source_language }} sentences.
instruction: Say this in plain words.
form: llama3
"""


def commands() -> list[str]:
    text = (ROOT / "docs" / "generation.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```bash\n")[1:]]
    return [block.replace("\\\n", " ").strip() for block in blocks]


def name_of(command: str) -> str:
    return command.partition("--output_dir runs/")[2].split()[0]


def answer(prompt: str) -> str:
    number = re.search(r"The dog number (\d+) runs\.", prompt)[1]
    return f"कुकुर नम्बर {number} दौडिन्छ।" if "Nepali" in prompt else f"In other words, the dog with {number} is running"


@pytest.fixture(scope="module")
def servers() -> list[LoopbackTGI]:
    servers = [LoopbackTGI(answer) for _ in range(2)]
    for server in servers:
        server.source_in = str
    return servers


@pytest.fixture(scope="module")
def run(tmp_path_factory, servers) -> Iterator[Callable[[str], subprocess.CompletedProcess]]:
    """Runs a command in a folder that has what the commands name, against two endpoints."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "sentences.txt").write_text("".join(f"The dog number {n} runs.\n" for n in range(10, 130)))
    (folder / "simplify.yaml").write_text(PROMPT)
    (folder / "ne.yaml").write_text("code: ne\nname: Nepali\nscript: 0900-097F\n")
    (folder / "snli.jsonl").write_text('{"premise": "A dog runs.", "hypothesis": "An animal moves."}\n')
    make_llama(folder / "llama")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "ACCELERATE_USE_CPU": "true",
    }
    with serving(servers[0].app()) as one, serving(servers[1].app()) as other:
        ours = {
            "http://127.0.0.1:8080": one,
            "http://127.0.0.1:8081": other,
            "Qwen/Qwen2.5-0.5B-Instruct": "llama",
            "stanfordnlp/snli": "snli.jsonl",
        }

        def run(command: str) -> subprocess.CompletedProcess:
            for theirs, own in ours.items():
                command = command.replace(theirs, own)
            return subprocess.run(
                shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, timeout=300
            )

        run.folder = folder
        yield run


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("command", [pytest.param(command, id=name_of(command)) for command in commands()])
def test_command_of_the_guide(command, run, servers):
    for server in servers:
        server.seen.clear()
    done = run(command)
    output = run.folder / "runs" / name_of(command)
    if "--serve" in command:  # a random model: nothing that it says is accepted
        assert done.returncode == 1 and "none of 120 rows is accepted" in done.stderr, done.stderr[-3000:]
        return
    assert done.returncode == 0, done.stderr[-3000:]
    if "--dry_run" in command:
        assert "nothing was asked or written" in done.stdout and not output.exists()
        return
    asked = {url for url in ("8080", "8081") if url in command}
    assert {url for url, server in zip(("8080", "8081"), servers, strict=True) if server.seen} == asked
    if "accelerate" in command:
        assert {path.name for path in (output / "ledger").glob("*.jsonl")} == {"ledger.jsonl", "ledger-00001.jsonl"}


def test_the_guide_has_commands():
    assert len({name_of(command) for command in commands()}) == len(commands()) > 3
