"""The rated corpora: what leaks, what is dropped, and what is told of it."""

import csv
import json
import re

import pytest
from corpus_folders import card
from datasets import load_dataset
from rated_files import HOSTILE, build, load, reviews, table_of

from hf_xling.corpora.rated_corpus import REASONS
from hf_xling.errors import InputError
from hf_xling.regression.config import RegressionScriptArguments
from hf_xling.regression.data import load_splits

# The Tamil reviews


def test_33_of_121_test_rows_stand_in_train_and_go_from_train(tamil):
    folder, counts, _, texts, ratings = tamil
    assert counts["clean", "train"] | {"leaked": 33, "rows": 447} == counts["clean", "train"]
    assert [counts["clean", "test"]["rows"], *(counts["raw", split]["rows"] for split in ("train", "test"))] == [
        121,
        480,
        121,
    ]
    expected = [text.replace(" ", "\n", 1) + "&" for text in texts]
    train, test = load(folder, "clean"), load(folder, "clean", "test")
    assert [row["text"] for row in train] == expected[33:480]
    assert [row["text"] for row in test] == expected[:33] + expected[480:]
    assert [row["label"] for row in train] == [ratings[text] for text in texts[33:480]]
    assert [row["id"] for row in train] == [f"train-{place}" for place in range(33, 480)]
    raw = load(folder, "raw")
    assert raw[0]["text"].count("<NEWLINE>") == 1 and raw[0]["text"].endswith("&amp;") and raw[0]["id"] == "train-0"
    front, body = card(folder)
    assert "| train | test | 33 | 0 |" in body and "| test | train | 33 | 0 |" in body
    assert "| train | train, a second time | 0 | 0 |" in body
    assert "33 rows of train are in a later split, exactly or nearly. `clean` is without them; `raw` has them." in body
    assert front["language"] == ["ta"] and front["configs"][0]["config_name"] == "clean"
    assert front["configs"][0]["default"] is True and "default" not in front["configs"][1]


def test_plain_load_dataset_gives_the_clean_rows(tamil):
    dataset = load_dataset(str(tamil[0]))
    assert {split: len(rows) for split, rows in dataset.items()} == {"train": 447, "test": 121}


def test_drop_leaked_drops_them_from_raw_too(tamil, tmp_path):
    folder, counts = build(tmp_path / "d", *tamil[2], "--drop_leaked")
    assert counts["raw", "train"]["leaked"] == 33
    assert [row["id"] for row in load(folder, "raw")] == [row["id"] for row in load(folder, "clean")]
    assert len(load(folder, "raw", "test")) == 121 and "`raw` is too." in card(folder)[1]


def test_the_card_tells_what_a_constant_achieves(tamil):
    folder, *_ = tamil
    labels = {split: [row["label"] for row in load(folder, "clean", split)] for split in ("train", "test")}
    mean = sum(labels["train"]) / len(labels["train"])
    error = sum((label - mean) ** 2 for label in labels["test"]) / len(labels["test"])
    assert re.search(rf"^\| clean \| test \| 121 \| 1 \| 4.5 \|.*\| {error:.4f} \|$", card(folder)[1], re.M)


# Counts


