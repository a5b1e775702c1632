"""The demo itself, killed along the way, and installed from the wheel into an empty environment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HF_XLING = [sys.executable, "-c", "import sys; from hf_xling.cli import main; sys.exit(main())"]


def assert_is_whole(folder: Path) -> dict:
    results = json.loads((folder / "run/report/results.json").read_text(encoding="utf-8"))
    rows = {}
    for line in (folder / "run/results.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows[row["run_id"]] = row
    assert len(results["experiments"]) == 7 and set(results["baselines"]) == {"constant", "tfidf-ridge"}
    for name, summary in results["experiments"].items():
        runs = [rows[run_id]["test_mse"] for run_id in summary["run_ids"]]
        assert summary["n_runs"] == len(runs) == 3, name
        assert summary["mse_mean"] == pytest.approx(sum(runs) / 3)
    for by_language in results["baselines"].values():
        assert {summary["n_runs"] for summary in by_language.values()} == {1}
    return results


def finished_runs(folder: Path) -> dict[Path, int]:
    """The runs of every stage that say that they are finished, with the moment when they did (ns)."""
    runs = {}
    for path in folder.rglob("_run.json"):
        in_a_stage = path.parent.parent.name in ("generation", "corpora", "encoders", "experiments")
        if in_a_stage and json.loads(path.read_text(encoding="utf-8"))["finished"]:
            runs[path] = path.stat().st_mtime_ns
    return runs


@pytest.mark.slow
def test_demo_killed_and_started_again_goes_on(tmp_path: Path) -> None:
    """SIGKILL in every stage; what was finished before a kill is not made again."""
    command = [*HF_XLING, "demo", "--output_dir", "demo"]
    finished: dict[Path, int] = {}
    moments = random.Random(0)
    # So many runs are finished before each kill: it falls into generation, corpora, encoders and experiments.
    for n_finished in (0, 3, 8, 14):
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(1, 6))
        while len(finished_runs(tmp_path)) < n_finished:
            assert process.poll() is None, f"it ended before {n_finished} runs were finished"
            time.sleep(0.1)
        time.sleep(moments.uniform(0, 2))
        assert process.poll() is None, "the demo ended before its kill"
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = finished_runs(tmp_path)
        for path, moment in finished.items():
            assert now[path] == moment, f"{path.parent} was made again"
        finished = now
    assert len(finished) >= 14
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    for path, moment in finished.items():
        assert path.stat().st_mtime_ns == moment, f"{path.parent} was made again"
    results = assert_is_whole(tmp_path / "demo")
    last_lines = result.stdout.strip().splitlines()
    assert last_lines[-1].endswith("demo/run/report/index.html")
    assert all(name in result.stdout for name in results["experiments"])
    # Training works on the sample: each encoder ends far below log B (B = 64).
    for state in (tmp_path / "demo/run/encoders").glob("*/trainer_state.json"):
        losses = [
            entry["loss"] for entry in json.loads(state.read_text(encoding="utf-8"))["log_history"] if "loss" in entry
        ]
        assert losses[-1] < 0.7 * 4.1589 < losses[0] * 1.2
    for language, direct in (("en", "en-direct"), ("ta", "ta-direct")):
        constant = results["baselines"]["constant"][language]["mse_mean"]
        assert results["experiments"][direct]["mse_mean"] < 0.8 * constant


@pytest.mark.slow
def test_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    """`pip install .` into a new environment, then the demo from an empty folder with nothing of it on PATH."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["PATH"] = "/usr/bin:/bin"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True, env=environment)
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", ROOT]
    subprocess.run(list(map(str, install)), check=True, env=os.environ | environment)
    empty = tmp_path / "empty"
    empty.mkdir()
    version = subprocess.run(
        [python, "-c", "import hf_xling; print(hf_xling.__file__)"],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert str(tmp_path / "env") in version.stdout
    command = [str(tmp_path / "env" / "bin" / "hf-xling"), "demo"]
    result = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert_is_whole(empty / "runs" / "demo")
