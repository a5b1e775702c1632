"""What chat models say around an answer ("Here is a paraphrase: …", "Note: …") or in place of one ("I cannot …").

The wordings are in `chatter.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from hf_xling.generation.patterns import Patterns
from hf_xling.generation.scores import words_only

Span = tuple[int, int]

_SAID = Patterns("chatter.yaml", language="(?!)")  # where the languages of the run make no difference
_LAST = 500  # characters of an answer that end in a remark in brackets
_ITEMS_READ = 50  # of a list
_LAYERS = 50  # around an answer that are taken off, one by one


def refuses(source: str, answer: str) -> bool:
    """Whether `answer` declines the task or asks for its text, where `source` says no such thing itself."""
    if _SAID.of_a_model.match(answer):
        return not _SAID.of_a_model.search(source)
    return bool(_SAID.of_anyone.match(answer)) and not _SAID.unable.search(source)


class _Source:
    """What a source has of its own, so that its answer may have it too; looked up when it is asked for."""

    def __init__(self, text: str):
        self.text = text.strip()

    @cached_property
    def is_line(self) -> bool:
        return "\n" not in self.text

    @cached_property
    def is_labelled(self) -> bool:
        return ":" in self.text[:60]

    @cached_property
    def is_plain(self) -> bool:
        """Whether it is one line that does not speak of language and is no dialogue."""
        return self.is_line and not self.is_dialogue and not _SAID.of_language.search(self.text)

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(word.rstrip("s") for word in words_only(self.text).split())

    def says(self, label: str) -> bool:
        """Whether all words of `label` are its own, so that the label belongs to the text."""
        words = [word.rstrip("s") for word in words_only(label).split() if len(word) > 2 and word != "the"]
        return bool(words) and self.words.issuperset(words)

    def shares_nothing(self, said: str) -> bool:
        """Whether `said` has none of its words of more than three letters."""
        return self.words.isdisjoint(word.rstrip("s") for word in words_only(said).split() if len(word) > 3)

    @cached_property
    def has_brackets(self) -> bool:
        return re.search(r"[(\[]", self.text) is not None

    @cached_property
    def has_quotes(self) -> bool:
        return _SAID.quotes.search(self.text) is not None

    @cached_property
    def has_note(self) -> bool:
        return _SAID.note_word.search(self.text) is not None

    @cached_property
    def is_dialogue(self) -> bool:
        return _SAID.turn.search(self.text) is not None

    @cached_property
    def sentences(self) -> int:
        return max(1, _sentences(self.text))

    @cached_property
    def offers(self) -> bool:
        return bool(_SAID.offered.search(self.text) or _SAID.offer.search(self.text))


class Preambles:
    """Finds what is around an answer and belongs to the conversation: preambles, outer quotes, notes behind it.

    What the source itself begins or ends with, or is quoted in, stays: of two preambles before an answer, one is left
    if the source has one. Of several variants, the first is the answer.

    Args:
        names: English names of the languages of the run, as labels say them (`Tamil: …`).
    """

    def __init__(self, *names: str):
        self._said = Patterns("chatter.yaml", language="|".join(map(re.escape, names)))
        self._source_name = names[0].casefold() if len(set(names)) > 1 else ""

    def strip(self, source: str, text: str) -> tuple[str, str | None]:
        """`text` without them, and what was taken away: None if nothing was; `…` means the text in between.

        Stripping what is left takes nothing more away, unless there were more than `_LAYERS`.
        """
        whole = kept = text.strip()
        start, own = 0, _Source(source)
        for _ in range(_LAYERS):
            span = (self._leading(own, kept) or _unwrapped(own, kept) or self._behind(own, kept)) if kept else None
            if span is None:
                break
            inner = kept[span[0] : span[1]]
            start += span[0] + len(inner) - len(inner.lstrip())
            kept = inner.strip()
        if kept == whole:
            return text, None
        end = start + len(kept)
        return kept, " … ".join(filter(None, (whole[:start].strip(), whole[end:].strip())))

    def _leading(self, own: _Source, text: str) -> Span | None:
        """`text` without the preambles at its beginning that the source does not begin with as well."""
        if _SAID.only_about.fullmatch(text) and own.is_plain:
            return len(text), len(text)
        # A source that begins with a label of its own ("Tamil: …", "Tip: …") may keep it in other words.
        pattern = self._said.preamble if own.is_labelled else self._said.preamble_or_label
        if _SAID.leading.search(text) and (found := list(_preambles(pattern, text))):
            excess = len(found) - sum(1 for _ in _preambles(self._said.preamble, own.text))
            labels = (at for at, match in enumerate(found) if "\n" not in match[0] and own.says(match[0]))
            excess = min(excess, next(labels, excess))
            return (found[excess - 1].end(), len(text)) if excess > 0 else None
        if own.is_line and (heading := self._said.heading.match(text)):
            return heading.end(), len(text)
        line = _SAID.first_line.match(text)
        if line and own.is_plain and not own.is_labelled and own.shares_nothing(line[0]):
            return line.end(), len(text)
        sure = _SAID.yes_on_line.match(text)
        if sure and not _SAID.yes_words.search(own.text) and _sentences(text) > own.sentences:
            return sure.end(), len(text)
        if end := _said_again(own, text):
            return end, len(text)
        # "A dog runs. -> A hound goes.", "A dog runs. Paraphrase: A hound goes."
        again = len(own.text)
        if text[:again].casefold() == own.text.casefold() and (
            (match := _SAID.arrow.match(text, again))
            or (text[again : again + 1] == " " and (match := self._said.preamble.match(text, again)))
        ):
            return match.end(), len(text)
        return None

    def _behind(self, own: _Source, text: str) -> Span | None:
        """`text` without what follows it; of what is no answer itself, only what follows."""
        end = _end(own, text)
        if end is None:
            return None
        kept, behind = text[:end].strip(), text[end:]
        talk = bool(kept) and not own.is_dialogue and self._is_talk(own, kept)
        next_round = not talk and _SAID.next_round.match(behind)
        labels = [] if next_round else list(self._said.answer_line.finditer(behind))
        if labels and not (
            # it is translated back
            (self._source_name and self._source_name in labels[-1][0].casefold())
            or words_only(behind[labels[-1].end() :]) == words_only(own.text)
        ):
            return end + labels[-1].end(), len(text)
        return (end, len(text)) if talk else (0, end)

    def _is_talk(self, own: _Source, text: str) -> bool:
        """Whether `text` is a preamble, a label with its value or the source again, and no answer."""
        preamble = self._said.preamble_or_label
        if preamble.fullmatch(f"{text}:\n") or preamble.fullmatch(f"{text}\n\n"):
            return True
        if words_only(text) == words_only(own.text) or self._said.heading.fullmatch(f"{text}\n"):
            return True
        label = _SAID.value.match(text)
        return label is not None and own.is_line and not own.is_labelled and len(text) < max(20, len(own.text) // 3)


def _said_again(own: _Source, text: str) -> int:
    """Where the lines end that `text` begins with and that are its source again; 0 if there are none before others."""
    source, end = own.text.casefold(), 0
    while source and (line := text.find("\n", end)) >= 0 and text[end:line].strip().casefold() == source:
        end = line + 1
        while text[end].isspace():  # not to the end: `text` is stripped
            end += 1
    return end


def _unwrapped(own: _Source, text: str) -> Span | None:
    """What is within outer quotes, a code fence or a JSON object, or the first of several variants."""
    fence = text[:3]
    if fence in ("```", "~~~") and fence not in own.text:
        line = text.find("\n", 3)
        start = line + 1 if 0 < line <= 20 and " " not in text[3:line] else 3
        end = text.find(fence, start)
        return start, end if end >= 0 else len(text)
    if text.endswith("```") and "```" not in own.text:
        return 0, len(text) - 3
    if (rule := re.match(r"(?:-{3,}|\*{3,}|={3,}|_{3,})[ \t]*\n", text)) and own.is_line:
        return rule.end(), len(text)
    if (found := _SAID.json.fullmatch(text)) and not own.text.startswith(("{", "[")):
        return found.span(found.lastindex or 0)
    if re.fullmatch(r"\[[^\[\]]+\]|\([^()]+\)", text) and not own.has_brackets:
        return 1, len(text) - 1
    if own.has_quotes:
        return _first_variant(own, text)
    within = _SAID.quoted_within.fullmatch(text)
    if within and own.is_plain and len(within["inner"]) > len(text) // 3:
        around = f"{within['before']} {within['behind']}"
        if _SAID.task_or_say.search(around) and own.shares_nothing(around):
            return within.span("inner")
    # The full stop may be that of a preamble that quotes its answer.
    quoted = text[:-1] if text.endswith(".") and _SAID.quotes.match(text[-2:-1]) else text
    if _SAID.quoted.fullmatch(quoted):
        width = 2 if quoted.startswith(("**", "__", "''")) else 1
        return width, len(quoted) - width
    return _first_variant(own, text)


def _first_variant(own: _Source, text: str) -> Span | None:
    """The first of several answers in a numbered list, each as long as an answer is, or the only one."""
    first = _SAID.item.match(text)
    if first is None or not own.is_line or _SAID.item.match(own.text) or own.text.startswith(first[0].strip()):
        return None
    if own.says(re.sub(r"\d", "", first[0])):
        return None
    lines = [line for line in text.split("\n", _ITEMS_READ)[:_ITEMS_READ] if line.strip()]
    items = [_SAID.item.match(line) for line in lines]
    if len(lines) == 1:
        alone = re.fullmatch(r"\W*(?:1[.)]|[-*•>→]|[-=]>|\w+ \W?1)\W*", first[0].strip())
        return (first.end(), len(text)) if alone and not re.search(r"(?<!\d)1(?!\d)", own.text) else None
    # A list of parts is another thing.
    whole = (item and 2 * (len(line) - item.end()) >= len(own.text) for line, item in zip(lines, items, strict=True))
    return (first.end(), text.index("\n")) if all(whole) else None


def _end(own: _Source, text: str) -> int | None:
    """Where a note, a remark, an offer or another turn begins that the source does not have as well."""
    found = []
    if "\n" in text:
        note, remark, turn = (pattern.search(text) for pattern in (_SAID.note, _SAID.remark, _SAID.turn_on_line))
        if note and not _SAID.note.search(own.text):
            found.append(note.start())
        own_label = remark and ":" in remark[0] and own.says(remark[0])
        if remark and own.is_plain and not own_label and not _SAID.arrow_within.search(own.text):
            found.append(remark.start())
        if turn and not own.is_dialogue and not own.says(turn[0]):
            found.append(turn.start())
        label = _SAID.labelled_behind.search(text)
        if label and own.is_plain and not own.is_labelled and own.shares_nothing(label[0]) and "[" not in own.text:
            found.append(label.start())
    ends = [match.end() for match in _SAID.sentence_end.finditer(text)]
    for end in ends:
        if (
            (_SAID.remark_on_line.match(text, end) and own.is_plain and not own.has_note)
            or ((turn := _SAID.next_turn.match(text, end)) and not own.is_dialogue and not own.says(turn[0]))
            or (len(ends) > own.sentences and _SAID.offer_behind.match(text, end) and not own.offers)
        ):
            found.append(end)
            break
    last = max(0, len(text) - _LAST)
    if not own.has_brackets and (text.find("(", last) >= 0 or text.find("[", last) >= 0):
        remark = _SAID.in_brackets.search(text, last)
        if remark and own.is_plain:
            found.append(remark.start())
        twice = _SAID.twice.search(text, last)
        of_two = twice and {_scripts(text[: twice.start()]), _scripts(twice["other"])} == {1, 2}
        if twice and of_two and " " in twice["other"].strip():
            found.append(twice.start())
    return min(found, default=None)


def _scripts(text: str) -> int:
    """1 for letters of the Latin script in `text`, and 2 for others."""
    return bool(_SAID.latin.search(text)) + 2 * bool(_SAID.not_latin.search(text))


def _sentences(text: str) -> int:
    return sum(1 for _ in _SAID.sentence_end.finditer(text))


def _preambles(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Each of the preambles that `text` begins with."""
    end = 0
    while (match := pattern.match(text, end)) and match.end() > end:
        end = match.end()
        yield match
