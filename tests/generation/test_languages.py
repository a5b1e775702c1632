import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.generation.languages import (
    LANGUAGES,
    LATIN,
    Language,
    get_language,
    iso_code,
    iso_names,
    language_code,
    language_name,
)

# Articles 1 (its beginning) and 3 of the Universal Declaration of Human Rights.
SENTENCES = {
    "en": "All human beings are born free and equal; everyone has the right to life, liberty and security.",
    "ta": "மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்; வாழ்வதற்கும் சகலரும் உரிமையுடையோராவர்.",
    "te": "మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు. జీవితరక్షణకు ప్రతి యొకరికిని హక్కు గలదు.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है । हाँ, ज़रूर 100%!",
    "sw": "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Kila mtu ana haki ya kuishi; ng'ombe.",
    "qu": "Lliw runakunam nacesqanchikmantapacha libre kanchik; ñuqanchik, qamkuna, tʼanta, q'uñi, pʼacha.",
}
LATIN_SCRIPT = {"en", "sw", "qu"}
PAIRS = Path(__file__).parents[3] / "shared" / "data" / "tamil_english"
PROFILE = {"code": "kn", "name": "Kannada", "script": ["0C80-0CFF"], "length_factor": 1.1, "tokens_per_character": 1.8}


def naive_script_share(language, text):
    """What `script_share` is defined as."""
    letters = [ord(character) for character in text if unicodedata.category(character)[0] in "LM"]
    if not letters:
        return 1.0
    return sum(any(low <= letter <= high for low, high in language.script) for letter in letters) / len(letters)


@pytest.mark.parametrize("code", LANGUAGES)
@given(text=st.text() | st.text(st.sampled_from("".join(SENTENCES.values()) + "Привет ñʼ 字\u200d\u0308\ud800𝒳")))
def test_the_script_share_is_that_of_letters_and_marks(code, text):
    assert LANGUAGES[code].script_share(text) == naive_script_share(LANGUAGES[code], text)


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_profile_recognises_its_script_and_no_other(code):
    for other, sentence in SENTENCES.items():
        same = code == other or {code, other} <= LATIN_SCRIPT
        assert LANGUAGES[code].script_share(sentence) == (1.0 if same else 0.0)
    mixed = SENTENCES["ta"] + " " + SENTENCES["en"]
    assert (0 < LANGUAGES[code].script_share(mixed) < 1) == (code in LATIN_SCRIPT | {"ta"})


def test_a_text_without_letters_belongs_to_every_script():
    assert LANGUAGES["ta"].script_share("") == LANGUAGES["ta"].script_share("12:30 – 4½ 👍 \u200d") == 1.0


def test_the_built_in_profiles():
    names = {code: language.name for code, language in LANGUAGES.items()}
    assert names == {"en": "English", "ta": "Tamil", "te": "Telugu", "hi": "Hindi", "sw": "Swahili", "qu": "Quechua"}
    assert all(code == language.code for code, language in LANGUAGES.items())
    assert LANGUAGES["en"].length_factor == 1.0
    assert all(0.8 < language.length_factor < 1.3 for language in LANGUAGES.values())
    assert all(0.3 < language.tokens_per_character < 2 for language in LANGUAGES.values())
    assert {code for code, language in LANGUAGES.items() if language.script == LATIN} == LATIN_SCRIPT
    assert get_language("ta") is LANGUAGES["ta"]


@pytest.mark.skipif(not PAIRS.is_dir(), reason="no real data here (CONTRIBUTING.md tells what it is)")
def test_the_factor_of_tamil_is_that_of_real_sentences():
    lengths = {
        side: sum(len(line) for part in ("dev", "devtest", "test") for line in lines(PAIRS / f"{part}.ta-en.{side}"))
        for side in ("ta", "en.0", "en.1", "en.2", "en.3")
    }
    factor = 4 * lengths.pop("ta") / sum(lengths.values())
    assert factor == pytest.approx(LANGUAGES["ta"].length_factor, abs=0.01)


def lines(path):
    return path.read_text("utf-8").splitlines()


def test_languages_are_values():
    language = Language("ta", "Tamil", ((0x0B80, 0x0BFF),), 1.24, 1.5)
    language.script_share("what it has seen is no part of it")
    assert language == LANGUAGES["ta"] and hash(language) == hash(LANGUAGES["ta"])


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "mine.yaml"
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        path.write_text(text, "utf-8")
        return str(path)

    return write


def test_a_file_describes_another_language(write):
    assert get_language(write(PROFILE)) == Language("kn", "Kannada", ((0x0C80, 0x0CFF),), 1.1, 1.8)
    least = get_language(write("code: ee\nname: Ewe\nscript:\n"), flag="--source_language")
    # Latin, the length of English and a high number of tokens where nothing is said
    assert least == Language("ee", "Ewe", LATIN, 1.0, pytest.approx(2 / 3))
    assert least.script_share("Amegbetɔwo katã le ablɔɖe me") == 1.0
    assert get_language(write("code: 'no'\nname: Norwegian\n")).code == "no"
    script = ["1200-137F", "U+2D80-2ddf", "AB01"]
    amharic = get_language(write({"code": "am", "name": " Amharic ", "script": script, "length_factor": 0.8}))
    ranges = ((0x1200, 0x137F), (0x2D80, 0x2DDF), (0xAB01, 0xAB01))
    assert amharic == Language("am", "Amharic", ranges, 0.8, 2.0)
    cyrillic = get_language(write({"code": "ru", "name": "Russian", "script": "0400-04FF"}))
    assert cyrillic.tokens_per_character == pytest.approx(4 / 3)
    assert get_language(write("\ufeffcode: hi\nname: Hindi\nscript: 0900-097F\n")).script == ((0x0900, 0x097F),)


