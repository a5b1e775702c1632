"""How full generation keeps an endpoint, what a request costs, and what a million rows take, side by side with others.

    python benchmarks/generation.py [--rows 1000000] [--quick]

prints tables and writes them as JSON. Each measurement is a process of its own, against a server of its own that is a
third; `benchmarks/README.md` says what the figures mean.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import workload
from processes import HERE, Bench, machine, reporting
from rendering import as_text

PACKAGES = ("huggingface_hub", "httpx" if version("huggingface_hub").startswith("1.") else "httpx2", "pyarrow")
QUICK = {"utilisation_rows": 200, "mean": 0.01, "limit_rows": 200, "rounds": 1, "entries": 2_000, "rows": 400}
PEER = ("datatrove[io]", "aiofiles", "aiosqlite", "httpx", "xxhash<4")


def utilisation(bench: Bench) -> list[dict[str, Any]]:
    """How busy each client keeps the slots, from the first request to the last answer; start and drain left in."""
    options, rows = bench.options, bench.options.utilisation_rows
    # Behind a barrier more rows make no difference to the utilisation, but take so much longer.
    batches = {size: min(rows, max(1, rows // part // size) * size) for size, part in ((1000, 5), (50, 10))}
    runs = [
        ("hf_xling", rows, ["ours"]),
        ("hf_xling, as many as it takes by itself", rows, ["ours", "--in_flight", "0"]),
        ("AsyncInferenceClient alone", rows, ["hub"]),
        *([("datatrove", rows, None)] if bench.peer is not None else []),
        *((f"barrier of {size:,} rows", some, ["barrier", "--batch", str(size)]) for size, some in batches.items()),
    ]
    return _side_by_side(bench, options.slots, rows, options.mean, runs)


def wide(bench: Bench) -> list[dict[str, Any]]:
    """The same for eight times as many slots, each half as busy: what a client does for each request that it holds."""
    options, rows = bench.options, bench.options.utilisation_rows
    runs = [("hf_xling", rows, ["ours"]), ("AsyncInferenceClient alone", rows, ["hub"])]
    return _side_by_side(bench, 8 * options.slots, rows, 4 * options.mean, runs)


def _side_by_side(
    bench: Bench, slots: int, rows: int, mean: float, runs: Sequence[tuple[str, int, Sequence[str] | None]]
) -> list[dict[str, Any]]:
    times = workload.answer_times(rows, mean, bench.options.longest, bench.options.seed)
    ideal = workload.ideal_makespan(times, slots)
    results = [_utilised("ideal window", times, slots, ideal, ideal)]
    for name, some, arguments in runs:
        with bench.server(slots, rows, mean) as server:
            report = bench.client(server, arguments, some)
            stats = server.stats()
        assert stats["answered"] == some, f"{name}: {stats['answered']} answers for {some} rows"
        ideal = workload.ideal_makespan(times[:some], slots)
        result = _utilised(name, times[:some], slots, ideal, stats["makespan"])
        results.append({**result, "cpu_ms": 1000 * report["cpu"] / some, "server": stats, "report": report})
    return results


def _utilised(name: str, times: list[float], slots: int, ideal: float, makespan: float) -> dict[str, Any]:
    figures = {"seconds": makespan, "utilisation": sum(times) / (slots * makespan), "of_ideal": ideal / makespan}
    return {"client": name, "slots": slots, "rows": len(times), **figures}


def simulated(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The utilisation of clients that cost no time, by how long a runaway is."""
    results = []
    for longest in (10.0, 20.0, 40.0):
        times = workload.answer_times(options.utilisation_rows, 1.0, longest, options.seed)
        spans = {
            "window": workload.ideal_makespan(times, options.slots),
            "barrier_1000": workload.barrier_makespan(times, options.slots, 1000),
            "barrier_50": workload.barrier_makespan(times, options.slots, 50),
        }
        busy = sum(times) / options.slots
        results.append({"longest": longest, **{name: busy / span for name, span in spans.items()}})
    return results


