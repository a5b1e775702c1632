"""`make real` on a cut of the real data, where it lies at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from real import lay_out, main

from hf_xling.errors import InputError

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no real data here (CONTRIBUTING.md tells what it is)")


def test_a_folder_without_the_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: holds no real data"):
        lay_out(tmp_path / "nowhere", tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


@needs_data
def test_layout_of_the_real_data(tmp_path: Path) -> None:
    lay_out(DATA, tmp_path / "data", limit=50)
    english = (tmp_path / "data/english.txt").read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line) for line in (tmp_path / "data/pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    known = {pair["source"] for pair in pairs if pair["task"] == "paraphrase"}
    assert len(english) == len(set(english)) and set(english) - known and known <= set(english)
    assert {pair["task"] for pair in pairs} == {"paraphrase", "translate"}
    assert not list((tmp_path / "data").glob("*.tmp")) and (tmp_path / "data/encoder/config.json").exists()


@needs_data
@pytest.mark.slow
def test_the_pipeline_holds_on_real_text(tmp_path: Path) -> None:
    options = "--limit 120 --seeds 1 --simcse.max_steps 2 --simcse.per_device_train_batch_size 8"
    options += " --regression.num_train_epochs 1 --target_task.num_train_epochs 1"
    closing = main(["--data", str(DATA), "--output_dir", str(tmp_path), *options.split()])
    assert "ta-simcse-paraphrased-translated" in closing and "tweets_test.csv" in closing
    manifest = json.loads((tmp_path / "run/generation/paraphrase/manifest.json").read_text(encoding="utf-8"))
    # SNLI's sentences have no recorded answer: errors of the endpoint, kept as rejected rows.
    assert manifest["reasons"]["endpoint"] > 50 and manifest["accepted"] > 50
    assert manifest["accepted"] + manifest["rejected"] == manifest["rows"]
