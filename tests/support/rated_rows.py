"""Rated texts as files, and how the tests load them."""

import pytest

from hf_xling.errors import InputError
from hf_xling.regression.config import RegressionScriptArguments
from hf_xling.regression.data import load_splits


def write(path, rows, header="text,label"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def load(task="regression", **fields):
    fields = {name: str(value) if name.endswith("_file") else value for name, value in fields.items()}
    return load_splits(RegressionScriptArguments(model_name_or_path="m", **fields), task)


def labels(splits, split="train"):
    return splits.datasets[split]["label"][:]


def failure(**fields):
    """The message of the `InputError` that loading must end with, which is one line."""
    with pytest.raises(InputError) as caught:
        load(**fields)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
