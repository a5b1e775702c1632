"""The card of a corpus: what is in it, what made it, what was rejected, and the chain of its licences."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet

import hf_xling
from hf_xling import runs
from hf_xling.corpora.licences import SOURCES, Licensing, Published, find_terms, licensing
from hf_xling.corpora.sources import Generation, Sentences
from hf_xling.errors import InputError
from hf_xling.hub.cards import render_card

if TYPE_CHECKING:
    from hf_xling.corpora.builders import BuildConfig, CorpusSpec

EXAMPLES = 3  # of rejected rows, for each reason
_SHOWN = ("chain", "language", "model_sha", "prompt_id", "prompt", "parameters", "samples", "versions")
_COUNTS = ("rows", "accepted", "rejected", "reasons")
_PATH = re.compile(r"[/~\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|file:")
_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")  # a model's folder in the cache of the Hub
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")


class Run(NamedTuple):
    """A run of stage 1: where it lies, and its `manifest.json`."""

    folder: Path
    manifest: dict[str, Any]


class Lineage(NamedTuple):
    """The runs of stage 1 behind a corpus, each after the one that it read; and the chains whose run is gone."""

    runs: list[Run]
    gone: list[list[str]]


def lineage_of(generations: Sequence[Generation]) -> Lineage:
    """The runs of a corpus, and those that they read in turn: a translated paraphrase is the work of two models.

    A run names what it read by its place as seen from its own folder, and as the user gave it.
    """
    found: dict[Path, Run] = {}
    gone: list[list[str]] = []
    for generation in generations:
        line = [Run(Path(generation.folder), generation.manifest)]
        while len(chain := line[0].manifest["chain"]) > 1:
            parent = _parent(line[0])
            if parent is None:
                gone.append(chain[:-1])
                break
            line.insert(0, parent)
        for run in line:
            found.setdefault(run.folder.resolve(), run)
    return Lineage(list(found.values()), gone)


def _parent(run: Run) -> Run | None:
    record = runs.read_run(run.folder) or {"arguments": {}}
    for place in (run.folder / record["arguments"].get("input", ""), Path(run.manifest.get("input", ""))):
        accepted = place.parent if place.suffix == ".parquet" else place
        try:
            manifest = json.loads((accepted.parent / "manifest.json").read_text(encoding="utf-8"))
            if accepted.name == "accepted" and manifest["chain"] == run.manifest["chain"][:-1]:
                return Run(accepted.parent, manifest)
        except (OSError, ValueError, LookupError, TypeError):
            continue  # no longer there, or another run by now
    return None


@lru_cache
def model_name(model_id: str | None) -> str | None:
    """The name of a model, as it may be published: of a path on somebody's server, what names the model."""
    if model_id is None or not _PATH.match(model_id):
        return model_id
    cached = _CACHED.search(model_id)
    return "/".join(cached.groups()) if cached else re.split(r"[/\\]", model_id.rstrip("/\\"))[-1] or None


def corpus_licensing(spec: CorpusSpec, config: BuildConfig, lineage: Lineage) -> Licensing:
    """The chain of licences of a corpus that holds the text of its source."""
    source, questions = config.source, []
    if Path(config.source).exists():
        called = (Path(config.source).name, config.source_name or spec.source_name)
        source = next((name for name in called if find_terms(name, SOURCES)), called[1])
        if find_terms(source, SOURCES):
            questions.append(
                f"The source was a local file that goes by the name {source}; whether it is that was not checked."
            )
    models = [model_name(run.manifest["model_id"]) for run in lineage.runs]
    for chain in lineage.gone:
        models.append(None)
        questions.append(
            f"The run for {' and then '.join(chain)} is gone: which model wrote what was read is not known."
        )
    published = Published("dataset", config.repo_id)
    return licensing(source, models, published, given=config.license, questions=questions)


