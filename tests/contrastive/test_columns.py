"""Which columns of a corpus are trained as pairs, and what the closing line says of it."""

import csv

import pytest
from hf_xling.trainers import simcse

from hf_xling.contrastive.columns import pairs_in_words
from hf_xling.contrastive.config import SimCSEScriptArguments
from hf_xling.contrastive.stage import load_all
from hf_xling.errors import InputError


def load(tmp_path, columns, rows=2, **fields):
    """A corpus of `columns`, whose texts are named by their columns."""
    path = tmp_path / "corpus.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows([f"{column} {row}" for column in columns] for row in range(rows))
    return load_all(SimCSEScriptArguments(model_name_or_path="m", train_file=str(path), **fields)).corpus


def said_of(rows):
    return pairs_in_words(rows.chosen, len(rows), rows.left_out)


@pytest.mark.parametrize(
    ("columns", "fields", "trained", "said"),
    [
        (["anchor"], {}, {"anchor": "anchor"}, "2 dropout pairs (anchor)"),
        (["text", "id", "source"], {}, {"anchor": "text"}, "2 dropout pairs (text)"),
        (["sentence"], {}, {"anchor": "sentence"}, "2 dropout pairs (sentence)"),
        (["anchor", "positive"], {}, None, "2 text pairs (anchor, positive)"),
        (["text", "positive"], {}, {"anchor": "text", "positive": "positive"}, "2 text pairs (text, positive)"),
        (["sent0", "sent1"], {}, {"anchor": "sent0", "positive": "sent1"}, "2 text pairs (sent0, sent1)"),
        (
            ["sent0", "sent1", "hard_neg"],
            {},
            {"anchor": "sent0", "positive": "sent1", "negative": "hard_neg"},
            "2 triplets (sent0, sent1, hard_neg)",
        ),
        (
            ["query", "positive", "negative"],
            {},
            {"anchor": "query", "positive": "positive", "negative": "negative"},
            "2 triplets (query, positive, negative)",
        ),
        (
            ["Query", "Pos", "neg_2", "neg_1"],
            {},
            {"anchor": "Query", "positive": "Pos", "negative_1": "neg_1", "negative_2": "neg_2"},
            "2 triplets (Query, Pos, neg_1, neg_2)",
        ),
        (["question", "answer"], {}, {"anchor": "question", "positive": "answer"}, "2 text pairs (question, answer)"),
        (["sentence1", "sentence2"], {}, None, "2 text pairs (sentence1, sentence2)"),
        (["premise", "hypothesis"], {}, None, "2 text pairs (premise, hypothesis)"),
        (["src", "tgt"], {}, None, "2 text pairs (src, tgt)"),
        (["text", "translation"], {}, None, "2 text pairs (text, translation)"),
        (
            ["en", "ta"],
            {"anchor_column": "en", "positive_column": "ta"},
            {"anchor": "en", "positive": "ta"},
            "2 text pairs (en, ta)",
        ),
        (
            ["premise", "hypothesis", "label", "other"],
            {"anchor_column": "premise", "positive_column": "hypothesis", "negative_column": ["other"]},
            {"anchor": "premise", "positive": "hypothesis", "negative": "other"},
            "2 triplets (premise, hypothesis, other)",
        ),
        (
            ["text", "hypothesis"],
            {"anchor_column": "text"},
            {"anchor": "text"},
            "2 dropout pairs (text); left out: hypothesis",
        ),
        (
            ["anchor", "hard_neg"],
            {},
            {"anchor": "anchor", "negative": "hard_neg"},
            "2 dropout pairs (anchor, hard_neg) with 1 hard negative",
        ),
    ],
)
def test_pairs_are_found_by_the_names_of_their_columns(tmp_path, columns, fields, trained, said):
    rows = load(tmp_path, columns, **fields)
    trained = trained or dict(zip(("anchor", "positive"), columns, strict=True))
    assert rows.column_names == list(trained) and rows.chosen == trained
    assert {name: rows[name][1] for name in trained} == {name: f"{of} 1" for name, of in trained.items()}
    assert said_of(rows) == said


@pytest.mark.parametrize(
    ("columns", "fields", "said"),
    [
        (["en", "ta"], {}, "has no column `anchor`, `text` or `sentence`"),
        (["content"], {}, "has no column `anchor`, `text` or `sentence`"),
        (["positive", "negative"], {}, "has no column `anchor`, `text` or `sentence`"),
        (["text", "hypothesis"], {}, "has `text` and `hypothesis`: are they pairs"),
        (["anchor", "tgt"], {}, "has `anchor` and `tgt`: are they pairs"),
        (["source_text", "text", "task"], {}, "has `text` and `source_text`: are they pairs"),
        (["premise", "hypothesis", "label"], {}, "has `premise`, `hypothesis` and `label`: not each row"),
        (["sentence1", "sentence2", "score"], {}, "has `sentence1`, `sentence2` and `score`: not each row"),
    ],
)
def test_names_that_do_not_tell_are_refused_with_the_options_that_do(tmp_path, columns, fields, said):
    with pytest.raises(InputError) as caught:
        load(tmp_path, columns, **fields)
    assert said in str(caught.value) and "--anchor_column and --positive_column" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"anchor_column": "nothing"}, "has no column `nothing`; its columns are en, ta"),
        ({"anchor_column": "en", "positive_column": "nothing"}, "has no column `nothing`"),
        ({"anchor_column": "en", "positive_column": "ta", "negative_column": ["x"]}, "has no column `x`"),
        ({"positive_column": "ta"}, "--anchor_column is needed with --positive_column"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path, fields, said):
    with pytest.raises(InputError, match=r"corpus\.csv: ") as caught:
        load(tmp_path, ["en", "ta"], **fields)
    assert said in str(caught.value)


