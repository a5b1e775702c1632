"""A small source, what is generated from it, and how the tests read what is built."""

import json
import re
import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet
import yaml
from datasets import Features, load_dataset
from huggingface_hub import metadata_load

from hf_xling.corpora.text_corpus import SCHEMAS

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


def load(folder, config) -> list[dict]:
    dataset = load_dataset(str(folder), config, split="train")
    assert dataset.features == Features.from_arrow_schema(SCHEMAS[config])
    return dataset.to_list()


def card(folder) -> tuple[dict, str]:
    """The front matter, as the Hub's own reader finds it, and the text behind it."""
    front, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", (folder / "README.md").read_text("utf-8"), re.S).groups()
    metadata = yaml.safe_load(front)
    assert metadata == metadata_load(folder / "README.md")
    return metadata, body


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


def rejected_rows(run: Path) -> list[dict]:
    return pyarrow.parquet.read_table(run / "rejected").to_pylist()


def write_rejected(run: Path, rows: list[dict]) -> None:
    """Put `rows` in the place of the rejected rows of `run`."""
    (part,) = (run / "rejected").iterdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=pyarrow.parquet.read_schema(part)), part)
