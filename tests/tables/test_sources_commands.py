"""The same input through every command that takes a table, and outputs that cannot be written: one line, status 2."""

import gzip
import os
from functools import partial
from importlib import import_module

import pyarrow
import pyarrow.parquet
import pytest
from hf_xling.dataset_scripts import snli_sentences, tamil_movie_reviews
from hf_xling.trainers import regression, simcse

from hf_xling.console import run_command
from hf_xling.corpora.builders import main as build
from hf_xling.regression.predict import main as predict

GENERATE = ["--task", "paraphrase", "--language", "en", "--dry_run"]


def audit(argv):
    """The texts of a task are the table that an audit reads."""
    from hf_xling.quality.audit import task_counts

    task_counts(argv[1])


COMMANDS = {
    "generate": (import_module("hf_xling.generation.stage").main, "--input", GENERATE),
    "corpus": (partial(build, snli_sentences.SPEC), "--source", []),
    "ratings": (partial(build, tamil_movie_reviews.SPEC), "--train_file", []),
    "simcse": (simcse.main, "--train_file", ["--model_name_or_path", "MODEL", "--use_cpu", "true"]),
    "regression": (regression.main, "--train_file", ["--model_name_or_path", "MODEL", "--use_cpu", "true"]),
    "predict": (predict, "--input", ["--model", "MODEL"]),
    "audit": (audit, "--task_file", []),
}


def fails(command, source, tmp_path, capsys, model="no-such-model", output=None):
    main, option, more = COMMANDS[command]
    place = output or str(tmp_path / "out")
    where = ["--output", f"{place}.csv"] if command == "predict" else ["--output_dir", place]
    argv = [option, str(source), *(model if token == "MODEL" else token for token in more), *where]
    assert run_command(main, argv) == 2
    out, error = capsys.readouterr()
    line = error.splitlines()[-1]
    assert out == "" and line.startswith("error: ") and "Error:" not in line
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.parquet"))
    return line


def shards(folder):
    folder.mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "label": [1]}), folder / "a.parquet")
    (folder / "b.jsonl").write_text('{"text": "b", "label": 2}\n')


BAD = {
    "a.csv": (b"text;label\ngood;1\n", "separated by semicolons"),
    "b.csv": (b"text,label\ngood,1\n\xe9,1\n", "line 3: is not UTF-8"),
    "c.csv": (b"text,text\na,b\n", "names a column twice"),
    "d.csv": (b"text,label\na,1,2\n", "has 3 fields; the header has 2"),
    "e.csv": (b"", "is empty"),
    "f.csv": (b"text,label\n", "is empty"),
    "g.csv": ("text,label\na,1\n".encode("utf-16"), "UTF-16"),
    "h.jsonl": (b'{"text": "a"\n', "line 1: not valid JSON"),
    "i.csv.gz": (gzip.compress(b"text,label\na,1\n")[:-9], "cannot be read"),
    "j.tsv": (b'text\tlabel\n"a\t1\nb\n', "has 1 fields; the header has 2"),
    "k.parquet": (b"PAR1", "not readable as Parquet"),
    "l.xlsx": (b"PK\x03\x04", "unknown kind of file"),
    "m.csv": (b"tekst,label\na,1\n", "tekst, label"),
    "n": (shards, "a.parquet and b.jsonl"),
    "caf\udce9.csv": (b"text,label\na,1\n", r"caf\xe9.csv"),
}


@pytest.mark.parametrize("name", BAD, ids=[name.encode("ascii", "replace").decode() for name in BAD])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_what_it_cannot_read(command, name, tmp_path, capsys, bert_folder):
    content, said = BAD[name]
    path = os.path.join(str(tmp_path), name)
    if callable(content):
        content(tmp_path / name)
    else:
        with open(path, "wb") as stream:
            stream.write(content)
    assert said in fails(command, path, tmp_path, capsys, str(bert_folder))


@pytest.mark.parametrize("command", ["corpus", "ratings"])
@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300, "caf\udce9"])
def test_an_output_folder_that_cannot_be_is_named(command, place, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    (tmp_path / "a.csv").write_text("text,label\na,1\nb,2\n")
    line = fails(command, tmp_path / "a.csv", tmp_path, capsys, output=os.path.join(tmp_path, place))
    assert place.encode("utf-8", "surrogateescape")[:60].decode("ascii", "backslashreplace") in line


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.parametrize("command", ["corpus", "ratings"])
def test_a_folder_that_nobody_may_write_to_is_named(command, tmp_path, capsys):
    (tmp_path / "closed").mkdir(mode=0o500)
    (tmp_path / "a.csv").write_text("text,label\na,1\nb,2\n")
    line = fails(command, tmp_path / "a.csv", tmp_path, capsys, output=str(tmp_path / "closed" / "x"))
    assert line.endswith("cannot be written: Permission denied")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "a/b"), IsADirectoryError(21, "Is", "a/b")])
def test_a_path_that_cannot_be_used_is_the_users_to_change(error, capsys):
    def main(argv):
        raise error

    assert run_command(main, []) == 2
    assert capsys.readouterr().err == f"error: a/b: {error.strerror}\n"
