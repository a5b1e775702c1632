"""Metrics of ratings, as modules of `evaluate` that load offline: `evaluate.load(str(rating_metric_folder()))`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

METRICS = ("mse", "rmse", "mae", "pearson", "spearman")


@cache
def load_rating_metric() -> Any:
    """The `evaluate` module of this folder that computes `METRICS`."""
    import evaluate

    return evaluate.load(str(files(__package__) / "rating"), keep_in_memory=True)
