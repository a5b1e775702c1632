"""Film reviews of the sample world: what each says of the film's aspects settles its rating, up to noise.

A film has a latent quality; each aspect named in a review gets a grade 1..5 near it and a statement of that grade.
The review's `grade` is the mean of these. The rating adds Gaussian noise (sd 0.35) before it is rounded to the quarter
step; an English label is 1 above grade 3, and 8% of the labels are flipped. No model can get below this noise.
Statements negate ("not dull at all"), so the words alone mislead: the same word stands in good and bad grades.
"""

from random import Random
from typing import NamedTuple

RATING_NOISE = 0.35
FLIPPED = 0.08
SPLITS = {"train": 280, "validation": 80, "test": 120}


class Review(NamedTuple):
    """A review: its text, its label (0/1, or stars in quarter steps) and the noiseless mean grade of its aspects."""

    text: str
    label: float
    grade: float


class Language(NamedTuple):
    """What reviews are made of: aspects, statements by grade (templates over an aspect's forms), and fillers."""

    aspects: tuple[dict[str, str], ...]
    statements: dict[int, tuple[str, ...]]
    fillers: tuple[str, ...]


ENGLISH = Language(
    aspects=tuple(
        {"the": f"the {noun}", "The": f"The {noun}"}
        for noun in ("story", "acting", "music", "camera work", "comedy", "dialogue", "direction", "editing", "ending")
    ),
    statements={
        5: (
            "{The} is superb from start to finish.",
            "{The} is simply outstanding.",
            "There is nothing at all to fault in {the}.",
            "{The} could hardly be better.",
            "I was swept away by {the}.",
        ),
        4: (
            "{The} is good.",
            "{The} is not dull at all.",
            "{The} works well and holds the attention.",
            "I enjoyed {the} a good deal.",
            "{The} is far from bad.",
        ),
        3: (
            "{The} is average.",
            "{The} is neither good nor bad.",
            "{The} is passable, no more.",
            "I have mixed feelings about {the}.",
            "{The} does its job and little else.",
        ),
        2: (
            "{The} is rather weak.",
            "{The} is not good.",
            "{The} is dull in long stretches.",
            "I did not enjoy {the} much.",
            "{The} falls short of what was promised.",
        ),
        1: (
            "{The} is terrible.",
            "There is nothing at all to like in {the}.",
            "{The} could hardly be worse.",
            "{The} is far from good; it is simply awful.",
            "I could not bear {the}.",
        ),
    },
    fillers=(
        "I saw the film on a Friday evening.",
        "The hall was about half full.",
        "It runs for two and a half hours.",
        "The film opened in the city last week.",
        "It is set in a small town by the sea.",
        "My brother came along with me.",
        "There is an interval after seventy minutes.",
        "The hero plays a bus driver.",
    ),
)

