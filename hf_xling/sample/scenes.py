"""The grammar of the sample world: scenes, their four texts, and inference rows in SNLI's manner.

The words are in scenes.yaml.
"""

from importlib.resources import files
from random import Random
from typing import NamedTuple

import yaml

LABELS = ("entailment", "neutral", "contradiction")
PLURAL = {"people", "things"}


class Phrase(NamedTuple):
    """One meaning: English, English reworded, Tamil, Tamil reworded."""

    english: str
    reworded: str
    tamil: str
    tamil_reworded: str


class Subject(NamedTuple):
    """Who acts. The two Tamil forms may agree differently (பெண் படிக்கிறாள், பெண்மணி படிக்கிறார்)."""

    words: Phrase
    agreement: str
    agreement_reworded: str
    kind: str  # "person", "family" (a person without attire), "pet" or "herd"
    general: tuple[str, ...]  # English of the subjects that this one entails


class Place(NamedTuple):
    """Where. `general` names what the place entails: "out", "in", or nothing certain."""

    words: Phrase
    general: str


class Activity(NamedTuple):
    """What is done. Tamil: a stem in -கி; Tamil reworded: an adverbial participle that கொண்டிரு follows."""

    words: Phrase
    group: str
    kinds: tuple[str, ...]
    places: tuple[str, ...]


class Attire(NamedTuple):
    """What the subject wears or carries, in English singular and plural."""

    words: Phrase
    english_plural: str
    reworded_plural: str


def _subject(agreements: str, kind: str, general: list[str], *words: str) -> Subject:
    first, _, second = agreements.partition("/")
    return Subject(Phrase(*words), first, second or first, kind, tuple(general))


def _activity(group: str, kinds: str, places: str, *words: str) -> Activity:
    return Activity(Phrase(*words), group, tuple(kinds.split()), tuple(places.split()))


_ROWS = yaml.safe_load(files(__package__).joinpath("scenes.yaml").read_text(encoding="utf-8"))
VERB_ENDINGS: dict[str, str] = _ROWS["verb_endings"]
SUBJECTS = tuple(_subject(*row) for row in _ROWS["subjects"])
GENERAL_SUBJECTS = {subject.words.english: subject for subject in (_subject(*row) for row in _ROWS["general_subjects"])}
ATTIRES = tuple(
    Attire(Phrase(english, reworded, *tamil), english_plural, reworded_plural)
    for english, english_plural, reworded, reworded_plural, *tamil in _ROWS["attires"]
)
PLACES, GENERAL_PLACES = (
    {name: Place(Phrase(*words), general) for name, general, *words in _ROWS[table]}
    for table in ("places", "general_places")
)
ACTIVITIES = tuple(_activity(*row) for row in _ROWS["activities"])
GENERAL_ACTIVITIES = {row[0]: _activity(*row) for row in _ROWS["general_activities"]}
CLASHES: dict[str, list[str]] = _ROWS["clashes"]
EXTRAS = tuple(Phrase(*row) for row in _ROWS["extras"])
ANIMAL_EXTRAS = EXTRAS[:5]


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
    general = place and GENERAL_PLACES.get(place.general)
    return Scene(wider, activity, rng.choice((general, place, None)))


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

    No other phrase that can come before an open slot calls for doubling: the lexicon has none in -ஐ, -இ or -உக்கு.
    """
    text = ""
    for part in filter(None, parts):
        doubled = text.endswith("ாக") and part[0] in "கசதப"
        text += f"{part[0]}் {part}" if doubled else f" {part}"
    return text.strip()


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
