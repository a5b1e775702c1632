"""Stage 1 against a real server: `transformers serve` over a two-layer random Llama, by URL and by --serve."""

import json
import subprocess
from contextlib import nullcontext

import pytest
from generation_runs import CLI, rows
from tiny_llama import make_llama

from hf_xling.generation.ledger import Ledger
from hf_xling.generation.serve import serving_model

ROWS, TOKENS = 200, 24


def run(tmp_path, *options) -> tuple[dict, str]:
    """The manifest and what was said on stderr of a run that accepts nothing, as a random model says nothing of use."""
    fields = {"input": tmp_path / "input.txt", "output_dir": tmp_path / "out", "max_new_tokens": TOKENS}
    command = [*CLI, *(f"--{name}={value}" for name, value in fields.items()), "--task=paraphrase", "--language=en"]
    done = subprocess.run([*command, "--temperature=1", *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and f"none of {ROWS} rows is accepted" in done.stderr, done.stderr[-2000:]
    return json.loads((tmp_path / "out" / "manifest.json").read_text()), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("way", ["url", "serve"])
def test_two_hundred_rows_of_a_real_server(tmp_path, way):
    (tmp_path / "input.txt").write_text("".join(f"The dog number {n} runs.\n" for n in range(10, 10 + ROWS)))
    llama = make_llama(tmp_path / "llama")
    if way == "url":  # a server that somebody else has started goes by the model's own config
        own = llama / "generation_config.json"
        own.write_text(json.dumps(json.loads(own.read_text()) | {"do_sample": True}))
    with serving_model(str(llama), tmp_path / "log") if way == "url" else nullcontext() as served:
        options = [f"--endpoint={served.url}", f"--model={served.model_id}"] if served else [f"--serve={llama}"]
        manifest, said = run(tmp_path, *options)
        again, said_again = run(tmp_path, *options)
    assert "check of one row" in said and "The dog number 10 runs." in said and "check of" not in said_again
    assert manifest["last_run"]["requests"] >= ROWS and again["last_run"]["requests"] == 0
    assert manifest["wire"] == "chat" and manifest["distinct_texts"] == ROWS
    if way == "serve":
        assert (manifest["model_id"], len(manifest["model_sha"])) == ("llama", 40)
    # All that the model said is kept.
    every = rows(tmp_path / "out", "accepted") + rows(tmp_path / "out", "rejected")
    assert sorted(int(row["id"]) for row in every) == list(range(1, ROWS + 1))
    assert all(0 < row["generated_tokens"] <= TOKENS for row in every)
    with Ledger(tmp_path / "out" / "ledger") as ledger:
        answers = [ledger.get(row["request_key"]) for row in every]
    assert all(answer.error is None for answer in answers)
    assert len({answer.text for answer in answers}) > ROWS / 2  # it sampled
