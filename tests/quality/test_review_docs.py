"""Each command of docs/review.md, as it is written there, over a run and a corpus of the tests."""

import shlex
import shutil

import pytest
from docs_commands import commands_of
from review_runs import fill, row, write_run

from hf_xling.cli import run
from hf_xling.errors import XlingError

COMMANDS = commands_of("docs/review.md")
# What the closing lines say, by the part of the command that the others have not.
SAID = {
    "--sample": "100 of 120 distinct rows",
    "--filled": "| asha | 100 | 4.00 |",
    "--task_file": "audit.png",
    "--terms": "animals, dogs",
}


def argv_with(option: str) -> list[str]:
    (command,) = [command for command in COMMANDS if option in command]
    program, *argv = shlex.split(command)
    assert program == "hf-xling"
    return argv


def test_all_commands_are_tried():
    assert [sum(option in command for option in SAID) for command in COMMANDS] == [1] * len(SAID)


@pytest.mark.parametrize("option", SAID)
def test_command_of_the_guide(option, corpus, tmp_path, monkeypatch):
    folder = write_run(tmp_path / "runs/translate", [row(n) for n in range(120)])
    (tmp_path / "train.csv").write_text("text,label\nநாய்,1\n")
    (tmp_path / "terms.yaml").write_text("language: ta\nterms:\n  animals:\n    dogs: நாய்*\n")
    monkeypatch.chdir(tmp_path)
    if option == "--filled":
        try:
            run(argv_with("--sample"))
        except XlingError as error:
            pytest.skip(f"needs the sheet, and the command that makes it failed: {error}")
        for name, adequacy in (("asha.csv", 4), ("banu.csv", 5)):
            fill(folder, tmp_path / name, lambda item, rating=adequacy: {"adequacy": rating, "fluency": 1 + item % 5})
    if option == "--task_file":
        built = corpus("snli_tamil_paraphrased", "translate", "paraphrase-translate")
        shutil.move(built, tmp_path / "runs" / built.name)
    said = run(argv_with(option))
    assert SAID[option] in " ".join(said.split())
    if option == "--task_file":
        assert (tmp_path / "runs/snli_tamil_paraphrased-audit/audit.png").exists()
    if option == "--terms":
        assert (tmp_path / "runs/translate-audit/audit.md").exists()
