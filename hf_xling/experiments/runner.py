"""`hf-xling experiments`: from source text to the report, each step skipped where an earlier run has finished it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from tqdm import tqdm

from hf_xling import runs
from hf_xling.contrastive import config as simcse
from hf_xling.contrastive.config import SimCSEConfig, SimCSEScriptArguments
from hf_xling.corpora.builders import build
from hf_xling.experiments.baselines import BASELINES, run_baseline
from hf_xling.experiments.grid import ExperimentsConfig
from hf_xling.experiments.launch import launch
from hf_xling.experiments.plan import SIDES, Plan, make_plan, parse_section, task_section
from hf_xling.experiments.statistics import TOKENS
from hf_xling.generation import stage as generation
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.filling import connect
from hf_xling.generation.filters import FilterConfig
from hf_xling.recipes import to_argv
from hf_xling.regression.arguments import RegressionScriptArguments, is_trained
from hf_xling.regression.config import RegressionConfig
from hf_xling.training.adapters import LoraArguments


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
    _check_endpoints(plan)
    # What else makes a run another is in the identity of each of its steps.
    runs.claim(folder, "hf-xling experiments", {"languages": [*config.codes.values()]})
    train = partial(_train_once, config)
    phases = [
        (1, [Step(f"generate {name}", partial(_generate_once, *stage)) for name, stage in plan.generations.items()]),
        (1, [Step(f"corpus {name}", partial(build, *parts)) for name, parts in plan.corpora.items()]),
        (config.jobs, [Step(f"encoder {name}", partial(train, "simcse", f)) for name, f in plan.encoders.items()]),
        (config.jobs, [Step(name, partial(train, "regression", fields)) for name, fields in plan.regressors.items()]),
        (1, _baseline_steps(config, plan)),
    ]
    with tqdm(total=sum(len(steps) for _, steps in phases), desc="experiments", unit="step") as progress:
        for jobs, steps in phases:
            _run_steps(steps, jobs, progress)
    rows = [*_experiment_rows(config, plan), *_baseline_rows(config)]
    runs.write_text(folder / "results.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    runs.finish(folder)
    return rows


def _run_steps(steps: Sequence[Step], jobs: int, progress: tqdm) -> None:
    """Run `steps`, `jobs` at a time; after a failure start no more, and raise it when those under way have ended."""

    under_way: list[str] = []

    def run(step: Step) -> None:
        under_way.append(step.name)
        progress.set_postfix_str(", ".join(under_way))
        step.run()
        under_way.remove(step.name)
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


def _generate_once(stage: GenerateConfig, filters: FilterConfig) -> None:
    if not generation.is_generated(stage, filters):
        generation.generate(stage, filters)


def _check_endpoints(plan: Plan) -> None:
    """An `EndpointError` if an endpoint that is still needed is down: better now than after hours of another's work."""

    async def ask(stage: GenerateConfig) -> None:
        async with AsyncExitStack() as connections:
            await connect(stage, stage.endpoint, connections)

    stages = [stage for stage, filters in plan.generations.values() if not generation.is_generated(stage, filters)]
    for stage in {tuple(stage.endpoint): stage for stage in stages if stage.endpoint}.values():
        asyncio.run(ask(stage))


def _train_once(config: ExperimentsConfig, script: str, fields: dict[str, Any]) -> None:
    """Launch a training, unless it is finished; what is finished with other data or settings is refused."""
    if script == "simcse":
        arguments, args, lora = parse_section("simcse", [SimCSEScriptArguments, SimCSEConfig, LoraArguments], fields)
        done = runs.is_finished(args.output_dir, simcse.COMMAND, simcse.run_identity(arguments, args, lora))
    else:
        classes = [RegressionScriptArguments, RegressionConfig, LoraArguments]
        done = is_trained(*parse_section("regression", classes, fields))
    if done:
        return
    output = Path(fields["output_dir"])
    log = Path(config.output_dir) / "logs" / f"{output.parent.name}-{output.name}.log"
    # The bars of several trainings would overwrite each other.
    bars = {"disable_tqdm": True} if config.jobs > 1 else {}
    launch(script, to_argv({**fields, **bars}), config.accelerate_config, log)


def _baseline_steps(config: ExperimentsConfig, plan: Plan) -> list[Step]:
    return [
        Step(
            f"{name} {config.codes[side]}",
            partial(
                _baseline_once, name, plan.tasks[side], task_section(config, side), _baseline_folder(config, name, side)
            ),
        )
        for side in SIDES
        for name in BASELINES
    ]


def _baseline_once(name: str, splits: dict[str, Dataset], task: dict[str, Any], folder: Path) -> None:
    files = ("dataset_name", "train_file", "test_file")
    columns = ("text_column", "label_column", "label_map", "label_range", "clean", "on_bad_row")
    given = {field: task[field] for field in (*files, "dataset_config", *columns) if field in task}
    if not runs.claim(folder, f"baseline {name}", runs.by_content(given, files)):
        run_baseline(name, splits["train"], splits["test"], folder)
        runs.finish(folder)


def _baseline_folder(config: ExperimentsConfig, name: str, side: str) -> Path:
    return Path(config.output_dir) / "baselines" / f"{name}-{config.codes[side]}"


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
                    **_measured(config, experiment.side, run_folder),
                    "log": str(log.relative_to(folder)),
                    "encoder_log": encoder_log and str(encoder_log.relative_to(folder)),
                    "paper_mse": experiment.paper_mse,
                }
            )
    return rows


def _baseline_rows(config: ExperimentsConfig) -> list[dict[str, Any]]:
    return [
        {
            "run_id": f"{name}/{config.codes[side]}",
            "experiment": name,
            "kind": "baseline",
            "seed": None,
            **_measured(config, side, _baseline_folder(config, name, side)),
            "log": None,
            "encoder_log": None,
            "paper_mse": None,
        }
        for side in SIDES
        for name in BASELINES
    ]


def _measured(config: ExperimentsConfig, side: str, run_folder: Path) -> dict[str, Any]:
    """What a run was measured on, and the numbers of its own `all_results.json`."""
    results = json.loads((run_folder / "all_results.json").read_text(encoding="utf-8"))
    task = task_section(config, side)
    return {
        "language": config.codes[side],
        "task": Path(task.get("test_file") or task["dataset_name"]).name,
        **{f"n_{split}": results.get(f"n_{split}", 0) for split in ("train", "validation", "test")},
        **{name: value for name, value in results.items() if name.startswith("test_") or name in TOKENS},
        "predictions": str((run_folder / "predictions.csv").relative_to(config.output_dir)),
        "started": results["started"],
        "seconds": results["seconds"],
    }
