"""Runs of stage 1 as later stages read them: manifests, rows, and the runs that they read."""

import shutil

import pytest
from corpus_folders import PARAPHRASES, TRANSLATIONS, copy_of

from hf_xling.errors import InputError
from hf_xling.provenance.generation_run import PROVENANCE, GenerationRun, ancestry
from hf_xling.provenance.generators import Generator


@pytest.mark.parametrize("manifest", [None, "{", "[]", "{}", '{"chain": []}', '{"chain": ["paraphrase"]}'])
def test_a_folder_that_holds_no_finished_run_is_named(tmp_path, manifest):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match=f"--generated {tmp_path}: holds no finished run"):
        GenerationRun.open(tmp_path)


def test_rows_are_found_by_their_folder_or_a_file_in_it(stage_1, tmp_path):
    accepted = stage_1 / "paraphrase" / "accepted"
    for place in (accepted, *accepted.iterdir()):
        assert GenerationRun.of_rows(place) == GenerationRun.open(stage_1 / "paraphrase")
    for place in (
        stage_1 / "paraphrase",
        stage_1 / "paraphrase" / "rejected",
        tmp_path,
        stage_1 / "nli.jsonl",
        "org/x",
    ):
        assert GenerationRun.of_rows(place) is None
    damaged = copy_of(stage_1 / "paraphrase", tmp_path / "damaged", model_id=7)
    assert GenerationRun.of_rows(damaged / "accepted") is None


def test_accepted_rows_have_the_text_at_the_root_of_their_chain(stage_1):
    rows = GenerationRun.open(stage_1 / "paraphrase-translate").accepted()
    assert rows.column_names == ["root_text", "text", *PROVENANCE]
    found = {row["root_text"]: row["text"] for row in rows.to_pylist()}
    kept = {text: said for text, said in PARAPHRASES.items() if said in TRANSLATIONS}
    assert found == {text: TRANSLATIONS[said] for text, said in kept.items()}
    rows = GenerationRun.open(stage_1 / "translate").accepted().to_pylist()  # there the source itself is the root
    assert {row["root_text"]: row["text"] for row in rows}.items() <= TRANSLATIONS.items()


def test_each_reason_has_as_many_examples_as_are_wanted(stage_1):
    run = GenerationRun.open(stage_1 / "paraphrase")
    assert run.rejected_examples(3)["copy"] == [{"source_text": "An animal moves.", "text": "AN ANIMAL MOVES"}]
    assert set(run.rejected_examples(0)) == set(run.manifest["reasons"]) and not any(run.rejected_examples(0).values())


def test_rows_that_cannot_be_read_are_named(stage_1, tmp_path):
    run = GenerationRun.open(copy_of(stage_1 / "paraphrase", tmp_path / "run"))
    for kind, read in (("accepted", run.accepted), ("rejected", lambda: run.rejected_examples(1))):
        for part in (run.folder / kind).iterdir():
            part.write_bytes(b"PAR1")
        with pytest.raises(InputError, match=f"--generated {run.folder}: its {kind} rows cannot be read"):
            read()


def test_the_ancestry_of_a_run_goes_back_to_the_source_and_tells_what_is_gone(stage_1, tmp_path):
    shutil.copytree(stage_1, tmp_path / "runs")
    chained = GenerationRun.open(tmp_path / "runs" / "paraphrase-translate")
    translate, paraphrase = (GenerationRun.open(tmp_path / "runs" / name) for name in ("translate", "paraphrase"))
    assert paraphrase.parent() is None
    assert chained.parent().folder.resolve() == paraphrase.folder  # by the path from the run's own folder
    found = ancestry([translate, chained, paraphrase])
    assert [run.chain for run in found.runs] == [translate.chain, paraphrase.chain, chained.chain] and found.gone == []
    assert found.generators[1] == Generator("org/writer", "abc123", "paraphrase", "en")
    moved = copy_of(chained.folder, tmp_path / "moved" / "chained", input="gone/accepted")
    found = ancestry([GenerationRun.open(moved)])
    assert found.gone == [("paraphrase",)] and found.generators[-1] == Generator(task="paraphrase")
