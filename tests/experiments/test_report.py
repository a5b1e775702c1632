"""The report folder: its numbers traced to rows, hostile names, no outside reference, atomic and reproducible."""

from __future__ import annotations

import json
import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pytest
from report_fixture import PAPER, add_run, make_results, read_rows, write_state

from hf_xling.errors import InputError
from hf_xling.experiments.plots import draw_figures
from hf_xling.experiments.report import COLUMNS, escape_markdown, main, results_table, write_report
from hf_xling.experiments.statistics import METRICS, read_results, summarise

LANGUAGES = ("en", "ta")  # of `make_results`
BASELINE_ROWS = 2 * len(LANGUAGES)
FIGURES = 4 * len(LANGUAGES)  # MSE, predictions, and the curves of two stages
HOSTILE = ("<script>alert(1)</script>|x", "$x_1$", "_x_ \\frac{$ {{ 7*7 }}", "[a](javascript:alert(1))")


class Page(HTMLParser):
    """The text, the references and the tables of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.cells: list[str] = []
        self.text = ""
        self.in_cell = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in ("td", "th"):
            self.in_cell = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.cells[-1] += data.strip()


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with its report, and what the command said."""
    folder = make_results(tmp_path_factory.mktemp("results"))
    return folder, main([str(folder)])


@pytest.fixture(scope="module")
def written(commanded: tuple[Path, str]) -> Path:
    return commanded[0]


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def texts_of_figures(folder: Path) -> str:
    roots = [ElementTree.parse(path).getroot() for path in sorted((folder / "report/figures").glob("*.svg"))]
    return "\n".join(element.text or "" for root in roots for element in root.iter("{http://www.w3.org/2000/svg}text"))


def test_every_number_of_results_json_comes_from_its_rows(written: Path) -> None:
    rows = read_rows(written)
    results = json.loads((written / "report/results.json").read_text(), parse_constant=pytest.fail)
    assert list(results) == ["format", "experiments", "baselines"] and results["format"] == 1
    assert list(results["experiments"]) == list(PAPER)
    assert {name: list(entries) for name, entries in results["baselines"].items()} == {
        "constant": ["en", "ta"],
        "tfidf-ridge": ["en", "ta"],
    }
    entries = list(results["experiments"].items())
    entries += [(name, entry) for name, group in results["baselines"].items() for entry in group.values()]
    used = []
    for name, entry in entries:
        own = [rows[run_id] for run_id in entry["run_ids"]]
        used += entry["run_ids"]
        expected = {"n_runs": len(own), "run_ids": [row["run_id"] for row in own], "paper_mse": PAPER.get(name)}
        expected |= {key: own[0][key] for key in ("language", "task", "n_test")}
        for metric in METRICS:
            values = [row[f"test_{metric}"] for row in own]
            known = None not in values
            expected[f"{metric}_mean"] = pytest.approx(numpy.mean(values), rel=1e-12) if known else None
            spread = known and len(values) > 1
            expected[f"{metric}_std"] = pytest.approx(numpy.std(values, ddof=1), rel=1e-9) if spread else None
        direct = [row["test_mse"] for row in rows.values() if row["experiment"] == f"{entry['language']}-direct"]
        mean = numpy.mean([row["test_mse"] for row in own])
        apart = not name.endswith("-direct")
        expected["difference_to_direct"] = pytest.approx(mean - numpy.mean(direct), rel=1e-9) if apart else None
        baselines = {other: rows[f"{other}/{entry['language']}"]["test_mse"] for other in results["baselines"]}
        expected["beats"] = {other: bool(mean < mse) for other, mse in baselines.items() if other != name}
        assert entry == expected
    assert sorted(used) == sorted(rows)


def test_page_and_markdown_show_the_table(commanded: tuple[Path, str]) -> None:
    written, closing = commanded
    page = Page(written / "report/index.html")
    markdown = (written / "report/report.md").read_text()
    table = results_table(summarise(read_results(written)))
    for entry in json.loads((written / "report/results.json").read_text())["experiments"].values():
        shown = f"{entry['mse_mean']:.3f} ± {entry['mse_std']:.3f}"
        assert shown in page.cells and f"| {shown} |" in markdown and shown in table
    for column in COLUMNS:
        assert page.cells.count(column) == 2 and column in markdown and column in table
    assert page.cells.count("not reported") == [*PAPER.values(), *[None] * BASELINE_ROWS].count(None)
    for text in (page.text, markdown, table + closing):
        assert "The spread (sd) is over seeds on one split only." in text
        assert re.search(r"better than (constant|tfidf-ridge)", text)
    for row in read_rows(written).values():
        assert row["run_id"] in page.cells and row["predictions"] in page.cells


