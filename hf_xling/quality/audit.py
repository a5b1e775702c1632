"""`hf-xling audit CORPUS`: what augmentation did to lengths, vocabulary and the words that name groups of people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_xling import runs
from hf_xling.figures import PALETTE, in_style, legend, save_png
from hf_xling.hub.cards import cell, counts_table, shown
from hf_xling.quality.sides import Side, read_sides
from hf_xling.quality.words import SEGMENT, TermList, TextCounts, quantile, read_terms
from hf_xling.recipes import RecipeParser, option
from hf_xling.tables import stream_table, texts_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMMAND = "hf-xling audit"
FOLDER = "audit"  # in a corpus: the audit that its card shows
PER = 10_000  # words
GREYS = ("#1f2328", "#9aa4af")
BINS = 40


@dataclass
class AuditConfig:
    """What is audited; `hf-xling audit CORPUS` is short for `--corpus CORPUS`."""

    corpus: str = option("a dataset folder of dataset_scripts/, or the output folder of `hf-xling generate`")
    task_file: str | None = option("texts of the downstream task, whose words are looked for in the corpus", None)
    text_column: str = option("column of the task's texts", "text")
    terms: str | None = option("YAML file of your own term lists, in the form of the built-in ones", None)
    output_dir: str | None = option("where to write; default: CORPUS-audit", None)

    _argument_group_name = "audit"


def audit(
    sides: Sequence[Side], task: TextCounts | None = None, terms: Mapping[str, TermList] | None = None
) -> dict[str, Any]:
    """The numbers of an audit, for JSON.

    Args:
        sides: the first is what was there before augmentation, the others are what was made of it.
        task: the texts of the downstream task, if any.
        terms: by language; the built-in lists by default.

    Returns:
        `task` (its `summary`, or None); `sides`, and behind them all of them together where there are several: each has
        `name`, `task`, `language`, its `summary`, `coverage` of the task's words, and `terms` (per `PER` words, by
        group and category; None where their language has no list).
    """
    terms = read_terms() if terms is None else terms
    found = []
    for side in sides:
        listed = terms.get((side.language or "").replace("_", "-").split("-")[0].lower())  # `pt` of `pt-BR`
        numbers = {name: getattr(side, name) for name in ("name", "task", "language")}
        term_counts = None if listed is None else listed.count(side.counts.vocabulary)
        found.append({**numbers, **_measured(side.counts, task), **_rated(term_counts, side.counts.words)})
    if len(sides) > 1:
        listed_sides = [numbers for numbers in found if numbers["term_counts"] is not None]
        pooled: dict[str, Counter[str]] = {}
        for numbers in listed_sides:
            for group, categories in numbers["term_counts"].items():
                pooled.setdefault(group, Counter()).update(categories)
        counts = sum((side.counts for side in sides[1:]), sides[0].counts)
        words = sum(numbers["words"] for numbers in listed_sides)
        together = {"name": "all", "task": None, "language": None, **_measured(counts, task)}
        found.append({**together, **_rated(pooled if listed_sides else None, words)})
    return {"task": None if task is None else task.summary(), "sides": found}


def _measured(counts: TextCounts, task: TextCounts | None) -> dict[str, Any]:
    return {**counts.summary(), "coverage": None if task is None else counts.coverage_of(task)}


def _rated(term_counts: Mapping[str, Mapping[str, int]] | None, words: int) -> dict[str, Any]:
    """`term_counts` by group and category, and as `terms` the same per `PER` of all `words`."""
    rates = (
        None
        if term_counts is None
        else {
            group: {category: round(PER * number / max(words, 1), 2) for category, number in categories.items()}
            for group, categories in term_counts.items()
        }
    )
    return {"term_counts": term_counts, "terms": rates}


def task_counts(file: str, column: str = "text") -> TextCounts:
    """The words of the texts of a downstream task."""
    counts = TextCounts()
    for block in stream_table(file):
        counts.add(texts_of(block.require_rows().column(column), block.where))
    return counts


def audit_markdown(found: Mapping[str, Any]) -> str:
    """The numbers of `audit` as two Markdown tables, with what is needed to read them."""
    sides, task = found["sides"], found["task"]
    lines = [counts_table(_measures(found)), ""]
    lines += [
        "Words are counted without regard to case. The type-token ratio (distinct words to words) falls as texts are "
        f"added; that in segments of {SEGMENT:,} words does not, and can be compared."
    ]
    if task is not None:
        lines += [f"The task has {task['texts']:,} texts of {task['words']:,} words, {task['types']:,} distinct."]
    listed, absent = _terms(sides)
    if listed:
        lines += ["", counts_table([_term_row(sides, term) for term in listed]), ""]
        lines += ["Compare a language with itself: what is one word in one is several in another."]
    named = "; ".join(cell(", ".join(term)) for term in absent)
    lines += [f"No word was found of: {named}."] if absent else []
    without = [cell(side["name"]) for side in sides if side["terms"] is None]
    lines += [f"There is no list of such words for {', '.join(without)}."] if without else []
    return "\n".join(lines)


def _terms(sides: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """In the order of the lists, the (group, category) that some side has words of, and the others."""
    listed = [(group, name) for side in sides for group, names in (side["terms"] or {}).items() for name in names]
    found = {term: any(_rate(side, term) for side in sides) for term in listed}
    return [term for term, is_found in found.items() if is_found], [term for term in found if not found[term]]


def _term_row(sides: Sequence[Mapping[str, Any]], term: tuple[str, str]) -> dict[str, str]:
    rates = {cell(side["name"]): shown(_rate(side, term)) for side in sides}
    return {f"words for groups of people, per {PER:,} words": cell(", ".join(term)), **rates}


def _measures(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """The first table: a row for each measure, a column for each side."""
    measures = {
        "texts": lambda side: f"{side['texts']:,}",
        "words": lambda side: f"{side['words']:,}",
        "distinct words": lambda side: f"{side['types']:,}",
        "words a text (5% / 50% / 95%)": lambda side: _spread(side["words_per_text"]),
        "characters a text": lambda side: _spread(side["characters_per_text"]),
        "type-token ratio": lambda side: shown(side["type_token_ratio"], ".3f"),
        f"… in segments of {SEGMENT:,} words": lambda side: shown(side["standardised_type_token_ratio"], ".3f"),
    }
    if found["task"] is not None:
        measures["the task's distinct words in it"] = lambda side: shown(side["coverage"]["types"], ".1%")
        measures["the task's words in it"] = lambda side: shown(side["coverage"]["words"], ".1%")
    return [
        {"": measure, **{cell(side["name"]): show(side) for side in found["sides"]}}
        for measure, show in measures.items()
    ]


def _spread(quantiles: Mapping[str, int]) -> str:
    return " / ".join(f"{value:,}" for value in quantiles.values())


def _rate(side: Mapping[str, Any], term: tuple[str, str]) -> float | None:
    return None if side["terms"] is None else side["terms"].get(term[0], {}).get(term[1])


def write_audit(
    folder: str | Path,
    sides: Sequence[Side],
    task: TextCounts | None = None,
    terms: Mapping[str, TermList] | None = None,
) -> dict[str, Any]:
    """Write `audit.md`, `audit.json` and `audit.png` into `folder`; return the numbers, as `audit` does."""
    folder, found = Path(folder), audit(sides, task, terms)
    folder.mkdir(parents=True, exist_ok=True)
    runs.write_json(folder / "audit.json", found)
    with runs.written_aside(folder / "audit.png") as aside:
        draw_audit(sides, found, aside)
    runs.write_text(folder / "audit.md", f"# Audit\n\n{audit_markdown(found)}\n\n![Figures of the audit](audit.png)\n")
    return found


def draw_audit(sides: Sequence[Side], found: Mapping[str, Any], path: Path) -> None:
    """Draw lengths, coverage of the task's words (where there is a task) and words for groups of people.

    Args:
        sides: of the audit.
        found: its numbers, as `audit` gives them.
        path: the PNG to write.
    """
    from matplotlib.figure import Figure

    rates = [side for side in found["sides"][: len(sides)] if side["terms"] is not None]
    terms, _ = _terms(rates)
    panels = [("words a text, share of the texts", 2.4)]
    panels += [("words of the task that are in it", 0.7 + 0.3 * len(found["sides"]))] if found["task"] else []
    title = "words for groups of people, per 10,000 words (colours as above)"
    panels += [(title, 0.7 + 0.1 * len(terms) * (1 + len(rates)))] if terms else []
    with in_style(**{"font.size": 9, "savefig.dpi": 120}):
        figure = Figure(figsize=(8, sum(height for _, height in panels)), layout="constrained")
        ratios = [height for _, height in panels]
        grid = figure.subplots(len(panels), squeeze=False, gridspec_kw={"height_ratios": ratios}).ravel()
        axes = dict(zip((title for title, _ in panels), grid, strict=True))
        for title, panel in axes.items():
            panel.set_title(title)
        _draw_lengths(grid[0], sides)
        if found["task"]:
            _draw_coverage(grid[1], found["sides"])
        if terms:
            _draw_terms(grid[-1], rates, terms, [side.name for side in sides])
        save_png(figure, path)


def _draw_lengths(axes: Axes, sides: Sequence[Side]) -> None:
    """A step line for each side, up to the length that 99% of its texts do not exceed: one long text hides nothing."""
    longest = max(quantile(side.counts.lengths, 99) for side in sides)
    edges = np.unique(np.linspace(0, longest + 1, BINS + 1).round())
    handles = []
    for number, side in enumerate(sides):
        values, weights = np.array(list(side.counts.lengths)), np.array(list(side.counts.lengths.values()))
        shares, _ = np.histogram(values, edges, weights=weights / max(side.counts.texts, 1))
        handles.append(axes.stairs(shares / np.diff(edges), edges, color=_colour(number), linewidth=1.6))
    axes.set_ylim(bottom=0)
    legend(axes, zip(handles, [side.name for side in sides], strict=True), loc="upper right")


def _draw_coverage(axes: Axes, sides: Sequence[Mapping[str, Any]]) -> None:
    places = np.arange(len(sides))
    for number, (key, called) in enumerate((("types", "distinct words"), ("words", "all words"))):
        shares = [100 * (side["coverage"][key] or 0) for side in sides]
        axes.barh(places + 0.36 * (number - 0.5), shares, 0.34, color=GREYS[number], label=called)
    axes.set_yticks(places, [side["name"] for side in sides])
    axes.set_ylim(len(sides) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.xaxis.set_major_formatter("{x:.0f}%")
    axes.grid(False, axis="y")
    axes.legend(loc="lower right")


def _draw_terms(
    axes: Axes, sides: Sequence[Mapping[str, Any]], terms: Sequence[tuple[str, str]], names: Sequence[str]
) -> None:
    places, width = np.arange(len(terms)), 0.8 / len(sides)
    for number, side in enumerate(sides):
        rates = [_rate(side, term) or 0.0 for term in terms]
        offset = (number - (len(sides) - 1) / 2) * width
        axes.barh(places + offset, rates, width, color=_colour(names.index(side["name"])))
    axes.set_yticks(places, [f"{group}, {name}" for group, name in terms])
    axes.set_ylim(len(terms) - 0.5, -0.5)
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(False, axis="y")


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def audit_facts(folder: str | Path) -> dict[str, Any] | None:
    """What the template `_audit.md.jinja` shows of the audit of the dataset in `folder`; None where there is none.

    Returns:
        `markdown`, the tables; `image`, where the figures are, as seen from the card in `folder`.
    """
    path = Path(folder) / FOLDER / "audit.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return {"markdown": audit_markdown(found), "image": f"{FOLDER}/audit.png"}


def main(argv: Sequence[str]) -> str:
    """Parse, audit, and return the tables and where they were written."""
    argv = ["--corpus", *argv] if argv and not argv[0].startswith("-") else argv
    parser = RecipeParser([AuditConfig], prog=COMMAND, description=__doc__)
    (config,) = parser.parse(argv)
    terms = read_terms(config.terms)
    task = task_counts(config.task_file, config.text_column) if config.task_file is not None else None
    # Not into the corpus: its card shows the audit that building it made.
    beside = Path(config.corpus).with_name(f"{Path(config.corpus).resolve().name}-audit")
    folder = Path(config.output_dir) if config.output_dir else beside
    found = write_audit(folder, read_sides(config.corpus), task, terms)
    written = [str(folder / f"audit.{kind}") for kind in ("md", "json", "png")]
    return "\n".join([audit_markdown(found), "", *written])
