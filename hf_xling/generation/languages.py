"""Language profiles: what prompts call a language, how to recognise its script, and how long its texts are.

The built-in profiles are in `languages.yaml`, one document each; a user's own file has the same form.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from hf_xling.errors import InputError, one_line
from hf_xling.generation import iso639

# Letters and combining marks of the Latin script, with the apostrophe-like letters (02BB, 02BC) of many orthographies.
LATIN = (
    *((0x41, 0x5A), (0x61, 0x7A), (0xAA, 0xAA), (0xBA, 0xBA), (0xC0, 0x2AF), (0x2BB, 0x2BC), (0x300, 0x36F)),
    *((0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF)),
)


@dataclasses.dataclass(frozen=True)
class Language:
    """A language as generation needs it. Where the built-in numbers come from stands in `languages.yaml`.

    Attributes:
        code: ISO 639 code, as on the Hub (`ta`).
        name: English name, as prompts say it (`Tamil`).
        script: inclusive Unicode ranges of the letters and marks of its script.
        length_factor: characters (code points) of a text in this language to those of its English original.
        tokens_per_character: tokens that a model spends on a character, a high estimate over tokenizers.
    """

    code: str
    name: str
    script: tuple[tuple[int, int], ...] = LATIN
    length_factor: float = 1.0
    tokens_per_character: float = 2.0

    def script_share(self, text: str) -> float:
        """The share of the letters and marks of `text` that belong to this language's script; 1.0 if it has none."""
        letters = text.translate(self._letter_classes)
        return letters.count(_INSIDE) / len(letters) if letters else 1.0

    @cached_property
    def _letter_classes(self) -> _LetterClasses:
        return _LetterClasses(self.script)


_INSIDE, _OUTSIDE = "i", "o"


class _LetterClasses(dict[int, str | None]):
    """A table for `str.translate`: code point → in the script, outside of it, or None for what is no letter or mark.

    It fills itself, so that each character is looked up in the Unicode tables once and not a million times.
    """

    def __init__(self, script: tuple[tuple[int, int], ...]):
        super().__init__()
        self._script = script

    def __missing__(self, point: int) -> str | None:
        if unicodedata.category(chr(point))[0] not in "LM":
            self[point] = None
        else:
            self[point] = _INSIDE if any(low <= point <= high for low, high in self._script) else _OUTSIDE
        return self[point]


def get_language(
    code: str,
    *,
    flag: str = "--language",
    name: str | None = None,
    script: Sequence[str] | None = None,
    length_factor: float | None = None,
) -> Language:
    """The profile of a language.

    Args:
        code: the code of a built-in profile, the path of a YAML file that describes a language (it ends in `.yaml` or
            `.yml`), or any other code, together with a `name`.
        flag: the option that gave `code`; those of the other arguments are `{flag}_name`, `{flag}_script` and
            `--length_factor`. Errors name them.
        name, script, length_factor: what to put in place of the profile's own. A script is a list of code points
            and ranges of them in hexadecimal (`["0900-097F", "1CD0-1CFF"]`). A language without a profile gets the
            Latin script and a factor of 1 where they are not given.

    Raises:
        InputError: an unknown code without a name, a file that does not describe a language, or a bad value.
    """
    flags = {"name": f"{flag}_name", "script": f"{flag}_script", "length_factor": "--length_factor"}
    values = {"name": name, "script": script, "length_factor": length_factor}
    given = {key: _checked(key, value, flags[key]) for key, value in values.items() if value is not None}
    if _is_file(code):
        where = f"{flag} {code}"
        documents = read_mappings(Path(code), Language, where)
        if len(documents) != 1:
            raise InputError(f"{where}: describes {len(documents)} languages; a file of one is needed")
        language = _language(documents[0], where)
    elif code in LANGUAGES:
        language = LANGUAGES[code]
    elif "name" in given:
        return _described({"code": _checked("code", code, flag), **given})
    else:
        # Those options exist for the language of the answers; the source's is described by a file.
        options = f"{flags['name']}, {flags['script']} and --length_factor, or by " if flag == "--language" else ""
        raise InputError(
            f"{flag} {code}: no profile of that language; known are {', '.join(LANGUAGES)}; "
            f"describe another by {options}a file ({flag} FILE.yaml)"
        )
    return dataclasses.replace(language, **given) if given else language


def _is_file(code: str) -> bool:
    return code.endswith((".yaml", ".yml"))


