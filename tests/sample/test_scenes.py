import random
import re
from collections import Counter
from itertools import pairwise, product

import pytest

from hf_xling.sample import scenes
from hf_xling.sample.scenes import PLURAL, VERB_ENDINGS, Scene, draw_inferences, render


def all_subjects():
    return [*scenes.SUBJECTS, *scenes.GENERAL_SUBJECTS.values()]


def all_activities():
    return [*scenes.ACTIVITIES, *scenes.GENERAL_ACTIVITIES.values()]


def agreement_expected(tamil: str) -> str:
    """The agreement that a Tamil subject calls for, read from its form alone."""
    noun = tamil.split()[-1]
    if noun in ("இருவர்", "பேர்", "சிலர்") or tamil.endswith(("மகனும்", "மகளும்", "பையனும்", "பெண்ணும்")):
        return "people"
    if noun in ("ஒருவர்", "ஒருவன்", "ஒருத்தி", "ஒன்று", "இரண்டு"):
        return {"ஒருவர்": "honoured", "ஒருவன்": "he", "ஒருத்தி": "she", "ஒன்று": "it", "இரண்டு": "things"}[noun]
    if noun.endswith("கள்"):
        return "things" if noun in ("நாய்கள்", "பசுக்கள்", "விலங்குகள்") else "people"
    if noun in ("நாய்", "பூனை", "குதிரை", "யானை", "விலங்கு", "குழந்தை"):
        return "it"
    if noun in ("பெண்", "சிறுமி", "இளம்பெண்", "மாணவி"):
        return "she"
    # -ர் is the honorific ending; these nouns are honoured though they end otherwise.
    if noun.endswith("ர்") or noun in ("விவசாயி", "தொழிலாளி", "பயணி", "மூதாட்டி"):
        return "honoured"
    assert noun.endswith("ன்"), tamil
    return "he"


def test_verbs_agree_with_their_subjects():
    for subject, activity in product(all_subjects(), all_activities()):
        text = render(Scene(subject, activity))
        wanted = agreement_expected(subject.words.tamil)
        assert text.tamil.endswith(f"கி{VERB_ENDINGS[wanted]}."), text.tamil
        wanted = agreement_expected(subject.words.tamil_reworded)
        assert text.tamil_reworded.endswith(f"கொண்டிருக்கி{VERB_ENDINGS[wanted]}."), text.tamil_reworded
        english_plural = bool(re.search(r"^(two|some) | and ", subject.words.english))
        assert (subject.agreement in PLURAL) == english_plural


def test_participles_and_accusatives_have_their_sandhi():
    entries = (*all_activities(), *scenes.PLACES.values(), *scenes.ATTIRES)
    forms = [form for words in (*(entry.words for entry in entries), *scenes.EXTRAS) for form in words[2:]]
    # Objects without a case ending and nouns of compound verbs: nothing doubles after them.
    bare = ("மணற்கோட்டை", "முதுகுப்பை", "குடை", "சலவை", "விற்பனை", "வேலை", "சட்டை", "சால்வை")
    assert all(activity.words.tamil.endswith("கி") for activity in all_activities())
    for activity in all_activities():
        # A participle in -த்து, -ட்டு, -ற்று or -இ doubles before கொண்டு; one in -ந்து, -ன்று, -ண்டு, -து does not.
        participle = activity.words.tamil_reworded
        doubles = re.search(r"(த்து|ட்டு|ற்று|ி|ய்)க்$", participle)
        assert doubles or re.search(r"(ந்து|ன்று|ண்டு|ழுது|செய்து)$", participle), participle
    for form in forms:
        for left, right in pairwise(form.split()):
            assert not left.endswith("ை") or left in bare or right[0] not in "கசதப", form
            if left[-2:] in ("க்", "ச்", "த்", "ப்"):
                assert right[0] == left[-2], form


def test_adverbs_double_a_following_stop():
    drawn = [scene for inference in draw_inferences(random.Random(0), 3000) for scene in inference.hypotheses]
    texts = [text for scene in drawn for text in render(scene)[2:]]
    assert any("முறையாகப் பட்டம்" in text for text in texts)
    assert not any(re.search(r"ாக [கசதப]", text) for text in texts if "வேகமாக" not in text)


@pytest.mark.parametrize("form", scenes.Phrase._fields)
def test_within_a_table_no_form_stands_twice(form):
    tables = {
        "subjects": [subject.words for subject in all_subjects()],
        "activities": [activity.words for activity in all_activities()],
        "places": [place.words for place in (*scenes.PLACES.values(), *scenes.GENERAL_PLACES.values())],
        "attires": [attire.words for attire in scenes.ATTIRES],
        "extras": list(scenes.EXTRAS),
    }
    for name, phrases in tables.items():
        counts = Counter(getattr(phrase, form) for phrase in phrases)
        assert max(counts.values()) == 1, (name, counts.most_common(1))


def test_the_lexicon_refers_to_what_it_has():
    groups = {activity.group for activity in scenes.ACTIVITIES}
    assert set(scenes.CLASHES) == groups
    assert all(set(clashing) <= groups - {group} for group, clashing in scenes.CLASHES.items())
    for activity in scenes.ACTIVITIES:
        assert activity.places and set(activity.places) <= set(scenes.PLACES)
    for subject in scenes.SUBJECTS:
        assert subject.general and set(subject.general) <= set(scenes.GENERAL_SUBJECTS)


def test_hypotheses_mean_what_their_labels_say():
    for premise, (entailed, neutral, contrary) in draw_inferences(random.Random(3), 500):
        names = premise.subject.words.english, *premise.subject.general
        assert entailed.subject.words.english in names and entailed.activity.group == premise.activity.group
        assert entailed.extra is None and entailed.attire is None
        if entailed.place not in (None, premise.place):
            assert entailed.place == scenes.GENERAL_PLACES[premise.place.general]
        assert neutral.extra is not None and neutral.activity == premise.activity
        assert contrary.subject == premise.subject
        assert contrary.activity.group in scenes.CLASHES[premise.activity.group]
