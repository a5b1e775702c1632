"""Takes off what chat models say around an answer: "Here is a paraphrase: …", "Note: …", "Is there anything else …"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from hf_xling.generation import wordings as say
from hf_xling.generation.scores import fold

Span = tuple[int, int]


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_OF_LANGUAGE, _OFFER, _OFFERED, _NOTE = map(_compiled, (say.OF_LANGUAGE, say.OFFER, say.OFFERED, say.NOTE))
# An answer that speaks of the sentence from its first word on, and is one sentence
_ONLY_ABOUT = _compiled(rf"(?:{say.SURE})?{say.ABOUT}(?=[^\n]{{0,300}}?{say.OF_LANGUAGE})[^\n.!?:]{{0,400}}[.!]?")
# Behind a source of one line, each line that speaks of sentences begins a remark, ...
_REMARK = _compiled(
    rf"\n[ \t]{{0,3}}[*_(\[>#-]{{0,4}}(?:(?=[^\n]{{0,300}}?{say.OF_LANGUAGE})|{say.CHANGED}|{say.TURN}"
    r"|(?:changed|replaced|swapped|substituted|used|kept|added|removed|moved)\s|[^\n]{0,60}(?:[-=]>|→)"
    r"|(?:explanation|notes?|rationale|changes)[*_]{0,3}[ \t]*\n"
    rf"|(?:or|alternatively)[,:]?\s|{say.ARTICLE}(?:another|other|second)\s(?:options?|ways?|possib\w+)"
    rf"|(?:please )?note that\s|(?:{say.LABELS}){say.END}|-{{3,}}|\*{{3,}}|_{{3,}}|={{3,}})"
)
# ... and so does what follows its end on the same line.
_REMARK_ON_LINE = _compiled(
    rf"[ \t]+(?:[–—-]+[ \t]+)?(?:[*_]{{0,3}}(?:(?:please )?note(?: that)?|explanation|nota|explicación|remarque"
    rf"|குறிப்பு|नोट)[*_]{{0,3}}\s?:|this is (?:the|an?|my)\s(?:\w+\s)?{say.TASK}"
    rf"|{say.ABOUT}(?=[^\n]{{0,300}}?{say.OF_LANGUAGE}))|[ \t]+[–—-]+[ \t]+{say.TASK}\Z"
)
_NOTE_WORD = _compiled(r"(?<!\w)(?:note|nota|remarque)(?!\w)|குறிப்பு|नोट")
_IN_BRACKETS = _compiled(
    r"\s[(\[*]{1,3}(?:(?:changed|replaced|swapped|substituted|(?=[^\n]*[\"“])(?:used|kept|added|removed|moved))"
    r"\s(?!(?:to|by|in|with|for)\s)"
    r"|[^\n()]{0,60}(?:[-=]>|→|\s(?:changed|replaced|swapped|substituted|became)\s(?:to|with|by|for)?)"
    rf"|{say.CHANGED}|note:|(?=[^\n]{{0,200}}?{say.OF_LANGUAGE})[^\n]{{0,400}}[)\]][*.!]{{0,3}}\Z|literal\w*:)"
)
# The answer once more in another script, behind it
_TWICE = re.compile(r"\s*[(\[](?P<other>[^()\[\]\n]+)[)\]][*_.]{0,3}\Z")
_LATIN, _NOT_LATIN = (
    re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
    re.compile("[^\\W\\d_A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
)
# A paragraph of its own that is a label with its text, or in brackets
_LABELLED_BEHIND = re.compile(
    r"(?<=[.!?।”\"])[*_]{0,3}\n\s*(?:[*_#>(-]{0,4}[A-Z][a-z]+(?: [a-z]+){0,2}[*_]{0,3}[:：]|\[[^\[\]\n]{1,60}\]\Z)"
)
# You could say "…" instead.
_QUOTED_WITHIN = _compiled(r"(?P<before>[^\"“”\n]{1,80})[\"“](?P<inner>[^\"“”]+)[\"”](?P<behind>[^\"“”\n]{0,30})")
_TASK_OR_SAY = _compiled(rf"(?<!\w)(?:{say.TASK}|{say.SAY}(?!\w))")
# A first line that speaks of the task or of those who talk
_FIRST_LINE = _compiled(
    rf"(?=[^\n]{{0,200}}?(?:{say.TASK}|(?<!\w)(?:{say.NOUN}|requested|below|here|task|help)(?!\w)))"
    r"[^\n]{1,160}[.!][*_]{0,3}[ \t]*\n[ \t]*\n\s*+"
    rf"|(?=[^\n]{{0,200}}?(?:{say.TASK}|(?<!\w)(?:{say.NOUN}|requested|below|here|task|i|my|you|your|we)(?!\w)))"
    rf"[^\n:]{{1,160}}{say.END}[ \t]*\n\s*+"
    rf"|(?=[^\n:]{{0,160}}?{say.TASK})[^\n:.!?(){{}}\[\]\"]{{1,160}}{say.END}\s*+"
)
_LAST = 500  # characters of an answer that end in such a remark
_TURN, _NEXT_TURN = _compiled(say.TURN), _compiled(rf"\s+{say.TURN}")
_TURN_ON_LINE = _compiled(rf"\n\s*+(?:{say.TURN}|(?:user|human|assistant|system)[ \t]*\n)")
_OFFER_BEHIND = _compiled(rf"\s+[*_(]{{0,3}}{say.OFFER}")
_SENTENCE_END = re.compile(r"[.!?।…]+[\"”’')\]]*(?=\s|$)")
_YES_ON_LINE = _compiled(rf"(?:{say.YES}[!.][ \t]+)++(?=[\"“*]?[^\W\d_])")
_YES_WORDS = _compiled(say.YES_WORDS)
_ARROW_WITHIN = re.compile("[-=]>|→")
_ARROW = re.compile(r"\s*+(?:[-=–]{1,2}>|→|\|)\s*+")
# Variants of an answer, a line each
_ITEM = _compiled(
    r"[ \t]*[*_#]{0,4}(?:\(?(?:\d{1,2}|[a-h]|[ivx]{1,4})[.)]|\[\d{1,2}\]|#?\d{1,2}:|#\d{1,2}"
    r"|[①-⑳❶-❿]|\d\ufe0f?\u20e3"
    r"|(?:first|second|third)(?=[*_]{0,3}:)|[-*•>]|[-=]>|→|(?:option|version|variant|alternative|paraphrase|answer|output"
    r"|translation|sentence|suggestion|rewrite|variante|opción|விருப்பம்|विकल्प)\s?#?(?:\d{1,2}|[A-H])(?!\w))"
    r"[ \t]?[:.)–-]?[*_]{0,3}:?[ \t]+"
)
# "Words: 20"
_VALUE = re.compile(r"[\s*_#>-]{0,8}[^\s:.!?]+(?: [^\s:.!?]+)?[*_]{0,3}[:：][^\n]*(?:\n[^\n:]{1,30}[:：][^\n]*){0,9}")
# After the answer the model goes on with another source.
_NEXT_ROUND = _compiled(
    rf"\s*+[*_#-]{{0,4}}\s*+(?:{say.TURN}|(?:original|input|source|question|q|sentence)(?:\s\w+)?{say.END})"
)
_ITEMS_READ = 50
_LAYERS = 50  # around an answer that are taken off, one by one
_JSON = re.compile(
    r"""\{?\s*"[^"\n]{1,40}"\s*:\s*"([^"\\]+)"\s*\}?|\[\s*"([^"\\]+)"\s*\]|\[\s*'([^\\\n]+)'\s*\]"""
    rf"""|\{{\s*"(?i:output|answer|text|result|response|sentence|{say.TASK})"\s*:\s*"([^"\\]+)"\s*,[^{{}}]*\}}"""
    r"""|\{\s*'[^'\n]{1,40}'\s*:\s*(?:'([^\\\n]+)'|"([^"\\]+)")\s*\}"""
)
_QUOTED = re.compile(
    r'"[^"]+"|“[^“”]+”|„[^„“”]+[“”]|«[^«»]+»|「[^「」]+」|‘[^‘’]+’|\'[^\']+\'|`[^`]+`|\*[^*]+\*'
    r"|\*\*[^*]+\*\*|__[^_]+__|\'\'[^\']+\'\'",
    re.DOTALL,
)
_QUOTES = re.compile(r'["“”„«»「」`*]|__|\'\'|(?<!\w)[\'‘]')
_LEADING = re.compile(r'[:：\n"“„«→–—=)\]-]')  # all preambles end in one of them, or before it


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
        return self.is_line and not self.is_dialogue and not _OF_LANGUAGE.search(self.text)

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(word.rstrip("s") for word in fold(self.text).split())

    def says(self, label: str) -> bool:
        """Whether all words of `label` are its own, so that the label belongs to the text."""
        words = [word.rstrip("s") for word in fold(label).split() if len(word) > 2 and word != "the"]
        return bool(words) and self.words.issuperset(words)

    def shares_nothing(self, said: str) -> bool:
        """Whether `said` has none of its words of more than three letters."""
        return self.words.isdisjoint(word.rstrip("s") for word in fold(said).split() if len(word) > 3)

    @cached_property
    def has_note(self) -> bool:
        return _NOTE_WORD.search(self.text) is not None

    @cached_property
    def is_dialogue(self) -> bool:
        return _TURN.search(self.text) is not None

    @cached_property
    def sentences(self) -> int:
        return max(1, _sentences(self.text))

    @cached_property
    def offers(self) -> bool:
        return bool(_OFFERED.search(self.text) or _OFFER.search(self.text))


