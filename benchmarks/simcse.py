"""A SimCSE step side by side with sentence-transformers' and the padded one of the official code: speed and memory.

    python benchmarks/simcse.py [--device cuda] [--quick]

prints tables and writes them as JSON. Each measurement is a process of its own; `benchmarks/README.md` says what the
figures mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from processes import HERE, machine, reporting
from rendering import table
from side_by_side import Cell, Trainings, cell_table, measured, steps, title

PACKAGES = ("torch", "transformers", "sentence-transformers")
TEXTS = [str(HERE.parents[1] / "shared/data/snli" / f"snli_test.{side}") for side in ("s1", "s2")]
PEER = "sentence-transformers"
CLIENTS = {
    "hf_xling": ["ours"],
    "hf_xling, cached": ["ours", "--token_budget", "2048"],
    PEER: ["sentence_transformers"],
    f"{PEER}, cached": ["sentence_transformers", "--mini_batch", "32"],
    "padded two views": ["padded"],
}
COMPILED = {"hf_xling": ["ours"], PEER: ["sentence_transformers"], "padded two views": ["padded"]}
# Size of the encoder, precision, batch, steps that are timed, rounds.
ON_CPU = ["small:fp32:64:6:2", "small:fp32:256:3:2", "small:fp32:512:2:1", "base:fp32:64:3:1", "base:fp32:256:2:1"]
ON_CPU_IN_BF16 = [
    "small:bf16:64:8:3",
    "small:bf16:256:4:2",
    "small:bf16:512:3:1",
    "base:bf16:64:4:1",
    "base:bf16:256:3:1",
]
ON_GPU = [
    f"{size}:{kind}:{batch}:20:1" for size in ("small", "base") for kind in ("fp32", "bf16") for batch in (64, 256, 512)
]
QUICK = ["tiny:fp32:4:1:1"]


def cpu_has_bf16() -> bool:
    """Whether the CPU has bfloat16 arithmetic; where it is emulated, a step takes many times as long."""
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def same(trainings: Trainings, size: str) -> list[dict[str, Any]]:
    """Loss and gradient norm of one batch without dropout: that all clients do the same work."""
    cell = Cell(size, "fp32", 32, 1, 1)
    reports = {name: trainings.train(client, cell, "--warm_up", "0", still=True) for name, client in CLIENTS.items()}
    return [{"client": name, "loss": of["loss"], "grad_norm": of["grad_norm"]} for name, of in reports.items()]


def as_text(results: dict[str, Any]) -> str:
    """All tables, as Markdown."""
    parts = [", ".join(f"{name} {value}" for name, value in results["machine"].items())]
    if "same" in results:
        lines = [(row["client"], f"{row['loss']:.6f}", f"{row['grad_norm']:.5f}") for row in results["same"]]
        parts.append(f"The same batch without dropout\n\n{table(('client', 'loss', 'gradient norm'), lines)}")
    parts += [cell_table(cell, PEER, "pairs") for cell in results.get("steps", ())]
    parts += [cell_table(cell, PEER, "pairs", ", torch.compile") for cell in results.get("compiled", ())]
    for cell in results.get("anatomy", ()):
        heading = f"Where a step of hf_xling goes: {title(cell)}"
        lines = [(name, f"{share:.1%}") for name, share in cell["parts"].items()]
        largest = sorted(cell["kinds"].items(), key=lambda item: -item[1])[:8]
        lines += [(f"operations: {name}", f"{share:.1%}") for name, share in largest]
        if "product_rate" in cell:
            rate = f"{cell['share_of_product_rate']:.1%} of {cell['product_rate'] / 1e12:,.0f} Tflop/s"
            lines.append(("the layers' products, of the rate of one large product", rate))
        parts.append(f"{heading}\n\n{table(('part', 'share'), lines)}")
    return "\n\n".join(parts)


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sections = ("same", "steps", "anatomy", "compiled")
    parser.add_argument("--only", nargs="+", choices=sections, help="sections to measure; --quick: all but the last")
    parser.add_argument("--cells", nargs="+", help="SIZE:PRECISION:BATCH:STEPS:ROUNDS, such as base:bf16:512:20:1")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS), help="of `steps`")
    parser.add_argument(
        "--texts", nargs="+", default=TEXTS, help="text files, a sentence a line; default: SNLI's test split"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="half a minute in all, to see that it works")
    parser.add_argument("--output", type=Path, help="JSON; default: results/simcse-DEVICE.json, none with --quick")
    options = parser.parse_args()
    options.only = options.only or sections[: 3 if options.quick else 4]
    if missing := [path for path in options.texts if not Path(path).is_file()]:
        parser.error(f"--texts {missing[0]}: is not there; give files of sentences, one a line")
    on_cpu = ON_CPU + (ON_CPU_IN_BF16 if cpu_has_bf16() else [])
    cells = options.cells or (QUICK if options.quick else ON_GPU if options.device == "cuda" else on_cpu)
    cells = [Cell.parse(cell) for cell in cells]
    output = options.output or (None if options.quick else HERE / "results" / f"simcse-{options.device}.json")
    clients = {name: CLIENTS[name] for name in options.clients}
    settings = {"device": options.device, "cells": [vars(cell) for cell in cells], "max_length": 32}
    results: dict[str, Any] = {"machine": machine(PACKAGES), "settings": settings}
    with reporting(parser, results, as_text, output) as folder:
        trainings = Trainings("simcse_clients.py", options, folder)
        if "same" in options.only:
            results["same"] = same(trainings, cells[0].size)
        if "steps" in options.only:
            results["steps"] = [measured(cell, lambda cell: steps(trainings, cell, clients)) for cell in cells]
        if "compiled" in options.only:
            compiled = lambda cell: steps(trainings, cell, COMPILED, "--compile", "--warm_up", "4")  # noqa: E731
            results["compiled"] = [measured(cells[0], compiled)]
        if "anatomy" in options.only:
            taken_apart = lambda cell: trainings.train(["ours"], cell, "--anatomy")["anatomy"]  # noqa: E731
            results["anatomy"] = [measured(cell, taken_apart) for cell in (cells[0], cells[-1])]


if __name__ == "__main__":
    main()
