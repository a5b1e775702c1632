"""What of a folder is published, and what never is."""

import json
import logging

import pytest

from hf_xling.errors import InputError
from hf_xling.hub.contents import contents, is_stale
from hf_xling.runs import claim, finish

MODEL = (
    "config.json",
    "model-00001-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "chat_template.jinja",
    "all_results.json",
    "test_results.json",
    "hf_xling_lineage.json",
    "modules.json",
    "1_Pooling/config.json",
)
BESIDE = ("README.md", "LICENSE", "NOTICE.txt")
PRIVATE = (
    *(
        "training_args.bin",
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
        "trainer_state.json",
        "model.pkl",
        "run.log",
    ),
    *(
        "checkpoint-3/model.safetensors",
        ".cache/config.json",
        "_notes.json",
        "predictions.csv",
        "train.csv",
        "notes.txt",
    ),
    *("seed-1/README.md", "token", ".env"),
    *("credentials.json", "token.json", "wandb/run-1/files/wandb-metadata.json", "wandb/config.json"),
    *("2_Pooling/config.json", "old/model.safetensors"),
)
POOLING = [{"idx": 0, "name": "0", "path": ""}, {"idx": 1, "name": "1", "path": "1_Pooling"}]


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}", encoding="utf-8")
    return folder


def test_a_model_is_published_without_what_training_keeps_for_itself(tmp_path):
    shown = {".eval_results/texts.yaml", "training.png"}
    write(tmp_path, *PRIVATE, *MODEL, *BESIDE, *shown, "other.png")
    (tmp_path / "modules.json").write_text(json.dumps(POOLING), encoding="utf-8")
    assert set(contents(tmp_path, "model", "org/model")) == {*MODEL, *BESIDE, *shown}


def test_a_dataset_is_published_as_parquet(tmp_path):
    write(tmp_path, *PRIVATE, *MODEL, *BESIDE, "clean/train.parquet")
    assert set(contents(tmp_path, "dataset", "org/data")) == {"clean/train.parquet", *BESIDE}


@pytest.mark.parametrize(
    ("data_files", "named"),
    [
        ([{"split": "train", "path": "clean/train-*.parquet"}], {"clean/train-1.parquet", "clean/train-2.parquet"}),
        ({"train": ["./clean/train-1.parquet"], "test": "raw/**"}, {"clean/train-1.parquet", "raw/a/test.parquet"}),
        ("*/train-1.parquet", {"clean/train-1.parquet"}),
    ],
)
def test_of_parquet_that_goes_which_the_card_names(tmp_path, data_files, named):
    write(tmp_path, "clean/train-1.parquet", "clean/train-2.parquet", "raw/a/test.parquet", "stray.parquet")
    write(tmp_path, "audit/audit.png", "audit/audit.json", "audit.png")
    front = json.dumps({"configs": [{"config_name": "clean", "data_files": data_files}]})
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n# Texts\n", encoding="utf-8")
    assert set(contents(tmp_path, "dataset", "org/data")) == {"README.md", "audit/audit.png", *named}


@pytest.mark.parametrize("front", ["configs: [1]", "configs: [{data_files: 1}]", "configs: [", "- configs"])
def test_a_card_that_cannot_be_read_is_refused(tmp_path, front):
    write(tmp_path, "train.parquet").joinpath("README.md").write_text(f"---\n{front}\n---\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"README\.md: its front matter names no data_files that can be read"):
        contents(tmp_path, "dataset", "org/data")


def test_a_folder_with_nothing_to_publish_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no Parquet to publish"):
        contents(write(tmp_path, *MODEL, "README.md"), "dataset", "org/data")


def test_an_unfinished_run_is_refused_and_other_runs_inside_are_left_out(tmp_path):
    claim(tmp_path, "train", {})
    for name in ("seed-1", "seed-2", "seed-3"):
        claim(tmp_path / name, "train", {})
        write(tmp_path / name, "model.safetensors")
    write(tmp_path, "ensemble.json")
    (tmp_path / "ensemble.json").write_text(json.dumps({"members": ["seed-1", "seed-3"]}), encoding="utf-8")
    with pytest.raises(InputError, match="holds a run that is not finished"):
        contents(tmp_path, "model", "org/model")
    finish(tmp_path)
    wanted = {"ensemble.json", "seed-1/model.safetensors", "seed-3/model.safetensors"}
    write(tmp_path, "seed-1/credentials.json", "seed-1/wandb/config.json", "seed-3/2_Pooling/config.json")
    assert set(contents(tmp_path, "model", "org/model")) == wanted


@pytest.mark.parametrize("told", ["{}", "[]", '{"members": 1}', '{"members": [1]}', "{"])
def test_an_ensemble_that_names_no_members_is_refused(tmp_path, told):
    write(tmp_path, "model.safetensors").joinpath("ensemble.json").write_text(told, encoding="utf-8")
    with pytest.raises(InputError, match=r"ensemble\.json: is damaged; it has to name the folders of its members"):
        contents(tmp_path, "model", "org/model")


@pytest.mark.parametrize("before", [None, "me/old"])
def test_cards_call_it_by_its_name(tmp_path, before):
    old = before or "org/name"
    card = 'load("{0}") or --model {0}, https://hf.example/datasets/{0}#licences; not my{0}, {0}s, {0}/x\n'
    claim(tmp_path, "train", {})
    write(tmp_path, "model.safetensors", "README.md").joinpath("README.md").write_text(
        card.format(old), encoding="utf-8"
    )
    finish(tmp_path, repo_id=before)
    told = contents(tmp_path, "model", "you/new")["README.md"].decode()
    assert told == card.replace("{0}", "you/new", 3).format(old)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == card.format(old)


@pytest.mark.parametrize(("base", "name"), [("org/base", "org/base"), ("{}", "encoder"), ("/gone/encoder", "encoder")])
def test_an_adapter_names_its_base_without_a_path(tmp_path, base, name, caplog):
    (tmp_path / "encoder").mkdir()
    folder, base = tmp_path / "adapter", base.format(tmp_path / "encoder")
    write(folder, "adapter_model.safetensors", "adapter_config.json")
    config = json.dumps({"base_model_name_or_path": base, "r": 8})
    (folder / "adapter_config.json").write_text(config, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        found = contents(folder, "model", "org/adapter")["adapter_config.json"]
    told = json.loads(found if isinstance(found, bytes) else found.read_bytes())
    assert told == {"base_model_name_or_path": name, "r": 8}
    assert ("nobody else can load it" in caplog.text) == (base != name)
    assert str(tmp_path) not in caplog.text.replace(str(folder), "")


def test_what_is_left_of_an_older_model_is_stale(tmp_path):
    stale = {"model.safetensors", "seed-2/config.json", "training_args.bin", "vocab.txt"}
    others = {"notes.json", "image.png", ".gitattributes", ".eval_results/x.json", "data.parquet", "README.md"}
    assert {path for path in stale | others if is_stale(path, "model")} == stale
    assert {path for path in stale | others if is_stale(path, "dataset")} == {"data.parquet"}
