"""The chain of licences of a corpus, from what it is made of to its card and its record."""

import html
import json
import logging
import re
import shutil

import pytest
from corpus_folders import card, copy_of

from hf_xling.errors import InputError


@pytest.fixture
def flagship(stage_1, tmp_path):
    """The runs of the corpus that the paper describes, as if its models had written them."""
    tamil = {"model_id": "abhinand/tamil-llama-7b-instruct-v0.2"}
    copy_of(stage_1 / "paraphrase", tmp_path / "paraphrase", model_id="meta-llama/Meta-Llama-3-8B-Instruct")
    chained = copy_of(
        stage_1 / "paraphrase-translate", tmp_path / "paraphrase-translate", **tamil, input="moved/accepted"
    )
    return copy_of(stage_1 / "translate", tmp_path / "translate", **tamil), chained


def test_the_flagship_corpus_builds_as_it_is_named_and_warns(corpus, flagship, caplog):
    with caplog.at_level(logging.WARNING, "hf_xling"):
        folder = corpus("snli_tamil_paraphrased", *flagship, repo_id="org/snli-tamil-paraphrased")
    front, body = card(folder)
    shown = html.unescape(body)
    assert front["license"] == "other" and front["license_name"] == "cc-by-sa-4.0-and-llama2-and-llama3"
    assert front["license_link"] == "https://huggingface.co/datasets/org/snli-tamil-paraphrased#licences"
    assert "\n## Licences\n" in body and "> Built with Meta Llama 3\n" in body and "It is not legal advice." in body
    # Both generators, though the run of the paraphrases is not one of the corpus's own.
    assert re.search(r"\| paraphrase \(to en\) \| meta-llama/Meta-Llama-3-8B-Instruct \| abc123 \|", shown)
    assert re.search(r"\| paraphrase, then translate \(to ta\) \| abhinand/tamil-llama-7b-instruct-v0.2 \|", shown)
    assert shown.count("| paraphrase (to en) |") == 1 and "author = {Bowman, Samuel R." in body
    assert len(caplog.messages) >= 3
    for message in caplog.messages:
        question = message.removeprefix("org/snli-tamil-paraphrased: open question of its licences: ")
        assert question != message and f"- {question}\n" in shown


def test_a_run_that_is_gone_leaves_a_question_and_no_licence(corpus, flagship, tmp_path):
    shutil.rmtree(tmp_path / "paraphrase")
    front, body = card(corpus("snli_tamil_paraphrased", *flagship))
    assert front["license_name"] == "cc-by-sa-4.0-and-llama2-and-unstated"
    assert "The run for paraphrase is gone" in body and "Built with Meta Llama 3" not in body
    # Another run that has come into its place is none of it.
    copy_of(flagship[0], tmp_path / "paraphrase")
    _, body = card(corpus("snli_tamil_paraphrased", *flagship, output=tmp_path / "again"))
    assert "The run for paraphrase is gone" in body


def test_a_licence_by_hand_is_kept_and_said_to_be_given(corpus, flagship):
    front, body = card(corpus("snli_tamil_paraphrased", *flagship, license="mit"))
    assert front["license"] == "mit" and "license_name" not in front and "license_link" not in front
    assert "\nmit, as given by the person who built it.\n" in body and "> Built with Meta Llama 3" in body
    assert "asks for cc-by-sa-4.0" in body


def test_a_source_on_disk_is_barred_by_its_name_and_the_card_says_so(corpus, stage_1, tmp_path):
    shutil.copy(stage_1 / "nli.jsonl", tmp_path / "snli.jsonl")
    front, body = card(corpus("snli_sentences", source=tmp_path / "snli.jsonl"))
    assert "license" not in front and "SNLI" not in body
    shutil.copy(stage_1 / "nli.jsonl", tmp_path / "imdb_train.jsonl")
    with pytest.raises(InputError, match="holds text of IMDB"):
        corpus("snli_sentences", source=tmp_path / "imdb_train.jsonl", repo_id="me/mine", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["imdb_test.csv", "aclImdb/test.csv"])
def test_no_file_of_a_source_is_overlooked(corpus, tmp_path, place):
    """One more file, or the folder that it lies in, can be what bars the whole."""
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("text\nA film.\n")
    (tmp_path / "own.txt").write_text("A sentence.\n")
    fields = {"source": tmp_path / "own.txt", "test_file": str(tmp_path / place)}
    with pytest.raises(InputError, match="holds text of IMDB"):
        corpus("snli_sentences", repo_id="me/mine", output=tmp_path / "out", **fields)
    folder = corpus("snli_sentences", output=tmp_path / "here", **fields)
    assert "IMDB" in json.loads((folder / "_run.json").read_text("utf-8"))["barred"]


def test_a_name_given_later_changes_nothing_in_the_folder(corpus):
    """It is put into the card where that is published: a training on the folder can still be resumed."""
    folder = corpus("snli_sentences")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    corpus("snli_sentences", repo_id="me/mine", output=folder)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert json.loads((folder / "_run.json").read_text("utf-8"))["repo_id"] == "org/snli-sentences"


def test_a_breach_stops_a_finished_corpus_too(corpus, tmp_path):
    fields = {"source_name": "IMDB", "output": tmp_path / "out"}
    corpus("snli_sentences", **fields)
    with pytest.raises(InputError, match="--repo_id me/mine: cannot be published: it holds text of IMDB"):
        corpus("snli_sentences", repo_id="me/mine", **fields)
