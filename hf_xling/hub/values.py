"""Values that the Hub refuses, checked before any work."""

from __future__ import annotations

import difflib
import re

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hf_xling.errors import InputError, one_line

# The Hub's list, https://huggingface.co/docs/hub/repositories-licenses (huggingface/hub-docs, commit 242f4a1 of
# 22 August 2026); no library has it.
LICENSES = frozenset(
    """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
    bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc
    cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0
    cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1
    eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c
    ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openmdw-1.1 openrail++ osl-3.0 postgresql
    ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2
    llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown other
    """.split()  # noqa: SIM905
)
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
