"""What a label means, by the same rules in rated corpora, ratings, classes, similarities and inference."""

import csv
import json
from decimal import Decimal
from functools import partial

import pyarrow
import pyarrow.parquet
import pytest
from hf_xling.dataset_scripts import tamil_movie_reviews

from hf_xling.corpora.rated_corpus import RatedCorpusConfig, read_rated_texts
from hf_xling.corpora.sources import read_sentences
from hf_xling.errors import InputError
from hf_xling.labels import BadRow, class_name, label_values, number_of
from hf_xling.regression.config import RegressionScriptArguments
from hf_xling.regression.data import load_splits

NUMBERS = {
    **{"4.5": 4.5, " 4 ": 4.0, "\u00a04\t": 4.0, "+4": 4.0, "-0.5": -0.5, "\u22120.5": -0.5, ".5": 0.5, "4.": 4.0},
    **{"1e1": 10.0, "௪": 4.0, "௧௦.௫": 10.5, "٤": 4.0, "४.५": 4.5, "４": 4.0},
}
NO_NUMBERS = [
    *("3_5", "1_000.5", "4,5", "10,50", "1,000", "1.234,5", "1 000", "4/5", "4 out of 5", "★★★", "½", "50%", "4 stars"),
    *("0x10", "1e", "--4", "4.5.1", "true", "False", "²", "four", "4;5", "[4]"),
]
NOT_FINITE = ["nan", "NaN", "-inf", "Infinity", "1e400", "-1e999"]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_read_where_it_means_one_thing(text):
    assert number_of(text) == NUMBERS[text]


@pytest.mark.parametrize("value", [*NO_NUMBERS, True, False, [4.0], {"stars": 4}, b"4"])
def test_what_may_mean_something_else_is_no_number(value):
    with pytest.raises(BadRow, match="a number is needed, such as") as caught:
        number_of(value)
    assert caught.value.reason == "label is not a number"


@pytest.mark.parametrize("value", [*NOT_FINITE, float("inf"), 10**400])
def test_what_is_not_finite_is_said(value):
    with pytest.raises(BadRow, match="a finite number is needed"):
        number_of(value)


@pytest.mark.parametrize("value", [None, float("nan"), "", "  ", "\u00a0", Decimal("NaN")])
def test_what_says_nothing_is_missing(value):
    for read in (number_of, partial(class_name, class_names=None)):
        with pytest.raises(BadRow) as caught:
            read(value)
        assert caught.value.reason == "label is null"


@pytest.mark.parametrize("label", [*NO_NUMBERS, *NOT_FINITE])
def test_every_reader_of_ratings_names_the_row(tmp_path, label):
    path = tmp_path / "a.csv"
    with open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), ("a", " 4 "), ("b", label)])
    with pytest.raises(InputError, match=r"a.csv, row 2 \(line 3\): the label is "):
        ratings(path)
    rows, unusable = read_rated_texts(tamil_movie_reviews.SPEC, RatedCorpusConfig(str(path), "out"))
    assert rows["train"]["label"].to_pylist() == [4.0] and unusable["train"] == {"label no number": 1}
    with pytest.raises(InputError, match="NAME=NUMBER is needed"):
        label_values([f"a={label}"])


def ratings(path, **options):
    script = RegressionScriptArguments(model_name_or_path="m", train_file=str(path), **options)
    return list(load_splits(script).datasets["train"]["label"])


def test_both_readers_read_the_same_ratings(tmp_path):
    path = tmp_path / "a.csv"
    with open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *((f"t{n}", text) for n, text in enumerate(NUMBERS))])
    rows, _ = read_rated_texts(tamil_movie_reviews.SPEC, RatedCorpusConfig(str(path), "out"))
    assert ratings(path) == rows["train"]["label"].to_pylist() == list(NUMBERS.values())


# Classes


def classes(path, **options):
    script = RegressionScriptArguments(model_name_or_path="m", train_file=str(path), **options)
    splits = load_splits(script, "classification")
    return [splits.label_names[label] for label in splits.datasets["train"]["label"]]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([0.0, 2.0, None, 1.0], ["0", "2", "1"]),
        ([0.0, float("nan"), 10.0, 2.0], ["0", "10", "2"]),
        (["0.0", "2.0", "", "1.0"], ["0", "2", "1"]),
        ([" sad", "happy ", "sad", None], ["sad", "happy", "sad"]),
        (["3_5", "35", "nan", "01"], ["3_5", "35", "nan", "01"]),
        ([True, False, None, True], ["True", "False", "True"]),
        ([1.5, 2.0, None, 2.0], ["1.5", "2", "2"]),
    ],
    ids=range(7),
)
def test_classes_have_one_name_however_they_are_stored(tmp_path, labels, names):
    table = pyarrow.table({"text": [f"t{number}" for number in range(4)], "label": labels})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert classes(tmp_path / "a.parquet", on_bad_row="drop") == names
    if None in labels or any(label != label for label in labels):
        with pytest.raises(InputError, match="the label is null; the name of a class is needed"):
            classes(tmp_path / "a.parquet")


def test_a_map_finds_numbers_names_and_booleans_as_they_are_written_elsewhere(tmp_path):
    path = tmp_path / "a.jsonl"
    labels = [2.0, " Happy ", True, "2", "2.0", 2]
    path.write_text("".join(json.dumps({"text": f"t{n}", "label": x}) + "\n" for n, x in enumerate(labels)))
    assert ratings(path, label_map=["2=5", "Happy=1", "true=௪"]) == [5.0, 1.0, 4.0, 5.0, 5.0, 5.0]
    rows, _ = read_rated_texts(
        tamil_movie_reviews.SPEC,
        RatedCorpusConfig(str(path), "out", label_map=["2=5", "Happy=1", "true=4"]),
    )
    assert rows["train"]["label"].to_pylist() == [5.0, 1.0, 4.0, 5.0, 5.0, 5.0]


@pytest.mark.parametrize("missing", [None, float("nan"), -1.0])
def test_labels_of_inference_may_be_floats(tmp_path, missing):
    rows = {"premise": list("abc"), "hypothesis": list("xyz"), "label": [2.0, 0.0, missing]}
    pyarrow.parquet.write_table(pyarrow.table(rows), tmp_path / "a.parquet")
    sentences = read_sentences(str(tmp_path / "a.parquet"))
    assert sentences.texts == ["a", "x", "b", "y"] and sentences.contradictions.tolist() == [[0, 1]]
    assert sentences.counts[0]["unlabelled"] == 1


def test_labels_of_inference_may_be_words_in_any_case(tmp_path):
    (tmp_path / "a.csv").write_text("premise,hypothesis,label\na,x,Contradiction \nb,y,NEUTRAL\nc,z,-\n")
    sentences = read_sentences(str(tmp_path / "a.csv"))
    assert sentences.contradictions.tolist() == [[0, 1]] and sentences.counts[0]["unlabelled"] == 1
    (tmp_path / "a.csv").write_text("premise,hypothesis,label\na,x,1_0\n")
    with pytest.raises(InputError, match=r"a.csv, row 1 \(line 2\): `label` is '1_0'; entailment, neutral or"):
        read_sentences(str(tmp_path / "a.csv"))
