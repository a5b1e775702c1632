import pytest
from generation_runs import config, other_words
from loopback import LoopbackTGI

from hf_xling.generation.stage import generate
from hf_xling.sample.replay import serving


@pytest.fixture
def world(tmp_path):
    """`run(lines or file name, answer)` → the manifest, the output folder and the server that was asked."""

    def run(texts, answer=other_words, server=None, filters=None, **fields):
        if isinstance(texts, list):
            (tmp_path / "input.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
            texts = "input.txt"
        server = server or LoopbackTGI(answer)
        with serving(server.app()) as url:
            manifest = generate(config(tmp_path, url, texts, **fields), filters, longest_wait=0.1)
        return manifest, tmp_path / fields.get("output", "out"), server

    return run
