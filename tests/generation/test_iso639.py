"""Codes of languages, and the names that go with them."""

import pytest

from hf_xling.errors import InputError
from hf_xling.generation.iso639 import iso_code, names
from hf_xling.generation.languages import get_language, language_code, language_name


@pytest.mark.parametrize(
    ("code", "on_the_hub"),
    [("ta", "ta"), ("pt-BR", "pt"), ("zh_Hans", "zh"), ("TAM", "ta"), ("nep", "ne"), ("mai", "mai"), ("cmn", "cmn"),
     *((code, None) for code in ("Tamil", "xx", "jp", "code", "", "t", "xzx", "english"))],
)  # fmt: skip
def test_the_code_of_the_hub(code, on_the_hub):
    assert iso_code(code) == on_the_hub and (on_the_hub is None or on_the_hub in names())


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
        get_language(value, name="Some language")
