import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.generation.scores import PromptEcho, copy, fold, numerals_kept, repetition

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TRANSLATE = (
    "You translate English into Tamil. Answer with the translation and nothing else.\n"
    "Translate this sentence into Tamil."
)
PARAPHRASE = (
    "You rewrite English sentences. Answer with the rewritten sentence and nothing else.\n"
    "Paraphrase this sentence in English. Keep its meaning; change its words and its structure."
)


@given(TEXT)
def test_fold_is_idempotent_and_blind_to_case_form_and_punctuation(text):
    folded = fold(text)
    assert fold(folded) == folded
    assert fold(unicodedata.normalize("NFD", text)) == folded
    assert fold(f" «{text}»…\n") == folded
    assert fold(text.upper().lower()) == fold(fold(text).upper().lower())


@given(TEXT | st.text(st.characters(max_codepoint=127)))
def test_fold_keeps_letters_marks_and_digits_of_the_case_folded_compatible_form(text):
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(character if unicodedata.category(character)[0] in "LMN" else " " for character in plain)
    assert fold(text) == " ".join(kept.split())


def test_fold_keeps_the_marks_of_indic_letters():
    assert fold("கா") != fold("கி") != fold("க")
    assert fold("கொ") == fold("கொ")  # two marks for one, canonically the same
    assert fold("க்\u200cஷ") == fold("க்ஷ")
    assert fold("Don't  stop") == "don t stop"


LONG = "a young woman in a red coat is walking her two small dogs along the frozen river in the early morning"


@pytest.mark.parametrize(
    ("task", "source", "answer", "least", "most"),
    [
        ("paraphrase", LONG, LONG, 1, 1),
        ("paraphrase", LONG, LONG.replace("small", "little"), 0.95, 0.999),
        ("paraphrase", LONG, "two little dogs are taken for a stroll beside an icy river by a lady", 0, 0.7),
        ("translate", "a dog runs", "ஒரு நாய் ஓடுகிறது", 0, 0.2),
        ("summarise", LONG, LONG, 1, 1),
        ("synonyms", LONG, LONG.replace("small", "little"), 0, 0),
        ("synonyms", LONG, LONG, 1, 1),
        ("shuffle", LONG, " ".join(reversed(LONG.split())), 0, 0),
        ("shuffle", LONG, LONG.replace("the early", "early the"), 0, 0),
        ("shuffle", LONG, LONG, 1, 1),
        ("paraphrase", "1999", "1999", 1, 1),
    ],
)
def test_copy_depends_on_the_task(task, source, answer, least, most):
    assert least <= copy(source, answer, task) <= most


def test_what_has_no_letters_is_the_same_in_any_language():
    assert copy("1999", "1999", "translate") is None
    assert copy("in 1999", "in 1999", "translate") == 1.0


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("the cat the cat the cat the cat the cat", 0.7),
        ("The cat, the cat. The cat! the cat … the cat", 0.7),
        ("A man is sleeping on the bench the bench the bench the bench the bench the bench", 0.4),
        ("ஆஹா ஆஹா ஆஹா ஆஹா ஆஹா", 0.7),
        ("धीरे धीरे धीरे धीरे धीरे", 0.7),
        ("hahahahaha", 0.7),
        ("நாநாநாநாநாநாநாநா", 0.7),
        ("sooooooooooooooo", 0.7),
        ("今日は今日は今日は今日は今日は", 0.7),
        ("The dog runs in the park. " * 5, 0.75),
        ("A dog runs. A dog runs.", 0.45),
        ("1. The dog runs in the park early every morning. 2. The dog runs in the park early every morning.", 0.45),
        ("....................", 0.7),
        ("- - - - - - - - - -", 0.7),
        ("Good" + "!" * 30, 0.7),
        ("0 0 0 0 0 0 0 0", 0.7),
    ],
)
def test_loops_are_repetition(text, least):
    assert least <= repetition(text) < 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "A man in a blue shirt and a woman in a blue shirt are standing in front of a store.",
        "The man is tall and the woman is tall.",
        "மெல்ல மெல்ல நடந்தான், மீண்டும் மீண்டும் பார்த்தான்.",
        "वह धीरे धीरे चल रहा है।",
        "Alitembea polepole sana, hatua kwa hatua.",
        "Ha ha, that was very, very good!",
        "Well... that is that!!!",
        "In 1000000 years, 10,000,000 people",
    ],
)
def test_ordinary_text_is_no_repetition(text):
    assert repetition(text) == 0.0


@given(TEXT)
def test_repetition_is_a_share(text):
    assert 0 <= repetition(text) <= 1
    assert repetition(text, fold(text)) == repetition(text)


@given(st.lists(st.text("abcdefghijklm", min_size=4), min_size=3, max_size=8, unique=True), st.integers(3, 9))
def test_a_text_said_several_times_is_new_once(words, times):
    unit = fold(" ".join(words)) + " "
    assert repetition(unit * times) >= (times - 1) / times - 0.05


def test_runaways_are_scored_at_once():
    start = time.process_time()
    for unit in ("the cat ", "a", "ab" * 17, "\n", '"', "1,", "ஆஹா ", "".join(map(chr, range(0x4E00, 0x5600)))):
        repetition((unit * 8000)[:8000])
    assert time.process_time() - start < 1  # 8 times 8,000 characters; one pass takes some 2 ms


