"""Language profiles: what prompts call a language and how to recognise its script."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from hf_xling.errors import InputError


@dataclass(frozen=True)
class Language:
    """A language as generation needs it.

    Attributes:
        code: ISO 639 code, as on the Hub (`ta`).
        name: English name, as prompts say it (`Tamil`).
        script: inclusive Unicode ranges of the letters and marks of its script.
    """

    code: str
    name: str
    script: tuple[tuple[int, int], ...]

    def script_share(self, text: str) -> float:
        """The share of the letters and marks of `text` that belong to this language's script; 1.0 if it has none."""
        letters = [ord(character) for character in text if unicodedata.category(character)[0] in "LM"]
        if not letters:
            return 1.0
        return sum(any(low <= letter <= high for low, high in self.script) for letter in letters) / len(letters)


LATIN = ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x300, 0x36F), (0x1E00, 0x1EFF))

LANGUAGES = {
    language.code: language
    for language in (Language("en", "English", LATIN), Language("ta", "Tamil", ((0x0B80, 0x0BFF),)))
}


def get_language(code: str) -> Language:
    """The profile of the language `code`; an unknown code is an `InputError` that lists the known ones."""
    if code not in LANGUAGES:
        raise InputError(f"--language {code}: no profile of that language; known are {', '.join(LANGUAGES)}")
    return LANGUAGES[code]
