"""What the tests of publishing share: folders to publish, and what a client process does with them."""

import csv
import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from unittest.mock import patch
from zlib import crc32

BUILT = "Built with hf_xling 0.1."  # as the cards end


def write_dataset(folder, rows, configs=("a",)):
    """A dataset folder with a Parquet file in each config; the texts of one are those of the others and its name."""
    import pyarrow
    from pyarrow import parquet

    files = {}
    for config in configs:
        texts = [f"{row} {config}" for row in rows]
        path = folder / config / f"train-{crc32(repr(texts).encode()):x}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob("*.parquet"):
            old.unlink()
        parquet.write_table(pyarrow.table({"text": texts}), path)
        files[config] = [{"split": "train", "path": f"{config}/{path.name}"}]
    configs = [{"config_name": name, "data_files": data_files} for name, data_files in files.items()]
    card = f"---\n{json.dumps({'configs': configs})}\n---\n# Texts\n\n{BUILT}\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def write_reviews(folder, words):
    """The arguments of a script of rated texts; each review is one of `words` over and over."""
    argv = []
    for split in ("train", "test"):
        with open(folder / f"{split}.csv", "w", newline="", encoding="utf-8") as stream:
            rows = [(f"{split} {word} " * 5, number % 5) for number, word in enumerate(words)]
            csv.writer(stream).writerows([("text", "label"), *rows])
        argv += [f"--{split}_file", str(folder / f"{split}.csv")]
    return [*argv, "--near_threshold", "1"]


# What a client process does. Nothing of Hugging Face may be imported out here.


def publish(folder, repo_id, kind="dataset", **options):
    from hf_xling.hub.publish import Destination

    done = Destination(repo_id, kind, **options).publish(folder)
    return {"commit": done.sha, "tag": done.tag, "is_new": done.is_new, "line": str(done)}


def write_results(folder, dataset_id):
    """What was measured of a model on a dataset, in so many words that YAML breaks the line."""
    from hf_xling.hub.results import Evidence, write_eval_results

    evidence = Evidence("52 texts; " * 20 + "seed 1", ["mse"], [("this model", ["0.5"])], {"mse": 0.5})
    write_eval_results(folder, evidence, dataset_id, None, "test", None)


def command(module, argv, token=None):
    """Exit status and output of a script; `token` in place of the one that the process has."""
    from hf_xling.console import run_command

    script = import_module(module)
    main = partial(script.main, script.SPEC) if hasattr(script, "SPEC") else script.main
    out, err = io.StringIO(), io.StringIO()
    account = patch.dict(os.environ, {} if token is None else {"HF_TOKEN": token})
    with account, redirect_stdout(out), redirect_stderr(err):
        status = run_command(main, argv)
    return status, out.getvalue(), err.getvalue()


def load(*args, **options):
    from datasets import load_dataset

    return [row["text"] for row in load_dataset(*args, split="train", **options)]


def create(repo_id, **options):
    from huggingface_hub import HfApi

    HfApi().create_repo(repo_id, **options)
