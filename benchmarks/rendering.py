"""The results as tables that people read in a terminal and in Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def as_text(results: dict[str, Any]) -> str:
    """All tables, as Markdown."""
    loads = ", ".join(f"{load:.1f} ({name})" for name, load in results["load_average"].items())
    parts = [", ".join(f"{name} {value}" for name, value in results["machine"].items())]
    parts.append(f"Load average before each part: {loads}")
    if "utilisation" in results:
        parts += [_utilisation(results["utilisation"]), _simulated(results["simulated"])]
    if "wide" in results:
        parts.append(_utilisation(results["wide"]))
    if "limit" in results:
        parts.append(_limit(results["limit"]))
    lines = []
    if (of := results.get("ledger")) is not None:
        name = f"ledger of {of['entries']:,} entries"
        lines += [(f"fill a {name}", *_took(of["filled"], of["entries"]))]
        lines += [(f"open a {name}", *_took(of["opened"], of["entries"]))]
    if (of := results.get("long")) is not None:
        lines += [(f"run of {of['rows']:,} rows", *_took(of["first"], of["rows"]))]
        lines += [("the same command again", *_took(of["again"], of["rows"]))]
    if lines:
        head = ("what", "seconds", "a second", "CPU seconds", "peak memory, MiB")
        parts.append(f"Large runs\n\n{table(head, lines)}")
    return "\n\n".join(parts)


def _utilisation(rows: Sequence[dict[str, Any]]) -> str:
    head = ("client", "rows", "seconds", "utilisation", "of ideal", "CPU ms a request")
    lines = [
        (
            row["client"],
            f"{row['rows']:,}",
            f"{row['seconds']:.1f}",
            f"{row['utilisation']:.3f}",
            f"{row['of_ideal']:.3f}",
            f"{row['cpu_ms']:.2f}" if "cpu_ms" in row else "",
        )
        for row in rows
    ]
    return f"Server utilisation, {rows[0]['slots']:,} slots\n\n{table(head, lines)}"


def _simulated(rows: Sequence[dict[str, Any]]) -> str:
    head = ("runaway, in means", "ideal window", "barrier of 1,000 rows", "barrier of 50 rows")
    names = ("window", "barrier_1000", "barrier_50")
    lines = [(f"{row['longest']:.0f}", *(f"{row[name]:.3f}" for name in names)) for row in rows]
    return f"The same by arithmetic alone\n\n{table(head, lines)}"


def _limit(rows: Sequence[dict[str, Any]]) -> str:
    head = ("client", "rows", "rows a second", "CPU ms a request", "ratio")
    lines = [
        (
            row["client"],
            f"{row['rows']:,}",
            f"{row['rows_per_second']:,.0f}",
            f"{row['cpu_ms']:.2f}",
            f"{row['cpu_ms'] / rows[0]['cpu_ms']:.2f}",
        )
        for row in rows
    ]
    return f"The client's limit: a server that answers at once\n\n{table(head, lines)}"


def _took(report: dict[str, Any], count: int) -> tuple[str, ...]:
    seconds = report["seconds"]
    return f"{seconds:.1f}", f"{count / seconds:,.0f}", f"{report['cpu']:.1f}", f"{report['peak_memory']:.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, figures to the right.

    >>> print(table(("client", "rows"), [("one", "1,000")]))
    | client |  rows |
    | ------ | ----: |
    | one    | 1,000 |
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(_aligned(line, widths))} |" for line in (head, rule, *rows))


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
