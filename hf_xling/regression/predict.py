"""Predict the ratings of any number of texts, in constant memory: `hf-xling predict`.

hf-xling predict --model runs/ratings --input reviews.csv --output rated.csv

The output has the columns of the input and `prediction`, of an ensemble also `spread`, of a classifier `score` (the
probability of the class). A row without text has no prediction.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet
from tqdm import tqdm

from hf_xling.cleaning import clean_text
from hf_xling.console import note
from hf_xling.errors import InputError
from hf_xling.folding import has_text
from hf_xling.recipes import RecipeParser, option
from hf_xling.runs import written_aside
from hf_xling.tables import Table, stream_table
from hf_xling.training.coverage import coverage

if TYPE_CHECKING:  # models come with torch, which `--help` does without
    from hf_xling.regression.ensemble import RatingEnsemble
    from hf_xling.regression.rater import Rater

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
Columns = Mapping[str, Sequence[Any]]
Write = Callable[[Table, Columns], None]


@dataclass
class PredictConfig:
    """What `hf-xling predict` is told."""

    model: str = option("a rating model, an ensemble or a classifier: folder or Hub id")
    input: str = option(".txt (a text a line), .csv, .tsv, .jsonl, .parquet, a folder, or a Hub id")
    output: str = option("a .csv, .tsv, .jsonl or .parquet file")
    dataset_config: str | None = option("config of an input that is a dataset with some", None)
    split: str = option("split, where the input is a dataset", "train")
    model_revision: str | None = option("revision on the Hub", None)
    text_column: str = option("column of the texts", "text")
    clean: bool = option("clean the texts first, as `--clean` does in training", False)
    clamp: list[float] | None = option(
        "LOW HIGH: the range of ratings; predictions outside are moved to its ends", None
    )
    round_to: float | None = option("step of the ratings, such as 0.25; predictions are rounded to it", None)

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


def predict(config: PredictConfig, rows_per_block: int = 2048) -> tuple[int, int]:
    """Predict as `config` says, with a block of rows in memory; returns how many rows there are, and without text.

    Raises:
        InputError: no such model, input or column; a row that cannot be read is named, and no output is written.
    """
    if Path(config.input).exists() and Path(config.input).resolve() == Path(config.output).resolve():
        raise InputError(f"--output {config.output}: is the input; give another file")
    blocks = stream_table(config.input, rows_per_block, config.dataset_config, config.split)
    first = next(blocks).require_rows()
    first.column(config.text_column)
    model = _load(config)
    types, rows, empty = _new_columns(model), 0, 0
    with _writer(config.output, types) as write, tqdm(unit=" texts", desc="predict") as bar:
        for block in chain([first], blocks):
            if taken := [name for name in types if name in block.columns]:
                raise InputError(f"{block.name}: has a column `{taken[0]}`, which is about to be written; rename it")
            texts = _texts_of(block, config)
            filled = [row for row, text in enumerate(texts) if text]
            if block is first:
                _warn_of_unknown_tokens(model, [texts[row] for row in filled], config)
            columns: dict[str, list[Any]] = {name: [None] * len(block) for name in types}
            for name, values in _predicted(model, [texts[row] for row in filled], config).items():
                for row, value in zip(filled, values, strict=True):
                    columns[name][row] = value
            write(block, {**block.columns, **columns})
            rows, empty = rows + len(block), empty + len(block) - len(filled)
            bar.update(len(block))
    return rows, empty


def _load(config: PredictConfig) -> RatingEnsemble | Rater:
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


def _warn_of_unknown_tokens(model: RatingEnsemble | Rater, texts: Sequence[str], config: PredictConfig) -> None:
    members = getattr(model, "members", [model])
    found = coverage(members[0].tokenizer, texts)
    if found.is_poor:
        note(f"{config.input}: {found}; {config.model} does not know this language or script")


def _texts_of(block: Table, config: PredictConfig) -> list[str]:
    """The texts of `block`, empty where there is none."""
    texts = []
    for row, value in enumerate(block.column(config.text_column)):
        if value is not None and not isinstance(value, str):
            raise InputError(f"{block.where(row)}, column `{config.text_column}`: is {value!r}; a text is needed")
        text = clean_text(value or "") if config.clean else value or ""
        texts.append(text if has_text(text) else "")
    return texts


def _new_columns(model: RatingEnsemble | Rater) -> dict[str, pyarrow.DataType]:
    """The columns that are written beside those of the input."""
    members = getattr(model, "members", None)
    if members is None:  # a classifier
        return {"prediction": pyarrow.string(), "score": pyarrow.float64()}
    return dict.fromkeys(["prediction", "spread"] if len(members) > 1 else ["prediction"], pyarrow.float64())


def _predicted(model: RatingEnsemble | Rater, texts: Sequence[str], config: PredictConfig) -> dict[str, list[Any]]:
    from scipy.special import softmax

    from hf_xling.regression.rater import Rater

    if not texts:
        return {}
    if isinstance(model, Rater):
        shares = softmax(model.logits(texts).astype("float64"), axis=1)
        names = model.class_names or []
        return {"prediction": [names[best] for best in shares.argmax(axis=1)], "score": shares.max(axis=1).tolist()}
    found = model.predict(texts)
    ratings = found.mean
    if config.round_to is not None:
        ratings = (ratings / config.round_to).round() * config.round_to
    if config.clamp is not None:
        ratings = ratings.clip(config.clamp[0], config.clamp[1])
    return {"prediction": ratings.tolist(), **({} if found.spread is None else {"spread": found.spread.tolist()})}


@contextmanager
def _writer(output: str, types: Mapping[str, pyarrow.DataType]) -> Iterator[Write]:
    """A function that writes a block and its columns to `output`, which appears whole when all is written.

    All but JSON Lines has the columns of the first block, of which a later one may lack some. In Parquet they have the
    types of their values there (of none, text); `types` are those of the new ones.
    """
    kind, names, tables = Path(output).suffix, list[str](), list[pyarrow.parquet.ParquetWriter]()

    def write(block: Table, columns: Columns) -> None:
        if kind == ".jsonl":
            rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
            stream.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
            return
        is_first = not names
        names.extend(columns if is_first else [])
        if unknown := [name for name in columns if name not in names]:
            begins = f"column `{unknown[0]}` begins after row {block.start}"
            raise InputError(f"{block.name}: {begins}; give an --output that ends in .jsonl")
        every = {name: columns.get(name, [None] * len(block)) for name in names}
        if kind != ".parquet":
            writer = csv.writer(stream, delimiter="\t" if kind == ".tsv" else ",")
            writer.writerows([names] if is_first else [])
            writer.writerows(zip(*every.values(), strict=True))
            return
        if is_first:
            tables.append(opened.enter_context(pyarrow.parquet.ParquetWriter(stream, _schema(every, types))))
        try:
            tables[0].write_table(pyarrow.table(every, schema=tables[0].schema))
        except pyarrow.ArrowException as error:
            raise InputError(
                f"{block.name}: from row {block.start + 1} on a column holds values of another kind than before "
                f"({error}); give an --output that ends in .jsonl"
            ) from error

    how: dict[str, Any] = {"mode": "wb"} if kind == ".parquet" else {"mode": "w", "encoding": "utf-8", "newline": ""}
    try:
        with written_aside(output) as aside, open(aside, **how) as stream, ExitStack() as opened:
            yield write
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written: {error.strerror or error}") from error


def _schema(columns: Columns, types: Mapping[str, pyarrow.DataType]) -> pyarrow.Schema:
    found = {name: types.get(name) or pyarrow.infer_type(values) for name, values in columns.items()}
    return pyarrow.schema({name: pyarrow.string() if pyarrow.types.is_null(t) else t for name, t in found.items()})


def main(argv: Sequence[str]) -> str:
    """Parse, predict, and return the closing lines."""
    (config,) = RecipeParser([PredictConfig], prog="hf-xling predict", description=__doc__).parse(argv)

    from hf_xling.training.pretrained import quiet_transformers

    quiet_transformers()
    rows, empty = predict(config)
    without = f", {empty:,} of them without text and so without prediction" if empty else ""
    return f"{rows:,} rows{without}\npredictions: {config.output}"
