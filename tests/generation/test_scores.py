import sys
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.folding import fold
from hf_xling.generation.scores import (
    PromptEcho,
    Similarity,
    copy,
    function_words,
    in_other_language,
    numerals_kept,
    repetition,
    words_only,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TRANSLATE = (
    "You translate English into Tamil. Answer with the translation and nothing else.\n"
    "Translate this sentence into Tamil."
)
PARAPHRASE = (
    "You rewrite English sentences. Answer with the rewritten sentence and nothing else.\n"
    "Paraphrase this sentence in English. Keep its meaning; change its words and its structure."
)


@given(TEXT)
def test_words_are_found_again_and_blind_to_case_form_and_punctuation(text):
    words = words_only(text)
    assert words_only(words) == words
    assert words_only(unicodedata.normalize("NFD", text)) == words
    assert words_only(f" «{text}»…\n") == words
    assert words_only(text.upper().lower()) == words_only(words_only(text).upper().lower())


@given(TEXT | st.text(st.characters(max_codepoint=127)))
def test_words_are_the_letters_marks_and_digits_of_the_folded_text(text):
    kept = "".join(letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in fold(text))
    assert words_only(text) == " ".join(kept.split())


def test_words_keep_the_marks_of_indic_letters():
    assert words_only("கா") != words_only("கி") != words_only("க")
    assert words_only("கொ") == words_only("கொ")  # two marks for one, canonically the same
    assert words_only("க்\u200cஷ") == words_only("க்ஷ")
    assert words_only("Don't  stop") == "don t stop"


LONG = "a young woman in a red coat is walking her two small dogs along the frozen river in the early morning"


@pytest.mark.parametrize(
    ("task", "source", "answer", "least", "most"),
    [
        ("paraphrase", LONG, LONG, 1, 1),
        ("paraphrase", LONG, LONG.replace("small", "little"), 0.95, 0.999),
        ("paraphrase", LONG, "two little dogs are taken for a stroll beside an icy river by a lady", 0, 0.7),
        ("translate", "a dog runs", "ஒரு நாய் ஓடுகிறது", 0, 0.2),
        ("summarise", LONG, LONG, 1, 1),
        ("synonyms", LONG, LONG.replace("small", "little"), 0, 0),
        ("synonyms", LONG, LONG, 1, 1),
        ("shuffle", LONG, " ".join(reversed(LONG.split())), 0, 0),
        ("shuffle", LONG, LONG.replace("the early", "early the"), 0, 0),
        ("shuffle", LONG, LONG, 1, 1),
        ("paraphrase", "1999", "1999", 1, 1),
    ],
)
def test_copy_depends_on_the_task(task, source, answer, least, most):
    assert least <= copy(source, answer, task) <= most


def test_what_has_no_letters_is_the_same_in_any_language():
    assert copy("1999", "1999", "translate") is None
    assert copy("in 1999", "in 1999", "translate") == 1.0


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("the cat the cat the cat the cat the cat", 0.7),
        ("The cat, the cat. The cat! the cat … the cat", 0.7),
        ("A man is sleeping on the bench the bench the bench the bench the bench the bench", 0.4),
        ("ஆஹா ஆஹா ஆஹா ஆஹா ஆஹா", 0.7),
        ("धीरे धीरे धीरे धीरे धीरे", 0.7),
        ("hahahahaha", 0.7),
        ("நாநாநாநாநாநாநாநா", 0.7),
        ("sooooooooooooooo", 0.7),
        ("今日は今日は今日は今日は今日は", 0.7),
        ("The dog runs in the park. " * 5, 0.75),
        ("A dog runs. A dog runs.", 0.45),
        ("1. The dog runs in the park early every morning. 2. The dog runs in the park early every morning.", 0.45),
        ("....................", 0.7),
        ("- - - - - - - - - -", 0.7),
        ("Good" + "!" * 30, 0.7),
        ("0 0 0 0 0 0 0 0", 0.7),
    ],
)
def test_loops_are_repetition(text, least):
    assert least <= repetition(text) < 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "A man in a blue shirt and a woman in a blue shirt are standing in front of a store.",
        "The man is tall and the woman is tall.",
        "மெல்ல மெல்ல நடந்தான், மீண்டும் மீண்டும் பார்த்தான்.",
        "वह धीरे धीरे चल रहा है।",
        "Alitembea polepole sana, hatua kwa hatua.",
        "Ha ha, that was very, very good!",
        "Well... that is that!!!",
        "In 1000000 years, 10,000,000 people",
    ],
)
def test_ordinary_text_is_no_repetition(text):
    assert repetition(text) == 0.0


@given(TEXT)
def test_repetition_is_a_share(text):
    assert 0 <= repetition(text) <= 1
    assert repetition(text, words_only(text)) == repetition(text)


