"""What filled sheets say of generated text: adequacy, fluency, and how far the raters agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import krippendorff
import numpy as np

from hf_xling.hub.cards import cell, counts_table, shown
from hf_xling.hub.names import model_name
from hf_xling.quality.sheets import HIGHEST, LOWEST, SCALES, Ratings

RESAMPLES = 9999
SEED = 1
GOOD, BAD = 4, 2  # an item whose mean rating is at least, at most this


def tally(
    items: Sequence[Mapping[str, Any]], strata: Sequence[Mapping[str, Any]], ratings: Mapping[str, Ratings]
) -> dict[str, Any]:
    """Means, shares and agreement over the rated items, for JSON.

    An item counts by the mean of its ratings. Intervals are of the percentile bootstrap over items, seeded; as the
    sample is proportional, the means estimate those of all rows. Agreement is Krippendorff's alpha for ordinal
    values: 1 is perfect, 0 that of chance.

    Args:
        items: of the sheet, with their `item` and `stratum`.
        strata: facts of each stratum.
        ratings: by name of the rater.

    Returns:
        `raters` (each with `name`, `items` and its means), `scales` (each with `items`, `ratings`, `mean`, `interval`,
        `good` and `bad` shares, `alpha`, and `why` where there is none), and `strata` with their means.
    """
    numbers = [item["item"] for item in items]
    tables = {  # (raters, items) by scale; NaN where there is no rating
        scale: np.array(
            [[own.get(item, {}).get(scale, np.nan) for item in numbers] for own in ratings.values()], dtype=float
        )
        for scale in SCALES
    }
    # (items,) the mean rating of each item; NaN for one that nobody rated
    by_item = {scale: np.ma.masked_invalid(table).mean(axis=0).filled(np.nan) for scale, table in tables.items()}
    of = np.array([item["stratum"] for item in items])
    return {
        "raters": [
            {"name": name, "items": len(own), **{scale: _mean(tables[scale][place]) for scale in SCALES}}
            for place, (name, own) in enumerate(ratings.items())
        ],
        "scales": {scale: _scale(tables[scale], by_item[scale]) for scale in SCALES},
        "strata": [
            {**stratum, **{scale: _mean(by_item[scale][of == number]) for scale in SCALES}}
            for number, stratum in enumerate(strata)
        ],
    }


def _mean(values: np.ndarray) -> float | None:
    values = values[~np.isnan(values)]
    return round(float(values.mean()), 4) if len(values) else None


def _scale(table: np.ndarray, by_item: np.ndarray) -> dict[str, Any]:
    rated = by_item[~np.isnan(by_item)]
    alpha, why = agreement(table)
    return {
        "items": len(rated),
        "ratings": int((~np.isnan(table)).sum()),
        "mean": _mean(rated),
        "interval": _interval(rated),
        "good": round(float((rated >= GOOD).mean()), 4) if len(rated) else None,
        "bad": round(float((rated <= BAD).mean()), 4) if len(rated) else None,
        "alpha": alpha,
        "why": why,
    }


def _interval(values: np.ndarray) -> list[float] | None:
    """The 95% interval of the mean; None for fewer than two items."""
    if len(values) < 2:
        return None
    from scipy.stats import bootstrap

    options: dict[str, Any] = {"n_resamples": RESAMPLES, "method": "percentile", "batch": 500}
    found = bootstrap((values,), np.mean, random_state=np.random.default_rng(SEED), **options).confidence_interval
    return [round(float(found.low), 4), round(float(found.high), 4)]


def agreement(table: np.ndarray) -> tuple[float | None, str | None]:
    """Krippendorff's alpha (ordinal) of a (raters, items) table with NaN for what is missing; or None, and why.

    It does not exist where no item has two ratings, or where all of those that can be compared are the same.
    """
    paired = table[:, (~np.isnan(table)).sum(axis=0) > 1]
    if len(table) < 2:
        return None, "one rater"
    if not paired.size:
        return None, "no item has two ratings"
    if len(np.unique(paired[~np.isnan(paired)])) < 2:
        return None, "all ratings are the same"
    domain = np.arange(LOWEST, HIGHEST + 1)
    alpha = krippendorff.alpha(reliability_data=paired, value_domain=domain, level_of_measurement="ordinal")
    return round(float(alpha), 4), None


def tally_markdown(found: Mapping[str, Any]) -> str:
    """The numbers of `tally` as Markdown tables: the scales, the raters, the strata."""
    raters = [
        {"rater": cell(rater["name"]), "items": rater["items"], **{scale: shown(rater[scale]) for scale in SCALES}}
        for rater in found["raters"]
    ]
    strata = [
        {
            "task": cell(stratum["task"]),
            "language": cell(stratum["language"]),
            "model": cell(model_name(stratum["model_id"]) or "not stated"),
            "length of the source": stratum["length"],
            "rows": f"{stratum['rows']:,}",
            "items": stratum["sampled"],
            **{scale: shown(stratum[scale]) for scale in SCALES},
        }
        for stratum in found["strata"]
    ]
    return "\n\n".join(map(counts_table, (scale_rows(found["scales"]), raters, strata)))


def scale_rows(scales: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """A row for each scale, for `counts_table`."""
    return [
        {
            "": scale,
            "items": f"{facts['items']:,}",
            "mean": shown(facts["mean"]),
            "95% interval": "–" if facts["interval"] is None else " to ".join(map(shown, facts["interval"])),
            f"{GOOD} or more": shown(facts["good"], ".0%"),
            f"{BAD} or less": shown(facts["bad"], ".0%"),
            "Krippendorff's alpha": shown(facts["alpha"]) if facts["why"] is None else f"none: {facts['why']}",
        }
        for scale, facts in scales.items()
    ]
