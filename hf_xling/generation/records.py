"""What generation passes around: a request and its completion."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One generation, with everything that its answer depends on.

    Attributes:
        source: the text that the prompt asks about.
        prompt: the rendered prompt, or chat messages.
        parameters: sampling parameters, in the wire's own names.
        model_id, model_sha: what the endpoint says it serves (None where it does not say).
        sample: which of several answers to one prompt this is.
        key: the name of the answer in the ledger: SHA-256 over all of the above (`source` stands in the prompt).
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
        finish_reason: `eos_token`, `stop_sequence` or `length` (cut); chat's `stop` is kept as it is.
        generated_tokens, seed: as the endpoint reports them.
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

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, as JSON takes them."""
        return {name: value for name in _COMPLETION_FIELDS if (value := getattr(self, name)) is not None}


_COMPLETION_FIELDS = tuple(field.name for field in fields(Completion))
