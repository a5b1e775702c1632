"""Which columns of a corpus are trained as pairs, and what the closing line says of it."""

import csv

import pytest
from hf_xling.trainers import simcse

from hf_xling.contrastive.config import SimCSEScriptArguments
from hf_xling.contrastive.data import load_all
from hf_xling.errors import InputError


def load(tmp_path, columns, rows=2, **fields):
    """A corpus of `columns`, whose texts are named by their columns."""
    path = tmp_path / "corpus.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows([f"{column} {row}" for column in columns] for row in range(rows))
    return load_all(SimCSEScriptArguments(model_name_or_path="m", train_file=str(path), **fields))


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
        (["text", "hypothesis"], {"anchor_column": "text"}, {"anchor": "text"}, "2 dropout pairs (text)"),
        (
            ["anchor", "hard_neg"],
            {},
            {"anchor": "anchor", "negative": "hard_neg"},
            "2 dropout pairs (anchor, hard_neg) with 1 hard negative",
        ),
    ],
)
def test_pairs_are_found_by_the_names_of_their_columns(tmp_path, columns, fields, trained, said):
    loaded = load(tmp_path, columns, **fields)
    trained = trained or dict(zip(("anchor", "positive"), columns, strict=True))
    assert loaded.corpus.column_names == list(trained)
    assert {name: loaded.corpus[name][1] for name in trained} == {name: f"{of} 1" for name, of in trained.items()}
    assert loaded.pairs == said


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
