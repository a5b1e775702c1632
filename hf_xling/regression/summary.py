"""What several trainings say together: means and deviations, and how good the mean of their predictions is."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets

from hf_xling.regression.arguments import Part
from hf_xling.regression.data import Splits
from hf_xling.regression.ensemble import Ratings
from hf_xling.regression.folds import cross_validation
from hf_xling.regression.metrics import load_metric
from hf_xling.regression.predictions import PREDICTIONS_FILE, write_predictions

RESULTS_FILE = "all_results.json"
TEST_SET_FILE = "test_set_predictions.csv"  # of a fold's training: of the test set, beside the fold's own part
OUT_OF_FOLD_FILE = "out_of_fold.csv"


def summarise(results: Mapping[Part, Mapping[str, Any]], splits: Splits, parent: Path) -> dict[str, Any]:
    """The means of all metrics of the test and the validation set over the trainings, with their sample standard
    deviations (`…_std`).

    Of ratings also, with the predictions written beside it:
    - `ensemble_test_*`: metrics of the mean of all models' predictions of the test set (`predictions.csv`);
    - with folds `out_of_fold_*`: of all training texts, each predicted by the models of all seeds that have not seen it
      (`out_of_fold.csv`);
    and of both, where several models predict a text, `…_calibration_*`: whether their spread tells how wrong they are.
    """
    parts = list(results)
    folds = sorted({part.fold for part in parts if part.fold is not None})
    summary: dict[str, Any] = {"seeds": list(dict.fromkeys(part.seed for part in parts))}
    summary |= {"folds": len(folds)} if folds else {}
    first = next(iter(results.values()))
    summary |= {name: first[name] for name in ("chosen_by", "n_validation") if name in first}
    measured = ("test_", "validation_")
    names = dict.fromkeys(name for row in results.values() for name in row if name.startswith(measured))
    for name in names:
        values = [row[name] for row in results.values() if row.get(name) is not None]
        if values:
            summary[name] = statistics.fmean(values)
            summary[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
    if splits.label_names is not None:
        return summary
    if folds:
        tested = [test for _, test in cross_validation(splits.datasets["train"], len(folds))]
        by_seed = [
            [rating for fold in folds for rating in _read(_of(parts, seed, fold).folder / PREDICTIONS_FILE)]
            for seed in summary["seeds"]
        ]
        summary |= _together("out_of_fold", by_seed, concatenate_datasets(tested), parent / OUT_OF_FOLD_FILE)
    if "test" in splits.datasets:
        file = TEST_SET_FILE if folds else PREDICTIONS_FILE
        members = [_read(part.folder / file) for part in parts]
        summary |= _together("ensemble_test", members, splits.datasets["test"], parent / PREDICTIONS_FILE)
    return summary


def _together(prefix: str, members: Sequence[Sequence[float]], dataset: Dataset, path: Path) -> dict[str, Any]:
    ratings, labels = Ratings.of(members), list(dataset["label"])
    write_predictions(path, dataset, ratings.mean.tolist(), None if ratings.spread is None else ratings.spread.tolist())
    found = load_metric("rating").compute(predictions=ratings.mean, references=labels)
    if ratings.spread is not None:
        of_spread = load_metric("calibration").compute(
            predictions=ratings.mean, references=labels, spreads=ratings.spread
        )
        found |= {f"calibration_{name}": value for name, value in of_spread.items()}
    return {f"{prefix}_{name}": value for name, value in found.items()}


def _of(parts: Sequence[Part], seed: int, fold: int) -> Part:
    return next(part for part in parts if (part.seed, part.fold) == (seed, fold))


def _read(path: Path) -> list[float]:
    with open(path, encoding="utf-8", newline="") as stream:
        return [float(row["prediction"]) for row in csv.DictReader(stream)]


def in_words(results: Mapping[str, Any]) -> str:
    """`test MSE 0.3127 (always the mean rating: 0.3921), MAE 0.4410 on 121 texts`; else of the validation set."""
    split = next(
        (split for split in ("test", "validation") if {f"{split}_mse", f"{split}_accuracy"} & results.keys()), ""
    )
    on = f" on {results[f'n_{split}']:,} texts" if f"n_{split}" in results else ""
    if f"{split}_mse" in results:
        together = next((name for name in ("ensemble_test", "out_of_fold") if f"{name}_mse" in results), None)
        more = f"; of the mean of their predictions {results[f'{together}_mse']:.4f}" if together else ""
        constant = f" (always the mean rating: {results[f'{split}_constant_mse']:.4f})"
        said = f"{split} MSE {results[f'{split}_mse']:.4f}{constant}, MAE {results[f'{split}_mae']:.4f}{on}{more}"
    elif f"{split}_accuracy" in results:
        majority = f" (always the commonest class: {results[f'{split}_majority_accuracy']:.4f})"
        f1 = f"macro-F1 {results[f'{split}_macro_f1']:.4f}"
        said = f"{split} accuracy {results[f'{split}_accuracy']:.4f}{majority}, {f1}{on}"
    else:
        return f"trained on {results['n_train']:,} texts; no test set" if "n_train" in results else "no test set"
    return said if split == "test" else f"{said}; no test set"
