"""What chat models say around an answer and in place of one, as the judge sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.generation.filters import FilterConfig, Judge
from hf_xling.generation.languages import LANGUAGES
from hf_xling.generation.records import Completion

SOURCE = "A dog runs in the park."
ANSWERS = {
    "en": "Through the park goes a hound.",
    "ta": "ஒரு நாய் பூங்காவில் ஓடுகிறது.",
    "hi": "एक कुत्ता पार्क में दौड़ता है।",
    "sw": "Mbwa anakimbia kwenye bustani.",
}
PREAMBLES = {
    "en": [
        "Here is a paraphrase of the sentence:\n\n{}",
        "Sure! Here's the rewritten sentence:\n{}",
        "Sure! Here’s a rephrased version of the sentence: {}",
        "Sure, I'd be happy to help! Here is the paraphrased sentence:\n\n{}",
        "Certainly!\n\n{}",
        "Sure thing! Here you go:\n\n{}",
        "Here is the sentence in different words. Here is the paraphrase: {}",
        "Here are a few possible ways to say it:\n\n{}",
        "I've rewritten the sentence as follows:\n\n{}",
        "The paraphrased sentence is:\n{}",
        "A possible paraphrase of the sentence is: {}",
        "Here is the paraphrased sentence.\n\n{}",
        "Here is a one-sentence summary of the text: {}",
        "Here is the sentence with words replaced by synonyms: {}",
        "Paraphrase: {}",
        "**Paraphrase:** {}",
        "### Paraphrased sentence:\n{}",
        "Shuffled sentence: {}",
        "Answer: {}",
        "assistant\n\nHere is the paraphrase: {}",
        "Original: A dog runs in the park.\nParaphrase: {}",
        "A dog runs in the park.\n\n{}",
        '"{}"',
        "“{}”",
        "**{}**",
        'Rewritten sentence: "{}"',
        "{}\n\nNote: I changed the order of the words.",
        "{}\n\n(Note: the meaning is the same.)",
        '{}\n\nExplanation: "runs" became "goes".\n\nLet me know if you need more.',
        '{}\n\nI replaced "dog" with a synonym.',
        "{}\n\nThis paraphrase keeps the meaning.",
        "{}\n\nOr\n\nThe hound is in the park.",
        'Here is the paraphrase:\n\n"{}"\n\nNote: I changed the order.',
    ],
    "ta": [
        "Translation (Tamil): {}",
        "Tamil: {}",
        "In Tamil: {}",
        "Here is the sentence in Tamil: {}",
        "Sure! Here is the translation of the sentence into Tamil:\n\n{}",
        'The translation of "A dog runs in the park." into Tamil is:\n\n{}',
        "English: A dog runs in the park.\nTamil: {}",
        "தமிழ்: {}",
        "தமிழ் மொழிபெயர்ப்பு:\n{}",
        "இதோ தமிழ் மொழிபெயர்ப்பு: {}",
        "பதில்: {}",
        "{}\n\n(Transliteration: Oru nāy pūṅkāvil ōṭukiṟatu.)",
        "{}\n\nகுறிப்பு: இது நேரடி மொழிபெயர்ப்பு.",
    ],
    "hi": [
        "हिंदी: {}",
        "हिंदी अनुवाद: {}",
        "ज़रूर! यहाँ अनुवाद है: {}",
        "यहाँ वाक्य का हिंदी अनुवाद है:\n\n{}",
        "{}\n\nनोट: यह शाब्दिक अनुवाद है।",
    ],
    "sw": [
        "Kiswahili: {}",
        "Tafsiri ya Kiswahili: {}",
        "Hapa kuna tafsiri ya sentensi: {}",
        "Bila shaka! Hii hapa ni tafsiri:\n\n{}",
        "{}\n\nMaelezo: “bustani” ni “park”.",
    ],
}


def judged(source, text, code="en", task=None):
    task = task or ("paraphrase" if code == "en" else "translate")
    return Judge(FilterConfig(), task, "", LANGUAGES["en"], LANGUAGES[code])(source, Completion(text, "eos_token"))


@pytest.mark.parametrize("code, form", [(code, form) for code, forms in PREAMBLES.items() for form in forms])
def test_a_preamble_is_stripped_and_kept_beside(code, form):
    verdict = judged(SOURCE, form.format(ANSWERS[code]), code)
    assert verdict.text == ANSWERS[code] and verdict.failed == ()
    before, _, behind = form.partition("{}")
    assert verdict.scores["preamble"] == " … ".join(filter(None, (before.strip(), behind.strip())))


@pytest.mark.parametrize(
    ("source", "code", "answer"),
    [
        ("Here is the problem: there is no water.", "en", "Here is the issue: water is lacking."),
        ("The problem is that there is no water.", "en", "Here is the problem: water is lacking."),
        ("Here is the summary: it failed.", "en", "Here is the summary of it: a failure."),
        ("Tamil: an old language.", "en", "Tamil: a language of great age."),
        ("Tip: drink much water.", "en", "Answer: drinking water helps."),
        ("Translation: an act.", "ta", "மொழிபெயர்ப்பு: ஒரு செயல்."),
        ("Tamil Nadu: Chennai is the capital.", "ta", "தமிழ்நாடு: சென்னை தலைநகரம்."),
        ("Tamil Nadu has one capital.", "ta", "தமிழ்நாடு: ஒரே தலைநகரம்."),
        ("Note: bring water.", "ta", "குறிப்பு: தண்ணீர் கொண்டு வாருங்கள்."),
        ("Two dogs run.\n\nNote: they are big.", "en", "A pair of hounds runs.\n\nNote: their size is great."),
        ("A day.\n\nHopefully it helps.", "en", "It was one day.\n\nI hope this helps them."),
        ('"Go away," he said.', "en", '"Leave me alone"'),
        ("“Go away”", "en", "“Leave me alone”"),
        ("Many dogs bark.", "en", "'Tis the dogs' bark'"),
        ("He says go and she says no.", "en", '"Go" is what he says and she says "no"'),
        ("Yes, I will come.", "en", "Sure, count on me."),
        ("The time is half past ten.", "en", "It is 10:30 now."),
        ("Buy some milk and eggs.", "en", "To buy:\n- milk\n- eggs"),
        ("A man shouts that they must leave.", "en", "A man shouts: leave!"),
    ],
)
def test_what_belongs_to_the_text_stays(source, code, answer):
    verdict = judged(source, answer, code)
    assert (verdict.text, verdict.scores["preamble"]) == (answer, None)


def test_of_two_preambles_the_source_s_own_stays():
    verdict = judged(
        "Here is the summary: it failed.", "Sure! Here is the paraphrase:\n\nHere is a summary: a failure."
    )
    assert verdict.text == "Here is a summary: a failure."
    assert verdict.scores["preamble"] == "Sure! Here is the paraphrase:"


@pytest.mark.parametrize("text", ["Here is the paraphrase:", "Paraphrase:", "**Paraphrase:**\n\n…", "Translation: ''"])
def test_a_preamble_and_nothing_behind_it_is_no_answer(text):
    verdict = judged(SOURCE, text)
    assert verdict.reason == "preamble"
    assert (verdict.text, verdict.scores["preamble"]) == (text, None)


PIECES = [
    *("Sure! ", "Here is the translation:", "Paraphrase: ", "Tamil:", "A dog runs.", "\n\nNote: so", "\n\nOr\n", "\n"),
    *('"', "“", "”", "**", "'", " ", ":", "assistant\n", "###", "Answer:", "தமிழ்: ", "I hope this helps", "நாய்", "…"),
]
TALK = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)


@given(TALK, TALK, st.sampled_from(["en", "ta"]))
def test_what_is_left_has_no_other_preamble(source, answer, code):
    first = judged(source, answer, code)
    again = judged(source, first.text, code)
    assert again.text == first.text and again.scores["preamble"] is None
    assert first.text in answer


@pytest.mark.parametrize(
    "text",
    [
        "I cannot fulfill your request. I'm just an AI.",
        "I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "Sorry, I can't do that.",
        "I'm afraid I can't help you with this one.",
        "As an AI language model, I cannot rewrite this.",
        "I am unable to provide a paraphrase of this.",
        "I apologize, but I cannot create explicit content.",
        "I won't be able to paraphrase that.",
        "I'm happy to help! However, there is no sentence provided to paraphrase.",
        "It seems like there is no sentence provided.",
        "It appears that the sentence was not provided.",
        "Please provide the sentence you'd like me to paraphrase.",
        "Unfortunately, I cannot translate this text.",
        "மன்னிக்கவும், என்னால் இதை மொழிபெயர்க்க முடியாது.",
        "என்னால் இந்த கோரிக்கையை நிறைவேற்ற முடியாது.",
        "ஒரு AI மொழி மாதிரியாக, என்னால் இதைச் செய்ய முடியாது.",
        "माफ़ कीजिए, मैं इसमें आपकी मदद नहीं कर सकता।",
        "मैं इस अनुरोध को पूरा नहीं कर सकता।",
        "एक AI भाषा मॉडल के रूप में, मैं राय नहीं दे सकता।",
        "Samahani, siwezi kukusaidia na hilo.",
    ],
)
def test_a_refusal_is_no_answer(text):
    verdict = judged(SOURCE, text)
    assert verdict.reason == "refusal" and verdict.scores["refusal"] is True


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("I can't help you with that.", "I cannot help you there."),
        ("It is impossible for me to answer.", "I cannot answer."),
        ("I'm an AI, and I talk.", "I am an AI and talking is what I do."),
        ("She could not stop laughing.", "I can't help but laugh."),
        ("என்னால் பதிலளிக்க முடியாது.", "I cannot answer."),
        ("मैं मदद नहीं कर सकता।", "I can't help."),
        ("Siwezi kujibu.", "I cannot answer."),
        ("My work is to build AI.", "I am an AI engineer."),
        ("She has a job in a shop.", "As a shop assistant, she works."),
        ("Text me.", "Please send me the text."),
        ("A man apologises.", "மன்னிக்கவும் என்று ஒரு மனிதன் சொல்கிறான்."),
        ("The book is empty.", "There is no text in the book."),
    ],
)
def test_what_people_say_is_no_refusal(source, text):
    assert judged(source, text).scores["refusal"] is False
