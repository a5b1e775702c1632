import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from unittest.mock import ANY

import pytest
from corpus_folders import SCRIPTS, card, copy_of, load

from hf_xling.corpora.builders import main
from hf_xling.runs import file_hash

# Cards


def test_the_front_matter_is_yaml_of_the_hub(corpus):
    runs = ("translate", "paraphrase-translate")
    folder = corpus("snli_tamil_paraphrased", *runs, license="cc-by-sa-4.0")
    front, _ = card(folder)
    for config in front["configs"]:
        (file,) = folder.glob(config["data_files"][0]["path"])
        assert file.parent == folder / config["config_name"] and file.name.startswith("train-00000-of-00001")
    assert front["language"] == ["en", "ta"] and front["license"] == "cc-by-sa-4.0"
    assert "synthetic" in front["tags"]
    assert front["configs"] == [
        {
            "config_name": "sentences",
            "data_files": [{"split": "train", "path": ANY}],
            "default": True,
        },
        {"config_name": "pairs", "data_files": [{"split": "train", "path": ANY}]},
    ]
    front, body = card(corpus("snli_sentences"))
    assert "license" not in front and "synthetic" not in front["tags"] and front["language"] == ["en"]
    assert "Nothing in this dataset was generated." in body and "Not stated" in body


def test_the_card_tells_sources_counts_and_models(corpus, stage_1):
    _, body = card(corpus("snli_paraphrased", "paraphrase", repo_id="me/mine"))
    assert f"`nli.jsonl` (SHA-256 `{file_hash(stage_1 / 'nli.jsonl')}`): 6 texts,\n1 of them empty, 4 distinct" in body
    assert "| sentences | 7 |" in body and "| pairs | 3 |" in body
    assert "org/writer" in body and "abc123" in body and 'load_dataset("me/mine", "pairs"' in body
    assert re.search(r"\| 6 \| 4 \| 1 no&#95;source&#95;text, 1 copy \||\| 6 \| 4 \| 1 copy, 1 no&#95;source", body)


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_path_of_this_machine_is_in_a_card_or_in_the_rows(script, corpus, tmp_path, stage_1):
    spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
    folder = corpus(script, *("-".join(chain) for chain in spec.chains))
    files = [folder / "README.md", *folder.rglob("*.parquet")]
    for content in (file.read_bytes() for file in files):
        assert str(tmp_path).encode() not in content and str(stage_1).encode() not in content
        assert b"pytest-of-" not in content and str(Path.home()).encode() + b"/" not in content


HOSTILE = "x|y</td><script>alert(1)</script>[z](http://evil.example)`\n# owned\n---\n![i](http://e)"


def test_hostile_names_are_inert_in_the_card(corpus, stage_1, tmp_path):
    run = copy_of(stage_1 / "paraphrase", tmp_path / "run", lambda row: {"model_id": HOSTILE})
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    manifest |= {"model_id": HOSTILE, "model_sha": HOSTILE, "prompt_id": HOSTILE, "reasons": {HOSTILE: 3}}
    manifest["prompt"] |= {"system": HOSTILE, "instruction": "``` " + HOSTILE}
    (run / "manifest.json").write_text(json.dumps(manifest))
    folder = corpus("snli_paraphrased", run, source_name=HOSTILE, license=HOSTILE)
    front, body = card(folder)
    assert front["license"] == HOSTILE and set(front) == {
        *("pretty_name", "language", "license", "task_categories", "tags", "configs")
    }
    assert HOSTILE in front["pretty_name"]
    outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", body, flags=re.S)
    assert "<script" not in outside_code and "](http" not in outside_code and "http:" not in outside_code
    assert not re.search(r"^# owned|^---$", body, re.M)
    (model_row,) = (line for line in body.splitlines() if line.startswith("| paraphrase"))
    assert model_row.count("|") == 8  # seven cells
    assert {row["model_id"] for row in load(folder, "pairs")} == {HOSTILE}


# Scripts


def test_each_script_says_what_it_wants(capsys):
    for script in SCRIPTS:
        spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
        assert spec.name == script
        with pytest.raises(SystemExit):
            main(spec, ["--help"])
        shown = capsys.readouterr().out
        assert f"dataset_scripts/{script}.py" in shown and "--source SOURCE" in shown and "{source}" not in shown


def test_a_script_builds_and_fails_in_one_line(stage_1, tmp_path):
    script = Path(import_module("hf_xling.dataset_scripts.snli_sentences").__file__)
    command = [sys.executable, str(script), "--source", str(stage_1 / "nli.jsonl"), "--output_dir", str(tmp_path / "d")]
    environment = os.environ | {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (0, f"snli_sentences: 4 sentences\ndataset: {tmp_path / 'd'}\n")
    done = subprocess.run([*command, "--text_column", "x"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.endswith("nli.jsonl: has no column `x`; its columns are premise, hypothesis\n")
