import shutil
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from corpus_folders import SCRIPTS, SENTENCES, TRANSLATIONS, copy_of, load

from hf_xling.errors import InputError
from hf_xling.runs import file_hash
from hf_xling.tables import read_table

# Rows


def test_the_sentences_of_the_source_stand_once_and_in_order(corpus):
    rows = load(corpus("snli_sentences"), "sentences")
    assert [(row["anchor"], row["group"], row["task"], row["language"]) for row in rows] == [
        (text, group, "source", "en") for group, text in enumerate(SENTENCES)
    ]
    assert all(row[name] is None for row in rows for name in ("model_id", "model_sha", "prompt_id"))


def test_paraphrases_join_their_source_in_sentences_and_in_pairs(corpus):
    folder = corpus("snli_paraphrased", "paraphrase")
    sentences, pairs = load(folder, "sentences"), load(folder, "pairs")
    assert [row["anchor"] for row in sentences] == [
        *SENTENCES,
        *("The dog is running.", "The cat is asleep.", "Quiet cat, sleeping."),
    ]
    assert [row["group"] for row in sentences] == [0, 1, 2, 3, 0, 2, 3]
    assert {(row["anchor"], row["positive"], row["group"]) for row in pairs} == {
        ("A dog runs.", "The dog is running.", 0),
        ("A cat sleeps.", "The cat is asleep.", 2),
        ("A cat, asleep.\nQuietly.", "Quiet cat, sleeping.", 3),
    }
    assert {(row["model_id"], row["model_sha"], row["task"]) for row in pairs} == {
        ("org/writer", "abc123", "paraphrase")
    }


def test_source_paraphrase_and_translation_of_a_paraphrase_share_a_group(corpus):
    folder = corpus("snli_tamil_paraphrased", "translate", "paraphrase-translate")
    groups = defaultdict(set)
    for row in load(folder, "sentences"):
        groups[row["group"]].add(row["anchor"])
    assert groups == {
        0: {TRANSLATIONS["A dog runs."], TRANSLATIONS["The dog is running."]},
        1: {TRANSLATIONS["An animal moves."]},
        2: {TRANSLATIONS["A cat sleeps."], TRANSLATIONS["The cat is asleep."]},
        3: {TRANSLATIONS["A cat, asleep.\nQuietly."], TRANSLATIONS["Quiet cat, sleeping."]},
    }
    for row in load(folder, "pairs"):  # the anchor of a translated paraphrase is the sentence at its root
        assert row["anchor"] == SENTENCES[row["group"]] and row["positive"] in groups[row["group"]]
    assert {row["language"] for row in load(folder, "sentences")} == {"ta"}