def test_the_closing_line_says_what_was_trained(bert_folder, sentences, tmp_path):
    path = tmp_path / "pairs.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sent0", "sent1"])
        writer.writerows(zip(sentences[:15], sentences[20:35], strict=True))
        writer.writerow([sentences[0], sentences[40]])
    argv = ["--model_name_or_path", str(bert_folder), "--train_file", str(path), "--output_dir", str(tmp_path / "run")]
    argv += ["--per_device_train_batch_size", "8", "--max_length", "16", "--use_cpu", "true", "--disable_tqdm", "true"]
    first, _ = simcse.main([*argv, "--max_steps", "1", "--logging_steps", "1"]).splitlines()
    assert first.startswith("16 rows, 1 steps, loss ")
    assert first.endswith("16 text pairs (sent0, sent1); 2 share a text with another row, and are no negatives of it")


WORDS = ["the", "dog", "eats", "fish", "and", "bread", "while", "it", "rains"]
FURTHER = [
    *(["text", "summary"], ["title", "text"], ["anchor", "positive_1", "positive_2"], ["text", "back_translation"]),
    *(["text", "ta"], ["sentence", "comment"], ["anchor", "text"], ["text", "source"], ["text", "name"]),
]


def sentence(column, row):
    return f"{column} {WORDS[row % 9]} {WORDS[row % 7]} number {row}"


def write(path, columns, rows=12):
    """A corpus of sentences; a column may be a pair of its name and a function that gives its values."""
    made = [each if isinstance(each, tuple) else (each, None) for each in columns]
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([name for name, _ in made])
        writer.writerows([sentence(name, row) if of is None else of(row) for name, of in made] for row in range(rows))
    return SimCSEScriptArguments(model_name_or_path="m", train_file=str(path))


@pytest.mark.parametrize("columns", FURTHER, ids=",".join)
def test_a_further_column_of_texts_is_no_dropout_pair(tmp_path, columns):
    script = write(tmp_path / "corpus.csv", columns)
    with pytest.raises(InputError, match=r"corpus\.csv: has .*: are they pairs, .*--anchor_column"):
        load_all(script)
    script.anchor_column = columns[0]
    assert said_of(load_all(script).corpus) == f"12 dropout pairs ({columns[0]}); left out: {', '.join(columns[1:])}"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["anchor", "entailment", "contradiction"], "12 triplets (anchor, entailment, contradiction)"),
        (["premise", "entailment", "contradiction"], "12 triplets (premise, entailment, contradiction)"),
        (["text", "text_pair"], "12 text pairs (text, text_pair)"),
        (["sentence", "sentence_pair"], "12 text pairs (sentence, sentence_pair)"),
        (["anchor", "pair"], "12 text pairs (anchor, pair)"),
        (["anchor", "positives"], "12 text pairs (anchor, positives)"),
        (["anchor", "positive", "negatives"], "12 triplets (anchor, positive, negatives)"),
        (["query", "pos", "hard_negs"], "12 triplets (query, pos, hard_negs)"),
        (["query", "positive", "hard_negatives_2", "hard_negatives_1"], None),
        (["query", "positive", "negative_passage"], "12 triplets (query, positive, negative_passage)"),
        (["query", "positive", "title"], "12 text pairs (query, positive); left out: title"),
    ],
)
def test_more_names_of_pairs_and_negatives(tmp_path, columns, said):
    wanted = said or "12 triplets (query, positive, hard_negatives_1, hard_negatives_2)"
    assert said_of(load_all(write(tmp_path / "corpus.csv", columns)).corpus) == wanted


ABOUT = [
    ("id", lambda row: f"n-{row}"),
    ("doc", lambda row: f"{row:032x}"),
    ("url", lambda row: f"https://example.org/{row}"),
    ("published", lambda row: f"2020-01-{row + 1:02} 10:00"),
    ("genre", lambda row: ("fiction", "news")[row % 2]),
    ("mood", lambda row: ("glad", "very sad", "none")[row % 3]),
    ("stars", lambda row: row % 5),
    ("language", lambda row: "ta"),
    ("model_id", lambda row: "org/model"),
    ("model_sha", lambda row: "ab12"),
    ("task", lambda row: ("source", "paraphrase")[row % 2]),
    ("prompt_id", lambda row: "paraphrase-1"),
    ("relation", lambda row: f"near {row}"),
]


@pytest.mark.parametrize("single", ["anchor", "text", "sentence"])
def test_what_tells_about_a_row_is_no_text(tmp_path, single):
    assert said_of(load_all(write(tmp_path / "corpus.csv", [single, *ABOUT])).corpus) == f"12 dropout pairs ({single})"


@pytest.mark.parametrize("pair", [("sentence1", "sentence2"), ("text", "text_pair"), ("premise", "hypothesis")])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        *[(name, lambda row: ("yes", "no")[row % 2]) for name in ("relation", "class", "same", "gold", "is_pair")],
        *[("duplicate", lambda row: row % 2), ("sim", lambda row: row / 12), ("entailment_label", lambda row: row % 3)],
    ],
)
def test_a_label_beside_any_pairs_is_seen_by_its_values(tmp_path, pair, name, values):
    with pytest.raises(InputError, match=rf"and `{name}`: not each row need be a pair"):
        load_all(write(tmp_path / "corpus.csv", [*pair, (name, values)]))
    about = [("id", lambda row: row), ("language", lambda row: ("ta", "te")[row % 2]), ("idx", lambda row: row % 2)]
    rows = load_all(write(tmp_path / "corpus.csv", [*pair, *about])).corpus
    assert said_of(rows) == f"12 text pairs ({', '.join(pair)})"
