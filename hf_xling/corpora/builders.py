"""The corpora of stage 2: source sentences and generated rows, joined by lineage, as Parquet with a card."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.compute as pc

from hf_xling import runs
from hf_xling.corpora.cards import Facts, all_counts, corpus_card, corpus_licensing, renew_reviews
from hf_xling.corpora.duplicates import LOWEST_THRESHOLD, Duplicates, find_duplicates
from hf_xling.corpora.joined import TEXTS, ArrowTexts, Joined, join, of_split, texts_by_split
from hf_xling.corpora.shards import ROWS_PER_TABLE, TableBuilder, write_config
from hf_xling.corpora.sources import SPLITS, Sentences, read_sentences
from hf_xling.errors import InputError
from hf_xling.generation.languages import iso_code, language_code, language_name
from hf_xling.hub.cards import counts_table
from hf_xling.hub.push import PushArguments
from hf_xling.hub.values import check_license, check_repo_id
from hf_xling.provenance.generated import PROVENANCE, Generation, Lineage, lineage_of, read_generation
from hf_xling.provenance.licences import check_publishable
from hf_xling.provenance.origins import Corpus, known_source, read_origins, source_title
from hf_xling.quality.audit import FOLDER, task_counts, write_audit
from hf_xling.quality.sides import corpus_sides
from hf_xling.recipes import RecipeParser
from hf_xling.tables import check_once

_TEXT = datasets.Value("string")
_COMMON = {"group": datasets.Value("int64"), **dict.fromkeys(PROVENANCE, _TEXT)}
FEATURES = {name: datasets.Features({**dict.fromkeys(texts, _TEXT), **_COMMON}) for name, texts in TEXTS.items()}


@dataclass(frozen=True)
class CorpusSpec:
    """What a corpus is made of; each script in `dataset_scripts/` declares one.

    Attributes:
        name: of the script.
        title, description: for the card; `{source}` stands for what the source is called, `{language}` for the language
            of the translations.
        with_source: whether the source sentences themselves are in it.
        chains: the chains of generation tasks that make its other rows, such as `("paraphrase", "translate")`; one
            `--generated` run is wanted for each, and no other.
        name_in: what the corpus is called in any language, such as `snli_{language}`; None if that is no matter.
    """

    name: str
    title: str
    description: str
    with_source: bool
    chains: tuple[tuple[str, ...], ...] = ()
    name_in: str | None = None

    def corpus_name(self, language: str | None) -> str:
        """What the corpus is called where its translations are in `language` (its name): `snli_telugu` for Telugu."""
        slug = re.sub(
            r"[^a-z0-9]+", "_", unicodedata.normalize("NFKD", language or "").encode("ascii", "ignore").decode().lower()
        )
        return self.name_in.format(language=slug.strip("_")) if self.name_in and slug.strip("_") else self.name


@dataclass
class BuildConfig:
    """What a script of `dataset_scripts/` builds, and from what."""

    source: str = field(
        metadata={"help": "source texts: .txt, .csv, .tsv, .jsonl, .parquet, a dataset folder or Hub id"}
    )
    output_dir: str = field(metadata={"help": "the dataset folder to write: Parquet and README.md"})
    generated: list[str] = field(
        default_factory=list,
        metadata={"help": "finished runs of `hf-xling generate` over the source, or over its paraphrases"},
    )
    validation_file: str | None = field(
        default=None, metadata={"help": "further source texts, for the validation split; the source is then `train`"}
    )
    test_file: str | None = field(default=None, metadata={"help": "the same for the test split"})
    text_column: list[str] | None = field(
        default=None, metadata={"help": "text columns of the source; default: premise and hypothesis, or text"}
    )
    dataset_config: str | None = field(
        default=None, metadata={"help": "config of a source that is a dataset with some"}
    )
    label_column: str | None = field(
        default=None,
        metadata={"help": "labels of inference (entailment, …), for triplets; default: label or gold_label; or: none"},
    )
    split: list[str] | None = field(
        default=None,
        metadata={"help": "splits to read of a source that has some; default: all of train, validation, test"},
    )
    validation_share: float = field(
        default=0.0, metadata={"help": "share of the rows of a source without splits to hold out for validation"}
    )
    test_share: float = field(default=0.0, metadata={"help": "the same for test"})
    drop_leaked: bool = field(
        default=False, metadata={"help": "drop rows whose text stands in a later split too, exactly or nearly"}
    )
    near_threshold: float = field(default=0.8, metadata={"help": "least Jaccard similarity of near duplicates"})
    language: str | None = field(
        default=None,
        metadata={"help": "language that the translations are in; default: that of --generated. te: snli_telugu"},
    )
    source_language: str | None = field(
        default=None, metadata={"help": "language of the source; default: what --generated or the source's card states"}
    )
    source_name: str | None = field(
        default=None,
        metadata={"help": "what the source is, such as SNLI; default: its id on the Hub, or its file"},
    )
    task_file: str | None = field(
        default=None, metadata={"help": "texts of the downstream task, whose words the card's audit looks for"}
    )
    task_column: str = field(default="text", metadata={"help": "column of the task's texts"})
    license: str | None = field(
        default=None, metadata={"help": "licence identifier for the card, such as cc-by-sa-4.0"}
    )
    repo_id: str | None = field(
        default=None,
        metadata={"help": "the name it has or will have on the Hub; a plain breach of a licence stops the build"},
    )

    _argument_group_name = "corpus"

    def __post_init__(self) -> None:
        check_license(self.license)
        check_repo_id(self.repo_id, "dataset")
        for name in ("language", "source_language"):
            if (value := getattr(self, name)) is not None:
                setattr(self, name, language_code(value, f"--{name}"))
        shares = self.validation_share, self.test_share
        if min(shares) < 0 or sum(shares) >= 1:
            raise InputError(f"--validation_share {shares[0]} --test_share {shares[1]}: a part of the rows is needed")
        if any(shares) and (self.validation_file or self.test_file):
            raise InputError(
                "--validation_share and --test_share go with a source without splits, not with --test_file"
            )
        check_once("--text_column", self.text_column)
        if not LOWEST_THRESHOLD <= self.near_threshold <= 1:
            raise InputError(f"--near_threshold {self.near_threshold}: {LOWEST_THRESHOLD} to 1 is needed")

    def read(self) -> Sentences:
        """The sentences of the source."""
        files = {"train": self.source, "validation": self.validation_file, "test": self.test_file}
        files = {split: file for split, file in files.items() if file is not None}
        source = files if len(files) > 1 else self.source
        held_out = {"validation": self.validation_share, "test": self.test_share}
        held_out = held_out if any(held_out.values()) else None
        return read_sentences(source, self.text_column, self.label_column, self.split, held_out, self.dataset_config)


class LedgerCorpus(TableBuilder):
    """Source sentences and the rows generated from them, as a `datasets` builder.

    Args:
        name: of the corpus.
        joined: its rows (`joined.join`).
        config_name: `sentences`, `pairs` or `triplets`.
        kwargs: `content_hash` and `cache_dir`, as for `TableBuilder`.
    """

    def __init__(self, name: str, joined: Joined, config_name: str, **kwargs: Any):
        table = joined.tables[config_name]
        parts = {split: of_split(table, place) for place, split in enumerate(SPLITS)}
        parts = {split: rows for split, rows in parts.items() if len(rows)}
        super().__init__(name, parts, FEATURES[config_name], config_name=config_name, **kwargs)


def build(spec: CorpusSpec, config: BuildConfig) -> dict[str, list[dict[str, Any]]]:
    """Build the corpus into `config.output_dir`; return its counts, as `cards.all_counts` gives them.

    Raises:
        InputError: a source or run that cannot be used, a run that is missing, not wanted or over other sources, an
            output folder of another run, or a `repo_id` under which it cannot be published.
    """
    sentences = config.read()
    for row in sentences.counts:
        _check_filled(row["split"], row["texts"], row["sentences"])
    generations = _by_chain(spec, sentences, [read_generation(folder) for folder in config.generated])
    into = _language(config, generations)
    lineage = lineage_of(generations)
    given = (config.source, config.validation_file, config.test_file)
    origins = read_origins(given, config.source_name, [run.manifest for run in lineage.runs], config.dataset_config)
    licences = corpus_licensing(config, lineage, origins)
    if config.repo_id is not None:
        check_publishable(licences)
    task = task_counts(config.task_file, config.task_column) if config.task_file is not None else None
    hashes = [runs.file_hash(Path(generation.folder) / "accepted") for generation in generations]
    # What was read makes the corpus, wherever it lies; a dataset on the Hub can change under its name.
    own = {**vars(config), "output_dir": None, "repo_id": None, "generated": hashes}
    if config.dataset_config is None:
        del own["dataset_config"]  # corpora that were built before there was one stay the same
    identity = runs.by_content(own, ("source", "validation_file", "test_file", "task_file"))
    if not Path(config.source).exists():
        identity["source"] = f"{config.source} ({sentences.digest})"
    if runs.claim(config.output_dir, f"dataset_scripts/{spec.name}.py", identity):
        renew_reviews(Path(config.output_dir), lineage)
        return runs.read_run(config.output_dir)["counts"]  # its card gets another name where it is pushed
    language, output = config.source_language or _source_language(config, lineage, origins), Path(config.output_dir)
    joined = join(sentences, language, spec.with_source, generations)
    generations = [replace(each, rows=None) for each in generations]  # of a million rows half a gigabyte
    duplicates = _duplicates(joined, spec, config)
    files = {}
    with tempfile.TemporaryDirectory(prefix="hf_xling-") as cache:
        for name, table in joined.tables.items():
            if not len(table):
                continue
            # The rows themselves are hashed in their files' names; this one is for the cache alone.
            options = {"content_hash": f"{identity}", "cache_dir": cache}
            files[name] = write_config(LedgerCorpus(spec.name, joined, name, **options), output / name)
    if generations:
        batches = {name: table.to_batches(ROWS_PER_TABLE) for name, table in joined.tables.items()}
        write_audit(output / FOLDER, corpus_sides(batches["sentences"], batches["pairs"], language), task)
    called = config.source_name or source_title(origins[: len(set(given) - {None})])
    facts = Facts(origins, called, language, into, sentences, generations, lineage, licences, joined, duplicates, files)
    runs.write_text(output / "README.md", corpus_card(spec, config, facts))
    counts = all_counts(sentences, joined)
    rows = {name: len(joined.tables[name]) for name in files}
    barred = next(iter(licences.breaches), None)
    runs.finish(output, rows=rows, counts=counts, repo_id=facts.repo_id(spec, config), barred=barred)
    return counts


def _duplicates(joined: Joined, spec: CorpusSpec, config: BuildConfig) -> Duplicates:
    texts = {split: ArrowTexts(column) for split, column in texts_by_split(joined, spec.with_source).items()}
    duplicates = find_duplicates(texts, config.near_threshold)
    if config.drop_leaked:
        leaked = {split: texts[split].take(rows) for split, rows in duplicates.leaked.items() if rows}
        counts = {split: len(texts[split]) for split in texts}
        texts.clear()  # the rows that are dropped with it
        joined.drop(leaked)
        after = texts_by_split(joined, spec.with_source)
        for split, count in counts.items():
            _check_filled(split, count, len(after.get(split, ())))
    return duplicates


def _check_filled(split: str, before: int, left: int) -> None:
    if before and not left:
        raise InputError(f"split {split}: each of its {before:,} texts stands in a later split too")


def _language(config: BuildConfig, generations: Sequence[Generation]) -> str | None:
    """The name of the language of the translations, which is one; None where there are none."""
    manifest = next(
        (each.manifest for each in generations if "translate" in each.manifest["chain"]), {"language": None}
    )
    into = manifest["language"]
    if config.language not in (None, into):
        where = f"the translations of --generated are in {into}" if into else "the corpus has no translations"
        raise InputError(f"--language {config.language}: {where}")
    return into and manifest.get("language_name", language_name(into))


def _source_language(config: BuildConfig, lineage: Lineage, origins: Sequence[Corpus]) -> str | None:
    """What the runs were told of the source, else what its card says or is known of it; None where that is not one."""
    told = {run.manifest["source_language"] for run in lineage.runs if len(run.manifest["chain"]) == 1}
    if len(told) == 1:
        return next(iter(told))
    stated = {iso_code(code) for origin in origins for code in origin.languages}
    if not stated and (known := known_source(origins, config.source_name)) is not None:
        return known.language
    return next(iter(stated)) if len(stated) == 1 else None


def _by_chain(spec: CorpusSpec, sentences: Sentences, generations: Sequence[Generation]) -> list[Generation]:
    """The run of each chain of the corpus, in the spec's order: one for each, over this source, and no other run."""
    wanted = " and ".join(f"one for {_steps(chain)}" for chain in spec.chains) or "none"
    roots = pyarrow.array(sentences.texts)
    found: dict[tuple[str, ...], Generation] = {}
    for generation in generations:
        chain, name = tuple(generation.manifest["chain"]), f"--generated {generation.folder}"
        if chain not in spec.chains or chain in found:
            again = f" as {found[chain].folder} is" if chain in found else ""
            raise InputError(f"{name}: is a run for {_steps(chain)}{again}; {spec.name} wants {wanted}")
        if not pc.any(pc.is_in(generation.rows["root_text"], value_set=roots)).as_py():
            raise InputError(f"{name}: none of its rows was made from a sentence of the source")
        found[chain] = generation
    for chain in spec.chains:
        if chain not in found:
            raise InputError(f"--generated: {spec.name} wants a run of `hf-xling generate` for {_steps(chain)}")
    ordered = [found[chain] for chain in spec.chains]
    translated = [generation for generation in ordered if "translate" in generation.manifest["chain"]]
    if len({generation.manifest["language"] for generation in translated}) > 1:
        languages = ", ".join(f"{generation.folder} in {generation.manifest['language']}" for generation in translated)
        raise InputError(f"--generated: the translations of one corpus must be in one language; here {languages}")
    return ordered


def _steps(chain: Sequence[str]) -> str:
    return " and then ".join(chain)


def main(spec: CorpusSpec, argv: Sequence[str]) -> str:
    """Parse, build, and return the closing lines; each script in `dataset_scripts/` calls this."""
    description = spec.description.format(source="the source", language="another language")
    parser = RecipeParser([BuildConfig, PushArguments], prog=f"dataset_scripts/{spec.name}.py", description=description)
    config, push = parser.parse(argv)
    push.check(config.repo_id)
    tables = [f"{name}:\n{counts_table(counts)}" for name, counts in build(spec, config).items()]
    places = [f"dataset: {config.output_dir}", *push.publish(config.output_dir, config.repo_id)]
    return "\n\n".join([*tables, "\n".join(places)])
