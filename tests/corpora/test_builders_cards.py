"""Sentences of cards, each where it is true of the data and not where it is not."""

import json

from corpus_folders import card, copy_of
from rated_files import build, reviews

# Text corpora


def test_what_is_said_of_splits_needs_splits(corpus, built, tmp_path):
    body = card(built("snli_sentences"))[1]
    assert (
        "There is one split, `train`." in body
        and "is in the last split" not in body
        and "later split, exactly" not in body
    )
    (tmp_path / "test.jsonl").write_text('{"premise": "A bird sings.", "hypothesis": "It sleeps."}\n')
    fields = {"test_file": str(tmp_path / "test.jsonl")}
    body = card(corpus("snli_sentences", output=tmp_path / "two", **fields))[1]
    assert "nothing that comes from a sentence of `test` is in `train`" in body
    assert "No text is in a later split, exactly or nearly." in body and "are still there" not in body
    (tmp_path / "test.jsonl").write_text('{"premise": "a\\u200d DOG runs.", "hypothesis": "It sleeps."}\n')
    body = card(corpus("snli_sentences", output=tmp_path / "leaks", **fields))[1]
    assert "exactly or nearly (1 texts), are still there" in body and "No text is" not in body


def test_what_is_said_of_generated_text_needs_some(built):
    body = card(built("snli_sentences"))[1]
    for claim in (
        "same again`: one answer",
        "translation",
        "paraphrase",
        "language models",
        "in `pairs`",
        "and `pairs`",
    ):
        assert claim not in body
    body = card(built("snli_tamil", "translate"))[1]
    assert "`positive` was made from `anchor`, a sentence of the source, by translate." in body
    assert "`source` is text of the source itself" not in body  # no row of it is


def test_each_way_of_asking_is_shown(corpus, stage_1, tmp_path):
    """Two runs with one prompt can have other parameters."""
    manifest = json.loads((stage_1 / "paraphrase-translate" / "manifest.json").read_text("utf-8"))
    warm = copy_of(
        stage_1 / "paraphrase-translate", tmp_path / "warm", parameters={**manifest["parameters"], "temperature": 0.25}
    )
    body = card(corpus("snli_tamil_paraphrased", "translate", warm))[1]
    assert "'temperature': 0.25" in body and "'temperature': 0.7" in body


def test_a_number_is_no_null(corpus, tmp_path):
    (tmp_path / "n.jsonl").write_text('{"text": 7}\n{"text": null}\n{"text": "A dog."}\n')
    body = card(corpus("snli_sentences", source=tmp_path / "n.jsonl"))[1]
    assert "no text (null, or a value that is no text, such as a number)" in body and "| null text |" not in body
    assert "| train |           3 |       2 |" in body


def test_a_link_is_that_of_the_one_licence(corpus, tmp_path):
    """Of three licences one link would be that of one of them."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.csv").write_text(f"text\nSentence {name}.\n")
        told = f"license: other\nlicense_name: {name}-terms\nlicense_link: https://e.org/{name}\n"
        told += "configs:\n- config_name: default\n  data_files: data.csv\n"
        (tmp_path / name / "README.md").write_text(f"---\n{told}---\n")
    front = card(corpus("snli_sentences", source=tmp_path / "one", output=tmp_path / "alone"))[0]
    assert front["license_link"] == "https://e.org/one"
    both = {"source": tmp_path / "one" / "data.csv", "test_file": str(tmp_path / "two" / "data.csv")}
    front, _ = card(corpus("snli_sentences", output=tmp_path / "both", **both))
    assert "license_link" not in front and "one-terms" in front["license_name"] and "two-terms" in front["license_name"]
    front = card(corpus("snli_sentences", output=tmp_path / "named", repo_id="me/mine", **both))[0]
    assert front["license_link"] == "https://huggingface.co/datasets/me/mine#licences"


def test_a_name_that_nobody_has_is_no_place_to_load_from(built):
    assert "A folder on disk is read by its path" in card(built("snli_sentences"))[1]
    assert "A folder on disk" not in card(built("snli_sentences", repo_id="me/mine"))[1]


# Rated corpora


def test_what_looks_like_markup_after_cleaning_is_told(files, tmp_path):
    texts = reviews(4)
    rows = [(f"{texts[0]} &lt;br&gt; x", 1), (f"{texts[1]} &amp;amp; y", 2), (f"{texts[2]}<br>", 3), (texts[3], 4)]
    body = card(build(tmp_path / "d", *files(train=rows))[0])[1]
    assert (
        "2 of its texts still hold what looks like a tag or an entity" in body and "without tags, entities" not in body
    )
    body = card(build(tmp_path / "e", *files(train=rows[2:]))[0])[1]
    assert "what looks like" not in body


def test_the_test_set_is_whole_only_where_it_is(files, tmp_path):
    texts = reviews(6)
    train = [(text, 1) for text in texts[:3]]
    body = card(build(tmp_path / "d", *files(train=train, test=[(text, 2) for text in texts[3:]]))[0])[1]
    assert "`clean` has all rows of the source's test split." in body and "left out of `clean`" not in body
    test = [(texts[3], 2), (texts[3], 3), ("", 1), (texts[4], "")]
    body = card(build(tmp_path / "e", *files(train=train, test=test))[0])[1]
    assert "3 of its source rows are left out of `clean` for the other reasons" in body and "has all rows" not in body
    assert "but for the contradicting rows" in body and "published one" not in body


def test_one_split_has_no_later_one(files, tmp_path):
    body = card(build(tmp_path / "d", *files(train=[(text, 1) for text in reviews(3)]))[0])[1]
    assert "without the rows that are in a later split" not in body and "Rows of the last split" not in body
