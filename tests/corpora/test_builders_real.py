"""Corpora of real text, where it lies at hand: from the rows of the source to those published, as tables."""

import csv
import json
from pathlib import Path

import pytest
from datasets import load_dataset
from hf_xling.dataset_scripts import snli_sentences, snli_tamil
from real import lay_out

from hf_xling.corpora.builders import main
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import make_app, read_recording, serving

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no real data here (CONTRIBUTING.md tells what it is)")


def counts_of(folder: Path) -> dict:
    return json.loads((folder / "_run.json").read_text("utf-8"))["counts"]


def check(folder: Path) -> None:
    """From the rows of the source to the published ones nothing is lost untold."""
    counts = counts_of(folder)
    for row in counts.pop("source"):
        used = row["source rows"] - row["no text"] - row["empty text"] - row["unlabelled"]
        assert row["texts"] in (used, 2 * used)
        assert row["texts"] - row["repeated"] - row["in a later split"] == row["sentences"]
    for config, rows in counts.items():
        for row in rows:
            found = row.get("source", 0) + row.get("generated", 0) + row.get("contradictions", 0)
            dropped = [row.get(name, 0) for name in ("in two splits", "not generated", "same again", "leaked")]
            assert found - sum(dropped) == row["rows"] == len(load_dataset(str(folder), config, split=row["split"]))


def test_snli_from_rows_to_sentences(tmp_path):
    sides = [(DATA / f"snli/snli_test.{side}").read_text("utf-8").splitlines() for side in ("s1", "s2")]
    labels = (DATA / "snli/snli_test.labels").read_text("utf-8").splitlines()
    with open(tmp_path / "snli.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("premise", "hypothesis", "label"), *zip(*sides, labels, strict=True)])
    argv = ["--source", str(tmp_path / "snli.csv"), "--validation_share", "0.1", "--test_share", "0.1", "--drop_leaked"]
    closing = main(snli_sentences.SPEC, [*argv, "--output_dir", str(tmp_path / "corpus")])
    print(closing)
    check(tmp_path / "corpus")
    source = counts_of(tmp_path / "corpus")["source"]
    assert sum(row["source rows"] for row in source) == 9824 and sum(row["sentences"] for row in source) > 10_000
    leaked = {row["split"]: row["leaked"] for row in counts_of(tmp_path / "corpus")["sentences"]}
    assert leaked["train"] > 20 and leaked["test"] == 0  # `The man is outside` and `the man is outside .`
    premises = {split: set(load_dataset(str(tmp_path / "corpus"), split=split)["anchor"]) for split in leaked}
    assert not premises["train"] & premises["test"] and not premises["train"] & premises["validation"]


def test_tamil_pairs_from_rows_to_pairs(tmp_path):
    lay_out(DATA, tmp_path / "data", limit=300)
    source, run = tmp_path / "data/english.txt", tmp_path / "run"
    with serving(make_app(read_recording(tmp_path / "data/pairs.jsonl"))) as url:
        generate(GenerateConfig(input=str(source), endpoint=url, output_dir=str(run), task="translate", language="ta"))
    argv = ["--source", str(source), "--source_name", "Wikipedia", "--test_share", "0.1", "--generated", str(run)]
    print(main(snli_tamil.SPEC, [*argv, "--output_dir", str(tmp_path / "corpus")]))
    check(tmp_path / "corpus")
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    generated = sum(row["generated"] for row in counts_of(tmp_path / "corpus")["pairs"])
    assert generated == manifest["accepted"] > 500  # a row of the source is a sentence, and each has its line
