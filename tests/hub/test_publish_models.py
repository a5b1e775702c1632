"""Models that the training scripts push, and what everyone's libraries load: over a loopback Hub."""

import csv
import json
from pathlib import Path

import pytest
from hub_clients import READER, WRITER, ClientError
from model_client import (
    by_automodel,
    by_ensemble,
    by_peft,
    by_pipeline,
    by_rater,
    by_sentence_transformers,
    holding,
    make_dataset,
    pickles,
    push_by_trainer,
    push_ensemble,
    run_script,
)

pytestmark = pytest.mark.slow  # the client's imports and the trainings take seconds

NO_CHECKPOINTS = ("--save_strategy", "no", "--eval_strategy", "no")

# Script, base (None for a local folder) and options of each training, by its name on the Hub. Two have checkpoints, as
# by default (of the rating model one an epoch, and the best of them at the end).
RUNS = {
    "encoder": ("simcse", None, "--save_steps", "1", "--hub_token", WRITER),
    "encoder-adapter": ("simcse", "org/encoder", "--use_peft", *NO_CHECKPOINTS),
    "ratings": ("regression", "org/encoder", "--hub_token", WRITER),
    "adapter": ("regression", "org/encoder", "--use_peft", *NO_CHECKPOINTS),
    "seeds": ("regression", "org/encoder", "--seeds", "1", "2", "--private", "--hub_token", WRITER, *NO_CHECKPOINTS),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory, sentences):
    """A folder with a corpus and rated texts, in which the trainings have theirs."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "corpus.txt").write_text("\n".join(sentences[:64]) + "\n", encoding="utf-8")
    for name, rows in (("train", range(32)), ("validation", range(32, 40)), ("test", range(40, 52))):
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            writer.writerows([sentences[row], 1 + len(sentences[row]) % 4] for row in rows)
    return folder


@pytest.fixture(scope="module")
def texts(sentences):
    return sentences[40:52]  # the test set


@pytest.fixture(scope="module")
def train(call, work):
    """Train by a script and push what comes of it: `train(script, base, name on the Hub, options)`."""

    def train(script, base, name, *more, push=("--push_to_hub", "--repo_id")):
        output = work / name.replace("/", "-")
        argv = ["--model_name_or_path", str(base), "--output_dir", str(output), *push, *([name] if push else ())]
        if script == "simcse":
            argv += ["--train_file", str(work / "corpus.txt"), "--max_steps", "3", "--max_length", "16"]
        else:
            for part in ("train", "validation", "test"):
                argv += [f"--{part}_file", str(work / f"{part}.csv")]
            argv += ["--num_train_epochs", "2", "--learning_rate", "1e-3"]
        argv += ["--per_device_train_batch_size", "8", "--use_cpu", "true", "--disable_tqdm", "true"]
        return output, call(run_script, script, [*argv, *more])

    return train


@pytest.fixture(scope="module")
def runs(hub, train, bert_folder):
    """The output folder of each run of `RUNS`; the push of one of them fails at first, another is made up later."""
    done = {}
    for name, (script, base, *more) in RUNS.items():
        if name == "ratings":
            hub.fail("commit", 500)
            with pytest.raises(ClientError, match="XlingError: --repo_id org/ratings: the Hub answers 500"):
                train(script, base, f"org/{name}", *more)
        if name == "adapter":
            done[name], closing = train(script, base, f"org/{name}", *more, push=())
            assert "pushed" not in closing and ("models", "org/adapter") not in hub.repos
        before = times(done.get(name))
        done[name], closing = train(script, base or bert_folder, f"org/{name}", *more)
        assert before in ({}, times(done[name]))  # nothing is trained again
        repo = hub.repos["models", f"org/{name}"]
        line = f"pushed: {hub.url}/org/{name}, commit {repo.at().sha}, tag v1"
        assert closing.splitlines()[-1] == line and repo.tags == {"v1": repo.at().sha} and len(repo.commits) == 2
    return done


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} if folder else {}


@pytest.fixture(scope="module")
def ensemble(call, runs):
    return call(push_ensemble, ["org/ratings", "org/adapter"], "org/ensemble")


def predictions(folder):
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as stream:
        return pytest.approx([float(row["prediction"]) for row in csv.DictReader(stream)], abs=1e-5)


def test_the_pushed_encoder_gives_the_vectors_of_the_local_one(hub, call, runs, bert_folder, texts):
    vectors = call(by_automodel, "org/encoder", texts)
    assert vectors == call(by_automodel, str(runs["encoder"]), texts)
    assert call(by_sentence_transformers, "org/encoder", texts) == call(
        by_sentence_transformers, str(runs["encoder"]), texts
    )
    assert call(by_sentence_transformers, "org/encoder", texts) == [pytest.approx(row, abs=1e-5) for row in vectors]
    assert vectors != call(by_automodel, str(bert_folder), texts)
    assert hub.repos["models", "org/encoder"].at().files["model.safetensors"].lfs


def test_a_rating_model_carries_the_commit_and_the_descent_of_its_encoder(hub, runs):
    encoder, ratings = (hub.repos["models", f"org/{name}"].at() for name in ("encoder", "ratings"))
    simcse, regression = json.loads(ratings.files["hf_xling_lineage.json"].content)["trainings"]
    assert json.loads(encoder.files["hf_xling_lineage.json"].content)["trainings"] == [simcse]
    assert (regression["base"]["name"], regression["base"]["revision"]) == ("org/encoder", encoder.sha)
    assert regression["base"]["recorded"] and simcse["corpora"][0]["name"] == "corpus.txt"
    card = ratings.files["README.md"].content.decode()
    assert "base_model: org/encoder" in card and "SimCSE, started from `bert`" in card


def test_an_adapter_of_an_encoder_comes_back(call, runs, texts):
    adapted = call(by_automodel, "org/encoder-adapter", texts, "org/encoder")
    assert adapted == call(by_automodel, str(runs["encoder-adapter"]), texts, str(runs["encoder"]))
    assert adapted != call(by_automodel, "org/encoder", texts)
    by_name = call(by_sentence_transformers, "org/encoder-adapter", texts)
    assert by_name == [pytest.approx(row, abs=1e-5) for row in adapted]


def test_the_pushed_rating_model_rates_as_in_training(call, runs, texts):
    rated = call(by_pipeline, "org/ratings", texts)
    assert rated == call(by_pipeline, str(runs["ratings"]), texts)
    assert rated == predictions(runs["ratings"])


def test_the_pushed_adapter_rates_as_in_training(hub, call, runs, texts):
    assert call(by_peft, "org/adapter", texts, "org/encoder") == predictions(runs["adapter"])
    assert call(by_rater, "org/adapter", texts) == predictions(runs["adapter"])
    repo = hub.repos["models", "org/adapter"]
    assert call(by_rater, "org/adapter", texts, revision=repo.at().sha) == predictions(runs["adapter"])


def test_an_ensemble_comes_back(call, runs, ensemble, texts):
    mean, members = call(by_ensemble, "org/ensemble", texts)
    assert members == [predictions(runs["ratings"]), predictions(runs["adapter"])]
    assert mean == pytest.approx([sum(both) / 2 for both in zip(*members, strict=True)])
    assert "/org/ensemble/commit/" in ensemble


def test_several_seeds_are_pushed_as_their_ensemble(hub, call, runs, texts):
    _, members = call(by_ensemble, "org/seeds", texts)
    assert members == [predictions(runs["seeds"] / f"seed-{seed}") for seed in (1, 2)]
    assert hub.repos["models", "org/seeds"].private


def test_a_finished_run_that_is_pushed_already_says_so(hub, train, runs):
    script, base, *more = RUNS["seeds"]
    _, closing = train(script, base, "org/seeds", *more)
    assert "this run is already finished" in closing and closing.splitlines()[-1].startswith(
        "nothing new to push: http"
    )


@pytest.mark.parametrize(
    ("script", "name", "more", "said"),
    [
        ("simcse", "org/refused", ("--hub_token", READER), r"the token \(of reader\) has no right to write there"),
        ("regression", "elsewhere/refused", ("--seeds", "1", "2"), r"the token \(of someone\) has no right"),
        ("regression", "org/texts", (), "is the name of a dataset; give the model another"),
        ("simcse", "org/encoder", ("--private",), "is public, and --private was asked for"),
    ],
)
def test_what_cannot_be_pushed_is_told_before_training(hub, call, train, runs, bert_folder, script, name, more, said):
    call(make_dataset, "org/texts")
    commits = len(hub.asked("commit"))
    with pytest.raises(
        ClientError, match=f"InputError: --repo_id {name}: {said}.*; nothing has been done yet"
    ) as refused:
        train(script, bert_folder, name, "--seed", "7", *more, "--output_dir", str(runs["seeds"].parent / "refused"))
    assert WRITER not in str(refused.value) and READER not in str(refused.value)
    assert len(hub.asked("commit")) == commits and not (runs["seeds"].parent / "refused").exists()


def test_the_trainers_of_python_push_without_pickles(hub, call, bert_folder, work):
    for name in ("SimCSE", "Regression"):
        call(push_by_trainer, name, str(bert_folder), str(work / name), f"org/by-{name}")
        repo = hub.repos["models", f"org/by-{name}"]
        assert "model.safetensors" in repo.at().files and pickles(repo) == [] and holding(repo, WRITER, str(work)) == []


each_repo = pytest.mark.parametrize("name", (*RUNS, "ensemble"))


@pytest.fixture(scope="module")
def repos(hub, runs, ensemble):
    return {name: hub.repos["models", f"org/{name}"] for name in (*runs, "ensemble")}


@each_repo
def test_no_pickle_is_pushed(repos, name):
    assert pickles(repos[name]) == []


@each_repo
def test_no_token_and_no_record_of_the_run_is_pushed(repos, name):
    assert holding(repos[name], WRITER) == []
    assert not [path for path, _ in repos[name].contents() if Path(path).name.startswith("_run")]


@each_repo
def test_no_local_path_is_pushed(repos, name, work, bert_folder):
    assert holding(repos[name], str(work), str(bert_folder.parent)) == []


@each_repo
def test_each_model_has_a_card(repos, name):
    card = repos[name].at().files["README.md"].content.decode()
    assert card.startswith("---\n") and f"org/{name}" in card
