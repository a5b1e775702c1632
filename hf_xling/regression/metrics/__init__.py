"""Metrics of predictions, as modules of `evaluate` that load offline from the folders beside this file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

METRICS = ("mse", "rmse", "mae", "pearson", "spearman")  # of `rating`
CLASS_METRICS = ("accuracy", "macro_f1")  # of `classes`


@cache
def load_metric(name: str) -> Any:
    """The `evaluate` module `rating`, `classes` or `calibration`."""
    import evaluate

    return evaluate.load(str(files(__package__) / name), keep_in_memory=True)