class Preambles:
    """Finds what stands around an answer and belongs to the conversation: preambles, outer quotes, notes behind it.

    What the source itself begins or ends with, or is quoted in, stays: of two preambles before an answer, one is left
    if the source has one. Of several variants, the first is the answer.

    Args:
        names: English names of the languages of the run, as labels say them (`Tamil: …`).
    """

    def __init__(self, *names: str):
        language = "|".join(map(re.escape, names))
        manner = rf"(?:(?:{say.MANNER}|{language})[\s-]){{0,3}}"
        rest = (
            r"(?:\s?[(\[][^)\]\n]{0,40}[)\]])?(?:\s(?:of|for|in|into|to|from|using|de|al|en)\s[^\n:]{0,80})?"
            rf"(?:\s{say.IS})?(?:\sas follows)?{say.END}"
        )
        label = rf"{say.ARTICLE}{manner}{say.TASK}{say.THING}"
        patterns = (
            # "Here is the paraphrased sentence: …", "Here is the sentence in Tamil: …"
            rf"{say.HERE}(?=[^\n:]{{0,160}}{say.TASK})[^\n:]{{0,200}}(?:{say.END}|\n)",
            rf"{say.HERE}[^\n:]{{0,100}}\s(?:in(?:to)?\s(?:{language})|(?:{language})\s(?:sentence|text|version)){say.END}",
            rf"{say.HERE}[^\n:]{{0,100}}(?:answer|response|output|result|text|version|alternative|option|possib|way)"
            rf"[^\n:]{{0,100}}{say.END}\n",
            # "The sentence can be said as follows:" on a line of its own
            rf"[^\n:]{{0,160}}(?:{say.TASK}|{language}|sentence|(?:as|like) follows)[^\n:]{{0,100}}{say.END}\n",
            # "Translation (Tamil): …", "### Translation"
            rf"(?:to\s)?{label}{rest}",
            rf"(?:(?<=#\s)|(?<=\*\*)){label}(?:\*\*)?[ \t]*\n",
            # "Paraphrase => …"
            rf"(?:{label}|new sentence)(?:\*\*)?[ \t]{{0,2}}(?:[-=]{{1,2}}>|→|[ \t][-–—=][ \t])",
            rf"[(\[]{label}[)\]]:?(?=\s)",
            # "I've summarized the text in one sentence: …", "Let me rephrase the sentence."
            rf"(?:i(?:['’](?:ve|d|ll)| have| would| will)?|let me)\s(?:\w+\s)?{say.TASK}[^\n:]{{0,160}}{say.LINE_END}",
            # "The sentence is rephrased to preserve …", "The Spanish translation of the sentence would be: …"
            rf"(?:the|this|your|one|a|la|esta|cette)\s(?=[^\n:]{{0,160}}{say.TASK})[^\n:]{{0,60}}(?<!\w){say.NOUN}(?!\w)[^\n:]{{0,160}}"
            rf"{say.LINE_END}",
            # "User: … Assistant: …"
            rf"(?:system\s?[:：][^\n]{{0,500}}\n\s*[*_]{{0,2}})?(?:{say.ASKER}|question|q)\s?[:：][^\n]{{0,500}}\n\s*[*_]{{0,2}}"
            rf"(?:{say.ANSWERER}|answer|a)\s?[:：][*_]{{0,2}}",
            r"(?:system|user)\n[\s\S]{0,2000}?\nassistant\n",
            # "It can be rewritten as: …"
            rf"(?:you|we|one|it|this|that)\s(?:can|could|might|may|would)\s[^\n:]{{0,40}}{say.TASK}[^\n:]{{0,80}}{say.LINE_END}",
        )
        # "Sure!" and "Here you go:" only before such a preamble or a blank line: people begin answers so as well.
        opener = rf"(?:{say.SURE}|(?:{say.SURE})?here (?:you go|it is)[:!.]?)\n[ \t]{{0,3}}(?:\n|-{{3,}}\n)"
        sure = rf"(?:{say.ORNAMENT}(?:{say.SURE}|{say.GREETING})?(?:{'|'.join(patterns)})|{opener}|assistant\n)\s*+"
        self._sure = _compiled(sure)
        # Labels that other texts have too.
        labels = (
            rf"(?:in\s)?(?:{language}){say.THING}{rest}|(?:{say.LABELS}){say.END}|(?:(?:{say.FOREIGN})\s){{0,3}}(?:{say.FOREIGN}){say.END}",
            rf"(?:the|a|one)\s(?=[^\n:]{{0,120}}(?:{language}))[^\n:]{{0,60}}{say.NOUN}[^\n:]{{0,80}}\s{say.IS}"
            rf"(?:\sas follows)?(?:{say.END}|\s(?=[\"“„«]))",
            rf"(?:here (?:you go|it is)|in other words|that is(?: to say)?|this means|i(?:['’]d| would) say){say.END}",
            rf"(?:i think )?(?:it|this|that) (?:would|could|can|might) be{say.END}",
            rf"here (?:is|are) (?:my|one|an?|the|some) (?:\w+ )?(?:attempt|answer|version|option)s?{say.END}",
            rf"(?:answer|response|output|result|(?:(?<=#\s)|(?<=\*\*))(?:{say.LABELS}))(?:\*\*)?[ \t]*\n",
            rf"in\s(?:{language}),?\s[^\n:]{{0,60}}(?:{say.IS}|{say.SAY})(?:\s\w+)?(?:{say.END}|\s(?=[\"“„«]))",
            rf"(?:you|we|one)\s(?:can|could|might|may)\s(?:also\s)?{say.SAY}(?:\s(?:it|this|that))?"
            rf"(?:\s(?:as|like this))?{say.END}",
            rf"{say.HERE}\s[^\n:]{{0,40}}ways?\s(?:to|of|you)\s[^\n:]{{0,30}}(?:{say.SAY}|saying|putting)[^\n:]{{0,40}}{say.END}",
            rf"(?:one|another|a)\s(?:\w+\s){{0,2}}way\s(?:to|of)\s(?:{say.SAY}|saying|putting|{say.TASK})[^\n:]{{0,80}}{say.END}",
        )
        # On a line of their own, before a source of one line
        self._heading = _compiled(
            rf"{say.ORNAMENT}(?:{label}|{say.LABELS}|(?:(?:{say.FOREIGN})\s){{0,3}}(?:{say.FOREIGN}))"
            r"[*_]{0,3}[ \t]*\n\s*+"
        )
        self._answer_line = _compiled(
            rf"\n{say.ORNAMENT}(?:final\s)?(?:{label}{rest}|(?:answer|response|output|result){say.END}"
            rf"|{label}[*_]{{0,3}}[ \t]*\n)\s*+(?=\S)"
        )
        self._source_name = names[0].casefold() if len(set(names)) > 1 else ""
        self._sure_or_label = _compiled(rf"{sure}|{say.ORNAMENT}(?:{say.SURE})?(?:{'|'.join(labels)})\s*+")

    def strip(self, source: str, text: str) -> tuple[str, str | None]:
        """`text` without them, and what was taken away: None if nothing was; `…` stands for the text in between.

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
        if _ONLY_ABOUT.fullmatch(text) and own.is_plain:
            return len(text), len(text)
        # A source that begins with a label of its own ("Tamil: …", "Tip: …") may keep it in other words.
        pattern = self._sure if own.is_labelled else self._sure_or_label
        if _LEADING.search(text) and (found := list(_preambles(pattern, text))):
            excess = len(found) - sum(1 for _ in _preambles(self._sure, own.text))
            labels = (at for at, match in enumerate(found) if "\n" not in match[0] and own.says(match[0]))
            excess = min(excess, next(labels, excess))
            return (found[excess - 1].end(), len(text)) if excess > 0 else None
        if own.is_line and (heading := self._heading.match(text)):
            return heading.end(), len(text)
        line = _FIRST_LINE.match(text)
        if line and own.is_plain and not own.is_labelled and own.shares_nothing(line[0]):
            return line.end(), len(text)
        sure = _YES_ON_LINE.match(text)
        if sure and not _YES_WORDS.search(own.text) and _sentences(text) > own.sentences:
            return sure.end(), len(text)
        if end := _said_again(own, text):
            return end, len(text)
        # "A dog runs. -> A hound goes.", "A dog runs. Paraphrase: A hound goes."
        again = len(own.text)
        if text[:again].casefold() == own.text.casefold() and (
            (match := _ARROW.match(text, again))
            or (text[again : again + 1] == " " and (match := self._sure.match(text, again)))
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
        next_round = not talk and _NEXT_ROUND.match(behind)
        *_, label = (None, *(() if next_round else self._answer_line.finditer(behind)))
        if label and (
            (self._source_name and self._source_name in label[0].casefold())
            or fold(behind[label.end() :]) == fold(own.text)
        ):
            label = None  # it is translated back
        if label:
            return end + label.end(), len(text)
        return (end, len(text)) if talk else (0, end)

    def _is_talk(self, own: _Source, text: str) -> bool:
        """Whether `text` is a preamble, a label with its value or the source again, and no answer."""
        if fold(text) == fold(own.text) or any(
            pattern.fullmatch(text + end)
            for pattern, end in ((self._sure_or_label, ":\n"), (self._sure_or_label, "\n\n"), (self._heading, "\n"))
        ):
            return True
        label = _VALUE.match(text)
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
    if (found := _JSON.fullmatch(text)) and not own.text.startswith(("{", "[")):
        return found.span(found.lastindex or 0)
    if re.fullmatch(r"\[[^\[\]]+\]|\([^()]+\)", text) and not re.search(r"[(\[]", own.text):
        return 1, len(text) - 1
    quoted = _QUOTED_WITHIN.fullmatch(text)
    if quoted and own.is_plain and not _QUOTES.search(own.text) and len(quoted["inner"]) > len(text) // 3:
        around = f"{quoted['before']} {quoted['behind']}"
        if _TASK_OR_SAY.search(around) and own.shares_nothing(around):
            return quoted.span("inner")
    # The full stop may be that of a preamble that quotes its answer.
    quoted = text[:-1] if text.endswith(".") and _QUOTES.match(text[-2:-1]) else text
    if _QUOTED.fullmatch(quoted) and not _QUOTES.search(own.text):
        width = 2 if quoted.startswith(("**", "__", "''")) else 1
        return width, len(quoted) - width
    return _first_variant(own, text)


def _first_variant(own: _Source, text: str) -> Span | None:
    """The first of several answers in a numbered list, each as long as an answer is, or the only one."""
    first = _ITEM.match(text)
    if first is None or not own.is_line or _ITEM.match(own.text) or own.text.startswith(first[0].strip()):
        return None
    if own.says(re.sub(r"\d", "", first[0])):
        return None
    lines = [line for line in text.split("\n", _ITEMS_READ)[:_ITEMS_READ] if line.strip()]
    items = [_ITEM.match(line) for line in lines]
    if len(lines) == 1:
        alone = re.fullmatch(r"\W*(?:1[.)]|[-*•>→]|[-=]>|\w+ \W?1)\W*", first[0].strip()) and not re.search(
            r"(?<!\d)1(?!\d)", own.text
        )
        return (first.end(), len(text)) if alone else None
    # A list of parts is another thing.
    if all(items) and all(
        2 * (len(line) - item.end()) >= len(own.text) for line, item in zip(lines, items, strict=True)
    ):
        return first.end(), text.index("\n")
    return None


def _end(own: _Source, text: str) -> int | None:
    """Where a note, a remark, an offer or another turn begins that the source does not have as well."""
    found = []
    if "\n" in text:
        note, remark, turn = (pattern.search(text) for pattern in (_NOTE, _REMARK, _TURN_ON_LINE))
        if note and not _NOTE.search(own.text):
            found.append(note.start())
        if (
            remark
            and own.is_plain
            and not _ARROW_WITHIN.search(own.text)
            and not (":" in remark[0] and own.says(remark[0]))
        ):
            found.append(remark.start())
        if turn and not own.is_dialogue and not own.says(turn[0]):
            found.append(turn.start())
        behind = _LABELLED_BEHIND.search(text)
        if behind and own.is_plain and not own.is_labelled and own.shares_nothing(behind[0]) and "[" not in own.text:
            found.append(behind.start())
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    for end in ends:
        if (
            (_REMARK_ON_LINE.match(text, end) and own.is_plain and not own.has_note)
            or ((turn := _NEXT_TURN.match(text, end)) and not own.is_dialogue and not own.says(turn[0]))
            or (len(ends) > own.sentences and _OFFER_BEHIND.match(text, end) and not own.offers)
        ):
            found.append(end)
            break
    last = max(0, len(text) - _LAST)
    if text.find("(", last) >= 0 or text.find("[", last) >= 0:
        remark = _IN_BRACKETS.search(text, last)
        if remark and own.is_plain and not re.search(r"[(\[]", own.text):
            found.append(remark.start())
        twice = _TWICE.search(text, last)
        if twice and " " in twice["other"].strip() and not re.search(r"[(\[]", own.text):
            before, behind = text[: twice.start()], twice["other"]
            for script, other in ((_LATIN, _NOT_LATIN), (_NOT_LATIN, _LATIN)):
                if (
                    script.search(before)
                    and other.search(behind)
                    and not (other.search(before) or script.search(behind))
                ):
                    found.append(twice.start())
    return min(found, default=None)


def _sentences(text: str) -> int:
    return sum(1 for _ in _SENTENCE_END.finditer(text))


def _preambles(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Each of the preambles that `text` begins with."""
    end = 0
    while (match := pattern.match(text, end)) and match.end() > end:
        end = match.end()
        yield match
