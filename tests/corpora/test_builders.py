import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from unittest.mock import ANY

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import metadata_load

from hf_xling.corpora.builders import FEATURES, BuildConfig, build, main
from hf_xling.corpora.sources import read_generation, read_sentences
from hf_xling.errors import InputError
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.stage import generate
from hf_xling.runs import file_hash
from hf_xling.sample.replay import Recording, make_app, serving
from hf_xling.tables import read_table

SCRIPTS = ("snli_sentences", "snli_paraphrased", "snli_tamil", "snli_tamil_paraphrased", "tamil_murasu")
SOURCE = [("A dog runs.", "An animal moves."), ("A dog runs.", ""), ("A cat sleeps.", "A cat, asleep.\nQuietly.")]
SENTENCES = ["A dog runs.", "An animal moves.", "A cat sleeps.", "A cat, asleep.\nQuietly."]
PARAPHRASES = {
    "A dog runs.": "The dog is running.",
    "An animal moves.": "AN ANIMAL MOVES",  # a copy, which is rejected
    "A cat sleeps.": "The cat is asleep.",
    "A cat, asleep.\nQuietly.": "Quiet cat, sleeping.",
}
TRANSLATIONS = {
    "A dog runs.": "ஒரு நாய் ஓடுகிறது.",
    "An animal moves.": "ஒரு விலங்கு நகர்கிறது.",
    "A cat sleeps.": "ஒரு பூனை தூங்குகிறது.",
    "A cat, asleep.\nQuietly.": "தூங்கும் பூனை.",
    "The dog is running.": "அந்த நாய் ஓடிக்கொண்டிருக்கிறது.",
    "The cat is asleep.": "அந்தப் பூனை உறங்குகிறது.",
    "Quiet cat, sleeping.": "அமைதியான பூனை.",
}


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


def load(folder, config) -> list[dict]:
    dataset = load_dataset(str(folder), config, split="train")
    assert dataset.features == FEATURES[config]
    return dataset.to_list()


def card(folder) -> tuple[dict, str]:
    """The front matter, as the Hub's own reader finds it, and the text behind it."""
    front, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", (folder / "README.md").read_text("utf-8"), re.S).groups()
    metadata = yaml.safe_load(front)
    assert metadata == metadata_load(folder / "README.md")
    return metadata, body


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


def copy_of(run: Path, folder: Path, change=lambda row: {}, **facts) -> Path:
    """A copy of `run` in which `change` has been made to each accepted row, and `facts` to the manifest."""
    shutil.copytree(run, folder)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, **facts}))
    (part,) = (folder / "accepted").iterdir()
    table = pyarrow.parquet.read_table(part)
    rows = [{**row, **change(row)} for row in table.to_pylist()]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=table.schema), part)
    return folder


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
    corpus("snli_tamil_paraphrased", *(Path(run) for run in reversed(runs)), source="./nli.jsonl")
    assert file_hash(output) == before
    Path("nli.jsonl").write_text('{"premise": "A dog runs.", "hypothesis": null}\n')
    with pytest.raises(InputError, match=r"holds another run .source was"):
        corpus("snli_tamil_paraphrased", *runs, source="./nli.jsonl")


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
        read_generation(str(tmp_path))


def test_sources_that_cannot_be_used_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("premise,claim\nx,y\n")
    with pytest.raises(InputError, match=r"neither `premise` and `hypothesis` nor `text`.*premise, claim"):
        read_sentences(str(tmp_path / "a.csv"))
    assert read_sentences(str(tmp_path / "a.csv"), ["claim"]).texts == ["y"]
    (tmp_path / "b.csv").write_text("text,id\n,1\n ,2\n")
    with pytest.raises(InputError, match="holds no sentence"):
        read_sentences(str(tmp_path / "b.csv"))
    (tmp_path / "c.txt").write_text("x\n\n  \ny\nx\n")
    sentences = read_sentences(str(tmp_path / "c.txt"))
    assert (sentences.texts, sentences.slots, sentences.empty) == (["x", "y"], 5, 2)


# Cards


