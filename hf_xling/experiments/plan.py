"""A recipe as the arguments of every stage, all checked before the first of them runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_xling.contrastive.config import SimCSEConfig, SimCSEScriptArguments
from hf_xling.corpora.sources import read_sentences
from hf_xling.corpora.text_corpus import TextCorpusConfig, TextCorpusSpec
from hf_xling.errors import InputError
from hf_xling.experiments.grid import Experiment, ExperimentsConfig, paper_experiments
from hf_xling.experiments.launch import config_file
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.filters import FilterConfig
from hf_xling.generation.sources import read_sources
from hf_xling.recipes import RecipeParser, to_argv
from hf_xling.regression.arguments import RegressionScriptArguments
from hf_xling.regression.config import RegressionConfig
from hf_xling.regression.data import load_splits
from hf_xling.training.adapters import LoraArguments
from hf_xling.training.pretrained import check_checkpoint

SIDES = ("source", "target")
# Fields of the stages that the recipe as a whole decides; a section that gave them would be overruled.
_OF_ALL_RUNS = {"seeds", "seed", "folds", "task", "output_dir"}
_DECIDED = {
    "generate": {
        *("input", "dataset_config", "split", "text_column", "task", "language", "source_language", "endpoint"),
        *("output_dir", "dry_run"),
        "prompt",  # is of one of the three runs
    },
    "simcse": {"model_name_or_path", "model_revision", "dataset_name", "dataset_config", "train_file", "output_dir"},
    "regression": {"model_name_or_path", "dataset_name", "train_file", "test_file", *_OF_ALL_RUNS},
    "source_task": _OF_ALL_RUNS,
    "target_task": _OF_ALL_RUNS,
}


@dataclass(frozen=True)
class Plan:
    """What a recipe asks for.

    Attributes:
        experiments: the rows of the grid.
        tasks: the splits of the rated texts, by side.
        generations: the runs of stage 1, by name, in an order in which they can run.
        corpora: what each corpus is and what it is built from, by name.
        encoders: the arguments of `trainers/simcse.py`, by corpus.
        regressors: the arguments of `trainers/regression.py`, by experiment.
    """

    experiments: list[Experiment]
    tasks: dict[str, dict[str, Dataset]]
    generations: dict[str, tuple[GenerateConfig, FilterConfig]]
    corpora: dict[str, tuple[TextCorpusSpec, TextCorpusConfig]]
    encoders: dict[str, dict[str, Any]]
    regressors: dict[str, dict[str, Any]]


def make_plan(config: ExperimentsConfig) -> Plan:
    """The plan of a recipe.

    Raises:
        InputError: a section or file of the recipe cannot be used.
    """
    folder = Path(config.output_dir)
    _check_sections(config)
    experiments = paper_experiments(*(config.codes[side] for side in SIDES))
    plan = Plan(
        experiments=experiments,
        tasks={side: _task(config, side) for side in SIDES},
        generations=_generations(config, folder / "generation"),
        corpora={e.corpus: _corpus(config, folder, e.corpus) for e in experiments if e.corpus},
        encoders={e.corpus: _encoder(config, folder, e) for e in experiments if e.corpus},
        regressors={e.name: _regressor(config, folder, e) for e in experiments},
    )
    read_sources(plan.generations["paraphrase"][0])
    read_sentences(config.news, splits=[config.split], config=config.news_config)
    for side in SIDES:
        section = task_section(config, side)
        check_checkpoint(section["model_name_or_path"], section.get("model_revision"))
    if config.accelerate_config is not None:
        config_file(config.accelerate_config)
    return plan


def _check_sections(config: ExperimentsConfig) -> None:
    for name, decided in _DECIDED.items():
        for key in getattr(config, name):
            if key in decided:
                raise InputError(f"in `{name}`: `{key}` is decided by the recipe itself; leave it out there")
            if key.endswith("token"):
                raise InputError(f"in `{name}`: `{key}` would be written to disk; set HF_TOKEN in the environment")


def _task(config: ExperimentsConfig, side: str) -> dict[str, Dataset]:
    fields = {**config.regression, **task_section(config, side), "seeds": config.seeds, "output_dir": "checked"}
    classes = [RegressionScriptArguments, RegressionConfig, LoraArguments]
    script, *_ = parse_section(f"{side}_task and regression", classes, fields)
    splits = load_splits(script).datasets
    if "test" not in splits:
        raise InputError(f"{side}_task.test_file is needed: without a test set there is nothing to compare")
    return splits


def task_section(config: ExperimentsConfig, side: str) -> dict[str, Any]:
    """The section of the recipe that tells the task of a side."""
    return config.source_task if side == "source" else config.target_task


def _generations(config: ExperimentsConfig, folder: Path) -> dict[str, tuple[GenerateConfig, FilterConfig]]:
    source = {name: getattr(config, name) for name in ("dataset_config", "split", "text_column")}
    source["input"] = config.source
    chained = {"input": folder / "paraphrase" / "accepted"}
    paraphrase = {"task": "paraphrase", "language": config.source_language, "endpoint": config.endpoint}
    translator = config.translate_endpoint or config.endpoint
    translate = {"task": "translate", "language": config.language, "endpoint": translator}
    runs = {
        "paraphrase": {**source, **paraphrase},
        "translate": {**source, **translate},
        "paraphrase-translate": {**chained, **translate},
    }
    common = {"source_language": config.source_language, **config.generate}
    return {
        name: parse_section(
            "generate", [GenerateConfig, FilterConfig], {**common, **fields, "output_dir": folder / name}
        )
        for name, fields in runs.items()
    }


def _corpus(config: ExperimentsConfig, folder: Path, name: str) -> tuple[TextCorpusSpec, TextCorpusConfig]:
    spec = import_module(f"hf_xling.dataset_scripts.{name}").SPEC
    news = name == "tamil_murasu"
    return spec, TextCorpusConfig(
        source=config.news if news else config.source,
        output_dir=str(folder / "corpora" / name),
        generated=[str(folder / "generation" / "-".join(chain)) for chain in spec.chains],
        text_column=None if news else config.text_column,
        split=[config.split],
        dataset_config=config.news_config if news else config.dataset_config,
        source_language=config.codes["target" if news else "source"],
        source_name=config.news_name if news else config.source_name,
        license=config.license,
    )


def _encoder(config: ExperimentsConfig, folder: Path, experiment: Experiment) -> dict[str, Any]:
    task = task_section(config, experiment.side)
    fields = {
        **config.simcse,
        # All arms of a language start from the same weights.
        "model_name_or_path": task["model_name_or_path"],
        "model_revision": task.get("model_revision"),
        "dataset_name": folder / "corpora" / experiment.corpus,
        "dataset_config": "sentences",
        "output_dir": folder / "encoders" / experiment.corpus,
    }
    _, args, _ = parse_section("simcse", [SimCSEScriptArguments, SimCSEConfig, LoraArguments], fields)
    if args.max_steps <= 0:
        raise InputError("simcse.max_steps is needed: all experiments take the same number of optimiser steps")
    return fields


def _regressor(config: ExperimentsConfig, folder: Path, experiment: Experiment) -> dict[str, Any]:
    fields = {**config.regression, **task_section(config, experiment.side), "seeds": config.seeds}
    if experiment.corpus is not None:
        fields |= {"model_name_or_path": folder / "encoders" / experiment.corpus, "model_revision": None}
    return {**fields, "output_dir": folder / "experiments" / experiment.name}


def parse_section(section: str, types: Sequence[type], fields: dict[str, Any]) -> tuple[Any, ...]:
    """The dataclasses of a stage from a section of the recipe; an error names the section."""
    try:
        return RecipeParser(types, prog=section).parse(to_argv(fields))
    except InputError as error:
        raise InputError(f"in `{section}`: {error}") from error
