"""What chat models say around an answer ("Here is a paraphrase: …", "Note: …") and in place of one ("I cannot …").

The wordings are those of LLaMA 3 and Tamil-LLaMA, in English, Tamil, Hindi and Swahili. Python's `\\w` leaves out the
vowel signs of Indic scripts, so patterns that reach into them end words at white space and colons instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# What a line says that speaks of the task and not of the world.
_TASK = (
    r"(?:paraphras|rephras|translat|summar|rewrit|re-?word|restat|shuffl|scrambl|re-?order|re-?arrang|synonym|simplif"
    r"|மொழிபெயர்|மொழியாக்க|अनुवाद|सारांश|पुनर्लेखन|tafsiri|muhtasari)[^\s:]{0,30}"
)
_HERE = (
    r"(?:here(?:['’]?s| is| are)|below (?:is|are)|(?:the )?following (?:is|are)|this is"
    r"|இதோ|இங்கே|यहाँ|यहां|ये रहा|यह रहा|hapa (?:ni|kuna)|hii (?:hapa )?ni)"
)
_SURE = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|ok|okay|great|alright|all right|got it|gladly|no problem"
    r"|i(?:['’]d| would|['’]m| am) (?:be )?(?:happy|glad) to help(?: you)?(?: with that)?"
    r"|நிச்சயமாக|சரி|ज़रूर|जरूर|बिल्कुल|hakika|bila shaka|sawa)[\s!.,;:–—-]{0,6}"
)
_ARTICLE = r"(?:(?:the|a|an|one|my|your|possible)\s)?"
_MANNER = r"possible|another|new|concise|short|brief|simple|formal|informal|final|literal|one|sentence|word"
_THING = r"(?:\s(?:sentences?|text|versions?|statement|phrase|premise|hypothesis|output|words?|replacements?|order))?"
_END = r"[ \t]{0,3}[*_]{0,3}[ \t]{0,3}[:：][ \t]{0,3}[*_]{0,3}"
_ORNAMENT = r"[\s*_#>-]{0,8}"
_LABELS = (
    r"answer|response|output|result|sentence|original|input"
    r"|(?:new|revised|modified|changed|updated|resulting|original|given|input)\s(?:sentence|text|version|statement)"
)
# Labels in other languages, as whole words: a place or a person may begin as they do ("தமிழ்நாடு: …").
_FOREIGN = (
    r"தமிழ்|தமிழில்|தமிழாக்கம்|ஆங்கிலம்|ஆங்கிலத்தில்|மொழிபெயர்ப்பு|மொழியாக்கம்|வாக்கியம்|பதில்|விடை|சுருக்கம்"
    r"|हिंदी|हिन्दी|अंग्रेज़ी|अंग्रेजी|अनुवाद|अनुवादित|वाक्य|उत्तर|जवाब|सारांश|में|का"
    r"|తెలుగు|అనువాదం|kiswahili|kiingereza|tafsiri|sentensi|jibu|muhtasari|ya|kwa"
)
_NOTE = (
    r"\n[ \t]{0,3}[*_(\[]{0,4}(?:(?:please )?note|explanation|translation notes?|transliteration|pronunciation"
    r"|changes(?: made)?|குறிப்பு|விளக்கம்|नोट|टिप्पणी|व्याख्या|kumbuka|maelezo)(?!\w)[^\n:]{0,40}:"
)
# Behind a source of one line only: a paragraph of a longer text may begin so.
_REMARK = (
    r"\n[ \t]{0,3}[*_(\[]{0,4}(?:(?:please )?note that\s|let me know if\s|alternatively,|or:?[ \t]{0,3}\n"
    r"|i hope (?:this|that|it) (?:helps|meets|is what|paraphrase|translation|version)"
    r"|(?:in|for) this (?:sentence|summary|text)|(?:(?:in|for) )?this (?:paraphrase|translation|version|rewrit|rephras)"
    r"|i(?:['’]ve| have)? (?:only )?(?:replaced|changed|rephrased|paraphrased|translated|shuffled|rearranged|used)\s"
    r"[^\n]{0,80}(?:word|synonym|sentence|structure|phrase|meaning|original))"
)
_QUOTED = re.compile(
    r'"[^"]+"|“[^“”]+”|„[^„“”]+[“”]|«[^«»]+»|「[^「」]+」|‘[^‘’]+’|\'[^\']+\'|`[^`]+`|\*\*[^*]+\*\*', re.DOTALL
)
_QUOTES = re.compile(r'["“”„«»「」`]|\*\*|(?<!\w)[\'‘]')


class Preambles:
    """Finds what stands around an answer and belongs to the conversation: preambles, outer quotes, notes behind it.

    What the source itself begins or ends with, or is quoted in, stays: of two preambles before an answer, one is left
    if the source has one.

    Args:
        names: English names of the languages of the run, as labels say them (`Tamil: …`).
    """

    def __init__(self, *names: str):
        language = "|".join(map(re.escape, names))
        manner = rf"(?:(?:{_MANNER}|{language})[\s-]){{0,3}}"
        rest = (
            r"(?:\s?[(\[][^)\]\n]{0,40}[)\]])?(?:\s(?:of|for|in|into|to|from|using)\s[^\n:]{0,80})?"
            rf"(?:\s(?:is|are|would be|could be|can be))?(?:\sas follows)?{_END}"
        )
        patterns = (
            # "Here is the paraphrased sentence: …", "Here is the sentence in Tamil: …"
            rf"{_HERE}(?=[^\n:]{{0,160}}{_TASK})[^\n:]{{0,200}}(?:{_END}|\n)",
            rf"{_HERE}[^\n:]{{0,100}}\s(?:in(?:to)?\s(?:{language})|(?:{language})\s(?:sentence|text|version)){_END}",
            rf"{_HERE}[^\n:]{{0,100}}(?:answer|response|output|result|text|version|alternative|option|possib|way)"
            rf"[^\n:]{{0,100}}{_END}\n",
            # "The sentence can be said as follows:" on a line of its own
            rf"[^\n:]{{0,160}}(?:{_TASK}|{language}|sentence|(?:as|like) follows)[^\n:]{{0,100}}{_END}\n",
            # "Translation (Tamil): …"
            rf"{_ARTICLE}{manner}{_TASK}{_THING}{rest}",
        )
        # "Sure!" and "Here you go:" only before such a preamble or a blank line: people begin answers so as well.
        opener = rf"(?:{_SURE}|(?:{_SURE})?here (?:you go|it is)[:!.]?)\n[ \t]{{0,3}}\n"
        sure = rf"(?:{_ORNAMENT}(?:{_SURE})?(?:{'|'.join(patterns)})|{opener}|assistant\n)\s*+"
        self._sure = re.compile(sure, re.IGNORECASE)
        # Labels that other texts have too.
        label = (
            rf"{_ORNAMENT}(?:(?:in\s)?(?:{language}){_THING}{rest}|(?:{_LABELS}){_END}"
            rf"|(?:(?:{_FOREIGN})\s){{0,3}}(?:{_FOREIGN}){_END})\s*+"
        )
        self._sure_or_label = re.compile(f"{sure}|{label}", re.IGNORECASE)
        self._note, self._note_or_remark = (re.compile(form, re.IGNORECASE) for form in (_NOTE, f"{_NOTE}|{_REMARK}"))

    def strip(self, source: str, text: str) -> tuple[str, str | None]:
        """`text` without them, and what was taken away: None if nothing was; `…` stands for the text in between.

        Stripping what is left takes nothing more away.
        """
        whole = kept = text.strip()
        start, end = 0, len(whole)
        while True:
            if cut := self._leading(source, kept):
                start += cut
            elif _QUOTED.fullmatch(kept) and not _QUOTES.search(source):
                width = 2 if kept.startswith("**") else 1
                inner = kept[width:-width]
                start, end = end - width - len(inner.lstrip()), start + width + len(inner.rstrip())
            elif note := self._behind(source, kept):
                end = start + len(kept[: note.start()].rstrip())
            else:
                break
            kept = whole[start:end]
        if kept == whole:
            return text, None
        return kept, " … ".join(filter(None, (whole[:start].strip(), whole[end:].strip())))

    def _leading(self, source: str, text: str) -> int:
        """How many characters at the beginning of `text` are preambles that `source` does not begin with as well."""
        if ":" not in text and "\n" not in text and "：" not in text:
            return 0
        # A source that begins with a label of its own ("Tamil: …", "Tip: …") may keep it in other words.
        pattern = self._sure if ":" in source[:60] else self._sure_or_label
        ends = list(_ends(pattern, text))
        if not ends:
            return _said_again(source, text)
        excess = len(ends) - sum(1 for _ in _ends(self._sure, source))
        return ends[excess - 1] if excess > 0 else 0

    def _behind(self, source: str, text: str) -> re.Match[str] | None:
        """The beginning of a note behind the answer that `source` does not have as well."""
        if "\n" not in text:
            return None
        pattern = self._note if "\n" in source else self._note_or_remark
        return None if self._note.search(source) else pattern.search(text)


def _ends(pattern: re.Pattern[str], text: str) -> Iterator[int]:
    """Where each of the preambles ends that `text` begins with."""
    end = 0
    while match := pattern.match(text, end):
        end = match.end()
        yield end


def _said_again(source: str, text: str) -> int:
    """Where the lines end that `text` begins with and that are `source` again; 0 if nothing else follows them."""
    source, end = source.strip().casefold(), 0
    while source and (line := text.find("\n", end)) >= 0 and text[end:line].strip().casefold() == source:
        end = line + 1
        while text[end].isspace():  # not to the end: `text` is stripped
            end += 1
    return end


_CANNOT = r"i(?:['’]m| am)? (?:(?:can(?:no|['’]?)t|can not|will not|won['’]?t)(?: be able to)?|unable to|not able to)"
_SORRY = (
    r"[\"'“‘\s]{0,3}(?:(?:(?:i['’]m|i am)? ?(?:really |very |so |truly )?sorry|i apologi[sz]e|(?:my )?apologies"
    r"|unfortunately|thank you|i understand|i(?:['’]m| am|['’]d be) (?:afraid|happy|glad|ready))[^\n]{0,80}?[,.;!]? ?"
    r"(?:but |however,? )?)?"
)
_YOUR_TEXT = (
    r"(?:you(?:['’]d| would)? (?:like|want) (?:me )?to|to (?:be )?(?:paraphras|translat|rephras|rewr|summar|shuffl))"
)
# Of the conversation itself: what no text of a corpus says, unless it is about language models.
_OF_A_MODEL = re.compile(
    rf"{_SORRY}(?:"
    r"(?:as|being) (?:just )?an? (?:\w+ ){0,3}(?:ai|language model|chatbot)(?: \w+){0,2},? i(?!\w)"
    r"|i(?:['’]m| am) (?:just |only )?an? (?:\w+ ){0,3}(?:ai|language model|chatbot)(?: \w*model| assistant)?"
    r"(?:[.,]| and | so | that | trained | designed )"
    rf"|{_CANNOT} (?:\w+ ){{0,3}}(?:(?:your|this|that|the) (?:request|prompt|instruction|query)"
    r"|paraphrase|translate|rephrase|rewrite|reword|summari[sz]e|shuffle|fulfil|comply)"
    r"|(?:please|kindly|could you|can you) (?:please )?(?:provide|share|give|send)(?: me)?(?: with)? (?:the|a|your) "
    rf"(?:\w+ ){{0,2}}(?:sentence|text|passage)s? {_YOUR_TEXT}"
    r"|(?:it (?:seems|looks|appears)|there (?:is|seems to be|appears to be)) [^.\n]{0,40}(?:no|not|n['’]t|forgot|any)"
    r"(?!\w)[^.\n]{0,40}(?:(?:sentence|text|input)s? )?"
    rf"(?:(?:provided|given)(?! (?:by|in|on)(?!\w))|in your|{_YOUR_TEXT})"
    r"|நான் ஒரு (?:AI|ஏஐ|செயற்கை நுண்ணறிவு|(?:பெரிய )?மொழி மாதிரி)|ஒரு (?:AI |ஏஐ )?மொழி மாதிரியாக"
    r"|मैं (?:सिर्फ |केवल )?एक (?:AI|एआई|(?:बड़ा )?भाषा मॉडल)|एक (?:AI|एआई|भाषा) (?:भाषा )?मॉडल के (?:रूप में|नाते)"
    r"|kama (?:modeli ya lugha|AI)(?!\w))",
    re.IGNORECASE,
)
# What people say as well; a source with a word of `_UNABLE` excuses it.
_OF_ANYONE = re.compile(
    rf"{_SORRY}{_CANNOT} (?:\w+ ){{0,2}}(?:assist|help(?! (?:but|it|\w+ing)(?!\w))|provide|create|generate|engage"
    r"|produce|answer|discuss|respond|satisfy|write|complete|process|do (?:this|that)|continue with)(?!\w)"
    r"|மன்னிக்க(?:வும்| வேண்டும்)[^.\n]{0,80}(?:முடியாது|இயலாது|முடியவில்லை|இயலவில்லை)"
    r"|என்னால் (?:இந்த|இதை|உங்கள்)[^.\n]{0,60}(?:முடியாது|இயலாது|முடியவில்லை|இயலவில்லை)"
    r"|(?:मा(?:फ़?|\u095e) (?:कीजिए|कीजिये|करें)|क्षमा करें|मुझे खेद है)[^।\n]{0,80}नहीं[^।\n]{0,20}सक(?:ता|ती|ते)"
    r"|मैं (?:इस|आपके|आपकी|आपका)[^।\n]{0,60}नहीं[^।\n]{0,20}सक(?:ता|ती)"
    r"|(?:samahani|pole)[^.\n]{0,60}siwezi|siwezi (?:kukusaidia|kusaidia|kutafsiri|kutimiza)",
    re.IGNORECASE,
)
_UNABLE = re.compile(
    r"can(?:no|['’]?)t(?!\w)|can not|could(?: not|n['’]?t)(?!\w)|won['’]?t(?!\w)|will not|unable|not able|impossible"
    r"|sorry|apolog|முடியா|முடியவில்லை|இயலா|இயலவில்லை|மன்னி|नहीं|मा(?:फ|\u095e)|क्षमा|खेद|లేను|లేదు|లేము|క్షమించ"
    r"|siwezi|samahani|pole|mana ati",
    re.IGNORECASE,
)


def refuses(source: str, answer: str) -> bool:
    """Whether `answer` declines the task or asks for its text, where `source` says no such thing itself."""
    if _OF_A_MODEL.match(answer):
        return not _OF_A_MODEL.search(source)
    return bool(_OF_ANYONE.match(answer)) and not _UNABLE.search(source)