TAMIL = Language(
    aspects=tuple(
        {"nom": nominative, "loc": locative, "acc": accusative}
        for nominative, locative, accusative in (
            ("கதை", "கதையில்", "கதையை"),
            ("நடிப்பு", "நடிப்பில்", "நடிப்பை"),
            ("இசை", "இசையில்", "இசையை"),
            ("ஒளிப்பதிவு", "ஒளிப்பதிவில்", "ஒளிப்பதிவை"),
            ("நகைச்சுவை", "நகைச்சுவையில்", "நகைச்சுவையை"),
            ("வசனம்", "வசனத்தில்", "வசனத்தை"),
            ("இயக்கம்", "இயக்கத்தில்", "இயக்கத்தை"),
            ("படத்தொகுப்பு", "படத்தொகுப்பில்", "படத்தொகுப்பை"),
            ("இறுதிக்காட்சி", "இறுதிக்காட்சியில்", "இறுதிக்காட்சியை"),
        )
    ),
    statements={
        5: (
            "{nom} மிகவும் அருமை.",
            "{nom} அபாரமாக இருக்கிறது.",
            "{loc} குறை சொல்ல எதுவுமே இல்லை.",
            "{nom} மனதைக் கொள்ளை கொள்கிறது.",
            "{acc} எவ்வளவு புகழ்ந்தாலும் தகும்.",
        ),
        4: (
            "{nom} நன்றாக இருக்கிறது.",
            "{nom} கொஞ்சமும் சலிப்பூட்டவில்லை.",
            "{nom} ரசிக்கும்படி உள்ளது.",
            "{acc} நன்கு ரசிக்க முடிகிறது.",
            "{nom} மோசம் என்று சொல்லவே முடியாது.",
        ),
        3: (
            "{nom} சுமாராக இருக்கிறது.",
            "{nom} பரவாயில்லை.",
            "{nom} சராசரி ரகம்தான்.",
            "{loc} நிறையும் உண்டு, குறையும் உண்டு.",
            "{nom} நன்றாகவும் இல்லை, மோசமாகவும் இல்லை.",
        ),
        2: (
            "{nom} பலவீனமாக இருக்கிறது.",
            "{nom} நன்றாக இல்லை.",
            "{nom} பல இடங்களில் சலிப்பூட்டுகிறது.",
            "{loc} புதுமை எதுவும் இல்லை.",
            "{acc} அவ்வளவாக ரசிக்க முடியவில்லை.",
        ),
        1: (
            "{nom} படுமோசம்.",
            "{nom} கொஞ்சமும் நன்றாக இல்லை.",
            "{loc} பாராட்ட எதுவுமே இல்லை.",
            "{nom} பொறுமையை மிகவும் சோதிக்கிறது.",
            "{acc}ச் சகித்துக்கொள்ளவே முடியவில்லை.",
        ),
    },
    fillers=(
        "படத்தை வெள்ளிக்கிழமை மாலை பார்த்தேன்.",
        "திரையரங்கில் பாதி இருக்கைகள் நிரம்பியிருந்தன.",
        "படம் இரண்டரை மணி நேரம் ஓடுகிறது.",
        "படம் சென்ற வாரம் வெளியானது.",
        "கடலோரச் சிற்றூர் ஒன்றில் நிகழ்வுகள் நடக்கின்றன.",
        "என் தம்பியும் என்னுடன் வந்தான்.",
        "எழுபது நிமிடங்களுக்குப் பிறகு இடைவேளை வருகிறது.",
        "நாயகன் பேருந்து ஓட்டுநராக வருகிறான்.",
    ),
)


def english_reviews(rng: Random) -> dict[str, list[Review]]:
    """English reviews by split, labelled 0 or 1, half of each in every split."""
    texts: set[str] = set()
    return {split: _balanced(rng, size, texts) for split, size in SPLITS.items()}


def tamil_reviews(rng: Random) -> dict[str, list[Review]]:
    """Tamil reviews by split, rated 1.0 to 5.0 in quarter steps."""
    texts: set[str] = set()
    splits = {}
    for split, size in SPLITS.items():
        splits[split] = rows = []
        while len(rows) < size:
            text, grade = _draw(TAMIL, rng, rng.uniform(1, 5), texts)
            rating = round(4 * (grade + rng.gauss(0, RATING_NOISE))) / 4
            rows.append(Review(text, min(5.0, max(1.0, rating)), grade))
    return splits


def _balanced(rng: Random, size: int, texts: set[str]) -> list[Review]:
    """As many of label 0 as of 1, and as many of each flipped."""
    flipped = round(size * FLIPPED / 2)
    rows = []
    for good in (False, True):
        for index in range(size // 2):
            # As in IMDB, reviews in the middle are left out: a grade decides its label.
            grade = 3.0
            while abs(grade - 3) < 0.3 or (grade > 3) != good:
                text, grade = _draw(ENGLISH, rng, rng.uniform(3.0, 5.0) if good else rng.uniform(1.0, 3.0), texts)
            rows.append(Review(text, int(good) ^ int(index < flipped), grade))
    rng.shuffle(rows)
    return rows


def _draw(language: Language, rng: Random, quality: float, texts: set[str]) -> tuple[str, float]:
    """A text not in `texts` (to which it is added) and the mean grade of its two to four aspects."""
    while True:
        aspects = rng.sample(language.aspects, rng.choice((2, 3, 3, 4)))
        grades = [min(5, max(1, round(quality + rng.gauss(0, 0.6)))) for _ in aspects]
        said: list[str] = []
        for grade in grades:
            said.append(rng.choice([statement for statement in language.statements[grade] if statement not in said]))
        parts = [statement.format(**aspect) for statement, aspect in zip(said, aspects, strict=True)]
        if rng.random() < 0.5:
            parts.insert(rng.randrange(len(parts) + 1), rng.choice(language.fillers))
        text = " ".join(parts)
        if text not in texts:
            texts.add(text)
            return text, sum(grades) / len(grades)
