"""`hf-xling STAGE …`: a table of stages, each imported when it is asked for."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

import hf_xling
from hf_xling.console import run_command
from hf_xling.errors import InputError

# Stage: (module, what it does, in the order of the work).
STAGES = {
    "demo": ("hf_xling.sample.demo", "run the whole pipeline on the sample world: no network, no GPU"),
    "generate": ("hf_xling.generation.stage", "stage 1: paraphrase or translate texts through an endpoint"),
    "corpus": (
        "hf_xling.dataset_scripts",
        "stage 2: a dataset of source texts and generated rows, or of ratings",
    ),
    "review": ("hf_xling.quality.review", "a sheet for people to rate generated texts, and the tally of filled ones"),
    "audit": ("hf_xling.quality.audit", "lengths, vocabulary and words for groups of people, before and after stage 1"),
    "serve-replay": ("hf_xling.sample.replay", "serve recorded answers as a text-generation endpoint on loopback"),
    "simcse": ("hf_xling.experiments.launch", "stage 3: train an encoder (trainers/simcse.py through accelerate)"),
    "regression": (
        "hf_xling.experiments.launch",
        "stage 4: train a rating model (trainers/regression.py through accelerate)",
    ),
    "predict": ("hf_xling.regression.predict", "ratings of any number of texts by a trained model or ensemble"),
    "experiments": ("hf_xling.experiments.stage", "stage 5: all of it, as a recipe says, with baselines and a report"),
    "report": ("hf_xling.experiments.report", "write the report of finished experiments again"),
}
LAUNCHED = ("simcse", "regression")

USAGE = """\
usage: hf-xling STAGE [options]      (hf-xling STAGE --help tells the options)

{stages}

Version {version}.
"""


def find_stage(name: str) -> Callable[[Sequence[str]], str | None]:
    """The function that runs stage `name`."""
    if name not in STAGES:
        nearest = difflib.get_close_matches(name, STAGES, n=1)
        hint = f"did you mean `{nearest[0]}`?" if nearest else f"known are {', '.join(STAGES)}"
        raise InputError(f"unknown stage `{name}`; {hint}")
    main = import_module(STAGES[name][0]).main
    return partial(main, name) if name in LAUNCHED else main


def run(argv: Sequence[str]) -> str | None:
    """Run the stage that `argv` names with the arguments behind it."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        return usage()
    if argv[0] in ("-V", "--version"):
        return f"hf-xling {hf_xling.__version__}"
    return find_stage(argv[0])(argv[1:])


def usage() -> str:
    """What `hf-xling --help` shows."""
    stages = "\n".join(f"  {name:<14}{summary}" for name, (_, summary) in STAGES.items())
    return USAGE.format(stages=stages, version=hf_xling.__version__).rstrip()


def main() -> int:
    """The console script."""
    return run_command(run, sys.argv[1:])
