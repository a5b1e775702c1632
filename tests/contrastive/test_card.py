"""The figure of a training, beside its card."""

import math

import pytest
from matplotlib.figure import Figure

from hf_xling.contrastive import card
from hf_xling.contrastive.card import draw_course

LOG = [
    {"step": 0, "eval_loss": 2.5, "eval_uniformity": -0.5, "eval_relative_distance": 0.9},
    {"step": 10, "loss": 2.7, "learning_rate": 1e-3, "grad_norm": 1.0},
    {"step": 20, "loss": 1.2, "learning_rate": 5e-4, "grad_norm": 1.0},
    {"step": 20, "eval_loss": 1.5, "eval_uniformity": -2.5, "eval_relative_distance": 0.4},
    {"step": 20, "train_loss": 1.9, "train_runtime": 3.0},
]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def panels(monkeypatch):
    """What is in the panels of the figure that was drawn: the lines of each by its title, with its legend."""
    found = {}

    def read(figure: Figure, path):
        for axes in figure.axes:
            labels = [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []
            lines = [list(zip(*line.get_data(), strict=True)) for line in axes.get_lines()]
            found[axes.get_title(loc="left")] = (lines, labels)
        path.write_bytes(PNG)

    monkeypatch.setattr(card, "save_png", read)
    return found


def test_each_metric_has_a_panel_with_what_was_logged(panels, tmp_path):
    assert draw_course(LOG, {"loss": math.log(16), "relative_distance": 1.0}, tmp_path) == "training.png"
    losses, uniformity, distance = panels.values()
    assert [title.split(" (")[0] for title in panels] == [
        *("loss", "uniformity", "distance of pairs, relative to random pairs"),
    ]
    assert losses[0][:2] == [[(10, 2.7), (20, 1.2)], [(0, 2.5), (20, 1.5)]]
    assert {y for _, y in losses[0][2]} == {math.log(16)}
    assert losses[1] == ["training", "held-out rows", "chance in training"]
    assert uniformity == ([[(0, -0.5), (20, -2.5)]], [])
    assert distance[0][0] == [(0, 0.9), (20, 0.4)] and distance[1] == ["held-out rows", "chance"]


def test_without_an_evaluation_it_is_the_loss_alone(panels, tmp_path):
    draw_course([line for line in LOG if "loss" in line], {}, tmp_path)
    assert panels == {"loss (lower is better)": ([[(10, 2.7), (20, 1.2)]], [])}


def test_the_file_is_a_png_and_the_same_for_the_same_log(tmp_path):
    first = (tmp_path / draw_course(LOG, {}, tmp_path)).read_bytes()
    assert first.startswith(PNG) and len(first) > 5000
    assert (tmp_path / draw_course(LOG, {}, tmp_path)).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["training.png"]


def test_nothing_is_drawn_of_one_point_and_no_older_figure_stays(tmp_path):
    draw_course(LOG, {}, tmp_path)
    assert draw_course(LOG[:2], {}, tmp_path) is None
    assert not list(tmp_path.iterdir())
