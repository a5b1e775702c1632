"""What `hf-xling generate` is told."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any, Literal

from hf_xling.errors import InputError
from hf_xling.generation.endpoint import base_url, is_base_url, without_password
from hf_xling.generation.languages import LANGUAGES, Language, get_language
from hf_xling.generation.prompts import PromptTemplate, get_template
from hf_xling.tables import check_once


@dataclass
class GenerateConfig:
    """What `hf-xling generate` is to do. Paths are relative to the working folder.

    Attributes:
        profile, source_profile: of the two languages.
        template: the prompt.
        api_key: the value of the variable that `api_key_variable` names.
    """

    input: str = field(
        metadata={"help": ".txt, .csv, .tsv, .jsonl, .parquet, another run's accepted/ or a Hub dataset"}
    )
    output_dir: str = field(metadata={"help": "gets ledger/, accepted/, rejected/ and manifest.json"})
    task: str = field(
        metadata={"help": "paraphrase, translate, summarise, synonyms or shuffle; any name with a --prompt of your own"}
    )
    language: str = field(
        metadata={"help": f"language of the answers: {', '.join(LANGUAGES)}, or a .yaml file that describes another"}
    )
    endpoint: list[str] = field(
        default_factory=list, metadata={"help": "base URL of the endpoint, such as http://127.0.0.1:8080; or several"}
    )
    serve: str | None = field(
        default=None,
        metadata={"help": "no endpoint: serve this model (a folder or Hub id) on this machine for the run"},
    )
    source_language: str = field(default="en", metadata={"help": "language of the input: a code or a profile (.yaml)"})
    prompt: str | None = field(default=None, metadata={"help": "YAML file with a prompt of your own"})
    text_column: list[str] = field(
        default_factory=lambda: ["text"], metadata={"help": "column with the texts; several are taken together"}
    )
    id_column: str | None = field(
        default=None,
        metadata={"help": "column that names the rows; default: `id` where its values are unique, else the row number"},
    )
    dataset_config: str | None = field(
        default=None, metadata={"help": "config of an input that is a dataset with some"}
    )
    split: str = field(default="train", metadata={"help": "split, where the input is a dataset"})
    samples: int = field(default=1, metadata={"help": "answers to each text, with seeds that count up from --seed"})
    wire: Literal["auto", "generate", "chat"] = field(
        default="auto",
        metadata={"help": "generate: TGI's /generate; chat: /v1/chat/completions; auto: generate where /info is TGI's"},
    )
    model: str | None = field(
        default=None, metadata={"help": "model to ask for on the chat wire, where an endpoint does not name just one"}
    )
    api_key_variable: str | None = field(
        default=None,
        metadata={
            "help": "environment variable with a key for the endpoint; Hugging Face's hosts get your saved token"
        },
    )
    allow_mixed_models: bool = field(
        default=False, metadata={"help": "take endpoints that serve different models or revisions"}
    )
    max_in_flight: int | None = field(
        default=None,
        metadata={"help": "requests at a time to each endpoint; default: what /info allows less a tenth, else 64"},
    )
    token_budget: float = field(
        default=3.0,
        metadata={"help": "tokens of the first try to those that the text is likely to need; 0: always max_new_tokens"},
    )
    max_new_tokens: int = field(default=1024, metadata={"help": "tokens an answer may have at most, in its last try"})
    temperature: float = field(default=0.7, metadata={"help": "sampling temperature; 0 is greedy"})
    top_p: float | None = field(default=None, metadata={"help": "nucleus sampling, between 0 and 1"})
    seed: int = field(default=0, metadata={"help": "sampling seed, sent with every request"})
    timeout: float = field(default=120.0, metadata={"help": "seconds that one request may take"})
    longest_outage: float = field(
        default=600.0, metadata={"help": "seconds that all endpoints may be out before the run stops"}
    )
    dry_run: bool = field(
        default=False, metadata={"help": "show prompts, counts and an estimate of tokens; ask nothing, write nothing"}
    )

    _argument_group_name = "generate"

    def __post_init__(self) -> None:
        if isinstance(self.endpoint, str):
            self.endpoint = [self.endpoint]
        self.profile: Language = get_language(self.language)
        self.source_profile: Language = get_language(self.source_language, "--source_language")
        self.template: PromptTemplate = get_template(self.task, self.prompt)
        self.template.instruction_text(self.source_profile, self.profile)  # what it cannot say in them is known now
        self._check_endpoints()
        check_once("--text_column", self.text_column)
        for name in ("max_in_flight", "max_new_tokens", "timeout", "samples", "longest_outage"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"--{name} {value}: a number above 0 is needed")
        if self.temperature < 0 or (self.top_p is not None and not 0 < self.top_p < 1):
            raise InputError("--temperature must be 0 or more, --top_p between 0 and 1 (both excluded)")
        if not 0 <= self.token_budget < math.inf:
            raise InputError(f"--token_budget {self.token_budget}: 0 or a number above it is needed")
        if not 0 <= self.seed <= 2**63 - self.samples:
            raise InputError(f"--seed {self.seed}: a number from 0 to 2^63 - 1 is needed")
        if self.samples > 1 and self.temperature == 0:
            raise InputError(f"--samples {self.samples}: greedy answers (--temperature 0) are all the same")

    def _check_endpoints(self) -> None:
        for url in self.endpoint:
            if not is_base_url(url):
                raise InputError(
                    f"--endpoint {without_password(url)}: a base URL such as http://127.0.0.1:8080 is needed, with "
                    "http:// or https://, a host, and nothing behind a ? or #"
                )
        if len(set(map(base_url, self.endpoint))) < len(self.endpoint):
            raise InputError("--endpoint: names the same endpoint twice")
        if self.endpoint and self.serve:
            raise InputError("--serve: starts an endpoint of its own; give it or --endpoint")
        if not (self.endpoint or self.serve or self.dry_run):
            raise InputError("--endpoint URL is needed, or --serve MODEL to serve a model on this machine")
        if self.serve and self.wire == "generate":
            raise InputError("--wire generate: what --serve starts speaks chat only")
        if self.api_key_variable and not os.environ.get(self.api_key_variable):
            raise InputError(f"--api_key_variable {self.api_key_variable}: is not set in the environment")

    @property
    def api_key(self) -> str | None:
        """The key for the endpoint. It is no field, so that it reaches no log and no record."""
        return os.environ[self.api_key_variable] if self.api_key_variable else None

    def sampling(self) -> dict[str, Any]:
        """The sampling parameters, whatever the wire calls them."""
        names = ("max_new_tokens", "token_budget", "temperature", "top_p", "seed")
        return {name: getattr(self, name) for name in names}
