import csv
import json

import pytest
from datasets import Dataset

from hf_xling.experiments.baselines import ALPHAS, make_baselines, run_baseline
from hf_xling.regression.metrics import METRICS

GOOD = ("அருமையான படம்", "நல்ல நடிப்பு", "சிறந்த இசை", "மிகவும் பிடித்தது")
BAD = ("மோசமான படம்", "சலிப்பான கதை", "வீணான நேரம்", "பிடிக்கவில்லை")
FILLERS = ("முதல் பாதி", "இரண்டாம் பாதி", "திரைக்கதை", "ஒளிப்பதிவு", "படத்தொகுப்பு")


def reviews(rows: int, first: int = 0) -> Dataset:
    """Tamil texts whose rating is told by their words."""
    content = {"id": [], "text": [], "label": []}
    for row in range(first, first + rows):
        said = GOOD if row % 2 else BAD
        content["id"].append(f"r{row}")
        content["text"].append(f"{said[row // 2 % 4]} {FILLERS[row % 5]} {said[(row // 2 + 1 + row % 3) % 4]}")
        content["label"].append((4.0 if row % 2 else 1.5) + row % 3 * 0.25)
    return Dataset.from_dict(content)


def predictions(folder):
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_constant_is_the_mean_of_the_train_labels(tmp_path):
    train, test = reviews(31), reviews(10, first=100)
    results = run_baseline("constant", train, test, tmp_path)
    mean = sum(train["label"]) / 31
    rows = predictions(tmp_path)
    assert [row["id"] for row in rows] == test["id"][:]
    assert [float(row["label"]) for row in rows] == test["label"][:]
    assert [float(row["prediction"]) for row in rows] == pytest.approx([mean] * 10)
    assert results["test_mse"] == pytest.approx(sum((label - mean) ** 2 for label in test["label"]) / 10)
    assert results["test_pearson"] is None and results["test_spearman"] is None
    assert (results["n_train"], results["n_test"]) == (31, 10)


def test_tfidf_ridge_learns_from_tamil(tmp_path):
    train, test = reviews(60), reviews(20, first=100)
    constant = run_baseline("constant", train, test, tmp_path / "constant")
    ridge = run_baseline("tfidf-ridge", train, test, tmp_path / "ridge")
    assert ridge["test_mse"] < 0.2 * constant["test_mse"]
    assert ridge["test_pearson"] > 0.9 and ridge["alpha"] in ALPHAS
    assert {f"test_{name}" for name in METRICS} <= ridge.keys()
    assert json.loads((tmp_path / "ridge" / "all_results.json").read_text("utf-8")) == ridge


def test_vowel_signs_are_letters(tmp_path):
    """படி and படு differ in a vowel sign alone, which scikit-learn's own token pattern drops."""
    texts = ["படி நான்", "படு நான்"] * 12
    train = Dataset.from_dict({"text": texts, "label": [1.0, 5.0] * 12})
    vectorizer = make_baselines(24)["tfidf-ridge"].estimator[0]
    assert {"டி", "டு"} <= set(vectorizer.fit(texts).get_feature_names_out())
    test = Dataset.from_dict({"id": ["a", "b"], "text": texts[:2], "label": [1.0, 5.0]})
    assert run_baseline("tfidf-ridge", train, test, tmp_path)["test_mse"] < 0.5


@pytest.mark.parametrize("name", ["constant", "tfidf-ridge"])
def test_test_labels_are_for_the_score_alone(tmp_path, name):
    train, test = reviews(15), reviews(10, first=100)
    other = test.map(lambda row: {"label": 100.0 - 20 * row["label"]})
    results = [run_baseline(name, train, rows, tmp_path / str(n)) for n, rows in enumerate((test, other))]
    guesses = [[row["prediction"] for row in predictions(tmp_path / str(n))] for n in range(2)]
    assert guesses[0] == guesses[1]
    assert results[0]["test_mse"] != results[1]["test_mse"]
    assert results[0].get("alpha") == results[1].get("alpha")


def test_the_same_again_gives_the_same(tmp_path):
    train, test = reviews(15), reviews(10, first=100)
    for name in ("first", "second"):
        run_baseline("tfidf-ridge", train, test, tmp_path / name)
    assert (tmp_path / "first" / "predictions.csv").read_bytes() == (
        tmp_path / "second" / "predictions.csv"
    ).read_bytes()


def test_a_handful_of_texts_is_enough(tmp_path):
    for rows in (2, 3):
        results = run_baseline("tfidf-ridge", reviews(rows), reviews(4, first=100), tmp_path / str(rows))
        assert results["n_train"] == rows and results["test_mse"] >= 0
    assert run_baseline("constant", reviews(1), reviews(4), tmp_path / "one")["n_train"] == 1
