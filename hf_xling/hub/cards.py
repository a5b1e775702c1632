"""Facts become model and dataset cards, by the Jinja templates in `model_cards/`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined

import hf_xling


def render_card(template: str, metadata: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The card of `template` (`dataset_card`, `encoder_card`, `regressor_card`): YAML front matter and Markdown.

    Args:
        template: a file of `model_cards/` without its ending.
        metadata: the front matter, in the Hub's own names; empty values are left out.
        facts: what the template shows. Text from data and models is escaped there by the filters `cell` and `code`.
    """
    front = yaml.safe_dump(
        {key: value for key, value in metadata.items() if value}, allow_unicode=True, sort_keys=False
    )
    body = _ENVIRONMENT.get_template(f"{template}.md.jinja").render(facts)
    return f"---\n{front}---\n\n{body}\n"


def model_card(template: str, base: str, settings: Mapping[str, Any], metadata: Mapping[str, Any], **facts: Any) -> str:
    """The card of a trained model.

    Args:
        template: `encoder_card` or `regressor_card`.
        base: the checkpoint that training started from; of a folder only the name is shown.
        settings: what the card's table of training settings holds.
        metadata: front matter beside the base model's name and the library.
        facts: what else the template shows.
    """
    local = Path(base).exists()
    name = Path(base).resolve().name if local else base
    front = {"library_name": "transformers", **({} if local else {"base_model": base}), **metadata}
    facts["repo_id"] = facts.get("repo_id") or "org/name"
    return render_card(template, front, {"base": name, "settings": settings, "version": hf_xling.__version__, **facts})


def cell(value: Any, limit: int = 200) -> str:
    """`value` as inert text in a Markdown table: one line, with no markup, HTML or links of its own."""
    text = " ".join(str(value).split())
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"(?i)([\\`*_{}\[\]()#!|~$@:]|(?<=www)\.)", lambda match: f"&#{ord(match[1])};", text)


def code(value: Any) -> str:
    """`value` as inline code that its own backticks cannot end."""
    text = " ".join(str(value).split())
    fence = "`" * (max(map(len, re.findall(r"`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def counts_table(counts: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same names and numbers as a Markdown table, aligned for a terminal."""
    widths = {name: max(len(name), *(len(str(row[name])) for row in counts)) for name in counts[0]}
    rows = [{name: name for name in widths}, {name: "-" * (width - 1) + ":" for name, width in widths.items()}, *counts]
    return "\n".join("| " + " | ".join(f"{row[name]!s:>{widths[name]}}" for name in widths) + " |" for row in rows)


def _load_template(name: str) -> str:
    return (files("hf_xling.model_cards") / name).read_text(encoding="utf-8")


_ENVIRONMENT = Environment(
    loader=FunctionLoader(_load_template),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
)
_ENVIRONMENT.filters.update(cell=cell, code=code)
