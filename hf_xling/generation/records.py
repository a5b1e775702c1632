"""What generation passes around: a request, its completion, and the rows that come out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow

# Columns of accepted rows; rejected rows have `reason` as well.
ROW_SCHEMA = pyarrow.schema(
    [
        ("id", pyarrow.string()),
        ("source_text", pyarrow.string()),
        ("text", pyarrow.string()),
        ("language", pyarrow.string()),
        ("task", pyarrow.string()),
        ("sample", pyarrow.int32()),
        ("prompt_id", pyarrow.string()),
        ("model_id", pyarrow.string()),
        ("model_sha", pyarrow.string()),
        ("request_key", pyarrow.string()),
        ("finish_reason", pyarrow.string()),
        ("generated_tokens", pyarrow.int32()),
        ("seed", pyarrow.int64()),
        ("parent_text", pyarrow.string()),
        ("root_text", pyarrow.string()),
        ("script_share", pyarrow.float32()),
        ("length_ratio", pyarrow.float32()),
    ]
)
REJECTED_SCHEMA = ROW_SCHEMA.append(pyarrow.field("reason", pyarrow.string()))


@dataclass(frozen=True)
class Request:
    """One generation, with everything that its answer depends on.

    Attributes:
        source: the text that the prompt asks about.
        prompt: the rendered prompt, or chat messages.
        parameters: sampling parameters, in the wire's own names.
        model_id, model_sha: what the endpoint says it serves (None where it does not say).
        sample: which of several answers to one prompt this is.
    """

    source: str
    prompt: str | list[dict[str, str]]
    parameters: dict[str, Any]
    model_id: str | None
    model_sha: str | None
    sample: int = 0

    @property
    def key(self) -> str:
        """The name of the answer in the ledger: SHA-256 over all of the above (`source` stands in the prompt)."""
        content = [self.prompt, self.parameters, self.model_id, self.model_sha, self.sample]
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class Completion:
    """An endpoint's answer, or its failure.

    Attributes:
        text: the generated text without stop strings and outer white space; None after a failure.
        finish_reason: `eos_token`, `stop_sequence` or `length` (cut); chat's `stop` is kept as it is.
        generated_tokens, seed: as the endpoint reports them.
        error: why there is no text; None after a success.
    """

    text: str | None
    finish_reason: str | None = None
    generated_tokens: int | None = None
    seed: int | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, as JSON takes them."""
        return {name: value for name, value in asdict(self).items() if value is not None}