@given(st.lists(st.text("abcdefghijklm", min_size=4), min_size=3, max_size=8, unique=True), st.integers(3, 9))
def test_a_text_said_several_times_is_new_once(words, times):
    unit = words_only(" ".join(words)) + " "
    assert repetition(unit * times) >= (times - 1) / times - 0.05


def test_runaways_are_scored_at_once():
    start = time.process_time()
    for unit in ("the cat ", "a", "ab" * 17, "\n", '"', "1,", "ஆஹா ", "".join(map(chr, range(0x4E00, 0x5600)))):
        repetition((unit * 8000)[:8000])
    assert time.process_time() - start < 10  # of CPU; one pass over 8,000 characters takes some 2 ms, all pairs minutes


@pytest.mark.parametrize(
    ("source", "answer", "share"),
    [
        ("A dog runs.", "ஒரு நாய்", None),
        ("Two of 5 dogs, 2nd place", "ஐந்து நாய்கள்", None),
        ("5.0 stars", "five stars", None),
        ("In 1999 she was 42.", "1999 இல் அவளுக்கு வயது 42.", 1),
        ("In 1999 she was 42.", "1999 இல் அவளுக்கு வயது 24.", 0.5),
        ("In 1999", "அந்த ஆண்டில்", 0),
        ("12 people", "௧௨ பேர்", 1),
        ("12 people", "१२ लोग", 1),
        ("१२ लोग", "12 people", 1),
        ("１２ people", "12 watu", 1),
        ("100,000 rupees", "1,00,000 ரூபாய்", 1),
        ("100,000 rupees", "100000 ரூபாய்", 1),
        ("1,00,000", "100 000", 1),
        ("1,234,567", "12,34,567", 1),
        ("1.234.567", "1,234,567", 1),
        ("1.234", "1,234", 1),
        ("1,234.50", "1.234,5", 1),
        ("3.5 metres", "3,5 mita", 1),
        ("3.5 metres", "35 mita", 0),
        ("100,000", "100", 0),
        ("100.000", "100", 0),
        ("0.5", "0.50", 1),
        ("007 and 0012", "12", 1),
        ("12.05.2024", "12/5/2024", 1),
        ("at 10:30", "10.30 மணிக்கு", 1),
        ("at 10.30", "10:30 மணிக்கு", 1),
        ("COVID-19", "கோவிட்-19", 1),
        ("12, then 12", "12", 1),
    ],
)
def test_numerals_are_kept_by_value(source, answer, share):
    assert numerals_kept(source, answer) == share


@given(st.integers(10, 10**12), st.sampled_from(["௦", "०", "౦", "0"]))
def test_a_number_is_kept_in_any_digits_and_grouping(number, zero):
    digits = str(number)
    head, last = digits[:-3], digits[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    lakhs = ",".join([*reversed(pairs), last])
    forms = [digits, f"{number:,}", lakhs]
    forms += ["".join(chr(ord(zero) + int(digit)) if digit.isdigit() else digit for digit in form) for form in forms]
    for one, other in pairwise(forms):
        assert numerals_kept(one, other) == numerals_kept(other, one) == 1
    assert numerals_kept(digits, str(number + 1)) == 0


@given(TEXT | st.text("0123456789.,' ௧१"), TEXT | st.text("0123456789.,' ௧१"))
def test_numerals_kept_is_a_share_or_nothing(source, answer):
    share = numerals_kept(source, answer)
    assert share is None or 0 <= share <= 1
    assert numerals_kept(source, source) in (None, 1)


def echo(instruction, source, answer):
    return PromptEcho(instruction)(source, answer, words_only(answer))


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [
        (TRANSLATE, "Translate this sentence into Tamil. ஒரு நாய் ஓடுகிறது."),
        (TRANSLATE, "You translate English into Tamil. Answer with the translation and nothing else."),
        (PARAPHRASE, "Keep its meaning; change its words and its structure. A dog is running."),
        (PARAPHRASE, "A dog is running. Paraphrase this sentence in English."),
        (TRANSLATE, "ஒரு நாய்.\n\n### Instruction:\nTranslate"),
        (TRANSLATE, "ஒரு நாய் ### Response: ஒரு நாய்"),
        (TRANSLATE, "ஒரு நாய்<|eot_id|><|start_header_id|>user<|end_header_id|>"),
        (TRANSLATE, "[INST] A dog runs [/INST] ஒரு நாய்"),
        (TRANSLATE, "ஒரு நாய்<|im_start|>user"),
        (PARAPHRASE, "A dog is running.assistant\n\nHere is another one"),
    ],
)
def test_a_prompt_said_again_is_an_echo(instruction, answer):
    assert echo(instruction, "A dog runs.", answer) > 0.3


