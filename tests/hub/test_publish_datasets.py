"""Corpora that the training scripts read from a loopback Hub."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hf_xling.trainers import regression
from hub_clients import ClientError, environment
from published import command
from stage_1 import run_stage_1, write_rows

pytestmark = pytest.mark.slow  # the client's imports and the launches take seconds

ROOT = Path(regression.__file__).parent


def push(repo_id, config, columns, split="train"):
    from datasets import Dataset

    Dataset.from_dict(columns).push_to_hub(repo_id, config, split=split)


def train(argv):
    from hf_xling.trainers import simcse

    return simcse.main(argv)


def launch(hub, home, script, *argv):
    """Run a script as its users do, without a token: the datasets are public."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", str(ROOT / f"{script}.py"), *argv]
    env = {**os.environ, **environment(hub.url, home)}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def common(bert_folder, output):
    return (
        *("--model_name_or_path", str(bert_folder), "--output_dir", str(output), "--per_device_train_batch_size", "8"),
        *("--max_length", "16", "--max_steps", "3", "--use_cpu", "true", "--disable_tqdm", "true"),
    )


def test_simcse_trains_on_a_corpus_of_the_hub(hub, call, sentences, bert_folder, tmp_path):
    pairs = {"anchor": sentences[:32], "positive": sentences[32:64], "group": [str(row) for row in range(32)]}
    call(push, "org/corpus", "sentences", {"anchor": sentences[:64]})
    call(push, "org/corpus", "pairs", pairs)
    argv = (*common(bert_folder, tmp_path / "run"), "--dataset_name", "org/corpus", "--dataset_config", "pairs")
    done = launch(hub, tmp_path / "home", "simcse", *argv)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-2].startswith("32 rows, 3 steps")
    card = (tmp_path / "run" / "README.md").read_text("utf-8")
    commit = hub.repos["datasets", "org/corpus"].at().sha
    assert "SimCSE objective on 32 text pairs" in card and f"| org/corpus | {commit} | pairs, train |" in card


def test_regression_trains_on_a_rated_dataset_of_the_hub(hub, call, sentences, bert_folder, tmp_path):
    for split, rows in (("train", range(32)), ("validation", range(32, 40)), ("test", range(40, 52))):
        texts = [sentences[row] for row in rows]
        columns = {"text": texts, "label": [1.0 + len(text) % 4 for text in texts]}
        call(push, "org/rated", "default", columns, split)
    argv = (*common(bert_folder, tmp_path / "run"), "--dataset_name", "org/rated")
    done = launch(hub, tmp_path / "home", "regression", *argv)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "run" / "all_results.json").read_text("utf-8"))
    assert (results["n_train"], results["n_validation"], results["n_test"]) == (32, 8, 12)
    measured = (tmp_path / "run" / ".eval_results" / "rated.yaml").read_text("utf-8")
    assert "id: org/rated\n" in measured and hub.repos["datasets", "org/rated"].at().sha in measured


TAMIL = {
    "A dog runs over the grass.": "ஒரு சிறிய நாய் புல்லின் மேல் ஓடுகிறது.",
    "An animal moves about.": "ஒரு விலங்கு மெதுவாக நகர்கிறது.",
    "The dog lies asleep.": "அந்த நாய் படுத்து உறங்குகிறது.",
    "Over the grass runs a dog.": "புல்லின் மேலே ஓடுவது ஒரு நாய்.",
    "Some animal is in motion.": "ஏதோ ஒரு விலங்கு அசைகிறது.",
    "The dog is sleeping there.": "அங்கே அந்த நாய் தூங்குகிறது.",
}


