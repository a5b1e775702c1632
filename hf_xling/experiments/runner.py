"""`hf-xling experiments`: from source text to the report, each step skipped where an earlier run has finished it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from datasets import Dataset
from tqdm import tqdm

from hf_xling import runs
from hf_xling.contrastive.config import SimCSEConfig, SimCSEScriptArguments
from hf_xling.corpora.builders import BuildConfig, build
from hf_xling.errors import InputError
from hf_xling.experiments.baselines import make_baselines, run_baseline
from hf_xling.experiments.grid import Experiment, ExperimentsConfig, paper_experiments
from hf_xling.experiments.launch import launch
from hf_xling.experiments.report import results_table, write_report
from hf_xling.generation.stage import GenerateConfig, generate, read_sources
from hf_xling.recipes import RecipeParser, to_argv
from hf_xling.regression.config import RegressionConfig, RegressionScriptArguments
from hf_xling.regression.data import load_splits

SIDES = ("source", "target")


@dataclass(frozen=True)
class Step:
    """One piece of work: its name for the progress bar, and what does it. It skips itself where it is finished."""

    name: str
    run: Callable[[], Any]


def run_experiments(config: ExperimentsConfig) -> list[dict[str, Any]]:
    """Run all steps of the recipe; return the rows of `results.jsonl`.

    Everything that can be checked without work is checked before the first step. A run that was killed goes on where
    it was.

    Raises:
        InputError: the recipe or what it names cannot be used, or the output folder holds another run.
        EndpointError: the endpoint cannot be used.
        XlingError: a training failed.
    """
    folder = Path(config.output_dir)
    tasks = _checked_tasks(config)
    generations = _checked_generations(config)
    _check_simcse(config)
    identity = {name: value for name, value in vars(config).items() if not name.endswith(("output_dir", "endpoint"))}
    runs.claim(folder, "hf-xling experiments", identity)
    experiments = paper_experiments(config.source_language, config.language)
    steps = [Step(f"generate {name}", lambda stage=stage: _generate_once(stage)) for name, stage in generations.items()]
    steps += _corpus_steps(config, folder)
    for experiment in experiments:
        if experiment.corpus is not None:
            steps.append(Step(f"encoder {experiment.corpus}", lambda e=experiment: _train_encoder(config, folder, e)))
    steps += [Step(e.name, lambda e=e: _train_regressors(config, folder, e)) for e in experiments]
    for side in SIDES:
        for name in make_baselines(2):
            steps.append(
                Step(
                    f"{name} {_language(config, side)}",
                    lambda s=side, n=name: _baseline(config, folder, s, n, tasks[s]),
                )
            )
    with tqdm(steps, desc="experiments", unit="step") as progress:
        for step in progress:
            progress.set_postfix_str(step.name)
            step.run()
    rows = _collect(config, folder, experiments, tasks)
    runs.write_text(folder / "results.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    runs.finish(folder)
    return rows


def _language(config: ExperimentsConfig, side: str) -> str:
    return config.source_language if side == "source" else config.language


def _parse(section: str, types: Sequence[type], fields: dict[str, Any]) -> tuple[Any, ...]:
    """The dataclasses of a stage from a section of the recipe; an error names the section."""
    try:
        return RecipeParser(types, prog=section).parse(to_argv(fields))
    except InputError as error:
        raise InputError(f"in `{section}`: {error}") from error


def _regression_fields(config: ExperimentsConfig, side: str) -> dict[str, Any]:
    return {"seeds": config.seeds, **config.regression, **getattr(config, f"{side}_task")}


def _checked_tasks(config: ExperimentsConfig) -> dict[str, dict[str, Dataset]]:
    """The splits of both tasks, by side."""
    tasks = {}
    for side in SIDES:
        fields = _regression_fields(config, side) | {"output_dir": str(Path(config.output_dir) / "experiments")}
        script, _ = _parse(f"{side}_task and regression", [RegressionScriptArguments, RegressionConfig], fields)
        tasks[side] = load_splits(script)
        if "test" not in tasks[side]:
            raise InputError(f"{side}_task.test_file is needed: without a test set there is nothing to compare")
    return tasks


def _checked_generations(config: ExperimentsConfig) -> dict[str, GenerateConfig]:
    """The three runs of stage 1. Only the last one's input does not exist yet."""
    folder = Path(config.output_dir) / "generation"
    source = {"input": config.source, "text_column": config.text_column, "split": config.split}
    chained = {"input": str(folder / "paraphrase" / "accepted"), "text_column": ["text"]}
    translate = {
        "task": "translate",
        "language": config.language,
        "endpoint": config.translate_endpoint or config.endpoint,
    }
    specific = {
        "paraphrase": {**source, "task": "paraphrase", "language": config.source_language},
        "translate": {**source, **translate},
        "paraphrase-translate": {**chained, **translate},
    }
    common = {"endpoint": config.endpoint, "source_language": config.source_language, **config.generate}
    generations = {}
    for name, fields in specific.items():
        fields = {**common, **fields, "output_dir": str(folder / name)}
        (generations[name],) = _parse("generate", [GenerateConfig], fields)
    read_sources(generations["paraphrase"])
    return generations


def _check_simcse(config: ExperimentsConfig) -> None:
    for side in SIDES:
        fields = _encoder_fields(config, Path(config.output_dir), side, "corpus")
        _parse("simcse", [SimCSEScriptArguments, SimCSEConfig], fields)


