import subprocess
import sys
import unicodedata
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hf_xling.corpora.duplicates import EXAMPLES, find_duplicates
from hf_xling.errors import InputError

REVIEW = "மிக நல்ல படம். கதை, இசை, நடிப்பு எல்லாம் அருமை; குடும்பத்துடன் பார்க்கலாம். இரண்டாம் பாதி சற்று நீளம்."


def normal(text):
    text = "".join(letter for letter in text if letter not in "\u200c\u200d\ufeff")
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.split())


def grams(text):
    text = "".join(str(unicodedata.digit(letter)) if letter.isdecimal() else letter for letter in text)
    return {text[i : i + 5] for i in range(len(text)) if i + 5 <= len(text)} or {text}


def reference(splits, threshold):
    """What `find_duplicates` shall find, by comparing each row with each."""
    rows = {(split, row): normal(text) for split, texts in splits.items() for row, text in enumerate(texts)}
    found = {(split, other): (set(), set()) for split in splits for other in splits}
    for (one, text), (two, twin) in product(rows.items(), repeat=2):
        a, b = grams(text), grams(twin)
        exact, near = found[one[0], two[0]]
        if one != two and text == twin:
            exact.add(one[1])
        elif text != twin and len(a & b) / len(a | b) >= threshold:
            near.add(one[1])
    return {pair: (sorted(exact), sorted(near - exact)) for pair, (exact, near) in found.items()}


def rows_found(found):
    return {pair: (overlap.exact, overlap.near) for pair, overlap in found.overlaps.items()}


# Sentences that share most of their words, so that similarities lie on both sides of every threshold.
WORDS = st.sampled_from(
    [
        *("படம்", "நல்ல", "மிக", "கதை", "film", "Film", "a", "e\u0301", "é", "straße", "STRASSE", "  ", "\n"),
        *("ந\u200dல்ல", "\ufeff", "ｆｉｌｍ", "10", "௧௦"),
    ]
)
TAILS = st.lists(WORDS, max_size=6).map(" ".join)
TEXTS = st.one_of(TAILS, TAILS.map(lambda tail: f"{REVIEW} {tail}"), TAILS.map(lambda tail: f"{tail} {REVIEW}"))
SPLITS = st.fixed_dictionaries({name: st.lists(TEXTS, max_size=6) for name in ("train", "validation", "test")})


@given(SPLITS, st.sampled_from([0.3, 0.5, 0.8, 0.95, 1.0]))
@example({"train": ["", " ", "a"], "test": ["\n", "A"]}, 0.8)
@example({"train": ["abcde" * 3, "abcde" * 4]}, 1.0)  # one set of shingles, two texts
def test_what_is_found_is_what_comparing_each_with_each_finds(splits, threshold):
    found = find_duplicates(splits, threshold)
    expected = reference(splits, threshold)
    assert rows_found(found) == expected
    names = list(splits)
    for place, split in enumerate(names):
        later = (expected[split, other] for other in names[place + 1 :])
        assert found.leaked[split] == sorted({row for kinds in later for rows in kinds for row in rows})
    if names:
        assert found.leaked[names[-1]] == []


@given(SPLITS, st.sampled_from([0.3, 0.8]))
def test_examples_are_pairs_of_duplicates(splits, threshold):
    for (split, other), overlap in find_duplicates(splits, threshold).overlaps.items():
        assert len(overlap.examples) <= EXAMPLES and bool(overlap.examples) == bool(overlap.exact or overlap.near)
        pairs = [(each.row, each.other_row) for each in overlap.examples]
        assert len({tuple(sorted(pair)) if split == other else pair for pair in pairs}) == len(pairs)
        for each in overlap.examples:
            assert (split, each.row) != (other, each.other_row)
            a, b = grams(normal(splits[split][each.row])), grams(normal(splits[other][each.other_row]))
            assert each.similarity == pytest.approx(len(a & b) / len(a | b)) and each.similarity >= threshold


def test_exact_duplicates_differ_in_spelling_case_and_white_space_only():
    train = ["Café  noir\n", "STRASSE", "மொழி", "other"]  # the Tamil vowel sign in one code point and in two
    test = ["cafe\u0301 noir", "straße", "மெ\u0bbeழி", "another"]
    overlap = find_duplicates({"train": train, "test": test}).overlaps["train", "test"]
    assert (overlap.exact, overlap.near) == ([0, 1, 2], [])