@pytest.mark.parametrize(
    ("source", "answer", "share"),
    [
        ("A dog runs.", "ஒரு நாய்", None),
        ("Two of 5 dogs, 2nd place", "ஐந்து நாய்கள்", None),
        ("5.0 stars", "five stars", None),
        ("In 1999 she was 42.", "1999 இல் அவளுக்கு வயது 42.", 1),
        ("In 1999 she was 42.", "1999 இல் அவளுக்கு வயது 24.", 0.5),
        ("In 1999", "அந்த ஆண்டில்", 0),
        ("12 people", "௧௨ பேர்", 1),
        ("12 people", "१२ लोग", 1),
        ("१२ लोग", "12 people", 1),
        ("１２ people", "12 watu", 1),
        ("100,000 rupees", "1,00,000 ரூபாய்", 1),
        ("100,000 rupees", "100000 ரூபாய்", 1),
        ("1,00,000", "100 000", 1),
        ("1,234,567", "12,34,567", 1),
        ("1.234.567", "1,234,567", 1),
        ("1.234", "1,234", 1),
        ("1,234.50", "1.234,5", 1),
        ("3.5 metres", "3,5 mita", 1),
        ("3.5 metres", "35 mita", 0),
        ("100,000", "100", 0),
        ("100.000", "100", 0),
        ("0.5", "0.50", 1),
        ("007 and 0012", "12", 1),
        ("12.05.2024", "12/5/2024", 1),
        ("at 10:30", "10.30 மணிக்கு", 1),
        ("at 10.30", "10:30 மணிக்கு", 1),
        ("COVID-19", "கோவிட்-19", 1),
        ("12, then 12", "12", 1),
    ],
)
def test_numerals_are_kept_by_value(source, answer, share):
    assert numerals_kept(source, answer) == share


@given(st.integers(10, 10**12), st.sampled_from(["௦", "०", "౦", "0"]))
def test_a_number_is_kept_in_any_digits_and_grouping(number, zero):
    digits = str(number)
    head, last = digits[:-3], digits[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    lakhs = ",".join([*reversed(pairs), last])
    forms = [digits, f"{number:,}", lakhs]
    forms += ["".join(chr(ord(zero) + int(digit)) if digit.isdigit() else digit for digit in form) for form in forms]
    for one, other in pairwise(forms):
        assert numerals_kept(one, other) == numerals_kept(other, one) == 1
    assert numerals_kept(digits, str(number + 1)) == 0


@given(TEXT | st.text("0123456789.,' ௧१"), TEXT | st.text("0123456789.,' ௧१"))
def test_numerals_kept_is_a_share_or_nothing(source, answer):
    share = numerals_kept(source, answer)
    assert share is None or 0 <= share <= 1
    assert numerals_kept(source, source) in (None, 1)


def echo(instruction, source, answer):
    return PromptEcho(instruction)(source, answer, fold(answer))


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [
        (TRANSLATE, "Translate this sentence into Tamil. ஒரு நாய் ஓடுகிறது."),
        (TRANSLATE, "You translate English into Tamil. Answer with the translation and nothing else."),
        (PARAPHRASE, "Keep its meaning; change its words and its structure. A dog is running."),
        (PARAPHRASE, "A dog is running. Paraphrase this sentence in English."),
        (TRANSLATE, "ஒரு நாய்.\n\n### Instruction:\nTranslate"),
        (TRANSLATE, "ஒரு நாய் ### Response: ஒரு நாய்"),
        (TRANSLATE, "ஒரு நாய்<|eot_id|><|start_header_id|>user<|end_header_id|>"),
        (TRANSLATE, "[INST] A dog runs [/INST] ஒரு நாய்"),
        (TRANSLATE, "ஒரு நாய்<|im_start|>user"),
        (PARAPHRASE, "A dog is running.assistant\n\nHere is another one"),
    ],
)
def test_a_prompt_said_again_is_an_echo(instruction, answer):
    assert echo(instruction, "A dog runs.", answer) > 0.3


@pytest.mark.parametrize(
    ("instruction", "source", "answer"),
    [
        (PARAPHRASE, "The words of the sentence changed.", "The meaning of this sentence is another one in English."),
        (PARAPHRASE, "A poet kept the meaning.", "Its words and its form were changed, but the poet kept its meaning."),
        (PARAPHRASE, "Paraphrase this sentence in English.", "Please paraphrase this sentence in English."),
        (TRANSLATE, "Use <s> for a cross-out.", "<s> என்பது ஒரு குறி."),
        (TRANSLATE, "A sentence", "அவர் “translate this sentence” என்றார்"),
        (PARAPHRASE, "A helper came.", "An assistant came to help."),
        ("", "A dog", "A hound"),
        ("Translate: ", "A dog", "Translate"),
        ("Be brief. Be kind.", "A dog", "A hound will be brief and be kind"),
    ],
)
def test_common_words_and_the_source_s_own_are_no_echo(instruction, source, answer):
    assert echo(instruction, source, answer) <= 0.3


@given(TEXT, TEXT, TEXT)
def test_an_echo_is_a_share(instruction, source, answer):
    assert 0 <= echo(instruction, source, answer) <= 1
    assert echo(instruction, source, source) in (0, 0.0)
