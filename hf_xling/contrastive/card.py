"""The card of an encoder, with a figure of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hf_xling import runs
from hf_xling.figures import BLUE, MUTED, VERMILLION, in_style, legend, save_png
from hf_xling.hub.results import contrastive_evidence
from hf_xling.provenance.lineage import Lineage
from hf_xling.provenance.model_cards import write_model_card

SETTINGS = (
    *("temperature", "symmetric", "negative_weight", "mlm_weight", "max_length", "learning_rate", "lr_scheduler_type"),
    "per_device_train_batch_size",
)
FILE = "training.png"
COLUMNS = 2
# Its titles, by metric. `uniformity` and `alignment` are from Wang and Isola 2020; `evaluation.py` defines them.
TITLES = {
    "loss": "loss (lower is better)",
    "uniformity": "uniformity (lower: vectors lie apart)",
    "alignment": "alignment (lower: pairs lie together)",
    "relative_distance": "distance of pairs, relative to random pairs",
    "sts_spearman": "similarity set, Spearman's correlation",
}


def write_encoder_card(
    folder: Path,
    lineage: Lineage,
    repo_id: str | None,
    log_history: Sequence[Mapping[str, Any]],
    chance: Mapping[str, float],
    adapter: bool,
    **facts: Any,
) -> None:
    """Write `README.md`: what the encoder is, how to load it, how it was trained, on what, and what was measured.

    And `training.png`, which it shows, where anything was logged more than once.

    Args:
        folder: of the encoder.
        lineage: of the encoder.
        repo_id: on the Hub; None while it has none.
        log_history: of a Trainer's state.
        chance: what a metric is by chance, if that is known.
        adapter: whether it is one, and no whole checkpoint.
        facts: what else `encoder_card` shows.
    """
    write_model_card(
        folder,
        "encoder_card",
        lineage,
        repo_id,
        {
            "library_name": "peft" if adapter else "sentence-transformers",
            "pipeline_tag": "sentence-similarity",
            "tags": ["sentence-transformers", "simcse", "feature-extraction"],
        },
        contrastive_evidence(log_history, chance),
        "similarity",
        adapter=adapter,
        course=draw_course(log_history, chance, folder),
        **facts,
    )


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


def _draw(axes: Axes, name: str, trained: list, held_out: list, chance: float | None) -> None:
    axes.set_title(TITLES[name])
    handles: list[tuple[Any, str]] = []
    if trained:
        handles.append((axes.plot(*zip(*trained, strict=True), color=BLUE, linewidth=1.4)[0], "training"))
    if held_out:
        look: dict[str, Any] = {"color": VERMILLION, "linewidth": 1.4, "marker": "o", "markersize": 3}
        handles.append((axes.plot(*zip(*held_out, strict=True), **look)[0], "held-out rows"))
    if chance is not None:
        line = axes.axhline(chance, color=MUTED, linewidth=1.2, linestyle=":")
        handles.append((line, "chance in training" if trained else "chance"))  # held-out batches are of other sizes
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if len(handles) > 1:
        legend(axes, handles, fontsize=8)


def _curve(log_history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(line["step"], line[key]) for line in log_history if isinstance(line.get(key), int | float)]
