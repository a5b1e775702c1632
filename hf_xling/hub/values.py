"""Values that the Hub refuses, checked before any work."""

from __future__ import annotations

import difflib
import re
from importlib.resources import files

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hf_xling.errors import InputError, one_line

# The Hub's list, https://huggingface.co/docs/hub/repositories-licenses (huggingface/hub-docs, commit 242f4a1 of
# 22 August 2026); no library has it.
LICENSES = frozenset(files(__package__).joinpath("licenses.txt").read_text(encoding="utf-8").split())
# What git takes for the name of a branch or tag, of the characters that need no escape in an address.
_REF = re.compile(r"(?!.*(?:\.\.|\.lock$|\.$))[A-Za-z0-9_][A-Za-z0-9_.-]*")
# What git takes for the name of a branch, or of a reference such as refs/pr/1 (git-check-ref-format).
_REVISION = re.compile(
    r"(?!-|@$|.*(?:\.\.|@\{|//|/\.|\.lock(?:/|$)|[./]$))[^\x00-\x20\x7f~^:?*\[\\/.][^\x00-\x20\x7f~^:?*\[\\]*"
)


def check_license(license: str | None, option: str = "--license") -> None:
    """An `InputError` where `license` is none of the Hub's identifiers; None is no licence."""
    if license is None or license in LICENSES:
        return
    nearest = difflib.get_close_matches(re.sub(r"[\s_]+", "-", license.strip().lower()), LICENSES, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else "such as cc-by-sa-4.0; `other` is for all that are not listed"
    raise InputError(
        f"{option} {one_line(repr(license), 60)}: is no licence identifier of the Hub; {hint} "
        "(https://huggingface.co/docs/hub/repositories-licenses)"
    )


def check_repo_id(name: str | None, kind: str, option: str = "--repo_id") -> None:
    """An `InputError` where the Hub takes no such name of a `kind` (dataset or model); None is no name."""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"{option} {name!r}: is no name of a {kind}: {one_line(error)}") from error


def check_ref(name: str | None, option: str) -> None:
    """An `InputError` where `name` can be no tag; None is no name."""
    if name is not None and not _REF.fullmatch(name):
        raise InputError(
            f"{option} {one_line(name, 60)}: letters, digits, points and dashes are needed, such as v1.0 (and no `..` "
            "in it, no point or `.lock` at its end)"
        )


def check_revision(name: str | None, option: str) -> None:
    """An `InputError` where `name` can be neither branch nor pull request; None is no name."""
    if name is not None and not _REVISION.fullmatch(name):
        raise InputError(
            f"{option} {one_line(name, 60)}: a name of a branch is needed, such as main, feature/x or refs/pr/1 (and "
            "no space, `..`, `~` or `:` in it, no point, slash or `.lock` at its end)"
        )
