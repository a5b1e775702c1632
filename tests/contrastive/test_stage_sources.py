"""What SimCSE is evaluated on, of sources with splits and without."""

import pyarrow
import pyarrow.parquet
import pytest
import yaml

from hf_xling.contrastive.config import SimCSEScriptArguments
from hf_xling.contrastive.stage import load_all
from hf_xling.errors import InputError


@pytest.fixture
def dataset(tmp_path):
    """`dataset(name, *splits)` writes a dataset folder with the configs `sentences`, the default, and `pairs`."""

    def make(name, *splits):
        configs = []
        for config in ("sentences", "pairs"):
            (tmp_path / name / config).mkdir(parents=True)
            files = [{"split": split, "path": f"{config}/{split}-*.parquet"} for split in splits]
            configs.append({"config_name": config, "data_files": files, "default": config == "sentences"})
            for split in splits:
                columns = {"anchor": [f"{config} {split} {row}" for row in range(3)]}
                file = tmp_path / name / config / f"{split}-00000-of-00001.parquet"
                pyarrow.parquet.write_table(pyarrow.table(columns), file)
        front = f"---\n{yaml.safe_dump({'configs': configs})}---\n"
        (tmp_path / name / "README.md").write_text(front, encoding="utf-8")
        return tmp_path / name

    return make


def load(**sources):
    return load_all(SimCSEScriptArguments(model_name_or_path="m", **{name: str(of) for name, of in sources.items()}))


def test_of_a_dataset_the_validation_split_is_held_out(dataset):
    folder = dataset("corpus", "train", "validation", "test")
    for more, part, config in (
        ({}, folder, "sentences"),
        ({"dataset_config": "pairs"}, f"{folder}/", "pairs"),  # the same dataset, and so the same config
        ({"dataset_config": "pairs"}, folder / "sentences", "sentences"),
        ({}, folder / "pairs", "pairs"),
    ):
        loaded = load(dataset_name=folder, validation_file=part, **more)
        assert loaded.corpus["anchor"][0] == f"{more.get('dataset_config', 'sentences')} train 0"
        assert loaded.held_out["anchor"] == [f"{config} validation {row}" for row in range(3)]
        assert (loaded.corpora[1].rows, loaded.corpora[1].split) == ({"validation": 3}, "validation")


def test_a_dataset_without_a_validation_split_is_refused(dataset):
    folder = dataset("corpus", "train", "test")
    for part in (folder, folder / "pairs"):
        message = rf"--validation_file {part}: has no split `validation`; its splits are train, test \("
        with pytest.raises(InputError, match=message):
            load(dataset_name=folder, validation_file=part)


def test_a_source_without_splits_is_held_out_whole(dataset, tmp_path):
    folder = dataset("corpus", "train", "test")
    (tmp_path / "parts").mkdir()
    for number in range(2):
        pyarrow.parquet.write_table(pyarrow.table({"anchor": ["a", "b"]}), tmp_path / "parts" / f"{number}.parquet")
    for source, rows in ((tmp_path / "parts", 4), (folder / "pairs" / "test-00000-of-00001.parquet", 3)):
        loaded = load(dataset_name=folder, dataset_config="pairs", validation_file=source)
        assert len(loaded.held_out) == rows and loaded.corpora[1].split is None


@pytest.mark.parametrize("empty", [" ", "\u200b", "\u3164\ufeff"])
def test_a_message_about_a_row_names_its_split(dataset, empty):
    folder = dataset("corpus", "train", "validation")
    file = folder / "pairs" / "validation-00000-of-00001.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"anchor": ["a", empty]}), file)
    with pytest.raises(InputError, match=r"pairs, split validation, row 2, column `anchor`: the text is empty"):
        load(dataset_name=folder, validation_file=folder / "pairs")


@pytest.mark.parametrize(
    ("splits", "read"),
    [(("train", "validation", "test"), "test"), (("train", "validation"), "train"), (("validation",), "validation")],
)
def test_of_a_similarity_set_the_test_split_is_read_and_named(dataset, tmp_path, splits, read):
    (tmp_path / "sts").mkdir()
    for number, split in enumerate(splits):
        columns = {"sentence1": ["a"], "sentence2": ["b"], "score": [number]}
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "sts" / f"{split}.parquet")
    loaded = load(dataset_name=dataset("corpus", "train"), sts_file=tmp_path / "sts")
    assert loaded.sts["score"] == [splits.index(read)]
    assert (loaded.corpora[1].rows, loaded.corpora[1].split) == ({"similarity": 1}, read)
