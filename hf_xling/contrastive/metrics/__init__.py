"""Metrics of sentence vectors, as modules of `evaluate` that load offline."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load_sts_metric() -> Any:
    """The `evaluate` module that correlates similarities, `spearman` and `pearson`."""
    import evaluate

    return evaluate.load(str(files(__package__) / "sts"), keep_in_memory=True)
