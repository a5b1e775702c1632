"""Regular expressions that are data: by name, from the YAML files of this folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml


class Patterns:
    """The patterns of a file as attributes, compiled when they are first asked for. Letter case makes no difference.

    In the file, `{name}` means the pattern of that name above, and line breaks are no part of a pattern.

    Args:
        file: the name of the file.
        given: texts that patterns name and that are not in the file.
    """

    def __init__(self, file: str, **given: str):
        self._texts = given
        for name, text in _texts(file).items():
            self._texts[name] = re.sub(r"\{([a-z_]+)\}", lambda reference: self._texts[reference[1]], text)

    def __getattr__(self, name: str) -> re.Pattern[str]:
        if name.startswith("_") or name not in self._texts:
            raise AttributeError(name)
        pattern = self.__dict__[name] = re.compile(self._texts[name], re.IGNORECASE)
        return pattern


@cache
def _texts(file: str) -> Mapping[str, str]:
    texts = yaml.safe_load(files(__package__).joinpath(file).read_text("utf-8"))
    return {name: text.replace("\n", "") for name, text in texts.items()}
