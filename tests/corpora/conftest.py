import json
from importlib import import_module
from pathlib import Path

import pytest
from corpus_folders import PARAPHRASES, SOURCE, TRANSLATIONS

from hf_xling.corpora.builders import BuildConfig, build
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import Recording, make_app, serving


@pytest.fixture(scope="module")
def stage_1(tmp_path_factory):
    """A source and the three runs of stage 1 over it."""
    folder = tmp_path_factory.mktemp("stage_1")
    rows = ({"premise": premise, "hypothesis": hypothesis or None} for premise, hypothesis in SOURCE)
    (folder / "nli.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    answers = {("paraphrase", source): text for source, text in PARAPHRASES.items()}
    answers |= {("translate", source): text for source, text in TRANSLATIONS.items()}
    nli = {"input": str(folder / "nli.jsonl"), "text_column": ["premise", "hypothesis"]}
    tamil = {"task": "translate", "language": "ta"}
    runs = {
        "paraphrase": {**nli, "task": "paraphrase", "language": "en"},
        "translate": {**nli, **tamil},
        "paraphrase-translate": {"input": str(folder / "paraphrase" / "accepted"), **tamil},
    }
    with serving(make_app(Recording(answers, "org/writer", "abc123"))) as url:
        for name, fields in runs.items():
            generate(GenerateConfig(endpoint=url, output_dir=str(folder / name), **fields))
    return folder


@pytest.fixture
def corpus(stage_1, tmp_path):
    """`corpus(script, run, …)` builds with the runs of these names and returns the folder."""

    def make(script, *runs, output=None, source=stage_1 / "nli.jsonl", **fields):
        output = output or tmp_path / script
        spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
        folders = [str(run if isinstance(run, Path) else stage_1 / run) for run in runs]
        build(spec, BuildConfig(source=str(source), output_dir=str(output), generated=folders, **fields))
        return output

    return make
