"""What any model must beat: the mean rating, and ridge regression on tf-idf of character n-grams."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datasets import Dataset
from sklearn.base import RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from hf_xling.regression.metrics import load_metric
from hf_xling.regression.results import PREDICTIONS_FILE, write_predictions
from hf_xling.runs import write_json

BASELINES = ("constant", "tfidf-ridge")
ALPHAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def make_baselines(n_train: int) -> dict[str, RegressorMixin]:
    """The estimators by name, for a training set of `n_train` texts.

    `tfidf-ridge` cuts n-grams within words, since scikit-learn's default token pattern cuts Indic words at their vowel
    signs, and chooses its penalty by cross-validation within the training set alone.
    """
    ridge = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True), Ridge(solver="sparse_cg")
    )
    folds = KFold(n_splits=max(2, min(5, n_train)), shuffle=True, random_state=0)
    return {
        "constant": DummyRegressor(strategy="mean"),
        "tfidf-ridge": GridSearchCV(ridge, {"ridge__alpha": ALPHAS}, cv=folds, scoring="neg_mean_squared_error"),
    }


def run_baseline(name: str, train: Dataset, test: Dataset, folder: str | Path) -> dict[str, Any]:
    """Fit baseline `name` on `train`, predict `test`, and write `all_results.json` and `predictions.csv` to `folder`.

    The datasets have the columns `id`, `text` and `label`.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    estimator = make_baselines(len(train))[name].fit(list(train["text"]), list(train["label"]))
    predictions = [float(value) for value in estimator.predict(list(test["text"]))]
    scores = load_metric("rating").compute(predictions=predictions, references=list(test["label"]))
    results: dict[str, Any] = {"n_train": len(train), "n_test": len(test)}
    results |= {f"test_{metric}": value for metric, value in scores.items()}
    if name == "tfidf-ridge":
        results["alpha"] = estimator.best_params_["ridge__alpha"]
    results |= {"started": started.isoformat(timespec="seconds"), "seconds": round(time.monotonic() - clock, 2)}
    write_predictions(Path(folder) / PREDICTIONS_FILE, test, predictions)
    write_json(Path(folder) / "all_results.json", results)
    return results
