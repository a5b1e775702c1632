"""The marks that chat models put into plain text: tokens of their prompt forms, and blocks of reasoning.

The names are those of the families that vLLM and SGLang have parsers for, and what models write of themselves when they
think first. Letter case makes no difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BAR = "[|｜]"  # DeepSeek writes the second one
# What a tokenizer may read as one token, wherever it is in a text: what follows a `<`, and what follows a `[`.
_ANGLE = (
    rf"(?:{_BAR}[^|｜<>\s]{{1,40}}{_BAR}>|\|(?:turn|channel)>|(?:turn|channel)\|>|(?:start|end)_of_turn>|/?s>"
    r"|(?:\w{1,12}:)?(?:bos|eos|pad|unk|eo[tm])(?:_token)?>|unused\d{1,4}>|</?SYS>>)"
)
_SQUARE = r"(?:(?:BOS|EO[STM]|PAD)\]|/?INST\])"
CONTROL = rf"(?:<{_ANGLE}|\[{_SQUARE})"
# Of a source also what has the form of one: <start_of_image>, <extra_id_0>, [TOOL_CALLS]; HTML stays as it is.
_RESERVED_ANGLE = (
    r"/?(?:[A-Za-z]\w*_\w*|think(?:ing)?|thought|reasoning|tools?|image|img|video|audio|mask|sep|cls|unused\d+"
    r"|reserved\d+|0x[0-9A-Fa-f]{2})>"
)
_RESERVED_SQUARE = (
    r"/?(?:[A-Z]+(?:_[A-Z]+)+|MASK|SEP|CLS|UNK|IMG|THINK|ARGS|PREFIX|SUFFIX|MIDDLE|AUDIO|IMAGE|VIDEO|TOOL|TOOLS)\]"
)
# The places where one more space makes it plain text
SPACED_CONTROL = rf"<(?= *(?:{_ANGLE}|{_RESERVED_ANGLE}))|\[(?= *(?:{_SQUARE}|{_RESERVED_SQUARE}))"
_MOST = 60  # characters of a mark
_INVISIBLE = "\ufeff\u200b\u2060"  # of a byte order mark or an empty token, at the ends
# Those that end a turn, and what a turn begins with that the model goes on to invent.
_TURN_END = re.compile(
    rf"<{_BAR}(?:end(?!_header)[^|｜<>\s]{{0,36}}|im_end|eo[mst](?:_id)?|return){_BAR}>|<turn\|>|<end_of_turn>|</s>"
    r"|<eos>|\[EOS\]",
    re.IGNORECASE,
)
# ... without an end of its own
_OTHER_TURN = re.compile(
    rf"\n[ \t]{{0,3}}(?P<mark><{_BAR}(?:user|human|system){_BAR}>"
    r"|#{2,}\s?(?:human|user|instruction|input|question)(?!\w))",
    re.IGNORECASE,
)
_NEXT_TURN = re.compile(
    rf"\s*+(?:{CONTROL}|#{{2,}}\s?\w|(?:user|human|assistant|system|model|instruction|input|question)\s?(?:[:：\n]|$))",
    re.IGNORECASE,
)
# <unk> is a word that was lost, and never taken off.
_BEFORE = re.compile(rf"[\s{_INVISIBLE}]*+((?!<unk>){CONTROL})(?:(?:assistant|model|bot)(?=\s?[\n<]))?", re.IGNORECASE)
_ONLY_MARKS = re.compile(rf"(?:\s|{CONTROL}|assistant|model|bot)*+", re.IGNORECASE)
_BEHIND = re.compile(
    rf"((?!<unk>){CONTROL}|\[/?END\]|</?end>|<br\s?/?>|</\w{{0,12}}|\s#{{2,}}|<\|\w{{2,30}}\|?)\Z", re.IGNORECASE
)

_LT, _GT, _OF = "(?:[<＜]|&lt;)", "(?:[>＞]|&gt;)", "(?:[_▁]of)?[_▁]"
_THOUGHT = (
    r"(?:\w{1,20}[:_])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion)?|analysis|rationale|scratch_?pad"
    r"|monologue|cot|antthinking)"
)
_MORE = r"(?:_\w{1,30})?"  # <thought_process>
_REASONING = re.compile(
    rf"(?P<empty>{_LT}{_THOUGHT}\s{{0,3}}/{_GT})"
    rf"|(?P<close>{_LT}\s?/\s?{_THOUGHT}{_MORE}\s?{_GT}|\[/{_THOUGHT}\]|<(?:unused|ctrl)95>|◁/{_THOUGHT}▷|<{_BAR}(?:/|end{_OF}){_THOUGHT}{_BAR}>"
    r"|<channel\|>|<\|inner_suffix\|>|<\|channel\|>\s?final\s?(?:<\|constrain\|>\w{1,20})?<\|message\|>|(?-i:assistantfinal)"
    r"|here(?:['’]s| is) my response:)"
    rf"|(?P<open>{_LT}\s?{_THOUGHT}{_MORE}(?:\s[^<>\n]{{0,80}})?{_GT}|\[{_THOUGHT}\]|<(?:unused|ctrl)94>(?:thought\b)?|◁{_THOUGHT}▷"
    rf"|<{_BAR}(?:(?:start|begin){_OF})?{_THOUGHT}{_BAR}>|<\|channel>|<\|inner_prefix\|>"
    r"|<\|channel\|>\s?(?:analysis|commentary)"
    # gpt-oss and Gemma where the server leaves out special tokens; Granite 3.2
    r"|\A\s{0,9}(?-i:analysis(?=[A-Z\"'“])|thought\n)|\A[\s*#]{0,9}here(?:['’]s| is) my thought process:)",
    re.IGNORECASE,
)
# "Reasoning: … Answer: …", without tags, or as headings
_LABELLED = re.compile(
    r"(?:[\s*]{0,9}(?P<heading>#{1,6} )?[*]{0,3}(?:(?:my|step[- ]by[- ]step) )?(?:reasoning|thinking|thoughts?"
    r"|(?:thinking|thought) process|chain of thought|step 1)[ *]{0,4}(?:[:：]|(?(heading)\n|(?<=\*)\n)))",
    re.IGNORECASE,
)
_ANSWER = r"(?:answer|response|output|result|final(?:[_ ]answer)?|solution|translation|paraphrase|summary)"
_ANSWER_LABEL = re.compile(
    rf"\n[\s*#]{{0,9}}(?:(?:final|my) )?{_ANSWER}[ *]{{0,4}}(?:[:：][ *]{{0,4}}|\n)", re.IGNORECASE
)
_TASK = r"(?:paraphras|rephras|reword|rewrit|translat|summar|shuffl|synonym|step by step)"
# "Okay, so I need to paraphrase this sentence. …": it thinks aloud
_ALOUD = re.compile(
    r"[\s*_]{0,9}(?:(?:okay|ok|alright|hmm+|well|right|now|so|wait|first)[\s,.…!]{1,4}){0,4}"
    r"(?:let(?: me|['’]?s) (?:think|see|start|analy|break|consider)"
    r"|the user (?:want|ask|is asking|need|gave|has|provided)"
    r"|(?:i|we) (?:(?:need|have|want|ought) to|should|must)|(?:my|the) task)"
    rf"[\s\S]{{0,300}}?{_TASK}",
    re.IGNORECASE,
)
# What a text begins with that has an end mark of the same name: <plan>…</plan>, [PLAN]…[/PLAN], <start_plan>…<end_plan>
_BLOCK = re.compile(
    rf"\s*+(?:(?P<mark>(?:{_LT}{_BAR}?|\[(?=[A-Z_ ]+\]))\s?(?:(?:start|begin)_(?:of_)?)?"
    r"(?P<tag>(?!im_|(?:of_)?turn|header)[^\W\d][\w:.-]{0,40}?)"
    rf"(?:_start)?(?:\s[^<>\n]{{0,120}})?(?:{_BAR}?{_GT}|\]))(?P<inner>[\s\S]*?)"
    rf"(?:{_LT}{_BAR}?|\[)\s?(?:(?:/\s?|end_(?:of_)?)(?P=tag)|(?P=tag)_end)\s?(?:{_BAR}?{_GT}|\])"
    rf"|(?P<fence>```{_THOUGHT}\n)[\s\S]*?\n```(?=\s)|(?P<ollama>thinking\.\.\.\n)[\s\S]*?\.\.\.done thinking\.?"
    rf"|(?P<turn><\|im_start\|>{_THOUGHT}\n)[\s\S]*?<\|im_end\|>\s*+(?:<\|im_start\|>\w{{1,20}}\n)?)",
    re.IGNORECASE,
)
_ANSWER_TAG = re.compile(
    rf"(?:\w{{1,20}}_)?{_ANSWER}|\w{{0,20}}{_TASK}\w{{0,20}}|text|sentence|(?:user_)?message|content", re.IGNORECASE
)
_LAYOUT_TAG = re.compile(
    r"p|b|i|u|s|q|a|em|strong|span|div|code|pre|sub|sup|mark|small|font|li|h\d|html|body", re.IGNORECASE
)
_MOST_BLOCKS = 20
# Of a pair of tags, one that is left, or one that is never closed
_LEFT_TAG = re.compile(
    rf"{_LT}\s?/\s?(?!s>)[^\W\d][\w:.-]{{0,40}}\s?{_GT}|\[/[A-Z_]{{1,30}}\]|\A<(?!unk)[a-z_]{{2,40}}>", re.IGNORECASE
)
# What some put around the answer behind their reasoning
_WRAPPER_BEFORE = re.compile(
    rf"[\s{_INVISIBLE}]*+({_LT}{_ANSWER}{_GT}|<{_BAR}(?:start|begin){_OF}{_ANSWER}{_BAR}>|\[{_ANSWER}\])", re.IGNORECASE
)
_WRAPPER_BEHIND = re.compile(rf"({_LT}/{_ANSWER}{_GT}|<{_BAR}end{_OF}{_ANSWER}{_BAR}>|\[/{_ANSWER}\])\Z", re.IGNORECASE)

# Control characters, halves of surrogate pairs, replacements of what was not decoded, noncharacters, and what is left
# of tokens that a server did not decode; characters of private use, and those that turn the direction of a text.
_DAMAGE = re.compile(
    "(?<=[^\\sA-ZĠĊ])[ĠĊ]|[\ue000-\uf8ff\u202a-\u202e\u2066-\u2069]|"
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\uffff▁]|<0x[0-9A-F]{2}>"
)


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
    if said is not None and _ALOUD.match(said) and not re.search(_TASK, own):
        ends = [match.end() for match in _ANSWER_LABEL.finditer(said)]
        said, reasoning = (said[ends[-1] :].strip() if ends else None), True
    if said is None or (reasoning and not said):
        return Answer(_encodable(text), fault="reasoning")
    left = _LEFT_TAG.search(said)
    damage = any(mark not in source or "\ud800" <= mark <= "\udfff" for mark in set(_DAMAGE.findall(said)))
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
        block = _BLOCK.match(said)
        mark = next(filter(None, block.group("mark", "fence", "ollama", "turn"))) if block else ""
        tag = (block and block["tag"]) or ""
        behind = said[block.end() :].strip() if block else ""
        if block is None or mark.strip().casefold() in own or (behind and _LAYOUT_TAG.fullmatch(tag)):
            bare = _without_control(said, own)
            if bare == said:
                break
            said = bare
        elif _ANSWER_TAG.fullmatch(tag) or _LAYOUT_TAG.fullmatch(tag):
            said = block["inner"].strip()
        else:
            said, reasoning = behind or None, True
    return said, reasoning


def _without_reasoning(text: str, own: str) -> str | None:
    """`text` without its blocks of reasoning, a pair of marks each; None if one is not whole.

    A closing mark alone has its opening one in the prompt. Within a block, other opening marks mean nothing.
    """
    if (label := _LABELLED.match(text)) and ":" not in own[:60]:
        ends = [match.end() for match in _ANSWER_LABEL.finditer(text, label.end())]
        return text[ends[-1] :].lstrip("\n") if ends else None
    kept, end, opened = [], 0, False
    first = len(text) - len(text.lstrip())
    for mark in _REASONING.finditer(text):
        kind, tag = mark.lastgroup, mark[0].casefold().strip()
        if opened and kind != "close":
            continue
        if not opened and tag in own and (mark.start() > first or own.lstrip().startswith(tag)):
            continue
        if opened or kind == "close":
            kept = kept if opened else []
        elif not _ONLY_MARKS.fullmatch(text, end, mark.start()):
            kept.append(text[end : mark.start()])
        opened, end = kind == "open", mark.end()
    return None if opened else "".join([*kept, text[end:]])


def _without_control(text: str, own: str) -> str:
    """`text` without the control tokens and wrappers at its ends, and without a turn that follows its own."""
    start, end = 0, len(text)
    while (mark := _BEFORE.match(text, start) or _WRAPPER_BEFORE.match(text, start)) and mark[1].casefold() not in own:
        start = mark.end()
    for mark in _TURN_END.finditer(text, start):
        if mark[0].casefold() not in own and _NEXT_TURN.match(text, mark.end()):
            end = mark.start()
            break
    turn = _OTHER_TURN.search(text, start, end)
    if turn and turn["mark"].casefold() not in own and text[start : turn.start()].strip():
        end = turn.start()
    while True:
        while end > start and (text[end - 1].isspace() or text[end - 1] in _INVISIBLE):
            end -= 1
        tail = max(start, end - _MOST)
        mark = _BEHIND.search(text, tail, end) or _WRAPPER_BEHIND.search(text, tail, end)
        if mark is None or mark[1].casefold() in own:
            return text[start:end].lstrip().lstrip(_INVISIBLE).lstrip()
        end = mark.start()


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
