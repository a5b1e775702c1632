"""Ensembles: mean and spread of their members, one folder, loaded and pushed as such."""

import json
import shutil

import numpy
import pytest
from regression_runs import train

from hf_xling import RatingEnsemble
from hf_xling.errors import InputError
from hf_xling.regression.rater import Rater


@pytest.fixture(scope="module")
def members(bert_folder, rated, tmp_path_factory):
    """Three models of as many seeds, one of them for windows."""
    folder = tmp_path_factory.mktemp("members")
    for seed in (1, 2, 3):
        long_text = "windows" if seed == 3 else "truncate"
        trainer = train(bert_folder, rated, folder / f"run-{seed}", max_steps=15, seed=seed, long_text=long_text)
        trainer.save_model(str(folder / f"seed-{seed}"))
    return [folder / f"seed-{seed}" for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def texts(rated):
    return [*rated["text"][:20], " ".join(rated["text"][20:30])]


def test_mean_and_spread(members, texts):
    raters = [Rater.load(member) for member in members]
    found = RatingEnsemble(raters).predict(texts)
    of_each = numpy.stack([rater.logits(texts)[:, 0] for rater in raters]).astype(float)
    assert found.members == pytest.approx(of_each) and of_each.std(axis=0).min() > 0
    assert found.mean == pytest.approx(of_each.mean(axis=0))
    assert found.spread == pytest.approx(of_each.std(axis=0, ddof=1))
    assert RatingEnsemble(raters[:1]).predict(texts).spread is None


def test_no_texts_have_no_ratings(members):
    found = RatingEnsemble([Rater.load(member) for member in members]).predict([])
    assert found.mean.shape == (0,) and found.spread.shape == (0,)


def test_saved_and_loaded_as_one_folder(members, texts, tmp_path):
    ensemble = RatingEnsemble([Rater.load(member) for member in members])
    ensemble.save_pretrained(tmp_path / "saved")
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    loaded = RatingEnsemble.from_pretrained(tmp_path / "moved")
    assert len(loaded.members) == 3
    assert loaded.predict(texts).members == pytest.approx(ensemble.predict(texts).members, abs=1e-6)
    assert {path.name for path in (tmp_path / "moved").iterdir()} == {
        "README.md",
        "ensemble.json",
        "member-1",
        "member-2",
        "member-3",
    }
    assert not list((tmp_path / "moved").rglob("*.bin"))


def test_a_single_checkpoint_is_an_ensemble_of_one(members, texts):
    ensemble = RatingEnsemble.from_pretrained(members[0])
    assert len(ensemble.members) == 1
    assert ensemble.predict(texts).mean == pytest.approx(Rater.load(members[0]).logits(texts)[:, 0])


@pytest.mark.parametrize("content", ["{}", '{"members": []}', '{"members": ["../elsewhere"]}', "[", '{"members": [3]}'])
def test_a_damaged_ensemble_is_refused(members, tmp_path, content):
    (tmp_path / "ensemble.json").write_text(content)
    with pytest.raises(InputError, match=r"ensemble.json: names no members"):
        RatingEnsemble.from_pretrained(tmp_path)


def test_what_is_no_rating_model_is_refused(bert_folder, members, tmp_path):
    with pytest.raises(InputError, match=r"--model .*: is no rating model; it lacks classifier"):
        RatingEnsemble.from_pretrained(bert_folder)
    with pytest.raises(InputError, match=r"--model nobody/nothing: cannot be loaded"):
        RatingEnsemble.from_pretrained("nobody/nothing")
    with pytest.raises(InputError, match="at least one member"):
        RatingEnsemble([])
    write = {"members": [member.name for member in members] + ["gone"]}
    for member in members:
        shutil.copytree(member, tmp_path / member.name)
    (tmp_path / "ensemble.json").write_text(json.dumps(write))
    with pytest.raises(InputError, match="gone: cannot be loaded"):
        RatingEnsemble.from_pretrained(tmp_path)