def test_the_flagship_corpus_is_built_pushed_read_and_trained_on(hub, call, bert_folder, tmp_path):
    premise, entailed, contrary, *written = TAMIL
    rows = [(premise, entailed, "entailment"), (premise, contrary, "contradiction"), (premise, entailed, "-")]
    keys = ("premise", "hypothesis", "label")
    source = write_rows(tmp_path / "snli.jsonl", [dict(zip(keys, row, strict=True)) for row in rows])
    run_stage_1(tmp_path, source, dict(zip((premise, entailed, contrary), written, strict=True)), TAMIL)
    runs = [str(tmp_path / name) for name in ("translate", "paraphrase-translate")]
    argv = ["--source", str(source), "--generated", *runs, "--output_dir", str(tmp_path / "corpus")]
    push = ["--push_to_hub", "--repo_id", "org/snli-tamil-paraphrased"]
    status, out, err = call(command, "hf_xling.dataset_scripts.snli_tamil_paraphrased", [*argv, *push])
    repo = hub.repos["datasets", "org/snli-tamil-paraphrased"]
    assert status == 0, err
    assert out.splitlines()[-1] == f"pushed: {hub.url}/datasets/{push[-1]}, commit {repo.at().sha}, tag v1"
    for config, column, texts in (
        ("sentences", "anchor", TAMIL.values()),
        ("pairs", "positive", TAMIL.values()),
        ("triplets", "negative", (TAMIL[contrary], TAMIL[written[2]])),
    ):
        for options in ({}, {"revision": "v1"}, {"streaming": True}):
            assert sorted(call(column_of, push[-1], config, column, **options)) == sorted(texts)
    argv = (*common(bert_folder, tmp_path / "run"), "--dataset_name", push[-1], "--dataset_config", "triplets")
    done = launch(
        hub, tmp_path / "home", "simcse", *argv, "--per_device_train_batch_size", "2", "--allow_unknown_tokens"
    )
    assert done.returncode == 0, done.stderr[-3000:]


def push_snli(repo_id, rows):
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    kinds = ClassLabel(names=["entailment", "neutral", "contradiction"])
    features = Features({"premise": Value("string"), "hypothesis": Value("string"), "label": kinds})
    parts = {
        split: Dataset.from_dict(dict(zip(features, zip(*part, strict=True), strict=True)), features=features)
        for split, part in rows.items()
    }
    return DatasetDict(parts).push_to_hub(repo_id).oid


def test_a_source_on_the_hub_has_its_splits_and_its_revision(call, tmp_path):
    """As `stanfordnlp/snli` has them: labels are classes, -1 where annotators did not agree, and a text may be null."""
    rows = {
        "train": [("A dog runs.", "It moves.", 0), ("A cat sits.", "It sleeps.", -1), ("A bird sings.", None, 1)],
        "test": [("A man reads.", "It moves.", 2)],
    }
    commit = call(push_snli, "org/snli", rows)
    argv = ["--source", "org/snli", "--source_name", "SNLI", "--output_dir", str(tmp_path / "corpus")]
    script = "hf_xling.dataset_scripts.snli_sentences"
    status, out, err = call(command, script, argv)
    assert status == 0, err
    assert "| train |           3 |       1 |          0 |          1 |     2 |        0 |                1 |" in out
    assert f"- `org/snli` (revision `{commit}`)" in (tmp_path / "corpus" / "README.md").read_text("utf-8")
    parts = {split: call(column_of, str(tmp_path / "corpus"), "sentences", "anchor", split) for split in rows}
    assert parts == {"train": ["A dog runs."], "test": ["It moves.", "A man reads."]}
    call(push_snli, "org/snli", {**rows, "test": [("A man writes.", "It moves.", 2)]})
    status, _, err = call(command, script, argv)  # it has changed under its name
    assert status == 2 and "holds another run (source was" in err


def push_card(repo_id, front):
    from huggingface_hub import HfApi

    text = "---\n" + json.dumps(front) + "\n---\n# News\n\n```bibtex\n@misc{doe,\n  title = {News},\n}\n```\n"
    HfApi().upload_file(path_or_fileobj=text.encode(), path_in_repo="README.md", repo_id=repo_id, repo_type="dataset")


def record(source):
    from hf_xling.generation.sources import source_record

    return source_record(source)


