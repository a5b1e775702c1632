"""Stage 4 as its script runs it: on real ratings, folds by seeds, and in a language unknown to the tokenizer."""

import csv
import json
import random
from pathlib import Path

import numpy
import pytest
from datasets import Dataset
from hf_xling.trainers import regression

from hf_xling import RegressionConfig, RegressionTrainer
from hf_xling.errors import InputError
from hf_xling.experiments.baselines import make_baselines
from hf_xling.regression.parts import cross_validation
from hf_xling.sample.encoder import make_encoder
from hf_xling.tables import read_table

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def sst():
    """500 sentences of film reviews, rated 0 to 4."""
    path = DATA / "sst" / "sst5-train.txt"
    if not path.is_file():
        pytest.skip(f"{path} is not there: it holds SST's training sentences")
    rows = [line.split(" ", 1) for line in path.read_text("utf-8").splitlines()]
    return [(text, float(label)) for label, text in random.Random(0).sample(rows, 500)]


def tweets():
    """500 Tamil tweets, 0 for sad and 1 for happy."""
    path = DATA / "tamil_tweets" / "tamil_binary_sentiment_1k_tweets_v1.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there: it holds Tamil tweets")
    columns = read_table(path).columns
    labels = dict(zip(columns["tweet"], columns["sentiment"], strict=True))
    rated = [(text, float(label == "Happy")) for text, label in labels.items() if text and text.strip()]
    return random.Random(0).sample(rated, 500)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [sst, tweets], ids=["sst", "tweets"])
def test_folds_by_seeds_on_real_ratings(rows, tmp_path, record_property):
    """Better than the constant; how far behind tf-idf-ridge is told, not demanded of a random encoder."""
    rated = rows()
    with open(tmp_path / "train.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rated])
    make_encoder(tmp_path / "base", [text for text, _ in rated])
    regression.main(
        [
            *("--model_name_or_path", str(tmp_path / "base"), "--train_file", str(tmp_path / "train.csv")),
            *("--output_dir", str(tmp_path / "run"), "--folds", "5", "--seeds", "1", "2", "3"),
            *("--num_train_epochs", "5", "--learning_rate", "3e-4", "--max_length", "64", "--warmup_steps", "0.1"),
            *("--use_cpu", "true", "--disable_tqdm", "true", "--eval_strategy", "no", "--save_strategy", "no"),
        ]
    )
    found = json.loads((tmp_path / "run" / "all_results.json").read_text("utf-8"))
    dataset = Dataset.from_dict({"text": [text for text, _ in rated], "label": [label for _, label in rated]})
    errors = []
    for train, test in cross_validation(dataset, 5):
        ridge = make_baselines(len(train))["tfidf-ridge"].fit(list(train["text"]), list(train["label"]))
        errors += ((ridge.predict(list(test["text"])) - numpy.array(test["label"])) ** 2).tolist()
    told = {
        "ours": found["out_of_fold_mse"],
        "constant": found["test_constant_mse"],
        "ridge": float(numpy.mean(errors)),
    }
    record_property("mse", told)
    print(told)
    assert len(list((tmp_path / "run").glob("fold-*/seed-*/model.safetensors"))) == 5 * 3
    assert found["out_of_fold_mse"] < found["test_constant_mse"], told
    assert found["out_of_fold_calibration_spread_ratio"] > 1, "three seeds are wrong together"


FILLER = ["the", "film", "was", "shown", "in", "a", "town", "and", "many", "people", "came", "to", "see", "it", "there"]


def long_documents(count, seed):
    """150 words that say nothing, and at their end what the rating is."""
    generator = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        rating = generator.choice([1.0, 2.0, 4.0, 5.0])
        verdict = {1.0: "awful", 2.0: "dull", 4.0: "good", 5.0: "superb"}[rating]
        texts.append(" ".join([*generator.choices(FILLER, k=150), "it", "is", verdict]))
        labels.append(rating)
    return Dataset.from_dict({"text": texts, "label": labels})


@pytest.mark.slow
def test_a_signal_at_the_end_is_found_by_those_who_read_it(tmp_path):
    train, test = long_documents(160, 0), long_documents(60, 1)
    make_encoder(tmp_path / "base", train["text"][:])
    scores = {}
    for long_text in ("truncate", "head_tail", "windows"):
        args = RegressionConfig(
            output_dir=str(tmp_path / long_text),
            long_text=long_text,
            max_length=64,
            num_train_epochs=20,
            learning_rate=5e-4,
            eval_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = RegressionTrainer(str(tmp_path / "base"), args, train)
        trainer.train()
        scores[long_text] = trainer.predict(test).metrics
    constant = numpy.var(test["label"])
    assert scores["truncate"]["test_mse"] > 0.8 * constant, "it cannot know"
    assert scores["head_tail"]["test_mse"] < 0.3 * constant, scores
    # Of a document's windows the last alone knows; their mean is right in order, and drawn towards the middle.
    assert scores["windows"]["test_mse"] < 0.75 * constant and scores["windows"]["test_spearman"] > 0.8, scores


TELUGU = ["తెలుగు భాష", "మంచి సినిమా", "చాలా బాగుంది", "నచ్చలేదు"]


@pytest.fixture(scope="module")
def unknown(sentences):
    return Dataset.from_dict({"text": [*TELUGU] * 8, "label": [1.0, 2.0, 3.0, 4.0] * 8})


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_run_in_another_language_than_its_test_texts_ends_at_once(bert_folder, rated, unknown, tmp_path, split):
    files = {}
    for name in ("train", "validation", "test"):
        files[name] = tmp_path / f"{name}.jsonl"
        (unknown if name == split else rated.select(range(24))).to_json(files[name], force_ascii=False)
    argv = [token for name, path in files.items() for token in (f"--{name}_file", str(path))]
    argv += ["--model_name_or_path", str(bert_folder), "--output_dir", str(tmp_path / "run"), "--max_steps", "1"]
    argv += ["--use_cpu", "true", "--disable_tqdm", "true"]
    with pytest.raises(InputError, match=r"column `text`: 100.0% of the tokens unknown, .*--allow_unknown_tokens"):
        regression.main(argv)
    assert not list((tmp_path / "run").glob("*.safetensors"))
    regression.main([*argv, "--allow_unknown_tokens", "true"])
    results = json.loads((tmp_path / "run" / "all_results.json").read_text("utf-8"))
    shares = {name: results[f"{name}_dataset_unknown_tokens"] for name in ("eval", "test")}
    assert shares == {"eval": float(split == "validation"), "test": float(split == "test")}
