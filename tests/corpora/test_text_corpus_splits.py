"""Corpora with splits, triplets and other languages, as `load_dataset` gives them."""

import json
from pathlib import Path

import pytest
from corpus_folders import card
from datasets import load_dataset
from hf_xling.dataset_scripts import snli_paraphrased, snli_tamil_paraphrased
from stage_1 import run_stage_1, write_rows

from hf_xling.corpora.builders import main
from hf_xling.errors import InputError

CLASSES = ("entailment", "neutral", "contradiction", "-")
# Premise, hypothesis, label.
TRAIN = [
    ("A dog runs over the green grass.", "An animal moves.", 0),
    ("A dog runs over the green grass.", "A dog sleeps.", 2),
    ("A man sings in the old town hall.", "Nobody sings.", 2),
    ("A man sings in the old town hall.", "It is late.", 3),
]
TEST = [("A girl reads a long book about birds.", "Nobody sings.", 2)]
# The paraphrase of a training sentence is nearly a test sentence.
REWRITTEN = {"A man sings in the old town hall.": "A girl reads a long book about birds!"}


def said(text: str) -> str:
    return REWRITTEN.get(text, f"{text[:-1]}, so they say.")


WHO = ["ஒரு சிறிய நாய்", "அந்த மனிதர்", "ஒரு பெண் குழந்தை", "யாரோ ஒருவர்", "பழைய நண்பர்"]
DOES = ["மெதுவாக ஓடுகிறது", "இங்கே பாடுகிறார்", "புத்தகம் படிக்கிறது", "நன்றாக உறங்குகிறார்"]
TAMIL = [f"{who} {does}." for who in WHO for does in DOES]


@pytest.fixture(scope="module")
def nli(tmp_path_factory) -> Path:
    """The files of a source with splits, and the runs of stage 1 over both."""
    folder = tmp_path_factory.mktemp("nli")
    rows = {
        name: [{"premise": p, "hypothesis": h, "label": CLASSES[label]} for p, h, label in part]
        for name, part in (("train", TRAIN), ("test", TEST))
    }
    for name, part in rows.items():
        write_rows(folder / f"{name}.jsonl", part)
    both = write_rows(folder / "both.jsonl", rows["train"] + rows["test"])
    texts = {text for premise, hypothesis, _ in TRAIN + TEST for text in (premise, hypothesis)}
    paraphrases = {text: said(text) for text in texts}
    translations = dict(zip(sorted({*texts, *paraphrases.values()}), TAMIL, strict=False))
    run_stage_1(folder, both, paraphrases, translations)
    return folder


def build(module, nli, output, *more, runs=("paraphrase",)):
    argv = ["--source", str(nli / "train.jsonl"), "--test_file", str(nli / "test.jsonl"), "--output_dir", str(output)]
    return main(module.SPEC, [*argv, "--generated", *(str(nli / run) for run in runs), *more])


def rows(folder, config, split):
    return load_dataset(str(folder), config, split=split).to_list()


def test_what_comes_from_a_sentence_of_test_is_in_test_alone(nli, tmp_path):
    closing = build(snli_tamil_paraphrased, nli, tmp_path / "c", runs=("translate", "paraphrase-translate"))
    test, train = rows(tmp_path / "c", "pairs", "test"), rows(tmp_path / "c", "pairs", "train")
    in_test = {TEST[0][0], "Nobody sings."}  # the hypothesis is in both
    assert {row["anchor"] for row in test} == in_test and len(test) == 4
    assert {row["anchor"] for row in train} == {
        "A dog runs over the green grass.",
        "A dog sleeps.",
        "An animal moves.",
    } | {"A man sings in the old town hall."}
    assert not {row["group"] for row in test} & {row["group"] for row in train}
    for config in ("sentences", "triplets"):
        assert {row["group"] for row in rows(tmp_path / "c", config, "test")} <= {row["group"] for row in test}
    # From source rows to published ones, as a table.
    assert "| train |           4 |       0 |          0 |          1 |     6 |" in closing


