"""Languages: their codes, what prompts call them, how to recognise their scripts, and how long their texts are.

The built-in profiles are in `languages.yaml`, one document each; a user's own file has the same form.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from hf_xling.errors import InputError, one_line
from hf_xling.folding import Characters

# Letters and combining marks of the Latin script, with the apostrophe-like letters (02BB, 02BC) of many orthographies.
LATIN = (
    *((0x41, 0x5A), (0x61, 0x7A), (0xAA, 0xAA), (0xBA, 0xBA), (0xC0, 0x2AF), (0x2BB, 0x2BC), (0x300, 0x36F)),
    *((0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF)),
)


@dataclasses.dataclass(frozen=True)
class Language:
    """A language as generation needs it. Where the built-in numbers come from is in `languages.yaml`.

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
        letters = text.translate(self._letters)
        return letters.count("i") / len(letters) if letters else 1.0

    @cached_property
    def _letters(self) -> Characters:
        """Each letter or mark inside the script becomes an `i`, each outside an `o`; all else goes."""

        def becomes(point: int, category: str) -> str | None:
            inside = any(low <= point <= high for low, high in self.script)
            return ("i" if inside else "o") if category[0] in "LM" else None

        return Characters(becomes)


def get_language(code: str, flag: str = "--language") -> Language:
    """The profile of a language: a built-in one by its code, or that in a YAML file by its path.

    Raises:
        InputError: an unknown code, or a file that does not describe a language. The message begins with `flag`, the
            option that gave `code`.
    """
    if not _is_file(code):
        if code in LANGUAGES:
            return LANGUAGES[code]
        raise InputError(
            f"{flag} {code}: no profile of that language; known are {', '.join(LANGUAGES)}; describe another by a file "
            f"({flag} FILE.yaml)"
        )
    where = f"{flag} {code}"
    documents = read_mappings(Path(code), Language, where)
    if len(documents) != 1:
        raise InputError(f"{where}: describes {len(documents)} languages; a file of one is needed")
    return _language(documents[0], where)


def _is_file(code: str) -> bool:
    return code.endswith((".yaml", ".yml"))


@cache
def iso_names() -> Mapping[str, str]:
    """The English name of each language by its ISO 639 code, as the Hub lists them."""
    spec = find_spec("datasets")  # which takes a second to import
    assert spec is not None and spec.origin is not None, "setup.cfg asks for it"
    text = (Path(spec.origin).parent / "utils/resources/languages.json").read_text(encoding="utf-8")
    listed = {code: re.split(r" \(|;", name)[0] for code, name in json.loads(text).items() if len(code) < 4}
    return {code: name.strip() for code, name in listed.items()}


@cache
def _shorter_codes() -> Mapping[str, str]:
    pairs = yaml.safe_load(files(__package__).joinpath("iso639.yaml").read_text("utf-8"))["pairs"].split()
    return dict(zip(pairs[1::2], pairs[::2], strict=True))


def base_code(code: str) -> str:
    """`code` in lower case without region and script: `pt` of `pt-BR`."""
    return re.split("[-_]", code.lower())[0]


def iso_code(code: str) -> str | None:
    """The code for `code` on the Hub, without region and script; None where it is no code of a language.

    ISO 639 has two letters for some languages, which the Hub then wants, and three for all.

    >>> iso_code("pt-BR"), iso_code("tam"), iso_code("Tamil")
    ('pt', 'ta', None)
    """
    base = _shorter_codes().get(base_code(code), base_code(code))
    return base if base in iso_names() else None


def language_name(code: str) -> str:
    """The English name of a language: of its built-in profile, else of ISO 639; the code where neither has one."""
    return LANGUAGES[code].name if code in LANGUAGES else iso_names().get(iso_code(code) or "", code)


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
    """The language that a document of a file describes; without `tokens_per_character` an estimate by its script."""
    values = {key: _checked(key, value, f"{where}, `{key}`") for key, value in mapping.items()}
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
    if key == "code" and not (_CODE.fullmatch(value) and iso_code(value)):
        name = value.strip().casefold()
        nearest = next((code for code, known in iso_names().items() if known.casefold() == name), None)
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
