"""`hf-xling demo`: the whole pipeline on the sample world, over the same code that a user runs against LLaMA.

It makes a small bilingual world and a small BERT, serves recorded paraphrases and translations from a loopback server
that speaks TGI's wire, and runs the recipe of the seven experiments: generation over HTTP, corpora, SimCSE and
regression under `accelerate launch`, baselines, report. No network, no GPU. Killed and started again, it goes on where
it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from hf_xling.recipes import RecipeParser, option, to_argv
from hf_xling.runs import claim, finish, written_aside
from hf_xling.sample.replay import make_app, read_recording, serving
from hf_xling.sample.world import write_world
from hf_xling.tables import read_table


@dataclass
class DemoConfig:
    """Where the demo writes."""

    output_dir: str = option("gets the sample world and everything made from it", "runs/demo")

    _argument_group_name = "demo"


def main(argv: Sequence[str]) -> str:
    """Make what is missing, run the recipe, and return its closing lines."""
    (config,) = RecipeParser([DemoConfig], prog="hf-xling demo", description=__doc__).parse(argv)
    folder = Path(config.output_dir)
    is_finished = claim(folder, "hf-xling demo", {})
    # For the trainings: their checkpoints and datasets are folders, and no Hub out of reach must be asked for them.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # The matrices are so small that a second thread gains nothing, and waits for the first on a busy machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    world, encoder = folder / "world", folder / "encoder"
    if not world.exists():
        with written_aside(world) as aside:
            write_world(aside)
    if not encoder.exists():
        from hf_xling.sample.encoder import make_encoder

        with written_aside(encoder) as aside:
            make_encoder(aside, list(world_texts(world)))
    from hf_xling.experiments.runner import main as run_recipe

    recipe = {
        "config": files("hf_xling.trainers.recipes") / "demo.yaml",
        "output_dir": folder / "run",
        "source": world / "snli.jsonl",
        "news": world / "news_ta.txt",
    }
    for side, language in (("source_task", "en"), ("target_task", "ta")):
        recipe[f"{side}.model_name_or_path"] = encoder
        for split in ("train", "validation", "test"):
            recipe[f"{side}.{split}_file"] = world / f"reviews_{language}_{split}.csv"
    with serving(make_app(read_recording(world / "pairs.jsonl"))) as url:
        closing = run_recipe(to_argv({**recipe, "endpoint": url}))
    if not is_finished:
        finish(folder)
    return closing


def world_texts(world: Path) -> Iterator[str]:
    """The texts of the sample world that its encoder may learn from: everything but validation and test reviews."""
    for column in ("source", "text"):
        yield from dict.fromkeys(read_table(world / "pairs.jsonl").column(column))
    yield from read_table(world / "news_ta.txt").column("text")
    for language in ("en", "ta"):
        yield from read_table(world / f"reviews_{language}_train.csv").column("text")
