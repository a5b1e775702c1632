import math
import random

import pytest
import scipy.stats
import sklearn.metrics

from hf_xling.regression.metrics import METRICS, load_metric


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
