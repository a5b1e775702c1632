"""A recipe as the arguments of every stage, each section parsed once, all before the first stage runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset

from hf_xling.contrastive import config as simcse
from hf_xling.corpora.sources import read_sentences
from hf_xling.corpora.text_corpus import TextCorpusConfig, TextCorpusSpec
from hf_xling.errors import InputError
from hf_xling.experiments.grid import SIDES, Experiment, ExperimentsConfig, Side, paper_experiments
from hf_xling.experiments.launch import config_file
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.filters import FilterConfig
from hf_xling.generation.sources import read_sources
from hf_xling.recipes import RecipeParser, to_argv
from hf_xling.regression.config import RegressionConfig, RegressionScriptArguments
from hf_xling.regression.data import load_splits
from hf_xling.regression.parts import is_trained
from hf_xling.runs import is_finished
from hf_xling.training.adapters import LoraArguments
from hf_xling.training.pretrained import check_checkpoint

Script = Literal["simcse", "regression"]
_DATACLASSES: dict[Script, Sequence[type]] = {
    "simcse": (simcse.SimCSEScriptArguments, simcse.SimCSEConfig, LoraArguments),
    "regression": (RegressionScriptArguments, RegressionConfig, LoraArguments),
}
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
class Training:
    """A launch of a script in `trainers/`.

    Attributes:
        script: its name.
        fields: its options, by which it is launched.
        parsed: the dataclasses of the script that they fill.
    """

    script: Script
    fields: dict[str, Any]
    parsed: tuple[Any, ...]

    @property
    def output_dir(self) -> Path:
        """The folder of the encoder, or of the rating models."""
        return Path(self.fields["output_dir"])

    def is_finished(self) -> bool:
        """Whether there is nothing left to train; an `InputError` where a folder holds another run."""
        if self.script == "regression":
            return is_trained(*self.parsed)
        return is_finished(self.output_dir, simcse.COMMAND, simcse.run_identity(*self.parsed))


@dataclass(frozen=True)
class Task:
    """The rated texts of a side, and the arguments by which they were read."""

    script: RegressionScriptArguments
    splits: dict[str, Dataset]

    @property
    def name(self) -> str:
        """What the report calls the test set: the last part of its path or id."""
        return Path(self.script.test_file or self.script.dataset_name or "").name


@dataclass(frozen=True)
class Plan:
    """What a recipe asks for.

    Attributes:
        experiments: the rows of the grid.
        tasks: the rated texts, by side.
        generations: the runs of stage 1, by name, in an order in which they can run.
        corpora: what each corpus is and what it is built from, by name.
        encoders: the trainings of encoders, by corpus.
        regressors: the trainings of rating models, by experiment.
    """

    experiments: list[Experiment]
    tasks: dict[Side, Task]
    generations: dict[str, tuple[GenerateConfig, FilterConfig]]
    corpora: dict[str, tuple[TextCorpusSpec, TextCorpusConfig]]
    encoders: dict[str, Training]
    regressors: dict[str, Training]


def make_plan(config: ExperimentsConfig) -> Plan:
    """The plan of a recipe.

    Raises:
        InputError: a section or file of the recipe cannot be used.
    """
    folder = Path(config.output_dir)
    _check_sections(config)
    experiments = paper_experiments(*(config.codes[side] for side in SIDES))
    corpora = {each.corpus: each.side for each in experiments if each.corpus}
    regressors = {each.name: _regressor(config, folder, each) for each in experiments}
    plan = Plan(
        experiments=experiments,
        tasks={each.side: _task(each.side, regressors[each.name]) for each in experiments if each.corpus is None},
        generations=_generations(config, folder / "generation"),
        corpora={name: _corpus(config, folder, name) for name in corpora},
        encoders={name: _encoder(config, folder, name, side) for name, side in corpora.items()},
        regressors=regressors,
    )
    read_sources(plan.generations["paraphrase"][0])
    read_sentences(config.news, splits=[config.split], config=config.news_config)
    for task in plan.tasks.values():
        check_checkpoint(task.script.model_name_or_path, task.script.model_revision)
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


def _task(side: Side, direct: Training) -> Task:
    script = direct.parsed[0]
    splits = load_splits(script).datasets
    if "test" not in splits:
        raise InputError(f"{side}_task.test_file is needed: without a test set there is nothing to compare")
    return Task(script, splits)


def _generations(config: ExperimentsConfig, folder: Path) -> dict[str, tuple[GenerateConfig, FilterConfig]]:
    source = {"input": config.source, "dataset_config": config.dataset_config, "split": config.split}
    paraphrase = {"task": "paraphrase", "language": config.source_language, "endpoint": config.endpoint}
    translator = config.translate_endpoint or config.endpoint
    translate = {"task": "translate", "language": config.language, "endpoint": translator}
    runs: dict[str, dict[str, Any]] = {
        "paraphrase": {**source, "text_column": config.text_column, **paraphrase},
        "translate": {**source, "text_column": config.text_column, **translate},
        "paraphrase-translate": {"input": folder / "paraphrase" / "accepted", **translate},
    }
    common = {"source_language": config.source_language, **config.generate}
    parsed = {}
    for name, fields in runs.items():
        fields = {**common, **fields, "output_dir": folder / name}
        stage, filters = _parse("generate", [GenerateConfig, FilterConfig], fields)
        parsed[name] = stage, filters
    return parsed


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


def _encoder(config: ExperimentsConfig, folder: Path, corpus: str, side: Side) -> Training:
    task = config.task(side)
    fields = {
        **config.simcse,
        # All arms of a language start from the same weights.
        "model_name_or_path": task["model_name_or_path"],
        "model_revision": task.get("model_revision"),
        "dataset_name": folder / "corpora" / corpus,
        "dataset_config": "sentences",
        "output_dir": folder / "encoders" / corpus,
    }
    training = Training("simcse", fields, _parse("simcse", _DATACLASSES["simcse"], fields))
    if training.parsed[1].max_steps <= 0:
        raise InputError("simcse.max_steps is needed: all experiments take the same number of optimiser steps")
    return training


def _regressor(config: ExperimentsConfig, folder: Path, experiment: Experiment) -> Training:
    fields = {**config.regression, **config.task(experiment.side), "seeds": config.seeds}
    if experiment.corpus is not None:
        fields |= {"model_name_or_path": folder / "encoders" / experiment.corpus, "model_revision": None}
    fields["output_dir"] = folder / "experiments" / experiment.name
    section = f"{experiment.side}_task and regression"
    return Training("regression", fields, _parse(section, _DATACLASSES["regression"], fields))


def _parse(section: str, types: Sequence[type], fields: dict[str, Any]) -> tuple[Any, ...]:
    try:
        return RecipeParser(types, prog=section).parse(to_argv(fields))
    except InputError as error:
        raise InputError(f"in `{section}`: {error}") from error
