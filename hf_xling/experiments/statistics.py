"""The rows of `results.jsonl` and what they say: means and sample standard deviations over the runs of an experiment.

Plain statistics only. The spread is that of the runs (seeds) on one split; there are no intervals and no tests here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, get_args, get_type_hints

import numpy

from hf_xling.errors import InputError
from hf_xling.labels import BadRow, number_of
from hf_xling.regression.metrics import METRICS
from hf_xling.tables import read_table

RESULTS_FILE = "results.jsonl"
TOKENS = ("unknown_tokens", "pieces_per_word", "pieces_per_character")
KINDS = ("experiment", "baseline")
LANGUAGE = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")  # it becomes part of file names


@dataclass(frozen=True)
class Run:
    """A row of `results.jsonl`: one model, or one baseline, tested once.

    Attributes:
        predictions: a CSV file of the columns id, label and prediction, relative to the folder of `results.jsonl`.
        log, encoder_log: the `trainer_state.json` of the regression and of the contrastive stage, also relative.
        paper_mse: what the paper reports under this name, on its own data.
        unknown_tokens: the share of the training texts' tokens that the encoder's tokenizer does not know.
        pieces_per_word, pieces_per_character: into how many tokens it cuts them; the latter in scripts without spaces.
    """

    run_id: str
    experiment: str
    kind: str
    language: str
    task: str
    seed: int | None
    n_train: int
    n_validation: int
    n_test: int
    test_mse: float
    test_rmse: float
    test_mae: float
    test_pearson: float | None
    test_spearman: float | None
    predictions: str
    log: str | None
    encoder_log: str | None
    paper_mse: float | None
    started: str
    seconds: float
    unknown_tokens: float | None = None
    pieces_per_word: float | None = None
    pieces_per_character: float | None = None


@dataclass(frozen=True)
class Summary:
    """What the runs of one experiment, or of one baseline, in one language say together.

    Attributes:
        mse_mean, …: means over `run_ids`; None where a run has no such value (a constant has no correlation).
        mse_std, …: sample standard deviations (ddof=1); None for one run.
        difference_to_direct: `mse_mean` minus that of `<language>-direct`; None for direct itself and without one.
        unknown_tokens, pieces_per_word, pieces_per_character: the largest of its runs; None where none has any.
        beats: for each other baseline of the language, whether `mse_mean` is below that of the baseline.
    """

    experiment: str
    kind: str
    language: str
    task: str
    n_test: int
    n_runs: int
    run_ids: tuple[str, ...]
    mse_mean: float
    mse_std: float | None
    rmse_mean: float
    rmse_std: float | None
    mae_mean: float
    mae_std: float | None
    pearson_mean: float | None
    pearson_std: float | None
    spearman_mean: float | None
    spearman_std: float | None
    paper_mse: float | None
    difference_to_direct: float | None
    beats: dict[str, bool]
    unknown_tokens: float | None = None
    pieces_per_word: float | None = None
    pieces_per_character: float | None = None


def read_results(folder: str | Path) -> list[Run]:
    """The runs in `folder`, by language in order of first appearance, the baselines of each language last.

    Where a `run_id` is given twice the last row counts, at the place of the first.

    Raises:
        InputError: there is no such file, it is empty, or a line is not a run; the message names the file and line.
    """
    path = Path(folder) / RESULTS_FILE
    how = f"`hf-xling experiments --config RECIPE --output_dir {folder}` writes it"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {how}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start}: {error.reason})") from error
    runs: dict[str, Run] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            run = _parse(line, f"{path}, line {number}")
            runs[run.run_id] = run
    if not runs:
        raise InputError(f"{path}: holds no runs; {how}")
    languages = list(dict.fromkeys(run.language for run in runs.values()))
    return sorted(runs.values(), key=lambda run: (languages.index(run.language), KINDS.index(run.kind)))


def summarise(runs: Sequence[Run]) -> list[Summary]:
    """One summary per experiment and language, in the order of `runs`.

    Raises:
        InputError: rows that are in one mean, or in one comparison, come from different test sets, an experiment
            has two figures of the paper, or its name is under two languages or kinds.
    """
    _require_same(runs, "task", "language")
    _require_same(runs, "n_test", "language")
    _require_same(runs, "paper_mse", "language", "experiment")
    _require_same(runs, "kind", "experiment")
    _require_same([run for run in runs if run.kind == "experiment"], "language", "experiment")
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.language, run.experiment), []).append(run)
    means = {key: float(numpy.mean([run.test_mse for run in group])) for key, group in groups.items()}
    summaries = []
    for key, group in groups.items():
        language, experiment = key
        values: dict[str, Any] = {}
        for metric in METRICS:
            values[f"{metric}_mean"], values[f"{metric}_std"] = _mean_and_spread(group, metric)
        for name in TOKENS:
            values[name] = max((value for run in group if (value := getattr(run, name)) is not None), default=None)
        direct = (language, f"{language}-direct")
        others = [
            other
            for other, own in groups.items()
            if own[0].kind == "baseline" and other[0] == language and other != key
        ]
        summaries.append(
            Summary(
                experiment=experiment,
                kind=group[0].kind,
                language=language,
                task=group[0].task,
                n_test=group[0].n_test,
                n_runs=len(group),
                run_ids=tuple(run.run_id for run in group),
                paper_mse=group[0].paper_mse,
                difference_to_direct=means[key] - means[direct] if direct in means and key != direct else None,
                beats={name: means[key] < means[language, name] for _, name in others},
                **values,
            )
        )
    return summaries


def read_predictions(folder: str | Path, run: Run) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The true and the predicted ratings of `run`, which must give the MSE that its row reports.

    Returns:
        (n_test,) float64 each.

    Raises:
        InputError: the file is missing or unreadable, or belongs to another run than the row.
    """
    path = Path(folder) / run.predictions
    table = read_table(path).require_rows()
    columns: dict[str, list[float]] = {"label": [], "prediction": []}
    for name, numbers in columns.items():
        for index, value in enumerate(table.column(name)):
            try:
                numbers.append(number_of(value))
            except BadRow as bad:
                raise InputError(f"{table.where(index)}: {name} is {value!r}; a number is needed") from bad
    true, predicted = map(numpy.array, columns.values())
    if len(true) != run.n_test:
        raise InputError(f"{path}: has {len(true)} rows; {run.run_id} in {RESULTS_FILE} has n_test {run.n_test}")
    mse = float(numpy.square(predicted - true).mean())
    if not math.isclose(mse, run.test_mse, rel_tol=0.01, abs_tol=1e-6):  # room for rounded predictions
        raise InputError(
            f"{path}: its MSE is {mse:.6g}, but {run.run_id} in {RESULTS_FILE} has {run.test_mse:.6g}; "
            "the file is of another run"
        )
    return true, predicted


