"""One script for each published corpus; `hf-xling corpus NAME …` runs them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from hf_xling.errors import InputError

USAGE = """\
usage: hf-xling corpus NAME [options]      (hf-xling corpus NAME --help tells the options)

Build a corpus: a folder of Parquet with a card, which `load_dataset` reads.

"""


def main(argv: Sequence[str]) -> str:
    """Build the corpus that `argv` names with the options behind it, and return the closing lines.

    Raises:
        InputError: no such corpus, or as for `corpora.builders.main`.
    """
    names = sorted(module.name for module in iter_modules(__path__))
    if not argv or argv[0] in ("-h", "--help"):
        return USAGE + "\n".join(f"  {name:<24}{_about(name)}" for name in names)
    name, *options = argv
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean `{nearest[0]}`?" if nearest else f"known are {', '.join(names)}"
        raise InputError(f"unknown corpus `{name}`; {hint}")
    from hf_xling.corpora import builders

    return builders.main(import_module(f"{__name__}.{name}").SPEC, options, f"hf-xling corpus {name}")


def _about(name: str) -> str:
    """The first line of what the script of that name says of itself."""
    return (import_module(f"{__name__}.{name}").__doc__ or "").splitlines()[0]