def test_the_front_matter_is_yaml_of_the_hub(corpus):
    runs = ("translate", "paraphrase-translate")
    folder = corpus("snli_tamil_paraphrased", *runs, license="cc-by-sa-4.0")
    front, _ = card(folder)
    for config in front["configs"]:
        (file,) = folder.glob(config["data_files"][0]["path"])
        assert file.parent == folder / config["config_name"] and file.name.startswith("train-00000-of-00001")
    assert front["language"] == ["en", "ta"] and front["license"] == "cc-by-sa-4.0"
    assert "synthetic" in front["tags"]
    assert front["configs"] == [
        {
            "config_name": "sentences",
            "data_files": [{"split": "train", "path": ANY}],
            "default": True,
        },
        {"config_name": "pairs", "data_files": [{"split": "train", "path": ANY}]},
    ]
    front, body = card(corpus("snli_sentences"))
    assert "license" not in front and "synthetic" not in front["tags"] and front["language"] == ["en"]
    assert "Nothing in this dataset was generated." in body and "Not stated" in body


def test_the_card_tells_sources_counts_and_models(corpus, stage_1):
    _, body = card(corpus("snli_paraphrased", "paraphrase", repo_id="me/mine"))
    assert f"`nli.jsonl` (SHA-256 `{file_hash(stage_1 / 'nli.jsonl')}`): 6 texts,\n1 of them empty, 4 distinct" in body
    assert "| sentences | 7 |" in body and "| pairs | 3 |" in body
    assert "org/writer" in body and "abc123" in body and 'load_dataset("me/mine", "pairs"' in body
    assert re.search(r"\| 6 \| 4 \| 1 no&#95;source&#95;text, 1 copy \||\| 6 \| 4 \| 1 copy, 1 no&#95;source", body)


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_path_of_this_machine_is_in_a_card_or_in_the_rows(script, corpus, tmp_path, stage_1):
    spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
    folder = corpus(script, *("-".join(chain) for chain in spec.chains))
    files = [folder / "README.md", *folder.rglob("*.parquet")]
    for content in (file.read_bytes() for file in files):
        assert str(tmp_path).encode() not in content and str(stage_1).encode() not in content
        assert b"pytest-of-" not in content and str(Path.home()).encode() + b"/" not in content


HOSTILE = "x|y</td><script>alert(1)</script>[z](http://evil.example)`\n# owned\n---\n![i](http://e)"


def test_hostile_names_are_inert_in_the_card(corpus, stage_1, tmp_path):
    run = copy_of(stage_1 / "paraphrase", tmp_path / "run", lambda row: {"model_id": HOSTILE})
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    manifest |= {"model_id": HOSTILE, "model_sha": HOSTILE, "prompt_id": HOSTILE, "reasons": {HOSTILE: 3}}
    manifest["prompt"] |= {"system": HOSTILE, "instruction": "``` " + HOSTILE}
    (run / "manifest.json").write_text(json.dumps(manifest))
    folder = corpus("snli_paraphrased", run, source_name=HOSTILE, license=HOSTILE)
    front, body = card(folder)
    assert front["license"] == HOSTILE and set(front) == {
        *("pretty_name", "language", "license", "task_categories", "tags", "configs")
    }
    assert HOSTILE in front["pretty_name"]
    outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", body, flags=re.S)
    assert "<script" not in outside_code and "](http" not in outside_code and "http:" not in outside_code
    assert not re.search(r"^# owned|^---$", body, re.M)
    (model_row,) = (line for line in body.splitlines() if line.startswith("| paraphrase"))
    assert model_row.count("|") == 8  # seven cells
    assert {row["model_id"] for row in load(folder, "pairs")} == {HOSTILE}


# Scripts


def test_each_script_says_what_it_wants(capsys):
    for script in SCRIPTS:
        spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
        assert spec.name == script
        with pytest.raises(SystemExit):
            main(spec, ["--help"])
        shown = capsys.readouterr().out
        assert f"dataset_scripts/{script}.py" in shown and "--source SOURCE" in shown and "{source}" not in shown


def test_a_script_builds_and_fails_in_one_line(stage_1, tmp_path):
    script = Path(import_module("hf_xling.dataset_scripts.snli_sentences").__file__)
    command = [sys.executable, str(script), "--source", str(stage_1 / "nli.jsonl"), "--output_dir", str(tmp_path / "d")]
    environment = os.environ | {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (0, f"snli_sentences: 4 sentences\ndataset: {tmp_path / 'd'}\n")
    done = subprocess.run([*command, "--text_column", "x"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.endswith("nli.jsonl: has no column `x`; its columns are premise, hypothesis\n")
