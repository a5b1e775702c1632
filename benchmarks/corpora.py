"""A corpus of stage 2 built and written: time and memory, with one split and with a search for leaks across three.

    python benchmarks/corpora.py [--rows 1000000] [--quick]

prints a table and writes it as JSON. Each measurement is a process of its own; `benchmarks/README.md` says what the
figures mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from processes import HERE, Processes, machine, reporting
from rendering import table

PACKAGES = ("datasets", "pyarrow", "rensa")
TEXTS = [str(HERE.parents[1] / "shared/data/snli" / f"snli_test.{side}") for side in ("s1", "s2")]
WAYS = {
    "one split": [],
    "three splits, leaks dropped": ["--validation_share", "0.01", "--test_share", "0.01", "--drop_leaked"],
}


def as_text(results: dict[str, Any]) -> str:
    """The table, as Markdown."""
    head = ("corpus", "pairs", "triplets", "seconds", "pairs a second", "peak memory, MiB", "Parquet, MiB")
    lines = []
    for row in results["builds"]:
        pairs, seconds = row["published"]["pairs"], row["seconds"]
        figures = (f"{pairs:,}", f"{row['published']['triplets']:,}", f"{seconds:.1f}", f"{pairs / seconds:,.0f}")
        lines.append((row["way"], *figures, f"{row['peak_memory']:,.0f}", f"{row['mib']:,.0f}"))
    about = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    return f"{about}\n\n{table(head, lines)}"


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="sentences of the source; default: 1,000,000")
    parser.add_argument("--texts", nargs="+", default=TEXTS, help="of a sentence a line; default: SNLI's test set")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it works")
    parser.add_argument("--output", type=Path, help="JSON; default: results/corpora.json, none with --quick")
    options = parser.parse_args()
    if missing := [path for path in options.texts if not Path(path).is_file()]:
        parser.error(f"--texts {missing[0]}: is not there; give files of sentences, one a line")
    rows = options.rows or (2000 if options.quick else 1_000_000)
    output = options.output or (None if options.quick else HERE / "results" / "corpora.json")
    results: dict[str, Any] = {"machine": machine(PACKAGES), "settings": {"rows": rows}, "builds": []}
    with reporting(parser, results, as_text, output) as folder:
        processes, client = Processes(folder), HERE / "corpora_client.py"
        made = processes.folder("source")
        processes.python(client, "make", str(made), str(rows), *options.texts)
        for way, flags in WAYS.items():
            report = processes.python(client, "build", str(made), *flags)
            (made / "corpus").rename(processes.folder("built") / "corpus")
            results["builds"].append({"way": way, **report})


if __name__ == "__main__":
    main()
