"""Builds every corpus: reads it, claims its folder, finds duplicates, writes Parquet and the card, finishes the run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pyarrow

import hf_xling
from hf_xling import runs
from hf_xling.corpora.duplicates import LOWEST_THRESHOLD, SHINGLE, Duplicates
from hf_xling.corpora.shards import write_config
from hf_xling.errors import InputError
from hf_xling.generation.languages import iso_code, language_code
from hf_xling.hub.cards import counts_table, render_card
from hf_xling.hub.publish import Destination
from hf_xling.hub.push import PushArguments
from hf_xling.hub.values import check_license, check_repo_id
from hf_xling.provenance.generation_run import GenerationRun, ancestry
from hf_xling.provenance.generators import CARD_KEY, for_card
from hf_xling.provenance.licences import Licensing, Published, check_publishable, licensing
from hf_xling.provenance.origins import known_source, licensing_parts, read_origins, source_title
from hf_xling.provenance.terms import SOURCES, find_terms
from hf_xling.recipes import RecipeParser, option

_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")
_FILES = ("source", "validation_file", "test_file")

Counts = dict[str, list[dict[str, Any]]]  # by name of the table: rows of equal keys
Splits = dict[str, pyarrow.Table]


@dataclass
class CorpusConfig:
    """What a script of `dataset_scripts/` builds, and from what: the options that all of them have."""

    source: str = field(
        metadata={
            "help": "source texts: .txt, .csv, .tsv, .jsonl, .parquet, a dataset folder or Hub id (or --train_file)",
            "aliases": ["--train_file"],
        }
    )
    output_dir: str = field(metadata={"help": "the dataset folder to write: Parquet and README.md"})
    validation_file: str | None = option(
        "further source texts, for the validation split; the source is then `train`", None
    )
    test_file: str | None = option("texts of the test split; the source is then `train`", None)
    dataset_config: str | None = option("config of a source that is a dataset with several", None)
    drop_leaked: bool = option(
        "drop rows with a text that is in a later split, too, exactly or nearly; of rated texts the config `clean` is "
        "always without them",
        default=False,
    )
    near_threshold: float = option("least Jaccard similarity of near duplicates", default=0.8)
    source_name: str | None = option("what the source is, such as SNLI; default: its id on the Hub, or its file", None)
    source_language: str | None = option("language of the source; default: what --generated or its card states", None)
    license: str | None = option("licence identifier for the card, such as cc-by-sa-4.0", None)
    repo_id: str | None = option("its name on the Hub, now or later; a plain breach of a licence stops the build", None)

    _argument_group_name = "corpus"

    def __post_init__(self) -> None:
        check_license(self.license)
        check_repo_id(self.repo_id, "dataset")
        if self.source_language is not None:
            self.source_language = language_code(self.source_language, "--source_language")
        if not LOWEST_THRESHOLD <= self.near_threshold <= 1:
            raise InputError(f"--near_threshold {self.near_threshold}: {LOWEST_THRESHOLD} to 1 is needed")

    @property
    def sources(self) -> str | dict[str, str]:
        """The source; or, with further files, the file of each split."""
        files = {"train": self.source, "validation": self.validation_file, "test": self.test_file}
        given = {split: file for split, file in files.items() if file is not None}
        return given if len(given) > 1 else self.source


@dataclass(frozen=True, kw_only=True)
class CorpusSpec(ABC):
    """What a corpus is; each script in `dataset_scripts/` declares one.

    Attributes:
        name: of the corpus and of its script.
        description: of what the script builds; `{source}` and `{language}` are put in.
        made_for: the source of `terms.SOURCES` that the script is for; None if it is for any. If nobody says what the
            source is, it may be that one, and what bars the text of that one bars the corpus.
    """

    name: str
    description: str
    made_for: str | None = None

    config_type: ClassVar[type[CorpusConfig]]

    @abstractmethod
    def builder(self, config: Any) -> CorpusBuilder:
        """The builder of this corpus by `config`, which is of `config_type`; it has read the source.

        Raises:
            InputError: a source or run that cannot be used, or a `repo_id` under which the corpus cannot be published.
        """


class CorpusBuilder(ABC):
    """Builds one corpus. A kind of corpus says how its source is read and what its rows and its card are.

    Args:
        spec, config: of the corpus.
        generated: the runs of stage 1 whose rows are in it.

    Attributes:
        name: of the corpus.
        origins, ancestry: what the texts were made from, and all runs of stage 1 behind them.
        called, known: what the source is called, and what is known of it.
        language: code of the source's language; None where nobody states it.
        licences: the chain of them.
        duplicates, counts: of the texts and rows, once `tables` was called.
    """

    template: ClassVar[str]  # of the card
    schemas: ClassVar[Mapping[str, pyarrow.Schema]]  # of the rows of each config
    duplicates: Duplicates
    counts: Counts

    def __init__(self, spec: CorpusSpec, config: CorpusConfig, generated: Sequence[GenerationRun] = ()):
        self.spec, self.config, self.generated = spec, config, generated
        self.name, self.command = spec.name, f"dataset_scripts/{spec.name}.py"
        self.ancestry = ancestry(generated)
        files = [getattr(config, name) for name in _FILES]
        manifests = [run.manifest for run in self.ancestry.runs]
        self.origins = read_origins(files, config.source_name, manifests, config.dataset_config)
        self.called = source_title(self.origins[: len({*files} - {None})], config.source_name)
        self.known = known_source(self.origins, config.source_name)
        self.language = config.source_language or self._source_language()
        self.licences = self._licensing()
        if config.repo_id is not None:
            check_publishable(self.licences)

    def _source_language(self) -> str | None:
        """What the runs were told of the source, else what its card says or is known of it; None if that is not one."""
        told = {run.manifest["source_language"] for run in self.ancestry.runs if len(run.chain) == 1}
        stated = {iso_code(code) for origin in self.origins for code in origin.languages}
        if not stated and self.known is not None:
            stated = {self.known.language}
        found = told if len(told) == 1 else stated
        return next(iter(found)) if len(found) == 1 else None

    def _licensing(self) -> Licensing:
        """The chain of licences of a dataset that has the texts of its sources."""
        sources, models, questions = licensing_parts(self.origins)
        maybe = self.spec.made_for
        is_said = self.config.source_name is not None or any(each.revision or each.license for each in self.origins)
        if maybe is not None and not is_said and not any(find_terms(name, SOURCES) for name in sources):
            sources = {f"{name}, which may be {maybe}": terms for name, terms in sources.items()}
            said = f"The source goes by no name that is known: it may be {maybe}, which {self.spec.name} is for."
            questions.append(said)
        models += [generator.model_id for generator in self.ancestry.generators]
        for chain in self.ancestry.gone:
            said = f"The run for {' and then '.join(chain)} is gone: which model wrote what was read is not known."
            questions.append(said)
        published = Published("dataset", self.config.repo_id)
        return licensing(sources, models, published, given=self.config.license, questions=questions)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What makes this corpus another: the options, and what was read by its content, wherever it is."""
        hashes = [runs.file_hash(run.folder / "accepted") for run in self.generated]
        own = {**vars(self.config), "output_dir": None, "repo_id": None, "generated": hashes}
        identity = runs.by_content(own, (*_FILES, "task_file"))
        if not Path(self.config.source).exists():  # a dataset on the Hub can change under its name
            identity["source"] = f"{self.config.source} ({self.digest()})"
        return identity

    def build(self) -> Counts:
        """Build the corpus into its folder; a finished one stays as it is. Return the counts of its rows.

        Raises:
            InputError: the folder holds another run, or nothing is left of a split.
        """
        output = Path(self.config.output_dir)
        if runs.claim(output, self.command, self.identity):
            self.renew(output)
            return (runs.read_run(output) or {})["counts"]
        tables = self.tables()
        files = {name: write_config(splits, self.schemas[name], output / name) for name, splits in tables.items()}
        rows = {name: sum(map(len, splits.values())) for name, splits in tables.items()}
        # Where it is pushed under a name that was given later, that is put into the card.
        repo_id = self.config.repo_id or f"org/{self.name.replace('_', '-')}"
        runs.write_text(output / "README.md", self._rendered(tables, files, max(rows.values(), default=0), repo_id))
        barred = next(iter(self.licences.breaches), None)
        runs.finish(output, rows=rows, counts=self.counts, repo_id=repo_id, barred=barred)
        return self.counts

    def _rendered(
        self, tables: Mapping[str, Splits], files: Mapping[str, list[dict[str, str]]], size: int, repo_id: str
    ) -> str:
        metadata, facts = self.card(tables)
        generators = [*(each for origin in self.origins for each in origin.generators), *self.ancestry.generators]
        configs: list[dict[str, Any]] = [{"config_name": name, "data_files": files[name]} for name in files]
        metadata |= {
            **self.licences.front,
            CARD_KEY: for_card(self.licences.sources, generators),
            "size_categories": [_SIZES[min(max(len(str(size)) - 3, 0), len(_SIZES) - 1)]],
            "configs": [{**config, **({} if place else {"default": True})} for place, config in enumerate(configs)],
        }
        common = {
            "title": metadata["pretty_name"],
            "repo_id": repo_id,
            "config": self.config,
            "language": self.language,
            "sources": self.origins,
            "citations": [*dict.fromkeys(origin.citation for origin in self.origins if origin.citation)],
            "duplicates": self.duplicates,
            "shingle": SHINGLE,
            "license": self.licences,
            "version": hf_xling.__version__,
        }
        return render_card(self.template, metadata, common | facts)

    @abstractmethod
    def digest(self) -> str:
        """A hash of all that was read of the source, whatever its name."""

    @abstractmethod
    def tables(self) -> dict[str, Splits]:
        """The rows to publish: of each config, the default one first, the splits that have rows.

        Sets `duplicates`, of the texts, and `counts`: from the rows of the source to those published.
        """

    @abstractmethod
    def card(self, tables: Mapping[str, Splits]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The front matter, with `pretty_name`, and the facts of the card, beside what all corpora have."""

    def renew(self, output: Path) -> None:  # noqa: B027 - of most corpora nothing can change
        """Bring the card of a finished corpus up to date."""


def check_filled(split: str, before: int, left: int, what: str) -> None:
    """An `InputError` if nothing is left of a split that had something."""
    if before and not left:
        raise InputError(f"split {split}: each of its {before:,} {what} is in a later split too")


def build(spec: CorpusSpec, config: CorpusConfig) -> Counts:
    """Build the corpus that `spec` declares; return the counts of its rows.

    Raises:
        InputError: as for `CorpusSpec.builder` and `CorpusBuilder.build`.
    """
    return spec.builder(config).build()


def main(spec: CorpusSpec, argv: Sequence[str], prog: str | None = None) -> str:
    """Parse, build, and return the closing lines; each script in `dataset_scripts/` calls this.

    Args:
        spec: of the corpus.
        argv: its options.
        prog: what --help calls the command; by default the script.
    """
    description = spec.description.format(source="the source", language="another language")
    types = [spec.config_type, PushArguments]
    parser = RecipeParser(types, prog=prog or f"dataset_scripts/{spec.name}.py", description=description)
    config, push = parser.parse(argv)
    push.check(config.repo_id)
    builder = spec.builder(config)
    if push.push_to_hub and not runs.is_finished(config.output_dir, builder.command, builder.identity):
        # Rights and tag are asked for before the work; of a finished corpus the tag may be there already.
        Destination(config.repo_id, "dataset", private=push.private, tag=push.tag).check_access()
    tables = [f"{name}:\n{counts_table(counts)}" for name, counts in builder.build().items()]
    places = [f"dataset: {config.output_dir}", *push.publish(config.output_dir, config.repo_id)]
    return "\n\n".join([*tables, "\n".join(places)])
