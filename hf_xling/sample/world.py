"""Writes the sample world: inference rows, recorded generations, news and reviews, all generated from a seed."""

import csv
import json
import unicodedata
from collections.abc import Iterable
from importlib.resources import files
from io import StringIO
from pathlib import Path
from random import Random

import yaml

from hf_xling.sample.reviews import Review, english_reviews, tamil_reviews
from hf_xling.sample.scenes import LABELS, Inference, Phrase, draw_inferences, render

SENTENCES = 3300


def write_world(folder: Path, seed: int = 0) -> None:
    """Writes the sample world into `folder`; the same seed gives the same bytes.

    - `snli.jsonl`: `premise`, `hypothesis`, `label`; a premise's three rows are next to each other;
    - `pairs.jsonl`: `task`, `source`, `text`: the paraphrase of every distinct English sentence, and the translation of
      every sentence and of every paraphrase;
    - `news_ta.txt`: one Tamil sentence a line;
    - `reviews_en_*.csv` (label 0 or 1) and `reviews_ta_*.csv` (1.0 to 5.0) for train, validation and test.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Each part has its own generator, so that a change to one leaves the others as they were.
    inferences = draw_inferences(Random(f"{seed} scenes"), SENTENCES)
    _write(folder / "snli.jsonl", _jsonl(_snli_rows(inferences, Random(f"{seed} rows"))))
    _write(folder / "pairs.jsonl", _jsonl(_pair_rows(inferences)))
    _write(folder / "news_ta.txt", "".join(f"{line}\n" for line in draw_news(Random(f"{seed} news"))))
    for language, draw in (("en", english_reviews), ("ta", tamil_reviews)):
        for split, reviews in draw(Random(f"{seed} reviews {language}")).items():
            _write(folder / f"reviews_{language}_{split}.csv", _csv(reviews))


def draw_news(rng: Random, sentences: int = 2400) -> list[str]:
    """Distinct sentences of Tamil news, every template in turn: the monolingual corpus."""
    words = yaml.safe_load(files(__package__).joinpath("news.yaml").read_text(encoding="utf-8"))
    towns, templates = words["towns"], words["templates"]
    drawn: dict[str, None] = {}  # keeps the order of drawing
    turn = 0
    while len(drawn) < sentences:
        template, numbers, choices = templates[turn % len(templates)]
        turn += 1
        town, rival = rng.sample(sorted(towns), 2)
        sentence = template.format(
            town=town,
            in_town=towns[town],
            rival=rival,
            day=rng.choice(words["days"]),
            n=rng.choice(range(*numbers)),
            what=rng.choice(choices),
        )
        drawn.setdefault(sentence)
    return list(drawn)


def _snli_rows(inferences: list[Inference], rng: Random) -> Iterable[dict[str, str]]:
    for inference in inferences:
        premise = render(inference.premise).english
        for label, hypothesis in rng.sample(list(zip(LABELS, inference.hypotheses, strict=True)), len(LABELS)):
            yield {"premise": premise, "hypothesis": render(hypothesis).english, "label": label}


def _pair_rows(inferences: list[Inference]) -> Iterable[dict[str, str]]:
    texts: dict[Phrase, None] = {}
    for inference in inferences:
        for scene in (inference.premise, *inference.hypotheses):
            texts.setdefault(render(scene))
    for text in texts:
        yield {"task": "paraphrase", "source": text.english, "text": text.reworded}
        yield {"task": "translate", "source": text.english, "text": text.tamil}
        yield {"task": "translate", "source": text.reworded, "text": text.tamil_reworded}


def _jsonl(rows: Iterable[dict[str, str]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(reviews: list[Review]) -> str:
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("text", "label"))
    writer.writerows((review.text, review.label) for review in reviews)
    return buffer.getvalue()


def _write(path: Path, text: str) -> None:
    path.write_bytes(unicodedata.normalize("NFC", text).encode("utf-8"))
