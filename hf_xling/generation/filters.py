"""Filters: each answer gets scores and, where it is unfit for a corpus, the reasons. Rejected rows are kept as data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pyarrow

from hf_xling.errors import InputError
from hf_xling.generation.chatter import Preambles, refuses
from hf_xling.generation.languages import Language
from hf_xling.generation.marks import read_answer
from hf_xling.generation.records import Completion
from hf_xling.generation.scores import (
    PromptEcho,
    copy,
    function_words,
    in_other_language,
    numerals_kept,
    repetition,
    uncontracted,
    words_lost,
    words_only,
)

# So many characters more or less are no fault ("Hi" → "Hello there", "Thank you very much" → "நன்றி").
LENGTH_SLACK = 20
# What is left of a long text in a summary.
MIN_SUMMARY = 10

# Of an answer so many characters are read, and twice as many as could be accepted: the cost of a runaway is bounded.
MIN_READ = 10_000

# The columns of the scores, in order; `filters.Judge` describes them.
SCORES = [
    pyarrow.field("script_share", pyarrow.float32()),
    pyarrow.field("length_ratio", pyarrow.float32()),
    pyarrow.field("copy", pyarrow.float32()),
    pyarrow.field("prompt_echo", pyarrow.float32()),
    pyarrow.field("repetition", pyarrow.float32()),
    pyarrow.field("numerals_kept", pyarrow.float32()),
    pyarrow.field("refusal", pyarrow.bool_()),
    pyarrow.field("preamble", pyarrow.string()),
    pyarrow.field("similarity", pyarrow.float32()),
]
_UNSCORED: Mapping[str, Any] = MappingProxyType({score.name: None for score in SCORES})


@dataclass
class FilterConfig:
    """The thresholds of the filters. An answer at a threshold passes; 0 and 1 switch a filter of shares off."""

    min_script_share: float = field(
        default=0.5, metadata={"help": "least share of an answer's letters in the script of its language"}
    )
    min_length_ratio: float = field(
        default=0.4, metadata={"help": "least length of an answer, relative to its source and the languages"}
    )
    max_length_ratio: float = field(
        default=2.5, metadata={"help": "greatest length of an answer, relative to its source and the languages"}
    )
    max_copy: float = field(default=0.95, metadata={"help": "greatest likeness of an answer to its source"})
    max_prompt_echo: float = field(
        default=0.3, metadata={"help": "greatest share of a sentence of the prompt that an answer may say again"}
    )
    max_repetition: float = field(
        default=0.3, metadata={"help": "greatest share of an answer that repeats what is before it"}
    )
    min_numerals_kept: float = field(
        default=1.0, metadata={"help": "least share of the source's numerals that an answer has too"}
    )
    similarity_model: str | None = field(
        default=None,
        metadata={"help": "sentence-transformers model, folder or Hub id, that compares answers with their sources"},
    )
    min_similarity: float = field(default=0.5, metadata={"help": "least cosine of an answer and its source there"})

    _argument_group_name = "filters"

    def __post_init__(self) -> None:
        shares = ("min_script_share", "max_copy", "max_prompt_echo", "max_repetition", "min_numerals_kept")
        for name in (*shares, "min_similarity"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"--{name} {getattr(self, name)}: a number from 0 to 1 is needed")
        for name in ("min_length_ratio", "max_length_ratio"):
            if not getattr(self, name) > 0:
                raise InputError(f"--{name} {getattr(self, name)}: a number above 0 is needed")
        if not self.min_length_ratio < self.max_length_ratio:
            raise InputError(
                f"--min_length_ratio {self.min_length_ratio}: must be below --max_length_ratio {self.max_length_ratio}"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the filters say of one answer.

    Attributes:
        text: the answer as it is kept: without reasoning and without a preamble; None after a failure.
        scores: by the names of `SCORES`, None where there is nothing to score.
        failed: the names of all filters that the answer fails, the most telling one first; () if it is accepted.
        reasoning: whether the model's reasoning was stripped.
    """

    text: str | None
    scores: Mapping[str, Any]
    failed: tuple[str, ...]
    reasoning: bool = False

    @property
    def reason(self) -> str | None:
        """Why the answer is rejected; None if it is accepted."""
        return self.failed[0] if self.failed else None

    @property
    def is_scored(self) -> bool:
        """Whether there was a text to score."""
        return self.scores["script_share"] is not None


