from itertools import pairwise

import pytest
from hf_xling.generation.budgets import GROWTH, STEP, budgets, expected_tokens, prompt_tokens
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hf_xling.generation.languages import LANGUAGES, Language
from hf_xling.generation.prompts import TASKS

EN, TA = LANGUAGES["en"], LANGUAGES["ta"]
DOUBLE = Language("xx", "Double", length_factor=2.0, tokens_per_character=1.0)

numbers = st.floats(0.01, 100)
languages = st.builds(
    Language, st.just("xx"), st.just("Some"), length_factor=numbers, tokens_per_character=numbers
) | st.sampled_from([*LANGUAGES.values()])
factors = st.floats(0, 20) | st.just(0)


def test_the_expected_tokens_of_an_answer():
    plain = Language("yy", "Plain", tokens_per_character=0.5)
    assert expected_tokens("x" * 100, plain, plain) == 50
    assert expected_tokens("x" * 100, plain, DOUBLE) == 200
    assert expected_tokens("x" * 100, DOUBLE, plain) == 25
    assert expected_tokens("x" * 3, plain, plain) == 2  # rounded up
    assert expected_tokens("", plain, plain) == 1


@given(text=st.text(), more=st.text(), source=languages, target=languages)
def test_longer_sources_let_expect_no_fewer_tokens(text, more, source, target):
    assert 1 <= expected_tokens(text, source, target) <= expected_tokens(text + more, source, target)


def test_the_script_of_the_answer_counts():
    text = "Two women in blue jackets are crossing the street."
    tokens = {code: expected_tokens(text, EN, language) for code, language in LANGUAGES.items()}
    assert tokens["en"] < tokens["sw"] < tokens["qu"] < tokens["hi"] < tokens["ta"] < tokens["te"]


def test_the_budgets_of_a_row():
    text = "x" * 100
    assert budgets(text, DOUBLE, DOUBLE, factor=3, most=4096) == (320, 1280, 4096)  # 3 × 100 + 16, to the next 16
    assert budgets(text, DOUBLE, DOUBLE, factor=3, most=1280) == (320, 1280)
    assert budgets(text, DOUBLE, DOUBLE, factor=1, most=512) == (128, 512)
    assert budgets(text, DOUBLE, DOUBLE, factor=3, most=256) == (256,)
    assert budgets(text, DOUBLE, DOUBLE, factor=0, most=256) == (256,)
    assert budgets("", DOUBLE, DOUBLE, factor=3, most=256) == (32, 128, 256)


@given(text=st.text(max_size=2000), source=languages, target=languages, factor=factors, most=st.integers(1, 10**6))
@example(text="", source=EN, target=EN, factor=0.01, most=1)
def test_budgets_ascend_to_the_most(text, source, target, factor, most):
    tries = budgets(text, source, target, factor=factor, most=most)
    assert tries and tries[-1] == most
    assert list(tries) == sorted(set(tries)) and tries[0] >= 1
    assert all(tokens % STEP == 0 for tokens in tries[:-1])
    assert all(later == GROWTH * earlier for earlier, later in pairwise(tries[:-1]))
    assert tries == budgets(text, source, target, factor=factor, most=most)


@given(text=st.text(max_size=500), source=languages, target=languages, factor=st.floats(1, 20))
def test_the_first_try_has_room_for_what_is_expected_and_not_much_more(text, source, target, factor):
    expected = expected_tokens(text, source, target)
    assume(expected < 10**5)
    first, *_ = budgets(text, source, target, factor=factor, most=10**8)
    assert factor * expected < first < factor * expected + 3 * STEP


@pytest.mark.parametrize("wire", ["render", "messages"])
def test_the_tokens_of_a_prompt(wire):
    tamil = "ஒரு நாய் ஓடுகிறது."
    empty = getattr(TASKS["paraphrase"], wire)("", TA, TA)
    full = getattr(TASKS["paraphrase"], wire)(tamil, TA, TA)
    constant = prompt_tokens(empty, "", TA)
    assert 40 < constant < 150
    # all but the rounding of two numbers
    assert abs(prompt_tokens(full, tamil, TA) - constant - len(tamil) * TA.tokens_per_character) < 1
    # Constant text in another script counts by its bytes: some 0.35 × 3 tokens a letter.
    assert prompt_tokens("அ" * 100, "", EN) == 105
    assert prompt_tokens("\ud800", "\ud800", EN) == 1
