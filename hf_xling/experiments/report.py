"""The report of the experiments: `results.jsonl` in, a page, its Markdown, the numbers as JSON and the figures out."""

from __future__ import annotations

import argparse
import base64
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from markupsafe import Markup

from hf_xling.errors import InputError
from hf_xling.experiments.statistics import RESULTS_FILE, Run, Summary, read_results, summarise
from hf_xling.runs import file_hash, written_aside

if TYPE_CHECKING:
    from hf_xling.experiments.plots import Drawing

COLUMNS = (
    "experiment",
    "runs",
    "MSE (mean ± sd)",
    "difference to direct",
    "MAE",
    "Pearson r",
    "paper, on its own data",
)
SPREAD = "The spread (sd) is over seeds on one split only."
HOW_TO_READ = (
    "MSE, the mean squared error on the test set, is what the experiments are about: lower is better.",
    "“± sd” is the sample standard deviation over the runs of a row. The spread is over seeds on one split only: "
    "it does not say how the figures would change with other test texts, and a row with one run has none. There are no "
    "intervals and no significance tests here.",
    "“Difference to direct” is the row's mean MSE minus that of the experiment without a contrastive stage in the same "
    "language: below zero is better than direct. A difference that is small beside the spread shows nothing.",
    "A row says something about the texts only if it beats the constant baseline, which predicts the mean of the "
    "training ratings for every text; a simple model such as tfidf-ridge is what an encoder has to beat to be worth "
    "its cost.",
    "The paper's figures come from other data. They cannot be compared with a row here number by number, only in their "
    "direction: which experiments the paper found better than which. “not reported”: the paper has no figure.",
    "“undefined”: Pearson's r does not exist for a run that predicts the same for every text, so the row has no mean.",
)


@dataclass(frozen=True)
class Report:
    """Where a report was written, and the summaries that it shows."""

    summaries: tuple[Summary, ...]
    html: Path
    markdown: Path
    results: Path
    figures: tuple[Path, ...]


def write_report(folder: str | Path) -> Report:
    """Write `folder/report/` from `folder/results.jsonl` and the files that its rows name.

    The folder appears whole; a failure leaves an older report as it was. The same results give the same bytes.

    Raises:
        InputError: the results, a predictions file or a log is missing or cannot be used.
    """
    from hf_xling.experiments.plots import draw_figures

    folder = Path(folder)
    runs = read_results(folder)
    summaries = summarise(runs)
    report = folder / "report"
    with written_aside(report) as aside:
        drawings = draw_figures(runs, summaries, folder, aside / "figures")
        facts = _facts(runs, summaries, drawings, file_hash(folder / RESULTS_FILE))
        pictures = {drawing.name: _data_uri(aside / "figures" / drawing.name) for drawing in drawings}
        page = _environment(html=True).get_template("report.html.j2").render(facts, pictures=pictures)
        text = _environment(html=False).get_template("report.md.j2").render(facts)
        (aside / "index.html").write_text(page, encoding="utf-8")
        (aside / "report.md").write_text(text, encoding="utf-8")
        results = json.dumps(results_of(summaries), ensure_ascii=False, indent=2, allow_nan=False)
        (aside / "results.json").write_text(results + "\n", encoding="utf-8")
    figures = tuple(report / "figures" / drawing.name for drawing in drawings)
    return Report(tuple(summaries), report / "index.html", report / "report.md", report / "results.json", figures)


def results_of(summaries: Sequence[Summary]) -> dict[str, Any]:
    """The content of `results.json`: the experiments by name, the baselines by name and language."""
    content: dict[str, Any] = {"format": 1, "experiments": {}, "baselines": {}}
    for summary in summaries:
        entry = {key: value for key, value in asdict(summary).items() if key not in ("experiment", "kind")}
        if summary.kind == "experiment":
            content["experiments"][summary.experiment] = entry
        else:
            content["baselines"].setdefault(summary.experiment, {})[summary.language] = entry
    return content


