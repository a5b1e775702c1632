"""The card of a corpus: what is in it, what made it, what was rejected, and the chain of its licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet

import hf_xling
from hf_xling import runs
from hf_xling.corpora.duplicates import SHINGLE, Duplicates
from hf_xling.corpora.joined import NEGATIVE_GROUP, Joined
from hf_xling.corpora.sources import Sentences
from hf_xling.errors import InputError
from hf_xling.generation.languages import iso_code
from hf_xling.hub.cards import counts_table, render_card, renew_part
from hf_xling.hub.names import model_name
from hf_xling.provenance.generated import Generation, Lineage, Run
from hf_xling.provenance.generators import CARD_KEY, Generator, for_card, run_generator
from hf_xling.provenance.licences import Licensing, Published, licensing
from hf_xling.provenance.origins import Corpus, licensing_parts
from hf_xling.provenance.terms import SOURCES, find_terms
from hf_xling.quality.audit import audit_facts
from hf_xling.quality.review import review_facts
from hf_xling.tables import is_hub_id, table_files

if TYPE_CHECKING:
    from hf_xling.corpora.builders import BuildConfig, CorpusSpec

EXAMPLES = 3  # of rejected rows, for each reason
_SHOWN = ("chain", "language", "model_sha", "prompt_id", "prompt", "parameters", "samples", "versions")
_COUNTS = ("rows", "accepted", "rejected", "reasons")
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")


class Facts(NamedTuple):
    """What a card tells of a corpus beside its spec and its config.

    Attributes:
        origins: of the source, as `origins.read_origins` has read them.
        called: what the source is called.
        language: of the source, a code; None where nobody states it.
        into: the name of the language of the translations; None where there are none.
        sentences: of the source.
        generations, lineage: the runs that are in the corpus, and all runs behind it.
        licences: the chain of them.
        joined, duplicates: its rows, and what was found among their texts.
        files: of each config, its `data_files`.
    """

    origins: Sequence[Corpus]
    called: str
    language: str | None
    into: str | None
    sentences: Sentences
    generations: Sequence[Generation]
    lineage: Lineage
    licences: Licensing
    joined: Joined
    duplicates: Duplicates
    files: Mapping[str, list[dict[str, str]]]

    def repo_id(self, spec: CorpusSpec, config: BuildConfig) -> str:
        """What the card calls the corpus; where it is pushed under another name, that is put in its place."""
        return config.repo_id or f"org/{spec.corpus_name(self.into).replace('_', '-')}"


def corpus_licensing(config: BuildConfig, lineage: Lineage, origins: Sequence[Corpus]) -> Licensing:
    """The chain of licences of a corpus that holds the text of its sources, `origins`."""
    sources, models, questions = licensing_parts(origins)
    models += [model_name(run.manifest["model_id"]) for run in lineage.runs]
    for chain in lineage.gone:
        models.append(None)
        questions.append(
            f"The run for {' and then '.join(chain)} is gone: which model wrote what was read is not known."
        )
    published = Published("dataset", config.repo_id)
    return licensing(sources, models, published, given=config.license, questions=[*dict.fromkeys(questions)])


def corpus_card(spec: CorpusSpec, config: BuildConfig, facts: Facts) -> str:
    """The card of a corpus."""
    licences = facts.licences
    called = {"source": facts.called, "language": facts.into or "another language"}
    rows = {name: len(facts.joined.tables[name]) for name in facts.files}
    metadata = {
        "pretty_name": spec.title.format(**called),
        **_languages(spec, facts),
        **{name: getattr(licences, name) for name in ("license", "license_name", "license_link")},
        **_origin(licences, facts.generations),
        CARD_KEY: for_card(licences.sources, _generators(facts.lineage, facts.origins)),
        "size_categories": [size_category(max(rows.values(), default=0))],
        "task_categories": ["sentence-similarity"],
        "tags": ["sentence-transformers", "simcse", *(["synthetic"] if facts.generations else [])],
        "configs": [
            {"config_name": name, "data_files": files, **({"default": True} if name == "sentences" else {})}
            for name, files in facts.files.items()
        ],
    }
    # Rejected rows show text of the source: a card must not publish what the dataset itself must not.
    hidden = any(terms.local_only for terms in licences.components.values())
    shown = {
        "title": metadata["pretty_name"],
        "description": spec.description.format(**called),
        "repo_id": facts.repo_id(spec, config),
        "configs": {
            name: {"splits": [file["split"] for file in files], "columns": _columns(facts.joined.tables[name])}
            for name, files in facts.files.items()
        },
        "sources": facts.origins,
        "citations": [*dict.fromkeys(origin.citation for origin in facts.origins if origin.citation)],
        "config": config,
        "language": facts.language,
        "with_source": spec.with_source,
        "splits": [row["split"] for row in facts.joined.counts if row["config"] == "sentences"],
        "leaked": sum(map(len, facts.duplicates.leaked.values())),
        "chains": [" and then ".join(generation.manifest["chain"]) for generation in facts.generations],
        "of_source": [model for origin in facts.origins for each in origin.generators if (model := each.model_id)],
        "snli": "SNLI" in {terms.name for terms in licences.components.values()},
        "counts": {name: counts_table(counts) for name, counts in all_counts(facts.sentences, facts.joined).items()},
        "strangers": [count for count in facts.joined.strangers if count],
        "duplicates": facts.duplicates,
        "shingle": SHINGLE,
        "generations": [_shown(run, hidden) for run in facts.lineage.runs],
        **_reviews(facts.lineage),
        "audit": audit_facts(config.output_dir),
        "license": licences,
        "script": f"dataset_scripts/{spec.name}.py",
        "version": hf_xling.__version__,
    }
    return render_card("dataset_card", metadata, shown)


def renew_reviews(folder: Path, lineage: Lineage) -> None:
    """Put into the card of a finished corpus what reviews of its runs have found since."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    renewed = renew_part(card, "_review", _reviews(lineage))
    if renewed != card:
        runs.write_text(folder / "README.md", renewed)


