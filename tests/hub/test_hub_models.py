"""Models that the training scripts push, and what everyone's libraries load: over a loopback Hub."""

import csv
import importlib
import os
import secrets
import zipfile
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import pytest
from faulty_tgi import serving
from hub_clients import ClientError, client
from loopback_hub import LoopbackHub

pytestmark = pytest.mark.slow  # the client's imports and the trainings take seconds

TOKEN = f"hf_{secrets.token_hex(17)}"
NO_CHECKPOINTS = ("--save_strategy", "no", "--eval_strategy", "no")

# Script, base (None for a local folder) and options of each training, by its name on the Hub.
RUNS = {
    "encoder": ("simcse", None, *NO_CHECKPOINTS),
    "encoder-adapter": ("simcse", "org/encoder", "--use_peft", *NO_CHECKPOINTS),
    "ratings": ("regression", "org/encoder", *NO_CHECKPOINTS),
    "adapter": ("regression", "org/encoder", "--use_peft", *NO_CHECKPOINTS),
    "seeds": ("regression", "org/encoder", "--seeds", "1", "2", "--hub_private_repo", "true", *NO_CHECKPOINTS),
    # As by default, with checkpoints (of the rating model one an epoch, and the best of them at the end).
    "checkpointed": ("regression", "org/encoder", "--hub_token", TOKEN),
    "checkpointed-encoder": ("simcse", None, "--save_steps", "1", "--hub_token", TOKEN),
}


@pytest.fixture(scope="module")
def hub():
    server = LoopbackHub()
    server.admit(TOKEN, "someone", "org")
    with serving(server):
        yield server
    assert "unknown" not in {entry.what for entry in server.log}  # all that the clients asked for is there


@pytest.fixture(scope="module")
def call(hub, tmp_path_factory):
    with client(hub.url, tmp_path_factory.mktemp("home"), TOKEN) as process:
        yield process


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

    def train(script, base, name, *more):
        output = work / name.replace("/", "-")
        argv = ["--model_name_or_path", str(base), "--output_dir", str(output), "--push_to_hub", "--hub_model_id", name]
        if script == "simcse":
            argv += ["--train_file", str(work / "corpus.txt"), "--max_steps", "3", "--max_length", "16"]
        else:
            for part in ("train", "validation", "test"):
                argv += [f"--{part}_file", str(work / f"{part}.csv")]
            argv += ["--num_train_epochs", "2", "--learning_rate", "1e-3"]
        argv += ["--per_device_train_batch_size", "8", "--use_cpu", "true", "--disable_tqdm", "true"]
        call(run_script, script, [*argv, *more])
        return output

    return train


@pytest.fixture(scope="module")
def runs(train, bert_folder):
    """The output folder of each run of `RUNS`."""
    return {
        name: train(script, base or bert_folder, f"org/{name}", *more) for name, (script, base, *more) in RUNS.items()
    }


@pytest.fixture(scope="module")
def ensemble(call, runs):
    return call(push_ensemble, ["org/ratings", "org/adapter"], "org/ensemble")


# What the client process does. Nothing of Hugging Face may be imported out here.


def run_script(script, argv):
    # Given as an option, the token is nowhere else.
    with patch.dict(os.environ, {"HF_TOKEN": ""} if "--hub_token" in argv else {}):
        return importlib.import_module(f"hf_xling.trainers.{script}").main(argv)


def by_automodel(name, texts, base=None):
    """Vectors of the first token; with `base`, `name` is an adapter of it."""
    from peft import PeftModel
    from transformers import AutoModel

    model = AutoModel.from_pretrained(base or name)
    model = model if base is None else PeftModel.from_pretrained(model, name)
    return forward(model, name, texts).last_hidden_state[:, 0].tolist()


def by_peft(name, texts, base):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    return forward(PeftModel.from_pretrained(model, name), name, texts).logits[:, 0].tolist()


def forward(model, name, texts):
    import torch
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(name)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model.eval()(**tokens)


def by_sentence_transformers(name, texts):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(name, device="cpu").encode(texts, show_progress_bar=False).tolist()


def by_pipeline(name, texts):
    from transformers import pipeline

    return [each["score"] for each in pipeline("text-classification", name, function_to_apply="none")(texts)]


