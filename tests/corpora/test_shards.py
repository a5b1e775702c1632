"""The files of a dataset: what `load_dataset` gives is what was written, whatever the files are called."""

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Features, Value, load_dataset

from hf_xling.corpora.shards import write_config

FEATURES = Features({"text": Value("string"), "label": Value("float64")})


def table(texts):
    columns = {"label": [float(len(text)) for text in texts], "text": pyarrow.array(texts).dictionary_encode()}
    return pyarrow.table({**columns, "left out": texts})


def write(folder, splits, **options):
    files = write_config(
        splits, pyarrow.schema({"text": pyarrow.string(), "label": pyarrow.float64()}), folder / "clean", **options
    )
    lines = "".join(f"  - split: {file['split']}\n    path: {file['path']}\n" for file in files)
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: clean\n  data_files:\n{lines}---\n")
    return files


@pytest.mark.parametrize("rows_per_shard", [1, 3, 4, 100])
def test_rows_and_features_are_read_as_they_were_written(tmp_path, rows_per_shard):
    texts = {"train": [f"text {number}" for number in range(10)], "test": ["one"]}
    splits = {split: table(part) for split, part in texts.items()}
    files = write(tmp_path, splits, rows_per_shard=rows_per_shard)
    assert [file["split"] for file in files] == ["train", "test"]
    loaded = load_dataset(str(tmp_path), "clean")
    for split, part in texts.items():
        assert loaded[split].features == FEATURES and loaded[split]["text"][:] == part
    shards = sorted(tmp_path.glob(files[0]["path"]))
    sizes = [pyarrow.parquet.read_metadata(path).num_rows for path in shards]
    assert len(shards) == -(-10 // rows_per_shard) and max(sizes) - min(sizes) <= 1
    assert Features.from_arrow_schema(pyarrow.parquet.read_schema(shards[0])) == FEATURES
    assert b"huggingface" in pyarrow.parquet.read_schema(shards[0]).metadata


def test_other_rows_have_other_names_and_equal_rows_the_same(tmp_path):
    names = []
    for number, text in enumerate(("one", "one", "two")):
        (tmp_path / str(number)).mkdir()
        names.append(write(tmp_path / str(number), {"train": table([text])}))
    assert names[0] == names[1] != names[2]
