"""Every command of docs/review.md, as it stands there, over a run and a corpus of the tests."""

import re
import shlex
import shutil
from pathlib import Path

from review_runs import fill, row, write_run

from hf_xling.cli import run

DOCS = Path(__file__).parents[2] / "docs"


def test_every_command_of_the_guide(corpus, tmp_path, monkeypatch):
    blocks = re.findall(r"^```bash\n(.*?)^```", (DOCS / "review.md").read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    commands = [block.replace("\\\n", " ").strip() for block in blocks]
    (tmp_path / "runs").mkdir()
    built = corpus("snli_tamil_paraphrased", "translate", "paraphrase-translate")
    shutil.move(built, tmp_path / "runs" / built.name)
    folder = write_run(tmp_path / "runs/translate", [row(n) for n in range(120)])
    (tmp_path / "train.csv").write_text("text,label\nநாய்,1\n")
    (tmp_path / "terms.yaml").write_text("language: ta\nterms:\n  animals:\n    dogs: நாய்*\n")
    monkeypatch.chdir(tmp_path)
    ran = []
    for command in commands:
        program, *argv = shlex.split(command)
        assert program == "hf-xling"
        if "--filled" in argv:
            for name, adequacy in (("asha.csv", 4), ("banu.csv", 5)):
                fill(
                    folder, tmp_path / name, lambda item, rating=adequacy: {"adequacy": rating, "fluency": 1 + item % 5}
                )
        ran.append(run(argv))
    assert len(ran) == 4
    assert "100 of 120 distinct rows" in ran[0] and "| asha | 100 | 4.00 |" in " ".join(ran[1].split())
    assert (tmp_path / "runs/snli_tamil_paraphrased-audit/audit.png").exists()
    assert "animals, dogs" in ran[3] and (tmp_path / "runs/translate-audit/audit.md").exists()
