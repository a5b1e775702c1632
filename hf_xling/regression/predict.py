"""Predict the ratings of any number of texts, in constant memory: `hf-xling predict`.

hf-xling predict --model runs/ratings --input reviews.csv --output rated.csv

The output has the columns of the input and `prediction`, of an ensemble also `spread`, of a classifier `score` (the
probability of the class). A row without text has no prediction.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import pyarrow
import pyarrow.parquet
from tqdm import tqdm

from hf_xling.cleaning import clean_text
from hf_xling.console import note
from hf_xling.errors import InputError
from hf_xling.folding import is_empty
from hf_xling.recipes import RecipeParser
from hf_xling.runs import written_aside
from hf_xling.tables import Table, stream_table
from hf_xling.training.coverage import coverage

if TYPE_CHECKING:  # models come with torch, which `--help` does without
    from hf_xling.regression.ensemble import RatingEnsemble, Ratings
    from hf_xling.regression.rater import Rater

ROWS_PER_BLOCK = 2048
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass
class PredictConfig:
    """What `hf-xling predict` is told."""

    model: str = field(metadata={"help": "a rating model, an ensemble or a classifier: folder or Hub id"})
    input: str = field(metadata={"help": ".txt (a text a line), .csv, .tsv, .jsonl, .parquet, a folder, or a Hub id"})
    output: str = field(metadata={"help": "a .csv, .tsv, .jsonl or .parquet file"})
    dataset_config: str | None = field(
        default=None, metadata={"help": "config of an input that is a dataset with some"}
    )
    split: str = field(default="train", metadata={"help": "split, where the input is a dataset"})
    model_revision: str | None = field(default=None, metadata={"help": "revision on the Hub"})
    text_column: str = field(default="text", metadata={"help": "column of the texts"})
    clean: bool = field(default=False, metadata={"help": "clean the texts first, as `--clean` does in training"})
    clamp: list[float] | None = field(
        default=None, metadata={"help": "LOW HIGH: the range of ratings; predictions outside are moved to its ends"}
    )
    round_to: float | None = field(
        default=None, metadata={"help": "step of the ratings, such as 0.25; predictions are rounded to it"}
    )

    _argument_group_name = "predict"

    def __post_init__(self) -> None:
        if Path(self.output).is_dir():
            raise InputError(f"--output {self.output}: is a folder; a file is needed")
        if Path(self.output).suffix not in SUFFIXES:
            raise InputError(f"--output {self.output}: a file that ends in {', '.join(SUFFIXES)} is needed")
        if self.clamp is not None and not (len(self.clamp) == 2 and self.clamp[0] < self.clamp[1]):
            raise InputError("--clamp: two numbers are needed, the lowest rating and the highest")
        if self.round_to is not None and not self.round_to > 0:
            raise InputError(f"--round_to {self.round_to}: a number above 0 is needed")


def predict(config: PredictConfig) -> tuple[int, int]:
    """Predict as `config` says; returns how many rows there are, and how many of them have no text.

    Raises:
        InputError: no such model, input or column; a row that cannot be read is named, and no output is written.
    """
    if Path(config.input).exists() and Path(config.input).resolve() == Path(config.output).resolve():
        raise InputError(f"--output {config.output}: is the input; give another file")
    blocks = stream_table(config.input, ROWS_PER_BLOCK, config.dataset_config, config.split)
    first = next(blocks).require_rows()
    first.column(config.text_column)
    model = load(config)
    names, rows, empty = _names(model), 0, 0
    with _said(config.output), _writer(config.output) as write, tqdm(unit=" texts", desc="predict") as bar:
        for block in _chain(first, blocks):
            if taken := [name for name in names if name in block.columns]:
                raise InputError(f"{block.name}: has a column `{taken[0]}`, which is about to be written; rename it")
            texts = texts_of(block, config)
            filled = [row for row, text in enumerate(texts) if text]
            if block is first:
                _warn_of_unknown_tokens(model, [texts[row] for row in filled], config)
            columns = {name: [None] * len(block) for name in names}
            for name, values in _predicted(model, [texts[row] for row in filled], config).items():
                for row, value in zip(filled, values, strict=True):
                    columns[name][row] = value
            write(block, columns)
            rows, empty = rows + len(block), empty + len(block) - len(filled)
            bar.update(len(block))
    return rows, empty


def _warn_of_unknown_tokens(model: RatingEnsemble | Rater, texts: Sequence[str], config: PredictConfig) -> None:
    from hf_xling.regression.rater import Rater

    rater = model if isinstance(model, Rater) else model.members[0]
    found = coverage(rater.tokenizer, texts)
    if found.is_poor:
        note(f"{config.input}: {found}; {config.model} does not know this language or script")


def load(config: PredictConfig) -> RatingEnsemble | Rater:
    """The model: a classifier is a `Rater`, all else an ensemble."""
    from hf_xling.regression.ensemble import RatingEnsemble, member_names
    from hf_xling.regression.rater import Rater

    members = [Rater.load(name, config.model_revision) for name in member_names(config.model, config.model_revision)]
    if members[0].class_names is None:
        return RatingEnsemble(members)
    for name in ("clamp", "round_to"):
        if getattr(config, name) is not None:
            raise InputError(f"--{name}: is for ratings; {config.model} predicts classes")
    return members[0]


def texts_of(block: Table, config: PredictConfig) -> list[str]:
    """The texts of `block`, empty where there is none.

    Raises:
        InputError: no such column, or a value that is no text (its row is named).
    """
    texts = []
    for row, value in enumerate(block.column(config.text_column)):
        if value is not None and not isinstance(value, str):
            raise InputError(f"{block.where(row)}, column `{config.text_column}`: is {value!r}; a text is needed")
        text = clean_text(value or "") if config.clean else value or ""
        texts.append("" if is_empty(text) else text)
    return texts


def finished(ratings: numpy.ndarray, config: PredictConfig) -> numpy.ndarray:
    """Ratings as they are given out: rounded and then moved into the range, where that is asked for."""
    if config.round_to is not None:
        ratings = numpy.round(ratings / config.round_to) * config.round_to
    return ratings if config.clamp is None else numpy.clip(ratings, *config.clamp)


def _names(model: RatingEnsemble | Rater) -> tuple[str, ...]:
    members = getattr(model, "members", None)
    if members is None:  # a classifier
        return "prediction", "score"
    return ("prediction", "spread") if len(members) > 1 else ("prediction",)


def _predicted(model: RatingEnsemble | Rater, texts: Sequence[str], config: PredictConfig) -> dict[str, Sequence[Any]]:
    if not texts:
        return {}
    if not hasattr(model, "members"):
        logits = model.logits(texts).astype(numpy.float64)
        shares = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        names = model.class_names
        return {"prediction": [names[best] for best in shares.argmax(axis=1)], "score": shares.max(axis=1).tolist()}
    ratings: Ratings = model.predict(texts)
    found = {"prediction": finished(ratings.mean, config).tolist()}
    return found if ratings.spread is None else {**found, "spread": ratings.spread.tolist()}


def _chain(first: Table, rest: Iterator[Table]) -> Iterator[Table]:
    yield first
    yield from rest


@contextmanager
def _said(output: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _writer(output: str) -> Iterator[Any]:
    """A function that writes a block and its new columns to `output`, which appears whole when all is written."""
    suffix = Path(output).suffix
    with written_aside(output) as aside:
        if suffix == ".parquet":
            with _parquet(aside) as write:
                yield write
        else:
            with open(aside, "w", encoding="utf-8", newline="") as stream:
                yield _lines(stream) if suffix == ".jsonl" else _delimited(stream, "\t" if suffix == ".tsv" else ",")


def _lines(stream: Any) -> Any:
    def write(block: Table, columns: dict[str, list[Any]]) -> None:
        every = {**block.columns, **columns}
        for values in zip(*every.values(), strict=True):
            stream.write(json.dumps(dict(zip(every, values, strict=True)), ensure_ascii=False, default=str) + "\n")

    return write


def _delimited(stream: Any, delimiter: str) -> Any:
    writer, names = csv.writer(stream, delimiter=delimiter), []

    def write(block: Table, columns: dict[str, list[Any]]) -> None:
        every = {**block.columns, **columns}
        if not names:
            names.extend(every)
            writer.writerow(names)
        _check_columns(block, names, every)
        empty = [None] * len(block)
        writer.writerows(zip(*(every.get(name, empty) for name in names), strict=True))

    return write


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    writers: list[pyarrow.parquet.ParquetWriter] = []

    def write(block: Table, columns: dict[str, list[Any]]) -> None:
        every = {**block.columns, **columns}
        if not writers:
            types = {"prediction": pyarrow.infer_type(columns["prediction"])}
            types |= {name: pyarrow.float64() for name in columns if name != "prediction"}
            schema = pyarrow.schema([(name, types.get(name) or _type(values)) for name, values in every.items()])
            writers.append(pyarrow.parquet.ParquetWriter(path, schema))
        schema = writers[0].schema
        _check_columns(block, schema.names, every)
        empty = [None] * len(block)
        try:
            writers[0].write_table(
                pyarrow.table({name: every.get(name, empty) for name in schema.names}, schema=schema)
            )
        except pyarrow.ArrowException as error:
            raise InputError(
                f"{block.name}: from row {block.start + 1} on a column holds values of another kind than before "
                f"({error}); give an --output that ends in .jsonl"
            ) from error

    try:
        yield write
    finally:
        for writer in writers:
            writer.close()


def _type(values: Sequence[Any]) -> pyarrow.DataType:
    """Of a column by its first block; one without any value yet is taken for text."""
    found = pyarrow.infer_type(values)
    return pyarrow.string() if pyarrow.types.is_null(found) else found


def _check_columns(block: Table, names: Sequence[str], every: dict[str, Any]) -> None:
    if unknown := [name for name in every if name not in names]:
        raise InputError(
            f"{block.name}: column `{unknown[0]}` begins after row {block.start}; give an --output that ends in .jsonl"
        )


def main(argv: Sequence[str]) -> str:
    """Parse, predict, and return the closing lines."""
    (config,) = RecipeParser([PredictConfig], prog="hf-xling predict", description=__doc__).parse(argv)

    from hf_xling.training.pretrained import quiet_transformers

    quiet_transformers()
    rows, empty = predict(config)
    without = f", {empty:,} of them without text and so without prediction" if empty else ""
    return f"{rows:,} rows{without}\npredictions: {config.output}"
