import subprocess
import sys
import time
import tracemalloc

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.generation.filters import SCORES, Duplicates, FilterConfig, Judge
from hf_xling.generation.languages import LANGUAGES
from hf_xling.generation.marks import read_answer
from hf_xling.generation.prompts import get_template
from hf_xling.generation.records import Completion
from hf_xling.generation.scores import words_only
from hf_xling.recipes import RecipeParser

SOURCE = "Twelve dogs (12 of them!) are running in the park with 1,500 people."
GOOD = {
    "en": "In the park, 1500 people and 12 hounds go for a run together.",
    "ta": "பன்னிரண்டு நாய்கள் (12!) 1,500 பேருடன் பூங்காவில் ஓடுகின்றன.",
    "hi": "बारह कुत्ते (१२!) 1,500 लोगों के साथ पार्क में दौड़ रहे हैं।",
    "sw": "Mbwa kumi na wawili (12!) wanakimbia bustanini na watu 1,500.",
}
RAMBLING = (
    "Others were seen beside the lake, near a fountain, or far off on that hill above it; nobody knows why they came, "
    "what brought these crowds here, and who might have told them about such a strange event."
)
NAMES = [score.name for score in SCORES]
UNFINISHED = "unfinished: no finish reason"
REASONS = (
    *("refusal", "prompt_echo", "repetition", "truncated", UNFINISHED, "preamble", "copy", "wrong_script"),
    *("wrong_language", "words", "length", "numerals", "similarity"),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def judge(task="paraphrase", language="en", source_language="en", **thresholds):
    languages = LANGUAGES[source_language], LANGUAGES[language]
    return Judge(FilterConfig(**thresholds), task, get_template(task).instruction_text(*languages), *languages)


def failed(text, source=SOURCE, finish="eos_token", similarity=None, **fields):
    fields = {"task": "paraphrase" if fields.get("language", "en") == "en" else "translate", **fields}
    judging = judge(**fields)
    verdict = judging(source, Completion(text, finish))
    return (verdict if similarity is None else judging.compared(verdict, similarity)).failed


@pytest.mark.parametrize("language", GOOD)
@pytest.mark.parametrize("finish", ["eos_token", "stop_sequence", "stop", "STOP", "end_turn"])
def test_a_good_answer_is_accepted(language, finish):
    assert failed(GOOD[language], language=language, finish=finish) == ()


@pytest.mark.parametrize(
    ("text", "fields", "reasons"),
    [
        ("", {}, ("empty",)),
        (None, {}, ("empty",)),
        ("— … !?\n", {}, ("empty",)),
        ("'“”'", {}, ("empty",)),
        ("I cannot help with that.", {}, ("refusal", "length", "numerals")),
        (f"{GOOD['en']} Paraphrase this sentence in English.", {}, ("prompt_echo",)),
        (f"{GOOD['ta']} ### Input: 12 dogs", {"language": "ta"}, ("prompt_echo",)),
        (f"12, 1500: {'the park and ' * 8}", {}, ("repetition",)),
        (f"12, 1500: {'ஆஹா ' * 20}", {"language": "ta"}, ("repetition",)),
        (GOOD["en"], {"finish": "length"}, ("truncated",)),
        ("Here is the paraphrase of the sentence with 12 and 1500:", {}, ("preamble",)),
        (SOURCE.upper(), {}, ("copy",)),
        (f"Paraphrase: “{SOURCE}”", {}, ("copy",)),
        (SOURCE.replace("running", "runnin"), {}, ("copy",)),
        (SOURCE, {"language": "ta"}, ("copy", "wrong_script")),
        (GOOD["en"], {"language": "ta"}, ("wrong_script",)),
        (GOOD["ta"], {}, ("wrong_script",)),
        (GOOD["hi"], {"language": "ta"}, ("wrong_script",)),
        ("12 dogs, 1500 men", {}, ("length",)),
        (f"{GOOD['en']} {RAMBLING}", {}, ("length",)),
        (GOOD["en"].replace("12", "ten"), {}, ("numerals",)),
        (GOOD["ta"].replace("1,500", "1,050"), {"language": "ta"}, ("numerals",)),
        (GOOD["en"], {"similarity": 0.49}, ("similarity",)),
        (GOOD["en"], {"similarity": float("nan")}, ("similarity",)),
        (GOOD["en"], {"similarity": 0.5}, ()),
        ("the park " * 300, {"finish": "length"}, ("repetition", "truncated", "length", "numerals")),
    ],
)
def test_each_filter_finds_what_it_is_for(text, fields, reasons):
    assert failed(text, **fields) == reasons


@pytest.mark.parametrize(
    ("task", "text", "reasons"),
    [
        ("summarise", "Many dogs run in a park.", ()),
        ("summarise", "Dogs run.", ("length",)),
        ("summarise", f"{GOOD['en']} {GOOD['en'][::-1]}", ("length",)),
        ("synonyms", SOURCE.replace("running", "racing"), ()),
        ("synonyms", SOURCE.lower(), ("copy",)),
        ("shuffle", "With 1,500 people, twelve dogs (12 of them!) are running in the park.", ()),
        ("shuffle", SOURCE.replace("are running", "running are"), ("copy",)),
        ("shuffle", SOURCE.replace("running in the park", "in the park running"), ()),
        ("shuffle", SOURCE, ("copy",)),
        ("paraphrase", SOURCE.replace("running", "runing"), ("copy",)),
        # Only the grammar changed, or the punctuation
        ("synonyms", SOURCE.replace("in the park", "in a park"), ("copy",)),
        ("synonyms", SOURCE.replace("are running", "were running"), ("copy",)),
        ("synonyms", SOURCE.replace(" (12 of them!)", ", 12 of these,"), ("copy",)),
        ("synonyms", SOURCE.replace("dogs", "hounds"), ()),
        # Nothing moved
        ("shuffle", SOURCE.replace("the park", "the big park"), ("copy", "words")),
        ("shuffle", SOURCE.replace("running", "racing"), ("copy", "words")),
        ("shuffle", SOURCE.replace("Twelve dogs ", ""), ("copy", "words")),
        ("shuffle", SOURCE.replace("in the park", "in a park"), ("copy",)),
        # Words left out or added
        ("shuffle", "With 1,500 people, twelve dogs (12 of them!) are in the park.", ("words",)),
        ("shuffle", "In the park, twelve happy dogs (12 of them!) are running with 1,500 people.", ("words",)),
        ("shuffle", "With 1,500 people, twelve cats (12 of them!) are running in the park.", ("words",)),
        ("shuffle", "1,500 people, park, twelve dogs, 12, running", ("words",)),
        # ... as grammar asks for
        ("shuffle", "With 1,500 people, twelve dogs (12 of them!) run in the park.", ()),
        ("shuffle", "In the park, twelve dogs (12 of these!) are running with 1,500 people.", ()),
    ],
)
def test_tasks_have_their_own_rules(task, text, reasons):
    assert failed(text, task=task) == reasons


@pytest.mark.parametrize(
    ("task", "text", "reasons"),
    [
        ("shuffle", "பூங்காவில் ஒரு பெரிய நாய் ஓடுகிறது.", ()),
        ("shuffle", "பூங்காவில் ஒரு நாய் ஓடுகிறது.", ("words",)),
        ("shuffle", "பூங்காவில் ஒரு பெரிய சிவப்பு நாய் ஓடுகிறது.", ("words",)),
        ("shuffle", "பெரிய நாய் பூங்காவில் ஓடுகிறது.", ("copy",)),
        ("synonyms", "இந்த பெரிய நாய் பூங்காவில் ஓடுகிறது.", ("copy",)),
        ("synonyms", "ஒரு பெரிய நாய் தோட்டத்தில் ஓடுகிறது.", ()),
    ],
)
def test_word_tasks_in_tamil(task, text, reasons):
    source = "ஒரு பெரிய நாய் பூங்காவில் ஓடுகிறது."
    assert failed(text, source, task=task, language="ta", source_language="ta") == reasons


@pytest.mark.parametrize(
    ("task", "source", "text", "reasons"),
    [
        # Only function words changed place
        ("shuffle", "The man saw a dog near the house.", "A man saw the dog near the house.", ("copy",)),
        ("shuffle", "There is a dog in the park.", "A dog is there in the park.", ("copy",)),
        ("shuffle", "He is here.", "Here he is.", ()),
        ("shuffle", "A man saw a dog.", "A dog saw a man.", ()),
        # Contractions are their words
        ("shuffle", "It's raining in the city.", "In the city, it is raining.", ()),
        ("shuffle", "It is raining in the city.", "In the city, it’s raining.", ()),
        ("shuffle", "He doesn't like the red car.", "The red car he does not like.", ()),
        ("shuffle", "They won't see the big house.", "The big house they will not see.", ()),
        ("shuffle", "We can't find the red car.", "The red car we cannot find.", ()),
        ("shuffle", "I'm sure they've seen the car.", "The car they have seen, I am sure.", ()),
        ("shuffle", "The man's dog barks at night.", "At night, the dog of the man barks.", ()),
        ("shuffle", "He'd gone to the big house.", "To the big house he had gone.", ()),
        ("shuffle", "The man's dog barks at night.", "At night barks the man's cat.", ("words",)),
        ("shuffle", "He doesn't like the red car.", "He does not like the red car.", ("copy",)),
        # No word was replaced
        ("synonyms", "The big man runs quickly.", "The big men runs quickly.", ("copy",)),
        ("synonyms", "The big man runs quickly.", "The big man ran quickly.", ("copy",)),
        ("synonyms", "The big man runs quickly.", "Quickly runs the big man.", ("copy",)),
        ("synonyms", "The big man runs quickly.", "The big man runs quickly today.", ("copy",)),
        ("synonyms", "The big man runs quickly.", "The big man runs.", ("copy",)),
        ("synonyms", "The big man doesn't run.", "The big man does not run.", ("copy",)),
        ("synonyms", "The big man runs quickly.", "The large man runs quickly.", ()),
        ("synonyms", "The big man runs quickly.", "The large man is running fast.", ()),
        ("synonyms", "The dog is here.", "The hound is here.", ()),
    ],
)
def test_words_are_compared_as_words(task, source, text, reasons):
    assert failed(text, source, task=task) == reasons


def test_words_of_a_translation_are_not_compared():
    assert failed(GOOD["ta"], task="shuffle", language="ta") == ()


@pytest.mark.parametrize(
    ("source", "text", "language", "reasons"),
    [
        ("Hi", "Hello there", "en", ()),
        ("Hi", "Hello there, my very dear and old friend of mine", "en", ("length",)),
        ("Thank you very much.", "நன்றி", "ta", ()),
        ("1999", "1999", "ta", ()),
        ("1999", "1999", "en", ("copy",)),
        ("no no no no no no", "இல்லை இல்லை இல்லை இல்லை இல்லை இல்லை", "ta", ()),
        ("no", "இல்லை இல்லை இல்லை இல்லை", "ta", ("repetition",)),
        ("…", "நன்றி", "ta", ()),
        ("A dog runs in the park.", "Un chien court dans le parc.", "en", ("wrong_language",)),
        ("A dog runs in the park.", "A dog is running in the park today.", "sw", ("wrong_language",)),
        ("A dog runs in the park.", "कुत्रा बागेत धावत आहे आणि तो खूप आनंदी आहे.", "hi", ("wrong_language",)),
        ("A dog runs in the park.", "Mbwa anakimbia katika bustani ya mji.", "sw", ()),
        ("El Niño de la Torre", "The Child from the Tower", "en", ()),
        ("The film is good.", "La Vie en Rose et la Mer", "en", ()),
    ],
)
def test_short_and_odd_sources_are_judged_by_what_they_are(source, text, language, reasons):
    assert failed(text, source, language=language) == reasons


def test_a_length_is_measured_by_the_languages():
    factor = LANGUAGES["ta"].length_factor
    scores = judge("translate", "ta")("a" * 50, Completion("நா" * 50, "stop")).scores
    assert scores["length_ratio"] == pytest.approx(100 / (50 * factor))
    back = judge("translate", "en", "ta")("நா" * 50, Completion("a" * 50, "stop")).scores
    assert back["length_ratio"] == pytest.approx(50 * factor / 100)


def test_a_failed_request_has_its_error_and_no_scores():
    verdict = judge()(SOURCE, Completion(None, error="429 overloaded"))
    assert verdict.failed == ("endpoint: 429 overloaded",) and verdict.reason == "endpoint: 429 overloaded"
    assert verdict.text is None and dict(verdict.scores) == dict.fromkeys(NAMES)
    assert judge()(SOURCE, Completion(GOOD["en"], "stop")).reason is None


def test_thresholds_are_the_config_s():
    text = "the park " * 5 + "and 12 dogs of 1500, which is what this is all about, and nothing else at all"
    assert failed(text, max_repetition=0.2) == ("repetition",)
    assert failed(text) == ()
    assert failed(SOURCE, max_copy=1.0) == ()
    assert failed("A pack of dogs runs in the park with people.", min_numerals_kept=0.0) == ()
    assert failed(f"{GOOD['en']} நாய்", min_script_share=0.99) == ("wrong_script",)
    assert failed(GOOD["en"] * 3, max_length_ratio=10, max_repetition=1) == ()
    assert failed(GOOD["en"], similarity=0.6, min_similarity=0.7) == ("similarity",)
    assert failed("12 dogs in the park with 1500", min_length_ratio=0.7) == ("length",)


ANSWER = TEXT | st.sampled_from([SOURCE, *GOOD.values()]).flatmap(lambda good: st.just(good) | TEXT.map(good.__add__))


@given(
    source=ANSWER,
    text=st.none() | ANSWER,
    finish=st.sampled_from([None, "eos_token", "length"]),
    error=st.none() | st.just("timed out"),
    language=st.sampled_from(sorted(LANGUAGES)),
    task=st.sampled_from(["paraphrase", "translate", "summarise", "synonyms", "shuffle"]),
    similarity=st.none() | st.floats(-1, 1),
)
def test_a_verdict_names_what_its_scores_fail(source, text, finish, error, language, task, similarity):
    judging = judge(task, language)
    verdict = judging(source, Completion(text, finish, error=error))
    if similarity is not None and verdict.is_scored:
        verdict = judging.compared(verdict, similarity)
    scores = verdict.scores
    assert list(scores) == NAMES
    pyarrow.table({name: [scores[name]] for name in NAMES}, schema=pyarrow.schema(SCORES))
    if error or not verdict.is_scored:
        fault = read_answer(text or "", source).fault
        assert verdict.failed[0] == (f"endpoint: {error}" if error else fault or "empty")
        assert dict(scores) == dict.fromkeys(NAMES)
        return
    assert words_only(verdict.text) and verdict.text in text
    assert read_answer(text, source).fault is None
    for name in ("script_share", "copy", "prompt_echo", "repetition", "numerals_kept"):
        assert scores[name] is None or 0 <= scores[name] <= 1
    assert scores["length_ratio"] is None or scores["length_ratio"] > 0
    config = FilterConfig()
    expected = len(source.strip()) * LANGUAGES[language].length_factor
    least, most = (10, expected) if task == "summarise" else (0.4 * expected, 2.5 * expected)
    fails = {
        "length": not min(least, expected - 20) <= len(verdict.text) <= most + 20,
        "refusal": scores["refusal"],
        "prompt_echo": scores["prompt_echo"] > config.max_prompt_echo,
        "repetition": scores["repetition"] > config.max_repetition,
        "truncated": finish == "length",
        UNFINISHED: finish is None,
        "copy": (scores["copy"] or 0) > config.max_copy,
        "wrong_script": scores["script_share"] < config.min_script_share,
        "numerals": scores["numerals_kept"] is not None and scores["numerals_kept"] < config.min_numerals_kept,
        "similarity": similarity is not None and similarity < config.min_similarity,
    }
    for name in REASONS:
        if name in fails:
            assert fails[name] == (name in verdict.failed)
    assert list(verdict.failed) == [name for name in REASONS if name in verdict.failed]


def test_no_answer_takes_long():
    units = [
        "the cat ",
        "\n",
        "a:",
        " ",
        "Paraphrase: ",
        '"',
        "### ",
        "I cannot ",
        "here is ",
        "x\n",
        "Sure! ",
        "1,",
        "9",
    ]
    judges = judge(), judge("translate", "ta")
    for unit in units:
        start = time.process_time()
        for one in judges:
            one(SOURCE, Completion((unit * 8000)[:8000] + "."))
        assert time.process_time() - start < 5, unit  # of CPU; some 5 ms each


LONG = "".join(f"{GOOD['en']} And {number} more of them. " for number in range(10, 1200))


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        *(
            (source, unit * (200_000 // len(unit)))
            for source in ("a", SOURCE)
            for unit in ("a", "a\n", "(", "<", '"', " a")
        ),
        *(
            (SOURCE, unit * (200_000 // len(unit)))
            for unit in (f"{SOURCE}\n", "</think>", "</s>", "\n", "1. a\n", "x: ")
        ),
        ("a", "a\n" * 450_000),
        (LONG, LONG),
        (LONG, LONG[::-1]),
        (LONG, "Sure!\n\n" * 20_000),
        (LONG, "* " * 20_000),
        (LONG, "1. " * 20_000),
    ],
    ids=lambda text: repr(text[:9]),
)
def test_the_time_for_a_runaway_does_not_grow_with_the_square_of_its_length(source, answer):
    start = time.process_time()
    verdict = judge()(source, Completion(answer, "eos_token"))
    assert time.process_time() - start < 20  # of CPU; the longest take 0.5, and 50 or more where each line was cut off
    assert verdict.failed


def test_the_rest_of_a_runaway_is_kept_and_counts_for_its_length():
    answer = f"Here is the paraphrase: {GOOD['en']} {RAMBLING * 999}"
    verdict = judge()(SOURCE, Completion(answer, "eos_token"))
    assert verdict.text == answer.removeprefix("Here is the paraphrase: ")
    assert verdict.scores["length_ratio"] == pytest.approx(len(verdict.text) / len(SOURCE))
    assert "length" in verdict.failed


def test_a_note_behind_an_answer_is_stripped_whatever_its_length():
    verdict = judge()(SOURCE, Completion(f"{GOOD['en']}\n\nNote: {RAMBLING * 60}", "eos_token"))
    assert (verdict.text, verdict.failed) == (GOOD["en"], ())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max_copy", "1.5"], "--max_copy 1.5: a number from 0 to 1 is needed"),
        (["--min_script_share", "-0.1"], "--min_script_share -0.1: a number from 0 to 1 is needed"),
        (["--max_repetition", "nan"], "--max_repetition nan: a number from 0 to 1 is needed"),
        (["--min_numerals_kept", "2"], "--min_numerals_kept 2.0: a number from 0 to 1 is needed"),
        (["--min_length_ratio", "0"], "--min_length_ratio 0.0: a number above 0 is needed"),
        (["--max_length_ratio", "0.2"], "--min_length_ratio 0.4: must be below --max_length_ratio 0.2"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(InputError) as caught:
        RecipeParser([FilterConfig], prog="x").parse(arguments)
    assert str(caught.value) == message


def test_the_command_line_sets_thresholds():
    (config,) = RecipeParser([FilterConfig], prog="x").parse(["--max_copy=0.8", "--similarity_model", "some/model"])
    assert config == FilterConfig(max_copy=0.8, similarity_model="some/model")


PAIRS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x", "X.", "y", "Y!", "z"]) | st.text(max_size=2))
)


@given(PAIRS)
def test_duplicates_are_answers_that_another_source_gave_first(pairs):
    duplicates, first = Duplicates(), {}
    for source, answer in pairs:
        assert duplicates.seen(source, answer) == (first.setdefault(words_only(answer), source) != source)


def test_many_answers_take_little_memory():
    duplicates, count = Duplicates(), 4_000
    tracemalloc.start()
    try:
        assert not any(duplicates.seen(f"source {n}", f"A rather long answer, number {n}") for n in range(count))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 200 * count
    assert all(duplicates.seen("another source", f"a rather long answer number {n}") for n in range(count))
    assert not any(duplicates.seen(f"source {n}", f"A rather long answer, number {n}") for n in range(count))


def test_filters_import_no_torch():
    code = (
        "import sys, hf_xling.generation.filters; sys.exit(bool({'torch', 'sentence_transformers'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
