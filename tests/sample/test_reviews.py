import random
import re
from itertools import product

import pytest

from hf_xling.sample import reviews


def test_labels_follow_the_grade_up_to_the_stated_noise():
    rated = [row for rows in reviews.tamil_reviews(random.Random(5)).values() for row in rows]
    squared = sum((row.label - row.grade) ** 2 for row in rated) / len(rated)
    assert 0.7 * reviews.RATING_NOISE**2 < squared < 1.4 * reviews.RATING_NOISE**2
    labelled = [row for rows in reviews.english_reviews(random.Random(5)).values() for row in rows]
    flipped = sum((row.grade > 3) != row.label for row in labelled) / len(labelled)
    assert flipped == pytest.approx(reviews.FLIPPED, abs=0.01)


@pytest.mark.parametrize("language", [reviews.ENGLISH, reviews.TAMIL])
def test_the_grade_is_the_mean_of_what_the_review_says(language):
    draw = reviews.english_reviews if language is reviews.ENGLISH else reviews.tamil_reviews
    statements = {
        template.format(**aspect): grade
        for grade, templates in language.statements.items()
        for template, aspect in product(templates, language.aspects)
    }
    for row in draw(random.Random(7))["test"]:
        said = re.split(r"(?<=[.]) ", row.text)
        assert all(part in statements or part in language.fillers for part in said), row.text
        grades = [statements[part] for part in said if part in statements]
        assert row.grade == pytest.approx(sum(grades) / len(grades))


def test_a_review_drawn_again_is_drawn_anew():
    # Few enough statements for repeats to be certain in so many draws.
    small = reviews.ENGLISH._replace(aspects=reviews.ENGLISH.aspects[:4], fillers=reviews.ENGLISH.fillers[:1])
    small = small._replace(statements={grade: found[:4] for grade, found in small.statements.items()})
    texts: set[str] = set()
    rng = random.Random(0)
    drawn = [reviews.draw_review(small, rng, 3.0, texts)[0] for _ in range(3000)]
    assert len(set(drawn)) == len(drawn)
