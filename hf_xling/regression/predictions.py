"""Predictions beside the true ratings, as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset

from hf_xling.runs import written_aside


def write_predictions(folder: str | Path, dataset: Dataset, predictions: Sequence[float]) -> None:
    """Write `predictions.csv` to `folder`: `id` and `label` of each row of `dataset`, and its `prediction`."""
    with (
        written_aside(Path(folder) / "predictions.csv") as aside,
        open(aside, "w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["id", "label", "prediction"])
        writer.writerows(zip(dataset["id"], dataset["label"], predictions, strict=True))
