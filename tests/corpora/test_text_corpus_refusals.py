import json

import pytest
from corpus_folders import card, copy_of

from hf_xling.corpora.sources import read_sentences
from hf_xling.errors import InputError
from hf_xling.provenance.generation_run import GenerationRun

# Refusals


def test_a_chain_without_its_run_is_named(corpus, tmp_path):
    with pytest.raises(InputError, match="wants a run of `hf-xling generate` for paraphrase and then translate"):
        corpus("snli_tamil_paraphrased", "translate")
    with pytest.raises(InputError, match="snli_tamil wants a run of `hf-xling generate` for translate"):
        corpus("snli_tamil")
    with pytest.raises(InputError, match="for paraphrase"):
        corpus("snli_paraphrased")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "given", "said"),
    [
        ("snli_sentences", ["paraphrase"], "paraphrase: is a run for paraphrase; snli_sentences wants none"),
        ("snli_tamil", ["translate", "paraphrase"], "paraphrase: is a run for paraphrase; snli_tamil wants one for tr"),
        ("snli_tamil", ["paraphrase-translate"], "is a run for paraphrase and then translate; snli_tamil wants one fo"),
        ("snli_tamil", ["translate", "translate"], "is a run for translate as .*/translate is; snli_tamil wants one f"),
        (
            "snli_tamil_paraphrased",
            ["translate", "paraphrase-translate", "paraphrase"],
            "is a run for paraphrase; .* wants one for translate and one for paraphrase and then translate",
        ),
    ],
)
def test_a_run_that_the_corpus_has_no_place_for_is_named(corpus, tmp_path, script, given, said):
    with pytest.raises(InputError, match=f"--generated .*{said}"):
        corpus(script, *given)
    assert list(tmp_path.iterdir()) == []


def test_translations_into_two_languages_are_no_corpus(corpus, stage_1, tmp_path):
    other = copy_of(stage_1 / "paraphrase-translate", tmp_path / "other", language="si")
    with pytest.raises(InputError, match=r"must be in one language; here .*/translate in ta, .*/other in si"):
        corpus("snli_tamil_paraphrased", "translate", other)


def test_a_run_whose_endpoint_died_is_no_finished_run(corpus, stage_1, tmp_path):
    run = copy_of(stage_1 / "paraphrase", tmp_path / "run")
    record = json.loads((run / "_run.json").read_text("utf-8"))
    (run / "_run.json").write_text(json.dumps({**record, "finished": False}))
    with pytest.raises(InputError, match=f"--generated {run}: holds no finished run"):
        corpus("snli_paraphrased", run)


def test_a_run_over_another_source_is_named(corpus, stage_1, tmp_path):
    (tmp_path / "other.txt").write_text("Something else.\n")
    with pytest.raises(InputError, match=r"paraphrase: none of its rows was made from a sentence of the source"):
        corpus("snli_paraphrased", "paraphrase", source=tmp_path / "other.txt")


@pytest.mark.parametrize("manifest", [None, "{", "[]", "{}", '{"chain": ["paraphrase"]}'])
def test_a_folder_that_holds_no_finished_run_is_named(tmp_path, manifest):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match=f"--generated {tmp_path}: holds no finished run"):
        GenerationRun.open(tmp_path)


@pytest.mark.parametrize("value", ["Nepali", "xx", "a/b.yaml"])
def test_a_language_that_is_none_is_named(corpus, value):
    with pytest.raises(InputError, match=f"--source_language.*{value}"):
        corpus("snli_tamil", "translate", source_language=value)


def test_a_language_that_a_file_describes_goes_by_its_code_and_name(corpus, stage_1, tmp_path):
    (tmp_path / "mine.yaml").write_text("code: ne\nname: Nepali of Kāthmāndū\n")
    run = copy_of(stage_1 / "translate", tmp_path / "run", lambda row: {"language": "ne"}, language="ne",
                  language_name="Nepali of Kāthmāndū")  # fmt: skip
    profile = str(tmp_path / "mine.yaml")
    folder = corpus("snli_tamil", run, source_language=profile)
    front, body = card(folder)
    assert front["language"] == ["ne"] and front["pretty_name"].endswith(" in Nepali of Kāthmāndū")
    assert '"org/snli-nepali-of-kathmandu"' in body and "yaml" not in (folder / "README.md").read_text("utf-8")


def test_sources_that_cannot_be_used_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("premise,claim\nx,y\n")
    with pytest.raises(InputError, match=r"neither `premise` and `hypothesis` nor `text`.*premise, claim"):
        read_sentences(str(tmp_path / "a.csv"))
    assert read_sentences(str(tmp_path / "a.csv"), ["claim"]).texts == ["y"]
    (tmp_path / "b.csv").write_text("text,id\n,1\n ,2\n")
    with pytest.raises(InputError, match="holds no sentence"):
        read_sentences(str(tmp_path / "b.csv"))