def test_page_is_self_contained_and_accessible(written: Path) -> None:
    page = Page(written / "report/index.html")
    references = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    pictures = [value for value in references if value.startswith("data:image/svg+xml;base64,")]
    assert len(pictures) == FIGURES
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert all(value in pictures or (value.startswith("#") and value[1:] in ids) for value in references)
    text = (written / "report/index.html").read_text()
    assert "url(" not in text and "@import" not in text and "://" not in re.sub(r'base64,[^"]*', "", text)
    assert {"script", "link", "iframe", "object", "base", "form"}.isdisjoint(page.tags)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert ("meta", "content", policy) in page.attributes
    assert ("html", "lang", "en") in page.attributes
    assert (
        page.tags.count("title") == 1 and page.tags.count("caption") == page.tags.count("table") == 3
    )  # a language each, and the runs
    assert page.tags.count("th") == sum(tag == "th" and name == "scope" for tag, name, _ in page.attributes)
    alternatives = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert len(alternatives) == FIGURES and all(len(value) > 30 for value in alternatives)
    labelled = [value for _, name, value in page.attributes if name == "aria-labelledby"]
    assert labelled and set(labelled) <= set(ids)


def test_figures_stand_alone(written: Path) -> None:
    for path in (written / "report/figures").iterdir():
        text = path.read_text()
        links = re.findall(r'(?:xlink:)?href="([^"]*)"', text)
        assert all(link.startswith("#") for link in links)
        assert "<dc:date>" not in text and "<script" not in text and "<!ENTITY" not in text
    texts = texts_of_figures(written)
    for name in ("ta-direct", "ta-simcse-murasu", "constant", "training loss", "validation MSE"):
        assert name in texts


def test_hostile_names_are_shown_literally(tmp_path: Path) -> None:
    add_run(tmp_path, "ta-direct", 1, noise=0.5)
    for name in HOSTILE:
        add_run(tmp_path, name, 1, noise=0.4, language="ta", slug=name.replace("/", ""), task="a|<b>.csv")
    text = (tmp_path / "results.jsonl").read_text().replace("reviews_ta_test.csv", "a|<b>.csv")
    (tmp_path / "results.jsonl").write_text(text)
    write_report(tmp_path)
    page = Page(tmp_path / "report/index.html")
    assert {"script", "b"}.isdisjoint(page.tags)
    markdown = (tmp_path / "report/report.md").read_text()
    assert "<" not in markdown
    figures = texts_of_figures(tmp_path).replace("\n", "")
    for name in HOSTILE:
        assert name in page.cells
        assert f"\n| {escape_markdown(name)} | 1 |" in markdown
        assert name.replace(" ", "") in figures.replace(" ", "")
    # Every row of a table has the same number of cells.
    for row in (line for line in markdown.splitlines() if line.startswith("|")):
        assert len(re.findall(r"(?<!\\)\|", row)) in (len(COLUMNS) + 1, 6)  # the table of runs has 5 columns


def test_tamil_names_draw_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    add_run(tmp_path, "தமிழ்-நேரடி", 1, noise=0.5, language="ta")
    with caplog.at_level(logging.WARNING):
        write_report(tmp_path)
    assert not caplog.records
    assert "தமிழ்-நேரடி" in texts_of_figures(tmp_path)


def test_markdown_is_escaped_character_by_character() -> None:
    assert escape_markdown("<a>&|*_`$[x]{}~#!\\") == r"&lt;a&gt;&amp;\|\*\_\`\$\[x\]\{\}\~\#\!" + "\\\\"
    assert escape_markdown("ta-simcse (1.5)") == "ta-simcse (1.5)"


@pytest.mark.parametrize("lost", ["predictions", "log", "encoder_log"])
def test_a_lost_file_is_named_and_leaves_the_old_report(tmp_path: Path, lost: str) -> None:
    row = add_run(tmp_path, "ta-simcse-murasu", 1, noise=0.5)
    write_report(tmp_path)
    before = content_of(tmp_path / "report")
    (tmp_path / row[lost]).unlink()
    with pytest.raises(InputError, match=re.escape(str(tmp_path / row[lost]))) as caught:
        write_report(tmp_path)
    assert "\n" not in str(caught.value)
    assert content_of(tmp_path / "report") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoders", "experiments", "report", "results.jsonl"]