def test_the_licence_of_a_source_on_the_hub_follows_its_text(hub, call, tmp_path):
    call(push, "org/news", "default", {"text": ["A dog runs.", "A cat sleeps."], "label": [1.0, 2.0]})
    front = {"license": "cc-by-nc-sa-4.0", "language": ["te"], "extra_gated_prompt": "You cite us."}
    call(push_card, "org/news", {**front, "configs": [{"config_name": "default", "data_files": "data/*.parquet"}]})
    told = call(record, "org/news")
    commit = hub.repos["datasets", "org/news"].at().sha
    assert told | {"citation": ""} == {
        **{"name": "org/news", "revision": commit, "languages": ["te"], "license": "cc-by-nc-sa-4.0"},
        **{"terms": "You cite us.", "citation": ""},
    }
    for script in ("snli_sentences", "tamil_movie_reviews"):
        argv = ["--source", "org/news", "--output_dir", str(tmp_path / script)]
        status, _, err = call(command, f"hf_xling.dataset_scripts.{script}", argv)
        assert status == 0, err
        card = (tmp_path / script / "README.md").read_text("utf-8")
        assert (
            "license: cc-by-nc-sa-4.0\n" in card and "- te\n" in card and f"- `org/news` (revision `{commit}`)" in card
        )
        assert "no commercial use" in card and "You cite us." in card and "@misc{doe," in card and "SNLI" not in card


def access(repo_id, **options):
    from hf_xling.hub.publish import Destination

    return Destination(repo_id, "dataset", **options).check_access().repo_id


def test_a_tag_that_is_there_and_a_branch_that_is_not_are_told_before_the_work(call):
    call(push, "org/taken", "default", {"text": ["A dog runs."]})
    call(tag, "org/taken", "v1")
    assert call(access, "org/taken", tag="v2", revision="main") == "org/taken" == call(access, "org/taken")
    with pytest.raises(ClientError, match=r"the tag v1 is on another commit.*nothing has been done yet"):
        call(access, "org/taken", tag="v1")
    for name in ("org/taken", "org/none"):
        with pytest.raises(ClientError, match="has no branch dev, which --hub_revision gives; it has main"):
            call(access, name, revision="dev")


def test_a_branch_with_slashes_and_a_pull_request_can_be_pushed_to(hub, call, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.parquet").write_bytes(b"rows")
    old = call(push_to, str(tmp_path / "data"), "org/data", "main")
    repo = hub.repos["datasets", "org/data"]
    repo.branches |= {"feature/x": old, "refs/pr/1": old}
    (tmp_path / "data" / "more.parquet").write_bytes(b"rows")
    for revision in ("feature/x", "refs/pr/1"):
        assert call(access, "org/data", revision=revision) == "org/data"
        told = call(push_to, str(tmp_path / "data"), "org/data", revision)
        assert repo.at(revision).sha == told and "more.parquet" in repo.at(revision).files and repo.at().sha == old
    with pytest.raises(ClientError, match="has no branch refs/pr/2, which --hub_revision gives; it has f"):
        call(access, "org/data", revision="refs/pr/2")


def push_to(folder, repo_id, revision):
    from hf_xling.hub.publish import Destination

    return Destination(repo_id, "dataset", revision=revision, tag=f"of-{revision[-1]}").publish(folder).sha


def tag(repo_id, name):
    from huggingface_hub import HfApi

    HfApi().create_tag(repo_id, tag=name, repo_type="dataset")


def column_of(repo_id, config, column, split="train", **options):
    from datasets import load_dataset

    return [row[column] for row in load_dataset(repo_id, config, split=split, **options)]


def test_a_corpus_that_is_not_there_is_one_line(call, bert_folder, tmp_path):
    argv = [*common(bert_folder, tmp_path / "run"), "--dataset_name", "org/none", "--dataset_config", "pairs"]
    with pytest.raises(ClientError, match="InputError: org/none: cannot be loaded as a dataset"):
        call(train, argv)
    assert not (tmp_path / "run").exists()
