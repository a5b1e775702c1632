"""The words of the sample world: each entry says one thing four ways (English twice, Tamil twice).

Sandhi and case are written out in whole inflected forms, so the grammar in `scenes` only has to order phrases and to
choose the ending of the verb. Within a table no form stands twice, which is what makes the four texts of a scene
distinct from those of every other scene.
"""

from typing import NamedTuple

# Present tense, third person: the ending that follows a stem in -கி.
VERB_ENDINGS = {
    "he": "றான்",
    "she": "றாள்",
    "honoured": "றார்",
    "it": "றது",
    "people": "றார்கள்",
    "things": "ன்றன",
}
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
    general: tuple[str, ...] = ()  # English of the subjects that this one entails


class Place(NamedTuple):
    """Where. `general` names what the place entails: "out", "in", or nothing certain."""

    words: Phrase
    general: str = ""


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


def _subject(agreements: str, kind: str, general: str, *words: str) -> Subject:
    first, _, second = agreements.partition("/")
    return Subject(Phrase(*words), first, second or first, kind, tuple(filter(None, general.split(", "))))


# Rows of a table: what it is and English on the first line, Tamil on the second.
# fmt: off
GENERAL_SUBJECTS = {
    subject.words.english: subject
    for subject in (
        _subject("honoured", "person", "", "a person", "somebody",
                 "ஒரு நபர்", "யாரோ ஒருவர்"),
        _subject("it", "person", "", "a child", "a youngster",
                 "ஒரு குழந்தை", "சிறு பிள்ளை ஒன்று"),
        _subject("honoured", "person", "", "an adult", "a grown-up",
                 "ஒரு பெரியவர்", "வயது வந்த ஒருவர்"),
        _subject("people", "person", "", "two people", "a pair of folks",
                 "இரண்டு பேர்", "மனிதர்கள் இருவர்"),
        _subject("people", "person", "", "some people", "a few folks",
                 "சிலர்", "மனிதர்கள் சிலர்"),
        _subject("it", "pet", "", "an animal", "a four-legged creature",
                 "ஒரு விலங்கு", "மிருகம் ஒன்று"),
        _subject("things", "pet", "", "two animals", "a couple of creatures",
                 "இரண்டு விலங்குகள்", "மிருகங்கள் இரண்டு"),
    )
}

