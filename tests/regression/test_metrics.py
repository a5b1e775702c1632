"""The metrics against their definitions, and against scikit-learn and scipy."""

import math
import random

import evaluate
import numpy
import pytest
import scipy.stats
import sklearn.metrics

from hf_xling.regression import metrics as package
from hf_xling.regression.metrics import CLASS_METRICS, METRICS, load_metric


@pytest.mark.parametrize("name", ["rating", "classes", "calibration"])
def test_modules_load_from_their_folder(name):
    from pathlib import Path

    folder = Path(package.__file__).parent / name
    assert type(evaluate.load(str(folder))).__name__ == name.title()


def test_classes_by_hand():
    found = load_metric("classes").compute(predictions=[0, 0, 1, 1, 2, 2], references=[0, 1, 1, 1, 2, 0])
    assert set(found) == set(CLASS_METRICS)
    assert found["accuracy"] == pytest.approx(4 / 6)
    # F1: class 0 precision 1/2, recall 1/2; class 1 2/2 and 2/3; class 2 1/2 and 1.
    assert found["macro_f1"] == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)


def test_a_rare_class_counts_as_much():
    majority = load_metric("classes").compute(predictions=[0] * 10, references=[0] * 9 + [1])
    assert majority["accuracy"] == 0.9 and majority["macro_f1"] < 0.5


def calibration(deviation, spread, count=20_000, seed=0):
    """Errors of one deviation, and a spread that says another."""
    generator = numpy.random.default_rng(seed)
    predictions = generator.normal(size=count)
    references = predictions + generator.normal(scale=deviation, size=count)
    return load_metric("calibration").compute(
        predictions=predictions, references=references, spreads=numpy.full(count, spread)
    )


def test_a_right_spread_is_calibrated():
    found = calibration(0.5, 0.5)
    assert found["coverage_50"] == pytest.approx(0.5, abs=0.02) and found["coverage_90"] == pytest.approx(0.9, abs=0.01)
    assert found["calibration_error"] < 0.01 and found["spread_ratio"] == pytest.approx(1.0, abs=0.02)
    assert found["spread_spearman"] is None, "it is constant"


@pytest.mark.parametrize(("spread", "ratio"), [(0.25, 2.0), (1.0, 0.5)])
def test_a_wrong_spread_is_not(spread, ratio):
    found = calibration(0.5, spread)
    assert found["spread_ratio"] == pytest.approx(ratio, rel=0.02) and found["calibration_error"] > 0.05
    wanted = 2 * scipy.stats.norm.cdf(scipy.stats.norm.ppf(0.95) * spread / 0.5) - 1
    assert found["coverage_90"] == pytest.approx(wanted, abs=0.01)


def test_a_spread_that_goes_with_the_error():
    spreads = numpy.linspace(0.1, 1.0, 50)
    found = load_metric("calibration").compute(predictions=[0.0] * 50, references=spreads * 0.3, spreads=spreads)
    assert found["spread_spearman"] == pytest.approx(1.0) and found["coverage_50"] == 1.0


def test_members_that_agree_in_all_are_sure_and_wrong():
    found = load_metric("calibration").compute(predictions=[1.0, 2.0], references=[1.5, 1.5], spreads=[0.0, 0.0])
    assert found["coverage_90"] == 0.0 and found["spread_ratio"] is None and found["spread_spearman"] is None


def test_a_spread_is_not_negative():
    with pytest.raises(ValueError, match="spreads must be 0 or more"):
        load_metric("calibration").compute(predictions=[1.0], references=[1.0], spreads=[-0.1])


def compute(predictions, references):
    return load_metric("rating").compute(predictions=predictions, references=references)


def test_equals_scikit_learn_and_scipy():
    draw = random.Random(0)
    truth = [draw.choice((1.0, 1.25, 2.5, 4.5)) for _ in range(50)]
    guess = [value + draw.gauss(0, 1) for value in truth]
    scores = compute(guess, truth)
    assert set(scores) == set(METRICS)
    assert scores["mse"] == pytest.approx(sklearn.metrics.mean_squared_error(truth, guess), rel=1e-12)
    assert scores["rmse"] == pytest.approx(math.sqrt(scores["mse"]), rel=1e-12)
    assert scores["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(truth, guess), rel=1e-12)
    assert scores["pearson"] == pytest.approx(scipy.stats.pearsonr(truth, guess).statistic, rel=1e-12)
    assert scores["spearman"] == pytest.approx(scipy.stats.spearmanr(truth, guess).statistic, rel=1e-12)
    assert 0.5 < scores["pearson"] < 1


def test_by_hand():
    scores = compute([1.0, 2.0, 6.0], [1.0, 3.0, 4.0])
    assert scores["mse"] == pytest.approx(5 / 3) and scores["mae"] == pytest.approx(1.0)
    assert scores["spearman"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("predictions", "references"),
    [([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]), ([1.0], [2.0])],
    ids=["constant predictions", "constant ratings", "one row"],
)
def test_a_correlation_with_a_constant_is_none(predictions, references):
    scores = compute(predictions, references)
    assert scores["pearson"] is None and scores["spearman"] is None
    assert scores["mse"] == pytest.approx(sklearn.metrics.mean_squared_error(references, predictions))


def test_a_constant_up_to_rounding_is_no_warning():
    """A model that predicts one value gives it in a different last bit here and there."""
    scores = compute([0.1 + 0.2, 0.3, 0.3, 0.3], [1.0, 2.0, 3.0, 4.0])
    assert scores["pearson"] is None and scores["spearman"] is None


def test_several_computations_do_not_add_up():
    assert compute([1.0, 2.0], [1.0, 2.0])["mse"] == 0.0
    assert compute([3.0, 2.0], [1.0, 2.0])["mse"] == 2.0