def results_table(summaries: Sequence[Summary]) -> str:
    """The tables of the report as aligned plain text, one for each language."""
    blocks = []
    for language, own in _by_language(summaries).items():
        rows = [COLUMNS, *([cell.replace("−", "-") for cell in _cells(summary)] for summary in own)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        compared = [f"By mean MSE {said}: {', '.join(names)}" for said, names in verdicts(own)]
        blocks.append("\n".join([f"{language}: {_tested_on(own)}", "", *lines, *([""] if compared else []), *compared]))
    return "\n\n".join(blocks)


def verdicts(summaries: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """For the rows of one language, which baselines their mean beats: (what is said, the experiments it is said of)."""
    groups: dict[str, list[str]] = {}
    for summary in summaries:
        if summary.kind == "experiment" and summary.beats:
            won = " and ".join(name for name, below in summary.beats.items() if below)
            lost = " or ".join(name for name, below in summary.beats.items() if not below)
            if won:
                said = f"better than {won}" + (f", not better than {lost}" if lost else "")
            else:
                said = f"not better than {lost}"
            groups.setdefault(said, []).append(summary.experiment)
    return list(groups.items())


def main(argv: Sequence[str]) -> str:
    """`hf-xling report DIR`: write the report and return the closing lines."""
    parser = _Parser(prog="hf-xling report", description="Write DIR/report/ from DIR/results.jsonl.")
    parser.add_argument("folder", metavar="DIR", type=Path, help="the output folder of `hf-xling experiments`")
    report = write_report(parser.parse_args(list(argv)).folder)
    written = [report.html, report.markdown, report.results, *report.figures]
    return "\n".join([results_table(report.summaries), "", SPREAD, "", *map(str, written)])


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def _facts(runs: Sequence[Run], summaries: Sequence[Summary], drawings: Sequence[Drawing], sha: str) -> dict[str, Any]:
    """What both templates show."""
    return {
        "columns": COLUMNS,
        "spread": SPREAD,
        "how_to_read": HOW_TO_READ,
        "languages": [
            {
                "code": language,
                "tested_on": _tested_on(own),
                "rows": [{"kind": summary.kind, "cells": _cells(summary)} for summary in own],
                "verdicts": verdicts(own),
                "drawings": [drawing for drawing in drawings if drawing.language == language],
            }
            for language, own in _by_language(summaries).items()
        ],
        "runs": runs,
        "n_experiments": sum(summary.kind == "experiment" for summary in summaries),
        "sha": sha,
    }


def _cells(summary: Summary) -> list[str]:
    """A row of the table, one text for each of `COLUMNS`."""
    spread = "" if summary.mse_std is None else f" ± {summary.mse_std:.3f}"
    difference = "–" if summary.difference_to_direct is None else f"{summary.difference_to_direct:+z.3f}"
    return [
        summary.experiment,
        str(summary.n_runs),
        f"{summary.mse_mean:.3f}{spread}",
        difference.replace("-", "−"),
        f"{summary.mae_mean:.3f}",
        "undefined" if summary.pearson_mean is None else f"{summary.pearson_mean:z.3f}".replace("-", "−"),
        "not reported" if summary.paper_mse is None else f"{summary.paper_mse:.3f}",
    ]


def _tested_on(summaries: Sequence[Summary]) -> str:
    return f"{summaries[0].task}, {summaries[0].n_test:,} test texts"


def _by_language(summaries: Sequence[Summary]) -> dict[str, list[Summary]]:
    groups: dict[str, list[Summary]] = {}
    for summary in summaries:
        groups.setdefault(summary.language, []).append(summary)
    return groups


def _data_uri(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _environment(html: bool) -> jinja2.Environment:
    """Templates that escape every value: for HTML by Jinja's own autoescape, for Markdown by `escape_markdown`."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("hf_xling.experiments", "templates"),
        autoescape=html,
        finalize=None if html else escape_markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def escape_markdown(value: object) -> str:
    """`value` as Markdown that shows it literally, in a table as well: no HTML, no mathematics, no markup.

    >>> escape_markdown("<b>|$x_1$")
    '&lt;b&gt;\\\\|\\\\$x\\\\_1\\\\$'
    """
    if isinstance(value, Markup):
        return str(value)
    text = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]{}|$~#!])", r"\\\1", text)
