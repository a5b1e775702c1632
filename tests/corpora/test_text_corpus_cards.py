import hashlib
import html
import json
import os
import re
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from unittest.mock import ANY

import datasets
import pytest
from corpus_folders import SCRIPTS, card, copy_of, load, rejected_rows, write_rejected
from datasets.utils.metadata import MetadataConfigs, known_task_ids
from hf_xling.dataset_scripts import snli_sentences
from huggingface_hub import DatasetCard, DatasetCardData

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.runs import file_hash

RESOURCES = Path(datasets.__file__).parent / "utils" / "resources"
FIELDS = {
    *("pretty_name", "language", "multilinguality", "license", "license_name", "license_link", "annotations_creators"),
    *("language_creators", "source_datasets", "size_categories", "task_categories", "tags", "configs"),
    "hf_xling",
}
# Cards


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_front_matter_keeps_the_rules_of_the_hub_and_of_datasets(script, built):
    chains = import_module(f"hf_xling.dataset_scripts.{script}").SPEC.chains
    folder = built(script, *("-".join(chain) for chain in chains), repo_id="me/mine")
    data = DatasetCard.load(folder / "README.md", ignore_metadata_errors=False).data
    front = data.to_dict()
    assert set(front) <= FIELDS and DatasetCardData(**front).to_dict() == front
    unsaid = (
        {"language", "multilinguality", "language_creators", "source_datasets"} if script == "tamil_murasu" else set()
    )
    assert not unsaid & set(front)
    for name in FIELDS - {"license", "license_name", "license_link", "pretty_name", "configs", "hf_xling"} - unsaid:
        assert front[name] and all(isinstance(each, str) for each in front[name])
    resources = {path.stem: json.loads(path.read_text("utf-8")) for path in RESOURCES.glob("*.json")}
    assert set(front["annotations_creators"]) <= set(resources["creators"]["annotations"])
    assert set(front.get("language_creators", ())) <= set(resources["creators"]["language"])
    assert set(front.get("multilinguality", ())) <= set(resources["multilingualities"])
    assert set(front["size_categories"]) <= set(resources["size_categories"])
    assert set(front.get("language", ())) <= set(resources["languages"])
    assert set(front["task_categories"]) <= set(known_task_ids)
    assert all(re.fullmatch(r"extended\|\w+|[\w.-]+/[\w.-]+", each) for each in front.get("source_datasets", ()))
    configs = MetadataConfigs.from_dataset_card_data(data)
    assert list(configs) == (["sentences", "pairs"] if chains else ["sentences"])
    assert configs.get_default_config_name() == "sentences"
    if front.get("license") == "other":
        assert re.fullmatch(r"[a-z0-9.-]+", front["license_name"])
        assert re.fullmatch(r"https://\S+", front["license_link"])
    else:
        assert front.get("license") == (None if script == "tamil_murasu" else "cc-by-sa-4.0")
        assert "license_name" not in front and "license_link" not in front
    made = ["machine-generated"] if chains else []
    assert front["annotations_creators"] == (made or ["no-annotation"]) and ("synthetic" in front["tags"]) == bool(
        chains
    )
    if not unsaid:
        assert front["language_creators"] == ["crowdsourced", *made] and front["source_datasets"] == ["extended|snli"]
        assert front["multilinguality"] == ["translation" if "translate" in str(chains) else "monolingual"]
    assert front["size_categories"] == ["n<1K"]


