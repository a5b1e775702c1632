"""The marks that chat models put into plain text (`marks.yaml`): tokens of their prompt forms, and reasoning."""

from __future__ import annotations

from dataclasses import dataclass

from hf_xling.generation.patterns import Patterns

MARKS = Patterns("marks.yaml")
_MOST = 60  # characters of a mark
_MOST_BLOCKS = 20  # of an answer that are taken off
_INVISIBLE = "\ufeff\u200b\u2060"  # of a byte order mark or an empty token, at the ends


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said.

    Attributes:
        text: without reasoning and marks; all that was generated if it is no answer.
        reasoning: whether reasoning was taken off.
        fault: why it is no answer: `reasoning` (opened and never closed, or nothing behind it) or `damaged`
            (characters that no text has); None if it is one.
    """

    text: str
    reasoning: bool = False
    fault: str | None = None


def read_answer(text: str, source: str = "") -> Answer:
    """The answer in what a model generated for `source`; marks that the source has as well belong to the text."""
    own = source.casefold()
    said, reasoning = _without_blocks(text, own)
    if said is not None and MARKS.aloud.match(said) and not MARKS.task.search(own):
        ends = [match.end() for match in MARKS.answer_label.finditer(said)]
        said, reasoning = (said[ends[-1] :].strip() if ends else None), True
    if said is None or (reasoning and not said):
        return Answer(_encodable(text), fault="reasoning")
    left = MARKS.left_tag.search(said)
    damage = any(mark not in source or "\ud800" <= mark <= "\udfff" for mark in set(MARKS.damage.findall(said)))
    if damage or (left and left[0].casefold() not in own):
        return Answer(_encodable(said), reasoning, "damaged")
    return Answer(said, reasoning)


def _without_blocks(text: str, own: str) -> tuple[str | None, bool]:
    """`text` without reasoning and marks, and whether there was reasoning; None if that is not whole."""
    said = _without_reasoning(text, own)
    reasoning = said != text
    for _ in range(_MOST_BLOCKS):
        if said is None:
            break
        block = MARKS.block.match(said)
        mark = next(filter(None, block.group("mark", "fence", "ollama", "turn"))) if block else ""
        tag = (block and block["tag"]) or ""
        behind = said[block.end() :].strip() if block else ""
        if block is None or mark.strip().casefold() in own or (behind and MARKS.layout_tag.fullmatch(tag)):
            bare = _without_control(said, own)
            if bare == said:
                break
            said = bare
        elif MARKS.answer_tag.fullmatch(tag) or MARKS.layout_tag.fullmatch(tag):
            said = block["inner"].strip()
        else:
            said, reasoning = behind or None, True
    return said, reasoning


def _without_reasoning(text: str, own: str) -> str | None:
    """`text` without its blocks of reasoning, a pair of marks each; None if one is not whole.

    A closing mark alone has its opening one in the prompt. Within a block, other opening marks mean nothing.
    """
    if (label := MARKS.labelled.match(text)) and ":" not in own[:60]:
        ends = [match.end() for match in MARKS.answer_label.finditer(text, label.end())]
        return text[ends[-1] :].lstrip("\n") if ends else None
    kept: list[str] = []
    end, opened = 0, False
    first = len(text) - len(text.lstrip())
    for mark in MARKS.reasoning.finditer(text):
        kind, tag = mark.lastgroup, mark[0].casefold().strip()
        if opened and kind != "close":
            continue
        if not opened and tag in own and (mark.start() > first or own.lstrip().startswith(tag)):
            continue
        if opened or kind == "close":
            kept = kept if opened else []
        elif not MARKS.only_marks.fullmatch(text, end, mark.start()):
            kept.append(text[end : mark.start()])
        opened, end = kind == "open", mark.end()
    return None if opened else "".join([*kept, text[end:]])


def _without_control(text: str, own: str) -> str:
    """`text` without the control tokens and wrappers at its ends, and without a turn that follows its own."""
    start, end = 0, len(text)
    while (mark := MARKS.before.match(text, start) or MARKS.wrapper_before.match(text, start)) and mark[
        1
    ].casefold() not in own:
        start = mark.end()
    for mark in MARKS.turn_end.finditer(text, start):
        if mark[0].casefold() not in own and MARKS.next_turn.match(text, mark.end()):
            end = mark.start()
            break
    turn = MARKS.other_turn.search(text, start, end)
    if turn and turn["mark"].casefold() not in own and text[start : turn.start()].strip():
        end = turn.start()
    while True:
        while end > start and (text[end - 1].isspace() or text[end - 1] in _INVISIBLE):
            end -= 1
        tail = max(start, end - _MOST)
        behind = MARKS.behind.search(text, tail, end) or MARKS.wrapper_behind.search(text, tail, end)
        if behind is None or behind[1].casefold() in own:
            return text[start:end].lstrip().lstrip(_INVISIBLE).lstrip()
        end = behind.start()


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
