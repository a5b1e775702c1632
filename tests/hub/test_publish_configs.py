"""Datasets of several configs and of splits by other names, read from a loopback Hub by the stages before training."""

import pytest
from published import command

pytestmark = pytest.mark.slow  # the client's imports take seconds


def push(repo_id, config, splits):
    from datasets import Dataset, DatasetDict

    rows = {name: Dataset.from_dict({"text": texts, "label": [1.0] * len(texts)}) for name, texts in splits.items()}
    DatasetDict(rows).push_to_hub(repo_id, config)


def texts(folder, config, split):
    from hf_xling.tables import read_table

    columns = read_table(folder, config, split).columns
    return columns.get("text") or columns["anchor"]


def test_a_config_of_a_hub_dataset_through_corpora_and_stage_1(hub, call, tmp_path):
    for config in ("ta", "te"):
        splits = {name: [f"{config} {name} a", f"{config} {name} b"] for name in ("train", "dev", "extra")}
        call(push, "org/several", config, splits)
    for script, more, name in (
        ("hf_xling.dataset_scripts.snli_sentences", [], "sentences"),
        ("hf_xling.dataset_scripts.tamil_movie_reviews", ["--near_threshold", "1"], "raw"),
    ):
        out = str(tmp_path / name)
        argv = ["--source", "org/several", "--output_dir", out, *more]
        status, _, err = call(command, script, argv)
        assert status == 2
        assert err == "error: org/several: has several configs; --dataset_config names one of ta, te\n"
        status, _, err = call(command, script, [*argv, "--dataset_config", "te"])
        assert status == 0 and "org/several: `dev` is its validation split, `extra` is left out" in err
        assert call(texts, out, name, "validation") == ["te dev a", "te dev b"]
        readme = (tmp_path / name / "README.md").read_text("utf-8")
        assert f"`org/several` (revision `{hub.repos['datasets', 'org/several'].at().sha}`), config `te`" in readme
    argv = ["--input", "org/several", "--task", "paraphrase", "--language", "en", "--dry_run", "--output_dir", "x"]
    status, out, _ = call(command, "hf_xling.generation.stage", [*argv, "--dataset_config", "ta", "--split", "extra"])
    assert status == 0 and "ta extra a" in out
    status, _, err = call(command, "hf_xling.generation.stage", [*argv, "--dataset_config", "hi"])
    assert status == 2 and err == "error: org/several: has no config `hi`; its configs are ta, te\n"
    status, _, err = call(command, "hf_xling.generation.stage", [*argv, "--dataset_config", "ta", "--split", "no"])
    assert status == 2 and err.endswith("has no split `no`; its splits are train, dev, extra\n")