def test_a_size_category_holds_its_rows(corpus, tmp_path):
    for count, category in ((999, "n<1K"), (1000, "1K<n<10K"), (10_001, "10K<n<100K")):
        texts = (hashlib.sha256(bytes([row % 256, row // 256])).hexdigest() for row in range(count))  # no duplicates
        (tmp_path / "source.txt").write_text("\n".join(texts))
        front, _ = card(corpus("tamil_murasu", source=tmp_path / "source.txt", output=tmp_path / str(count)))
        assert front["size_categories"] == [category]


def test_the_front_matter_is_yaml_of_the_hub(built):
    runs = ("translate", "paraphrase-translate")
    folder = built("snli_tamil_paraphrased", *runs, license="cc-by-sa-4.0")
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
    front, body = card(built("snli_sentences", source_name="The News"))
    assert "license" not in front and "synthetic" not in front["tags"] and front["language"] == ["en"]
    assert "Building it generated no text." in body and "No licence is known for the whole" in body


def test_the_card_tells_sources_counts_and_models(built, stage_1):
    _, body = card(built("snli_paraphrased", "paraphrase", repo_id="me/mine"))
    assert f"`nli.jsonl` (SHA-256 `{file_hash(stage_1 / 'nli.jsonl')}`)" in body
    assert "| train |           3 |       1 |          0 |          0 |     4 |        0 |" in body  # of the source
    # `A dog runs.` is in two rows of the source, and so is its paraphrase.
    assert "| train |      4 |         4 |          1 |      0 |    7 |" in body  # sentences
    assert "| train |         4 |          1 |      0 |    3 |" in body  # pairs
    assert "org/writer" in body and "abc123" in body and 'load_dataset("me/mine", "pairs"' in body
    assert re.search(r"\| 6 \| 4 \| 1 no&#95;source&#95;text, 1 copy \||\| 6 \| 4 \| 1 copy, 1 no&#95;source", body)


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_path_of_this_machine_is_in_a_card_or_in_the_rows(script, built, tmp_path, stage_1):
    spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
    folder = built(script, *("-".join(chain) for chain in spec.chains))
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
    folder = corpus("snli_paraphrased", run, source_name=HOSTILE)
    front, body = card(folder)
    assert HOSTILE not in str(front.get("license_name"))
    assert HOSTILE in front["pretty_name"]
    outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", body, flags=re.S)
    assert "<script" not in outside_code and "](http" not in outside_code and "http:" not in outside_code
    assert not re.search(r"^# owned|^---$", body, re.M)
    (model_row,) = (line for line in body.splitlines() if line.startswith("| paraphrase"))
    assert model_row.count("|") == 8  # seven cells
    assert {row["model_id"] for row in load(folder, "pairs")} == {HOSTILE}


# Where data and servers put what must not be published


def test_rejected_rows_are_shown_cut_and_inert(corpus, stage_1, tmp_path):
    def change(row):
        return {"text": HOSTILE + "x" * 500, "source_text": HOSTILE + row["source_text"], "reason": "copy: of /etc/x"}

    rejected = [{**row, **change(row)} for row in rejected_rows(stage_1 / "paraphrase")[:1] * 5]
    run = copy_of(stage_1 / "paraphrase", tmp_path / "run", reasons={"copy": 5}, rejected=5)
    for row, name in zip(rejected, "abcde", strict=True):
        row["source_text"] += name
    write_rejected(run, rejected)
    _, body = card(corpus("snli_paraphrased", run))
    lines = [line for line in body.splitlines() if line.startswith(("| copy |", "| copy | 5"))]
    assert [line.split(" | ")[1] for line in lines] == ["5", "", ""]  # three of five
    for line in lines:
        assert line.count("|") == 5 and "&lt;script&gt;" in line and len(html.unescape(line)) < 400
    assert "<script" not in body and "/etc/x" not in body and "x" * 200 not in body


def test_each_reason_has_its_examples(built):
    _, body = card(built("snli_paraphrased", "paraphrase"))
    assert "| copy | 1 | An animal moves. | AN ANIMAL MOVES |" in body
    assert "| no&#95;source&#95;text | 1 | &#40;none&#41; | &#40;nothing&#41; |" in body


def test_a_card_shows_no_text_that_the_dataset_must_not_publish(corpus, caplog):
    folder = corpus("snli_paraphrased", "paraphrase", source_name="IMDB")
    front, body = card(folder)
    assert "AN ANIMAL MOVES" not in body and "| copy | 1 | (not shown) | (not shown) |" in body
    assert "Not to be published as it is" in body and "license" not in front
    assert caplog.messages == []  # it is not published


def test_a_path_on_the_server_is_no_name_of_a_model(corpus, stage_1, tmp_path):
    place = "/data/hub/models--meta-llama--Meta-Llama-3-8B/snapshots/abc"
    for index, (path, name) in enumerate([(place, "meta-llama/Meta-Llama-3-8B"), ("/srv/llama-3-8b/", "llama-3-8b")]):
        run = copy_of(stage_1 / "paraphrase", tmp_path / f"run{index}", lambda row, path=path: {"model_id": path},
                      model_id=path)  # fmt: skip
        folder = corpus("snli_paraphrased", run, output=tmp_path / f"out{index}")
        _, body = card(folder)
        assert f"| {name} |" in body and "Built with Meta Llama 3" in body
        assert "/data/hub" not in body and "/srv" not in body and "/snapshots" not in body
        assert {row["model_id"] for row in load(folder, "pairs")} == {name}


def test_a_token_does_not_reach_a_card(corpus, stage_1, tmp_path):
    token = "hf_" + "aB3" * 11
    manifest = json.loads((stage_1 / "paraphrase" / "manifest.json").read_text("utf-8"))
    run = copy_of(stage_1 / "paraphrase", tmp_path / "run", prompt=manifest["prompt"] | {"system": f"Use {token} now"})
    folder = corpus("snli_paraphrased", run, source_name=f"by {token}")
    text = (folder / "README.md").read_text("utf-8")
    assert token not in text and "Use hf_… now" in text


# Scripts


def test_each_script_says_what_it_wants(capsys):
    for script in SCRIPTS:
        spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
        assert spec.name == script
        with pytest.raises(SystemExit):
            main(spec, ["--help"])
        shown = capsys.readouterr().out
        assert f"dataset_scripts/{script}.py" in shown and "--source SOURCE" in shown and "{source}" not in shown


def test_a_script_builds_and_fails_in_one_line(stage_1, tmp_path, capsys):
    script = Path(snli_sentences.__file__)
    command = [sys.executable, str(script), "--source", str(stage_1 / "nli.jsonl"), "--output_dir", str(tmp_path / "d")]
    environment = os.environ | {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and done.stdout.endswith(f"\n\ndataset: {tmp_path / 'd'}\n")
    assert "sentences:\n| split | source | same again | leaked | rows |\n" in done.stdout
    assert run_command(partial(main, snli_sentences.SPEC), [*command[2:], "--text_column", "x"]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    assert error.endswith("nli.jsonl: has no column `x` up to row 3; its columns are premise, hypothesis\n")