def corpus_card(
    spec: CorpusSpec,
    config: BuildConfig,
    language: str,
    sentences: Sentences,
    generations: Sequence[Generation],
    lineage: Lineage,
    chain: Licensing,
    rows: Mapping[str, int],
    columns: Mapping[str, list[str]],
    patterns: Mapping[str, str],
    source_hash: str | None,
) -> str:
    """The card of a corpus.

    Args:
        spec, config, language: what is built; the language is that of the source.
        sentences, source_hash: the source.
        generations, lineage: the runs that are in the corpus, and all runs behind it.
        chain: of licences.
        rows, columns, patterns: of each config: how many, which, and where its files are.
    """
    source_name = config.source_name or spec.source_name
    title = spec.title.format(source=source_name)
    metadata = {
        "pretty_name": title,
        **_languages(spec, language, generations),
        **{name: getattr(chain, name) for name in ("license", "license_name", "license_link")},
        **_origin(config, chain, generations),
        "size_categories": [_SIZES[min(max(len(str(max(rows.values()))) - 3, 0), len(_SIZES) - 1)]],
        "task_categories": ["sentence-similarity"],
        "tags": ["sentence-transformers", "simcse", *(["synthetic"] if generations else [])],
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": patterns[name]}], **default}
            for name, default in zip(rows, ({"default": True}, {}), strict=False)
        ],
    }
    # Rejected rows show text of the source: a card must not publish what the dataset itself must not.
    hidden = any(terms.local_only for terms in chain.components.values())
    facts = {
        "title": title,
        "description": spec.description.format(source=source_name),
        "repo_id": config.repo_id or f"org/{spec.name}",
        "pairs": "pairs" in rows,
        "configs": {name: {"rows": rows[name], "columns": columns[name]} for name in rows},
        "source": Path(config.source).resolve().name if Path(config.source).exists() else config.source,
        "source_hash": source_hash,
        "source_rows": sentences.slots,
        "dropped_empty": sentences.empty,
        "sentences": len(sentences.texts),
        "generations": [_shown(run, hidden) for run in lineage.runs],
        "license": chain,
        "script": f"dataset_scripts/{spec.name}.py",
        "version": hf_xling.__version__,
    }
    return _TOKEN.sub("hf_…", render_card("dataset_card", metadata, facts))


def _languages(spec: CorpusSpec, language: str, generations: Sequence[Generation]) -> dict[str, list[str]]:
    codes = [language] if spec.with_source or generations else []
    codes += [generation.manifest["language"] for generation in generations]
    # The Hub takes codes of ISO 639 and nothing behind them.
    known = [match[0] for code in codes if (match := re.match(r"[a-z]{2,3}(?![a-z])", code.lower()))]
    known = list(dict.fromkeys(known))
    translated = any("translate" in generation.manifest["chain"] for generation in generations)
    several = "translation" if translated else "multilingual"
    return {"language": known, "multilinguality": [several if len(set(codes)) > 1 else "monolingual"]}


def _origin(config: BuildConfig, chain: Licensing, generations: Sequence[Generation]) -> dict[str, list[str]]:
    terms = find_terms(next(iter(chain.components)), SOURCES)
    on_hub = not Path(config.source).exists()
    extended = terms is not None or on_hub or generations
    people = "crowdsourced" if terms is not None and terms.name == "SNLI" else "found"
    return {
        "annotations_creators": ["machine-generated" if generations else "no-annotation"],
        "language_creators": [people, *(["machine-generated"] if generations else [])],
        "source_datasets": [
            f"extended|{terms.name.lower() if terms else 'other'}" if extended else "original",
            *([config.source] if on_hub else []),
        ],
    }


def _shown(run: Run, hidden: bool) -> dict[str, Any]:
    """What the card tells of a run."""
    manifest = run.manifest
    return {
        **{name: manifest[name] for name in (*_SHOWN, *_COUNTS)},
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
        for part in sorted((folder / "rejected").glob("*.parquet")):
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
