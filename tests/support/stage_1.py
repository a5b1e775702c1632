"""Runs of stage 1 over a small source, answered from a table."""

import json
from pathlib import Path

from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import Recording, make_app, serving


def write_rows(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def run_stage_1(
    folder: Path, source: Path, paraphrases: dict, translations: dict, language: str = "ta", **more
) -> None:
    """The runs `paraphrase`, `translate` and `paraphrase-translate` in `folder`, over the NLI rows of `source`."""
    answers = {("paraphrase", text): answer for text, answer in paraphrases.items()}
    answers |= {("translate", text): answer for text, answer in translations.items()}
    nli = {"input": str(source), "text_column": ["premise", "hypothesis"]}
    runs = {
        "paraphrase": {**nli, "task": "paraphrase", "language": "en"},
        "translate": {**nli, "task": "translate", "language": language},
        "paraphrase-translate": {
            "input": str(folder / "paraphrase" / "accepted"),
            "task": "translate",
            "language": language,
        },
    }
    with serving(make_app(Recording(answers, "org/writer", "abc123"))) as url:
        for name, fields in runs.items():
            generate(GenerateConfig(endpoint=url, output_dir=str(folder / name), **fields, **more))
