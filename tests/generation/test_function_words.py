"""Which language a text in a shared script is in."""

import pytest

from hf_xling.generation.function_words import function_words, in_other_language
from hf_xling.generation.scores import fold

TEXTS = {
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
PAIRS = [(code, other) for code in TEXTS for other in ("en", "sw", "qu", "hi") if code not in (other, "sw", "qu")]


def other(text, code, known=frozenset()):
    return in_other_language(text, fold(text), code, known)


@pytest.mark.parametrize(("code", "wanted"), PAIRS)
def test_a_sentence_of_another_language_is_found(code, wanted):
    assert all(other(text, wanted) for text in TEXTS[code])


@pytest.mark.parametrize("code", TEXTS)
def test_a_sentence_of_the_language_itself_is_not(code):
    assert not any(other(text, code) for text in TEXTS[code])
    assert not any(other(text, f"{code}-XX") for text in TEXTS[code])


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
    assert other(text, code)
    assert not other(text, code, frozenset(fold(text).split()))


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
    assert not other(text, "en")


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
    assert not other(text, "en")


@pytest.mark.parametrize("code", ["ht", "tok", "gl", "af", "xx", "tlh", ""])
def test_nothing_is_said_about_a_language_without_a_list(code):
    assert not any(other(text, code) for texts in TEXTS.values() for text in texts)
    assert function_words(code) == frozenset()


def test_english_titles_in_a_tamil_text_are_no_sign_of_another_language():
    assert not other("உயர வரிசையில் சிலைகளின் பட்டியல் (List of statues by height)", "ta")


def test_words_of_a_source_in_the_language_are_no_sign_of_another():
    text = "of el jardín de la abuela en el pueblo"
    assert other(text, "en") and not other(text, "en", frozenset({"el", "de", "la", "en"}))


def test_lists_are_folded_and_hold_no_content():
    assert {"the", "don", "t"} <= function_words("en") and function_words("pt-BR") == function_words("pt_PT")
    assert {"है", "में"} <= function_words("hi") and "ஒரு" in function_words("ta")
    assert all(word == fold(word) for code in TEXTS for word in function_words(code))
