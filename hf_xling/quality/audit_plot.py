"""The figure of an audit, as a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_xling.figures import PALETTE, in_style, legend, save_png
from hf_xling.quality.sides import Side
from hf_xling.quality.words import quantile

GREYS = ("#1f2328", "#9aa4af")
BINS = 40


def draw_audit(sides: Sequence[Side], found: Mapping[str, Any], path: str | Path) -> None:
    """Draw lengths, coverage of the task's words (where there is a task) and words for groups of people.

    Args:
        sides: of the audit.
        found: its numbers, as `audit.audit` gives them.
        path: the PNG to write.
    """
    rates = [side for side in found["sides"][: len(sides)] if side["terms"] is not None]
    terms = _terms(rates)
    panels = [("words a text, share of the texts", 2.4)]
    panels += [("words of the task that stand in it", 0.7 + 0.3 * len(found["sides"]))] if found["task"] else []
    title = "words for groups of people, per 10,000 words (colours as above)"
    panels += [(title, 0.7 + 0.1 * len(terms) * (1 + len(rates)))] if terms else []
    with in_style(**{"font.size": 9, "savefig.dpi": 120}):
        figure = Figure(figsize=(8, sum(height for _, height in panels)), layout="constrained")
        ratios = [height for _, height in panels]
        grid = figure.subplots(len(panels), squeeze=False, gridspec_kw={"height_ratios": ratios}).ravel()
        axes = dict(zip((title for title, _ in panels), grid, strict=True))
        for title, panel in axes.items():
            panel.set_title(title)
        _draw_lengths(grid[0], sides)
        if found["task"]:
            _draw_coverage(grid[1], found["sides"])
        if terms:
            _draw_terms(grid[-1], rates, terms, [side.name for side in sides])
        save_png(figure, path)


def _terms(sides: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The (group, category) of which some side has words, in the order of the lists."""
    listed = [(group, name) for side in sides for group, names in side["terms"].items() for name in names]
    found = {(group, name) for side in sides for group, names in side["terms"].items() for name in names if names[name]}
    return [term for term in dict.fromkeys(listed) if term in found]


def _draw_lengths(axes: Axes, sides: Sequence[Side]) -> None:
    """A step line for each side, up to the length that 99% of its texts do not exceed: one long text hides nothing."""
    longest = max(quantile(side.counts.lengths, 99) for side in sides)
    edges = np.unique(np.linspace(0, longest + 1, BINS + 1).round())
    handles = []
    for number, side in enumerate(sides):
        values, weights = np.array(list(side.counts.lengths)), np.array(list(side.counts.lengths.values()))
        shares, _ = np.histogram(values, edges, weights=weights / max(side.counts.texts, 1))
        handles.append(axes.stairs(shares / np.diff(edges), edges, color=_colour(number), linewidth=1.6))
    axes.set_ylim(bottom=0)
    legend(axes, zip(handles, [side.name for side in sides], strict=True), loc="upper right")


def _draw_coverage(axes: Axes, sides: Sequence[Mapping[str, Any]]) -> None:
    places = np.arange(len(sides))
    for number, (key, called) in enumerate((("types", "distinct words"), ("words", "all words"))):
        shares = [100 * (side["coverage"][key] or 0) for side in sides]
        axes.barh(places + 0.36 * (number - 0.5), shares, 0.34, color=GREYS[number], label=called)
    axes.set_yticks(places, [side["name"] for side in sides])
    axes.set_ylim(len(sides) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.xaxis.set_major_formatter("{x:.0f}%")
    axes.grid(False, axis="y")
    axes.legend(loc="lower right")


def _draw_terms(
    axes: Axes, sides: Sequence[Mapping[str, Any]], terms: Sequence[tuple[str, str]], names: Sequence[str]
) -> None:
    places, width = np.arange(len(terms)), 0.8 / len(sides)
    for number, side in enumerate(sides):
        rates = [side["terms"].get(group, {}).get(name, 0.0) for group, name in terms]
        offset = (number - (len(sides) - 1) / 2) * width
        axes.barh(places + offset, rates, width, color=_colour(names.index(side["name"])))
    axes.set_yticks(places, [f"{group}, {name}" for group, name in terms])
    axes.set_ylim(len(terms) - 0.5, -0.5)
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(False, axis="y")


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]
