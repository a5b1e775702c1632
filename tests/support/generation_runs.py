"""Small runs of stage 1 for its tests."""

import json
import re
import sys
from pathlib import Path

import pyarrow.parquet

from hf_xling.generation.config import GenerateConfig

CLI = [sys.executable, "-c", "import sys; from hf_xling.cli import main; sys.exit(main())", "generate"]
DEAD = "http://127.0.0.1:9"  # the discard port: nobody listens there


def other_words(source: str) -> str:
    """An acceptable English paraphrase, another one for each source: its letters the other way round, numbers kept."""
    return "In other words, " + re.sub(r"[^\W\d_]+", lambda match: match[0][::-1], source)


def config(tmp_path, url, input="input.txt", output="out", **fields) -> GenerateConfig:
    defaults = {"task": "paraphrase", "language": "en"}
    return GenerateConfig(
        input=str(tmp_path / input), endpoint=url, output_dir=str(tmp_path / output), **{**defaults, **fields}
    )


def rows(folder: Path, kind: str) -> list[dict]:
    return pyarrow.parquet.read_table(folder / kind).to_pylist()


def manifest_of(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def contents(folder: Path) -> dict[str, bytes]:
    """The outcome of a run, byte by byte, but for what the last run of the command took."""
    parts = [path for kind in ("accepted", "rejected") for path in sorted((folder / kind).iterdir())]
    lasting = {name: value for name, value in manifest_of(folder).items() if name != "last_run"}
    return {
        **{str(path.relative_to(folder)): path.read_bytes() for path in parts},
        "manifest.json": json.dumps(lasting).encode(),
    }


def arguments(tmp_path, url, output) -> list[str]:
    fields = {"input": tmp_path / "input.txt", "output_dir": tmp_path / output, "endpoint": url, "max_in_flight": 4}
    return [*(f"--{name}={value}" for name, value in fields.items()), "--task=paraphrase", "--language=en"]
