"""What chat models say in place of an answer ("I cannot …", "Please provide the sentence …").

The wordings are those of LLaMA 3 and Tamil-LLaMA, in English, Tamil, Hindi and Swahili.
"""

from __future__ import annotations

import re

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
