"""Each command of the docs, run as it is written there; only endpoints, models and files are put in its place."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_commands import ROOT, Workshop, commands_of, output_of
from faulty_tgi import serving as serving_hub
from hub_clients import environment as hub_environment
from loopback_hub import LoopbackHub

from hf_xling.sample.demo import world_texts
from hf_xling.sample.encoder import make_encoder
from hf_xling.sample.replay import make_app, read_recording, serving
from hf_xling.sample.world import write_world
from hf_xling.tables import read_table

PAGES = ["README.md", *(f"docs/{name}.md" for name in ("corpora", "simcse", "regression", "publishing"))]
# `.ci/run` runs the commands of `make`; docs/generation.md and docs/review.md have tests in their rooms.
COMMANDS = [(page, command) for page in PAGES for command in commands_of(page) if not command.startswith("make ")]
# What commands are given here in addition, to be done in seconds on a CPU.
SHORTER = {
    "trainers/simcse.py": "--max_steps 2 --per_device_train_batch_size 8 --bf16 false --use_cpu true",
    "trainers/regression.py": "--num_train_epochs 1 --use_cpu true",
    "experiments": "--seeds 1 --accelerate_config cpu --simcse.max_steps 2 --simcse.per_device_train_batch_size 8 "
    "--simcse.bf16 false --simcse.save_steps 500 --regression.num_train_epochs 1",
}
# What a command leaves beside its `--output_dir`.
LEFT = {
    "runs/ratings-folds": "runs/ratings-folds/fold-5/seed-3/model.safetensors",
    "runs/ratings": "runs/ratings/seed-3/predictions.csv",
    "runs/paper": "runs/paper/report/index.html",
}


def test_the_two_commands_come_first() -> None:
    assert commands_of("README.md")[:2] == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"`?make ([\w-]+)`?", (ROOT / page).read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda path: path.stem)
def test_linked_files_exist(path: Path) -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_every_page_has_commands_of_different_names() -> None:
    for page in PAGES:
        names = [output_of(command) for at, command in COMMANDS if at == page]
        assert names and len(set(names)) == len(names)


@pytest.fixture(scope="module")
def hub() -> Iterator[LoopbackHub]:
    hub = LoopbackHub()
    hub.admit("hf_token", "someone", "org")
    with serving_hub(hub):
        yield hub


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, hub: LoopbackHub) -> Iterator[Workshop]:
    """A folder with all that the commands name: the sample world in place of SNLI, BERT and the language models."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("trainers", "dataset_scripts"):
        shutil.copytree(ROOT / name, folder / name)
    world = folder / "world"
    write_world(world)
    make_encoder(folder / "base", list(world_texts(world)))
    (folder / "data").mkdir()
    for split in ("train", "validation", "test"):
        shutil.copy(world / f"reviews_ta_{split}.csv", folder / f"{split}.csv")
        shutil.copy(world / f"reviews_ta_{split}.csv", folder / "data" / f"tamil_reviews_{split}.csv")
        shutil.copy(world / f"reviews_en_{split}.csv", folder / "data" / f"imdb_{split}.csv")
        ratings = read_table(folder / f"{split}.csv").columns
        moods = ["Happy" if float(label) > 3 else "Sad" for label in ratings["label"]]
        with open(folder / f"tweets_{split}.csv", "w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "label"), *zip(ratings["text"], moods, strict=True)])
    shutil.copy(world / "snli.jsonl", folder / "nli.jsonl")
    shutil.copy(world / "news_ta.txt", folder / "data" / "tamil_murasu.txt")
    pairs = ["வீடு,வீடு,5", "வீடு,மரம்,1", "மரம்,மரங்கள்,4", "நாய்,வீடு,0"]
    (folder / "sts.csv").write_text("\n".join(["sentence1,sentence2,score", *pairs]), encoding="utf-8")
    recipe = folder / "trainers" / "recipes" / "paper.yaml"
    text = recipe.read_text(encoding="utf-8").replace("stanfordnlp/snli", "world/snli.jsonl")
    recipe.write_text(re.sub(r"model_name_or_path: .*", "model_name_or_path: base", text), encoding="utf-8")
    with serving(make_app(read_recording(world / "pairs.jsonl"))) as url:
        ours = {
            "http://127.0.0.1:8080": url,
            "http://127.0.0.1:8081": url,
            "stanfordnlp/snli": "world/snli.jsonl",
            "bert-base-multilingual-cased": "base",
        }

        def adapted(command: str) -> str:
            more = [options for part, options in SHORTER.items() if part in shlex.split(command)]
            for theirs, own in ours.items():
                command = command.replace(theirs, own)
            return " ".join([command, *more])

        def environment(command: str) -> dict[str, str]:
            return hub_environment(hub.url, folder / "home", "hf_token") if "--push_to_hub" in command else {}

        yield Workshop(folder, [command for _, command in COMMANDS], adapted, environment)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [pytest.param(command, id=f"{Path(page).stem}-{output_of(command)}") for page, command in COMMANDS]
)
def test_command(command: str, workshop: Workshop, hub: LoopbackHub) -> None:
    done = workshop.run(command)
    assert done.returncode == 0, done.stderr[-3000:]
    output = output_of(command)
    assert (workshop.folder / LEFT.get(output, output)).exists()
    if "--push_to_hub" in command:
        repo_id = command.partition("--repo_id ")[2].split()[0]
        (repo,) = [repo for (_, name), repo in hub.repos.items() if name == repo_id]
        assert repo.tags == {"v1": repo.at().sha}
