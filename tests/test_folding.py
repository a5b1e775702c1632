"""What counts as the same text."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hf_xling.folding import fold, has_text, same_digits

KSHA = "க்ஷ மிக நல்ல படம்"
# Of Unicode's Default_Ignorable_Code_Point one of each range, and what else shows nothing.
UNSEEN = (
    *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\u206f",
    *"\u3164\ufe00\ufe0e\ufe0f\ufeff\uffa0\ufff0\ufff9\U0001bca0\U0001d173\U000e0001\U000e0020\U000e0100\x00\x07\x7f\x90",
    *"\u2800\U0001d159\U00016fe4\U00013430\U00013434\U00013438\U0001343f",
)


@pytest.mark.parametrize("mark", UNSEEN, ids=lambda mark: f"{ord(mark):04x}")
def test_what_nobody_sees_is_nothing(mark):
    for text in (KSHA, "plain words", "க்"):
        assert fold(mark + mark.join(text) + mark) == fold(text)
    assert fold(mark) == ""


@given(st.text() | st.text(st.sampled_from([*UNSEEN, *" \n\u00a0\u2003aAﬃ\ud800"])))
def test_there_is_text_if_something_is_left_when_it_is_folded(text):
    assert has_text(text) == bool(fold(text))


def test_what_is_no_string_has_no_text():
    assert not any(map(has_text, (None, float("nan"), 1, b"a", ["a"])))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＦＩＬＭ　１０！", "film 10!"),
        ("ｶﾞ", "ガ"),
        ("ﬁlm", "film"),
        ("Café  noir\n", "cafe\u0301 noir"),
        ("STRASSE", "straße"),
        ("மொழி", "மெ\u0bbeழி"),
        ("a\u00a0\u2003b\u2028c", "a b c"),
        ("cafe\u200d\u0301", "café"),  # what was kept apart by it
        ("ශ්\u200dරී", "ශ්රී"),
        ("می\u200cخواهم", "میخواهم"),
        ("\ud83d a", "? a"),
    ],
)
def test_spellings_of_one_text(one, other):
    assert fold(one) == fold(other)


def test_what_is_seen_stays():
    for one, other in (("film 1", "film 2"), ("படம்", "படம"), ("a b", "ab"), ("௫", "5"), ("good", "good.")):
        assert fold(one) != fold(other)


@given(st.text() | st.text(st.sampled_from([*UNSEEN, *"aAﬃ ｶﾞ\u0301க்ஷ\ud800"])))
@example("\u1e9e\u0345\u03b1\u0345")
def test_a_folded_text_is_folded(text):
    once = fold(text)
    assert fold(once) == once == once.strip() and unicodedata.is_normalized("NFC", once)


def test_digits_of_any_script_are_the_same():
    for digits in ("௦௧௨௩௪௫௬௭௮௯", "०१२३४५६७८९", "౦౧౨౩౪౫౬౭౮౯", "٠١٢٣٤٥٦٧٨٩", "၀၁၂၃၄၅၆၇၈၉", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"):
        assert same_digits(f"{digits} படம்") == "0123456789 படம்"
    assert same_digits("x² ½ 12") == "x² ½ 12"
