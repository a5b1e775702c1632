"""The work that all clients are given: numbered sentences, how long the answer to each takes, and what is ideal.

Answer times have a heavy tail, as those of a language model have: most answers take about as long as their length lets
expect, and a few never end and run to the limit on tokens. Nothing here reads a clock.
"""

from __future__ import annotations

import heapq
import math
import random
import re
from collections.abc import Sequence

RUNAWAYS = 0.005  # of the answers run to the limit on tokens
SPREAD = 0.5  # standard deviation of the logarithm of all other answer times
_HOUSE = re.compile(rb"house (\d+)")

# What varies in a sentence; the number in it makes each one another.
_SUBJECTS = ("An old man", "The tall girl", "A young dog", "The farmer", "My neighbour", "A street musician")
_VERBS = ("waits", "reads a long book", "sings quietly", "is looking for his keys", "sells fresh fruit", "sleeps")
_PLACES = ("in front of", "behind", "beside", "on the roof of", "not far from")
_ENDS = ("while it rains", "every morning", "with two friends", "and nobody sees it", "until the shops open")
_WORDS = (
    *("வீடு", "மழை", "பூனை", "நாய்", "பள்ளி", "புத்தகம்", "மரம்", "கடல்", "மலை", "நண்பர்", "காலை", "மாலை", "பாட்டு"),
    *("வேகமாக", "மெதுவாக", "அழகான", "பெரிய", "சிறிய", "பழைய", "புதிய", "மகிழ்ச்சியுடன்", "அமைதியாக", "தெருவில்", "வாசலில்"),
    *("நடக்கிறான்", "பாடுகிறாள்", "படிக்கிறார்", "உறங்குகிறது", "காத்திருக்கிறார்கள்", "விற்கிறார்", "தேடுகிறார்", "ஓடுகிறது"),
)


def sentence(number: int) -> str:
    """The source text of row `number`."""
    rest, subject = divmod(_mixed(number), len(_SUBJECTS))
    rest, verb = divmod(rest, len(_VERBS))
    rest, place = divmod(rest, len(_PLACES))
    return f"{_SUBJECTS[subject]} {_VERBS[verb]} {_PLACES[place]} house {number} {_ENDS[rest % len(_ENDS)]}."


def answer(number: int) -> str:
    """The answer to row `number`: six to nine words of Tamil with its number, about as long as the source."""
    rest, words = _mixed(number), []
    for _ in range(6 + number % 4):
        rest, word = divmod(rest, len(_WORDS))
        words.append(_WORDS[word])
    return f"{' '.join(words)} {number}."


def number_in(body: bytes) -> int:
    """The number of the row that a request asks about."""
    return int(_HOUSE.search(body)[1])


def answer_times(rows: int, mean: float, longest: float, seed: int) -> list[float]:
    """The seconds that the answer to each row takes, by the row's number.

    Args:
        rows: how many.
        mean: of all times, runaways among them, in expectation.
        longest: what a runaway takes, in multiples of `mean`.
        seed: of the random numbers.
    """
    generator = random.Random(seed)
    body = mean * (1 - RUNAWAYS * longest) / (1 - RUNAWAYS)  # the mean of the others
    times = []
    for _ in range(rows):
        runaway = generator.random() < RUNAWAYS
        ordinary = generator.lognormvariate(math.log(body) - SPREAD**2 / 2, SPREAD) if mean else 0.0
        times.append(mean * longest if runaway else ordinary)
    return times


def ideal_makespan(times: Sequence[float], slots: int) -> float:
    """The seconds that `slots` workers take for `times` in order, each taking the next one as soon as it is free."""
    free = [0.0] * min(slots, len(times))
    for time in times:
        heapq.heapreplace(free, free[0] + time)
    return max(free, default=0.0)


def barrier_makespan(times: Sequence[float], slots: int, batch: int) -> float:
    """The same where no row of a batch is begun before the whole batch before it is done."""
    return sum(ideal_makespan(times[start : start + batch], slots) for start in range(0, len(times), batch))


def _mixed(number: int) -> int:
    """A number of 64 bits that neighbours do not share (SplitMix64's finaliser; Steele et al. 2014)."""
    mixed = (number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return mixed ^ (mixed >> 31)
