"""One training per seed in one launch: a launch costs seconds, a training on a few hundred texts hardly more."""

from __future__ import annotations

import copy
import json
import shutil
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_xling.pretrained import check_checkpoint
from hf_xling.regression.config import (
    COMMAND,
    RegressionConfig,
    RegressionScriptArguments,
    run_identity,
    seed_folders,
)
from hf_xling.regression.data import load_splits
from hf_xling.regression.metrics import METRICS
from hf_xling.regression.predictions import write_predictions
from hf_xling.regression.trainer import RegressionTrainer
from hf_xling.runs import claim, finish, last_checkpoint, write_json

RESULTS_FILE = "all_results.json"


def train_seeds(script: RegressionScriptArguments, args: RegressionConfig) -> str | None:
    """Train and test once a seed; return the closing lines (None on the other processes of a launch).

    With `--seeds` each training has a folder `seed-N`, without the checkpoints that it could have been resumed from,
    and the parent folder holds the means; with one `--seed` the output folder is that of the training itself. Seeds
    that are finished are not trained again.
    """
    splits = load_splits(script)
    check_checkpoint(script.model_name_or_path, script.model_revision)
    identity, folders, parent = run_identity(script, args), seed_folders(script, args), Path(args.output_dir)
    if script.seeds:
        claim(parent, COMMAND, identity)
    trained = False
    for seed, folder in folders.items():
        if claim(folder, COMMAND, {**identity, "seed": seed}):
            continue
        trained = True
        _train(script, _args_for(args, folder, seed), splits)
        if args.should_save:
            finish(folder)
            for checkpoint in folder.glob("checkpoint-*") if script.seeds else ():
                shutil.rmtree(checkpoint)
    if not args.should_save:
        return None
    results = {seed: json.loads((folder / RESULTS_FILE).read_text("utf-8")) for seed, folder in folders.items()}
    if script.seeds:
        write_json(parent / RESULTS_FILE, _summary(results))
        finish(parent)
    lines = [f"seed {seed}: {_in_words(result)} → {folders[seed]}" for seed, result in results.items()]
    return "\n".join(lines if trained else [f"{parent}: this run is already finished", *lines])


def _args_for(args: RegressionConfig, folder: Path, seed: int) -> RegressionConfig:
    args = copy.copy(args)
    args.output_dir, args.seed = str(folder), seed
    return args


def _train(script: RegressionScriptArguments, args: RegressionConfig, splits: Mapping[str, Dataset]) -> None:
    """Train and test with one seed, and write the model, its results and its predictions to `args.output_dir`."""
    started, clock = datetime.now(UTC), time.monotonic()
    trainer = RegressionTrainer(
        script.model_name_or_path,
        args,
        splits["train"],
        splits.get("validation"),
        model_revision=script.model_revision,
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(args.output_dir))
    trainer.save_model()
    trainer.save_state()
    trainer.create_model_card()
    results: dict[str, Any] = {f"n_{split}": len(dataset) for split, dataset in splits.items()}
    results |= {"steps": trainer.state.global_step, "seed": args.seed}
    if "test" in splits:
        prediction = trainer.predict(splits["test"])
        results |= {f"test_{name}": prediction.metrics[f"test_{name}"] for name in METRICS}
        if args.should_save:
            write_predictions(args.output_dir, splits["test"], prediction.predictions.squeeze(-1).tolist())
    results |= {"started": started.isoformat(timespec="seconds"), "seconds": round(time.monotonic() - clock, 2)}
    if args.should_save:
        write_json(Path(args.output_dir) / RESULTS_FILE, results)
    if args.push_to_hub:
        trainer.push_to_hub()


def _summary(results: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the seeds, and the sample standard deviations of two seeds and more."""
    summary: dict[str, Any] = {"seeds": list(results)}
    for name in (f"test_{metric}" for metric in METRICS):
        values = [row[name] for row in results.values() if row.get(name) is not None]
        if values:
            summary[name] = statistics.fmean(values)
            summary[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
    return summary


def _in_words(results: Mapping[str, Any]) -> str:
    if "test_mse" not in results:
        return f"trained on {results['n_train']:,} texts; no test set"
    return f"test MSE {results['test_mse']:.4f}, MAE {results['test_mae']:.4f} on {results['n_test']:,} texts"
