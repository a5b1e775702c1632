"""Rated texts, or texts with classes: each row checked, and refused by name or left out and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from datasets import Dataset, Features, Value

from hf_xling.cleaning import clean_text
from hf_xling.console import note
from hf_xling.errors import InputError
from hf_xling.folding import fold, has_text
from hf_xling.labels import BadRow, class_name, label_values, number_of, rating_of
from hf_xling.provenance.generators import WRITTEN_BY
from hf_xling.provenance.origins import Corpus, corpus_of
from hf_xling.regression.config import RegressionScriptArguments, TaskKind
from hf_xling.tables import SPLITS, Table, known_splits, named_splits, read_table, row_ids, split_names
from hf_xling.tables.held_out import read_held_out


@dataclass(frozen=True)
class Splits:
    """What is trained and measured on.

    Attributes:
        datasets: `train`, and `validation` and `test` where there are any; columns `id` (string), `text` (string) and
            `label` (float64 ratings, or int64 numbers of classes).
        label_names: of the classes, in the order of their numbers; None for ratings.
        dropped: how many rows were left out, by split and reason; splits that lost none are absent.
        corpora: where they come from, for the card of the model.
    """

    datasets: dict[str, Dataset]
    label_names: list[str] | None
    dropped: dict[str, dict[str, int]]
    corpora: list[Corpus]


@dataclass
class _Rows:
    """The usable rows of a split, column by column (labels are ratings, or names of classes), and the lost ones."""

    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)

    def as_dataset(self, label_names: list[str] | None) -> Dataset:
        labels, kind = self.labels, Value("float64")
        if label_names is not None:
            numbers = {name: number for number, name in enumerate(label_names)}
            labels, kind = [numbers[name] for name in labels], Value("int64")
        features = Features({"id": Value("string"), "text": Value("string"), "label": kind})
        return Dataset.from_dict({"id": self.ids, "text": self.texts, "label": labels}, features=features)


def load_splits(script: RegressionScriptArguments, task: TaskKind = "regression") -> Splits:
    """The splits that `script` names, with every row checked and, with `--clean`, every text cleaned.

    A dataset must have a test split, unless `--folds` make tests of the training split. `id` is the table's own column
    of that name where its values are unique, else (and where it is null) the data row, from 1.

    A bad row has no text (after cleaning), no label or one that is no finite number in `--label_range` (no name in
    `--label_map`), or the text of an earlier row of its split with another label. With `--on_bad_row error` the first
    is an error, with `drop` all are left out and counted.

    Classes are, in this order: those of `--label_map`, by its numbers 0 to K-1; those of a dataset's `ClassLabel`
    column; the labels of the training split, sorted as numbers if all are, else by code point. A row of another split
    is bad if the training split has not its class.

    Raises:
        InputError: no such source, split or column; a split without rows, or whose rows are all bad; a bad row, named
            by file, row and line; fewer than two classes.
    """
    values, is_classes = label_values(script.label_map), task == "classification"
    if is_classes and script.label_range is not None:
        raise InputError("--label_range: goes with ratings; classes have no range")
    if is_classes and values is not None and sorted(values.values()) != list(range(len(values))):
        raise InputError(
            f"--label_map {' '.join(script.label_map or ())}: the numbers of {len(values)} classes are 0 to "
            f"{len(values) - 1}, each once"
        )
    rows: dict[str, _Rows] = {}
    label_names: list[str] | None = None
    written: dict[str, list[Any]] = {}  # of the training split, what tells who wrote it
    read: dict[str, str | None] = {}  # of what was given for a split, the split that was read
    for split, table, read[split] in _tables(script):
        class_names = table.class_names.get(script.label_column)
        if not is_classes:
            reader = partial(rating_of, values=values, class_names=class_names, limits=script.label_range)
            rows[split] = _usable(table, script, reader)
        else:
            known = sorted(set(rows["train"].labels), key=label_names.index) if label_names else None
            rows[split] = _usable(table, script, _class_reader(values, class_names, known))
        if split != "train":
            continue
        written = {name: table.columns[name] for name in WRITTEN_BY if name in table.columns}
        if is_classes:
            found = rows[split].labels
            label_names = (sorted(values, key=values.__getitem__) if values else class_names) or _sorted_names(found)
            if len(set(found)) < 2:
                raise InputError(
                    f"{table.name}: all labels in column `{script.label_column}` are `{found[0]}`; "
                    "at least two classes are needed"
                )
    datasets = {split: part.as_dataset(label_names) for split, part in rows.items()}
    dropped = {split: dict(part.lost) for split, part in rows.items() if part.lost}
    return Splits(datasets, label_names, dropped, _corpora(script, datasets, written, read))


def _class_reader(
    values: Mapping[str, float] | None, class_names: list[str] | None, known: list[str] | None
) -> Callable[[Any], str]:
    """A reader of the names of classes; `known` are those of the training split, None for that split itself."""

    def read(value: Any) -> str:
        name = class_name(value, class_names, values)
        if known is not None and name not in known:
            said = f"the label is {value!r}; the training split has {', '.join(known)}"
            raise BadRow("label not in the training split", said)
        return name

    return read


def _corpora(
    script: RegressionScriptArguments,
    datasets: Mapping[str, Dataset],
    written: Mapping[str, list[Any]],
    read: Mapping[str, str | None],
) -> list[Corpus]:
    counts = {split: len(dataset) for split, dataset in datasets.items()}
    if script.dataset_name is not None:
        return [corpus_of(script.dataset_name, counts, written, script.dataset_config)]
    return [
        corpus_of(
            getattr(script, f"{split}_file"), {split: count}, written if split == "train" else {}, split=read[split]
        )
        for split, count in counts.items()
    ]


def _tables(script: RegressionScriptArguments) -> Iterator[tuple[str, Table, str | None]]:
    """Each split with its rows, and which split of a source of its own they are."""
    if script.dataset_name is not None:
        source, config = script.dataset_name, script.dataset_config
        names = named_splits(source, config) or {}
        for split in SPLITS:
            optional = split == "validation" or (split == "test" and script.folds)
            if not optional or split in names:
                name = names.get(split, split)
                yield split, replace(read_table(source, config, name), name=f"{source}, split {name}"), name
        return
    train = str(script.train_file)
    unread = [split for split in known_splits(split_names(train) or ()) if getattr(script, f"{split}_file") is None]
    if unread:
        note(
            f"{train}: its train split alone is read, not {' and '.join(unread)}; --dataset_name {train} reads all, or "
            f"give it as --{unread[0]}_file too"
        )
    yield "train", read_table(train), None
    if script.validation_file is not None:
        yield "validation", *read_held_out(script.validation_file, "validation")
    if script.test_file is not None:
        yield "test", *read_held_out(script.test_file, "test")


def _usable(table: Table, script: RegressionScriptArguments, read_label: Callable[[Any], Any]) -> _Rows:
    """The rows of `table` that can be used; one that cannot is an error if it shall be one, else counted."""
    table.require_rows()
    rows = _Rows()
    first: dict[str, tuple[int, Any]] = {}  # row and label by folded text
    columns = zip(row_ids(table), table.column(script.text_column), table.column(script.label_column), strict=True)
    for row, (id, text, label) in enumerate(columns):
        try:
            text, label = _text(text, script.clean), read_label(label)
            earlier, before = first.setdefault(fold(text), (row, label))
            if before != label:
                raise BadRow(
                    "another label for the same text",
                    f"the text is in {table.row(earlier)} with label {before}, here with {label}",
                )
        except BadRow as bad:
            if script.on_bad_row == "error":
                raise InputError(f"{table.where(row)}: {bad}") from None
            rows.lost[bad.reason] += 1
        else:
            rows.ids.append(id)
            rows.texts.append(text)
            rows.labels.append(label)
    if not rows.ids:
        counts = ", ".join(f"{reason}: {count:,}" for reason, count in rows.lost.items())
        raise InputError(f"{table.name}: every row was dropped ({counts}); at least one good row is needed")
    return rows


def _text(value: object, clean: bool) -> str:
    if value is None:
        raise BadRow("text is null", "the text is null; a text is needed")
    if not isinstance(value, str):
        raise BadRow("text is not a string", f"the text is {value!r}; a text is needed")
    text = clean_text(value) if clean else value
    if not has_text(text):
        raise BadRow("text is empty", f"the text is empty{' after cleaning' if has_text(value) else ''}")
    return text


def _sorted_names(labels: list[str]) -> list[str]:
    names = sorted(set(labels))
    try:
        return sorted(names, key=number_of)
    except BadRow:
        return names
