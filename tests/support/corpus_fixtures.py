import random
from importlib import import_module
from pathlib import Path

import pytest
from corpus_folders import PARAPHRASES, SOURCE, TRANSLATIONS
from rated_files import build as build_rated
from rated_files import reviews, write_csv
from stage_1 import run_stage_1, write_rows

from hf_xling.corpora.builders import build
from hf_xling.corpora.text_corpus import TextCorpusConfig


@pytest.fixture(scope="module")
def stage_1(tmp_path_factory):
    """A source and the three runs of stage 1 over it."""
    folder = tmp_path_factory.mktemp("stage_1")
    rows = [{"premise": premise, "hypothesis": hypothesis or None} for premise, hypothesis in SOURCE]
    run_stage_1(folder, write_rows(folder / "nli.jsonl", rows), PARAPHRASES, TRANSLATIONS)
    return folder


@pytest.fixture
def corpus(stage_1, tmp_path):
    """`corpus(script, run, …)` builds with the runs of these names and returns the folder.

    The source is said to be SNLI, in English, where no other is given.
    """

    def make(script, *runs, output=None, source=None, **fields):
        if source is None and script != "tamil_murasu":
            fields = {"source_name": "SNLI", "source_language": "en", **fields}
        source, output = source or stage_1 / "nli.jsonl", output or tmp_path / script
        spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
        folders = [str(run if isinstance(run, Path) else stage_1 / run) for run in runs]
        build(spec, TextCorpusConfig(source=str(source), output_dir=str(output), generated=folders, **fields))
        return output

    return make


@pytest.fixture
def files(tmp_path):
    """`files(train=rows, test=rows)` writes CSV files of (text, label) and returns the options that name them."""

    def write(header=("text", "label"), **splits):
        argv = []
        for split, rows in splits.items():
            argv += [f"--{split}_file", write_csv(tmp_path / f"{split}.csv", rows, header)]
        return argv

    return write


@pytest.fixture(scope="session")
def tamil(tmp_path_factory):
    """480 and 121 reviews as the published files have them; 33 of the test rows stand in train, in other markup."""
    folder = tmp_path_factory.mktemp("tamil")
    texts, dice = reviews(480 + 88), random.Random(1)
    train, test = texts[:480], texts[:33] + texts[480:]
    ratings = {text: dice.randint(4, 18) / 4 for text in texts}
    names = ("ReviewId", "ReviewInTamil", "Rating")
    for split, part, line_break, ampersand in (
        ("train", train, " <NEWLINE> ", "&amp;"),
        ("test", test, "<br />", "&#38;"),
    ):
        marked = [(text.replace(" ", line_break, 1) + ampersand, ratings[text]) for text in part]
        write_csv(folder / f"{split}.csv", [(f"{split}-{place}", *row) for place, row in enumerate(marked)], names)
    argv = ("--source", folder / "train.csv", "--test_file", folder / "test.csv", "--source_language", "ta")
    return *build_rated(folder / "tamil_movie_reviews", *argv), argv, texts, ratings
