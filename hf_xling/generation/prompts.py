"""Prompt templates: named, versioned, each in the form that its model was trained on.

The constant text comes first and the source last, so that servers with prefix caching compute the instruction once. The
built-in templates are in `prompts.yaml`, one document each; a user's own file has the same form.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml
from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hf_xling.errors import InputError, one_line
from hf_xling.generation.languages import LANGUAGES, Language, read_mappings
from hf_xling.generation.marks import MARKS

_FORMS = yaml.safe_load(files(__package__).joinpath("forms.yaml").read_text("utf-8"))
FORMS: Mapping[str, str] = {name: form["text"] for name, form in _FORMS.items()}
STOP: Mapping[str, tuple[str, ...]] = {name: tuple(form["stop"]) for name, form in _FORMS.items()}
MOST_STOPS = 4  # of TGI's /generate
LANGUAGE_NAMES = {"source_language", "language"}

# Sandboxed, because prompt files are passed around like data; without what would give another text each time.
_JINJA = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
_JINJA.globals.clear()
del _JINJA.filters["random"]
_MARK = "\0"  # means the source while the text around it is rendered


class _Constant(NamedTuple):
    """What the prompts of all sources have in common, for one pair of languages."""

    system: str
    instruction: str
    before: str
    after: str


@dataclass(frozen=True)
class PromptTemplate:
    """An instruction for one task. The keys of a prompt file are these attributes.

    Attributes:
        name, version: what it is called; a change of wording is a new version.
        system, instruction: Jinja texts that may use `source_language` and `language` (English names).
        form: the key in `FORMS` of the model's own prompt form, or a Jinja text of `system`, `instruction` and
            `source`, in which nothing that varies follows the source.
        stop: the strings, at most 4, at which the model's answer ends; if empty, those of the form.

    Raises:
        InputError: an attribute cannot be used; the message begins with its name.
    """

    name: str
    version: int
    system: str
    instruction: str
    form: str
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "stop", tuple(self.stop) or STOP.get(self.form, ()))

    @property
    def id(self) -> str:
        """Name, version and the first 8 hexadecimal digits of the SHA-256 of everything that is rendered.

        Stop strings count as well, unless they are those of the form.
        """
        stop = () if self.stop == STOP.get(self.form, ()) else self.stop
        content = "\0".join((self.system, self.instruction, self._form, *stop))
        return f"{self.name}-v{self.version}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    def messages(self, source: str, source_language: Language, language: Language) -> list[dict[str, str]]:
        """The prompt for `source` as chat messages; there is no system message if its text is empty."""
        constant = self._constant(source_language, language)
        user = {"role": "user", "content": f"{constant.instruction}\n\n{source}"}
        return [{"role": "system", "content": constant.system}, user] if constant.system else [user]

    def render(self, source: str, source_language: Language, language: Language) -> str:
        """The prompt for `source` as one string in the model's own form.

        A mark of such a form within the source (`<|eot_id|>`, `[INST]`, a heading of this form) gets a space behind its
        first character: people can still read it, and the model does not take it for the end of the turn.
        """
        constant = self._constant(source_language, language)
        return f"{constant.before}{self._marks.sub(lambda mark: f'{mark[0]} ', source)}{constant.after}"

    def unspaced(self, source: str) -> str:
        """The source in a rendered prompt: without the spaces that `render` put into marks."""
        return re.sub(f"({self._marks.pattern}) ", r"\1", source)

    def instruction_text(self, source_language: Language, language: Language) -> str:
        """The system text and the instruction as the model reads them, a line each, without the source."""
        constant = self._constant(source_language, language)
        return f"{constant.system}\n{constant.instruction}"

    @property
    def _form(self) -> str:
        return FORMS.get(self.form, self.form)

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        headings = {heading.rstrip(": ")[1:] for heading in re.findall(r"^##+ ?[^\n{]+", self._form, re.MULTILINE)}
        of_form = (rf"#(?= *{re.escape(heading)}(?!\w))" for heading in sorted(headings))
        return re.compile("|".join([MARKS.spaced_control.pattern, *of_form]))

    def _constant(self, source_language: Language, language: Language) -> _Constant:
        return _constant(self, source_language.name, language.name)


@cache
def _constant(template: PromptTemplate, source_language: str, language: str) -> _Constant:
    # A corpus has a prompt for each of its sentences: Jinja works once, and what is left is concatenation.
    names = {"source_language": source_language, "language": language}
    system, instruction = (_rendered(name, getattr(template, name), names) for name in ("system", "instruction"))
    texts = {"system": system, "instruction": instruction, "source": _MARK}
    # The last mark is the source: what follows it is constant.
    before, _, after = _rendered("form", template._form, texts).rpartition(_MARK)
    return _Constant(system, instruction, before, after)


def get_template(task: str, prompt: str | None = None) -> PromptTemplate:
    """The template of `task`: the built-in one, or that in the YAML file `prompt`, with which a task may have any name.

    Raises:
        InputError: an unknown task (the message lists the known ones), or a file that holds no such template.
    """
    if prompt is None:
        if task not in TASKS:
            raise InputError(
                f"--task {task}: unknown; known are {', '.join(TASKS)}; "
                "a task of your own, a name of a-z and _, wants its prompt: --prompt FILE.yaml"
            )
        return TASKS[task]
    if not re.fullmatch("[a-z_]+", task):
        raise InputError(f"--task {task}: a name of a-z and _ is needed")
    documents = read_mappings(Path(prompt), PromptTemplate, f"--prompt {prompt}")
    if len(documents) != 1:
        raise InputError(f"--prompt {prompt}: holds {len(documents)} prompts; a file of one is needed")
    try:
        template = _template(documents[0])
        # What an expression does with a name comes to light when it is evaluated.
        template.render("", LANGUAGES["en"], LANGUAGES["ta"])
    except InputError as error:
        raise InputError(f"--prompt {prompt}, {error}") from error
    return template


def _template(mapping: Mapping[str, Any]) -> PromptTemplate:
    """The template that a document of a file describes."""
    values = dict(mapping)
    for key in ("system", "instruction"):
        if isinstance(values[key], str):
            values[key] = values[key].strip()  # YAML's block texts end in a line break
    if isinstance(values.get("stop"), str):
        values["stop"] = (values["stop"],)
    return PromptTemplate(**values)


def _check(template: PromptTemplate) -> None:
    """Raise the `InputError` of what cannot be used in `template`; values from a file may have any type."""
    for key in ("name", "system", "instruction", "form"):
        value = getattr(template, key)
        if not isinstance(value, str) or (key != "system" and not value.strip()):
            raise InputError(f"`{key}`: a text is needed, not {value!r}")
    if not re.fullmatch(r"[\w.-]+", template.name):
        raise InputError(f"`name`: letters, digits and . _ - are needed, not {template.name!r}")
    if isinstance(template.version, bool) or not isinstance(template.version, int) or template.version < 1:
        raise InputError(f"`version`: a whole number from 1 is needed, not {template.version!r}")
    stop = template.stop if isinstance(template.stop, list | tuple) else [None]
    if len(stop) > MOST_STOPS or not all(isinstance(text, str) and text for text in stop):
        raise InputError(f"`stop`: a list of at most {MOST_STOPS} texts is needed, not {template.stop!r}")
    for key in ("system", "instruction"):
        _parsed(key, getattr(template, key), LANGUAGE_NAMES)
    if template.form not in FORMS:
        _check_form(template)


def _check_form(template: PromptTemplate) -> None:
    """Raise the `InputError` of a Jinja form that loses a text, changes the source, or does not end on it."""
    if "{" not in template.form:
        nearest = difflib.get_close_matches(template.form, FORMS, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        known = " or ".join(FORMS)
        raise InputError(
            f"`form`: {known} is needed, or a Jinja text with {{{{ source }}}}, not {template.form!r}{hint}"
        )
    tree = _parsed("form", template.form, {"system", "instruction", "source"})
    used = [name.name for name in tree.find_all(nodes.Name)]
    for key in ("source", "instruction", "system"):
        if key not in used and (key == "source" or getattr(template, key)):
            raise InputError(f"`form` holds no {{{{ {key} }}}}")
    parts = [part for node in tree.body for part in (node.nodes if isinstance(node, nodes.Output) else [node])]
    places = [n for n, part in enumerate(parts) if isinstance(part, nodes.Name) and part.name == "source"]
    if len(places) != 1 or used.count("source") != 1:
        raise InputError("`form`: {{ source }} is needed once, by itself: in no block and under no filter")
    varying = next(nodes.Output(parts[places[0] + 1 :]).find_all(nodes.Name), None)
    if varying is not None:
        raise InputError(f"`form`: `{varying.name}` follows {{{{ source }}}}, where only constant text may follow")


def _parsed(key: str, text: str, known: set[str]) -> nodes.Template:
    """The syntax tree of the Jinja `text`, which may use the names `known`."""
    try:
        tree = _JINJA.parse(text)
        unknown = sorted(meta.find_undeclared_variables(tree) - known)
    except TemplateSyntaxError as error:
        raise InputError(f"`{key}`, line {error.lineno} of it: {one_line(error.message or error)}") from error
    if unknown:
        raise InputError(f"`{key}`: `{unknown[0]}` is undefined there; known are {', '.join(sorted(known))}")
    return tree


def _rendered(key: str, text: str, names: Mapping[str, str]) -> str:
    try:
        return _compiled(text).render(names)
    except Exception as error:  # an expression of a user's can fail in any way
        raise InputError(f"`{key}`: {one_line(error)}") from error


@cache
def _compiled(text: str) -> Template:
    # Compiling takes far longer than rendering, and there are many pairs of languages.
    return _JINJA.from_string(text)


def _built_in() -> dict[str, PromptTemplate]:
    mappings = read_mappings(files(__package__).joinpath("prompts.yaml"), PromptTemplate, "prompts.yaml")
    return {mapping["name"]: _template(mapping) for mapping in mappings}


TASKS: Mapping[str, PromptTemplate] = MappingProxyType(_built_in())