def test_what_cannot_be_used_is_counted_and_the_counts_add_up(tmp_path):
    text, other = reviews(2)
    rows = [
        {"text": text, "label": 3},
        {"text": None, "label": 1},
        {"text": 7, "label": 1},
        {"text": " ", "label": 1},
        {"text": "<br />&nbsp;", "label": None},  # a row is counted once
        {"text": text + "!", "label": None},
        *({"text": other, "label": label} for label in ("good", "nan", float("inf"), "2.5")),
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder, counts = build(tmp_path / "d", "--train_file", tmp_path / "train.jsonl")
    reasons = {"no text": 2, "empty text": 2, "no label": 1, "label no number": 3, "leaked": 0, "contradicting": 0}
    assert counts == {(config, "train"): {"source rows": 10, **reasons, "rows": 2} for config in ("clean", "raw")}
    assert [(row["id"], row["text"], row["label"]) for row in load(folder, "raw")] == [
        ("1", text, 3),
        ("10", other, 2.5),
    ]


def test_the_tables_of_card_and_closing_lines_add_up_to_what_is_in_the_files(files, tmp_path):
    texts = reviews(12)
    train = [(text, place) for place, text in enumerate(texts[:8])] + [("", 1), (texts[1], 5), (texts[2], 2), ("x", "")]
    splits = {"train": train, "validation": [(texts[3], 3), (texts[8], 8)], "test": [(text, 1) for text in texts[7:10]]}
    folder, counts = build(tmp_path / "d", *files(**splits))
    assert table_of(card(folder)[1]) == counts and len(counts) == 6
    for (config, split), row in counts.items():
        assert row["source rows"] == len(splits[split]) and set(REASONS) < row.keys()
        assert (
            row["source rows"] - sum(row[reason] for reason in REASONS)
            == row["rows"]
            == len(load(folder, config, split))
        )
    leaked = {split: counts["clean", split]["leaked"] for split in splits}
    assert leaked == {"train": 2, "validation": 1, "test": 0}  # texts 3 and 7; 8
    assert counts["clean", "train"]["contradicting"] == 1 and counts["raw", "train"]["contradicting"] == 0


@pytest.mark.parametrize("mark", ["\u200b", "\u200d", "\u3164", "\ufeff", "\u2800"])
def test_what_nobody_sees_makes_no_text_and_no_other_text(files, tmp_path, mark):
    texts = reviews(3)
    rows = [(text, 1) for text in texts] + [(mark * 2, 1), (f"{mark}{texts[1]}{mark} ", 2), (f"{texts[2]}{mark}", 1)]
    _, counts = build(tmp_path / "d", *files(train=rows))
    assert counts["raw", "train"] | {"empty text": 1, "rows": 5} == counts["raw", "train"]
    assert counts["clean", "train"] | {"contradicting": 1, "rows": 4} == counts["clean", "train"]


# Duplicates


def test_near_duplicates_leak_as_well_and_the_threshold_says_how_near(files, tmp_path):
    one, two = reviews(2)
    argv = files(train=[(f"{one} நன்றி!", 1), (two, 2)], test=[(one, 1)])
    folder, counts = build(tmp_path / "d", *argv)
    assert counts["clean", "train"]["leaked"] == 1 and [row["text"] for row in load(folder, "clean")] == [two]
    body = card(folder)[1]
    assert "| train | test | 0 | 1 |" in body and re.search(
        r"^\| train \| 1 \| .*… \| test \| 1 \| .*… \| 0\.9\d \|$", body, re.M
    )
    folder, counts = build(tmp_path / "strict", *argv, "--near_threshold", "1")
    assert counts["clean", "train"]["leaked"] == 0 and "No row is in a later split." in card(folder)[1]


def test_duplicates_within_a_split_are_reported_with_three_examples_and_stay(files, tmp_path):
    texts = reviews(5)
    folder, counts = build(
        tmp_path / "d", *files(train=[(text, 1) for text in texts * 2], test=[("one", 1), ("two", 1)])
    )
    body = card(folder)[1]
    assert counts["clean", "train"]["rows"] == 10 and "| train | train, a second time | 10 | 0 |" in body
    assert re.findall(r"^\| train \| (\d+) \|.*\| train \| (\d+) \|.*\| 1\.00 \|$", body, re.M) == [
        (str(row), str(row + 5)) for row in (1, 2, 3)
    ]


def test_the_rating_stage_reads_clean_and_raw_says_why_it_does_not(files, tmp_path):
    one, two, three = reviews(3)
    argv = files(train=[(one, 1), (two, 2), (f"<b>{one}</b>", 4), (one, 1)], validation=[(three, 1)], test=[("t", 3)])
    folder, _ = build(tmp_path / "d", *argv)
    told = {"model_name_or_path": "unused", "dataset_name": str(folder)}
    splits = load_splits(RegressionScriptArguments(**told, dataset_config="clean")).datasets
    assert splits["train"].to_list() == load(folder, "clean") and splits["train"]["label"] == [1, 2, 1]
    assert splits["test"].to_list() == load(folder, "clean", "test") and len(splits["validation"]) == 1
    with pytest.raises(InputError, match=r"row 3: the text is in row 1 with label 1\.0, here with 4\.0"):
        load_splits(RegressionScriptArguments(**told, dataset_config="raw", clean=True))


@pytest.mark.slow
def test_a_model_is_trained_on_clean(files, tmp_path, bert_folder):
    from hf_xling.trainers import regression

    train = [("the boy eats fish", 1), ("the girl sees bread", 2), ("the dog likes a ball", 3), ("one tree", 2)]
    folder, _ = build(tmp_path / "d", *files(train=train, test=[("one tree", 2), ("the bird finds", 1)]))
    argv = ["--model_name_or_path", bert_folder, "--dataset_name", folder, "--output_dir", tmp_path / "model"]
    more = ["--dataset_config", "clean", "--max_steps", "2", "--use_cpu", "true", "--disable_tqdm", "true"]
    regression.main([*map(str, argv), *more])
    with open(tmp_path / "model" / "predictions.csv", encoding="utf-8", newline="") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == ["1", "2"]


def test_text_of_strangers_does_no_harm_in_the_card(files, tmp_path):
    hostile = [(HOSTILE, 1), (HOSTILE, 1)]
    folder, _ = build(tmp_path / "d", *files(train=[*hostile, ("other", 1)], test=hostile))
    body = card(folder)[1]
    outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", body, flags=re.S)
    assert "<script" not in outside_code and "](http" not in outside_code and "http:" not in outside_code
    assert not re.search(r"^# owned|^---$", body, re.M)
    examples = [line for line in body.splitlines() if line.endswith("| 1.00 |")]
    assert len(examples) >= 3 and all(line.count("|") == 8 for line in examples)


# Sources
