"""Predictions beside the true labels, as a table."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_xling.runs import written_aside

PREDICTIONS_FILE = "predictions.csv"


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
