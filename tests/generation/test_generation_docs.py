"""Every command of docs/generation.md, run as it stands there over sentences, endpoints and a model of the tests."""

import os
import shlex
import subprocess
import sys
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


@pytest.mark.slow
@pytest.mark.distributed
def test_every_command_of_the_guide(tmp_path):
    (tmp_path / "sentences.txt").write_text("".join(f"The dog number {n} runs.\n" for n in range(10, 130)))
    (tmp_path / "simplify.yaml").write_text(PROMPT)
    (tmp_path / "snli.jsonl").write_text('{"premise": "A dog runs.", "hypothesis": "An animal moves."}\n')
    make_llama(tmp_path / "llama")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "ACCELERATE_USE_CPU": "true",
    }
    servers = [LoopbackTGI(lambda source: f"In other words, {source} once more") for _ in range(2)]
    for server in servers:
        server.source_in = lambda prompt: str(prompt)[-60:]
    with serving(servers[0].app()) as one, serving(servers[1].app()) as other:
        ran = []
        for command in commands():
            for ours, stands_for in (
                (one, "http://127.0.0.1:8080"),
                (other, "http://127.0.0.1:8081"),
                ("llama", "Qwen/Qwen2.5-0.5B-Instruct"),
                ("snli.jsonl", "stanfordnlp/snli"),
            ):
                command = command.replace(stands_for, ours)
            done = subprocess.run(
                shlex.split(command), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, f"{command}\n{done.stderr[-3000:]}"
            ran.append(done.stdout)
    assert len(ran) == 6 and "nothing was asked or written" in ran[2]
    assert not (tmp_path / "runs" / "paraphrase").exists()
    ledgers = {path.name for path in (tmp_path / "runs" / "two-processes" / "ledger").glob("*.jsonl")}
    assert ledgers == {"ledger.jsonl", "ledger-00001.jsonl"}
    assert all(server.seen for server in servers)
