"""`make real`: the whole pipeline on real text, with recorded answers in place of the language models.

Lays out the real data (see CONTRIBUTING.md) as the recipe `trainers/recipes/real.yaml` wants it, serves real
paraphrases and translations with `hf-xling serve-replay`, and runs `hf-xling experiments`. SNLI sentences have no
recorded answer: they come back as the endpoint's errors and end among the rejected rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from hf_xling.console import run_command
from hf_xling.errors import InputError, XlingError
from hf_xling.experiments.stage import main as run_recipe
from hf_xling.runs import written_aside
from hf_xling.sample.encoder import make_encoder
from hf_xling.tables import read_table

RECIPE = Path(__file__).parents[1] / "trainers" / "recipes" / "real.yaml"
HF_XLING = [sys.executable, "-c", "import sys; from hf_xling.cli import main; sys.exit(main())"]


def lay_out(data: Path, folder: Path, limit: int | None = None) -> None:
    """Write the corpora, the recorded pairs, the two tasks and a small encoder that starts from random weights.

    Args:
        data: the folder of real data.
        folder: to write; taken over only when whole.
        limit: rows of each file to take, for tests.
    """
    if not (data / "tamil_english").is_dir():
        raise InputError(f"{data}: holds no real data; CONTRIBUTING.md tells what belongs there")
    bilingual = [
        tuple(_lines(data / f"tamil_english/{split}.ta-en.{kind}")[:limit] for kind in ("en.0", "en.1", "ta"))
        for split in ("dev", "devtest")
    ]
    pairs = []
    english = []
    for sources, paraphrases, translations in bilingual:
        english += sources
        for source, paraphrase, translation in zip(sources, paraphrases, translations, strict=True):
            pairs.append({"task": "paraphrase", "source": source, "text": paraphrase})
            pairs.append({"task": "translate", "source": source, "text": translation})
            pairs.append({"task": "translate", "source": paraphrase, "text": translation})
    news = _lines(data / "tamil_english/test.ta-en.ta")[:limit]
    english += [line for side in ("s1", "s2") for line in _lines(data / f"snli/snli_test.{side}")[:limit]]
    with written_aside(folder) as aside:
        aside.mkdir()
        _write_lines(aside / "english.txt", dict.fromkeys(english))
        _write_lines(aside / "news_ta.txt", dict.fromkeys(news))
        _write_lines(
            aside / "pairs.jsonl", (json.dumps(pair, ensure_ascii=False) for pair in pairs if all(pair.values()))
        )
        for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
            rated = (line.split(" ", 1) for line in _lines(data / f"sst/sst5-{name}.txt")[:limit])
            _write_csv(aside / f"sst_{split}.csv", ((text, label) for label, text in rated))
        for split, rows in _tweets(data / "tamil_tweets/tamil_binary_sentiment_1k_tweets_v1.csv", limit).items():
            _write_csv(aside / f"tweets_{split}.csv", rows)
        texts = [*english, *news, *(pair["text"] for pair in pairs)]
        for split in ("sst_train", "tweets_train"):
            texts += read_table(aside / f"{split}.csv").column("text")
        make_encoder(aside / "encoder", texts)


def _tweets(path: Path, limit: int | None) -> dict[str, list[tuple[str, str]]]:
    """The tweets, each distinct text once, in seeded splits of 70, 10 and 20 %."""
    table = read_table(path)
    rated = dict(zip(table.column("tweet")[:limit], table.column("sentiment")[:limit], strict=True))
    rows = [(text, label) for text, label in rated.items() if text and label]
    random.Random(0).shuffle(rows)
    train, validation = round(0.7 * len(rows)), round(0.8 * len(rows))
    return {"train": rows[:train], "validation": rows[train:validation], "test": rows[validation:]}


def _lines(path: Path) -> list[str]:
    """The lines of `path`; only line feeds end one (some of the texts hold other separators)."""
    return [" ".join(line.split()) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines if line), encoding="utf-8")


def _write_csv(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows(rows)


def main(argv: Sequence[str]) -> str:
    """Lay out, serve, run; options that are not known here go to `hf-xling experiments`."""
    parser = argparse.ArgumentParser(prog="make real", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of real data")
    parser.add_argument("--output_dir", type=Path, required=True, help="gets data/ and run/")
    parser.add_argument("--limit", type=int, help="rows of each file to take")
    arguments, more = parser.parse_known_args(argv)
    data = arguments.output_dir / "data"
    if not data.exists():
        lay_out(arguments.data, data, arguments.limit)
    serve = [*HF_XLING, "serve-replay", "--pairs", str(data / "pairs.jsonl"), "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()  # empty if it failed; its own line about that is above
            url = next((word for word in line.split() if word.startswith("http://")), None)
            if url is None:
                raise XlingError("hf-xling serve-replay did not start")
            files = {"source": "english.txt", "news": "news_ta.txt"}
            files |= {f"{side}.model_name_or_path": "encoder" for side in ("source_task", "target_task")}
            for side, task in (("source_task", "sst"), ("target_task", "tweets")):
                files |= {f"{side}.{split}_file": f"{task}_{split}.csv" for split in ("train", "validation", "test")}
            options = [f"--{name}={data / file}" for name, file in files.items()]
            options += ["--config", str(RECIPE), f"--output_dir={arguments.output_dir / 'run'}", f"--endpoint={url}"]
            return run_recipe([*options, *more])
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(run_command(main))
