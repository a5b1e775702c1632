"""Rated texts in files, and the corpora that the scripts build of them."""

import csv
import random
import re
from importlib import import_module
from itertools import islice, takewhile
from pathlib import Path

from datasets import Features, load_dataset

from hf_xling.corpora.builders import main
from hf_xling.corpora.rated_corpus import SCHEMA

SCRIPTS = ("tamil_movie_reviews", "imdb_ratings")
SPECS = {name: import_module(f"hf_xling.dataset_scripts.{name}").SPEC for name in SCRIPTS}
TWEETS = Path(__file__).parents[3] / "shared" / "data" / "tamil_tweets" / "tamil_binary_sentiment_1k_tweets_v1.csv"
HOSTILE = "x|y</td><script>alert(1)</script>[z](http://evil.example)`\n# owned\n---\n![i](http://e)"


def reviews(number, seed=0):
    """Distinct reviews of Tamil syllables, none a near duplicate of another."""
    dice = random.Random(seed)
    letters = "கசடதபறயரலவழள"
    signs = ["", "ா", "ி", "ு", "ெ", "்"]
    words = (
        "".join(dice.choice(letters) + dice.choice(signs) for _ in range(dice.randint(2, 5)))
        for _ in range(25 * number)
    )
    return [" ".join(islice(words, 25)) for _ in range(number)]


def write_csv(path, rows, header=("text", "label")):
    with open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return str(path)


def build(output, *argv, script="tamil_movie_reviews"):
    """Run the script; return the folder and the rows of the table in its closing lines."""
    closing = main(SPECS[script], [*map(str, argv), "--output_dir", str(output)])
    return output, table_of(closing)


def table_of(text):
    """The table of rows in a card or in closing lines, by config and split."""
    lines = iter(text.splitlines())
    header = next(line for line in lines if re.match(r"\| *config \| *split \| *source rows ", line))
    rows = [re.findall(r"[\w ]*\w", line) for line in takewhile(lambda line: line.startswith("|"), lines)][1:]
    names = [name.strip() for name in re.findall(r"[\w ]*\w", header)][2:]
    return {
        (config.strip(), split.strip()): dict(zip(names, map(int, counts), strict=True))
        for config, split, *counts in rows
    }


def load(folder, config, split="train"):
    dataset = load_dataset(str(folder), config, split=split)
    assert dataset.features == Features.from_arrow_schema(SCHEMA)
    return dataset.to_list()