FILE_ERRORS = [
    ("", "a mapping is needed, one `key: value` a line, of code, name, script, length_factor, tokens_per_character"),
    ("- code", "a mapping is needed"),
    ("code: [", "not valid YAML: "),
    ({"code": "kn"}, "`name` is missing"),
    ("name: Kannada\ncode:", "`code` is missing"),
    ({**PROFILE, "lenght_factor": 1}, "unknown key `lenght_factor`; did you mean `length_factor`?"),
    ({**PROFILE, 7: 1}, "unknown key `7`; known are code, name"),
    ({**PROFILE, "name": "  "}, "`name`: a text is needed, not '  '"),
    ("code: no\nname: Norwegian", "`code`: a text is needed, not False (YAML reads some words so: put it in quotes)"),
    ({**PROFILE, "code": "Kannada language"}, "`code`: 'Kannada language' is no language code such as ta or pt-BR"),
    ({**PROFILE, "length_factor": 0}, "`length_factor`: a number above 0 is needed, not 0"),
    ({**PROFILE, "length_factor": "long"}, "`length_factor`: a number above 0 is needed, not 'long'"),
    ({**PROFILE, "tokens_per_character": float("nan")}, "`tokens_per_character`: a number above 0 is needed, not nan"),
    ({**PROFILE, "tokens_per_character": True}, "`tokens_per_character`: a number above 0 is needed, not True"),
    ({**PROFILE, "script": []}, "`script`: a list of code points is needed, such as 0900-097F, not []"),
    ({**PROFILE, "script": 900}, "`script`: a list of code points is needed, such as 0900-097F, not 900"),
    ({**PROFILE, "script": ["0CFF-0C80"]}, "`script`: '0CFF-0C80' is no range of code points such as 0900-097F"),
    ({**PROFILE, "script": ["Kannada"]}, "`script`: 'Kannada' is no range of code points"),
    ({**PROFILE, "script": [1200]}, "`script`: 1200 is no range of code points"),
    ({**PROFILE, "script": ["0C80-110000"]}, "`script`: '0C80-110000' is no range of code points"),
    ("code: kn\nname: Kannada\n---\ncode: ml\nname: Malayalam", "describes 2 languages; a file of one is needed"),
]


@pytest.mark.parametrize(("content", "said"), FILE_ERRORS)
def test_what_is_wrong_with_a_file_is_said_in_one_line(write, content, said):
    path = write(content)
    with pytest.raises(InputError) as caught:
        get_language(path, flag="--source_language")
    message = str(caught.value)
    assert message.startswith(f"--source_language {path}") and said in message and "\n" not in message


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"--language nowhere\.yml: cannot be read: No such file or directory"):
        get_language("nowhere.yml")
    (tmp_path / "latin1.yaml").write_bytes("code: fr\nname: français".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin1.yaml: not valid YAML: 'utf-8' codec"):
        get_language(str(tmp_path / "latin1.yaml"))


def test_an_unknown_code_lists_the_known_and_says_how_to_describe_it():
    with pytest.raises(InputError) as caught:
        get_language("kn")
    known = ", ".join(LANGUAGES)
    assert str(caught.value) == (
        f"--language kn: no profile of that language; known are {known}; describe another by a file "
        "(--language FILE.yaml)"
    )
    with pytest.raises(InputError, match=r"describe another by a file \(--source_language FILE.yaml\)$"):
        get_language("kn", flag="--source_language")


# Codes, and the names that go with them


@pytest.mark.parametrize(
    ("code", "on_the_hub"),
    [("ta", "ta"), ("pt-BR", "pt"), ("zh_Hans", "zh"), ("TAM", "ta"), ("nep", "ne"), ("mai", "mai"), ("cmn", "cmn"),
     *((code, None) for code in ("Tamil", "xx", "jp", "code", "", "t", "xzx", "english"))],
)  # fmt: skip
def test_the_code_of_the_hub(code, on_the_hub):
    assert iso_code(code) == on_the_hub and (on_the_hub is None or on_the_hub in iso_names())


def test_a_language_has_a_name_where_it_has_no_profile():
    told = {code: language_name(code) for code in ("ta", "ne", "si", "nep", "el", "pt-BR", "mai", "zz")}
    assert told == {
        **{"ta": "Tamil", "ne": "Nepali", "si": "Sinhala", "nep": "Nepali", "el": "Modern Greek"},
        **{"pt-BR": "Portuguese", "mai": "Maithili", "zz": "zz"},
    }


def test_a_file_gives_its_own_code(tmp_path):
    (tmp_path / "mine.yaml").write_text("code: ne\nname: Nepali\n")
    assert language_code(str(tmp_path / "mine.yaml"), "--language") == "ne" == language_code("ne", "--language")


@pytest.mark.parametrize(
    ("value", "said"),
    [("Nepali", "did you mean ne?"), ("tamil", "did you mean ta?"), ("xx", "no language"), ("../x/ne", "no language")],
)  # fmt: skip
def test_what_is_no_code_is_told(value, said):
    with pytest.raises(InputError, match=r"^--source_language: ") as error:
        language_code(value, "--source_language")
    assert said in str(error.value)
    with pytest.raises(InputError):
        get_language(value)
