"""Prompt templates: named, versioned, each in the form that its model was trained on.

The constant text comes first and the source last, so that servers with prefix caching compute the instruction once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from jinja2 import Environment, StrictUndefined, Template

from hf_xling.errors import InputError
from hf_xling.generation.languages import Language

# How a system and a user text become one string for a wire that takes raw text; the chat wire leaves that to the server
FORMS = {
    # LLaMA 3 instruct, https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3; without its
    # <|begin_of_text|>, which TGI's tokenizer puts before whatever it is given.
    "llama3": (
        "<|start_header_id|>system<|end_header_id|>\n\n{{ system }}<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n{{ instruction }}\n\n{{ source }}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    # The Alpaca form that Tamil-LLaMA's instruct models were tuned on.
    "alpaca": "{{ system }}\n\n### Instruction:\n{{ instruction }}\n\n### Input:\n{{ source }}\n\n### Response:\n",
}
STOP = {"llama3": ("<|eot_id|>",), "alpaca": ("### Instruction:",)}

_JINJA = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)


@dataclass(frozen=True)
class PromptTemplate:
    """An instruction for one task.

    Attributes:
        name, version: what it is called; a change of wording is a new version.
        system, instruction: Jinja texts that may use `source_language` and `language` (English names).
        form: the key in `FORMS` of the model's own prompt form.
    """

    name: str
    version: int
    system: str
    instruction: str
    form: str = field(default="llama3")

    @property
    def id(self) -> str:
        """Name, version and the first 8 hexadecimal digits of the SHA-256 of everything that is rendered."""
        content = "\0".join((self.system, self.instruction, FORMS[self.form]))
        return f"{self.name}-v{self.version}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    @property
    def stop(self) -> tuple[str, ...]:
        """The strings at which the model's answer ends."""
        return STOP[self.form]

    def messages(self, source: str, source_language: Language, language: Language) -> list[dict[str, str]]:
        """The prompt for `source` as chat messages."""
        system, instruction = self._texts(source_language, language)
        return [{"role": "system", "content": system}, {"role": "user", "content": f"{instruction}\n\n{source}"}]

    def render(self, source: str, source_language: Language, language: Language) -> str:
        """The prompt for `source` as one string in the model's own form."""
        system, instruction = self._texts(source_language, language)
        return _compiled(FORMS[self.form]).render(system=system, instruction=instruction, source=source)

    def source_of(
        self, prompt: str | list[dict[str, str]], source_language: Language, language: Language
    ) -> str | None:
        """The source that `render` or `messages` made `prompt` of, or None if they did not."""
        mark = "\0"
        if isinstance(prompt, str):
            text, pattern = prompt, self.render(mark, source_language, language)
        else:
            text = prompt[-1]["content"]
            pattern = self.messages(mark, source_language, language)[-1]["content"]
        before, _, after = pattern.partition(mark)
        fits = text.startswith(before) and text.endswith(after) and len(text) >= len(before) + len(after)
        return text[len(before) : len(text) - len(after)] if fits else None

    def _texts(self, source_language: Language, language: Language) -> tuple[str, str]:
        names = {"source_language": source_language.name, "language": language.name}
        return _compiled(self.system).render(names), _compiled(self.instruction).render(names)


@lru_cache
def _compiled(text: str) -> Template:
    # Compiling takes ten times as long as rendering, and a corpus has a prompt for each of its sentences.
    return _JINJA.from_string(text)


TASKS = {
    "paraphrase": PromptTemplate(
        name="paraphrase",
        version=1,
        system="You rewrite {{ source_language }} sentences. Answer with the rewritten sentence and nothing else.",
        instruction="Paraphrase this sentence in {{ language }}. Keep its meaning; change its words and its structure.",
        form="llama3",
    ),
    "translate": PromptTemplate(
        name="translate",
        version=1,
        system="You translate {{ source_language }} into {{ language }}. Answer with the translation and nothing else.",
        instruction="Translate this sentence into {{ language }}.",
        form="alpaca",
    ),
}


def get_template(task: str) -> PromptTemplate:
    """The template of `task`; an unknown task is an `InputError` that lists the known ones."""
    if task not in TASKS:
        raise InputError(f"--task {task}: unknown; known are {', '.join(TASKS)}")
    return TASKS[task]
