"""What is known of the licences of sources and of families of generators, each with a link and when it was checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_xling.errors import one_line
from hf_xling.hub.values import LICENSES

CHECKED = "November 2026"
_PERMISSIVE = ("apache-2.0", "mit", "bsd-")  # of a base model: what is trained from it may have another licence
_SHARE_ALIKE = ("gpl", "agpl", "lgpl", "gfdl", "odbl", "cdla-sharing", "osl-")
_COPY = "a copy of its licence goes with its materials; here are none, but what they wrote, so there is a link"


@dataclass(frozen=True)
class Terms:
    """What is known of the licence of a source or of a family of generators.

    Attributes:
        name: what the source or family is called.
        pattern: a regular expression that its names and ids match, in lower case.
        title, link, checked: of the licence, where it stands, and when that was checked.
        license: its identifier on the Hub; None where there is none, or none is known.
        custom: whether `license` is the name that a card gives to what the Hub calls `other`.
        notices: lines that a card must show.
        obligations: what is asked of the one who publishes.
        questions: what the licence leaves open.
        free_outputs: of a generator or base model, whether what comes of it has no terms of its own.
        improves_only: of a generator, the only large language models that its output may be used to improve.
        model_prefix: of a generator, how the name of a model that is trained with its materials must begin.
        share_alike: of a source, whether what is made from it must have the same licence.
        non_commercial: of a source, whether it may not be used commercially.
        no_derivatives: of a source, whether nothing that was made from it may be shared.
        language: of a source, its code; None where it is not known here.
        local_only: of a source, why its text must not be republished; None if it may be.
    """

    name: str
    pattern: str
    title: str
    link: str | None
    license: str | None = None
    checked: str | None = CHECKED
    notices: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    free_outputs: bool = False
    improves_only: str | None = None
    model_prefix: str | None = None
    share_alike: bool = False
    non_commercial: bool = False
    no_derivatives: bool = False
    language: str | None = None
    local_only: str | None = None
    custom: bool = False


def _llama(version: str, pattern: str, link: str, built_with: str | None = None, **terms: Any) -> Terms:
    name, meta = f"Llama {version}", "Meta " * (version == "3")
    title = f"{meta}{'LLAMA 2' if version == '2' else name} Community License"
    held = f"{meta}{name} is licensed under the {title}, Copyright © Meta Platforms, Inc. All Rights Reserved."
    notices, asked = ((built_with, held), (f"show “{built_with}”", _COPY)) if built_with else ((held,), (_COPY,))
    return Terms(name, pattern, title, link, f"llama{version}", CHECKED, notices, asked, **terms)


def _apache(name: str, pattern: str) -> Terms:
    link, said = "https://www.apache.org/licenses/LICENSE-2.0", f"Generated with {name}, a model under Apache-2.0."
    asked = "name the model; nothing is asked of what it writes"
    return Terms(name, pattern, "Apache-2.0", link, "apache-2.0", CHECKED, (said,), (asked,), free_outputs=True)


SOURCES = (
    Terms(
        *("SNLI", "^(stanfordnlp/)?snli$", "CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),
        license="cc-by-sa-4.0",
        notices=(
            "Made from SNLI by Samuel R. Bowman, Gabor Angeli, Christopher Potts and Christopher D. Manning (2015, "
            "https://nlp.stanford.edu/projects/snli/), under CC BY-SA 4.0; this card tells how it was changed.",
        ),
        obligations=("name its authors, link to its licence, say what was changed", "share alike"),
        share_alike=True,
        language="en",
    ),
    # Copies of it and files of that name too: where text is barred, one match too many does less harm than one too few.
    Terms(
        *("IMDB", "(?<![a-z])(acl)?imdb(?![a-z])", "none stated", "https://ai.stanford.edu/~amaas/data/sentiment/"),
        obligations=("do not republish its text",),
        local_only="IMDB states no licence for its reviews",
        language="en",
    ),
)
# The first whose pattern is found goes. A size (`llama-3b`) or quantisation (`llama-4bit`) is no version.
_VERSION = r"llama[-_ ]?{}(?![\d.]*b|\d|\.\d)"
_LLAMA_COM = "https://www.llama.com/llama{}/license/"
GENERATORS = (
    *(
        _llama(
            *(version, _VERSION.format(re.escape(version)), _LLAMA_COM.format(version.replace(".", "_"))),
            built_with="Built with Llama",
            model_prefix="Llama",
        )
        for version in ("3.1", "3.2", "3.3", "4")
    ),
    _llama(
        *("3", _VERSION.format("3"), _LLAMA_COM.format("3")),
        built_with="Built with Meta Llama 3",
        questions=(
            "The Llama 3 licence asks for names that begin with “Llama 3” of models trained with its “materials”; "
            "whether what Llama 3 wrote is among them it does not say. Here it is taken to be.",
        ),
        improves_only="Llama 3",
        model_prefix="Llama 3",
    ),
    _llama(
        *("2", _VERSION.format("2") + "|tamil[-_ ]?llama", "https://github.com/meta-llama/llama/blob/main/LICENSE"),
        improves_only="Llama 2",
    ),
    # Only as their makers publish them: others may have trained them further under terms of their own.
    _apache("Mistral 7B", "^(mistralai/)?mistral-7b-"),
    _apache("Qwen 2.5", r"^(qwen/)?qwen2\.5-(0\.5|1\.5|7|14|32)b"),
)


def find_terms(name: str, among: Iterable[Terms]) -> Terms | None:
    """The terms among `SOURCES` or `GENERATORS` that go for this name or id; None if nothing is known of it."""
    return next((terms for terms in among if re.search(terms.pattern, name.lower())), None)


def stated_terms(
    name: str, license: str | None, license_name: str | None, link: str | None, asked: str | None = None
) -> Terms | None:
    """The terms that the card of `name` states, which was written by anybody; None if it states none.

    Args:
        name: of a dataset or model that nothing is known of here.
        license, license_name, link: the card's `license`, `license_name` and `license_link`.
        asked: what it asks beside them of those who want to read it.
    """
    title = license_name if license in (None, "other") else license
    if not title and not asked:
        return None
    has_license = bool(license or license_name)
    title = one_line(title or "none stated", 80)
    identifier = (re.sub(r"[^a-z0-9.+-]+", "-", title.lower()).strip("-.") or None) if has_license else None
    words = set(re.split("[-_ .]", identifier or ""))
    terms = Terms(
        *(
            name,
            "",
            title,
            link if link and re.fullmatch(r"https?://[\w./#?=&%~+-]+", link) else None,
            identifier,
            None,
        ),
        questions=() if identifier else (f"{name}: its card states no licence.",),
        free_outputs=(identifier or "").startswith(_PERMISSIVE),
        # What is none of the Hub's identifiers would be refused there under `license`.
        custom=identifier is not None and (license in (None, "other") or identifier not in LICENSES),
        share_alike="sa" in words or (identifier or "").startswith(_SHARE_ALIKE),
        non_commercial=bool(words & {"nc", "noncommercial"}),
        no_derivatives="nd" in words,
    )
    obligations = [
        *["share alike"] * terms.share_alike,
        *["no commercial use"] * terms.non_commercial,
        *["share nothing made of it"] * terms.no_derivatives,
        *["what its licence asks, which its card states and nobody checked here"] * has_license,
        *([f"who reads it agrees to this, says its card: “{one_line(asked)}”"] if asked else []),
    ]
    return replace(terms, obligations=tuple(obligations))


def known_names(path: str) -> list[str]:
    """The sources whose text is barred by whose name a local file or folder goes: its own, or of a folder it lies in.

    A name alone says nothing of a licence; but where text is barred, one match too many does less harm.
    """
    place = Path(path).resolve()
    found = (find_terms(name, SOURCES) for name in (place.stem, *place.parts[:-4:-1]))
    return list(dict.fromkeys(terms.name for terms in found if terms is not None and terms.local_only))
