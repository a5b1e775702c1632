"""What trainings leave behind: predictions beside the true labels, and what several trainings say together."""

from __future__ import annotations

import csv
import hashlib
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets

from hf_xling.regression.ensemble import Ratings
from hf_xling.regression.metrics import load_metric
from hf_xling.regression.parts import Part
from hf_xling.runs import written_aside

RESULTS_FILE = "all_results.json"
PREDICTIONS_FILE = "predictions.csv"
TEST_SET_FILE = "test_set_predictions.csv"  # of a fold's training: of the test set, beside the fold's own part
OUT_OF_FOLD_FILE = "out_of_fold.csv"


def write_predictions(
    path: str | Path, dataset: Dataset, predictions: Sequence[Any], spreads: Sequence[float] | None = None
) -> None:
    """Write a CSV file of `id`, `text_hash`, `label`, `prediction` and, where there are `spreads`, `spread`.

    The hash (of `text_hash`) tells which text a row is of without holding the text.
    """
    columns: dict[str, Sequence[Any]] = {
        "id": dataset["id"],
        "text_hash": [text_hash(text) for text in dataset["text"]],
        "label": dataset["label"],
        "prediction": predictions,
    }
    if spreads is not None:
        columns["spread"] = spreads
    with written_aside(path) as aside, open(aside, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def text_hash(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def summarise(
    results: Mapping[Part, Mapping[str, Any]], folder: Path, tested: Mapping[int, Dataset], test_set: Dataset | None
) -> dict[str, Any]:
    """The means of all metrics of the test and the validation set over the trainings, with their sample standard
    deviations (`…_std`).

    Of ratings also, with the predictions written to `folder`:
    - `ensemble_test_*`: metrics of the mean of all models' predictions of the test set (`predictions.csv`);
    - with folds `out_of_fold_*`: of all training texts, each predicted by the models of all seeds that have not seen it
      (`out_of_fold.csv`);
    and of both, where several models predict a text, `…_calibration_*`: whether their spread tells how wrong they are.

    Args:
        results: `all_results.json` of each training.
        folder: of the launch.
        tested: of ratings, the rows that each fold is tested on; empty without folds.
        test_set: of ratings, the test set beside the folds, if there is one.
    """
    seeds = list(dict.fromkeys(part.seed for part in results))
    folds = len({part.fold for part in results if part.fold is not None})
    summary: dict[str, Any] = {"seeds": seeds, **({"folds": folds} if folds else {})}
    first = next(iter(results.values()))
    summary |= {name: first[name] for name in ("chosen_by", "n_validation") if name in first}
    for name in dict.fromkeys(name for row in results.values() for name in row):
        values = [row[name] for row in results.values() if row.get(name) is not None]
        if values and name.startswith(("test_", "validation_")):
            summary[name] = statistics.fmean(values)
            summary[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
    if tested:
        places = {(part.seed, part.fold): part.folder / PREDICTIONS_FILE for part in results}
        members = [[rating for fold in tested for rating in _read(places[seed, fold])] for seed in seeds]
        rows = concatenate_datasets(list(tested.values()))
        summary |= _together("out_of_fold", members, rows, folder / OUT_OF_FOLD_FILE)
    if test_set is not None:
        members = [_read(part.folder / (TEST_SET_FILE if tested else PREDICTIONS_FILE)) for part in results]
        summary |= _together("ensemble_test", members, test_set, folder / PREDICTIONS_FILE)
    return summary


def _together(prefix: str, members: Sequence[Sequence[float]], dataset: Dataset, path: Path) -> dict[str, Any]:
    ratings, labels = Ratings.of(members), list(dataset["label"])
    write_predictions(path, dataset, ratings.mean.tolist(), None if ratings.spread is None else ratings.spread.tolist())
    found = load_metric("rating").compute(predictions=ratings.mean, references=labels)
    if ratings.spread is not None:
        spreads = {"predictions": ratings.mean, "references": labels, "spreads": ratings.spread}
        calibration = load_metric("calibration").compute(**spreads)
        found |= {f"calibration_{name}": value for name, value in calibration.items()}
    return {f"{prefix}_{name}": value for name, value in found.items()}


def _read(path: Path) -> list[float]:
    with open(path, encoding="utf-8", newline="") as stream:
        return [float(row["prediction"]) for row in csv.DictReader(stream)]


def in_words(results: Mapping[str, Any]) -> str:
    """`test MSE 0.3127 (always the mean rating: 0.3921), MAE 0.4410 on 121 texts`; else of the validation set."""
    measured = (split for split in ("test", "validation") if {f"{split}_mse", f"{split}_accuracy"} & results.keys())
    split = next(measured, None)
    if split is None:
        return f"trained on {results['n_train']:,} texts; no test set" if "n_train" in results else "no test set"

    def number(name: str) -> str:
        return f"{results[name]:.4f}"

    on = f" on {results[f'n_{split}']:,} texts" if f"n_{split}" in results else ""
    if f"{split}_mse" in results:
        said = f"{split} MSE {number(f'{split}_mse')} (always the mean rating: {number(f'{split}_constant_mse')})"
        said += f", MAE {number(f'{split}_mae')}{on}"
        if together := next((name for name in ("ensemble_test", "out_of_fold") if f"{name}_mse" in results), None):
            said += f"; of the mean of their predictions {number(f'{together}_mse')}"
    else:
        said = f"{split} accuracy {number(f'{split}_accuracy')} "
        said += f"(always the commonest class: {number(f'{split}_majority_accuracy')})"
        said += f", macro-F1 {number(f'{split}_macro_f1')}{on}"
    return said if split == "test" else f"{said}; no test set"
