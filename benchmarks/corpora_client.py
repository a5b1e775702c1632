"""Writes a source and a run of stage 1, or builds the corpus: `python corpora_client.py make|build FOLDER …`."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from measured import measuring, tell

ROWS_PER_PART = 100_000
_LETTERS = "கஙசஞடணதநபமயரலவழளறனஅஆஇஈஉஊஎஏ"
TAMIL = str.maketrans("abcdefghijklmnopqrstuvwxyz", _LETTERS)


def make(folder: Path, rows: int, texts: list[str]) -> None:
    """A source of `rows` distinct sentences as SNLI has them (a premise, three hypotheses), each with a translation.

    The sentences are those of `texts` with four of their words changed at random, and so are the translations, whose
    letters are Tamil's: texts of one word for each of the source, as like and unlike one another as the sources are.
    """
    from hf_xling import runs
    from hf_xling.generation.rows import ROW_SCHEMA

    sentences = list(_sentences(rows, texts, seed=0))
    translations = (text.lower().translate(TAMIL) for text in _sentences(rows, texts, seed=1))
    labels = ("entailment", "neutral", "contradiction")
    with open(folder / "nli.jsonl", "w", encoding="utf-8") as stream:
        for start in range(0, rows, 4):
            premise, *hypotheses = sentences[start : start + 4]
            for hypothesis, label in zip(hypotheses, labels, strict=False):
                row = {"premise": premise, "hypothesis": hypothesis, "label": label}
                stream.write(json.dumps(row) + "\n")
    run = folder / "run"
    (run / "accepted").mkdir(parents=True)
    (run / "rejected").mkdir()
    same = {"language": "ta", "task": "translate", "sample": 0, "prompt_id": "translate", "model_id": "org/model"}
    for part, start in enumerate(range(0, rows, ROWS_PER_PART)):
        numbers = range(start, min(start + ROWS_PER_PART, rows))
        columns = {name: [same.get(name)] * len(numbers) for name in ROW_SCHEMA.names}
        columns["id"] = [str(number) for number in numbers]
        columns["source_text"] = [sentences[number] for number in numbers]
        columns["text"] = [next(translations) for _ in numbers]
        table = pyarrow.table(columns, ROW_SCHEMA)
        pyarrow.parquet.write_table(table, run / "accepted" / f"{part:05d}.parquet")
    counts = {"rows": rows, "accepted": rows, "rejected": 0, "reasons": {}}
    about = dict.fromkeys(("model_sha", "parameters", "samples", "versions", "source"), None)
    prompt = dict.fromkeys(("system", "instruction", "form", "sha256"), "")
    names = {"chain": ["translate"], "source_language": "en", "language": "ta"}
    names |= {"model_id": "org/model", "prompt_id": "translate"}
    manifest = {**about, **counts, **names, "prompt": prompt, "versions": {"hf_xling": "0"}}
    manifest["filters"] = {"similarity_model": None}
    runs.write_json(run / "manifest.json", manifest)
    runs.write_json(run / runs.RUN_FILE, {"command": "hf-xling generate", "arguments": {}, "finished": True})
    tell({})


def _sentences(rows: int, texts: list[str], seed: int) -> Any:
    dice = random.Random(seed)
    vocabulary = sorted({word for text in texts for word in text.split()})
    seen: set[str] = set()
    while len(seen) < rows:
        words = dice.choice(texts).split()
        for _ in range(4):
            words[dice.randrange(len(words))] = dice.choice(vocabulary)
        text = " ".join(words)
        if text not in seen:
            seen.add(text)
            yield text


def build(folder: Path, options: list[str]) -> None:
    """Build the corpus as its script does, and tell what it took."""
    report: dict[str, Any] = {}
    with measuring(report):
        from hf_xling.dataset_scripts.snli_tamil import SPEC

        from hf_xling.corpora.builders import main

        argv = ["--source", str(folder / "nli.jsonl"), "--generated", str(folder / "run"), *options]
        closing = main(SPEC, [*argv, "--output_dir", str(folder / "corpus")])
    print(closing, file=sys.stderr)
    files = list((folder / "corpus").rglob("*.parquet"))
    rows = {path.parent.name: 0 for path in files}
    for path in files:
        rows[path.parent.name] += pyarrow.parquet.read_metadata(path).num_rows
    tell({**report, "published": rows, "mib": sum(path.stat().st_size for path in files) / 2**20})


def main(what: str, folder: str, *options: str) -> None:
    """Make or build."""
    if what == "make":
        rows, *files = options
        texts = [line for file in files for line in Path(file).read_text(encoding="utf-8").splitlines()]
        make(Path(folder), int(rows), [text for text in texts if len(text.split()) > 4])
    else:
        build(Path(folder), list(options))


if __name__ == "__main__":
    main(*sys.argv[1:])
