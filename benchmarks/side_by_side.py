"""Trainings side by side: what is compared with what, their processes, and the table that they make."""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import HERE, OutOfMemory, Processes
from rendering import table


@dataclass(frozen=True)
class Cell:
    """What is compared with one another: one size, precision and batch."""

    size: str
    precision: str
    batch: int
    steps: int
    rounds: int

    @classmethod
    def parse(cls, text: str) -> Cell:
        """`small:fp32:64:4:3`."""
        size, precision, *numbers = text.split(":")
        return cls(size, precision, *map(int, numbers))


class Trainings(Processes):
    """The processes of a benchmark of training: checkpoints, made once, and the clients in `script`."""

    def __init__(self, script: str, options: argparse.Namespace, folder: Path):
        super().__init__(folder)
        self.script, self.options = HERE / script, options

    def checkpoint(self, size: str, still: bool = False) -> str:
        """The folder of a random encoder; `still` ones have no dropout."""
        folder = self._folder / f"{size}{'-still' if still else ''}"
        if not folder.exists():
            self.run(["make"], folder, "--size", size, *(["--still"] if still else []))
        return str(folder)

    def train(self, client: Sequence[str], cell: Cell, *more: str, still: bool = False) -> dict[str, Any]:
        """What one client reports of `cell`."""
        numbers = {"precision": cell.precision, "batch": cell.batch, "steps": cell.steps}
        flags = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
        flags += ["--still"] if still else []
        return self.run(client, Path(self.checkpoint(cell.size, still)), *flags, *more)

    def run(self, client: Sequence[str], model: Path, *flags: str) -> dict[str, Any]:
        """What a client reports of the checkpoint `model`."""
        common = ["--model", str(model), "--texts", *self.options.texts, "--device", self.options.device]
        return self.python(self.script, *client, *common, *flags)


def steps(trainings: Trainings, cell: Cell, clients: dict[str, list[str]], *more: str) -> dict[str, Any]:
    """The median step of each client; they take turns, so that whatever else the machine does meets all of them."""
    reports: dict[str, list[dict[str, Any]]] = {name: [] for name in clients}
    for _ in range(cell.rounds):
        for name, client in clients.items():
            try:
                reports[name].append(trainings.train(client, cell, *more))
            except OutOfMemory:
                reports[name].append({"seconds": [], "peak_memory": None})
    rows = []
    for name, rounds in reports.items():
        seconds = [second for report in rounds for second in report["seconds"]]
        row: dict[str, Any] = {"client": name, "rounds": rounds}
        if seconds:
            step = statistics.median(seconds)
            row |= {
                "seconds": step,
                "rows_per_second": cell.batch / step,
                "tokens_per_second": rounds[0]["tokens"] / step,
            }
            row["peak_memory"] = max(report["peak_memory"] for report in rounds)
        rows.append(row)
    return {**vars(cell), "rows": rows}


def measured(cell: Cell, measure: Callable[[Cell], dict[str, Any]]) -> dict[str, Any]:
    """What `measure` finds of `cell`, with what the machine had to do before."""
    load = os.getloadavg()[0]
    return {**vars(cell), **measure(cell), "load_average": load}


def title(cell: dict[str, Any]) -> str:
    """What was compared, for the heading of a table."""
    return f"{cell['size']}, {cell['precision']}, batch {cell['batch']:,}, load {cell['load_average']:.1f} before"


def cell_table(cell: dict[str, Any], peer_name: str, unit: str, more: str = "") -> str:
    """What was measured of one cell, as a table; speed and memory are ratios to `peer_name`'s."""
    head = ("client", "s a step", f"{unit}/s", "tokens/s", "speed", "peak MiB", "memory", f"hours for 1M {unit}")
    peer = next((row for row in cell["rows"] if row["client"] == peer_name), {})  # not measured, or out of memory
    lines = []
    for row in cell["rows"]:
        if "seconds" not in row:
            lines.append((row["client"], *["out of memory"], *[""] * (len(head) - 2)))
            continue
        speed, memory = (
            f"{row[name] / peer[name]:.2f}" if name in peer else "" for name in ("rows_per_second", "peak_memory")
        )
        figures = (
            f"{row['seconds']:.2f}",
            f"{row['rows_per_second']:,.1f}",
            f"{row['tokens_per_second']:,.0f}",
            speed,
        )
        hours = f"{1e6 / row['rows_per_second'] / 3600:.2f}"
        lines.append((row["client"], *figures, f"{row['peak_memory']:,.0f}", memory, hours))
    return f"{title(cell)}{more}\n\n{table(head, lines)}"
