"""Which requests a text takes, one after another, and which of their completions is its answer.

Answers that never end hold a server's slots until they reach the limit on tokens. So each text gets a tight limit of
its own, by what its length lets one expect, and only those whose answer is cut there are asked again with a wider one.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.endpoint import EndpointInfo
from hf_xling.generation.languages import LANGUAGES, Language
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.marks import read_answer
from hf_xling.generation.records import Completion, Request
from hf_xling.generation.scores import repetition

SHOWN_FROM = 100_000  # texts; looking up fewer takes a second or two
STEP = 16  # tokens: few distinct budgets, and room for a rounding error of the estimate
GROWTH = 4  # of a row's budget from one try to the next
SHORTEST = 16  # tokens: what even the answer to a single word may need, such as another form of it with a full stop


def expected_tokens(text: str, source_language: Language, language: Language) -> int:
    """The tokens of an answer in `language` to `text` in `source_language` that says as much; at least 1.

    From the characters of `text`, the `length_factor` of both languages and the `tokens_per_character` of the answer's
    language; a high estimate over tokenizers, as the latter is.
    """
    characters = len(text) * language.length_factor / source_language.length_factor
    return max(1, math.ceil(characters * language.tokens_per_character))


def prompt_tokens(prompt: str | Sequence[Mapping[str, str]], source: str, source_language: Language) -> int:
    """A high estimate of the tokens of `prompt`, a string or chat messages, which asks about `source`.

    The source counts by the tokens per character of its language, the constant text around it by those of English for
    each byte of its UTF-8, since a user's own prompt may be in any language.
    """
    text = prompt if isinstance(prompt, str) else "".join(message["content"] for message in prompt)
    constant = len(text.encode("utf-8", "surrogatepass")) - len(source.encode("utf-8", "surrogatepass"))
    return math.ceil(
        constant * LANGUAGES["en"].tokens_per_character + len(source) * source_language.tokens_per_character
    )


# Of 4,095 Wikipedia sentences and their Tamil versions, in the tokens of LLaMA 3, a factor of 3 cuts 0.4%, of 2 1.0%.
def budgets(text: str, source_language: Language, language: Language, *, factor: float, most: int) -> tuple[int, ...]:
    """The `max_new_tokens` of the successive tries for `text`: ascending, the last one `most`.

    The first is `factor` times `expected_tokens` and `SHORTEST`, rounded up to a multiple of `STEP`; each next one is
    `GROWTH` times the one before. With a factor of 0 there is one try, with `most`.

    >>> budgets("A dog runs.", LANGUAGES["en"], LANGUAGES["ta"], factor=3, most=1024)
    (80, 320, 1024)
    """
    if factor == 0:
        return (most,)
    first = STEP * math.ceil((factor * expected_tokens(text, source_language, language) + SHORTEST) / STEP)
    tries = []
    while first < most:
        tries.append(first)
        first *= GROWTH
    return (*tries, most)


class Asker:
    """Makes the requests of a run.

    The first try of a text has a tight budget of tokens. An answer that is cut there is asked for again with
    a larger one, unless it goes round in circles: more room makes those longer and no better.

    Args:
        config: of the run.
        info: what the endpoint serves.
        max_repetition: the share of an answer that may be repetition.
        extra: further parameters of every request, in the wire's own names.
    """

    def __init__(
        self, config: GenerateConfig, info: EndpointInfo, max_repetition: float, extra: Mapping[str, Any] | None = None
    ):
        self.config, self.info, self.max_repetition = config, info, max_repetition
        template, languages = config.template, (config.source_profile, config.profile)
        render = template.render if info.wire == "generate" else template.messages
        self.prompt = lambda source: render(source, *languages)
        self._limit_name = "max_new_tokens" if info.wire == "generate" else "max_tokens"
        self._common = {**_parameters(config, info), **(extra or {})}

    def tries(self, text: str, sample: int) -> Iterator[Request]:
        """The requests for sample number `sample` of `text`, in the order in which they may become necessary."""
        config, prompt = self.config, self.prompt(text)
        languages, most = (config.source_profile, config.profile), config.max_new_tokens
        for budget in budgets(text, *languages, factor=config.token_budget, most=most):
            parameters = {**self._common, "seed": config.seed + sample, self._limit_name: budget}
            yield Request(text, prompt, parameters, self.info.model_id, self.info.model_sha, sample)

    def next_request(self, ledger: Ledger, text: str, sample: int) -> Request | None:
        """The request that the ledger lacks for a sample of `text`; None if its answer is complete."""
        for request in self.tries(text, sample):
            state = ledger.state(request.key)
            if state in (None, "failed"):
                return request
            if state == "answered" or self._loops(ledger.get(request.key)):
                return None
        return None

    def follow_up(self, request: Request, completion: Completion) -> Request | None:
        """The request to send after `request` was answered by `completion`; None if that is the end."""
        if not completion.is_cut or self._loops(completion):
            return None
        budget, tries = request.parameters[self._limit_name], self.tries(request.source, request.sample)
        return next((larger for larger in tries if larger.parameters[self._limit_name] > budget), None)

    def outcome(self, ledger: Ledger, text: str, sample: int) -> tuple[Request, Completion | None, int]:
        """The last request for a sample of `text`, its completion (None if never sent), and the tokens of all tries."""
        tokens = 0
        for request in self.tries(text, sample):
            completion = ledger.get(request.key)
            if completion is None:
                break
            tokens += completion.generated_tokens or 0
            if not completion.is_cut or self._loops(completion):
                break
        return request, completion, tokens

    def _loops(self, completion: Completion | None) -> bool:
        text = completion.text if completion is not None else None
        return text is not None and repetition(read_answer(text).text) > self.max_repetition


class Missing:
    """What the ledger lacks: samples of distinct texts, as numbers in 8 bytes each.

    Args:
        rank, world: this process's number and how many there are; each takes the texts whose keys fall to it.

    Attributes:
        share: how many samples are this process's.
        answered: a request of them that has its answer, if there is one.
    """

    def __init__(self, asker: Asker, ledger: Ledger, texts: Sequence[str], rank: int = 0, world: int = 1):
        self._asker, self._ledger, self._texts, self._samples = asker, ledger, texts, asker.config.samples
        self._numbers = array("Q")
        self.share = 0
        self.answered: Request | None = None
        numbers = range(len(texts) * self._samples)
        for number in tqdm(numbers, desc="ledger", unit="text", unit_scale=True, disable=len(numbers) < SHOWN_FROM):
            text, sample = texts[number // self._samples], number % self._samples
            if world > 1 and int(next(asker.tries(text, sample)).key[:8], 16) % world != rank:
                continue
            self.share += 1
            if asker.next_request(ledger, text, sample) is not None:
                self._numbers.append(number)
            elif self.answered is None:
                request, completion, _ = asker.outcome(ledger, text, sample)
                self.answered = request if completion is not None and completion.text else None

    def __len__(self) -> int:
        return len(self._numbers)

    def requests(self, numbers: Iterable[int] | None = None) -> Iterator[Request]:
        """The requests that are missing now, or those at the given places among them."""
        for place in range(len(self)) if numbers is None else numbers:
            number = self._numbers[place]
            text, sample = self._texts[number // self._samples], number % self._samples
            request = self._asker.next_request(self._ledger, text, sample)
            if request is not None:
                yield request


def _parameters(config: GenerateConfig, info: EndpointInfo) -> dict[str, Any]:
    """The sampling parameters in the names of the wire; TGI's /generate refuses a temperature of 0 and a top_p of 1."""
    sampling = config.temperature > 0
    common = {"top_p": config.top_p} if sampling and config.top_p is not None else {}
    if info.wire == "chat":
        return {**common, "temperature": config.temperature}
    stop = {"stop": list(config.template.stop)}
    return {**common, **stop, "do_sample": sampling, **({"temperature": config.temperature} if sampling else {})}
