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

from tqdm import tqdm

from hf_xling import runs
from hf_xling.corpora.builders import build
from hf_xling.experiments.baselines import BASELINES, run_baseline
from hf_xling.experiments.grid import SIDES, ExperimentsConfig, Side
from hf_xling.experiments.launch import launch
from hf_xling.experiments.plan import Plan, Task, Training, make_plan
from hf_xling.experiments.report import results_table, write_report
from hf_xling.experiments.statistics import RESULTS_FILE, TOKENS
from hf_xling.generation import stage as generation
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.filling import connect
from hf_xling.generation.filters import FilterConfig
from hf_xling.recipes import RecipeParser, to_argv

# The fields of `RegressionScriptArguments` that make the rated texts of a baseline others.
_FILES = ("dataset_name", "train_file", "test_file")
_DATA = (*_FILES, "dataset_config", "text_column", "label_column", "label_map", "label_range", "clean", "on_bad_row")


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
    baselines = {(name, side): _baseline_folder(config, name, side) for side in SIDES for name in BASELINES}
    phases = [
        (1, [Step(f"generate {name}", partial(_generate_once, *stage)) for name, stage in plan.generations.items()]),
        (1, [Step(f"corpus {name}", partial(build, *parts)) for name, parts in plan.corpora.items()]),
        (config.jobs, [Step(f"encoder {name}", partial(train, each)) for name, each in plan.encoders.items()]),
        (config.jobs, [Step(name, partial(train, each)) for name, each in plan.regressors.items()]),
        (
            1,
            [
                Step(f"{name} {config.codes[side]}", partial(_baseline_once, name, plan.tasks[side], output))
                for (name, side), output in baselines.items()
            ],
        ),
    ]
    with tqdm(total=sum(len(steps) for _, steps in phases), desc="experiments", unit="step") as progress:
        for jobs, steps in phases:
            run_steps(steps, jobs, progress)
    rows = _rows(config, plan)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    runs.write_text(folder / RESULTS_FILE, text)
    runs.finish(folder)
    return rows


def run_steps(steps: Sequence[Step], jobs: int, progress: tqdm) -> None:
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


def _train_once(config: ExperimentsConfig, training: Training) -> None:
    """Launch a training, unless it is finished; what is finished with other data or settings is refused."""
    if training.is_finished():
        return
    output = training.output_dir
    log = Path(config.output_dir) / "logs" / f"{output.parent.name}-{output.name}.log"
    # The bars of several trainings would overwrite each other.
    bars = {"disable_tqdm": True} if config.jobs > 1 else {}
    launch(training.script, to_argv({**training.fields, **bars}), config.accelerate_config, log)


def _baseline_once(name: str, task: Task, folder: Path) -> None:
    identity = runs.by_content({field: getattr(task.script, field) for field in _DATA}, _FILES)
    if not runs.claim(folder, f"baseline {name}", identity):
        run_baseline(name, task.splits["train"], task.splits["test"], folder)
        runs.finish(folder)


def _baseline_folder(config: ExperimentsConfig, name: str, side: Side) -> Path:
    return Path(config.output_dir) / "baselines" / f"{name}-{config.codes[side]}"


def _rows(config: ExperimentsConfig, plan: Plan) -> list[dict[str, Any]]:
    """The rows of `results.jsonl`: the trainings, one a seed, and the baselines."""
    folder, state = Path(config.output_dir), "trainer_state.json"
    rows: list[dict[str, Any]] = []
    for experiment in plan.experiments:
        for seed in config.seeds:
            place = f"experiments/{experiment.name}/seed-{seed}"
            row: dict[str, Any] = {
                "run_id": f"{experiment.name}/seed-{seed}",
                "experiment": experiment.name,
                "kind": "experiment",
            }
            row |= {"seed": seed, **_measured(config, plan, experiment.side, folder / place)}
            encoder = f"encoders/{experiment.corpus}/{state}" if experiment.corpus else None
            rows.append(row | {"log": f"{place}/{state}", "encoder_log": encoder, "paper_mse": experiment.paper_mse})
    for side in SIDES:
        for name in BASELINES:
            row = {"run_id": f"{name}/{config.codes[side]}", "experiment": name, "kind": "baseline", "seed": None}
            row |= _measured(config, plan, side, _baseline_folder(config, name, side))
            rows.append(row | {"log": None, "encoder_log": None, "paper_mse": None})
    return rows


def _measured(config: ExperimentsConfig, plan: Plan, side: Side, run_folder: Path) -> dict[str, Any]:
    """What a run was measured on, and the numbers of its own `all_results.json`."""
    results = json.loads((run_folder / "all_results.json").read_text(encoding="utf-8"))
    return {
        "language": config.codes[side],
        "task": plan.tasks[side].name,
        **{f"n_{split}": results.get(f"n_{split}", 0) for split in ("train", "validation", "test")},
        **{name: value for name, value in results.items() if name.startswith("test_") or name in TOKENS},
        "predictions": (run_folder / "predictions.csv").relative_to(config.output_dir).as_posix(),
        "started": results["started"],
        "seconds": results["seconds"],
    }


def main(argv: Sequence[str]) -> str:
    """Parse, run, report, and return the closing lines: the table, and where everything is."""
    about = "From source text to the report, each step skipped where an earlier run has finished it."
    (config,) = RecipeParser([ExperimentsConfig], prog="hf-xling experiments", description=about).parse(argv)
    run_experiments(config)
    report = write_report(config.output_dir)
    return (
        f"{results_table(report.summaries)}\n\n"
        f"a row a run: {Path(config.output_dir) / RESULTS_FILE}\n"
        f"report:      {report.html}"
    )
