"""Words and counts of them, and the lists of words for groups of people."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.quality.words import SEGMENT, TextCounts, cut_words, read_terms


@pytest.mark.parametrize(
    "text, words",
    [
        ("பெண்களின் நாய், ஓடிக்கொண்டிருக்கிறது!", ["பெண்களின்", "நாய்", "ஓடிக்கொண்டிருக்கிறது"]),
        ("ஒரு கொ\u200cடு", ["ஒரு", "கொடு"]),
        ("க்\u200dஷ", ["க்ஷ"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("The woman’s DOG isn't 'here' 2,000x", ["the", "woman's", "dog", "isn't", "here", "2", "000x"]),
        ("a\0b\nc\t\u3000d–e_f", ["a", "b", "c", "d", "e", "f"]),
        ("e\u0301t\u00e9 STRASSE straße", ["\u00e9t\u00e9", "strasse", "strasse"]),
        ("co\u00adop", ["coop"]),
        ("… 👍🏽 '", []),
        ("", []),
    ],
)
def test_words_are_whole_in_any_script(text, words):
    assert cut_words(text) == words
    among = TextCounts(["x y", text, "z"])
    assert among.vocabulary == Counter(["x", "y", "z", *words]) and among.lengths == Counter([2, len(words), 1])


@given(st.lists(st.text(st.sampled_from("aB \0\nß'\u2019அா\u0bc6\u0bbe்\u200c\u200d-1\U0001f600\u0301é")), max_size=9))
def test_words_are_the_same_in_any_company(texts):
    counts = TextCounts(texts)
    assert counts.vocabulary == Counter(word for text in texts for word in cut_words(text))
    assert counts.lengths == Counter(len(cut_words(text)) for text in texts)


def test_one_letter_in_two_spellings_is_one_word():
    one, two = "கொடு", "க\u0bc6\u0bbeடு"
    assert one != two and TextCounts([one, two]).vocabulary == {one: 2}


def test_counts_by_hand():
    counts = TextCounts(["a b a", "b", "", "c c c c"])
    assert counts.summary() == {
        **{"texts": 4, "words": 8, "types": 3, "type_token_ratio": 0.375, "standardised_type_token_ratio": None},
        "words_per_text": {"5": 0, "50": 1, "95": 4},
        "characters_per_text": {"5": 0, "50": 1, "95": 7},
    }
    assert counts.coverage_of(TextCounts(["a a d", "c"])) == {"types": round(2 / 3, 4), "words": 0.75}
    assert TextCounts().summary()["type_token_ratio"] is None


def test_the_ratio_in_segments_does_not_fall_with_size():
    texts = [" ".join(f"w{number % 250}" for number in range(start, start + 100)) for start in range(0, 10_000, 100)]
    small, large = TextCounts(texts[:20]), TextCounts(texts)
    assert SEGMENT == 1000
    assert small.summary()["standardised_type_token_ratio"] == large.summary()["standardised_type_token_ratio"] == 0.25
    assert small.summary()["type_token_ratio"] == 0.125 > large.summary()["type_token_ratio"] == 0.025
    both = small + large
    assert (both.texts, both.words, both.summary()["standardised_type_token_ratio"]) == (120, 12_000, 0.25)
    assert TextCounts(texts).vocabulary == TextCounts(iter(texts)).vocabulary


def test_lists_of_both_languages_have_the_same_categories():
    lists = read_terms()
    assert lists.keys() == {"en", "ta"} and lists["en"].count({}) == lists["ta"].count({})
    for terms in lists.values():
        words = Counter(term for names in terms.terms["gender"].values() for term in names.split())
        assert set(words.values()) == {1}


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"--terms .*terms\.yaml: cannot be read"),
        ("language: te\n", r"terms\.yaml: `terms` is missing"),
        ("language: te\ntrems: {a: {b: c}}\n", "unknown key `trems`; did you mean `terms`"),
        ("language: no\nterms: {a: {b: c}}\n", "`language: False` is no language code; put it in quotes"),
        ("language: te\nterms: [a]\n", "language te: `terms` must be a mapping"),
        ("language: te\nterms: {a: [b]}\n", "language te, group a: must be a mapping of categories"),
        ("language: te\nterms: {a: {b: 3}}\n", "group a, category b: words with spaces between them are needed, not 3"),
        ("language: te\nterms: {a: {b: 'x*y'}}\n", r"category b: 'x\*y' is no single word, nor `word\*`"),
        ("language: te\nterms: {a: {b: 'x-y'}}\n", "'x-y' is no single word"),
        (
            "language: te\nterms: {a: {b: c}}\n---\nlanguage: te\nterms: {a: {b: c}}\n",
            "`language: te` is there twice",
        ),
    ],
)
def test_what_is_no_list_of_terms(tmp_path, content, message):
    if content is not None:
        (tmp_path / "terms.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        read_terms(str(tmp_path / "terms.yaml"))