def _reviews(lineage: Lineage) -> dict[str, Any]:
    return {"reviews": [found for run in lineage.runs if (found := review_facts(run.folder))]}


def all_counts(sentences: Sentences, joined: Joined) -> dict[str, list[dict[str, Any]]]:
    """From the rows of the source to those that are published: `source`, and by config; a row for each split."""
    configs = {name: [row for row in joined.counts if row["config"] == name] for name in joined.tables}
    found = {
        name: [{key: value for key, value in row.items() if key != "config"} for row in rows]
        for name, rows in configs.items()
        if rows
    }
    return {"source": sentences.counts, **found}


def _columns(table: pyarrow.Table) -> list[str]:
    return [name for name in table.column_names if name not in ("split", NEGATIVE_GROUP)]


def _languages(spec: CorpusSpec, facts: Facts) -> dict[str, list[str]]:
    codes = [facts.language] if spec.with_source or facts.generations else []
    codes += [generation.manifest["language"] for generation in facts.generations]
    if None in codes:
        return {"language": [code for code in map(iso_code, filter(None, codes)) if code]}
    known = [*dict.fromkeys(code for code in map(iso_code, codes) if code)]
    several = "translation" if facts.into else "multilingual"
    return {"language": known, "multilinguality": [several if len(set(codes)) > 1 else "monolingual"]}


def _origin(chain: Licensing, generations: Sequence[Generation]) -> dict[str, list[str]]:
    known = {name: find_terms(name, SOURCES) for name in chain.sources}
    crowd = [terms.name for terms in known.values() if terms is not None and terms.name == "SNLI"]
    ids = [name for name in chain.sources if is_hub_id(name) and "/" in name]
    extended = [f"extended|{terms.name.lower()}" for terms in known.values() if terms is not None]
    return {
        "annotations_creators": ["machine-generated" if generations else "no-annotation"],
        "language_creators": ["crowdsourced"] * bool(crowd) + ["machine-generated"] * bool(generations),
        "source_datasets": [*dict.fromkeys([*extended, *ids])],
    }


def _generators(lineage: Lineage, origins: Sequence[Corpus]) -> list[Generator]:
    of_sources = [generator for origin in origins for generator in origin.generators]
    gone = [Generator(task=chain[-1]) for chain in lineage.gone]
    return [*of_sources, *(run_generator(run.manifest) for run in lineage.runs), *gone]


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows."""
    return _SIZES[min(max(len(str(rows)) - 3, 0), len(_SIZES) - 1)]


def _shown(run: Run, hidden: bool) -> dict[str, Any]:
    """What the card tells of a run."""
    manifest = run.manifest
    return {
        **{name: manifest[name] for name in (*_SHOWN, *_COUNTS)},
        "asked": f"{manifest['prompt_id']} {manifest['samples']} {manifest['parameters']}",
        "model_id": model_name(manifest["model_id"]),
        "examples": {} if hidden else rejected_examples(run.folder, manifest["reasons"]),
        "filters": {**manifest["filters"], "similarity_model": model_name(manifest["filters"]["similarity_model"])},
    }


def rejected_examples(folder: Path, reasons: Mapping[str, int]) -> dict[str, list[dict[str, str | None]]]:
    """Up to `EXAMPLES` rejected rows of a run for each of its reasons, as `source_text` and `text`, in their order.

    Args:
        folder: of the run.
        reasons: how many rows there are for each; reading ends when there is nothing more to find.

    Raises:
        InputError: its rejected rows cannot be read.
    """
    found: dict[str, list[dict[str, str | None]]] = {reason: [] for reason in reasons}
    try:
        for part in table_files(folder / "rejected"):
            with pyarrow.parquet.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=4096, columns=["source_text", "text", "reason"]):
                    for row in batch.to_pylist():
                        examples = found.get(row.pop("reason").split(":")[0], [])  # behind it: what the endpoint said
                        if len(examples) < EXAMPLES and row not in examples:
                            examples.append(row)
                    if all(len(found[reason]) >= min(count, EXAMPLES) for reason, count in reasons.items()):
                        return found
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"--generated {folder}: its rejected rows cannot be read") from error
    return found
