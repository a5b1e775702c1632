"""Values that the Hub refuses are told before any work, in one line that names the option and what would do."""

import re
from functools import partial
from importlib import import_module

import pytest

from hf_xling.console import run_command
from hf_xling.contrastive.config import SimCSEConfig
from hf_xling.corpora.builders import main
from hf_xling.errors import InputError
from hf_xling.hub.values import LICENSES, check_license, check_ref, check_repo_id, check_revision
from hf_xling.recipes import RecipeParser
from hf_xling.regression.config import RegressionConfig


@pytest.mark.parametrize(
    ("given", "meant"),
    [("Apache-2.0", "apache-2.0"), ("CC BY-SA 4.0", "cc-by-sa-4.0"), ("cc-by-nc-sa-4", "cc-by-nc-sa-4.0"),
     ("MIT", "mit"), ("cc_by_4.0", "cc-by-4.0"), ("llama-3.1", "llama3.1"), ("public domain", ""), ("", ""),
     ("x" * 500, "")],
)  # fmt: skip
def test_a_licence_that_is_not_listed_is_named_with_the_nearest(given, meant):
    with pytest.raises(InputError, match="is no licence identifier of the Hub") as error:
        check_license(given)
    assert (f"did you mean {meant}?" in str(error.value)) == bool(meant) and len(str(error.value)) < 300


def test_listed_licences_pass():
    assert {"mit", "cc-by-nc-sa-4.0", "llama3", "openrail++", "other", "unknown"} <= LICENSES
    for license in (*LICENSES, None):
        check_license(license)


@pytest.mark.parametrize("name", ["a b", "-x", "x..y", "x.lock", "v1.", "a/b", "x~1", "é", "", "x" * 3 + "\n"])
def test_names_that_are_no_tag(name):
    with pytest.raises(InputError, match=r"^--tag "):
        check_ref(name, "--tag")


@pytest.mark.parametrize(
    "name",
    ["main", "refs/pr/1", "feature/x", "a/b/c-1.2", "user/fix#12", "v1+cu", "refs/heads/main", "இளம்/கிளை", "a.b", "@x"],
)
def test_names_that_are_revisions(name):
    check_revision(name, "--hub_revision")
    for config in (SimCSEConfig, RegressionConfig):
        argv = ["--output_dir", "out", "--use_cpu", "true", "--hub_revision", name]
        assert RecipeParser([config]).parse(argv)[0].hub_revision == name


@pytest.mark.parametrize(
    "name",
    ["a b", "-x", "x..y", "x.lock", "a.lock/b", "v1.", "/a", "a/", "a//b", "a/.b", ".a", "x~1", "x^", "a:b", "a?",
     "a*", "a[b", "a\\b", "@", "a@{1}", "", "x" * 3 + "\n", "a\x7fb"],
)  # fmt: skip
def test_names_that_are_no_revision(name):
    with pytest.raises(InputError, match=r"^--hub_revision "):
        check_revision(name, "--hub_revision")


def test_names_that_are_tags_and_repositories():
    for name in ("v1", "v1.0", "2026-11-30", "paper_final", "_x", None):
        check_ref(name, "--tag")
    for name in ("org/name", "name", "O.rg/na-me_1.2", None):
        check_repo_id(name, "dataset")


BAD = [
    (["--license", "Apache 2.0"], "--license 'Apache 2.0': is no licence identifier of the Hub; did you mean apache"),
    (["--repo_id", "org/my data"], "--repo_id 'org/my data': is no name of a dataset"),
    (["--repo_id", "org/data.git"], "--repo_id 'org/data.git': is no name of a dataset"),
    (["--repo_id", "https://huggingface.co/org/x"], "is no name of a dataset"),
    (["--repo_id", "org/x", "--push_to_hub", "--tag", "v 1"], "--tag v 1: letters, digits, points and dashes"),
]  # fmt: skip


@pytest.mark.parametrize("script", ["snli_sentences", "tamil_movie_reviews"])
@pytest.mark.parametrize(("argv", "said"), BAD)
def test_a_corpus_is_not_read_before_its_values_are_checked(script, argv, said, tmp_path, capsys):
    spec = import_module(f"hf_xling.dataset_scripts.{script}").SPEC
    gone = ["--source", str(tmp_path / "gone.csv"), "--output_dir", str(tmp_path / "out")]
    assert run_command(partial(main, spec), [*gone, *argv]) == 2
    out, error = capsys.readouterr()
    assert (
        out == "" and error.count("\n") == 1 and re.search(re.escape(said), error) and not (tmp_path / "out").exists()
    )


@pytest.mark.parametrize("config", [SimCSEConfig, RegressionConfig])
@pytest.mark.parametrize(
    ("argv", "said"),
    [(["--tag", "v 1"], "--tag v 1"), (["--hub_tag", "x..y"], "--tag x..y"), (["--repo_id", "a/b/c"], "is no name"),
     (["--hub_model_id", "org/a b"], "is no name of a model"), (["--hub_revision", "a b"], "--hub_revision a b")],
)  # fmt: skip
def test_a_training_is_not_begun_for_what_cannot_be_pushed(config, argv, said, tmp_path):
    with pytest.raises(InputError, match=said):
        RecipeParser([config]).parse(["--output_dir", str(tmp_path / "out"), "--use_cpu", "true", *argv])