class Judge:
    """Scores the answers of a run and names all that is wrong with each.

    | reason | score | an answer fails with |
    | --- | --- | --- |
    | `endpoint: …` | | no text: the request failed |
    | `reasoning` | | a block of reasoning that is not closed, or nothing behind it (`marks.read_answer`) |
    | `damaged` | | control characters, tags, or others that no text has and its source has not either |
    | `empty` | | no letter and no digit |
    | `refusal` | `refusal` | words that decline the task, which the source does not say itself |
    | `prompt_echo` | `prompt_echo` | more of the prompt than `max_prompt_echo` (`scores.PromptEcho`) |
    | `repetition` | `repetition` | more loops than `max_repetition`, those of its source taken off |
    | `truncated` | | its end cut off at the token limit |
    | `preamble` | `preamble`: what was stripped | a preamble and nothing behind it (`chatter.Preambles`) |
    | `copy` | `copy` | more likeness to its source than `max_copy`; by task: `scores.copy` |
    | `wrong_script` | `script_share` | fewer letters of its language's script than `min_script_share` |
    | `wrong_language` | | words that are plainly those of another language (`in_other_language`) |
    | `words` | | shuffled, and words left out or added (`scores.words_lost`) |
    | `length` | `length_ratio` | a length outside of `min_length_ratio` and `max_length_ratio` |
    | `numerals` | `numerals_kept` | fewer of the source's numerals than `min_numerals_kept`; a summary may drop some |
    | `similarity` | `similarity` | a cosine below `min_similarity` |

    The length ratio is that of the characters, over the usual ratio for the two languages. An answer may always be
    `LENGTH_SLACK` characters shorter than usual, or longer than its bound. A summary must not be longer than its source
    and needs `MIN_SUMMARY` characters only. Of an answer that is far too long, only the beginning is scored.

    Args:
        config: the thresholds.
        task: `paraphrase`, `translate`, `summarise`, `synonyms`, `shuffle` or another name.
        instruction: the system and instruction texts of the prompt, without the source.
        source_language, language: of the sources and of the answers.
    """

    def __init__(
        self, config: FilterConfig, task: str, instruction: str, source_language: Language, language: Language
    ):
        self.config, self.task, self.language = config, task, language
        self._length_factor = language.length_factor / source_language.length_factor
        self._prompt_echo = PromptEcho(instruction)
        self._same_language = language.code == source_language.code
        self._function_words = function_words(language.code)
        self._is_english = self._function_words == function_words("en")
        self._preambles = Preambles(source_language.name, language.name)

    def __call__(self, source: str, completion: Completion) -> Verdict:
        """The verdict on `completion` as the answer to `source`."""
        if completion.error is not None:
            return Verdict(None, _UNSCORED, (f"endpoint: {completion.error}",))
        said = read_answer(completion.text or "", source)
        if said.fault is not None:
            failed = (said.fault, "truncated") if completion.is_cut else (said.fault,)
            return Verdict(said.text, _UNSCORED, failed, said.reasoning)
        expected = len(source.strip()) * self._length_factor
        answer, rest = self._split(said.text, expected)
        text, preamble = self._preambles.strip(source, answer)
        folded = words_only(text)
        hollow = preamble is not None and not folded
        if hollow:
            text, preamble, folded = answer, None, words_only(answer)
        if not folded:
            return Verdict(completion.text, _UNSCORED, ("empty",), said.reasoning)
        config, summary, folded_source = self.config, self.task == "summarise", words_only(source)
        likeness = copy(*self._words(folded_source, folded), self.task, self._function_words)
        echo = self._prompt_echo(source, text, folded)
        looped = repetition(text, folded)
        if looped:
            looped = max(0.0, looped - repetition(source, folded_source))
        kept = None if summary else numerals_kept(source, text)
        refusal = refuses(source, text)
        script_share = self.language.script_share(text)
        known = frozenset(folded_source.split()) if self._same_language else frozenset()
        foreign = script_share > 0.5 and in_other_language(text, folded, self.language.code, known)
        if answer.rstrip().endswith(text):  # else the rest belongs to the note that was stripped
            text += rest
        scores = {
            "script_share": script_share,
            "length_ratio": len(text) / expected if expected else None,
            "copy": likeness,
            "prompt_echo": echo,
            "repetition": looped,
            "numerals_kept": kept,
            "refusal": refusal,
            "preamble": preamble,
            "similarity": None,
        }
        checks = (
            ("refusal", refusal),
            ("prompt_echo", echo > config.max_prompt_echo),
            ("repetition", looped > config.max_repetition),
            ("truncated", completion.is_cut),
            (
                f"unfinished: {completion.finish_reason or 'no finish reason'}",
                not (completion.is_cut or completion.is_whole),
            ),
            ("preamble", hollow),
            ("copy", likeness is not None and likeness > config.max_copy),
            ("wrong_script", script_share < config.min_script_share),
            ("wrong_language", foreign),
            ("words", self.task == "shuffle" and self._same_language and not self._keeps_words(folded_source, folded)),
            ("length", not self._fits(len(text), expected)),
            ("numerals", kept is not None and kept < config.min_numerals_kept),
        )
        return Verdict(text, scores, tuple([name for name, fails in checks if fails]), said.reasoning)

    def compared(self, verdict: Verdict, similarity: float) -> Verdict:
        """`verdict`, which has scores, with the cosine of the answer and its source."""
        failed = () if similarity >= self.config.min_similarity else ("similarity",)
        scores = {**verdict.scores, "similarity": similarity}
        return replace(verdict, scores=scores, failed=(*verdict.failed, *failed))

    def _split(self, answer: str, expected: float) -> tuple[str, str]:
        """`answer` in two: what is read of it, and the rest of one that is far too long whatever the rest says."""
        read = 2 * self.config.max_length_ratio * expected + LENGTH_SLACK + MIN_READ
        return (answer, "") if len(answer) <= read else (answer[: int(read)], answer[int(read) :])

    def _words(self, source: str, answer: str) -> tuple[str, str]:
        """Both texts, of contractions the words where words are compared."""
        if not self._is_english or self.task not in ("synonyms", "shuffle"):
            return source, answer
        return uncontracted(source), uncontracted(answer)

    def _keeps_words(self, source: str, answer: str) -> bool:
        """Whether a shuffled sentence has the words of its source, but for a few where grammar asks for others."""
        source, answer = self._words(source, answer)
        content, grammar = words_lost(source, answer, self._function_words)
        if self._is_english:  # "'s" may become "is", or "of the"
            grammar -= 3 * sum(abs(source.split().count(mark) - answer.split().count(mark)) for mark in "sd")
        words = len(source.split())
        few = words // 20 if self._function_words else 1 + words // 10
        return content <= few and grammar <= 1 + words // 10

    def _fits(self, length: int, expected: float) -> bool:
        """Whether an answer of `length` characters will do where `expected` are usual."""
        least, most = self.config.min_length_ratio * expected, self.config.max_length_ratio * expected
        if self.task == "summarise":
            least, most = MIN_SUMMARY, min(most, expected)
        return min(least, expected - LENGTH_SLACK) <= length <= most + LENGTH_SLACK


class Duplicates:
    """The answers given so far, each with where it came from first: a request, which several rows may share.

    Two 8-byte digests an answer, some 160 bytes of memory. Among a million answers the chance that any two digests
    coincide is 3 in 100 million.
    """

    def __init__(self) -> None:
        self._origins: dict[int, int] = {}

    def seen(self, origin: str, answer: str) -> bool:
        """Whether `words_only(answer)` came from another origin than `origin` first; that one may give it again."""
        digest = _digest(origin)
        return self._origins.setdefault(_digest(words_only(answer)), digest) != digest


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
