"""Facts become model and dataset cards, by the Jinja templates in `model_cards/`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined

# Of the Hub; in a cell its underscore is escaped.
_TOKEN = re.compile(r"\bhf(?:_|&#95;)[A-Za-z0-9]{20,}")


def render_card(template: str, metadata: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The card of `template` (`dataset_card`, `encoder_card`, …): YAML front matter and Markdown, with no token in it.

    Args:
        template: a file of `model_cards/` without its ending.
        metadata: the front matter, in the Hub's own names; empty values are left out.
        facts: what the template shows. Text from data and models is escaped there by the filters `cell` and `code`.
    """
    front = yaml.safe_dump(
        {key: value for key, value in metadata.items() if value}, allow_unicode=True, sort_keys=False
    )
    body = _ENVIRONMENT.get_template(f"{template}.md.jinja").render(facts)
    return _TOKEN.sub("hf_…", f"---\n{front}---\n\n{body}\n")


def renew_part(card: str, template: str, facts: Mapping[str, Any]) -> str:
    """`card` with the part that `template` wrote written anew; a card without that part stays as it is.

    Such a template begins and ends with a comment, a line each: they tell where its part is.
    """
    part = _TOKEN.sub("hf_…", _ENVIRONMENT.get_template(f"{template}.md.jinja").render(facts))
    first, *_, last = part.splitlines()
    before, opening, rest = card.partition(first)
    _, closing, after = rest.partition(last)
    return f"{before}{part}{after}" if opening and closing else card


def training_settings(args: Any, names: Sequence[str], **more: Any) -> dict[str, Any]:
    """A card's table of settings: fields of `TrainingArguments` by name, what else is given, and the versions."""
    processes = args.world_size
    together = args.per_device_train_batch_size * args.gradient_accumulation_steps * processes
    unused = "num_train_epochs" if args.max_steps > 0 else None  # the steps decide
    given = {name: getattr(args, name) for name in names if name != unused}
    found = {name: getattr(value, "value", value) for name, value in given.items()}  # some are members of an Enum
    computed = {"rows an optimiser step": together, "processes": processes, **more, "seed": args.seed}
    precision = "bf16" if args.bf16 else "fp16" if args.fp16 else "float32"
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "transformers", "datasets"))
    return {**found, **computed, "precision": precision, "device": args.device.type, "versions": versions}


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


def shown(value: float | None, form: str = ".2f") -> str:
    """A number in the `form` of `format`, or a dash where there is none."""
    return "–" if value is None else format(value, form)


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
