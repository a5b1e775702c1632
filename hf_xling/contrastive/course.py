"""The course of a training as a figure: the loss, and what was measured of held-out rows and of a similarity set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from transformers import TrainerState

from hf_xling import runs
from hf_xling.contrastive.tokens import TokenTable
from hf_xling.figures import BLUE, MUTED, VERMILLION, in_style, legend, save_png

FILE = "training.png"
COLUMNS = 2
# Its titles, by metric; of Wang and Isola 2020 the first two, as `metrics/` defines them.
TITLES = {
    "loss": "loss (lower is better)",
    "uniformity": "uniformity (lower: vectors lie apart)",
    "alignment": "alignment (lower: pairs lie together)",
    "relative_distance": "distance of pairs, relative to random pairs",
    "sts_spearman": "similarity set, Spearman's correlation",
}


def draw_course(log_history: Sequence[Mapping[str, Any]], chance: Mapping[str, float], folder: Path) -> str | None:
    """Draw the metrics of `TITLES` that were logged, over the optimiser steps, a panel each, into `folder`.

    Args:
        log_history: of a Trainer's state.
        chance: what a metric is by chance, if that is known; a dotted line.
        folder: it gets `training.png`; one that lies there is removed where there is nothing to draw.

    Returns:
        The file's name; None where no metric was logged twice.
    """
    curves = {name: [_curve(log_history, name), _curve(log_history, f"eval_{name}")] for name in TITLES}
    drawn = {name: pair for name, pair in curves.items() if max(map(len, pair)) > 1}
    if not drawn:
        (folder / FILE).unlink(missing_ok=True)
        return None
    rows = -(-len(drawn) // COLUMNS)
    columns = min(len(drawn), COLUMNS)
    with in_style(**{"font.size": 9}):
        figure = Figure(figsize=(4.4 * columns, 0.2 + 2.3 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axes, (name, (trained, held_out)) in zip(grid, drawn.items(), strict=False):
            _draw(axes, name, trained, held_out, chance.get(name))
        for axes in grid[len(drawn) :]:
            axes.remove()
        for axes in grid[max(len(drawn) - columns, 0) : len(drawn)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("optimiser step")
        with runs.written_aside(folder / FILE) as aside:
            save_png(figure, aside)
    return FILE


def trained_in_words(rows: TokenTable, state: TrainerState, pairs: str) -> str:
    """`64 rows, 3 steps, loss 0.412 at the end; 64 text pairs (sent0, sent1)`, and how many rows share a text."""
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    last = f", loss {losses[-1]:.3f} at the end" if losses else ""
    shared = f"; {rows.repeated:,} share a text with another row, and are no negatives of it" if rows.repeated else ""
    return f"{len(rows):,} rows, {state.global_step:,} steps{last}; {pairs}{shared}"


def _draw(axes: Axes, name: str, trained: list, held_out: list, chance: float | None) -> None:
    axes.set_title(TITLES[name])
    handles = []
    if trained:
        handles.append((*axes.plot(*zip(*trained, strict=True), color=BLUE, linewidth=1.4), "training"))
    if held_out:
        look = {"color": VERMILLION, "linewidth": 1.4, "marker": "o", "markersize": 3}
        handles.append((*axes.plot(*zip(*held_out, strict=True), **look), "held-out rows"))
    if chance is not None:
        line = axes.axhline(chance, color=MUTED, linewidth=1.2, linestyle=":")
        handles.append((line, "chance in training" if trained else "chance"))  # held-out batches are of other sizes
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if len(handles) > 1:
        legend(axes, handles, fontsize=8)


def _curve(log_history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(line["step"], line[key]) for line in log_history if isinstance(line.get(key), int | float)]
