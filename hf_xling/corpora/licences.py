"""The chain of licences: what a source and its generators ask of those who publish what was made with them.

What is known stands in `SOURCES` and `GENERATORS`, with a link and when it was checked; what is not known, or what a
licence leaves open, becomes an open question. Nothing here is legal advice.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hf_xling.errors import InputError, one_line

logger = logging.getLogger(__name__)

CHECKED = "November 2026"
NAMELESS = "a model without a name"
_COPY = "a copy of its licence goes with its materials; here are none, but what they wrote, so there is a link"


@dataclass(frozen=True)
class Terms:
    """What is known of the licence of a source or of a family of generators.

    Attributes:
        name: what the source or family is called.
        pattern: a regular expression that its names and ids match, in lower case.
        title, link, checked: of the licence, where it stands, and when that was checked.
        license: its identifier on the Hub; None where there is none, or none is known.
        notices: lines that a card must show.
        obligations: what is asked of the one who publishes.
        questions: what the licence leaves open.
        free_outputs: of a generator, whether what it writes has no terms of its own.
        improves_only: of a generator, the only large language models that its output may be used to improve.
        model_prefix: of a generator, how the name of a model that is trained with its materials must begin.
        share_alike: of a source, whether what is made from it must have the same licence.
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
    local_only: str | None = None


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
    ),
    # Copies of it and files of that name too: where text is barred, one match too many does less harm than one too few.
    Terms(
        *("IMDB", "(?<![a-z])(acl)?imdb(?![a-z])", "none stated", "https://ai.stanford.edu/~amaas/data/sentiment/"),
        obligations=("do not republish its text",),
        local_only="IMDB states no licence for its reviews",
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


@dataclass(frozen=True)
class Published:
    """A dataset or model that is to be published, with its id on the Hub (None while it has none).

    Of a dataset, `source_text` tells whether the text of the source itself stands in it.
    """

    kind: Literal["dataset", "model"]
    name: str | None = None
    source_text: bool = True


@dataclass(frozen=True)
class Licensing:
    """What the chain of licences comes to.

    Attributes:
        published: what it was asked for.
        components: the terms of the source and of each generator, by its name.
        license: the Hub's identifier, given or reduced to; `other` if there is no single one, None if none is known.
        license_name, license_link: where `license` is `other`.
        given: whether `license` was given by the one who publishes.
        notices: lines that the card must show.
        obligations: what each component asks.
        open_questions: what is not settled, or not known here.
        breaches: plain ones, each with the way out.
    """

    published: Published
    components: Mapping[str, Terms]
    license: str | None
    license_name: str | None
    license_link: str | None
    given: bool
    notices: tuple[str, ...]
    obligations: Mapping[str, tuple[str, ...]]
    open_questions: tuple[str, ...]
    breaches: tuple[str, ...]


def find_terms(name: str, among: Iterable[Terms]) -> Terms | None:
    """The terms among `SOURCES` or `GENERATORS` that go for this name or id; None if nothing is known of it."""
    return next((terms for terms in among if re.search(terms.pattern, name.lower())), None)


def licensing(
    source: str,
    generators: Iterable[str | None],
    published: Published,
    *,
    given: str | None = None,
    questions: Sequence[str] = (),
) -> Licensing:
    """What the licences of a source and of generators come to for what is published.

    Args:
        source: its name or Hub id.
        generators: ids of the models whose output it holds, or was trained on; None for one that told no id.
        published: a dataset, or a model with its name.
        given: the licence that the one who publishes states.
        questions: open ones that the caller has already.
    """
    own = None if given == "other" else given
    origin = find_terms(source, SOURCES) or _unknown(source, "the licence of its text", own)
    names = [model or NAMELESS for model in generators]
    makers = {name: find_terms(name, GENERATORS) or _unknown(name, "the licence for what it writes") for name in names}
    components = {source: origin, **makers}
    binding = [terms for terms in makers.values() if not terms.free_outputs]
    license, name = _reduced([origin, *binding], given)
    asked = [*questions, *(question for terms in components.values() for question in terms.questions)]
    return Licensing(
        published,
        components,
        license,
        name,
        _link(published, [*binding, origin]) if name else None,
        given is not None,
        tuple(dict.fromkeys(notice for terms in components.values() for notice in terms.notices)),
        {component: _obligations(terms, published) for component, terms in components.items()},
        tuple(dict.fromkeys([*asked, *_unsettled(origin, makers, published, own)])),
        tuple(_breaches(origin, makers, published)),
    )


def check_publishable(chain: Licensing) -> None:
    """Refuse a plain breach and warn of open questions, where something is about to be published.

    Raises:
        InputError: the Hub takes no such name, or a licence would plainly be broken; the message has the way out.
    """
    name = chain.published.name
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"--repo_id {name!r}: is no name of a {chain.published.kind}: {one_line(error)}") from error
    if chain.breaches:
        raise InputError(one_line(f"--repo_id {name}: cannot be published: {'; '.join(chain.breaches)}", limit=1000))
    for question in chain.open_questions:
        logger.warning("%s: open question of its licences: %s", name, one_line(question, limit=1000))


