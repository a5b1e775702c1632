"""What `hf-xling generate` is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hf_xling.errors import InputError
from hf_xling.generation.languages import get_language
from hf_xling.generation.prompts import get_template


@dataclass
class GenerateConfig:
    """What `hf-xling generate` is to do. Paths are relative to the working folder."""

    input: str = field(
        metadata={"help": ".txt, .csv, .tsv, .jsonl, .parquet, another run's accepted/ or a Hub dataset"}
    )
    endpoint: str = field(metadata={"help": "base URL of the endpoint, such as http://127.0.0.1:8080"})
    output_dir: str = field(metadata={"help": "gets ledger/, accepted/, rejected/ and manifest.json"})
    task: str = field(metadata={"help": "what to ask for: paraphrase or translate"})
    language: str = field(metadata={"help": "language of the answers, such as ta"})
    source_language: str = field(default="en", metadata={"help": "language of the input"})
    text_column: list[str] = field(
        default_factory=lambda: ["text"], metadata={"help": "column with the texts; several are taken together"}
    )
    id_column: str | None = field(
        default=None,
        metadata={"help": "column that names the rows; default: `id` in another run's rows, else the row number"},
    )
    split: str = field(default="train", metadata={"help": "split, where the input is a dataset"})
    wire: Literal["generate", "chat"] = field(
        default="generate", metadata={"help": "generate: TGI's /generate; chat: /v1/chat/completions"}
    )
    max_in_flight: int | None = field(
        default=None, metadata={"help": "requests at a time; default: what /info allows, at most 100"}
    )
    max_new_tokens: int = field(default=256, metadata={"help": "tokens an answer may have"})
    temperature: float = field(default=0.7, metadata={"help": "sampling temperature; 0 is greedy"})
    top_p: float | None = field(default=None, metadata={"help": "nucleus sampling, between 0 and 1"})
    seed: int = field(default=0, metadata={"help": "sampling seed, sent with every request"})
    timeout: float = field(default=120.0, metadata={"help": "seconds that one request may take"})

    _argument_group_name = "generate"

    def __post_init__(self) -> None:
        get_language(self.language), get_language(self.source_language), get_template(self.task)
        if not self.endpoint.startswith(("http://", "https://")):
            raise InputError(f"--endpoint {self.endpoint}: a URL that starts with http:// or https:// is needed")
        for name in ("max_in_flight", "max_new_tokens", "timeout"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"--{name} {value}: a number above 0 is needed")
        if self.temperature < 0 or (self.top_p is not None and not 0 < self.top_p < 1):
            raise InputError("--temperature must be 0 or more, --top_p between 0 and 1 (both excluded)")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--seed {self.seed}: a number from 0 to 2^63 - 1 is needed")