@pytest.mark.parametrize(
    ("instruction", "source", "answer"),
    [
        (PARAPHRASE, "The words of the sentence changed.", "The meaning of this sentence is another one in English."),
        (PARAPHRASE, "A poet kept the meaning.", "Its words and its form were changed, but the poet kept its meaning."),
        (PARAPHRASE, "Paraphrase this sentence in English.", "Please paraphrase this sentence in English."),
        (TRANSLATE, "Use <s> for a cross-out.", "<s> என்பது ஒரு குறி."),
        (TRANSLATE, "A sentence", "அவர் “translate this sentence” என்றார்"),
        (PARAPHRASE, "A helper came.", "An assistant came to help."),
        ("", "A dog", "A hound"),
        ("Translate: ", "A dog", "Translate"),
        ("Be brief. Be kind.", "A dog", "A hound will be brief and be kind"),
    ],
)
def test_common_words_and_the_source_s_own_are_no_echo(instruction, source, answer):
    assert echo(instruction, source, answer) <= 0.3


@given(TEXT, TEXT, TEXT)
def test_an_echo_is_a_share(instruction, source, answer):
    assert 0 <= echo(instruction, source, answer) <= 1
    assert echo(instruction, source, source) in (0, 0.0)


# Which language a text in a shared script is in


SENTENCES = {
    "en": [
        "A woman in a red coat walks her two small dogs along the river.",
        "Two men are playing the guitar on a stage.",
        "There is nobody in the street this morning.",
    ],
    "fr": [
        "Une femme en manteau rouge promène ses deux petits chiens le long de la rivière.",
        "Deux hommes jouent de la guitare sur une scène.",
        "Il n'y a personne dans la rue ce matin.",
        "Un chien court à travers le parc.",
    ],
    "es": [
        "Una mujer con un abrigo rojo pasea a sus dos perros pequeños por el río.",
        "Los dos hombres tocan la guitarra en un escenario.",
        "Un perro corre por el parque.",
    ],
    "de": [
        "Eine Frau in einem roten Mantel führt ihre zwei kleinen Hunde am Fluss spazieren.",
        "Der Hund läuft mit einem Ball durch den Park.",
        "Heute Morgen ist niemand auf der Straße zu sehen.",
    ],
    "pt": ["Uma mulher com um casaco vermelho passeia os seus dois cães pequenos ao longo do rio."],
    "it": ["Una donna con un cappotto rosso porta a spasso i suoi due cani lungo il fiume."],
    "nl": ["Een vrouw in een rode jas loopt met haar twee kleine honden langs de rivier."],
    "id": ["Seorang wanita dengan mantel merah sedang berjalan dengan dua anjing kecil di tepi sungai."],
    "sw": ["Mwanamke mwenye koti jekundu anatembea na mbwa wake wawili wadogo kando ya mto kwa furaha."],
    "qu": ["Huk warmi puka pachayuq iskay allquchankunawan mayu patanta purichkan, hinaspa kusisqa kachkan."],
    "hi": ["लाल कोट पहनी एक महिला नदी के किनारे अपने दो छोटे कुत्तों को घुमा रही है।"],
    "mr": ["लाल कोट घातलेली एक स्त्री आपल्या दोन लहान कुत्र्यांना फिरवत आहे आणि ती खूप आनंदी आहे."],
}
OTHERS = ("en", "sw", "qu", "hi")
LANGUAGE_PAIRS = [(code, other) for code in SENTENCES for other in OTHERS if code not in (other, "sw", "qu")]


def foreign(text, code, known=frozenset()):
    return in_other_language(text, words_only(text), code, known)


@pytest.mark.parametrize(("code", "wanted"), LANGUAGE_PAIRS)
def test_a_sentence_of_another_language_is_found(code, wanted):
    assert all(foreign(text, wanted) for text in SENTENCES[code])


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_of_the_language_itself_is_not(code):
    assert not any(foreign(text, code) for text in SENTENCES[code])
    assert not any(foreign(text, f"{code}-XX") for text in SENTENCES[code])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Ein Mann trägt rote Schuhe, geht langsam spazieren und singt", "en"),
        ("Młody mężczyzna biegnie szybko przez zielony park miejski", "en"),
        ("Genç adam yeşil parkta köpeğiyle hızlı hızlı koşuyor", "en"),
        ("Mtu mzee anatembea polepole barabarani na mbwa wa rafiki", "en"),
        ("Genç adam yeşil parkta köpeğiyle hızlı hızlı koşuyor", "sw"),
        ("मुलगा बागेत चेंडू खेळतो, मुलगी आणि आई त्या झाडाखाली बसतात", "hi"),
        ("काळा कुत्रा हिरव्या बागेत वेगाने पळतो, मुले खेळतात, झाड निळे", "hi"),
        ("केटाले बगैँचामा कुकुरसँग बल खेलिरहेको छ र आमा हाँस्दै छन्", "hi"),
    ],
)
def test_of_a_text_without_words_of_its_language_two_foreign_ones_are_enough(text, code):
    assert foreign(text, code)
    assert not foreign(text, code, frozenset(words_only(text).split()))


