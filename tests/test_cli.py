"""The command line as a user meets it: help, versions, and one clear line for each mistake."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import hf_xling
from hf_xling.cli import LAUNCHED, STAGES, main


class Ended(NamedTuple):
    """What a command leaves."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs `hf-xling` in the process (starting one takes seconds), in `tmp_path`, with nothing of ours on PATH."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["hf-xling", *arguments])
        capfd.readouterr()
        try:
            status = main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        return Ended(status, *capfd.readouterr())

    return run


def assert_one_line(result: Ended, status: int, *parts: str) -> None:
    lines = result.stderr.strip().splitlines()
    assert result.returncode == status, result.stderr
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    for part in parts:
        assert part in lines[0]


def test_a_process_of_its_own() -> None:
    code = "import sys; from hf_xling.cli import main; sys.exit(main())"
    environment = {**os.environ, "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code, "generat"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown stage `generat`; did you mean `generate`?\n"


def test_help_lists_every_stage(command: Callable[..., Ended]) -> None:
    result = command("--help")
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")] == list(STAGES)
    assert command() == result


def test_the_package_is_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "hf_xling", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"hf-xling {hf_xling.__version__}\n")


def test_corpora_are_listed_and_built_by_name(tmp_path: Path, command: Callable[..., Ended]) -> None:
    listed = command("corpus").stdout.splitlines()
    assert sorted(line.split()[0] for line in listed if line.startswith("  ")) == sorted(CORPORA)
    assert_one_line(command("corpus", "snli_tamul"), 2, "`snli_tamul`", "`snli_tamil`")
    assert command("corpus", "snli_sentences", "--help").stdout.startswith("usage: hf-xling corpus snli_sentences ")
    (tmp_path / "texts.txt").write_text("A boy eats.\nA girl sings.\n")
    done = command("corpus", "snli_sentences", "--source", "texts.txt", "--output_dir", "corpus")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("dataset: corpus\n") and list((tmp_path / "corpus" / "sentences").glob("*.parquet"))


def test_version(command: Callable[..., Ended]) -> None:
    assert command("--version").stdout == f"hf-xling {hf_xling.__version__}\n"


@pytest.mark.parametrize("stage", STAGES)
def test_help_of_each_stage(stage: str, command: Callable[..., Ended]) -> None:
    result = command(stage, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: ")
    assert max(map(len, result.stdout.splitlines())) <= 160
    assert "(default: None)" not in result.stdout and "MISSING" not in result.stdout
    words = " ".join(result.stdout.split())
    assert len(re.findall(r"--no_(\w+) the opposite of --\1", words)) == len(re.findall("--no_", words))
    if stage in LAUNCHED:
        assert "--model_name_or_path" in result.stdout and "--torch_compile" not in result.stdout


CORPORA = [path.stem for path in (Path(__file__).parents[1] / "dataset_scripts").glob("[!_]*.py")]
# What takes seconds to import. TrainingArguments, which the trainings' options are, comes with torch and scipy.
HEAVY = ("torch", "datasets", "sklearn", "matplotlib", "scipy", "accelerate", "peft", "pandas")


def test_help_and_usage_errors_load_nothing_heavy() -> None:
    """The scripts of the trainings, which alone know their options, come last: they load torch."""
    code = f"""\
import sys
from functools import partial
from importlib import import_module
import hf_xling.cleaning
from hf_xling.cli import LAUNCHED, STAGES, run
from hf_xling.corpora.builders import main
from hf_xling.errors import InputError
commands = {{name: partial(main, import_module(f"hf_xling.dataset_scripts.{{name}}").SPEC) for name in {CORPORA}}}
commands |= {{stage: lambda argv, stage=stage: run([stage, *argv]) for stage in STAGES}}
for stage in sorted(commands, key=lambda stage: stage in LAUNCHED):
    for options in ([] if stage in LAUNCHED else [["--nonsense", "1"]]) + [["--help"]]:
        try:
            commands[stage](options)
        except (SystemExit, InputError):
            pass
    print("loaded:", stage, *(name for name in {HEAVY} if name in sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith("loaded: ")]
    for stage, *loaded in lines:
        assert set(loaded) <= ({"torch", "scipy", "accelerate", "peft"} if stage in LAUNCHED else set()), stage
    assert len(lines) == len(STAGES) + len(CORPORA)


def test_unknown_option_names_the_nearest(tmp_path: Path, command: Callable[..., Ended]) -> None:
    assert_one_line(command("demo", "--output_dri", "x"), 2, "--output_dri", "`output_dir`")
    assert list(tmp_path.iterdir()) == []


def test_unknown_recipe_key_names_file_and_nearest(tmp_path: Path, command: Callable[..., Ended]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("sedes: [1]\n")
    assert_one_line(command("experiments", "--config", str(recipe)), 2, "recipe.yaml", "`sedes`", "`seeds`")


@pytest.mark.parametrize(
    "input_text, options, status, parts",
    [
        (None, (), 2, ("input.csv", "no such file")),
        ("title\nx\n", (), 2, ("input.csv", "no column `text`", "title")),
        ("text\n", (), 2, ("input.csv", "empty")),
        ("text\na dog runs\n", (), 1, ("http://127.0.0.1:9", "no connection")),
        ("text\na dog runs\n", ("--language", "xx"), 2, ("--language xx", "en, ta")),
        ("text\na dog runs\n", ("--temperature", "warm"), 2, ("--temperature", "warm")),
    ],
)
def test_generate_says_what_is_wrong_and_writes_nothing(
    tmp_path: Path,
    input_text: str | None,
    options: tuple[str, ...],
    status: int,
    parts: tuple[str, ...],
    command: Callable[..., Ended],
) -> None:
    if input_text is not None:
        (tmp_path / "input.csv").write_text(input_text)
    argv = "generate --input input.csv --endpoint http://127.0.0.1:9 --output_dir out --task translate --language ta"
    assert_one_line(command(*argv.split(), *options), status, *parts)
    assert not (tmp_path / "out").exists()


def test_debug_shows_the_traceback(command: Callable[..., Ended]) -> None:
    result = command("report", "/nowhere", "--debug")
    assert result.returncode == 2 and "Traceback" in result.stderr


def test_demo_refuses_the_folder_of_something_else(tmp_path: Path, command: Callable[..., Ended]) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert_one_line(command("demo", "--output_dir", str(tmp_path)), 2, str(tmp_path), "not empty")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
