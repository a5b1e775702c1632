import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.generation.filters import Verdict, duplicates, fold, judge
from hf_xling.generation.languages import LANGUAGES
from hf_xling.generation.records import Completion

EN, TA = LANGUAGES["en"], LANGUAGES["ta"]
TAMIL = "ஒரு நாய் ஓடுகிறது."
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
REASONS = ("endpoint: ", "empty", "truncated", "copy", "wrong_script")


@pytest.mark.parametrize(
    ("completion", "language", "reason"),
    [
        (Completion(TAMIL, "eos_token"), TA, None),
        (Completion(TAMIL, "stop_sequence"), TA, None),
        (Completion(None, error="429 overloaded"), TA, "endpoint: 429 overloaded"),
        (Completion(""), TA, "empty"),
        (Completion(" \n"), TA, "empty"),
        (Completion("— … !?"), TA, "empty"),
        (Completion(None), TA, "empty"),
        (Completion(TAMIL, "length"), TA, "truncated"),
        (Completion("A dog is running.", "eos_token"), TA, "wrong_script"),
        (Completion("A dog is running.", "eos_token"), EN, None),
        (Completion("a DOG runs", "eos_token"), EN, "copy"),
        (Completion("“A dog runs.”", "eos_token"), TA, "copy"),
        (Completion("Ａ dog\u00ad runs\u200b!", "eos_token"), EN, "copy"),
        (Completion("Dog (நாய்) ஓடுகிறது", "eos_token"), TA, None),
        (Completion(f"Sure! Here is the translation you asked for: {TAMIL}", "eos_token"), TA, "wrong_script"),
        (Completion("12 345", "eos_token"), TA, None),
    ],
)
def test_an_answer_is_accepted_or_has_its_reason(completion, language, reason):
    assert judge("A dog runs.", completion, language).reason == reason


@given(
    source=TEXT.filter(str.strip),
    text=st.none() | TEXT,
    finish=st.sampled_from([None, "eos_token", "length", "stop_sequence"]),
    error=st.none() | st.just("timed out"),
    language=st.sampled_from([EN, TA]),
)
def test_a_verdict_is_one_reason_or_none_with_scores_in_range(source, text, finish, error, language):
    verdict = judge(source, Completion(text, finish, error=error), language)
    assert verdict.reason is None or sum(verdict.reason.startswith(reason) for reason in REASONS) == 1
    assert (error is not None) == (verdict.reason is not None and verdict.reason.startswith("endpoint"))
    if verdict.reason is None:
        assert fold(text) and 0.5 <= verdict.script_share <= 1 and verdict.length_ratio == len(text) / len(source)
    if verdict.reason is not None and verdict.reason.startswith(("endpoint", "empty")):
        assert verdict == Verdict(reason=verdict.reason)


@given(TEXT)
def test_fold_is_idempotent_and_blind_to_case_form_and_punctuation(text):
    folded = fold(text)
    assert fold(folded) == folded
    assert fold(unicodedata.normalize("NFD", text)) == folded
    assert fold(f" «{text}»…\n") == folded
    assert fold(text.upper().lower()) == fold(fold(text).upper().lower())


def test_fold_keeps_the_marks_of_indic_letters():
    assert fold("கா") != fold("கி") != fold("க")
    assert fold("கொ") == fold("கொ")  # two marks for one, canonically the same
    assert fold("க்\u200cஷ") == fold("க்ஷ")
    assert fold("Don't  stop") == "don t stop"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x", "X.", "y", "Y!", "z"]))))
def test_duplicates_are_later_answers_of_other_sources_only(pairs):
    answers = list(dict(pairs).items())  # one answer a source, as a run has them
    found = duplicates(answers)
    assert found <= set(answers)
    for position, (source, answer) in enumerate(answers):
        earlier = any(fold(answer) == fold(other) for _, other in answers[:position])
        assert ((source, answer) in found) == earlier


def test_one_source_may_give_one_answer_twice():
    assert duplicates([("a", "x"), ("a", "x"), ("b", "X!"), ("a", "x")]) == {("b", "X!")}


def test_script_share_counts_letters_and_marks_only():
    assert TA.script_share(TAMIL) == 1.0 and EN.script_share(TAMIL) == 0.0
    assert TA.script_share("123 …") == 1.0
    assert TA.script_share("நாய்ab") == pytest.approx(4 / 6)
