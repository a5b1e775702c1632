"""What generation passes around: a request and its completion."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, Self

import yaml

from hf_xling.errors import one_line

_ENDINGS = {
    word: kind
    for kind, words in yaml.safe_load(files(__package__).joinpath("endings.yaml").read_text("utf-8")).items()
    for word in words
}
MOST_TOKENS, LARGEST_SEED = 2**31 - 1, 2**63 - 1  # what a Parquet column of rows holds


@dataclass(frozen=True, slots=True)
class Request:
    """One generation, with everything that its answer depends on.

    Attributes:
        source: the text that the prompt asks about.
        prompt: the rendered prompt, or chat messages.
        parameters: sampling parameters, in the wire's own names.
        model_id, model_sha: what the endpoint says it serves (None where it does not say).
        sample: which of several answers to one prompt this is.
        key: the name of the answer in the ledger: SHA-256 over all of the above (`source` is in the prompt).
    """

    source: str
    prompt: str | list[dict[str, str]]
    parameters: dict[str, Any]
    model_id: str | None
    model_sha: str | None
    sample: int = 0
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        content = [self.prompt, self.parameters, self.model_id, self.model_sha, self.sample]
        key = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        object.__setattr__(self, "key", key)


@dataclass(frozen=True, slots=True)
class Completion:
    """An endpoint's answer, or its failure.

    Attributes:
        text: the generated text without stop strings and outer white space; None after a failure.
        finish_reason: the endpoint's own word for how the answer ended; None where it gives none.
        generated_tokens, seed: as the endpoint reports them; None where it does not, or not as a number that fits.
        error: why there is no text; None after a success.
        model_id, model_sha: what answered, where the endpoints of a run serve different models; else None.
    """

    text: str | None
    finish_reason: str | None = None
    generated_tokens: int | None = None
    seed: int | None = None
    error: str | None = None
    model_id: str | None = None
    model_sha: str | None = None

    @classmethod
    def of(cls, text: str | None, finish_reason: Any, generated_tokens: Any, seed: Any, **names: str | None) -> Self:
        """A completion of what a server has put into these fields, whatever the types of all but `text` are."""
        tokens, seed = whole_number(generated_tokens, MOST_TOKENS), whole_number(seed, LARGEST_SEED)
        return cls(text, _ending(finish_reason), tokens, seed, **names)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Self:
        """The completion of a ledger's entry. An older version let values of other types in: they are read by `of`."""
        names = {name: entry.get(name) for name in ("error", "model_id", "model_sha")}
        fields = (entry.get(name) for name in ("text", "finish_reason", "generated_tokens", "seed"))
        completion, ending = cls.of(*fields, **names), entry.get("finish_reason")
        return replace(completion, finish_reason=ending) if isinstance(ending, str) else completion

    @property
    def is_whole(self) -> bool:
        """Whether the endpoint says that the answer came to its own end."""
        return ending(self.finish_reason) == "whole"

    @property
    def is_cut(self) -> bool:
        """Whether the endpoint says that the answer was cut at its limit of tokens."""
        return ending(self.finish_reason) == "cut"

    @property
    def is_broken(self) -> bool:
        """Whether a fault of the server ended the answer."""
        return ending(self.finish_reason) == "broken"

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, as JSON takes them."""
        return {name: value for name in _COMPLETION_FIELDS if (value := getattr(self, name)) is not None}


_COMPLETION_FIELDS = tuple(field.name for field in fields(Completion))


@lru_cache(1024)
def ending(reason: str | None) -> str | None:
    """What a finish reason says of an answer: `whole`, `cut`, `broken` (see `endings.yaml`), or None for nothing.

    `FINISH_REASON_MAX_TOKENS`, `maxTokens` and `max-tokens` are one.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s.-]+", "_", (reason or "").strip()).lower()
    return _ENDINGS.get(re.sub(r"^(finish_?reason|stopped)_", "", words))


def whole_number(value: Any, most: int) -> int | None:
    """`value`, a number or a string of digits, as an integer from 0 to `most`; None for anything else."""
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= most else None


def _ending(value: Any) -> str | None:
    """A finish reason as one short word or line. Some servers wrap theirs in an object, as in `{"type": "stop"}`."""
    if isinstance(value, Mapping):
        names = ("type", "reason", "kind", "name")
        value = next((word for name in names if isinstance(word := value.get(name), str)), value)
    if value is None or value == "":
        return value
    return one_line(value if isinstance(value, str) else json.dumps(value), 60)
