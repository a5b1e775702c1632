"""Scores of an answer against its source. `hf_xling.generation.filters` judges by them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from importlib.resources import files

import yaml
from rapidfuzz.distance import Indel

from hf_xling.errors import InputError, one_line
from hf_xling.folding import Characters, fold
from hf_xling.generation.languages import base_code
from hf_xling.generation.marks import MARKS

MOST_FORMS = 100  # words that are compared with each other
MOST_COMPARED = 50_000  # the time grows with the product of both lengths

_VOWELS = re.compile("[aeiou]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD_CHARACTERS = Characters(lambda point, category: point if category[0] in "LMN" else " ")


def words_only(text: str) -> str:
    """`text` folded, with its letters, marks and digits only, in words with single spaces.

    >>> words_only("Don't  STOP…")
    'don t stop'
    """
    return " ".join(fold(text).translate(_WORD_CHARACTERS).split())


def copy(source: str, answer: str, task: str, function_words: frozenset[str] = frozenset()) -> float | None:
    """How much of `answer` is the source again, 0 to 1; both texts are folded.

    The similarity of their characters: twice the length of the longest common subsequence to the length of both
    (rapidfuzz's `Indel.normalized_similarity`). For `synonyms` and `shuffle` 1.0 or 0.0, as a synonym is one word in
    many, and a shuffled sentence has all words of its source: 1.0 for `synonyms` if no word is replaced by another
    that is no form of it, and for `shuffle` if no word has moved past another. `function_words` do not count there,
    unless the source has too few others. None for a translation of what has no letters: "1999" is "1999" in any
    language. Of long texts the first `MOST_COMPARED` characters are compared.
    """
    if task in ("synonyms", "shuffle"):
        one, other = ([word for word in text.split() if word not in function_words] for text in (source, answer))
        if len(one) < (2 if task == "shuffle" else 1):
            one, other = source.split(), answer.split()
    if task == "synonyms":
        return float(not all(_changed(one, other)))
    if task == "shuffle":
        one, other = one[:MOST_COMPARED], other[:MOST_COMPARED]
        common = sum((Counter(one) & Counter(other)).values())
        in_order = (len(one) + len(other) - Indel.distance(one, other)) // 2
        return float(2 * common > len(one) and in_order == common)
    if task == "translate" and not _LETTER.search(source):
        return None
    return Indel.normalized_similarity(source[:MOST_COMPARED], answer[:MOST_COMPARED])


def words_lost(source: str, answer: str, function_words: frozenset[str] = frozenset()) -> tuple[int, int]:
    """How many words `source` and `answer`, both folded, do not share: those of content, and of `function_words`.

    Two forms of a word (runs, running) are one.
    """
    one, other = source.split(), answer.split()
    unshared = (Counter(one) - Counter(other)) + (Counter(other) - Counter(one))
    grammar = sum(count for word, count in unshared.items() if word in function_words)
    dropped, added = _changed(*([word for word in words if word not in function_words] for words in (one, other)))
    return len(dropped) + len(added), grammar


def _changed(source: list[str], answer: list[str]) -> tuple[list[str], list[str]]:
    """The words of `source` and of `answer` that the other has not, in no form of theirs."""
    one, other = Counter(source), Counter(answer)
    dropped, added = list((one - other).elements()), list((other - one).elements())
    for word in dropped[:MOST_FORMS]:
        form = next((form for form in added[:MOST_FORMS] if _is_form(word, form)), None)
        if form is not None:
            dropped.remove(word)
            added.remove(form)
    return dropped, added


def _is_form(word: str, other: str) -> bool:
    """Whether the two begin alike (runs, running) or differ in vowels only (man, men)."""
    shorter = min(len(word), len(other))
    start = max(3, shorter * 2 // 3)
    return shorter >= 3 and (word[:start] == other[:start] or _stem(word) == _stem(other))


def _stem(word: str) -> str:
    return word[0] + _VOWELS.sub("", word[1:]).removesuffix("s")


# A repeated part counts if it appears three times in a row and has this many characters, ...
MIN_LOOP = 6
# ... or twice in a row, each at least this long: natural doubling ("again and again") is of shorter words, ...
MIN_DOUBLED = 10
# ... or if it is this long, wherever it was before.
MIN_REPEATED = 40
_GRAM = 4


def repetition(text: str, folded: str | None = None) -> float:
    """The share of the characters of `text` that repeat what is before them, 0 to 1: loops and doubled sentences.

    Case and punctuation make no difference, unless the text is mostly punctuation. Ordinary text has 0.0 (all 19,648
    sentences of SNLI's test split; 7 of 4,095 of Tamil Wikipedia have more). One pass in linear time, as in LZ77: a run
    of characters that are at one distance behind their copies is a repeated part.

    >>> repetition("the cat the cat the cat the cat")
    0.7419354838709677

    Args:
        text: any text.
        folded: `words_only(text)`, where the caller has it.
    """
    folded = words_only(text) if folded is None else folded
    if 2 * len(folded) >= len(text):
        text = folded
    repeated = end = 0
    for distance, start, stop in _repeats(text):
        length = stop - start
        loop = length >= max(2 * distance, MIN_LOOP)
        doubled = distance >= MIN_DOUBLED and length >= distance - 1  # a space is between the two
        if loop or doubled or length >= MIN_REPEATED:
            repeated += stop - max(start, end)
            end = stop
    return repeated / len(text) if text else 0.0


def _repeats(text: str) -> Iterator[tuple[int, int, int]]:
    """(distance, start, stop) of parts of `text` that are there that many characters earlier, too, in order."""
    latest: dict[str, int] = {}
    distance = start = 0
    last = len(text) - _GRAM + 1
    for position in range(last):
        gram = text[position : position + _GRAM]
        if distance:
            if text.startswith(gram, position - distance):
                latest[gram] = position
                continue
            yield distance, start, position + _GRAM - 1
        distance = position - latest.get(gram, position)
        start = position
        latest[gram] = position
    if distance:
        yield distance, start, len(text)


# Digits of any script with what may be between groups of them; `\d` is Unicode's decimal digits.
_NUMERAL = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?!\d)|\d+(?:[.,'’٫٬\u00a0\u202f]\d+)*")
_SEPARATOR = re.compile(r"\D")


def numerals_kept(source: str, answer: str) -> float | None:
    """The share of the numerals in `source` that `answer` has too, by value; None if `source` has none to keep.

    ௧௨, १२ and 12 are one value; so are 100000, 100,000 and 1,00,000; 1.50 and 1,5; and 10:30 and 10.30. Whole numbers
    below 10 do not count, as they may well be spelled out.
    """
    wanted = [(readings, parts) for readings, parts in _numerals(source) if not all(len(r) == 1 for r in readings)]
    if not wanted:
        return None
    offered = set().union(*(readings | parts for readings, parts in _numerals(answer)))
    return sum(not readings.isdisjoint(offered) or parts <= offered for readings, parts in wanted) / len(wanted)


def _numerals(text: str) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Each numeral of `text`: the values that it can be read as, and the values of its groups of digits."""
    found = []
    for token in dict.fromkeys(_NUMERAL.findall(text)):
        if not token.isascii():
            token = "".join(str(unicodedata.decimal(character, character)) for character in token)
        groups = _SEPARATOR.split(token)
        parts = frozenset(map(_whole, groups))
        if len(groups) == 1:
            found.append((parts, parts))
            continue
        *separators, last = _SEPARATOR.findall(token)
        fraction = groups[-1].rstrip("0")
        grouped = len(groups[-1]) == 3 and all(len(group) in (2, 3) for group in groups[1:])
        readings = {_whole("".join(groups))} if grouped else set()
        # 1,234.5 and 3,5 are decimals; 1.234 may be one, or the thousands of a language that writes a full stop there.
        if last in ".,٫" and last not in separators and not (grouped and (last != "." or not fraction)):
            readings.add(_whole("".join(groups[:-1])) + (f".{fraction}" if fraction else ""))
        # What is no number (12.05.2024) is kept if its groups are.
        found.append((frozenset(readings or {token}), parts))
    return found


def _whole(digits: str) -> str:
    return digits.lstrip("0") or "0"


# Words in a row: fewer are in sentences by chance.
_ECHO_GRAM = 4
# Sentences of an instruction with fewer words ("Be brief.") are taken together with their neighbour.
_MIN_PART = 5
_SENTENCE_END = re.compile(r"[.!?।:;\n]+")
_PROMPT_MARK = re.compile(
    rf"{MARKS.control.pattern}|#{{2,}} ?(?:instruction|input|response|output|system|user|assistant|human|உள்ளீடு|பதில்"
    r"|அறிவுறுத்தல்)"
    # The header of LLaMA 3's next turn, where the server leaves out special tokens.
    r"|(?<![\w ])assistant\n\n",
    re.IGNORECASE,
)


class PromptEcho:
    """How much of the prompt an answer says again, 0 to 1.

    Over the sentences of the instruction, the largest share of a sentence's word 4-grams that are in the answer and
    not in its source; one 4-gram alone is chance and does not count. A mark of a prompt form (`### Response`,
    `<|eot_id|>`, `[INST]`) that the source lacks is 1.0.

    Args:
        instruction: all that the prompt says beside the source.
    """

    def __init__(self, instruction: str):
        parts: list[list[str]] = [[]]
        for sentence in _SENTENCE_END.split(instruction):
            if len(parts[-1]) >= _MIN_PART:
                parts.append([])
            parts[-1] += words_only(sentence).split()
        if len(parts) > 1 and len(parts[-1]) < _MIN_PART:
            parts[-2:] = [parts[-2] + parts[-1]]
        self._parts = [grams for part in parts if (grams := frozenset(_word_grams(part)))]
        self._grams = frozenset().union(*self._parts)

    def __call__(self, source: str, answer: str, folded: str) -> float:
        """The score of `answer`, whose `words_only` is `folded`."""
        if any(mark not in source for mark in _PROMPT_MARK.findall(answer)):
            return 1.0
        words = folded.split()
        if self._grams.isdisjoint(_word_grams(words)):
            return 0.0
        said = self._grams.intersection(_word_grams(words)).difference(_word_grams(words_only(source).split()))
        shares = ((len(part & said), len(part)) for part in self._parts)
        return max(count / size if count > 1 else 0.0 for count, size in shares)


def _word_grams(words: list[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(_ECHO_GRAM)), strict=False)


# Which language a text in a shared script is in: a rule for plain cases, such as a French answer where an English one
# was asked for. It says nothing about a language without a list in `function_words.yaml`, or about a text with few
# function words: short ones, names, headlines.
LEAST_WORDS = 5  # of a text
LEAST_DISTINCT = 3  # function words of another language, and ...
LEAST_SHARE = 0.2  # ... their share of all words, ...
MOST_OWN = 1 / 3  # ... and how many of the language itself there may be for each
LEAST_WITHOUT_OWN = 8  # words of a text: with none of its own language, two foreign ones are enough
# Letters that a language has in foreign words only
_FOREIGN_LETTERS = {
    **dict.fromkeys(("en", "sw", "id"), re.compile(r"[^\W\d_a-z]")),
    **{"qu": re.compile(r"[^\W\d_a-zñ]"), "hi": re.compile("ळ")},
}


@cache
def _lists() -> Mapping[str, frozenset[str]]:
    texts = yaml.safe_load(files(__package__).joinpath("function_words.yaml").read_text("utf-8"))
    return {code: frozenset(words_only(text).split()) for code, text in texts.items()}


@cache
def _languages_of() -> Mapping[str, frozenset[str]]:
    """The languages of each function word."""
    codes = defaultdict(set)
    for code, words in _lists().items():
        for word in words:
            codes[word].add(code)
    return {word: frozenset(of) for word, of in codes.items()}


def function_words(code: str) -> frozenset[str]:
    """Those of the language `code` (`pt` for `pt-BR`), folded; none if there is no list of them."""
    return _lists().get(base_code(code), frozenset())


# What `words_only` makes of English contractions, and the words that they are of; "'s" and "'d" are any of several.
_CONTRACTED = {"re": "are", "ve": "have", "ll": "will", "m": "am"}
_NEGATED = {"can": "can", "won": "will", "shan": "shall"}


def uncontracted(folded: str) -> str:
    """English `folded` text with the words of its contractions: "doesn t" is "does not"."""
    words: list[str] = []
    for word in folded.split():
        if word == "t" and words and words[-1].endswith("n"):
            words[-1:] = [_NEGATED.get(words[-1], words[-1][:-1]), "not"]
        elif word == "cannot":
            words += ["can", "not"]
        else:
            words.append(_CONTRACTED.get(word, word) if words else word)
    return " ".join(words)


def in_other_language(text: str, folded: str, code: str, known: Set[str] = frozenset()) -> bool:
    """Whether `text` is plainly in another language than `code`, of the same script.

    Args:
        text, folded: the text, and what `words_only` makes of it.
        code: the language that it should be in.
        known: words that are no sign of another language: those of a source in `code` itself.
    """
    code, words, languages_of = base_code(code), folded.split(), _languages_of()
    if code not in _lists() or len(words) < LEAST_WORDS:
        return False
    # Of each other language, the words that are not those of `code` as well
    found: dict[str, list[str]] = defaultdict(list)
    own = []
    for word in words:
        codes = languages_of.get(word, ())
        if code in codes:
            own.append(word)
        elif word not in known:
            for other in codes:
                found[other].append(word)
    other, theirs = max(found.items(), key=lambda item: (len(item[1]), item[0]), default=("", []))
    plainly = len(set(theirs)) >= LEAST_DISTINCT and len(theirs) >= LEAST_SHARE * len(words)
    plainly = plainly and sum(other not in languages_of[word] for word in own) <= MOST_OWN * len(theirs)
    if not plainly and not own and len(words) >= LEAST_WITHOUT_OWN:
        letters = _FOREIGN_LETTERS.get(code)
        strange = {word for word in words if letters and word not in known and letters.search(word)}
        # English names occur within other scripts.
        same_script = {word for word in theirs if not word.isascii() or any(map(str.isascii, _lists()[code]))}
        plainly = len(same_script) >= 2 or len(strange) >= 2
    if not plainly:
        return False
    # In names and titles all words of content are capitalised.
    content = [word for word in text.split() if words_only(word) not in languages_of]
    return not content or not all(word[:1].istitle() for word in content)


class Similarity:
    """The cosine of the sentence vectors of a source and an answer.

    Only this class imports sentence-transformers, and torch with it. A model for translations must know both languages.

    Args:
        model: a sentence-transformers model or any encoder (then mean pooling): a folder or a Hub id.

    Raises:
        InputError: sentence-transformers is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise InputError(
                f"--similarity_model {model}: sentence-transformers is needed; pip install sentence-transformers"
            ) from error
        try:
            self._model = SentenceTransformer(model)
        except Exception as error:  # a missing folder, a damaged file and an unreachable Hub all raise their own
            raise InputError(f"--similarity_model {model}: cannot be loaded: {one_line(error)}") from error

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The cosine of each source and its answer, -1 to 1; each distinct text is encoded once."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        if not texts:
            return []
        vectors = self._model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        rows = dict(zip(texts, vectors, strict=True))
        return [max(-1.0, min(1.0, float(rows[source] @ rows[answer]))) for source, answer in pairs]