def by_rater(name, texts, revision=None):
    from hf_xling.regression.rater import Rater

    return Rater.load(name, revision).logits(texts)[:, 0].tolist()


def by_ensemble(name, texts):
    from hf_xling import RatingEnsemble

    ratings = RatingEnsemble.from_pretrained(name).predict(texts)
    return ratings.mean.tolist(), ratings.members.tolist()


def push_ensemble(members, name):
    from hf_xling import RatingEnsemble
    from hf_xling.regression.rater import Rater

    return RatingEnsemble([Rater.load(member) for member in members]).push_to_hub(name)


def predictions(folder):
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as stream:
        return pytest.approx([float(row["prediction"]) for row in csv.DictReader(stream)], abs=1e-5)


def pickles(repo):
    """Paths of files, of any commit, that are pickles by name or content: torch saves them in a zip."""

    def is_pickle(path, content):
        if path.endswith((".bin", ".pt", ".pth", ".pkl")) or content.startswith((b"\x80\x02", b"\x80\x04")):
            return True
        file = BytesIO(content)
        return zipfile.is_zipfile(file) and any(name.endswith(".pkl") for name in zipfile.ZipFile(file).namelist())

    return sorted({path for path, content in repo.contents() if is_pickle(path, content)})


def holding(repo, *words):
    """Paths of files, of any commit, that hold one of `words`."""
    return sorted({path for path, content in repo.contents() if any(word.encode() in content for word in words)})


def test_the_pushed_encoder_gives_the_vectors_of_the_local_one(hub, call, runs, bert_folder, texts):
    vectors = call(by_automodel, "org/encoder", texts)
    assert vectors == call(by_automodel, str(runs["encoder"]), texts)
    assert call(by_sentence_transformers, "org/encoder", texts) == call(
        by_sentence_transformers, str(runs["encoder"]), texts
    )
    assert call(by_sentence_transformers, "org/encoder", texts) == [pytest.approx(row, abs=1e-5) for row in vectors]
    assert vectors != call(by_automodel, str(bert_folder), texts)
    assert hub.repos["models", "org/encoder"].at().files["model.safetensors"].lfs


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


def test_a_push_that_fails_at_the_end_of_a_run_is_made_up_for(hub, train, runs, call, texts):
    hub.fail("commit", 500)
    with pytest.raises(ClientError, match="500"):
        train("regression", "org/encoder", "org/late", *NO_CHECKPOINTS)
    run = train("regression", "org/encoder", "org/late", *NO_CHECKPOINTS)
    assert call(by_rater, "org/late", texts) == predictions(run)


def test_a_failed_push_of_an_ensemble_is_made_up_for(hub, train, runs):
    hub.fail("create", 500)
    with pytest.raises(ClientError, match="500"):
        train("regression", "org/encoder", "org/late2", "--seeds", "1", "2", *NO_CHECKPOINTS)
    train("regression", "org/encoder", "org/late2", "--seeds", "1", "2", *NO_CHECKPOINTS)
    assert "ensemble.json" in hub.repos["models", "org/late2"].at().files


def test_an_ensemble_is_pushed_with_the_token_that_was_given(hub, train, runs):
    train("regression", "org/encoder", "org/given", "--seeds", "1", "2", "--hub_token", TOKEN, *NO_CHECKPOINTS)
    assert "ensemble.json" in hub.repos["models", "org/given"].at().files


each_repo = pytest.mark.parametrize("name", (*RUNS, "ensemble"))


@pytest.fixture(scope="module")
def repos(hub, runs, ensemble):
    return {name: hub.repos["models", f"org/{name}"] for name in (*runs, "ensemble")}


@each_repo
def test_no_pickle_is_pushed(repos, name):
    assert pickles(repos[name]) == []


@each_repo
def test_no_token_and_no_record_of_the_run_is_pushed(repos, name):
    assert holding(repos[name], TOKEN) == []
    assert not [path for path, _ in repos[name].contents() if Path(path).name.startswith("_run")]


@each_repo
def test_no_local_path_is_pushed(repos, name, work, bert_folder):
    assert holding(repos[name], str(work), str(bert_folder.parent)) == []


@each_repo
def test_each_model_has_a_card(repos, name):
    card = repos[name].at().files["README.md"].content.decode()
    assert card.startswith("---\n") and f"org/{name}" in card
