"""Sources are split before anything is made of them: rows, sentences, labels, and what adds up."""

import csv
import re
from pathlib import Path

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.corpora.sources import REASONS, SPLITS, read_sentences
from hf_xling.errors import InputError

HEADER = ("premise", "hypothesis", "label")


def write(path: Path, rows: list[tuple], header: tuple[str, ...] = HEADER) -> str:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return str(path)


def files_of(folder: Path, **splits: list[tuple]) -> dict[str, str]:
    return {split: write(folder / f"{split}.csv", rows) for split, rows in splits.items() if rows}


def standing(sentences) -> dict[str, str]:
    """The split of each sentence."""
    return {text: SPLITS[split] for text, split in zip(sentences.texts, sentences.split_of, strict=True)}


def test_a_sentence_belongs_to_the_last_split_in_which_a_row_has_it(tmp_path):
    sentences = read_sentences(
        files_of(
            tmp_path,
            train=[("a", "x", "0"), ("b", "y", "2"), ("c", "x", "1")],
            validation=[("d", "y", "2")],
            test=[("e", "x", "2")],
        )
    )
    assert standing(sentences) == {
        **{"a": "train", "b": "train", "c": "train"},
        **{"x": "test", "y": "validation", "d": "validation", "e": "test"},
    }
    texts = sentences.texts
    contradictions = [(texts[premise], texts[hypothesis]) for premise, hypothesis in sentences.contradictions]
    assert contradictions == [("b", "y"), ("d", "y"), ("e", "x")]
    assert [tuple(row.values()) for row in sentences.counts] == [
        # split, rows, null, empty, unlabelled, texts, repeated, in a later split, sentences
        ("train", 3, 0, 0, 0, 6, 1, 2, 3),
        ("validation", 1, 0, 0, 0, 2, 0, 0, 2),
        ("test", 1, 0, 0, 0, 2, 0, 0, 2),
    ]


WORD = st.sampled_from(["a", "b", "c", "d", "e", "", " ", None])
ROWS = st.lists(st.tuples(WORD, WORD, st.sampled_from(["0", "1", "2", "-1", "-", None, "contradiction"])), max_size=8)


