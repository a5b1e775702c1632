"""Text corpora: source sentences and what runs of stage 1 made of them, joined by lineage."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute as pc

from hf_xling import runs
from hf_xling.corpora.builders import CorpusBuilder, CorpusConfig, CorpusSpec, Splits, check_filled
from hf_xling.corpora.duplicates import find_duplicates
from hf_xling.corpora.joined import TEXTS, join, of_split, texts_by_split
from hf_xling.corpora.sources import SPLITS, Sentences, read_sentences
from hf_xling.errors import InputError
from hf_xling.generation.languages import iso_code, language_name
from hf_xling.hub.cards import counts_table, renew_part
from hf_xling.hub.names import model_name
from hf_xling.provenance.generation_run import PROVENANCE, GenerationRun
from hf_xling.provenance.terms import SOURCES, find_terms
from hf_xling.quality.audit import FOLDER, audit_facts, task_counts, write_audit
from hf_xling.quality.review import review_facts
from hf_xling.quality.sides import corpus_sides
from hf_xling.recipes import option
from hf_xling.tables import check_once, is_hub_id

EXAMPLES = 3  # of rejected rows, for each reason
# Of a manifest.
_SHOWN = (
    *("chain", "language", "model_sha", "prompt_id", "prompt", "parameters", "samples", "versions"),
    *("rows", "accepted", "rejected", "reasons"),
)
_ROWS_PER_BATCH = 10_000  # of the audit

_COMMON = {"group": pyarrow.int64(), **dict.fromkeys(PROVENANCE, pyarrow.string())}
SCHEMAS = {name: pyarrow.schema({**dict.fromkeys(texts, pyarrow.string()), **_COMMON}) for name, texts in TEXTS.items()}


@dataclass
class TextCorpusConfig(CorpusConfig):
    """What is built from sentences and from the runs of stage 1 over them."""

    generated: list[str] = field(
        default_factory=list,
        metadata={"help": "finished runs of `hf-xling generate` over the source, or over its paraphrases"},
    )
    text_column: list[str] | None = option("text columns of the source; default: premise and hypothesis, or text", None)
    label_column: str | None = option(
        "labels of inference (entailment, …), for triplets; default: label or gold_label; or: none", None
    )
    split: list[str] | None = option("splits to read of a source; default: all of train, validation, test", None)
    validation_share: float = option("share of the rows of a source without splits to hold out for validation", 0.0)
    test_share: float = option("the same for test", 0.0)
    task_file: str | None = option("texts of the downstream task, whose words the card's audit looks for", None)
    task_column: str = option("column of the task's texts", "text")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_once("--text_column", self.text_column)
        shares = self.validation_share, self.test_share
        if min(shares) < 0 or sum(shares) >= 1:
            raise InputError(f"--validation_share {shares[0]} --test_share {shares[1]}: a part of the rows is needed")
        if any(shares) and not isinstance(self.sources, str):
            raise InputError(
                "--validation_share and --test_share go with a source without splits, not with --test_file"
            )

    def read(self) -> Sentences:
        """The sentences of the source."""
        shares = {"validation": self.validation_share, "test": self.test_share}
        held_out = shares if any(shares.values()) else None
        return read_sentences(
            self.sources, self.text_column, self.label_column, self.split, held_out, self.dataset_config
        )


@dataclass(frozen=True, kw_only=True)
class TextCorpusSpec(CorpusSpec):
    """What a text corpus is made of.

    Attributes:
        title: for the card; as in `description`, `{source}` is what the source is called, `{language}` the language of
            the translations.
        with_source: whether the source sentences themselves are in it.
        chains: the chains of generation tasks that make its other rows, such as `("paraphrase", "translate")`; one
            `--generated` run is wanted for each, and no other.
        name_in: what the corpus is called in any language, such as `snli_{language}`; None if that is no matter.
    """

    title: str
    with_source: bool
    chains: tuple[tuple[str, ...], ...] = ()
    name_in: str | None = None

    config_type = TextCorpusConfig

    def builder(self, config: TextCorpusConfig) -> TextCorpusBuilder:
        """The builder of this corpus, which has read the source and the runs."""
        return TextCorpusBuilder(self, config)

    def corpus_name(self, language: str | None) -> str:
        """What the corpus is called where its translations are in `language` (its name): `snli_telugu` for Telugu."""
        ascii = unicodedata.normalize("NFKD", language or "").encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "_", ascii).strip("_")
        return self.name_in.format(language=slug) if self.name_in and slug else self.name


class TextCorpusBuilder(CorpusBuilder):
    """Builds a text corpus with the config `sentences` and, where text was generated, `pairs` and `triplets`."""

    template = "dataset_card"
    schemas = SCHEMAS
    spec: TextCorpusSpec
    config: TextCorpusConfig

    def __init__(self, spec: TextCorpusSpec, config: TextCorpusConfig):
        super().__init__(spec, config, _runs_by_chain(spec, config.generated))
        self.into = _language_of_translations(self.generated)
        self.name = spec.corpus_name(self.into)
        self.sentences = config.read()
        for row in self.sentences.counts:
            check_filled(row["split"], row["texts"], row["sentences"], "texts")
        roots = pyarrow.array(self.sentences.texts)
        self.rows = [run.accepted() for run in self.generated]
        for run, rows in zip(self.generated, self.rows, strict=True):
            if not pc.any(pc.is_in(rows["root_text"], value_set=roots)).as_py():
                raise InputError(f"--generated {run.folder}: none of its rows was made from a sentence of the source")
        self.task = task_counts(config.task_file, config.task_column) if config.task_file is not None else None

    def digest(self) -> str:
        return self.sentences.digest

    def tables(self) -> dict[str, Splits]:
        self.joined = join(self.sentences, self.language, self.spec.with_source, self.rows)
        self.rows.clear()  # of a million rows half a gigabyte
        texts = texts_by_split(self.joined, self.spec.with_source)
        self.duplicates = find_duplicates(texts, self.config.near_threshold)
        if self.config.drop_leaked:
            places = {split: rows for split, rows in self.duplicates.leaked.items() if rows}
            leaked = {split: texts[split].take(pyarrow.array(rows)) for split, rows in places.items()}
            counts = {split: len(column) for split, column in texts.items()}
            texts.clear()  # the rows that are dropped with it
            self.joined.drop(leaked)
            after = texts_by_split(self.joined, self.spec.with_source)
            for split, count in counts.items():
                check_filled(split, count, len(after.get(split, ())), "texts")
        self.counts = {"source": self.sentences.counts, **self.joined.counts}
        found: dict[str, Splits] = {}
        for (name, table), (place, split) in product(self.joined.tables.items(), enumerate(SPLITS)):
            if len(rows := of_split(table, place)):
                found.setdefault(name, {})[split] = rows
        return found

    def card(self, tables: Mapping[str, Splits]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The front matter and the facts of the card, for which an audit is written."""
        spec, called = self.spec, {"source": self.called, "language": self.into or "another language"}
        if self.generated:
            batches = {name: table.to_batches(_ROWS_PER_BATCH) for name, table in self.joined.tables.items()}
            sides = corpus_sides(batches["sentences"], batches["pairs"], self.language)
            write_audit(Path(self.config.output_dir) / FOLDER, sides, self.task)
        metadata = {"pretty_name": spec.title.format(**called), **self._languages(), **self._creators()}
        facts = {
            "description": spec.description.format(**called),
            "configs": {name: {"splits": [*splits], "columns": SCHEMAS[name].names} for name, splits in tables.items()},
            "with_source": spec.with_source,
            "splits": [row["split"] for row in self.joined.counts["sentences"]],
            "leaked": sum(map(len, self.duplicates.leaked.values())),
            "chains": [_steps(run.chain) for run in self.generated],
            "of_source": [each.model_id for origin in self.origins for each in origin.generators if each.model_id],
            "snli": "SNLI" in {terms.name for terms in self.licences.components.values()},
            "counts": {name: counts_table(counts) for name, counts in self.counts.items()},
            "strangers": [count for count in self.joined.strangers if count],
            "generations": [self._shown(run) for run in self.ancestry.runs],
            **self._reviews(),
            "audit": audit_facts(self.config.output_dir),
            "script": self.command,
        }
        return metadata, facts

    def _languages(self) -> dict[str, list[str]]:
        codes = [self.language] if self.spec.with_source or self.generated else []
        codes += [run.manifest["language"] for run in self.generated]
        language = [*dict.fromkeys(filter(None, (iso_code(code) for code in codes if code is not None)))]
        several = "translation" if self.into else "multilingual"
        kind = [several if len(set(codes)) > 1 else "monolingual"]
        return {"language": language, "multilinguality": [] if None in codes else kind}

    def _creators(self) -> dict[str, list[str]]:
        made = ["machine-generated"] * bool(self.generated)
        known = [terms for name in self.licences.sources if (terms := find_terms(name, SOURCES)) is not None]
        ids = [name for name in self.licences.sources if is_hub_id(name) and "/" in name]
        return {
            "annotations_creators": made or ["no-annotation"],
            "language_creators": ["crowdsourced"] * any(terms.name == "SNLI" for terms in known) + made,
            "source_datasets": [*dict.fromkeys([*(f"extended|{terms.name.lower()}" for terms in known), *ids])],
            "task_categories": ["sentence-similarity"],
            "tags": ["sentence-transformers", "simcse", *["synthetic"] * bool(made)],
        }

    def _shown(self, run: GenerationRun) -> dict[str, Any]:
        """What the card tells of a run."""
        manifest = run.manifest
        # Rejected rows show text of the source: a card must not publish what the dataset itself must not.
        hidden = self.licences.local_only is not None
        similarity = model_name(manifest["filters"]["similarity_model"])
        return {
            **{name: manifest[name] for name in _SHOWN},
            "asked": f"{manifest['prompt_id']} {manifest['samples']} {manifest['parameters']}",
            "model_id": run.generator.model_id,
            "examples": {} if hidden else run.rejected_examples(EXAMPLES),
            "filters": {**manifest["filters"], "similarity_model": similarity},
        }

    def renew(self, output: Path) -> None:
        """Put into the card what reviews of the runs have found since."""
        card = (output / "README.md").read_text(encoding="utf-8")
        renewed = renew_part(card, "_review", self._reviews())
        if renewed != card:
            runs.write_text(output / "README.md", renewed)

    def _reviews(self) -> dict[str, Any]:
        return {"reviews": [found for run in self.ancestry.runs if (found := review_facts(run.folder))]}