@pytest.mark.parametrize(
    "text",
    [
        "Beyoncé, Renée Zellweger, Penélope Cruz, Zoë Kravitz, Salma Hayek",
        "Beyoncé sings at a fête, and Renée eats her crème brûlée there",
        "Young men wearing red shirts play football outside, spectators cheer loudly",
        "Café owner serves hot coffee, fresh bread, cold milk daily",
    ],
)
def test_a_text_with_accents_may_be_in_english(text):
    assert not foreign(text, "en")


@pytest.mark.parametrize(
    "text",
    [
        *("Un chien", "Le chien court.", "C'est la vie!", "Mbwa anakimbia", "1 2 3 4 5 6", "", "no no no no no no"),
        *("El Niño de la Torre", "Rio de Janeiro, Los Angeles, La Paz, El Salvador", "Ennai Par En azhagi par"),
        *("Die Hard", "Vin Diesel, Leonardo da Vinci, Charles de Gaulle, Ludwig van Beethoven"),
        "The director of La Dolce Vita and El laberinto del fauno was in Los Angeles.",
        "He said that la vie en rose is the song of his life",
        "Breaking news: Apple unveils new iPhone, shares rise sharply amid strong demand",
        "red shirt man walking dog park bench sunny day",
    ],
)
def test_short_texts_names_and_headlines_are_let_through(text):
    assert not foreign(text, "en")


@pytest.mark.parametrize("code", ["ht", "tok", "gl", "af", "xx", "tlh", ""])
def test_nothing_is_said_about_a_language_without_a_list(code):
    assert not any(foreign(text, code) for texts in SENTENCES.values() for text in texts)
    assert function_words(code) == frozenset()


def test_english_titles_in_a_tamil_text_are_no_sign_of_another_language():
    assert not foreign("உயர வரிசையில் சிலைகளின் பட்டியல் (List of statues by height)", "ta")


def test_words_of_a_source_in_the_language_are_no_sign_of_another():
    text = "of el jardín de la abuela en el pueblo"
    assert foreign(text, "en") and not foreign(text, "en", frozenset({"el", "de", "la", "en"}))


def test_lists_are_folded_and_hold_no_content():
    assert {"the", "don", "t"} <= function_words("en") and function_words("pt-BR") == function_words("pt_PT")
    assert {"है", "में"} <= function_words("hi") and "ஒரு" in function_words("ta")
    assert all(word == words_only(word) for code in SENTENCES for word in function_words(code))


def mean_pooled(folder, text):
    """The sentence vector as it is defined: the mean over tokens of the last layer, at length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    return torch.nn.functional.normalize(states.mean(dim=0), dim=0)


def test_similarity_is_the_cosine_of_mean_pooled_vectors(bert_folder, sentences):
    sources, answers = sentences[:6], sentences[6:12]
    values = Similarity(str(bert_folder))(list(zip(sources, answers, strict=True)))
    assert max(values) - min(values) > 0.01  # the model tells the pairs apart
    for source, answer, value in zip(sources, answers, values, strict=True):
        assert value == pytest.approx(
            float(mean_pooled(bert_folder, source) @ mean_pooled(bert_folder, answer)), abs=1e-5
        )


def test_a_text_is_as_similar_as_can_be_to_itself_and_encoded_once(bert_folder, sentences, monkeypatch):
    from sentence_transformers import SentenceTransformer

    encoded, encode = [], SentenceTransformer.encode

    def spy(self, texts, **options):
        encoded.extend(texts)
        return encode(self, texts, **options)

    monkeypatch.setattr(SentenceTransformer, "encode", spy)
    one, other = sentences[:2]
    similarity = Similarity(str(bert_folder))
    values = similarity([(one, one), (one, other), (other, one), (one, other)])
    assert values[0] == pytest.approx(1.0, abs=1e-5) and max(values) <= 1
    assert values[1] == pytest.approx(values[2], abs=1e-6) == pytest.approx(values[3], abs=1e-6)
    assert sorted(encoded) == sorted([one, other])
    assert similarity([]) == []


def test_what_cannot_be_loaded_is_one_line(tmp_path):
    for model in (str(tmp_path / "missing"), str(tmp_path), "no/such-model"):
        with pytest.raises(InputError, match=f"^--similarity_model {model}: cannot be loaded: .") as caught:
            Similarity(model)
        assert "\n" not in str(caught.value)


def test_without_sentence_transformers_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InputError, match=r"^--similarity_model org/model: .*pip install sentence-transformers"):
        Similarity("org/model")
