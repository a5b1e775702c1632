"""datatrove's inference runner against the benchmark's server; runs in an environment of its own.

Its `endpoint` server type, its own way of resuming switched on (`checkpoints_local_dir`), all else as it comes.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter
from measured import measuring, tell

PROMPT = (
    "You translate English into Tamil. Answer with the translation and nothing else.\n\n### Instruction:\n"
    "Translate this sentence into Tamil.\n\n### Input:\n{text}\n\n### Response:\n"
)


async def rollout(document: Document, generate) -> Any:
    """Ask once about a document."""
    messages = [{"role": "user", "content": PROMPT.format(text=document.text)}]
    return await generate({"messages": messages, "max_tokens": 320, "temperature": 0.7, "seed": 0})


def main() -> None:
    """Parse, run, and tell what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--in_flight", type=int, default=128)
    options = parser.parse_args()
    folder, report = Path(options.folder), {"version": version("datatrove")}
    config = InferenceConfig(
        server_type="endpoint",
        model_name_or_path="benchmark/model",
        endpoint_url=options.url,
        max_concurrent_generations=options.in_flight,
    )
    writer = JsonlWriter(str(folder / "output"), "${rank}_chunk_${chunk_index}.jsonl", compression=None)
    runner = InferenceRunner(rollout, config, writer, checkpoints_local_dir=str(folder / "checkpoints"))
    texts = Path(options.texts).read_text(encoding="utf-8").splitlines()
    with measuring(report):
        runner.run(Document(text=text, id=str(number)) for number, text in enumerate(texts))
    rows = sum(path.read_bytes().count(b"\n") for path in (folder / "output").glob("*.jsonl"))
    tell({"rows": rows, **report})


if __name__ == "__main__":
    main()