SUBJECTS = (
    _subject("honoured", "person", "a person, an adult", "a man", "an adult male",
             "ஒரு மனிதர்", "ஆடவர் ஒருவர்"),
    _subject("she/honoured", "person", "a person, an adult", "a woman", "a grown lady",
             "ஒரு பெண்", "பெண்மணி ஒருவர்"),
    _subject("he", "person", "a person, a child", "a boy", "a young lad",
             "ஒரு சிறுவன்", "பையன் ஒருவன்"),
    _subject("she", "person", "a person, a child", "a girl", "a little lass",
             "ஒரு சிறுமி", "சின்னப் பெண் ஒருத்தி"),
    _subject("honoured", "person", "a person, an adult", "an old man", "an elderly gentleman",
             "ஒரு முதியவர்", "வயதான ஆண் ஒருவர்"),
    _subject("honoured", "person", "a person, an adult", "an old woman", "an elderly lady",
             "ஒரு மூதாட்டி", "வயதான பெண்மணி ஒருவர்"),
    _subject("he", "person", "a person, an adult", "a young man", "a fellow in his twenties",
             "ஓர் இளைஞன்", "வாலிபன் ஒருவன்"),
    _subject("she", "person", "a person, an adult", "a young woman", "a lady in her twenties",
             "ஓர் இளம்பெண்", "யுவதி ஒருத்தி"),
    _subject("honoured", "person", "a person, an adult", "a teacher", "a school instructor",
             "ஓர் ஆசிரியர்", "பள்ளி ஆசான் ஒருவர்"),
    _subject("honoured", "person", "a person, an adult", "a farmer", "a grower of crops",
             "ஒரு விவசாயி", "உழவர் ஒருவர்"),
    _subject("honoured", "person", "a person, an adult", "a doctor", "a physician",
             "ஒரு மருத்துவர்", "வைத்தியர் ஒருவர்"),
    _subject("honoured", "person", "a person, an adult", "a police officer", "a member of the police",
             "ஒரு காவலர்", "போலீஸ்காரர் ஒருவர்"),
    _subject("honoured", "person", "a person, an adult", "a worker", "a labourer",
             "ஒரு தொழிலாளி", "வேலையாள் ஒருவர்"),
    _subject("honoured", "person", "a person", "a tourist", "a visitor from afar",
             "ஒரு சுற்றுலாப் பயணி", "வெளியூர்ப் பயணி ஒருவர்"),
    _subject("he", "person", "a person, a child", "a schoolboy", "a male pupil",
             "ஒரு பள்ளி மாணவன்", "பள்ளியில் பயிலும் பையன் ஒருவன்"),
    _subject("she", "person", "a person, a child", "a schoolgirl", "a female pupil",
             "ஒரு பள்ளி மாணவி", "பள்ளியில் பயிலும் பெண் ஒருத்தி"),
    _subject("people", "person", "two people, some people", "two men", "a couple of gentlemen",
             "இரண்டு ஆண்கள்", "ஆடவர் இருவர்"),
    _subject("people", "person", "two people, some people", "two women", "a couple of ladies",
             "இரண்டு பெண்கள்", "பெண்மணிகள் இருவர்"),
    _subject("people", "person", "two people, some people", "two boys", "a couple of lads",
             "இரண்டு சிறுவர்கள்", "பையன்கள் இருவர்"),
    _subject("people", "person", "two people, some people", "two girls", "a couple of lasses",
             "இரண்டு சிறுமிகள்", "சின்னப் பெண்கள் இருவர்"),
    _subject("people", "person", "some people", "some children", "several kids",
             "சில குழந்தைகள்", "பிள்ளைகள் சிலர்"),
    _subject("people", "person", "some people", "some friends", "a few companions",
             "சில நண்பர்கள்", "தோழர்கள் சிலர்"),
    _subject("people", "family", "two people", "a father and his son", "a dad and his boy",
             "ஒரு தந்தையும் மகனும்", "அப்பா ஒருவரும் அவருடைய பையனும்"),
    _subject("people", "family", "two people", "a mother and her daughter", "a mum and her girl",
             "ஒரு தாயும் மகளும்", "அம்மா ஒருவரும் அவருடைய பெண்ணும்"),
    _subject("it", "pet", "an animal", "a brown dog", "a chestnut-coloured hound",
             "ஒரு பழுப்பு நிற நாய்", "பழுப்பு வண்ண நாய் ஒன்று"),
    _subject("it", "pet", "an animal", "a black dog", "a hound with dark fur",
             "ஒரு கறுப்பு நாய்", "கருநிற நாய் ஒன்று"),
    _subject("it", "pet", "an animal", "a white cat", "a snowy feline",
             "ஒரு வெள்ளைப் பூனை", "வெண்ணிறப் பூனை ஒன்று"),
    _subject("things", "pet", "two animals", "two dogs", "a couple of hounds",
             "இரண்டு நாய்கள்", "நாய்கள் இரண்டு"),
    _subject("it", "herd", "an animal", "a horse", "a steed",
             "ஒரு குதிரை", "புரவி ஒன்று"),
    _subject("it", "herd", "an animal", "an elephant", "a tusker",
             "ஒரு யானை", "களிறு ஒன்று"),
    _subject("things", "herd", "two animals", "two cows", "a pair of cattle",
             "இரண்டு பசுக்கள்", "பசுமாடுகள் இரண்டு"),
)

ATTIRES = tuple(
    Attire(Phrase(english, reworded, tamil, tamil_reworded), english_plural, reworded_plural)
    for english, english_plural, reworded, reworded_plural, tamil, tamil_reworded in (
        ("in a red shirt", "in red shirts", "wearing a crimson top", "wearing crimson tops",
         "சிவப்புச் சட்டை அணிந்த", "சிவப்பு நிறச் சட்டை போட்ட"),
        ("in a blue jacket", "in blue jackets", "dressed in a navy coat", "dressed in navy coats",
         "நீல மேலங்கி அணிந்த", "நீல நிற ஜாக்கெட் போட்ட"),
        ("in a white hat", "in white hats", "with a pale cap on", "with pale caps on",
         "வெள்ளைத் தொப்பி அணிந்த", "வெண்ணிறத் தொப்பி போட்ட"),
        ("in a green uniform", "in green uniforms", "clad in an emerald outfit", "clad in emerald outfits",
         "பச்சைச் சீருடை அணிந்த", "பச்சை நிறச் சீருடை உடுத்திய"),
        ("in a yellow raincoat", "in yellow raincoats", "wrapped in a golden rain cape", "wrapped in golden rain capes",
         "மஞ்சள் மழைக்கோட்டு அணிந்த", "மஞ்சள் நிற மழையங்கி போட்ட"),
        ("with glasses", "with glasses", "in a pair of spectacles", "in spectacles",
         "கண்ணாடி அணிந்த", "மூக்குக்கண்ணாடி போட்ட"),
        ("with a backpack", "with backpacks", "carrying a rucksack", "carrying rucksacks",
         "முதுகுப்பை சுமந்த", "தோள்பை மாட்டிய"),
        ("with an umbrella", "with umbrellas", "holding up a parasol", "holding up parasols",
         "குடை பிடித்த", "குடையைக் கையில் ஏந்திய"),
        ("in a wool shawl", "in wool shawls", "covered with a warm wrap", "covered with warm wraps",
         "கம்பளிச் சால்வை போர்த்திய", "கம்பளித் துணி போர்த்திக்கொண்ட"),
        ("without shoes", "without shoes", "with bare feet", "with bare feet",
         "காலணி அணியாத", "வெறுங்காலுடன் உள்ள"),
    )
)

