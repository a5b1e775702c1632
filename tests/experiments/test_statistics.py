"""Rows in, means and spreads out: against numpy, and with every kind of row that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from report_fixture import add_run, make_results, read_rows

from hf_xling.errors import InputError
from hf_xling.experiments.statistics import METRICS, read_history, read_predictions, read_results, summarise


def write_rows(folder: Path, *rows: dict[str, Any]) -> None:
    (folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_summaries_agree_with_numpy(tmp_path: Path) -> None:
    rows = read_rows(make_results(tmp_path))
    summaries = summarise(read_results(tmp_path))
    assert len(summaries) == len({(row["experiment"], row["language"]) for row in rows.values()})
    means = {}
    for summary in summaries:
        own = [
            row
            for row in rows.values()
            if (row["experiment"], row["language"]) == (summary.experiment, summary.language)
        ]
        means[summary.language, summary.experiment] = numpy.array([row["test_mse"] for row in own]).mean()
        assert list(summary.run_ids) == [row["run_id"] for row in own]
        assert summary.n_runs == len(own) == (3 if summary.kind == "experiment" else 1)
        for metric in METRICS:
            mean, std = getattr(summary, f"{metric}_mean"), getattr(summary, f"{metric}_std")
            values = [row[f"test_{metric}"] for row in own]
            if None in values:
                assert summary.experiment == "constant" and mean is None and std is None
                continue
            assert mean == pytest.approx(numpy.array(values).mean(), rel=1e-12)
            if len(values) == 1:
                assert std is None
            else:
                assert std == pytest.approx(numpy.sqrt(numpy.var(values, ddof=1)), rel=1e-12) and std > 0
    for summary in summaries:
        mean = means[summary.language, summary.experiment]
        if summary.experiment.endswith("-direct"):
            assert summary.difference_to_direct is None
        else:
            expected = mean - means[summary.language, f"{summary.language}-direct"]
            assert summary.difference_to_direct == pytest.approx(expected, rel=1e-12)
        others = {"constant", "tfidf-ridge"} - {summary.experiment}
        assert summary.beats == {name: mean < means[summary.language, name] for name in others}


def test_order_is_first_appearance_with_baselines_behind_their_language(tmp_path: Path) -> None:
    add_run(tmp_path, "constant", None, language="ta", noise=None)
    add_run(tmp_path, "ta-x", 1, noise=0.4)
    add_run(tmp_path, "en-direct", 1, noise=0.4)
    add_run(tmp_path, "ta-direct", 1, noise=0.4)
    order = [(summary.language, summary.experiment) for summary in summarise(read_results(tmp_path))]
    assert order == [("ta", "ta-x"), ("ta", "ta-direct"), ("ta", "constant"), ("en", "en-direct")]


def test_without_direct_or_baselines_nothing_is_compared(tmp_path: Path) -> None:
    add_run(tmp_path, "ta-simcse-murasu", 1, noise=0.4)
    (summary,) = summarise(read_results(tmp_path))
    assert summary.difference_to_direct is None and summary.beats == {} and summary.mse_std is None


def test_the_last_row_of_a_run_counts(tmp_path: Path) -> None:
    first = add_run(tmp_path, "ta-direct", 1, noise=0.9)
    add_run(tmp_path, "ta-direct", 2, noise=0.5)
    again = add_run(tmp_path, "ta-direct", 1, noise=0.3)
    assert first["test_mse"] != again["test_mse"]
    runs = read_results(tmp_path)
    assert [run.run_id for run in runs] == ["ta-direct/seed-1", "ta-direct/seed-2"]
    assert runs[0].test_mse == again["test_mse"]


def test_a_correlation_that_one_run_lacks_has_no_mean(tmp_path: Path) -> None:
    add_run(tmp_path, "ta-direct", 1, noise=0.5)
    add_run(tmp_path, "ta-direct", 2, noise=None)
    (summary,) = summarise(read_results(tmp_path))
    assert summary.pearson_mean is None and summary.pearson_std is None
    assert summary.mse_std is not None


@pytest.mark.parametrize("content", [None, "", "\n \n"])
def test_no_results_says_what_writes_them(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "results.jsonl").write_text(content)
    with pytest.raises(InputError, match=r"results\.jsonl: .*hf-xling experiments --config"):
        read_results(tmp_path)


@pytest.mark.parametrize("line", ['{"run_id": "ta-dir', "[1]", "3", '{"test_mse": NaN}', "\x00", '{"run_id": "x"}'])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    add_run(tmp_path, "ta-direct", 1, noise=0.5)
    with open(tmp_path / "results.jsonl", "a") as stream:
        stream.write(line)
    with pytest.raises(InputError, match=r"results\.jsonl, line 2: ") as caught:
        read_results(tmp_path)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_bytes(b'{"run_id": "\xff"}\n')
    with pytest.raises(InputError, match="is not UTF-8"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run_id", ""),
        ("run_id", 3),
        ("experiment", "ta\u001b[31m"),
        ("experiment", "ta\ndirect"),
        ("kind", "trial"),
        ("language", "../ta"),
        ("seed", True),
        ("seed", 1.5),
        ("n_test", 0),
        ("n_test", None),
        ("test_mse", "0.3"),
        ("test_mse", None),
        ("test_mse", -0.1),
        ("test_mse", 10**400),
        ("test_pearson", False),
        ("predictions", "/etc/passwd"),
        ("predictions", "../other/predictions.csv"),
        ("log", "a/../../b.json"),
        ("paper_mse", "0.4"),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, field: str, value: Any) -> None:
    row = add_run(tmp_path, "ta-direct", 1, noise=0.5)
    write_rows(tmp_path, row, {**row, field: value})
    with pytest.raises(InputError, match=rf"results\.jsonl, line 2: `{field}` is "):
        read_results(tmp_path)


def test_a_missing_field_is_named_and_a_missing_null_is_null(tmp_path: Path) -> None:
    row = add_run(tmp_path, "ta-direct", 1, noise=0.5)
    write_rows(tmp_path, {key: value for key, value in row.items() if key != "paper_mse"})
    assert read_results(tmp_path)[0].paper_mse is None
    write_rows(tmp_path, {key: value for key, value in row.items() if key != "test_mae"})
    with pytest.raises(InputError, match="line 1: has no `test_mae`"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"task": "other.csv"}, "language ta has two values of task"),
        ({"n_test": 7}, "language ta has two values of n_test"),
        ({"paper_mse": 0.1}, "experiment ta-direct has two values of paper_mse"),
        ({"kind": "baseline"}, "experiment ta-direct has two values of kind"),
        ({"language": "en"}, "experiment ta-direct has two values of language"),
    ],
)
def test_rows_that_cannot_stand_in_one_mean(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    add_run(tmp_path, "ta-direct", 1, noise=0.5)
    add_run(tmp_path, "ta-direct", 2, noise=0.5, **changes)
    with pytest.raises(InputError, match=named):
        summarise(read_results(tmp_path))


def test_predictions_are_those_of_the_row(tmp_path: Path) -> None:
    row = add_run(tmp_path, "ta-direct", 1, noise=0.5)
    (run,) = read_results(tmp_path)
    true, predicted = read_predictions(tmp_path, run)
    assert len(true) == row["n_test"] and numpy.mean((true - predicted) ** 2) == pytest.approx(
        row["test_mse"], rel=1e-12
    )

    path = tmp_path / run.predictions
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(InputError, match=r"predictions\.csv: has 119 rows; ta-direct/seed-1 .* n_test 120"):
        read_predictions(tmp_path, run)
    path.write_text("\n".join([*lines[:-1], "119,1.0,99"]) + "\n")
    with pytest.raises(InputError, match=r"its MSE is .*of another run"):
        read_predictions(tmp_path, run)
    path.write_text("\n".join([*lines[:-1], "119,1.0,nan"]) + "\n")
    with pytest.raises(InputError, match=r"predictions\.csv, row 120 \(line 121\): prediction is 'nan'"):
        read_predictions(tmp_path, run)
    path.unlink()
    with pytest.raises(InputError, match=r"ta-direct/seed-1/predictions\.csv: no such file"):
        read_predictions(tmp_path, run)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"log_history": 3}', '{"log_history": [1]}'])
def test_a_log_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "state.json").write_text(content)
    with pytest.raises(InputError, match=r"state\.json: "):
        read_history(tmp_path, "state.json")
