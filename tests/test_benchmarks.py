"""The benchmarks run, and their arithmetic is right. What they measure is never a test."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from virtual_time import run as on_virtual_time

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SIMCSE = [
    *("hf_xling", "hf_xling, cached", "sentence-transformers", "sentence-transformers, cached", "padded two views"),
]
LINES = {
    "utilisation": [
        *("ideal window", "hf_xling", "hf_xling, as many as it takes by itself"),
        *("AsyncInferenceClient alone", "barrier of 1,000 rows", "barrier of 50 rows"),
    ],
    "wide": ["ideal window", "hf_xling", "AsyncInferenceClient alone"],
    "limit": ["hf_xling", "AsyncInferenceClient alone", "its HTTP library alone"],
}


@pytest.fixture
def benchmarks(monkeypatch) -> None:
    """The benchmarks' modules can be imported, as where one of them is the script that runs."""
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.mark.slow
def test_quick_run_of_generation(tmp_path: Path) -> None:
    output = tmp_path / "generation.json"
    command = [sys.executable, str(BENCHMARKS / "generation.py"), "--quick", "--slots", "8", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text(encoding="utf-8"))
    assert str(tmp_path) not in output.read_text(encoding="utf-8")
    for section, names in LINES.items():
        assert [row["client"] for row in results[section]] == names
        assert all(f"| {name} " in done.stdout for name in names)
    for section, slots in (("utilisation", 8), ("wide", 64)):
        ideal, *measured = results[section]
        assert ideal["of_ideal"] == 1.0 and 0 < ideal["utilisation"] <= 1
        for row in measured:
            stats = row["server"]
            # No clock is tested here: only that nobody beats the ideal, with no more slots than there are.
            assert stats["answered"] == row["rows"] and 0 < row["of_ideal"] < 1.001 and 1 < stats["most_taken"] <= slots
            assert row["utilisation"] == pytest.approx(stats["utilisation"])
    whole = results["long"]["first"]
    assert whole["accepted"] + whole["rejected"] == results["long"]["rows"] == whole["requests"]
    assert results["long"]["again"]["requests"] == 0 and results["long"]["again"]["accepted"] == whole["accepted"]
    assert "| open a ledger of 2,000 entries " in done.stdout and "| run of 400 rows " in done.stdout


@pytest.fixture
def sentences_file(tmp_path: Path, sentences: list[str]) -> Path:
    """Text for the benchmarks of training."""
    path = tmp_path / "sentences.txt"
    path.write_text("\n".join(sentences), encoding="utf-8")
    return path


