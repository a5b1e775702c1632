"""`hf-xling predict`: any kind of file in and out, in constant memory, ratings as they were in training."""

import csv
import json
import tracemalloc

import pyarrow.parquet
import pytest
from datasets import Dataset
from regression_runs import configure, train

from hf_xling import RatingEnsemble, RegressionTrainer
from hf_xling.cli import run
from hf_xling.errors import InputError
from hf_xling.regression.ensemble import write_members
from hf_xling.regression.predict import PredictConfig
from hf_xling.regression.predict import predict as predict_file


@pytest.fixture(scope="module")
def ensemble(bert_folder, rated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble")
    for seed in (1, 2):
        train(bert_folder, rated, folder / f"seed-{seed}", max_steps=15, seed=seed, long_text="windows").save_model()
    write_members(folder, [folder / "seed-1", folder / "seed-2"])
    return folder


@pytest.fixture(scope="module")
def texts(sentences):
    return [*sentences[:20], " ".join(sentences[20:34]), "the <b>dog</b> &amp; cat"]


@pytest.fixture
def reviews(texts, tmp_path):
    path = tmp_path / "reviews.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["id", "text"], *([f"r{row}", text] for row, text in enumerate(texts))])
    return path


def predict(model, source, output, *more):
    return run(["predict", "--model", str(model), "--input", str(source), "--output", str(output), *more])


def predict_blocks(rows, model, source, output):
    return predict_file(PredictConfig(model=str(model), input=str(source), output=str(output)), rows_per_block=rows)


def read(path):
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("block", [3, None])
def test_predictions_stand_beside_the_input(ensemble, reviews, texts, tmp_path, kind, block):
    if block is None:
        closing = predict(ensemble, reviews, tmp_path / f"rated.{kind}")
        assert closing == f"22 rows\npredictions: {tmp_path / f'rated.{kind}'}"
    else:
        assert predict_blocks(block, ensemble, reviews, tmp_path / f"rated.{kind}") == (22, 0)
    rows = read(tmp_path / f"rated.{kind}")
    assert list(rows[0]) == ["id", "text", "prediction", "spread"]
    assert [row["id"] for row in rows] == [f"r{row}" for row in range(22)] and [row["text"] for row in rows] == texts
    wanted = RatingEnsemble.from_pretrained(ensemble).predict(texts)
    assert [float(row["prediction"]) for row in rows] == pytest.approx(wanted.mean.tolist(), abs=1e-5)
    assert [float(row["spread"]) for row in rows] == pytest.approx(wanted.spread.tolist(), abs=1e-5)
    assert wanted.mean.std() > 0.05


@pytest.mark.parametrize("kind", ["txt", "jsonl", "parquet"])
def test_input_of_every_kind(ensemble, texts, tmp_path, kind):
    source = tmp_path / f"in.{kind}"
    if kind == "txt":
        source.write_text("\n".join(texts), encoding="utf-8")
    elif kind == "jsonl":
        source.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    else:
        Dataset.from_dict({"text": texts}).to_parquet(source)
    predict(ensemble / "seed-1", source, tmp_path / "out.csv")
    rows = read(tmp_path / "out.csv")
    assert [row["text"] for row in rows] == texts and list(rows[0]) == ["text", "prediction"]


def test_as_the_trainer_predicted(bert_folder, rated, tmp_path, texts, reviews):
    trainer = train(bert_folder, rated, tmp_path / "run", max_steps=15, long_text="head_tail", max_length=20)
    trainer.save_model()
    wanted = trainer.predict(Dataset.from_dict({"text": texts, "label": [0.0] * 22})).predictions[:, 0]
    predict(tmp_path / "run", reviews, tmp_path / "out.jsonl")
    assert [row["prediction"] for row in read(tmp_path / "out.jsonl")] == pytest.approx(wanted.tolist(), abs=1e-5)


def test_clamped_and_rounded(ensemble, reviews, tmp_path):
    predict(ensemble, reviews, tmp_path / "plain.jsonl")
    plain = [row["prediction"] for row in read(tmp_path / "plain.jsonl")]
    low, high = sorted(plain)[5], sorted(plain)[-5]
    predict(ensemble, reviews, tmp_path / "out.jsonl", "--clamp", str(low), str(high))
    clamped = [row["prediction"] for row in read(tmp_path / "out.jsonl")]
    assert clamped == pytest.approx([min(max(value, low), high) for value in plain]) and clamped != plain
    predict(ensemble, reviews, tmp_path / "out.jsonl", "--round_to", "0.25")
    rounded = [row["prediction"] for row in read(tmp_path / "out.jsonl")]
    assert all((4 * value) % 1 == 0 for value in rounded)
    assert all(abs(one - other) <= 0.125 for one, other in zip(plain, rounded, strict=True))


def test_cleaned(ensemble, reviews, tmp_path):
    predict(ensemble, reviews, tmp_path / "out.jsonl", "--clean")
    row = read(tmp_path / "out.jsonl")[-1]
    assert row["text"] == "the <b>dog</b> &amp; cat", "the input is as it was"
    wanted = RatingEnsemble.from_pretrained(ensemble).predict(["the dog & cat"]).mean[0]
    assert row["prediction"] == pytest.approx(wanted, abs=1e-5)


def test_rows_without_text_have_no_prediction(ensemble, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text(
        '{"text": "the dog"}\n{"text": null}\n{"text": " "}\n{"text": "\u200d\u3164"}\n{"other": 1}\n', encoding="utf-8"
    )
    closing = predict(ensemble, source, tmp_path / "out.jsonl")
    assert closing.startswith("5 rows, 4 of them without text and so without prediction")
    assert [row["prediction"] is None for row in read(tmp_path / "out.jsonl")] == [False, *[True] * 4]
    predict(ensemble, source, tmp_path / "out.parquet")
    assert [row["prediction"] is None for row in read(tmp_path / "out.parquet")] == [False, *[True] * 4]


def test_a_classifier_gives_class_and_probability(bert_folder, rated, reviews, tmp_path):
    rows = Dataset.from_dict({"text": rated["text"][:], "label": [int(label > 2.5) for label in rated["label"]]})
    args = configure(tmp_path / "run", task="classification", max_steps=30)
    trainer = RegressionTrainer(str(bert_folder), args, rows, label_names=["bad", "good"])
    trainer.train()
    trainer.save_model()
    predict(tmp_path / "run", reviews, tmp_path / "out.jsonl")
    found = read(tmp_path / "out.jsonl")
    assert {row["prediction"] for row in found} == {"bad", "good"} and all(0.5 <= row["score"] <= 1 for row in found)
    from transformers import pipeline

    answers = pipeline("text-classification", str(tmp_path / "run"), device="cpu")([row["text"] for row in found[:20]])
    assert [row["prediction"] for row in found[:20]] == [answer["label"] for answer in answers]
    assert [row["score"] for row in found[:20]] == pytest.approx([answer["score"] for answer in answers], abs=1e-5)
    with pytest.raises(InputError, match="--clamp: is for ratings"):
        predict(tmp_path / "run", reviews, tmp_path / "out.jsonl", "--clamp", "1", "5")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--output", "out.xlsx"], "--output out.xlsx: a file that ends in .csv"),
        (["--clamp", "5", "1"], "--clamp: two numbers are needed"),
        (["--clamp", "5"], "--clamp: two numbers are needed"),
        (["--round_to", "0"], "--round_to 0.0: a number above 0"),
        (["--text_column", "review"], "has no column `review`; its columns are id, text"),
        (["--model", "nowhere/at-all"], "--model nowhere/at-all: cannot be loaded"),
    ],
)
def test_what_cannot_be_done_is_refused(ensemble, reviews, tmp_path, more, message):
    with pytest.raises(InputError, match=message):
        predict(ensemble, reviews, tmp_path / "out.csv", *more)
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.csv"}