GENERAL_PLACES = {
    "out": Place(Phrase("outdoors", "out in the open", "வெளியே", "திறந்தவெளியில்")),
    "in": Place(Phrase("indoors", "inside a building", "உள்ளே", "கட்டடத்திற்குள்")),
}

PLACES = {
    key: Place(Phrase(*words), general)
    for key, general, *words in (
        ("park", "out", "in a park", "on the lawns of a public garden",
         "ஒரு பூங்காவில்", "பொதுத் தோட்டம் ஒன்றில்"),
        ("beach", "out", "on a beach", "along the seashore",
         "கடற்கரையில்", "கடலோரத்தில்"),
        ("street", "out", "on a busy street", "along a crowded road",
         "நெரிசலான தெருவில்", "கூட்டம் மிகுந்த சாலையில்"),
        ("kitchen", "in", "in a kitchen", "inside a room for cooking",
         "சமையலறையில்", "சமையற்கட்டில்"),
        ("classroom", "in", "in a classroom", "within the walls of a school",
         "வகுப்பறையில்", "பள்ளி அறை ஒன்றில்"),
        ("library", "in", "in a library", "inside a quiet reading hall",
         "நூலகத்தில்", "வாசகசாலையில்"),
        ("market", "", "at a market", "among the stalls of a bazaar",
         "சந்தையில்", "கடைத்தெருவில்"),
        ("stop", "out", "at a bus stop", "at a roadside stand for buses",
         "பேருந்து நிறுத்தத்தில்", "பஸ் நிறுத்துமிடத்தில்"),
        ("restaurant", "in", "in a restaurant", "inside an eatery",
         "உணவகத்தில்", "சாப்பாட்டுக் கடையில்"),
        ("river", "out", "beside a river", "on the bank of a stream",
         "ஆற்றங்கரையில்", "நதிக்கரையில்"),
        ("field", "out", "in a field", "on some farmland",
         "வயல்வெளியில்", "விளைநிலத்தில்"),
        ("yard", "out", "in a back yard", "behind a house",
         "கொல்லைப்புறத்தில்", "வீட்டின் பின்புறத்தில்"),
        ("station", "", "at a railway station", "on the platform of a train depot",
         "ரயில் நிலையத்தில்", "புகைவண்டி நிலையத்தில்"),
        ("playground", "out", "on a playground", "at an open sports ground",
         "விளையாட்டு மைதானத்தில்", "விளையாட்டுத் திடலில்"),
        ("hospital", "in", "in a hospital", "within a medical centre",
         "மருத்துவமனையில்", "வைத்தியசாலையில்"),
        ("home", "in", "in a living room", "inside the front room of a home",
         "வரவேற்பறையில்", "வீட்டுக் கூடத்தில்"),
        ("temple", "out", "near a temple", "close to a shrine",
         "கோவில் அருகே", "ஆலயத்தின் பக்கத்தில்"),
        ("tree", "out", "under a tree", "in the shade of some branches",
         "மரத்தடியில்", "மரநிழலில்"),
        ("path", "out", "on a mountain path", "along a trail in the hills",
         "மலைப்பாதையில்", "மலைவழித் தடத்தில்"),
        ("office", "in", "in an office", "inside a place of business",
         "அலுவலகத்தில்", "பணியிடத்தில்"),
        ("workshop", "in", "in a workshop", "inside a craft shed",
         "பட்டறையில்", "தொழிற்கூடத்தில்"),
        ("stage", "", "on a stage", "in front of an audience",
         "மேடையில்", "பார்வையாளர்கள் முன்னிலையில்"),
        ("pool", "", "in a swimming pool", "inside a tiled water tank",
         "நீச்சல் குளத்தில்", "நீச்சல் தடாகத்தில்"),
        ("lake", "out", "in a lake", "within a natural body of water",
         "ஏரியில்", "நீர்நிலை ஒன்றில்"),
    )
}
# fmt: on
