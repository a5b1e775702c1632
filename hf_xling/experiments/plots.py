"""The figures of the report, as SVG files that are the same bytes for the same runs.

Text from the data stays text in the file.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from hf_xling.experiments.statistics import Run, Summary, read_history, read_predictions
from hf_xling.figures import BLUE, GREEN, INK, MUTED, PALETTE, PURPLE, SKY, VERMILLION, in_style, legend

LINE_STYLES = ("-", "--", ":", "-.")  # each is used with the whole palette in turn
WIDTH = 9.6  # inches
AS_SVG = {"svg.fonttype": "none", "svg.hashsalt": "hf_xling"}


@dataclass(frozen=True)
class Drawing:
    """A figure of the report: its file name, what it shows, how to read it, and its numbers in words."""

    name: str
    language: str
    title: str
    caption: str
    alt: str


# A figure, the end of its file name, its title, caption and numbers in words; None where there is nothing to draw.
Drawn = tuple[Figure, str, str, str, str] | None


def draw_figures(
    runs: Sequence[Run], summaries: Sequence[Summary], source: Path, target: Path, many_points: int = 2000
) -> list[Drawing]:
    """Draw the figures of every language.

    Args:
        runs, summaries: as `read_results` and `summarise` return them.
        source: the folder to which the paths in `runs` are relative.
        target: the folder to write the SVG files to; it is made if need be.
        many_points: a scatter of more is an embedded picture: IMDB's 25,000 texts would make a page of 30 MB.

    Returns:
        What was drawn; there are no curves of a stage for which no row names a log.
    """
    target.mkdir(parents=True, exist_ok=True)
    drawings = []
    with in_style(**AS_SVG):
        for language in dict.fromkeys(run.language for run in runs):
            own = [run for run in runs if run.language == language]
            shown = [summary for summary in summaries if summary.language == language]
            for drawn in (
                _draw_mse(shown, own),
                _draw_scatter(shown, own, source, many_points),
                _draw_regression(shown, own, source),
                _draw_contrastive(own, source),
            ):
                if drawn is not None:
                    figure, slug, title, caption, alt = drawn
                    drawing = Drawing(f"{language}-{slug}.svg", language, title, caption, alt)
                    facts = {"Date": None, "Creator": None, "Title": f"{title} ({language})"}
                    figure.savefig(target / drawing.name, format="svg", metadata=facts)
                    drawings.append(drawing)
    return drawings


def _draw_mse(summaries: Sequence[Summary], runs: Sequence[Run]) -> Drawn:
    """A row per experiment: its runs as dots, their mean as a bar; the baselines as upright lines."""
    rows = [summary for summary in summaries if summary.kind == "experiment"]
    baselines = [summary for summary in summaries if summary.kind == "baseline"]
    if not rows:
        return None
    figure = Figure(figsize=(WIDTH, 1.25 + 0.48 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        values = [run.test_mse for run in runs if run.run_id in row.run_ids]
        axes.plot(values, [place] * len(values), "o", color=BLUE, alpha=0.55, markersize=7, markeredgewidth=0)
        axes.plot([row.mse_mean], [place], "|", color=INK, markersize=17, markeredgewidth=2.2)
        axes.text(1.015, place, f"{row.mse_mean:.3f}", transform=axes.get_yaxis_transform(), va="center", color=INK)
    handles = [
        (Line2D([], [], marker="o", color=BLUE, alpha=0.55, linestyle="", markersize=7, markeredgewidth=0), "a run"),
        (Line2D([], [], marker="|", color=INK, linestyle="", markersize=12, markeredgewidth=2.2), "mean of the runs"),
    ]
    for number, baseline in enumerate(baselines):
        look: dict[str, Any] = {
            "color": (VERMILLION, GREEN, PURPLE)[number % 3],
            "linestyle": ("--", ":", "-.")[number % 3],
        }
        axes.axvline(baseline.mse_mean, linewidth=1.8, zorder=1, **look)
        handles.append((Line2D([], [], linewidth=1.8, **look), f"{baseline.experiment} {baseline.mse_mean:.3f}"))
    axes.text(1.015, 1.0, "mean", transform=axes.transAxes, va="bottom", color=MUTED)
    axes.set_yticks(range(len(rows)), [_folded(row.experiment, 40) for row in rows], color=INK)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.06)
    axes.set_xlabel("test MSE (lower is better)")
    _legend(figure, handles)
    listed = "; ".join(f"{s.experiment} {s.mse_mean:.3f}" for s in [*rows, *baselines])
    caption = "Each dot is one run, the upright bar their mean. Left of a baseline's line is better than that baseline."
    return figure, "mse", "MSE on the test set", caption, f"Dot plot of MSE, means: {listed}."


def _draw_scatter(summaries: Sequence[Summary], runs: Sequence[Run], source: Path, many_points: int) -> Drawn:
    """Predicted against true ratings, a panel per experiment and baseline, all on the same axes."""
    figure, panels = _panels([summary.experiment for summary in summaries])
    low, high = math.inf, -math.inf
    for axes, summary in zip(panels, summaries, strict=True):
        own = [run for run in runs if run.run_id in summary.run_ids]
        crowd = sum(run.n_test for run in own)
        for run in own:
            true, predicted = read_predictions(source, run)
            low, high = min(low, true.min(), predicted.min()), max(high, true.max(), predicted.max())
            look: dict[str, Any] = {
                "color": BLUE if summary.kind == "experiment" else MUTED,
                "alpha": min(0.5, max(0.02, 90 / crowd)),
            }
            axes.plot(true, predicted, "o", markersize=4.5, markeredgewidth=0, rasterized=crowd > many_points, **look)
    room = 0.04 * (high - low) or 1.0
    for axes in panels:
        axes.axline((low, low), slope=1, color=INK, linewidth=0.9, zorder=1)
        axes.set(xlim=(low - room, high + room), ylim=(low - room, high + room), aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    figure.supxlabel("true rating", fontsize=10)
    figure.supylabel("predicted rating", fontsize=10)
    listed = "; ".join(
        f"{s.experiment}, {'no correlation defined' if s.pearson_mean is None else f'r {s.pearson_mean:.3f}'}"
        for s in summaries
    )
    caption = (
        "Each point is one test text in one run; the line is where a right prediction lies. Baselines are grey. "
        "A flat cloud means that the model predicts the same for every text."
    )
    return figure, "predicted", "Predicted against true ratings", caption, f"Scatter plots: {listed}."


def _draw_regression(summaries: Sequence[Summary], runs: Sequence[Run], source: Path) -> Drawn:
    """Training loss and validation MSE of the regression, a panel per experiment, a line per run."""
    logged: dict[str, list[Run]] = {}
    for summary in summaries:
        if own := [run for run in runs if run.run_id in summary.run_ids and run.log]:
            logged[summary.experiment] = own
    if not logged:
        return None
    figure, panels = _panels(list(logged), height=2.2)
    shown: list[float] = []
    best = []
    for axes, (experiment, own) in zip(panels, logged.items(), strict=True):
        lowest = math.inf
        for run in own:
            history = read_history(source, str(run.log))
            steps, losses = _curve(history, "loss")
            axes.plot(steps, losses, color=SKY, linewidth=1.1, linestyle="--")
            steps, scores = _curve(history, "eval_mse")
            axes.plot(steps, scores, color=VERMILLION, linewidth=1.5, marker="o", markersize=3)
            lowest = min([lowest, *filter(math.isfinite, scores)])
            shown += losses + scores
        best.append(f"{experiment} {lowest:.3f}" if math.isfinite(lowest) else f"{experiment} has none")
    figure.supxlabel("optimiser step", fontsize=10)
    figure.supylabel("loss and MSE" + _scale(panels, shown), fontsize=10)
    handles = [
        (Line2D([], [], color=SKY, linewidth=1.1, linestyle="--"), "training loss"),
        (Line2D([], [], color=VERMILLION, linewidth=1.5, marker="o", markersize=3), "validation MSE"),
    ]
    _legend(figure, handles)
    caption = "One line of each kind per run. Validation MSE that rises while the training loss falls is overfitting."
    alt = f"Curves of training loss and validation MSE; lowest validation MSE: {'; '.join(best)}."
    return figure, "regression", "Training of the regression", caption, alt


def _draw_contrastive(runs: Sequence[Run], source: Path) -> Drawn:
    """The SimCSE loss of each encoder; runs that share an encoder share its line."""
    logs = list(dict.fromkeys(run.encoder_log for run in runs if run.encoder_log))
    if not logs:
        return None
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.add_subplot()
    handles, ends, shown = [], [], []
    for number, log in enumerate(logs):
        steps, losses = _curve(read_history(source, log), "loss")
        look: dict[str, Any] = {
            "color": PALETTE[number % 6],
            "linestyle": LINE_STYLES[number // 6 % 4],
            "linewidth": 1.7,
        }
        axes.plot(steps, losses, **look)
        # encoders/ta-murasu/trainer_state.json is the encoder ta-murasu.
        parts = PurePosixPath(log).parent.parts
        name = "/".join(parts[1:] or parts) or log
        handles.append((Line2D([], [], **look), name))
        ends.append(f"{name} ends at {losses[-1]:.3f}" if losses else f"{name} logged no loss")
        shown += losses
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("SimCSE loss" + _scale([axes], shown))
    _legend(figure, handles)
    caption = (
        "One line per encoder. A low loss says that pairs are told apart, not that the encoder serves the ratings."
    )
    return figure, "simcse", "Training of the encoders", caption, f"Curves of loss: {'; '.join(ends)}."


def _panels(titles: Sequence[str], height: float | None = None) -> tuple[Figure, list[Axes]]:
    """A figure of small multiples on the same axes, square unless `height` is given, in rows of about equal length."""
    rows = math.ceil(len(titles) / 5)
    columns = max(math.ceil(len(titles) / rows), 3)
    layout: Literal["constrained", "compressed"] = (
        "constrained" if height else "compressed"
    )  # the latter is for panels that keep their shape
    height = height or (WIDTH - 0.8) / columns + 0.45
    figure = Figure(figsize=(WIDTH, 0.5 + height * rows), layout=layout)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(_folded(title, 88 // columns))
    for number, axes in enumerate(grid):
        if number >= len(titles):
            axes.remove()
        elif number + columns >= len(titles):
            axes.tick_params(labelbottom=True)  # the panel below, which would have had the labels, is not there
    return figure, list(grid[: len(titles)])


def _legend(figure: Figure, handles: Iterable[tuple[Line2D, str]]) -> None:
    """A legend above the axes."""
    legend(figure, handles, loc="outside upper left", ncols=4, handlelength=2.2, columnspacing=1.6)


def _curve(history: Iterable[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    entries = [entry for entry in history if all(isinstance(entry.get(name), int | float) for name in ("step", key))]
    return [entry["step"] for entry in entries], [entry[key] for entry in entries]


def _scale(panels: Sequence[Axes], values: Sequence[float]) -> str:
    """Start the value axes at zero, or make them logarithmic where the values span more than a factor of twenty.

    Returns:
        What the label of the axes has to add.
    """
    positive = [value for value in values if math.isfinite(value) and value > 0]
    if positive and len(positive) == len(values) and max(positive) > 20 * min(positive):
        for axes in panels:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        return " (log scale)"
    for axes in panels:
        axes.set_ylim(bottom=0 if positive else None)
    return ""


def _folded(name: str, width: int) -> str:
    return "\n".join(textwrap.wrap(name, width) or [name])