def _generate_once(stage: GenerateConfig) -> None:
    run = runs.read_run(stage.output_dir)
    if run is None or not run["finished"]:
        generate(stage)


def _corpus_steps(config: ExperimentsConfig, folder: Path) -> list[Step]:
    """One step a corpus: those with chains are built from the runs that made them."""
    steps = []
    for name in dict.fromkeys(e.corpus for e in paper_experiments("", "") if e.corpus):
        spec = import_module(f"hf_xling.dataset_scripts.{name}").SPEC
        news = name == "tamil_murasu"
        wanted = BuildConfig(
            source=config.news if news else config.source,
            output_dir=str(folder / "corpora" / name),
            generated=[str(folder / "generation" / "-".join(chain)) for chain in spec.chains],
            text_column=None if news else config.text_column,
            split=config.split,
            source_language=config.language if news else config.source_language,
            source_name=config.news_name if news else config.source_name,
            license=config.license,
        )
        steps.append(Step(f"corpus {name}", lambda spec=spec, wanted=wanted: build(spec, wanted)))
    return steps


def _encoder_fields(config: ExperimentsConfig, folder: Path, side: str, corpus: str) -> dict[str, Any]:
    return {
        **config.simcse,
        "model_name_or_path": getattr(config, f"{side}_task")["model_name_or_path"],
        "dataset_name": str(folder / "corpora" / corpus),
        "dataset_config": "sentences",
        "output_dir": str(folder / "encoders" / corpus),
    }


def _train_encoder(config: ExperimentsConfig, folder: Path, experiment: Experiment) -> None:
    fields = _encoder_fields(config, folder, experiment.side, experiment.corpus)
    _launch_once("simcse", fields, config)


def _train_regressors(config: ExperimentsConfig, folder: Path, experiment: Experiment) -> None:
    fields = _regression_fields(config, experiment.side)
    if experiment.corpus is not None:
        fields["model_name_or_path"] = str(folder / "encoders" / experiment.corpus)
    _launch_once("regression", {**fields, "output_dir": str(folder / "experiments" / experiment.name)}, config)


def _launch_once(script: str, fields: dict[str, Any], config: ExperimentsConfig) -> None:
    output = Path(fields["output_dir"])
    run = runs.read_run(output)
    if run is None or not run["finished"]:
        log = Path(config.output_dir) / "logs" / f"{output.parent.name}-{output.name}.log"
        launch(script, to_argv(fields), config.accelerate_config, log)


def _baseline(config: ExperimentsConfig, folder: Path, side: str, name: str, splits: dict[str, Dataset]) -> None:
    output = folder / "baselines" / f"{name}-{_language(config, side)}"
    if not (output / "all_results.json").exists():
        run_baseline(name, splits["train"], splits["test"], output)


def _collect(
    config: ExperimentsConfig, folder: Path, experiments: Sequence[Experiment], tasks: dict[str, dict[str, Dataset]]
) -> list[dict[str, Any]]:
    """The rows of `results.jsonl`: one a run, with the numbers of its own `all_results.json`."""
    rows = []
    for experiment in experiments:
        log = f"encoders/{experiment.corpus}/trainer_state.json" if experiment.corpus else None
        for seed in config.seeds:
            path = f"experiments/{experiment.name}/seed-{seed}"
            rows.append(
                _row(config, folder, experiment.side, path, tasks)
                | {
                    "run_id": f"{experiment.name}/seed-{seed}",
                    "experiment": experiment.name,
                    "kind": "experiment",
                    "seed": seed,
                    "log": f"{path}/trainer_state.json",
                    "encoder_log": log,
                    "paper_mse": experiment.paper_mse,
                }
            )
    for side in SIDES:
        for name in make_baselines(2):
            path = f"baselines/{name}-{_language(config, side)}"
            rows.append(
                _row(config, folder, side, path, tasks)
                | {
                    "run_id": f"{name}/{_language(config, side)}",
                    "experiment": name,
                    "kind": "baseline",
                    "seed": None,
                    "log": None,
                    "encoder_log": None,
                    "paper_mse": None,
                }
            )
    return rows


def _row(config: ExperimentsConfig, folder: Path, side: str, path: str, tasks: dict[str, dict[str, Dataset]]) -> dict:
    results = json.loads((folder / path / "all_results.json").read_text(encoding="utf-8"))
    task = getattr(config, f"{side}_task")
    return {
        "run_id": None,
        "experiment": None,
        "kind": None,
        "language": _language(config, side),
        "task": Path(task.get("test_file") or task["dataset_name"]).name,
        "seed": None,
        **{f"n_{split}": len(tasks[side].get(split, ())) for split in ("train", "validation", "test")},
        **{name: value for name, value in results.items() if name.startswith("test_")},
        "predictions": f"{path}/predictions.csv",
        "started": results["started"],
        "seconds": results["seconds"],
    }


def main(argv: Sequence[str]) -> str:
    """Parse, run, report, and return the closing lines: the table, and where everything is."""
    parser = RecipeParser([ExperimentsConfig], prog="hf-xling experiments", description=__doc__)
    (config,) = parser.parse(argv)
    run_experiments(config)
    report = write_report(config.output_dir)
    return (
        f"{results_table(report.summaries)}\n\n"
        f"a row a run: {Path(config.output_dir) / 'results.jsonl'}\n"
        f"report:      {report.html}"
    )