def limit(bench: Bench) -> list[dict[str, Any]]:
    """What a request costs a client whose server answers at once: of several rounds the median one by CPU time.

    The clients take turns within a round, so that whatever else the machine does meets all of them.
    """
    rows = bench.options.limit_rows
    clients = {
        "hf_xling": ["ours"],
        "AsyncInferenceClient alone": ["hub"],
        "its HTTP library alone": ["httpx"],
        **({"datatrove": None} if bench.peer is not None else {}),
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in clients}
    for _ in range(bench.options.rounds):
        for name, arguments in clients.items():
            with bench.server(bench.options.slots) as server:
                rounds[name].append(bench.client(server, arguments, rows))
                assert server.stats()["answered"] == rows, f"{name}: not one answer for each row"
    results = []
    for name, reports in rounds.items():
        median = sorted(reports, key=lambda report: report["cpu"])[(len(reports) - 1) // 2]
        figures = {"rows_per_second": rows / median["seconds"], "cpu_ms": 1000 * median["cpu"] / rows}
        results.append({"client": name, "rows": rows, **figures, "rounds": reports})
    return results


def ledger(bench: Bench) -> dict[str, Any]:
    """Opening a ledger in a fresh process, after another one has filled it."""
    folder, entries = bench.folder("ledger"), bench.options.entries
    filled = bench.python(HERE / "ledger_client.py", "fill", str(folder), str(entries))
    opened = bench.python(HERE / "ledger_client.py", "open", str(folder), str(entries))
    return {"entries": entries, "filled": filled, "opened": opened}


def long_run(bench: Bench) -> dict[str, Any]:
    """A whole run against a server that answers at once, and the same command again, which finds all in the ledger."""
    rows, folder = bench.options.rows, bench.folder("long")
    with bench.server(bench.options.slots) as server:
        first = bench.client(server, ["ours"], rows, folder)
        again = bench.client(server, ["ours"], rows, folder)
        answered = server.stats()["answered"]
    assert first["accepted"] + first["rejected"] == answered == rows, "not one row and one request for each text"
    return {"rows": rows, "first": first, "again": again, "cpu_ms": 1000 * first["cpu"] / rows}


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sections = {"utilisation": utilisation, "wide": wide, "limit": limit, "ledger": ledger, "long": long_run}
    parser.add_argument("--only", nargs="+", choices=sections, default=list(sections), help="sections to measure")
    parser.add_argument(
        "--slots", type=int, default=128, help="of the server, and requests in flight; `wide`: 8 times as many"
    )
    parser.add_argument("--utilisation_rows", type=int, default=20_000)
    parser.add_argument("--mean", type=float, default=0.5, help="answer time in seconds")
    parser.add_argument("--longest", type=float, default=20.0, help="of a runaway, in multiples of the mean")
    parser.add_argument("--limit_rows", type=int, default=20_000, help="for what a request costs")
    parser.add_argument("--rounds", type=int, default=3, help="of that; the median is shown")
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the ledger")
    parser.add_argument("--rows", type=int, default=100_000, help="of the long run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few seconds in all, to see that it works")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, help="datatrove; default: not with --quick")
    parser.add_argument("--peer_python", help="an interpreter that has datatrove; default: an environment made for it")
    parser.add_argument("--output", type=Path, help="JSON; default: results/generation.json, none with --quick")
    options = parser.parse_args()
    if options.quick:
        for name, value in QUICK.items():
            if getattr(options, name) == parser.get_default(name):
                setattr(options, name, value)
    output = options.output or (None if options.quick else HERE / "results" / "generation.json")
    settings = {name: value for name, value in vars(options).items() if name not in ("output", "peer_python")}
    results: dict[str, Any] = {"machine": machine(PACKAGES), "settings": settings, "load_average": {}}
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends server and client, too
    with reporting(parser, results, as_text, output) as folder:
        bench = Bench(options, folder)
        if options.peers or (options.peers is None and not options.quick):
            bench.find_peer(PEER)
        for name in options.only:
            results["load_average"][name] = os.getloadavg()[0]
            results[name] = sections[name](bench)
        if "utilisation" in results:
            results["simulated"] = simulated(options)


if __name__ == "__main__":
    main()
