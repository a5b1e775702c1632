"""The report as a reader sees it: opened by a browser that has no network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_fixture import make_results

from hf_xling.experiments.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# No network is there for it to use; what it would ask for by itself at every start is switched off.
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)")
def test_report_opens_in_a_browser(tmp_path: Path) -> None:
    report = write_report(make_results(tmp_path / "run"))
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"]
    picture = tmp_path / "report.png"
    subprocess.run(
        [*command, f"--screenshot={picture}", "--window-size=1200,2400", report.html.as_uri()],
        check=True,
        capture_output=True,
    )
    assert picture.stat().st_size > 50_000
    page = subprocess.run(
        [*command, "--enable-logging=stderr", "--dump-dom", report.html.as_uri()],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "ta-simcse-paraphrased-translated" in page.stdout
    assert len(re.findall(r"<img[^>]+src=\"data:image/svg", page.stdout)) == len(report.figures)
    # The page's own policy forbids every load but its inlined pictures; a breach would be reported on the console.
    assert "CONSOLE" not in page.stderr and "Refused to load" not in page.stderr
