"""The grammar of the sample world: scenes, their four texts, and inference rows in SNLI's manner."""

from random import Random
from typing import NamedTuple

from hf_xling.sample.activities import ACTIVITIES, ANIMAL_EXTRAS, CLASHES, EXTRAS, GENERAL_ACTIVITIES
from hf_xling.sample.lexicon import (
    ATTIRES,
    GENERAL_PLACES,
    GENERAL_SUBJECTS,
    PLACES,
    PLURAL,
    SUBJECTS,
    VERB_ENDINGS,
    Activity,
    Attire,
    Phrase,
    Place,
    Subject,
)

LABELS = ("entailment", "neutral", "contradiction")


class Scene(NamedTuple):
    """Who does what, and optionally where, in what attire, and with what further circumstance."""

    subject: Subject
    activity: Activity
    place: Place | None = None
    attire: Attire | None = None
    extra: Phrase | None = None


class Inference(NamedTuple):
    """A premise with one hypothesis for each of `LABELS`, in that order."""

    premise: Scene
    hypotheses: tuple[Scene, Scene, Scene]


def render(scene: Scene) -> Phrase:
    """The four texts of a scene.

    Each slot's words are distinct within their table and each template keeps all slots, so two scenes that differ
    differ in all four texts.
    """
    subject, activity, place, attire, extra = scene
    plural = subject.agreement in PLURAL
    worn = attire and (attire.english_plural if plural else attire.words.english)
    worn_reworded = attire and (attire.reworded_plural if plural else attire.words.reworded)
    be = "are" if plural else "is"

    english = _join(subject.words.english, worn, be, activity.words.english, place and place.words.english)
    who = _join(subject.words.reworded, worn_reworded)
    doing = activity.words.reworded
    if place:
        reworded = f"{place.words.reworded}, {_join(who, be, doing, extra and extra.reworded)}"
    elif extra:
        reworded = f"{extra.reworded}, {who} {be} {doing}"
    else:
        reworded = f"{who} can be seen {doing}"

    tamil = _join_tamil(
        attire and attire.words.tamil,
        subject.words.tamil,
        place and place.words.tamil,
        extra and extra.tamil,
        activity.words.tamil + VERB_ENDINGS[subject.agreement],
    )
    tamil_reworded = _join_tamil(
        place and place.words.tamil_reworded,
        extra and extra.tamil_reworded,
        attire and attire.words.tamil_reworded,
        subject.words.tamil_reworded,
        f"{activity.words.tamil_reworded}கொண்டிருக்கி{VERB_ENDINGS[subject.agreement_reworded]}",
    )
    return Phrase(
        _sentence(_join(english, extra and extra.english)), _sentence(reworded), tamil + ".", tamil_reworded + "."
    )


def draw_inferences(rng: Random, sentences: int) -> list[Inference]:
    """Draws premises with their hypotheses until there are `sentences` distinct scenes (three more at most)."""
    inferences: list[Inference] = []
    seen: set[Scene] = set()
    premises: set[Scene] = set()
    while len(seen) < sentences:
        premise = _draw_premise(rng)
        if premise in premises:
            continue
        premises.add(premise)
        inference = Inference(premise, (_entailed(premise, rng), _neutral(premise, rng), _contrary(premise, rng)))
        inferences.append(inference)
        seen.update((premise, *inference.hypotheses))
    return inferences


def _draw_premise(rng: Random) -> Scene:
    subject = rng.choice(SUBJECTS)
    activity = rng.choice(_activities_of(subject))
    # The attire describes people; a pair of family members would leave open who wears it.
    attire = rng.choice(ATTIRES) if subject.kind == "person" and rng.random() < 0.6 else None
    return Scene(subject, activity, PLACES[rng.choice(activity.places)], attire)


def _entailed(premise: Scene, rng: Random) -> Scene:
    """What is true wherever the premise is: a wider subject, doing or place, or something left out."""
    subject, activity, place = premise.subject, premise.activity, premise.place
    wider = GENERAL_SUBJECTS[rng.choice(subject.general)]
    if rng.random() < 0.25:
        return Scene(subject, activity)
    if rng.random() < 0.3:
        activity = GENERAL_ACTIVITIES.get(activity.group, activity)
    return Scene(wider, activity, rng.choice((GENERAL_PLACES.get(place.general), place, None)))


def _neutral(premise: Scene, rng: Random) -> Scene:
    """The premise, with a fact that it leaves open."""
    people = premise.subject.kind in ("person", "family")
    extra = rng.choice(EXTRAS if people else ANIMAL_EXTRAS)
    return Scene(premise.subject, premise.activity, rng.choice((premise.place, None)), extra=extra)


def _contrary(premise: Scene, rng: Random) -> Scene:
    """The same subject, doing what excludes the premise."""
    clashing = CLASHES[premise.activity.group]
    activity = rng.choice([other for other in _activities_of(premise.subject) if other.group in clashing])
    return Scene(premise.subject, activity, rng.choice((PLACES[rng.choice(activity.places)], None)))


def _activities_of(subject: Subject) -> list[Activity]:
    return [activity for activity in ACTIVITIES if subject.kind in activity.kinds]


def _join(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)


def _join_tamil(*parts: str | None) -> str:
    """Joins phrases, doubling க, ச, த, ப after adverbs in -ஆக (முதல் முறையாகப் பட்டம்).

    No other phrase that can stand before an open slot calls for doubling: the lexicon has none in -ஐ, -இ or -உக்கு.
    """
    text = ""
    for part in filter(None, parts):
        doubled = text.endswith("ாக") and part[0] in "கசதப"
        text += f"{part[0]}் {part}" if doubled else f" {part}"
    return text.strip()


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