def read_history(folder: str | Path, log: str) -> list[dict[str, Any]]:
    """The `log_history` of the Trainer state at `log`, relative to `folder`."""
    path = Path(folder) / log
    try:
        history = json.loads(path.read_text(encoding="utf-8"))["log_history"]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no Trainer state with a log_history ({error})") from error
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise InputError(f"{path}: its log_history is no list of objects")
    return history


def _mean_and_spread(group: Sequence[Run], metric: str) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation; none where a run lacks the value, as a mean of the rest would flatter."""
    values = [getattr(run, f"test_{metric}") for run in group]
    if None in values:
        return None, None
    return float(numpy.mean(values)), float(numpy.std(values, ddof=1)) if len(values) > 1 else None


def _require_same(runs: Sequence[Run], field: str, *among: str) -> None:
    """Refuse `runs` if two that agree in the fields `among` differ in `field`."""
    first: dict[tuple[str, ...], Run] = {}
    for run in runs:
        key = tuple(getattr(run, name) for name in among)
        other = first.setdefault(key, run)
        if getattr(run, field) != getattr(other, field):
            what = ", ".join(f"{name} {value}" for name, value in zip(among, key, strict=True))
            raise InputError(
                f"{RESULTS_FILE}: {what} has two values of {field}: {getattr(other, field)} ({other.run_id}) and "
                f"{getattr(run, field)} ({run.run_id}); give them names or folders of their own"
            )


def _parse(line: str, where: str) -> Run:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(
            f"{where}: not valid JSON ({error}); if a run was cut off here, delete the line and run it again"
        ) from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: is {type(row).__name__}; an object a line is needed")
    values: dict[str, Any] = {}
    for field in fields(Run):
        kinds = get_args(_HINTS[field.name]) or (_HINTS[field.name],)
        if field.name not in row and type(None) not in kinds:
            raise InputError(f"{where}: has no `{field.name}`")
        value = row.get(field.name)
        if float in kinds and type(value) is int:
            value = float(value) if abs(value) < 1e300 else math.inf
        values[field.name] = value
        if needed := _needed(field.name, value, kinds):
            raise InputError(f"{where}: `{field.name}` is {value!r}; {needed} is needed")
    return Run(**values)


def _needed(name: str, value: Any, kinds: Sequence[type]) -> str | None:
    """What the field `name` needs where it has another value; None where it may have this one."""
    if type(value) not in kinds:
        return {str: "a text", int: "a whole number", float: "a number"}[kinds[0]]
    if value is None:
        return None
    if isinstance(value, str) and not (value.strip() and value.isprintable()):
        return "text that is printable and not empty"
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if name in ("test_mse", "test_rmse", "test_mae", "paper_mse", "seconds") and value < 0:
        return "a number from 0"
    if name == "n_test" and value < 1:
        return "a test set with rows"
    if name == "kind" and value not in KINDS:
        return f"one of {', '.join(KINDS)}"
    if name == "language" and not LANGUAGE.fullmatch(value):
        return "a language code such as ta or zh-Hant"
    if name in ("predictions", "log", "encoder_log"):
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            return "a path within the folder of the results"
    return None


_HINTS = get_type_hints(Run)