def test_rows_of_other_sources_are_left_out(corpus, tmp_path):
    (tmp_path / "part.txt").write_text("A cat sleeps.\nA bird sings.\n")
    folder = corpus("snli_paraphrased", "paraphrase", source=tmp_path / "part.txt")
    assert [(row["anchor"], row["group"]) for row in load(folder, "sentences")] == [
        ("A cat sleeps.", 0),
        ("A bird sings.", 1),
        ("The cat is asleep.", 0),
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_same_facts_build_the_same_bytes(script, corpus, tmp_path):
    spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
    runs = ["-".join(chain) for chain in spec.chains]
    one, two = (corpus(script, *runs, output=tmp_path / name) for name in ("one", "two"))
    files = sorted(str(path.relative_to(one)) for path in one.rglob("*") if path.is_file())
    assert "README.md" in files and any(name.startswith("sentences/train-00000-of-00001") for name in files)
    for name in files:
        if name != "_run.json":
            assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_text_that_two_generations_come_to_stands_once_in_its_group(corpus, stage_1, tmp_path):
    first = TRANSLATIONS["A dog runs."]
    same = copy_of(
        stage_1 / "paraphrase-translate",
        tmp_path / "same",
        lambda row: {"text": first if row["root_text"] == "A dog runs." else row["text"]},
    )
    folder = corpus("snli_tamil_paraphrased", same, "translate")
    sentences, pairs = load(folder, "sentences"), load(folder, "pairs")
    assert [row["anchor"] for row in sentences if row["group"] == 0] == [first]
    assert [row["positive"] for row in pairs if row["group"] == 0] == [first]
    assert len(sentences) == len(pairs) == 6  # one less than all
    # An equal text of another group is another row.
    other = copy_of(stage_1 / "paraphrase-translate", tmp_path / "other", lambda row: {"text": first})
    groups = [row["group"] for row in load(corpus("snli_tamil_paraphrased", "translate", other, output=tmp_path / "o"),
                                           "sentences") if row["anchor"] == first]  # fmt: skip
    assert groups == [0, 2, 3]


def test_a_paraphrase_that_is_its_source_is_no_second_row(corpus, stage_1, tmp_path):
    copied = copy_of(
        stage_1 / "paraphrase", tmp_path / "copied", lambda row: {"text": row["root_text"] or row["source_text"]}
    )
    rows = load(corpus("snli_paraphrased", copied), "sentences")
    assert [(row["anchor"], row["task"]) for row in rows] == [(text, "source") for text in SENTENCES]


# Content, not cache


def test_changed_rows_give_a_new_dataset_and_never_the_cached_one(corpus, stage_1, tmp_path):
    output = corpus("snli_paraphrased", "paraphrase")
    before = load(output, "pairs")
    changed = copy_of(stage_1 / "paraphrase", tmp_path / "changed", lambda row: {"text": row["text"] + "!"})
    other = corpus("snli_paraphrased", changed, output=tmp_path / "other")
    assert [row["positive"] for row in load(other, "pairs")] == [row["positive"] + "!" for row in before]
    shutil.rmtree(output)
    corpus("snli_paraphrased", changed, output=output)
    assert [row["positive"] for row in load(output, "pairs")] == [row["positive"] + "!" for row in before]


def test_stage_3_reads_what_lies_in_the_folder_and_not_what_lay_in_another_of_its_name(corpus, stage_1, tmp_path):
    changed = copy_of(
        stage_1 / "paraphrase", tmp_path / "run", lambda row: {"text": row["text"].swapcase()}
    )  # of the same size
    one = corpus("snli_paraphrased", "paraphrase", output=tmp_path / "one" / "snli")
    two = corpus("snli_paraphrased", changed, output=tmp_path / "two" / "snli")
    for read in (lambda folder: read_table(folder, "pairs").columns["positive"],
                 lambda folder: [row["positive"] for row in load(folder, "pairs")]):  # fmt: skip
        assert [text.swapcase() for text in read(one)] == read(two)
    # A folder with a card as others write it, with nothing of its content in it.
    for name, text in (("three", "first"), ("four", "other")):
        (tmp_path / name / "data").mkdir(parents=True)
        pyarrow.parquet.write_table(pyarrow.table({"text": [text]}), tmp_path / name / "data" / "x.parquet")
        card = "---\nconfigs:\n- config_name: c\n  data_files: data/*.parquet\n---\n"
        (tmp_path / name / "README.md").write_text(card)
    (tmp_path / "three").rename(tmp_path / "same")
    assert read_table(tmp_path / "same", "c").columns == {"text": ["first"]}
    shutil.rmtree(tmp_path / "same")
    (tmp_path / "four").rename(tmp_path / "same")
    assert read_table(tmp_path / "same", "c").columns == {"text": ["other"]}


def test_a_finished_corpus_is_not_built_again_and_a_changed_one_is_refused(corpus, stage_1, tmp_path):
    run = copy_of(stage_1 / "paraphrase", tmp_path / "run")
    output = corpus("snli_paraphrased", run)
    before = file_hash(output)
    corpus("snli_paraphrased", run)
    assert file_hash(output) == before
    shutil.rmtree(run)
    copy_of(stage_1 / "paraphrase", run, lambda row: {"text": "other"})
    with pytest.raises(InputError, match=r"holds another run .generated was"):
        corpus("snli_paraphrased", run)
    assert file_hash(output) == before


def test_a_finished_corpus_is_the_same_wherever_its_facts_lie_and_in_whatever_order(
    corpus, stage_1, tmp_path, monkeypatch
):
    runs = ("translate", "paraphrase-translate")
    output = corpus("snli_tamil_paraphrased", *runs)
    before = file_hash(output)
    shutil.copytree(stage_1, tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    said = {"source": "./nli.jsonl", "source_name": "SNLI", "source_language": "en"}
    corpus("snli_tamil_paraphrased", *(Path(run) for run in reversed(runs)), **said)
    assert file_hash(output) == before
    Path("nli.jsonl").write_text('{"premise": "A dog runs.", "hypothesis": "An animal moves."}\n')
    with pytest.raises(InputError, match=r"holds another run .source was"):
        corpus("snli_tamil_paraphrased", *runs, **said)
