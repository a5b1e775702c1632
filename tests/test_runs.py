import json
import logging

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.runs import (
    LOCK_FILE,
    claim,
    content_hash,
    file_hash,
    finish,
    is_finished,
    last_checkpoint,
    read_run,
    reopen,
    write_json,
    write_text,
    written_aside,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# written_aside


def test_a_file_appears_whole_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with written_aside(target) as aside:
        aside.write_text("half")
        assert not target.exists() and aside.parent == target.parent
        aside.write_text("whole")
    assert target.read_text() == "whole" and names(target.parent) == ["a.txt"]


def test_a_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="disk"), written_aside(target) as aside:
        aside.write_text("new")
        raise RuntimeError("disk")
    assert target.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_folder_takes_the_place_of_another_with_all_its_files(tmp_path):
    target = tmp_path / "parts"
    for generation in ("old", "new"):
        with written_aside(target) as aside:
            (aside / "deep").mkdir(parents=True)
            (aside / f"{generation}.txt").write_text(generation)
            (aside / "deep" / "x").write_text(generation)
    assert names(target) == ["deep", "new.txt"] and (target / "deep" / "x").read_text() == "new"
    assert names(tmp_path) == ["parts"]


def test_a_failure_leaves_the_old_folder(tmp_path):
    target = tmp_path / "parts"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt), written_aside(target) as aside:
        aside.mkdir()
        (aside / "new").write_text("new")
        raise KeyboardInterrupt
    assert names(target) == ["old"] and names(tmp_path) == ["parts"]


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), written_aside(target):
        pass
    assert target.read_text() == "old" and names(tmp_path) == ["a.txt"]


@settings(max_examples=30)  # each is flushed to the disk
@given(st.recursive(st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])), st.lists))
def test_json_is_written_as_utf_8(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "x.json"
    write_json(path, {"தமிழ்": content})
    assert json.loads(path.read_text("utf-8")) == {"தமிழ்": content}
    assert "தமிழ்" in path.read_text("utf-8")


# Hashes


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path):
    for folder in ("a", "b"):
        write_text(tmp_path / folder / "x" / "1.txt", "one")
        write_text(tmp_path / folder / "2.txt", "two")
    before = file_hash(tmp_path / "a")
    assert before == file_hash(tmp_path / "b")
    (tmp_path / "b" / "2.txt").rename(tmp_path / "b" / "3.txt")
    assert file_hash(tmp_path / "b") != before
    write_text(tmp_path / "a" / "2.txt", "twice")
    assert file_hash(tmp_path / "a") != before


def test_only_what_lies_here_has_a_content_hash(tmp_path):
    write_text(tmp_path / "x", "abc")
    assert content_hash(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_hash("stanfordnlp/snli") is None and content_hash(None) is None


# claim


def test_a_run_is_claimed_resumed_and_finished(tmp_path):
    folder = tmp_path / "run"
    arguments = {"input": "a.txt", "seeds": [1, 2], "train": {"max_steps": 10}}
    assert claim(folder, "stage", arguments) is False
    write_text(folder / "ledger" / "x", "work")
    assert claim(folder, "stage", arguments) is False
    finish(folder, rows=3)
    assert claim(folder, "stage", arguments) is True
    assert read_run(folder)["rows"] == 3 and (folder / "ledger" / "x").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input": "b.txt"}, "(input was 'a.txt', is now 'b.txt')"),
        ({"train": {"max_steps": 20}}, "(train.max_steps was 10, is now 20)"),
        ({"train": {}}, "(train.max_steps was 10, is now not given)"),
        ({"seed": None}, "(seed was not given, is now None)"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_another_run_is_refused_with_the_field_named(tmp_path, changed, said, finished):
    arguments = {"input": "a.txt", "train": {"max_steps": 10}}
    claim(tmp_path, "stage", arguments)
    write_text(tmp_path / "work", "…")
    if finished:
        finish(tmp_path)
    before = (tmp_path / "_run.json").read_bytes()
    with pytest.raises(InputError) as caught:
        claim(tmp_path, "stage", arguments | changed)
    assert said in str(caught.value) and str(tmp_path) in str(caught.value)
    assert (tmp_path / "_run.json").read_bytes() == before


def test_the_folder_of_another_command_is_refused(tmp_path):
    claim(tmp_path, "stage", {})
    write_text(tmp_path / "work", "…")
    with pytest.raises(InputError, match="holds a run of `stage`"):
        claim(tmp_path, "other stage", {})


def test_a_run_that_wrote_nothing_gives_way(tmp_path):
    claim(tmp_path, "stage", {"input": "wrong"})
    assert claim(tmp_path, "other stage", {"input": "right"}) is False
    assert read_run(tmp_path)["arguments"] == {"input": "right"}


def test_a_foreign_folder_is_refused_and_untouched(tmp_path):
    write_text(tmp_path / "thesis.tex", "years of work")
    with pytest.raises(InputError, match="is not empty and holds no run of `stage`"):
        claim(tmp_path, "stage", {})
    assert names(tmp_path) == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    write_text(tmp_path / "file", "x")
    with pytest.raises(InputError, match="is a file"):
        claim(tmp_path / "file", "stage", {})


@pytest.mark.parametrize("content", ["{", "[]", "{}", '"text"', "\x00"])
def test_a_damaged_record_is_named(tmp_path, content):
    write_text(tmp_path / "_run.json", content)
    with pytest.raises(InputError, match="is damaged"):
        claim(tmp_path, "stage", {})


class Leaving(logging.Handler):
    """Lets another process, in whose place is a lock, leave its folder once it is said that it is waited for."""

    def __init__(self, lock):
        super().__init__()
        self.lock, self.said = lock, []

    def emit(self, record):
        self.said.append(record.getMessage())
        self.lock.release()


def test_another_process_at_work_in_the_folder_is_waited_for(tmp_path, monkeypatch):
    leaving = Leaving(FileLock(tmp_path / LOCK_FILE))
    logger = logging.getLogger("hf_xling.runs")
    logger.addHandler(leaving)
    try:
        leaving.lock.acquire()
        assert claim(tmp_path, "stage", {}) is False
        assert leaving.said == [f"{tmp_path}: another process is at work there; waiting for it"]
        # Claimed again by the same process, or by another one of the same launch, it is nobody else's.
        assert claim(tmp_path, "stage", {}) is False
        finish(tmp_path)
        leaving.lock.acquire(timeout=0)
        monkeypatch.setenv("RANK", "1")
        assert claim(tmp_path, "stage", {}) is True
    finally:
        logger.removeHandler(leaving)
        leaving.lock.release()
    assert len(leaving.said) == 1


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    name = "x" * 300
    with pytest.raises(InputError, match=rf"--output_dir {tmp_path}/{name}: cannot be written: File name too long"):
        claim(tmp_path / name, "stage", {})


def test_this_very_run_is_found_finished_or_not(tmp_path):
    assert is_finished(tmp_path / "none", "stage", {}) is False and not (tmp_path / "none").exists()
    claim(tmp_path, "stage", {"a": 1})
    assert is_finished(tmp_path, "stage", {"a": 1}) is False
    finish(tmp_path)
    assert is_finished(tmp_path, "stage", {"a": 1}) is True
    reopen(tmp_path)
    assert is_finished(tmp_path, "stage", {"a": 1}) is False


# Checkpoints


def test_the_last_checkpoint_is_the_newest_whole_one(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for step, state in ((5, "{}"), (20, "{}"), (100, '{"cut'), (200, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            write_text(tmp_path / f"checkpoint-{step}" / "trainer_state.json", state)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-20")
