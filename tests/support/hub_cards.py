"""The Hub's check of a card: that its front matter parses, and what type its main fields have."""

import re
from typing import Any

import yaml

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")

# The main fields of a card, and what each may be; the Hub checks many more.
_TEXT, _TEXTS = "a string", "an array of strings"
_FIELDS = {
    "license": (_TEXT, _TEXTS),
    "license_name": (_TEXT,),
    "license_link": (_TEXT,),
    "language": (_TEXT, _TEXTS),
    "library_name": (_TEXT,),
    "pipeline_tag": (_TEXT,),
    "pretty_name": (_TEXT,),
    "base_model": (_TEXT, _TEXTS),
    "datasets": (_TEXT, _TEXTS),
    "metrics": (_TEXT, _TEXTS),
    "tags": (_TEXTS,),
    "task_categories": (_TEXTS,),
    "size_categories": (_TEXT, _TEXTS),
    "configs": ("an array of objects",),
    "dataset_info": ("an object", "an array of objects"),
    "model-index": ("an array of objects",),
}


def front_matter(card: str) -> Any:
    """What is between the first two lines of dashes; None without them.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    match = _FRONT_MATTER.match(card)
    return None if match is None else yaml.safe_load(match[1])


def card_faults(content: str) -> tuple[list[str], list[str]]:
    """The errors and the warnings that the Hub has for a card: its front matter, and the types of the main fields."""
    try:
        data = front_matter(content)
    except yaml.YAMLError as error:
        return [f"bad YAML: {error}"], []
    if data is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(data, dict):
        return ["the front matter is no mapping"], []
    errors = [
        f'"{name}" must be {" or ".join(kinds)}'
        for name, kinds in _FIELDS.items()
        if name in data and not any(_is(data[name], kind) for kind in kinds)
    ]
    for name in ("base_model", "datasets"):
        values = data.get(name, [])
        for value in [values] if isinstance(values, str) else values if _is(values, _TEXTS) else []:
            if not _REPO_ID.fullmatch(value):
                errors.append(f'"{name}" with value "{value}" is not valid: it is no id of a repository')
    return errors, []


def _is(value: Any, kind: str) -> bool:
    if kind.startswith("an array of "):
        one = str if kind == _TEXTS else dict
        return isinstance(value, list) and all(isinstance(each, one) for each in value)
    return isinstance(value, str if kind == _TEXT else dict)