def language_name(code: str) -> str:
    """The English name of a language: of its built-in profile, else of ISO 639; the code where neither has one."""
    return LANGUAGES[code].name if code in LANGUAGES else iso639.names().get(iso639.iso_code(code) or "", code)


def language_code(value: str, flag: str) -> str:
    """The code of the language that an option gives by its code or, as for `get_language`, by a file.

    Raises:
        InputError: it is no code of a language, or the file describes none. The message begins with `flag`.
    """
    return get_language(value, flag=flag).code if _is_file(value) else _checked("code", value, flag)


def read_mappings(path: Path | Traversable, dtype: type, where: str) -> list[dict[str, Any]]:
    """The mappings in the YAML file at `path`, one a document, whose keys are fields of the dataclass `dtype`.

    A key without a value counts as absent.

    Raises:
        InputError: no such file, no YAML, no mapping, an unknown key, or none for a field without a default. The
            message begins with `where`.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2024-13-40
        raise InputError(f"{where}: not valid YAML: {one_line(error)}") from error
    specs = {spec.name: spec for spec in dataclasses.fields(dtype)}
    mappings = []
    for document in documents or [None]:
        if not isinstance(document, dict):
            raise InputError(f"{where}: a mapping is needed, one `key: value` a line, of {', '.join(specs)}")
        for key in document:
            if key not in specs:
                nearest = difflib.get_close_matches(str(key), specs, n=1)
                hint = f"did you mean `{nearest[0]}`?" if nearest else f"known are {', '.join(specs)}"
                raise InputError(f"{where}: unknown key `{key}`; {hint}")
        mapping = {key: value for key, value in document.items() if value is not None}
        for key, spec in specs.items():
            if spec.default is dataclasses.MISSING and key not in mapping:
                raise InputError(f"{where}: `{key}` is missing")
        mappings.append(mapping)
    return mappings


def _language(mapping: Mapping[str, Any], where: str) -> Language:
    """The language that a document of a file describes."""
    return _described({key: _checked(key, value, f"{where}, `{key}`") for key, value in mapping.items()})


def _described(values: Mapping[str, Any]) -> Language:
    """The language of checked `values`; one without `tokens_per_character` gets an estimate by its script."""
    # LLaMA 3's tokenizer, which works on bytes, needs from 0.2 (English, Hindi) to 0.65 (Telugu) tokens for one.
    letter = chr(values.get("script", LATIN)[0][0])
    return Language(**{"tokens_per_character": len(letter.encode("utf-8", "surrogatepass")) * 2 / 3, **values})


_CODE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
_RANGE = re.compile(r"(?:U\+)?([0-9A-F]{4,6})(?:-(?:U\+)?([0-9A-F]{4,6}))?", re.IGNORECASE)


def _checked(key: str, value: Any, where: str) -> Any:
    """`value` as the field `key` of a `Language`; messages of what it cannot be begin with `where`."""
    if key == "script":
        return _ranges(value, where)
    if key in ("length_factor", "tokens_per_character"):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise InputError(f"{where}: a number above 0 is needed, not {value!r}")
        return float(value)
    if not isinstance(value, str) or not value.strip():
        hint = " (YAML reads some words so: put it in quotes)" if isinstance(value, bool) else ""
        raise InputError(f"{where}: a text is needed, not {value!r}{hint}")
    if key == "code" and not (_CODE.fullmatch(value) and iso639.iso_code(value)):
        nearest = iso639.nearest_code(value)
        hint = f"; did you mean {nearest}?" if nearest else ""
        raise InputError(f"{where}: {value!r} is no language code such as ta or pt-BR{hint}")
    return value.strip()


def _ranges(value: Any, where: str) -> tuple[tuple[int, int], ...]:
    """The code points of `value`, ranges in hexadecimal."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or not texts:
        raise InputError(f"{where}: a list of code points is needed, such as 0900-097F, not {value!r}")
    ranges = []
    for text in texts:
        match = _RANGE.fullmatch(text) if isinstance(text, str) else None
        low, high = (int(point or match[1], 16) for point in match.groups()) if match else (1, 0)
        if not low <= high <= 0x10FFFF:
            raise InputError(f"{where}: {text!r} is no range of code points such as 0900-097F")
        ranges.append((low, high))
    return tuple(ranges)


def _built_in() -> dict[str, Language]:
    mappings = read_mappings(files(__package__).joinpath("languages.yaml"), Language, "languages.yaml")
    languages = [_language(mapping, "languages.yaml") for mapping in mappings]
    return {language.code: language for language in languages}


LANGUAGES: Mapping[str, Language] = MappingProxyType(_built_in())