@pytest.mark.parametrize("twin", ["க்\u200cஷ", "க்\u200dஷ", "க்\u2060ஷ\ufe0f", "\ufeffக்\u00adஷ\u200f"])
def test_a_twin_by_code_points_that_nobody_sees_leaks(twin):
    found = find_duplicates({"train": ["மற்ற படம்", f"{twin} படம்"], "test": ["க்ஷ படம்"]})
    assert found.leaked["train"] == [1] and rows_found(found)["train", "test"] == ([1], [])


def test_digits_of_another_script_make_a_near_duplicate():
    train = [f"{REVIEW} 2026", "௧௨௩௪௫", "७८९"]
    found = find_duplicates({"train": train, "test": [f"{REVIEW} ௨௦௨௬", "12345", "987"]}, 1.0)
    assert rows_found(found)["train", "test"] == ([], [0, 1]) and found.leaked["train"] == [0, 1]


def test_the_training_rows_leak_and_the_test_rows_stay():
    splits = {"train": [REVIEW, "x" * 40, REVIEW + " !", "kept"], "validation": ["X" * 40], "test": [REVIEW.upper()]}
    found = find_duplicates(splits)
    assert found.leaked == {"train": [0, 1, 2], "validation": [], "test": []}
    assert rows_found(found)["train", "test"] == ([0], [2])
    assert rows_found(found)["test", "train"] == ([0], [])
    assert rows_found(found)["train", "train"] == ([], [0, 2])
    assert find_duplicates(splits, 1.0).leaked["train"] == [0, 1]


def test_the_same_texts_give_the_same_result_in_every_process():
    code = (
        "from hf_xling.corpora.duplicates import find_duplicates as f; "
        "print(f({'a': [f'review {n // 3} of a film of {n % 4} dogs' for n in range(60)], 'b': ['a film'] * 2}, 0.6))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] and "near=[0" in runs[0]


def test_pairs_at_the_threshold_are_not_missed_among_many():
    """The texts of a pair share 8 of 10 shingles. Bands chosen for few candidates would miss every second one."""
    letters = [chr(0x4E00 + number) for number in range(9_000)]
    train = ["".join(letters[30 * n : 30 * n + 13]) for n in range(300)]
    test = [text[:-1] + letters[-1] for text in train]  # one shingle of nine is another: 8 of 10
    found = find_duplicates({"train": train, "test": test}, 0.8)
    assert len(found.overlaps["train", "test"].near) == 300
    assert {each.similarity for each in found.overlaps["train", "test"].examples} == {0.8}
    assert rows_found(find_duplicates({"train": train, "test": test}, 0.81))["train", "test"] == ([], [])


def test_of_a_thousand_variants_of_one_text_hardly_any_are_compared():
    """Each is a candidate for each, and to learn that each has a near duplicate a comparison for each is enough."""
    found = find_duplicates({"train": [f"{REVIEW * 5} {number}" for number in range(1000)]})
    assert len(found.overlaps["train", "train"].near) == 1000 and 500 <= found.compared < 2000


def test_of_many_texts_of_the_first_split_a_sample_is_compared_with_all():
    train = [f"{REVIEW} {number} {'abcdefghij'[number % 10] * 3}" for number in range(60)]
    test = [f"{train[59]}!", "something else altogether"]
    found = find_duplicates({"train": train, "test": test}, sample=20)
    assert found.sample == 20 and len(found.overlaps["train", "train"].near) == 20
    # Across splits nothing is left to chance.
    assert rows_found(found)["train", "test"] == reference({"train": train, "test": test}, 0.8)["train", "test"]
    assert find_duplicates({"train": train[:20]}, sample=20).sample is None


@pytest.mark.parametrize("threshold", [0, 0.05, 1.1, float("nan")])
def test_thresholds_without_a_meaning_are_refused(threshold):
    with pytest.raises(InputError, match=r"0\.1 to 1 is needed"):
        find_duplicates({"train": ["x"]}, threshold)