def _unknown(name: str, what: str, given: str | None = None) -> Terms:
    questions = () if given else (f"{name}: {what} is not known here.",)
    return Terms(name, "", given or "not known here", None, given, None, questions=questions)


def _reduced(terms: Sequence[Terms], given: str | None) -> tuple[str | None, str | None]:
    """The identifier of the whole, and the name of it if that is `other`."""
    licenses = list(dict.fromkeys(each.license for each in terms))
    if given not in (None, "other") or (given is None and (len(terms) == 1 or licenses == [None])):
        return given or licenses[0], None
    return "other", "-and-".join(license or "unstated" for license in licenses)


def _link(published: Published, terms: Iterable[Terms]) -> str | None:
    """The card's own section, which holds all of them; while it has no place, the first of the licences."""
    if published.name and "/" in published.name:
        kind = "datasets/" if published.kind == "dataset" else ""
        return f"https://huggingface.co/{kind}{published.name}#licences"
    return next((each.link for each in terms if each.link), None)


def _obligations(terms: Terms, published: Published) -> tuple[str, ...]:
    whose = "its" if published.kind == "model" else "of a model that is trained on it and shared, the"
    begin = (f"{whose} name begins with “{terms.model_prefix}”",) if terms.model_prefix else ()
    only = (f"what it wrote improves no large language model but {terms.improves_only}",) if terms.improves_only else ()
    return (*terms.obligations, *begin, *only)


def _unsettled(origin: Terms, makers: Mapping[str, Terms], published: Published, given: str | None) -> Iterator[str]:
    model = published.kind == "model"
    bound = {name: terms for name, terms in makers.items() if terms.license and not terms.free_outputs}
    titles = " and the ".join(dict.fromkeys(terms.title for terms in bound.values()))
    for name, terms in bound.items():
        if "/" in name and not name.lower().startswith(("meta-llama/", "abhinand/tamil-llama")):
            yield f"{name} is {terms.name}, trained further: what its own makers ask beyond that is not known here."
    if barred := " and ".join(dict.fromkeys(terms.improves_only for terms in bound.values() if terms.improves_only)):
        what = "this model" if model else "an encoder of BERT's size that is trained on it"
        yield f"What {barred} wrote must improve no other large language model: it is unsettled whether {what} is one."
    if origin.share_alike and model:
        yield f"Whether what is trained on text under {origin.title} must be shared alike is unsettled."
    elif origin.share_alike and bound:
        yield f"{origin.title} bars further terms like those of the {titles}; whether both can be kept is unsettled."
    if origin.local_only and makers and not model:
        yield f"{origin.local_only}: whether what was generated from them may be shared is unsettled."
    if given and origin.share_alike and given != origin.license:
        yield f"The licence that was given is {given}; {origin.name} asks for {origin.license}."
    if given and bound:
        yield f"The licence that was given is {given}; that does not lift the {titles}."


def _breaches(origin: Terms, makers: Mapping[str, Terms], published: Published) -> Iterator[str]:
    if published.kind == "dataset" and published.source_text and origin.local_only:
        yield (
            f"it holds text of {origin.name}, and {origin.local_only}; publish a dataset without that text (ratings by "
            "review id), or leave out --repo_id and keep the folder to yourself"
        )
    if published.kind == "model" and published.name:
        name, asked = published.name.split("/")[-1], {terms.model_prefix: model for model, terms in makers.items()}
        if lacking := [prefix for prefix in asked if prefix and not _begins(name, prefix)]:
            prefix = max(lacking, key=len)  # a name that begins with `Llama 3` begins with `Llama` as well
            better = published.name.removesuffix(name) + f"{prefix.replace(' ', '-')}-{name}"
            yield (
                f"{asked[prefix]} had a part in it, and its licence asks for a name that begins with “{prefix}”; "
                f"call it {better}, or train on what another model wrote"
            )


def _begins(name: str, prefix: str) -> bool:
    """Whether the name of a repo, which can have no spaces, begins with `prefix`."""
    end = r"(?!\d)" if prefix[-1].isdigit() else r"(?![a-z])"
    return re.match("[._-]?".join(prefix.lower().split()) + end, name.lower()) is not None
