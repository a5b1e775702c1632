"""The chain of licences: what a source and its generators ask of those who publish what was made with them.

What is known stands in `terms`, with a link and when it was checked; what is not known, or what a licence leaves open,
becomes an open question. Nothing here is legal advice.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hf_xling.errors import InputError, one_line
from hf_xling.hub.values import check_repo_id
from hf_xling.provenance.terms import GENERATORS, SOURCES, Terms, find_terms

logger = logging.getLogger(__name__)

NAMELESS = "a model without a name"


@dataclass(frozen=True)
class Published:
    """A dataset or model that is to be published, with its id on the Hub (None while it has none)."""

    kind: Literal["dataset", "model"]
    name: str | None = None


@dataclass(frozen=True)
class Licensing:
    """What the chain of licences comes to.

    Attributes:
        published: what it was asked for.
        components: the terms of each source, of each generator and of the base model, by its name.
        sources: which of them are sources.
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
    sources: tuple[str, ...]
    license: str | None
    license_name: str | None
    license_link: str | None
    given: bool
    notices: tuple[str, ...]
    obligations: Mapping[str, tuple[str, ...]]
    open_questions: tuple[str, ...]
    breaches: tuple[str, ...]

    @property
    def front(self) -> dict[str, str | None]:
        """The front matter of a card: `license`, `license_name` and `license_link`."""
        return {name: getattr(self, name) for name in ("license", "license_name", "license_link")}

    @property
    def local_only(self) -> str | None:
        """Why the text of a source must not be republished; None if it may be."""
        return next((terms.local_only for terms in self.components.values() if terms.local_only), None)


def licensing(
    source: str | Mapping[str, Terms | None],
    generators: Iterable[str | None],
    published: Published,
    *,
    bases: Mapping[str, Terms | None] | None = None,
    given: str | None = None,
    questions: Sequence[str] = (),
) -> Licensing:
    """What the licences of sources, generators and base models come to for what is published.

    Args:
        source: its name or Hub id; or several, each with the terms that its card states, which go where nothing is
            known of it here.
        generators: ids of the models whose output it holds, or was trained on; None for one that told no id.
        published: a dataset, or a model with its name.
        bases: of a model, the checkpoints whose weights it started from, each with the terms that its card states.
        given: the licence that the one who publishes states.
        questions: open ones that the caller has already.
    """
    own = None if given == "other" else given
    sources = {source: None} if isinstance(source, str) else source
    origins = {
        name: find_terms(name, SOURCES) or terms or _unknown(name, "the licence of its text", own)
        for name, terms in sources.items()
    }
    names = [model or NAMELESS for model in generators]
    makers = {name: find_terms(name, GENERATORS) or _unknown(name, "the licence for what it writes") for name in names}
    for name, terms in (bases or {}).items():
        makers.setdefault(name, _of_weights(name) or terms or _unknown(name, "the licence of its weights"))
    components = {**origins, **makers}
    binding = [terms for terms in makers.values() if not terms.free_outputs]
    license, license_name = _reduced([*origins.values(), *binding], given)
    asked = [question for terms in components.values() for question in terms.questions]
    unsettled = _unsettled([*origins.values()], makers, published, own)
    return Licensing(
        published,
        components,
        tuple(origins),
        license,
        license_name,
        _link(published, [*binding, *origins.values()]) if license_name else None,
        given is not None,
        tuple(dict.fromkeys(notice for terms in components.values() for notice in terms.notices)),
        {component: _obligations(terms, published) for component, terms in components.items()},
        tuple(dict.fromkeys([*questions, *asked, *unsettled])),
        tuple(_breaches(origins, makers, published)),
    )


def check_publishable(chain: Licensing) -> None:
    """Refuse a plain breach and warn of open questions, where something is about to be published.

    Raises:
        InputError: the Hub takes no such name, or a licence would plainly be broken; the message has the way out.
    """
    name = chain.published.name
    check_repo_id(name, chain.published.kind)
    if chain.breaches:
        raise InputError(one_line(f"--repo_id {name}: cannot be published: {'; '.join(chain.breaches)}", limit=1000))
    for question in chain.open_questions:
        logger.warning("%s: open question of its licences: %s", name, one_line(question, limit=1000))