def test_the_same_results_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    make_results(tmp_path)
    (tmp_path / "report").mkdir()
    (tmp_path / "report/stale.txt").write_text("of an older version")
    write_report(tmp_path)
    assert content_of(tmp_path / "report") == content_of(written / "report")


def test_a_rerun_replaces_its_row(tmp_path: Path) -> None:
    add_run(tmp_path, "ta-direct", 1, noise=0.9)
    again = add_run(tmp_path, "ta-direct", 1, noise=0.3)
    write_report(tmp_path)
    entry = json.loads((tmp_path / "report/results.json").read_text())["experiments"]["ta-direct"]
    assert entry["n_runs"] == 1 and entry["mse_mean"] == again["test_mse"] and entry["mse_std"] is None
    page = Page(tmp_path / "report/index.html")
    assert f"{again['test_mse']:.3f}" in page.cells and page.cells.count("ta-direct/seed-1") == 1
    assert "No baseline was run for this language" in page.text


def test_baselines_alone_and_runs_without_logs(tmp_path: Path) -> None:
    add_run(tmp_path, "constant", None, language="ta", noise=None)
    assert [path.name for path in write_report(tmp_path).figures] == ["ta-predicted.svg"]
    add_run(tmp_path, "ta-direct", 1, noise=0.5, log=None)
    assert [path.name for path in write_report(tmp_path).figures] == ["ta-mse.svg", "ta-predicted.svg"]


def test_logs_with_gaps_and_large_test_sets_can_be_drawn(tmp_path: Path) -> None:
    row = add_run(tmp_path, "ta-simcse-murasu", 1, noise=0.5)
    write_state(tmp_path / row["log"], {"loss": [float("nan"), 2.0, float("inf"), 0.0], "eval_mse": [1.0]})
    write_state(tmp_path / row["encoder_log"], {"other": [1.0]})
    runs = read_results(tmp_path)
    drawings = draw_figures(runs, summarise(runs), tmp_path, tmp_path / "figures", many_points=50)
    assert "trainer_state" not in drawings[-1].alt and "ta-simcse-murasu logged no loss" in drawings[-1].alt
    assert "<image" in (tmp_path / "figures/ta-predicted.svg").read_text()
    draw_figures(runs, summarise(runs), tmp_path, tmp_path / "again", many_points=50)
    assert content_of(tmp_path / "again") == content_of(tmp_path / "figures")


def test_text_table_is_aligned(written: Path) -> None:
    for block in re.split(r"\n\n(?=\w+: )", results_table(summarise(read_results(written)))):
        lines = block.splitlines()[2:]
        rule = lines[1]
        assert {len(line) for line in lines[: lines.index("")]} == {len(rule)}


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["--nonsense", "a"]])
def test_bad_usage_is_an_input_error(argv: list[str]) -> None:
    with pytest.raises(InputError):
        main(argv)


def test_the_command_returns_table_and_paths(commanded: tuple[Path, str]) -> None:
    written, closing = commanded
    lines = closing.splitlines()
    assert str(written / "report/index.html") in lines
    assert all(Path(line).is_file() for line in lines if line.startswith(str(written)))
    with pytest.raises(InputError, match=r"nowhere/results\.jsonl: no such file"):
        main([str(written / "nowhere")])


def test_what_the_tokenizers_know_is_told(tmp_path):
    """Of the encoders of a language the worst; results that do not tell it are as they were."""
    add_run(tmp_path, "ta-direct", 1, noise=0.5)
    add_run(tmp_path, "ta-other", 1, noise=0.4, unknown_tokens=0.034, pieces_per_word=2.84)
    report = write_report(tmp_path)
    told = "of the training texts' tokens the encoders do not know 3.4%, 2.8 pieces a word"
    assert report.markdown.read_text("utf-8").count(told) == 1
    results = json.loads(report.results.read_text("utf-8"))
    assert results["experiments"]["ta-other"]["unknown_tokens"] == 0.034
    assert "unknown_tokens" not in results["experiments"]["ta-direct"]
