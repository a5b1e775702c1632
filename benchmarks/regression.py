"""A regression step side by side with the stock Trainer's, and `hf-xling predict` over many rows: speed and memory.

    python benchmarks/regression.py [--device cuda] [--quick]

prints tables and writes them as JSON. Each measurement is a process of its own; `benchmarks/README.md` says what the
figures mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from processes import HERE, machine, reporting
from rendering import table
from side_by_side import Cell, Trainings, cell_table, measured, steps

PACKAGES = ("torch", "transformers")
TEXTS = [str(HERE.parents[1] / "shared/data/snli" / f"snli_test.{side}") for side in ("s1", "s2")]
PEER = "Trainer"
CLIENTS = {"hf_xling": ["ours"], PEER: ["stock"]}
# Size of the encoder, precision, batch, steps that are timed, rounds.
ON_CPU = ["small:fp32:16:4:2", "base:fp32:16:2:1"]
ON_GPU = [f"{size}:{precision}:16:30:1" for size in ("small", "base") for precision in ("fp32", "bf16")]
QUICK = ["tiny:fp32:4:1:1"]


def same(trainings: Trainings, cell: Cell) -> list[dict[str, Any]]:
    """The loss of one batch without dropout: that all clients see the same documents."""
    one = Cell(cell.size, "fp32", 8, 1, 1)
    reports = {name: trainings.train(client, one, "--warm_up", "0", still=True) for name, client in CLIENTS.items()}
    return [{"client": name, "loss": report["loss"]} for name, report in reports.items()]


def predictions(trainings: Trainings, size: str, rows: int) -> list[dict[str, Any]]:
    """`hf-xling predict` over a tenth of the rows, and over all of them."""
    found = []
    for count in (rows // 10, rows):
        report = trainings.run(["predict"], Path(trainings.checkpoint(size)), "--rows", str(count))
        found.append({"size": size, "rows": count, **report})
    return found


def as_text(results: dict[str, Any]) -> str:
    """All tables, as Markdown."""
    parts = [", ".join(f"{name} {value}" for name, value in results["machine"].items())]
    lines = [(row["client"], f"{row['loss']:.6f}") for row in results["same"]]
    parts.append(f"The same batch without dropout\n\n{table(('client', 'loss'), lines)}")
    parts += [cell_table(cell, PEER, "documents") for cell in results["steps"]]
    lines = [
        (
            f"{row['rows']:,}",
            f"{row['seconds']:.1f}",
            f"{row['rows'] / row['seconds']:,.0f}",
            f"{row['peak_memory']:.0f}",
        )
        for row in results["predict"]
    ]
    head = ("rows", "seconds", "rows a second", "peak memory, MiB")
    parts.append(f"hf-xling predict, {results['predict'][0]['size']} encoder\n\n{table(head, lines)}")
    return "\n\n".join(parts)


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", help="SIZE:PRECISION:BATCH:STEPS:ROUNDS, such as base:bf16:16:30:1")
    parser.add_argument("--rows", type=int, help="for `predict`; default: 100,000")
    parser.add_argument("--predict_size", default="tiny", help="of the encoder for `predict`")
    parser.add_argument("--texts", nargs="+", default=TEXTS, help="of a sentence a line; default: SNLI's test set")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="a minute in all, to see that it works")
    parser.add_argument("--output", type=Path, help="JSON; default: results/regression-DEVICE.json, none with --quick")
    options = parser.parse_args()
    if missing := [path for path in options.texts if not Path(path).is_file()]:
        parser.error(f"--texts {missing[0]}: is not there; give files of sentences, one a line")
    names = options.cells or (QUICK if options.quick else ON_GPU if options.device == "cuda" else ON_CPU)
    cells = [Cell.parse(name) for name in names]
    rows = options.rows or (1000 if options.quick else 100_000)
    output = options.output or (None if options.quick else HERE / "results" / f"regression-{options.device}.json")
    settings = {"device": options.device, "cells": [vars(cell) for cell in cells], "rows": rows}
    results: dict[str, Any] = {"machine": machine(PACKAGES), "settings": settings}
    with reporting(parser, results, as_text, output) as folder:
        trainings = Trainings("regression_clients.py", options, folder)
        results["same"] = same(trainings, cells[0])
        results["steps"] = [measured(cell, lambda cell: steps(trainings, cell, CLIENTS)) for cell in cells]
        results["predict"] = predictions(trainings, options.predict_size, rows)


if __name__ == "__main__":
    main()
