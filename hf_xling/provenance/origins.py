"""Where a corpus or checkpoint comes from: its commit on the Hub or its hash, what its card states, who wrote in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hf_xling.places import STATED, DatasetCard, read_dataset_card, texts
from hf_xling.provenance.generation_run import GenerationRun, ancestry
from hf_xling.provenance.generators import WRITTEN_BY, Generator, from_card, writers
from hf_xling.provenance.terms import SOURCES, Terms, find_terms, known_names, stated_terms
from hf_xling.tables import is_hub_id


@dataclass(frozen=True)
class Corpus:
    """Rows that a model was trained on or measured with.

    Attributes:
        name: its id on the Hub, or the name of the local file or folder.
        revision: its commit on the Hub.
        sha256: of what is local; None of what is on the Hub.
        config, split: which part of it.
        rows: how many, by what they were used for: `train`, `validation`, `test`, `similarity`.
        sources: names of what it was made from; itself where there is nothing else.
        generators: the models that wrote in it.
        languages: of its texts.
        license, license_name, license_link: what its own card states.
        terms: what it asks beside them of those who want to read it.
        citation: BibTeX, of its card.
        questions: what is not certain of this.
    """

    name: str
    revision: str | None = None
    sha256: str | None = None
    config: str | None = None
    split: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    generators: tuple[Generator, ...] = ()
    languages: tuple[str, ...] = ()
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    terms: str | None = None
    citation: str | None = None
    questions: tuple[str, ...] = ()


def corpus_of(
    source: str | None,
    rows: Mapping[str, int],
    columns: Mapping[str, Sequence[Any]],
    config: str | None = None,
    split: str | None = None,
) -> Corpus:
    """What can be told of a corpus that was just read.

    Args:
        source: a file, a folder, or a Hub id; None for a dataset that has no name.
        rows: by use, as of a `Corpus`.
        columns: of the rows that are trained on; those of `WRITTEN_BY` tell who wrote them.
        config, split: that were read.
    """
    found = _dataset(source)
    run = GenerationRun.of_rows(source) if source is not None else None
    of_run = _of_run(run) if run is not None else Corpus("")
    sources, written = (of_run.sources, of_run.generators) if run is not None else from_card(found.front)
    stated = {name: getattr(of_run, name) for name in STATED} if run is not None else found.stated
    name, revision, sha256 = (found.place[part] for part in ("name", "revision", "sha256"))
    questions = [*[f"{name}: its card could not be read."] * found.unread, *of_run.questions]
    sources = sources or _named(found.front)
    if not sources and source is not None and sha256 is not None:
        sources = tuple(known_names(source))
        said = "A corpus was local and goes by the name {}; whether it is that was not checked."
        questions += map(said.format, sources)
    languages = [*filter(None, dict.fromkeys(columns.get("language", ()))), *texts(found.front.get("language"))]
    return Corpus(
        str(name),
        revision,
        sha256,
        config,
        split,
        rows=dict(rows),
        sources=sources or (str(name),),
        generators=tuple(dict.fromkeys([*writers(columns), *written])),
        languages=tuple(dict.fromkeys([*map(str, languages), *of_run.languages])),
        **stated,
        questions=tuple(questions),
    )


def read_origins(
    given: Sequence[str | None],
    called: str | None,
    manifests: Iterable[Mapping[str, Any]] = (),
    config: str | None = None,
) -> list[Corpus]:
    """What a corpus is made of, as stage 2 reads it: the sources, and what runs of stage 1 have recorded of theirs.

    Args:
        given: files, folders and Hub ids.
        called: what the user calls them. A local file has that name; what is on the Hub keeps its own beside it.
        manifests: of the runs.
        config: of a dataset, which was read.
    """
    found = [corpus_of(source, {}, {}, config) for source in dict.fromkeys(given) if source is not None]
    if called is not None:
        is_known = find_terms(called, SOURCES) is not None
        for place, corpus in enumerate(found):
            own = () if corpus.sources == (corpus.name,) and corpus.sha256 is not None else corpus.sources
            sources = tuple(dict.fromkeys([*own, called])) if is_known or not own else own
            found[place] = replace(corpus, sources=sources)
    for recorded in filter(None, map(_recorded, manifests)):
        if recorded.name not in {each.name for each in found}:
            found.append(recorded)
    return found


def source_title(origins: Sequence[Corpus], called: str | None) -> str:
    """What a card calls the source: as the user does (`called`), else what is known by its id, else its id or file."""
    return called or " and ".join(dict.fromkeys(getattr(_known(each), "name", each.name) for each in origins))


def known_source(origins: Sequence[Corpus], called: str | None) -> Terms | None:
    """What is known of the source by the user's name of it (`called`) or by its id; the name of a file says nothing."""
    if called is not None:
        return find_terms(called, SOURCES)
    return next(filter(None, map(_known, origins)), None)


