import csv
import json
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from hf_xling.sample import reviews
from hf_xling.sample.world import write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "world"
    write_world(folder)
    return folder


@pytest.fixture(scope="module")
def snli(world):
    return [json.loads(line) for line in (world / "snli.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def pairs(world):
    return [json.loads(line) for line in (world / "pairs.jsonl").read_text("utf-8").splitlines()]


def read_reviews(world: Path, language: str, split: str) -> list[tuple[str, float]]:
    with open(world / f"reviews_{language}_{split}.csv", encoding="utf-8", newline="") as file:
        return [(row["text"], float(row["label"])) for row in csv.DictReader(file)]


def tamil_share(text: str) -> float:
    letters = [c for c in text if unicodedata.category(c)[0] in "LM"]
    return sum("\u0b80" <= c <= "\u0bff" for c in letters) / len(letters)


# The world's files


def test_same_seed_same_bytes_and_another_seed_other_texts(world, tmp_path):
    write_world(tmp_path / "again")
    write_world(tmp_path / "other", seed=1)
    names = sorted(path.name for path in world.iterdir())
    reviewed = {f"reviews_{language}_{split}.csv" for language in ("en", "ta") for split in reviews.SIZES}
    assert set(names) == {"snli.jsonl", "pairs.jsonl", "news_ta.txt", *reviewed}
    for folder in ("again", "other"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (world / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (world / name).read_bytes()


def test_all_text_is_nfc(world):
    for path in world.iterdir():
        text = path.read_text("utf-8")
        assert unicodedata.is_normalized("NFC", text)
        assert "{" not in text.replace('{"', "")


# Inference rows


def test_there_are_enough_distinct_sentences(snli):
    sentences = {row[side] for row in snli for side in ("premise", "hypothesis")}
    assert 3000 <= len(sentences) <= 3400


def test_a_premise_stands_three_times_in_a_row_with_three_labels(snli):
    groups = [snli[start : start + 3] for start in range(0, len(snli), 3)]
    assert len(groups) == len({row["premise"] for row in snli})
    for group in groups:
        assert len({row["premise"] for row in group}) == 1
        assert {row["label"] for row in group} == {"entailment", "neutral", "contradiction"}
        assert len({row["hypothesis"] for row in group}) == 3
    assert len({tuple(row["label"] for row in group) for group in groups}) == 6


def test_no_pair_has_two_labels_and_no_premise_is_its_own_hypothesis(snli):
    labels = defaultdict(set)
    for row in snli:
        labels[row["premise"], row["hypothesis"]].add(row["label"])
        assert row["premise"] != row["hypothesis"]
    assert all(len(found) == 1 for found in labels.values())


def test_english_agrees(snli):
    for row in snli:
        text = row["hypothesis"]
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text.lower()), text
        plural = text.startswith(("Two ", "Some ")) or " and h" in text
        assert (" are " in text, " is " in text) == (plural, not plural), text


# Recorded generations


def test_every_sentence_and_every_paraphrase_has_its_answers(snli, pairs):
    answers = {(pair["task"], pair["source"]): pair["text"] for pair in pairs}
    assert len(answers) == len(pairs), "a source was answered twice"
    sentences = {row[side] for row in snli for side in ("premise", "hypothesis")}
    for sentence in sentences:
        paraphrase = answers.pop(("paraphrase", sentence))
        assert answers.pop(("translate", sentence)) != answers.pop(("translate", paraphrase))
    assert not answers, "an answer to nothing"


def test_outputs_of_different_sources_hardly_collide(pairs):
    for task in ("paraphrase", "translate"):
        texts = [pair["text"] for pair in pairs if pair["task"] == task]
        assert len(texts) >= 3000
        assert len(set(texts)) > 0.97 * len(texts)


def test_paraphrases_are_reworded_and_are_nobody_elses_source(pairs):
    paraphrases = {pair["source"]: pair["text"] for pair in pairs if pair["task"] == "paraphrase"}
    assert not set(paraphrases) & set(paraphrases.values())
    function_words = {"a", "an", "the", "is", "are", "of", "in", "on", "at", "to", "with", "for", "and"}
    function_words |= {"his", "her", "some"}
    for source, paraphrase in paraphrases.items():
        content = set(re.findall(r"\w+", source.lower())) - function_words
        kept = content & set(re.findall(r"\w+", paraphrase.lower()))
        assert len(kept) <= len(content) / 2, (source, paraphrase)


def test_translations_and_news_are_tamil(world, pairs):
    news = (world / "news_ta.txt").read_text("utf-8").splitlines()
    assert len(news) == len(set(news)) >= 2000
    for text in [*(pair["text"] for pair in pairs if pair["task"] == "translate"), *news]:
        assert tamil_share(text) == 1.0, text
        assert text.endswith(".") and "  " not in text


def test_news_shares_little_vocabulary_with_the_scenes(world, pairs):
    news = set((world / "news_ta.txt").read_text("utf-8").replace(".", "").split())
    scenes = {word for pair in pairs if pair["task"] == "translate" for word in pair["text"].strip(".").split()}
    assert len(news & scenes) < 0.1 * min(len(news), len(scenes))


# Reviews


@pytest.mark.parametrize("language", ["en", "ta"])
def test_reviews_stand_once_in_one_split(world, language):
    rows = {split: read_reviews(world, language, split) for split in reviews.SIZES}
    assert {split: len(found) for split, found in rows.items()} == reviews.SIZES
    texts = [text for found in rows.values() for text, _ in found]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert 2 <= len(re.findall(r"[.](?: |$)", text)) <= 5, text
        assert tamil_share(text) == (language == "ta")


def test_ratings_go_in_quarter_steps_and_labels_are_balanced(world):
    for split in reviews.SIZES:
        ratings = [label for _, label in read_reviews(world, "ta", split)]
        assert all(1 <= rating <= 5 and (4 * rating).is_integer() for rating in ratings)
        assert len(set(ratings)) > 10
        labels = Counter(label for _, label in read_reviews(world, "en", split))
        assert labels == {0: reviews.SIZES[split] / 2, 1: reviews.SIZES[split] / 2}
