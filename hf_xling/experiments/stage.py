"""`hf-xling experiments`: from source text to the report, as a recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hf_xling.experiments.grid import ExperimentsConfig
from hf_xling.recipes import RecipeParser


def main(argv: Sequence[str]) -> str:
    """Parse, run, report, and return the closing lines: the table, and where everything is."""
    about = "From source text to the report, each step skipped where an earlier run has finished it."
    (config,) = RecipeParser([ExperimentsConfig], prog="hf-xling experiments", description=about).parse(argv)
    # After parsing: help and errors of usage need no torch.
    from hf_xling.experiments.report import results_table, write_report
    from hf_xling.experiments.runner import run_experiments
    from hf_xling.experiments.statistics import RESULTS_FILE

    run_experiments(config)
    report = write_report(config.output_dir)
    return (
        f"{results_table(report.summaries)}\n\n"
        f"a row a run: {Path(config.output_dir) / RESULTS_FILE}\n"
        f"report:      {report.html}"
    )