def _known(origin: Corpus) -> Terms | None:
    return find_terms(origin.name, SOURCES) if origin.sha256 is None else None


def licensing_parts(corpora: Iterable[Corpus]) -> tuple[dict[str, Terms | None], list[str | None], list[str]]:
    """For `licences.licensing`: the sources of corpora with the terms that cards state, generators, questions."""
    sources: dict[str, Terms | None] = {}
    generators: dict[str | None, None] = {}
    questions: list[str] = []
    for corpus in corpora:
        # Of a corpus that models wrote in, `other` stands for the chain, whose parts are here one by one.
        is_chain = bool(corpus.generators) and corpus.license == "other"
        stated = None if is_chain else stated_terms(corpus.name, *(getattr(corpus, name) for name in STATED[:4]))
        # What its own card states holds beside what is known of the source that it names.
        known = [find_terms(source, SOURCES) for source in corpus.sources]
        is_more = stated is not None and stated.license not in {terms.license for terms in known if terms}
        for source in (*corpus.sources, *([corpus.name] if is_more and all(known) else [])):
            before = sources.get(source)
            is_another = before is not None and stated is not None and before.license != stated.license
            # Files of different terms can share a name.
            name = f"{source} ({(corpus.sha256 or corpus.revision or 'another')[:8]})" if is_another else source
            sources[name] = sources.get(name) or stated
        generators |= dict.fromkeys(generator.model_id for generator in corpus.generators)
        questions += corpus.questions
    return sources, [*generators], questions


def unnamed_corpus(dataset: Any) -> tuple[Corpus, ...]:
    """What the columns of a `datasets.Dataset` to be trained on tell; nothing where there is none."""
    if dataset is None or not hasattr(dataset, "column_names"):
        return ()
    columns = {name: dataset[name] for name in WRITTEN_BY if name in dataset.column_names}
    return (corpus_of(None, {"train": len(dataset)}, columns),)


def _dataset(source: str | None) -> DatasetCard:
    """Where a dataset lies, and its card."""
    if source is None:
        return DatasetCard({"name": "a dataset that was given in Python", "revision": None, "sha256": None}, {}, {})
    return read_dataset_card(source)


def _named(card: Mapping[str, Any]) -> tuple[str, ...]:
    """The sources that a card's `source_datasets` names; of several names of one source the last, which is an id."""
    names: dict[str, str] = {}
    for entry in texts(card.get("source_datasets")):
        name = entry.removeprefix("extended|")
        if name not in ("original", "extended", "other"):
            terms = find_terms(name, SOURCES)
            names[terms.name if terms else name] = name
    return tuple(names.values())


def _of_run(run: GenerationRun) -> Corpus:
    """Of rows of stage 1 that are read as they are: their source, and the models of all runs behind them."""
    line = ancestry([run])
    found = _recorded(run.manifest) or Corpus("")
    roots = [str(each.manifest.get("input", "")) for each in line.runs if len(each.chain) == 1]
    sources = found.sources or tuple(root if is_hub_id(root) else Path(root).name for root in roots)
    return replace(found, sources=sources, generators=tuple(line.generators))


def _recorded(manifest: Mapping[str, Any]) -> Corpus | None:
    """What a run of stage 1 has recorded of its source; None where that had no card."""
    told = manifest.get("source")
    name = told.get("name") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(name, str):
        return None
    stated: dict[str, Any] = {each: value for each in STATED if isinstance(value := told.get(each), str)}
    questions = (f"{name}: its card could not be read when texts were generated from it.",)
    return Corpus(
        name,
        revision=next(iter(texts(told.get("revision"))), None),
        sources=(name,),
        languages=texts(told.get("languages")),
        questions=questions if told.get("unread") is True else (),
        **stated,
    )
