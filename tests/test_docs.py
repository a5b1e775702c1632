"""Every command of the docs, run as it stands there; only endpoints, models and files are put in its place."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_tgi import serving as serving_hub
from hub_clients import environment as hub_environment
from loopback_hub import LoopbackHub

from hf_xling.sample.demo import world_texts
from hf_xling.sample.encoder import make_encoder
from hf_xling.sample.replay import make_app, read_recording, serving
from hf_xling.sample.world import write_world
from hf_xling.tables import read_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SIMCSE = (ROOT / "docs" / "simcse.md").read_text(encoding="utf-8")
REGRESSION = (ROOT / "docs" / "regression.md").read_text(encoding="utf-8")
CORPORA = (ROOT / "docs" / "corpora.md").read_text(encoding="utf-8")
PUBLISHING = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
# What the README's commands are given here in addition, to be done in seconds on a CPU.
SHORTER = {
    "trainers/simcse.py": "--max_steps 2 --per_device_train_batch_size 8 --bf16 false --use_cpu true",
    "trainers/regression.py": "--num_train_epochs 1 --use_cpu true",
    "experiments": "--seeds 1 --accelerate_config cpu --simcse.max_steps 2 --simcse.per_device_train_batch_size 8 "
    "--simcse.bf16 false --simcse.save_steps 500 --regression.num_train_epochs 1",
}


def commands(text: str = README) -> list[str]:
    """The commands of the bash blocks of `text`, continued lines joined."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_the_two_commands_come_first() -> None:
    assert commands()[:2] == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([\w-]+)`?", README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_linked_files_exist() -> None:
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/architecture.md",
        "docs/generation.md",
        "docs/simcse.md",
        "docs/regression.md",
        "docs/corpora.md",
        "docs/publishing.md",
        "docs/review.md",
    ):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8")):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


@pytest.mark.slow
def test_readme_commands(tmp_path: Path) -> None:
    """The real job, command by command, over the sample world in place of SNLI, BERT and the language models."""
    for name in ("trainers", "dataset_scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    world = tmp_path / "world"
    write_world(world)
    make_encoder(tmp_path / "base", list(world_texts(world)))
    (tmp_path / "data").mkdir()
    for split in ("train", "validation", "test"):
        shutil.copy(world / f"reviews_ta_{split}.csv", tmp_path / f"{split}.csv")
        shutil.copy(world / f"reviews_ta_{split}.csv", tmp_path / "data" / f"tamil_reviews_{split}.csv")
        shutil.copy(world / f"reviews_en_{split}.csv", tmp_path / "data" / f"imdb_{split}.csv")
        ratings = read_table(tmp_path / f"{split}.csv").columns
        moods = ["Happy" if float(label) > 3 else "Sad" for label in ratings["label"]]
        with open(tmp_path / f"tweets_{split}.csv", "w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "label"), *zip(ratings["text"], moods, strict=True)])
    shutil.copy(world / "snli.jsonl", tmp_path / "nli.jsonl")
    shutil.copy(world / "news_ta.txt", tmp_path / "data" / "tamil_murasu.txt")
    pairs = ["வீடு,வீடு,5", "வீடு,மரம்,1", "மரம்,மரங்கள்,4", "நாய்,வீடு,0"]
    (tmp_path / "sts.csv").write_text("\n".join(["sentence1,sentence2,score", *pairs]), encoding="utf-8")
    recipe = tmp_path / "trainers" / "recipes" / "paper.yaml"
    text = recipe.read_text(encoding="utf-8").replace("stanfordnlp/snli", "world/snli.jsonl")
    recipe.write_text(re.sub(r"model_name_or_path: .*", "model_name_or_path: base", text), encoding="utf-8")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    hub = LoopbackHub()
    hub.admit("hf_token", "someone", "org")
    with serving(make_app(read_recording(world / "pairs.jsonl"))) as url, serving_hub(hub):
        ran = 0
        for command in [line for text in (README, CORPORA, SIMCSE, REGRESSION, PUBLISHING) for line in commands(text)]:
            if command.startswith("make "):
                continue  # `.ci/run` runs these
            for ours, stands_for in (
                (url, "http://127.0.0.1:8080"),
                (url, "http://127.0.0.1:8081"),
                ("world/snli.jsonl", "stanfordnlp/snli"),
                ("base", "bert-base-multilingual-cased"),
            ):
                command = command.replace(stands_for, ours)
            command += "".join(f" {more}" for part, more in SHORTER.items() if part in shlex.split(command))
            there = hub_environment(hub.url, tmp_path / "home", "hf_token") if "--push_to_hub" in command else {}
            options = {"cwd": tmp_path, "env": environment | there, "capture_output": True, "text": True}
            result = subprocess.run(shlex.split(command), timeout=400, **options)
            assert result.returncode == 0, f"{command}\n{result.stderr[-2000:]}"
            ran += 1
    assert ran >= 23
    assert all(repo.tags == {"v1": repo.at().sha} for repo in hub.repos.values()) and len(hub.repos) == 2
    assert (tmp_path / "rated.csv").exists()
    assert (tmp_path / "runs/ratings-folds/fold-5/seed-3/model.safetensors").exists()
    assert (tmp_path / "runs/ratings/seed-3/predictions.csv").exists()
    assert (tmp_path / "runs/paper/report/index.html").exists()
