"""The benchmarks run, and their arithmetic is right. What they measure is never a test."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
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


def test_quick_run_has_all_tables(tmp_path: Path) -> None:
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
    order, refused, stats = asyncio.run(ask(times, refuse=False))
    assert order == [1, 2, 3, 0] and refused == 0
    assert (stats["answered"], stats["most_taken"], stats["most_waiting"]) == (4, 2, 2)
    assert stats["busy"] == pytest.approx(sum(times)) and stats["makespan"] > 0.59
    assert stats["utilisation"] == pytest.approx(sum(times) / 2 / stats["makespan"])
    order, refused, stats = asyncio.run(ask(times, refuse=True))
    assert order == [1, 0] and refused == stats["refused"] == 2 and stats["answered"] == 2


def test_table(benchmarks) -> None:
    from rendering import table

    assert table(("client", "rows"), [("one", "1,000")]).splitlines() == [
        *("| client |  rows |", "| ------ | ----: |", "| one    | 1,000 |"),
    ]