@given(st.fixed_dictionaries(dict.fromkeys(SPLITS, ROWS)))
def test_the_counts_add_up_and_no_sentence_of_a_later_row_is_in_an_earlier_split(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("source")
    good = {
        split: [
            row for row in part if all(text and text.strip() for text in row[:2]) and row[2] not in ("-1", "-", None)
        ]
        for split, part in rows.items()
    }
    if not any(rows.values()):
        return
    if not any(good.values()):
        with pytest.raises(InputError, match="holds no sentence"):
            read_sentences(files_of(folder, **rows))
        return
    sentences = read_sentences(files_of(folder, **rows))
    expected = {text: split for split in SPLITS for row in good[split] for text in row[:2]}  # the last one stays
    assert standing(sentences) == expected and len(set(sentences.texts)) == len(sentences.texts)
    told = {row["split"]: row for row in sentences.counts}
    for split in SPLITS:
        row = told.get(split, dict.fromkeys(("source rows", "texts", "repeated", "in a later split", "sentences"), 0))
        assert row["source rows"] == len(rows[split])
        assert row["source rows"] - sum(row.get(reason, 0) for reason in REASONS) == len(good[split])
        assert row["texts"] == 2 * len(good[split])
        assert row["texts"] - row["repeated"] - row["in a later split"] == row["sentences"]
        assert row["sentences"] == list(expected.values()).count(split)


@pytest.mark.parametrize(
    "labels",
    [("entailment", "contradiction", "-", None), ("0", "2", "-1", None), (0, 2, -1, None)],
    ids=["words", "numbers", "classes"],
)
def test_labels_as_snli_writes_them(tmp_path, labels):
    rows = {"premise": list("abcd"), "hypothesis": list("wxyz"), "label": list(labels)}
    if isinstance(labels[0], int):
        kinds = datasets.ClassLabel(names=["entailment", "neutral", "contradiction"])
        text = datasets.Value("string")
        features = datasets.Features({"premise": text, "hypothesis": text, "label": kinds})
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train-0.parquet")
        source = str(tmp_path)
    else:
        source = write(tmp_path / "nli.csv", list(zip(*rows.values(), strict=True)))
    sentences = read_sentences(source)
    assert sentences.texts == ["a", "w", "b", "x"] and sentences.contradictions.tolist() == [[2, 3]]
    assert sentences.counts[0]["unlabelled"] == 2


def test_the_columns_of_snlis_own_files_are_known(tmp_path):
    source = write(
        tmp_path / "snli.csv", [("-", "a", "b"), ("neutral", "c", "d")], ("gold_label", "sentence1", "sentence2")
    )
    assert read_sentences(source).texts == ["c", "d"]


def test_a_label_of_another_kind_is_named_with_a_way_out(tmp_path):
    source = write(tmp_path / "pairs.csv", [("a", "b", "0"), ("c", "d", "similar")])
    with pytest.raises(
        InputError, match=re.escape("pairs.csv, row 2 (line 3): `label` is 'similar'; entailment, neut")
    ):
        read_sentences(source)
    sentences = read_sentences(source, label_column="none")
    assert len(sentences.texts) == 4 and len(sentences.contradictions) == 0


def test_labels_are_read_whoever_names_the_text_columns(tmp_path):
    rows = [("a", "b", "2"), ("c", "d", "-1")]
    assert read_sentences(write(tmp_path / "a.csv", rows), ["premise", "hypothesis"]).texts == ["a", "b"]
    assert read_sentences(write(tmp_path / "a.csv", rows), ["premise"]).texts == ["a", "c"]  # nothing to infer from


def test_further_files_go_with_plain_ones_and_have_rows(tmp_path):
    (tmp_path / "splits").mkdir()
    for split in ("train", "test"):
        datasets.Dataset.from_dict({"text": ["x"]}).to_parquet(tmp_path / "splits" / f"{split}-0.parquet")
    (tmp_path / "a.csv").write_text("text\nx\n")
    (tmp_path / "empty.csv").write_text("text\n")
    files = {name: str(tmp_path / name) for name in ("splits", "a.csv", "empty.csv")}
    for train, test, options, said in (
        ("splits", "a.csv", {}, "has splits of its own .train, test.; a file of train is needed"),
        ("a.csv", "empty.csv", {}, "empty.csv: is empty"),
        ("a.csv", "a.csv", {"splits": ["train"]}, "--split train: goes with a source that has splits of its own"),
    ):
        with pytest.raises(InputError, match=said):
            read_sentences({"train": files[train], "test": files[test]}, **options)


def test_texts_without_labels_need_none(tmp_path):
    (tmp_path / "news.txt").write_text("x\n\n  \n\u200b\n \u3164\ny\nx\n\u200d\ufeff\n")
    sentences = read_sentences(str(tmp_path / "news.txt"))
    assert sentences.texts == ["x", "y"] and sentences.counts[0]["empty text"] == 5


def test_shares_are_held_out_by_the_first_text_alone(tmp_path):
    rows = [(f"premise {number // 3}", f"hypothesis {number}", "1") for number in range(3000)]
    shares = {"validation": 0.1, "test": 0.2}
    split_of = standing(read_sentences(write(tmp_path / "a.csv", rows), held_out=shares))
    for split, share in (*shares.items(), ("train", 0.7)):
        assert list(split_of.values()).count(split) == pytest.approx(share * len(split_of), rel=0.15)
    for premise, hypothesis, _ in rows:  # nothing is torn apart
        assert split_of[premise] == split_of[hypothesis]
    # A source that has grown, in another order and spelling, keeps its splits.
    grown = [(premise.upper(), *rest) for premise, *rest in reversed(rows)] + [("new", "newer", "1")]
    later = standing(read_sentences(write(tmp_path / "b.csv", grown), held_out=shares))
    assert all(later[text.upper() if text.startswith("premise") else text] == split for text, split in split_of.items())


def test_splits_of_a_dataset_folder_are_its_own(tmp_path):
    for split in ("train", "test"):
        datasets.Dataset.from_dict({"text": [f"{split} text"]}).to_parquet(tmp_path / f"{split}-00000.parquet")
    assert standing(read_sentences(str(tmp_path))) == {"train text": "train", "test text": "test"}
    assert read_sentences(str(tmp_path), splits=["train"]).texts == ["train text"]
    with pytest.raises(InputError, match=r"has no split `validation` to take; its splits are train, test"):
        read_sentences(str(tmp_path), splits=["validation"])
    (tmp_path / "a.txt").write_text("x\n")
    with pytest.raises(InputError, match=r"--split test: .*a\.txt has no splits of its own"):
        read_sentences(str(tmp_path / "a.txt"), splits=["test"])
