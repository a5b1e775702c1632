"""The command line as a user meets it: help, versions, and one clear line for each mistake."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hf_xling
from hf_xling.cli import LAUNCHED, STAGES

ROOT = Path(__file__).parents[1]


def hf_xling_command(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    """Run `hf-xling` in a process of its own, with nothing of the environment on PATH."""
    code = "import sys; from hf_xling.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
    )


def assert_one_line(result: subprocess.CompletedProcess, status: int, *parts: str) -> None:
    lines = result.stderr.strip().splitlines()
    assert result.returncode == status, result.stderr
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    for part in parts:
        assert part in lines[0]


def test_help_lists_every_stage() -> None:
    result = hf_xling_command("--help")
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")] == list(STAGES)
    assert hf_xling_command().stdout == result.stdout


def test_version() -> None:
    assert hf_xling_command("--version").stdout == f"hf-xling {hf_xling.__version__}\n"


@pytest.mark.parametrize("stage", STAGES)
def test_help_of_each_stage(stage: str) -> None:
    result = hf_xling_command(stage, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: ")
    assert max(map(len, result.stdout.splitlines())) <= 160
    assert "(default: None)" not in result.stdout and "MISSING" not in result.stdout
    words = " ".join(result.stdout.split())
    assert len(re.findall(r"--no_(\w+) the opposite of --\1", words)) == len(re.findall("--no_", words))
    if stage in LAUNCHED:
        assert "--model_name_or_path" in result.stdout and "--torch_compile" not in result.stdout


# What takes seconds to import. TrainingArguments, which the trainings' options are, comes with torch and scipy.
HEAVY = ("torch", "datasets", "sklearn", "matplotlib", "scipy", "accelerate", "peft", "pandas")


@pytest.mark.parametrize("stage", STAGES)
def test_help_and_usage_errors_load_nothing_heavy(stage: str) -> None:
    wrong = [] if stage in LAUNCHED else [["--nonsense", "1"]]  # a script's options are known to the script alone
    code = (
        "import sys; from hf_xling.cli import run; from hf_xling.errors import InputError\n"
        f"for options in {[*wrong, ['--help']]!r}:\n"
        f"    try: run([{stage!r}, *options])\n"
        "    except (SystemExit, InputError): pass\n"
        f"print('loaded:', *(name for name in {HEAVY} if name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.splitlines()[-1].split()[1:])
    assert loaded <= ({"torch", "scipy", "accelerate", "peft"} if stage in LAUNCHED else set())


def test_unknown_stage_names_the_nearest() -> None:
    assert_one_line(hf_xling_command("generat"), 2, "`generat`", "`generate`")


def test_unknown_option_names_the_nearest(tmp_path: Path) -> None:
    assert_one_line(hf_xling_command("demo", "--output_dri", "x", cwd=tmp_path), 2, "--output_dri", "`output_dir`")
    assert list(tmp_path.iterdir()) == []


def test_unknown_recipe_key_names_file_and_nearest(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("sedes: [1]\n")
    result = hf_xling_command("experiments", "--config", str(recipe), cwd=tmp_path)
    assert_one_line(result, 2, "recipe.yaml", "`sedes`", "`seeds`")


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
    tmp_path: Path, input_text: str | None, options: tuple[str, ...], status: int, parts: tuple[str, ...]
) -> None:
    if input_text is not None:
        (tmp_path / "input.csv").write_text(input_text)
    command = "generate --input input.csv --endpoint http://127.0.0.1:9 --output_dir out --task translate --language ta"
    assert_one_line(hf_xling_command(*command.split(), *options, cwd=tmp_path), status, *parts)
    assert not (tmp_path / "out").exists()


def test_debug_shows_the_traceback() -> None:
    result = hf_xling_command("report", "/nowhere", "--debug")
    assert result.returncode == 2 and "Traceback" in result.stderr


def test_demo_refuses_the_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert_one_line(hf_xling_command("demo", "--output_dir", str(tmp_path)), 2, str(tmp_path), "not empty")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
