"""`hf-xling audit CORPUS`: what augmentation did to lengths, vocabulary and the words that name groups of people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_xling import runs
from hf_xling.hub.cards import cell, counts_table
from hf_xling.quality.demographics import TermList, read_terms
from hf_xling.quality.sides import Side, read_sides
from hf_xling.quality.words import SEGMENT, TextCounts
from hf_xling.recipes import RecipeParser
from hf_xling.tables import stream_table, texts_of

COMMAND = "hf-xling audit"
FOLDER = "audit"  # in a corpus: the audit that its card shows
PER = 10_000  # words


@dataclass
class AuditConfig:
    """What is audited; `hf-xling audit CORPUS` is short for `--corpus CORPUS`."""

    corpus: str = field(
        metadata={"help": "a dataset folder of dataset_scripts/, or the output folder of `hf-xling generate`"}
    )
    task_file: str | None = field(
        default=None, metadata={"help": "texts of the downstream task, whose words are looked for in the corpus"}
    )
    text_column: str = field(default="text", metadata={"help": "column of the task's texts"})
    terms: str | None = field(
        default=None, metadata={"help": "YAML file of your own term lists, in the form of the built-in ones"}
    )
    output_dir: str | None = field(default=None, metadata={"help": "where to write; default: CORPUS-audit"})

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
    found = [_numbers(side, task, terms.get(_base(side.language))) for side in sides]
    if len(sides) > 1:
        counts = sum((side.counts for side in sides[1:]), sides[0].counts)
        together = {"name": "all", "task": None, "language": None, **counts.summary()}
        together["coverage"] = None if task is None else counts.coverage_of(task)
        found.append({**together, **_terms_of_all(found)})
    return {"task": None if task is None else task.summary(), "sides": found}


def _numbers(side: Side, task: TextCounts | None, terms: TermList | None) -> dict[str, Any]:
    counts = terms.count(side.counts.vocabulary) if terms is not None else {}
    return {
        "name": side.name,
        **{name: getattr(side, name) for name in ("task", "language")},
        **side.counts.summary(),
        "coverage": None if task is None else side.counts.coverage_of(task),
        "term_counts": _nested(counts) if terms is not None else None,
        "terms": _rates(_nested(counts), side.counts.words) if terms is not None else None,
    }


def _base(language: str | None) -> str:
    """`pt` of `pt-BR`."""
    return (language or "").replace("_", "-").split("-")[0].lower()


def _nested(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (group, category), number in counts.items():
        nested.setdefault(group, {})[category] = number
    return nested


def _rates(counts: Mapping[str, Mapping[str, int]], words: int) -> dict[str, dict[str, float]]:
    return {
        group: {category: round(PER * number / max(words, 1), 2) for category, number in categories.items()}
        for group, categories in counts.items()
    }


def _terms_of_all(sides: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts and rates over the sides that have lists."""
    listed = [side for side in sides if side["term_counts"] is not None]
    counts: dict[str, dict[str, int]] = {}
    for side in listed:
        for group, categories in side["term_counts"].items():
            for category, number in categories.items():
                mine = counts.setdefault(group, {})
                mine[category] = mine.get(category, 0) + number
    rates = _rates(counts, sum(side["words"] for side in listed))
    return {"term_counts": counts if listed else None, "terms": rates if listed else None}


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
    terms = [(group, name) for side in sides for group, names in (side["terms"] or {}).items() for name in names]
    terms = list(dict.fromkeys(terms))
    shown = [term for term in terms if any(_rate(side, term) for side in sides)]
    if shown:
        lines += ["", counts_table([_term_row(sides, term) for term in shown]), ""]
        lines += ["Compare a language with itself: what is one word in one is several in another."]
    absent = [cell(", ".join(term)) for term in terms if term not in shown]
    lines += [f"No word was found of: {'; '.join(absent)}."] if absent else []
    without = [cell(side["name"]) for side in sides if side["terms"] is None]
    lines += [f"There is no list of such words for {', '.join(without)}."] if without else []
    return "\n".join(lines)


def _term_row(sides: Sequence[Mapping[str, Any]], term: tuple[str, str]) -> dict[str, str]:
    rates = {cell(side["name"]): _rate(side, term) for side in sides}
    rates = {name: "–" if rate is None else f"{rate:.2f}" for name, rate in rates.items()}
    return {f"words for groups of people, per {PER:,} words": cell(", ".join(term)), **rates}


def _measures(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """The first table: a row for each measure, a column for each side."""
    measures = {
        "texts": lambda side: f"{side['texts']:,}",
        "words": lambda side: f"{side['words']:,}",
        "distinct words": lambda side: f"{side['types']:,}",
        "words a text (5% / 50% / 95%)": lambda side: _spread(side["words_per_text"]),
        "characters a text": lambda side: _spread(side["characters_per_text"]),
        "type-token ratio": lambda side: _ratio(side["type_token_ratio"]),
        f"… in segments of {SEGMENT:,} words": lambda side: _ratio(side["standardised_type_token_ratio"]),
    }
    if found["task"] is not None:
        measures["the task's distinct words in it"] = lambda side: _share(side["coverage"]["types"])
        measures["the task's words in it"] = lambda side: _share(side["coverage"]["words"])
    return [
        {"": measure, **{cell(side["name"]): show(side) for side in found["sides"]}}
        for measure, show in measures.items()
    ]


def _spread(quantiles: Mapping[str, int]) -> str:
    return " / ".join(f"{value:,}" for value in quantiles.values())


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _rate(side: Mapping[str, Any], term: tuple[str, str]) -> float | None:
    return None if side["terms"] is None else side["terms"].get(term[0], {}).get(term[1])


def write_audit(
    folder: str | Path,
    sides: Sequence[Side],
    task: TextCounts | None = None,
    terms: Mapping[str, TermList] | None = None,
) -> dict[str, Any]:
    """Write `audit.md`, `audit.json` and `audit.png` into `folder`; return the numbers, as `audit` does."""
    from hf_xling.quality.audit_plot import draw_audit

    folder, found = Path(folder), audit(sides, task, terms)
    folder.mkdir(parents=True, exist_ok=True)
    runs.write_json(folder / "audit.json", found)
    with runs.written_aside(folder / "audit.png") as aside:
        draw_audit(sides, found, aside)
    runs.write_text(folder / "audit.md", f"# Audit\n\n{audit_markdown(found)}\n\n![Figures of the audit](audit.png)\n")
    return found


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