def _runs_by_chain(spec: TextCorpusSpec, folders: Sequence[str]) -> list[GenerationRun]:
    """The run of each chain of the corpus, in the spec's order; one for each, and no other run."""
    wanted = " and ".join(f"one for {_steps(chain)}" for chain in spec.chains) or "none"
    found: dict[tuple[str, ...], GenerationRun] = {}
    for run in map(GenerationRun.open, folders):
        if run.chain not in spec.chains or run.chain in found:
            again = f" as {found[run.chain].folder} is" if run.chain in found else ""
            raise InputError(
                f"--generated {run.folder}: is a run for {_steps(run.chain)}{again}; {spec.name} wants {wanted}"
            )
        found[run.chain] = run
    for chain in spec.chains:
        if chain not in found:
            raise InputError(f"--generated: {spec.name} wants a run of `hf-xling generate` for {_steps(chain)}")
    return [found[chain] for chain in spec.chains]


def _language_of_translations(generated: Sequence[GenerationRun]) -> str | None:
    """The name of the one language that the runs translate into; None where there are no translations."""
    translated = [run for run in generated if "translate" in run.chain]
    if len({run.manifest["language"] for run in translated}) > 1:
        languages = ", ".join(f"{run.folder} in {run.manifest['language']}" for run in translated)
        raise InputError(f"--generated: the translations of one corpus must be in one language; here {languages}")
    if not translated:
        return None
    manifest = translated[0].manifest
    return str(manifest.get("language_name", language_name(manifest["language"])))


def _steps(chain: Sequence[str]) -> str:
    return " and then ".join(chain)