def test_a_bad_row_leaves_no_half_written_output(ensemble, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "the dog"}\n' * 4 + '{"text": 7}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"in.jsonl, row 5, column `text`: is 7; a text is needed"):
        predict_blocks(2, ensemble, source, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_the_input_is_not_overwritten(ensemble, reviews):
    before = reviews.read_bytes()
    with pytest.raises(InputError, match="is the input; give another file"):
        predict(ensemble, reviews, reviews)
    assert reviews.read_bytes() == before


def test_a_column_that_would_be_hidden_is_refused(ensemble, tmp_path):
    (tmp_path / "in.csv").write_text("text,prediction\nthe dog,4\n", encoding="utf-8")
    with pytest.raises(InputError, match="has a column `prediction`, which is about to be written"):
        predict(ensemble, tmp_path / "in.csv", tmp_path / "out.csv")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_that_begin_later_want_json_lines(ensemble, tmp_path, kind):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "the dog"}\n' * 2 + '{"text": "the cat", "year": 1999}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"column `year` begins after row 2; give an --output that ends in .jsonl"):
        predict_blocks(2, ensemble, source, tmp_path / f"out.{kind}")
    predict_blocks(2, ensemble, source, tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl")[2]["year"] == 1999


def test_memory_does_not_grow_with_the_rows(ensemble, tmp_path):
    def peak(rows):
        source = tmp_path / f"{rows}.csv"
        source.write_text("text\n" + f"the dog sees a ball {'x' * 400}\n" * rows, encoding="utf-8")
        tracemalloc.start()
        predict_blocks(64, ensemble / "seed-1", source, tmp_path / "out.csv")
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(64)
    few, many = peak(200), peak(3000)
    assert many < few + 500_000, "3,000 rows of 400 bytes are 1.2 MB"


TELUGU = ["తెలుగు భాష", "మంచి సినిమా", "చాలా బాగుంది", "నచ్చలేదు"]


def test_predict_warns(bert_folder, rated, tmp_path, capsys):
    train(bert_folder, rated, tmp_path / "model").save_model()
    for name, texts in (("telugu", TELUGU), ("english", rated["text"][:4])):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (tmp_path / f"{name}.jsonl").write_text(rows, "utf-8")
        capsys.readouterr()
        predict(tmp_path / "model", tmp_path / f"{name}.jsonl", tmp_path / f"{name}.csv")
        warned = "does not know this language or script" in capsys.readouterr().err
        assert warned == (name == "telugu")
