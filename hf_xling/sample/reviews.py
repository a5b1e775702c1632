"""Film reviews of the sample world: what each says of the film's aspects settles its rating, up to noise.

A film has a latent quality; each aspect named in a review gets a grade 1..5 near it and a statement of that grade.
The review's `grade` is the mean of these. The rating adds Gaussian noise (sd 0.35) before it is rounded to the quarter
step; an English label is 1 above grade 3, and 8% of the labels are flipped. No model can get below this noise.
Statements negate ("not dull at all"), so the words alone mislead: the same word occurs in good and bad grades.
"""

from importlib.resources import files
from random import Random
from typing import NamedTuple

import yaml

RATING_NOISE = 0.35
FLIPPED = 0.08
SIZES = {"train": 280, "validation": 80, "test": 120}


class Review(NamedTuple):
    """A review: its text, its label (0/1, or stars in quarter steps) and the noiseless mean grade of its aspects."""

    text: str
    label: float
    grade: float


class Language(NamedTuple):
    """What reviews are made of: aspects, statements by grade (templates over an aspect's forms), and fillers."""

    aspects: list[dict[str, str]]
    statements: dict[int, list[str]]
    fillers: list[str]


ENGLISH, TAMIL = (
    Language(**words)
    for words in yaml.safe_load(files(__package__).joinpath("reviews.yaml").read_text(encoding="utf-8")).values()
)


def english_reviews(rng: Random) -> dict[str, list[Review]]:
    """English reviews by split, labelled 0 or 1, half of each in every split."""
    texts: set[str] = set()
    return {split: _balanced(rng, size, texts) for split, size in SIZES.items()}


def tamil_reviews(rng: Random) -> dict[str, list[Review]]:
    """Tamil reviews by split, rated 1.0 to 5.0 in quarter steps."""
    texts: set[str] = set()
    splits: dict[str, list[Review]] = {split: [] for split in SIZES}
    for split, rows in splits.items():
        while len(rows) < SIZES[split]:
            text, grade = draw_review(TAMIL, rng, rng.uniform(1, 5), texts)
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
                text, grade = draw_review(ENGLISH, rng, rng.uniform(3.0, 5.0) if good else rng.uniform(1.0, 3.0), texts)
            rows.append(Review(text, int(good) ^ int(index < flipped), grade))
    rng.shuffle(rows)
    return rows


def draw_review(language: Language, rng: Random, quality: float, texts: set[str]) -> tuple[str, float]:
    """A text about a film of `quality` (1 to 5) and the mean grade of its two to four aspects.

    The text is not in `texts`, and is added to them.
    """
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