def quick(script: str, texts: Path, output: Path, *more: str) -> tuple[dict, str]:
    """The JSON and the tables of a quick run on one thread."""
    command = [
        sys.executable,
        str(BENCHMARKS / script),
        "--quick",
        "--texts",
        str(texts),
        "--output",
        str(output),
        *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert str(output.parent) not in output.read_text(encoding="utf-8")
    return json.loads(output.read_text(encoding="utf-8")), done.stdout


@pytest.mark.slow
def test_quick_run_of_simcse(tmp_path: Path, sentences_file: Path) -> None:
    """All clients do the same work: one loss and one gradient."""
    results, tables = quick("simcse.py", sentences_file, tmp_path / "simcse.json")
    assert [row["client"] for row in results["same"]] == SIMCSE
    first = results["same"][0]
    assert first["loss"] > 1 and first["grad_norm"] > 1e-3
    for row in results["same"]:
        assert row["loss"] == pytest.approx(first["loss"], rel=1e-4)
        assert row["grad_norm"] == pytest.approx(first["grad_norm"], rel=1e-3)
    (cell,) = results["steps"]
    assert [row["client"] for row in cell["rows"]] == SIMCSE
    for row in cell["rows"]:
        assert row["rows_per_second"] == pytest.approx(cell["batch"] / row["seconds"])
        assert row["peak_memory"] > 100 and len(row["rounds"][0]["seconds"]) == cell["steps"]
    assert sum(results["anatomy"][0]["parts"].values()) == pytest.approx(1.0)
    assert sum(results["anatomy"][0]["kinds"].values()) == pytest.approx(1.0)
    assert "| sentence-transformers, cached " in tables and "Where a step of hf_xling goes" in tables


@pytest.mark.slow
def test_quick_run_of_regression(tmp_path: Path, sentences_file: Path) -> None:
    results, tables = quick("regression.py", sentences_file, tmp_path / "regression.json", "--rows", "200")
    ours, stock = results["same"]
    assert ours["loss"] == pytest.approx(stock["loss"], rel=1e-5) and ours["loss"] > 0.5
    (cell,) = results["steps"]
    assert [row["client"] for row in cell["rows"]] == ["hf_xling", "Trainer"]
    assert [row["rows"] for row in results["predict"]] == [20, 200]
    assert "hf-xling predict" in tables


@pytest.mark.slow
def test_quick_run_of_corpora(tmp_path: Path, sentences_file: Path) -> None:
    results, tables = quick("corpora.py", sentences_file, tmp_path / "corpora.json", "--rows", "400")
    one, three = results["builds"]
    assert one["published"] == {"sentences": 400, "pairs": 400, "triplets": 100}
    assert 300 < three["published"]["pairs"] <= 400  # 1% of 133 rows may be none
    assert "| three splits, leaks dropped " in tables


def test_a_cell_is_named_by_its_parts(benchmarks) -> None:
    from side_by_side import Cell

    assert Cell.parse("base:bf16:512:20:1") == Cell("base", "bf16", 512, 20, 1)


def test_documents_have_a_heavy_tail(benchmarks, sentences_file: Path) -> None:
    from regression_clients import documents

    lengths = sorted(len(text.split()) for text in documents([str(sentences_file)], 2000))
    assert lengths[0] >= 5 and lengths[-1] == 510 and 80 < lengths[1000] < 100 and lengths[1800] > 250


def test_ideal_makespan(benchmarks) -> None:
    from workload import barrier_makespan, ideal_makespan

    # Two slots: 3 and 1 begin; 2 follows the 1 and ends at 3; 2 and 1 begin at 3; the last one, of 4, begins at 4.
    times = [3.0, 1.0, 2.0, 2.0, 1.0, 4.0]
    assert ideal_makespan(times, 2) == 8.0
    assert ideal_makespan(times, 1) == sum(times)
    assert ideal_makespan(times, 6) == ideal_makespan(times, 100) == max(times)
    assert ideal_makespan([], 2) == 0.0
    # Batches of two: 3 and 1, then 2 and 2, then 1 and 4; of four: 3 | 1 2 2, then 1 | 4.
    assert barrier_makespan(times, 2, 2) == 3 + 2 + 4
    assert barrier_makespan(times, 2, 4) == 5 + 4
    assert barrier_makespan(times, 2, 6) == 8.0


def test_answer_times_have_their_mean_and_their_tail(benchmarks) -> None:
    from workload import answer_times

    times = answer_times(200_000, mean=0.5, longest=20.0, seed=0)
    assert times == answer_times(200_000, 0.5, 20.0, 0) and times[:9] == answer_times(9, 0.5, 20.0, 0)
    runaways = [time for time in times if time == 10.0]
    assert sum(times) / len(times) == pytest.approx(0.5, rel=0.01)
    assert len(runaways) / len(times) == pytest.approx(0.005, rel=0.1)


def test_every_row_is_asked_for_by_its_number(benchmarks) -> None:
    from workload import answer, number_in, sentence

    numbers = [*range(2000), 10**6, 2**31]
    assert [number_in(f'{{"inputs": "Translate 7.\\n{sentence(n)}"}}'.encode()) for n in numbers] == numbers
    assert len({answer(n) for n in numbers}) == len({sentence(n) for n in numbers}) == len(numbers)


def test_slots_are_held_for_their_time_and_the_others_wait(benchmarks) -> None:
    from loopback_server import Slots

    async def ask(times: list[float], refuse: bool) -> tuple[list[int], int, dict]:
        slots, order, refused = Slots(2, times, refuse), [], []
        for number in range(len(times)):
            slots.ask(number, lambda waited, number=number: (refused if waited is None else order).append(number))
        while len(order) + len(refused) < len(times):
            await asyncio.sleep(0.01)
        return order, len(refused), slots.stats()

    times = [0.6, 0.05, 0.05, 0.05]
    order, refused, stats = on_virtual_time(ask(times, refuse=False))
    assert order == [1, 2, 3, 0] and refused == 0
    assert (stats["answered"], stats["most_taken"], stats["most_waiting"]) == (4, 2, 2)
    assert stats["busy"] == pytest.approx(sum(times)) and stats["makespan"] == pytest.approx(0.6)
    assert stats["utilisation"] == pytest.approx(sum(times) / 2 / stats["makespan"])
    order, refused, stats = on_virtual_time(ask(times, refuse=True))
    assert order == [1, 0] and refused == stats["refused"] == 2 and stats["answered"] == 2


def test_table(benchmarks) -> None:
    from rendering import table

    assert table(("client", "rows"), [("one", "1,000")]).splitlines() == [
        *("| client |  rows |", "| ------ | ----: |", "| one    | 1,000 |"),
    ]