def _unknown(name: str, what: str, given: str | None = None) -> Terms:
    questions = () if given else (f"{name}: {what} is not known here.",)
    return Terms(name, "", given or "not known here", None, given, None, questions=questions)


def _of_weights(name: str) -> Terms | None:
    """What is known of a base model: its family writes, but here nothing was generated with it."""
    terms = find_terms(name, GENERATORS)
    if terms is None or not terms.free_outputs:
        return terms
    return replace(terms, notices=(), obligations=("keep its notices",))


def _reduced(terms: Sequence[Terms], given: str | None) -> tuple[str | None, str | None]:
    """The identifier of the whole, and the name of it if that is `other`."""
    licenses = list(dict.fromkeys(each.license for each in terms))
    single = len(licenses) < 2 and not any(each.custom for each in terms)
    if given not in (None, "other") or (given is None and single):
        return given or next(iter(licenses), None), None
    return "other", "-and-".join(license or "unstated" for license in licenses)


def _link(published: Published, terms: Iterable[Terms]) -> str | None:
    """The card's own section, which holds all of them; while it has no place, the licence where it is a single one."""
    if published.name and "/" in published.name:
        kind = "datasets/" if published.kind == "dataset" else ""
        return f"https://huggingface.co/{kind}{published.name}#licences"
    links = {(each.license, each.link) for each in terms}
    return next(iter(links))[1] if len(links) == 1 else None


def _obligations(terms: Terms, published: Published) -> tuple[str, ...]:
    whose = "its" if published.kind == "model" else "of a model that is trained on it and shared, the"
    begin = (f"{whose} name begins with “{terms.model_prefix}”",) if terms.model_prefix else ()
    only = (f"what it wrote improves no large language model but {terms.improves_only}",) if terms.improves_only else ()
    return (*terms.obligations, *begin, *only)


def _unsettled(
    origins: Sequence[Terms], makers: Mapping[str, Terms], published: Published, given: str | None
) -> Iterator[str]:
    model = published.kind == "model"
    bound = {name: terms for name, terms in makers.items() if terms.license and not terms.free_outputs}
    titles = " and the ".join(dict.fromkeys(terms.title for terms in bound.values()))
    for name, terms in bound.items():
        if terms.pattern and "/" in name and not name.lower().startswith(("meta-llama/", "abhinand/tamil-llama")):
            yield f"{name} is {terms.name}, trained further: what its own makers ask beyond that is not known here."
    if barred := " and ".join(dict.fromkeys(terms.improves_only for terms in bound.values() if terms.improves_only)):
        what = "this model" if model else "an encoder of BERT's size that is trained on it"
        yield f"What {barred} wrote must improve no other large language model: it is unsettled whether {what} is one."
    for origin in origins:
        if origin.share_alike and model:
            yield f"Whether what is trained on text under {origin.title} must be shared alike is unsettled."
        elif origin.share_alike and bound:
            both = f"like those of the {titles}; whether both can be kept is unsettled."
            yield f"{origin.title} bars further terms {both}"
        if origin.local_only and makers and not model:
            yield f"{origin.local_only}: whether what was generated from them may be shared is unsettled."
        if model and origin.no_derivatives:
            yield f"Whether what is trained on text under {origin.title} is made from it is unsettled."
        elif origin.no_derivatives and not makers:
            yield f"{origin.title} bars sharing what is made from {origin.name}: is another form of it that?"
        if given and origin.share_alike and given != origin.license:
            yield f"The licence that was given is {given}; {origin.name} asks for {origin.license}."
        elif given and origin.non_commercial and "nc" not in given.split("-"):
            yield f"The licence that was given is {given}; {origin.title}, that of {origin.name}, bars commercial use."
    if given and bound:
        yield f"The licence that was given is {given}; that does not lift the {titles}."


def _breaches(origins: Mapping[str, Terms], makers: Mapping[str, Terms], published: Published) -> Iterator[str]:
    for source, terms in origins.items() if published.kind == "dataset" else ():
        if terms.local_only:
            yield (
                f"it holds text of {source}, and {terms.local_only}; publish the model that is trained on it instead, "
                "or a dataset without that text (ratings by review id), or leave out --repo_id and keep the folder to "
                "yourself"
            )
        if terms.no_derivatives and makers:
            yield (
                f"it holds what was made from {source}, and {terms.title} bars sharing that; generate from another "
                "source, or leave out --repo_id and keep the folder to yourself"
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
