"""`hf-xling experiments`: from source text to the report, each step skipped where an earlier run has finished it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from tqdm import tqdm

from hf_xling import runs
from hf_xling.corpora.builders import build
from hf_xling.experiments.baselines import make_baselines, run_baseline
from hf_xling.experiments.grid import ExperimentsConfig
from hf_xling.experiments.launch import launch
from hf_xling.experiments.plan import SIDES, Plan, language_of, make_plan
from hf_xling.experiments.report import results_table, write_report
from hf_xling.generation.stage import GenerateConfig, generate
from hf_xling.recipes import RecipeParser, to_argv

# Endings of the recipe's fields that change no result.
_NO_MATTER = ("output_dir", "endpoint", "jobs")


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
    plan = make_plan(config)
    identity = {name: value for name, value in vars(config).items() if not name.endswith(_NO_MATTER)}
    runs.claim(folder, "hf-xling experiments", identity)
    train = partial(_launch_once, config)
    phases = [
        (1, [Step(f"generate {name}", partial(_generate_once, stage)) for name, stage in plan.generations.items()]),
        (1, [Step(f"corpus {name}", partial(build, *parts)) for name, parts in plan.corpora.items()]),
        (config.jobs, [Step(f"encoder {name}", partial(train, "simcse", f)) for name, f in plan.encoders.items()]),
        (config.jobs, [Step(name, partial(train, "regression", fields)) for name, fields in plan.regressors.items()]),
        (1, _baseline_steps(config, plan)),
    ]
    with tqdm(total=sum(len(steps) for _, steps in phases), desc="experiments", unit="step") as progress:
        for jobs, steps in phases:
            _run_steps(steps, jobs, progress)
    rows = [*_experiment_rows(config, plan), *_baseline_rows(config, plan)]
    runs.write_text(folder / "results.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    runs.finish(folder)
    return rows


def _run_steps(steps: Sequence[Step], jobs: int, progress: tqdm) -> None:
    """Run `steps`, `jobs` at a time; after a failure start no more, and raise it when those under way have ended."""

    def run(step: Step) -> None:
        progress.set_postfix_str(step.name)
        step.run()
        progress.update()

    if jobs == 1:  # in this thread, where Ctrl-C reaches it
        for step in steps:
            run(step)
        return
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(run, step) for step in steps]
        try:
            for future in as_completed(futures):
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _generate_once(stage: GenerateConfig) -> None:
    run = runs.read_run(stage.output_dir)
    if run is None or not run["finished"]:
        generate(stage)


def _launch_once(config: ExperimentsConfig, script: str, fields: dict[str, Any]) -> None:
    output = Path(fields["output_dir"])
    run = runs.read_run(output)
    if run is None or not run["finished"]:
        log = Path(config.output_dir) / "logs" / f"{output.parent.name}-{output.name}.log"
        # The bars of several trainings would overwrite each other.
        bars = {"disable_tqdm": True} if config.jobs > 1 else {}
        launch(script, to_argv({**fields, **bars}), config.accelerate_config, log)


def _baseline_steps(config: ExperimentsConfig, plan: Plan) -> list[Step]:
    return [
        Step(
            f"{name} {language_of(config, side)}",
            partial(_baseline_once, name, plan.tasks[side], _baseline_folder(config, name, side)),
        )
        for side in SIDES
        for name in make_baselines(2)
    ]


def _baseline_once(name: str, splits: dict[str, Dataset], folder: Path) -> None:
    if not (folder / "all_results.json").exists():
        run_baseline(name, splits["train"], splits["test"], folder)


def _baseline_folder(config: ExperimentsConfig, name: str, side: str) -> Path:
    return Path(config.output_dir) / "baselines" / f"{name}-{language_of(config, side)}"


def _experiment_rows(config: ExperimentsConfig, plan: Plan) -> list[dict[str, Any]]:
    """The rows of `results.jsonl` that are trainings: one a seed."""
    folder = Path(config.output_dir)
    rows = []
    for experiment in plan.experiments:
        for seed in config.seeds:
            run_folder = folder / "experiments" / experiment.name / f"seed-{seed}"
            log = run_folder / "trainer_state.json"
            encoder_log = folder / "encoders" / experiment.corpus / log.name if experiment.corpus else None
            rows.append(
                {
                    "run_id": f"{experiment.name}/seed-{seed}",
                    "experiment": experiment.name,
                    "kind": "experiment",
                    "seed": seed,
                    **_measured(config, plan, experiment.side, run_folder),
                    "log": str(log.relative_to(folder)),
                    "encoder_log": encoder_log and str(encoder_log.relative_to(folder)),
                    "paper_mse": experiment.paper_mse,
                }
            )
    return rows


def _baseline_rows(config: ExperimentsConfig, plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "run_id": f"{name}/{language_of(config, side)}",
            "experiment": name,
            "kind": "baseline",
            "seed": None,
            **_measured(config, plan, side, _baseline_folder(config, name, side)),
            "log": None,
            "encoder_log": None,
            "paper_mse": None,
        }
        for side in SIDES
        for name in make_baselines(2)
    ]


def _measured(config: ExperimentsConfig, plan: Plan, side: str, run_folder: Path) -> dict[str, Any]:
    """What a run was measured on, and the numbers of its own `all_results.json`."""
    results = json.loads((run_folder / "all_results.json").read_text(encoding="utf-8"))
    task = config.source_task if side == "source" else config.target_task
    return {
        "language": language_of(config, side),
        "task": Path(task.get("test_file") or task["dataset_name"]).name,
        **{f"n_{split}": len(plan.tasks[side].get(split, ())) for split in ("train", "validation", "test")},
        **{name: value for name, value in results.items() if name.startswith("test_")},
        "predictions": str((run_folder / "predictions.csv").relative_to(config.output_dir)),
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