def test_triplets_have_the_contradiction_in_the_words_of_the_same_run(nli, tmp_path):
    build(snli_tamil_paraphrased, nli, tmp_path / "c", runs=("translate", "paraphrase-translate"))
    dataset = load_dataset(str(tmp_path / "c"), "triplets")
    pairs = [row for split in ("train", "test") for row in rows(tmp_path / "c", "pairs", split)]
    written = {}
    for row in pairs:  # a translation, and that of its paraphrase
        written.setdefault(row["anchor"], []).append(row["positive"])
    dog, sleeps = written["A dog runs over the green grass."], written["A dog sleeps."]
    assert [(row["anchor"], row["positive"], row["negative"]) for row in dataset["train"]] == [
        ("A dog runs over the green grass.", positive, negative) for positive, negative in zip(dog, sleeps, strict=True)
    ]
    girl = zip(written[TEST[0][0]], written["Nobody sings."], strict=True)
    assert [(row["positive"], row["negative"]) for row in dataset["test"]] == list(girl)
    # `Nobody sings.` contradicts a training premise too, but is a sentence of test.
    counts = json.loads((tmp_path / "c" / "_run.json").read_text("utf-8"))["counts"]["triplets"]
    told = [(row["split"], row["contradictions"], row["in two splits"], row["rows"]) for row in counts]
    assert told == [("train", 4, 2, 2), ("test", 2, 0, 2)]


def test_leaked_rows_are_told_and_dropped_when_asked(nli, tmp_path):
    build(snli_paraphrased, nli, tmp_path / "kept")
    build(snli_paraphrased, nli, tmp_path / "dropped", "--drop_leaked")
    leaked = REWRITTEN["A man sings in the old town hall."]
    for name, is_there in (("kept", True), ("dropped", False)):
        for config, column in (("sentences", "anchor"), ("pairs", "positive")):
            assert (leaked in {row[column] for row in rows(tmp_path / name, config, "train")}) == is_there
        _, body = card(tmp_path / name)
        assert "| train | test | 0 | 1 |" in body
        assert ("`--drop_leaked` drops them" if is_there else "were dropped (leaked)") in body
    (row,) = json.loads((tmp_path / "dropped" / "_run.json").read_text("utf-8"))["counts"]["pairs"][:1]
    assert (row["split"], row["generated"], row["same again"], row["leaked"], row["rows"]) == ("train", 6, 2, 1, 3)


def test_the_card_names_the_files_of_each_split(nli, tmp_path):
    build(snli_paraphrased, nli, tmp_path / "c")
    front, body = card(tmp_path / "c")
    for config in front["configs"]:
        assert [file["split"] for file in config["data_files"]] == ["train", "test"]
        for file in config["data_files"]:
            (path,) = (tmp_path / "c").glob(file["path"])
            assert path.name.startswith(f"{file['split']}-00000-of-00001-")
    assert "`train.jsonl` (SHA-256" in body and "`test.jsonl` (SHA-256" in body
    assert 'triplets = load_dataset("org/snli-paraphrased", "triplets", split="train")' in body


def test_a_corpus_is_named_by_its_language(nli, tmp_path):
    spec = snli_tamil_paraphrased.SPEC
    assert spec.corpus_name("Tamil") == "snli_tamil_paraphrased" and spec.corpus_name("") == "snli_tamil_paraphrased"
    assert snli_paraphrased.SPEC.corpus_name(None) == "snli_paraphrased"
    run_stage_1(tmp_path / "te", nli / "both.jsonl", *_telugu())
    runs = [str(tmp_path / "te" / name) for name in ("translate", "paraphrase-translate")]
    argv = ["--source", str(nli / "both.jsonl"), "--generated", *runs, "--output_dir", str(tmp_path / "c")]
    main(spec, [*argv, "--source_name", "SNLI"])
    front, body = card(tmp_path / "c")
    assert front["pretty_name"] == "SNLI and its paraphrases in Telugu" and front["language"] == ["en", "te"]
    assert 'load_dataset("org/snli-telugu-paraphrased", "pairs"' in body


def _telugu():
    texts = {text for premise, hypothesis, _ in TRAIN + TEST for text in (premise, hypothesis)}
    paraphrases = {text: said(text) for text in texts}
    telugu = ["".join(chr(ord(letter) + 0x80) if "\u0b80" <= letter < "\u0c00" else letter for letter in text)
              for text in TAMIL]  # fmt: skip
    return paraphrases, dict(zip(sorted({*texts, *paraphrases.values()}), telugu, strict=False)), "te"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--validation_share", "0.7", "--test_share", "0.4"], "a part of the rows is needed"),
        (["--test_share", "0.1"], "go with a source without splits, not with --test_file"),
        (["--near_threshold", "2"], r"0\.1 to 1 is needed"),
    ],
)
def test_options_that_do_not_go_together_are_named(nli, tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        build(snli_paraphrased, nli, tmp_path / "c", *options)
    assert not (tmp_path / "c").exists()
