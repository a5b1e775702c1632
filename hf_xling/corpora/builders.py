"""The corpora of stage 2: source sentences and generated rows, joined by lineage, as Parquet with a card."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets

from hf_xling import runs
from hf_xling.corpora.cards import corpus_card, corpus_licensing, lineage_of, model_name
from hf_xling.corpora.licences import check_publishable
from hf_xling.corpora.sources import Generation, Sentences, read_generation, read_sentences
from hf_xling.errors import InputError
from hf_xling.recipes import RecipeParser

PROVENANCE = ("task", "language", "model_id", "model_sha", "prompt_id")
_TEXT = datasets.Value("string")
_COMMON = {"group": datasets.Value("int64"), **dict.fromkeys(PROVENANCE, _TEXT)}
FEATURES = {
    "sentences": datasets.Features({"anchor": _TEXT, **_COMMON}),
    "pairs": datasets.Features({"anchor": _TEXT, "positive": _TEXT, **_COMMON}),
}
ROWS_PER_SHARD = 500_000


@dataclass(frozen=True)
class CorpusSpec:
    """What a corpus is made of; each script in `dataset_scripts/` declares one.

    Attributes:
        name: of the corpus and its script.
        title, description: for the card; `{source}` stands for what the source is called.
        source_name: what the source is called, where the script is not told otherwise.
        with_source: whether the source sentences themselves are in it.
        chains: the chains of generation tasks that make its other rows, such as `("paraphrase", "translate")`; one
            `--generated` run is wanted for each, and no other.
        source_language: of the source, where the script does not say otherwise.
    """

    name: str
    title: str
    description: str
    source_name: str
    with_source: bool
    chains: tuple[tuple[str, ...], ...] = ()
    source_language: str = "en"


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
    text_column: list[str] | None = field(
        default=None, metadata={"help": "text columns of the source; default: premise and hypothesis, or text"}
    )
    split: str = field(default="train", metadata={"help": "split, where the source is a dataset"})
    source_language: str | None = field(
        default=None, metadata={"help": "language of the source; default: the corpus's own"}
    )
    source_name: str | None = field(
        default=None,
        metadata={"help": "what the card calls the source; default: what the corpus is made of by its name"},
    )
    license: str | None = field(
        default=None, metadata={"help": "licence identifier for the card, such as cc-by-sa-4.0"}
    )
    repo_id: str | None = field(
        default=None,
        metadata={"help": "the name it will have on the Hub; a plain breach of a licence stops the build"},
    )

    _argument_group_name = "corpus"


@dataclass
class LedgerCorpusConfig(datasets.BuilderConfig):
    """The name of the config (`sentences` or `pairs`), and the hash of everything that is read.

    The hash keeps datasets' cache from giving out yesterday's rows once a ledger has grown.
    """

    content_hash: str = ""


class LedgerCorpus(datasets.GeneratorBasedBuilder):
    """Source sentences and the rows generated from them, as a `datasets` builder.

    Args:
        spec: what the corpus is made of.
        sentences: of the source.
        generations: the runs of stage 1.
        kwargs: `config_name`, `content_hash` and `cache_dir` of `datasets.DatasetBuilder`.
    """

    BUILDER_CONFIG_CLASS = LedgerCorpusConfig

    def __init__(
        self, spec: CorpusSpec, language: str, sentences: Sentences, generations: Sequence[Generation], **kwargs: Any
    ):
        self.spec, self.language, self.sentences, self.generations = spec, language, sentences, generations
        super().__init__(dataset_name=spec.name, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=FEATURES[self.config.name])

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        return [datasets.SplitGenerator(name=datasets.Split.TRAIN)]

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows in the order of the source; a row's group is the place of its root sentence there.

        Two generations may come to one text (the translations of a sentence and of its paraphrase): it is kept once.
        """
        seen = set()
        for row in self._sentences() if self.config.name == "sentences" else self._pairs():
            key = (row["group"], row["anchor"], row.get("positive"))
            if key not in seen:
                yield len(seen), row
                seen.add(key)

    def _sentences(self) -> Iterator[dict[str, Any]]:
        if self.spec.with_source:
            origin = dict.fromkeys(PROVENANCE) | {"task": "source", "language": self.language}
            for group, text in enumerate(self.sentences.texts):
                yield {"anchor": text, "group": group, **origin}
        for row, group in self._generated():
            yield {"anchor": row["text"], "group": group, **_provenance(row)}

    def _pairs(self) -> Iterator[dict[str, Any]]:
        for row, group in self._generated():
            yield {"anchor": row["root_text"], "positive": row["text"], "group": group, **_provenance(row)}

    def _generated(self) -> Iterator[tuple[dict[str, Any], int]]:
        groups = {text: group for group, text in enumerate(self.sentences.texts)}
        for generation in self.generations:
            for row in generation.rows:
                if row["root_text"] in groups:
                    yield row, groups[row["root_text"]]


def _provenance(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in PROVENANCE}, "model_id": model_name(row["model_id"])}


def build(spec: CorpusSpec, config: BuildConfig) -> dict[str, int]:
    """Build the corpus into `config.output_dir`; return the rows by config.

    Raises:
        InputError: a source or run that cannot be used, a run that is missing, not wanted or over other sources, an
            output folder of another run, or a `repo_id` under which it cannot be published.
    """
    sentences = read_sentences(config.source, config.text_column, config.split)
    generations = _by_chain(spec, sentences, [read_generation(folder) for folder in config.generated])
    lineage = lineage_of(generations)
    chain = corpus_licensing(spec, config, lineage)
    if config.repo_id is not None:
        check_publishable(chain)
    source_hash = runs.content_hash(config.source)
    hashes = [runs.file_hash(Path(generation.folder) / "accepted") for generation in generations]
    # What was read makes the corpus, wherever it lies; a dataset on the Hub is known by its name only.
    identity = {**vars(config), "output_dir": None, "source": source_hash or config.source, "generated": hashes}
    if runs.claim(config.output_dir, f"dataset_scripts/{spec.name}.py", identity):
        return runs.read_run(config.output_dir)["rows"]
    language = config.source_language or spec.source_language
    output = Path(config.output_dir)
    rows, columns, patterns = {}, {}, {}
    with tempfile.TemporaryDirectory(prefix="hf_xling-") as cache:
        for name in ("sentences", "pairs") if generations else ("sentences",):
            builder = LedgerCorpus(
                spec,
                language,
                sentences,
                generations,
                config_name=name,
                content_hash="-".join([identity["source"], *hashes]),
                cache_dir=cache,
            )
            builder.download_and_prepare()
            dataset = builder.as_dataset(split="train")
            patterns[name] = _write_shards(dataset, output / name)
            rows[name], columns[name] = len(dataset), dataset.column_names
            del dataset
    card = corpus_card(
        spec, config, language, sentences, generations, lineage, chain, rows, columns, patterns, source_hash
    )
    runs.write_text(output / "README.md", card)
    runs.finish(output, rows=rows)
    return rows


def _by_chain(spec: CorpusSpec, sentences: Sentences, generations: Sequence[Generation]) -> list[Generation]:
    """The run of each chain of the corpus, in the spec's order: one for each, over this source, and no other run."""
    wanted = " and ".join(f"one for {_steps(chain)}" for chain in spec.chains) or "none"
    roots = set(sentences.texts)
    found: dict[tuple[str, ...], Generation] = {}
    for generation in generations:
        chain, name = tuple(generation.manifest["chain"]), f"--generated {generation.folder}"
        if chain not in spec.chains or chain in found:
            again = f" as {found[chain].folder} is" if chain in found else ""
            raise InputError(f"{name}: is a run for {_steps(chain)}{again}; {spec.name} wants {wanted}")
        if not any(row["root_text"] in roots for row in generation.rows):
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


def _write_shards(dataset: datasets.Dataset, folder: Path) -> str:
    """Write `dataset` as Parquet files into `folder`; return their pattern for the card, with a hash of their content.

    `load_dataset` finds a local folder in its cache by the folder's last name and its card: where other rows have the
    same card, it gives out those.
    """
    shards = -(-len(dataset) // ROWS_PER_SHARD)
    with runs.written_aside(folder) as aside:
        aside.mkdir()
        for index in range(shards):
            shard = dataset.shard(shards, index, contiguous=True)
            shard.to_parquet(aside / f"{index:05d}.parquet")
        digest = runs.file_hash(aside)[:16]
        for index in range(shards):
            (aside / f"{index:05d}.parquet").rename(aside / f"train-{index:05d}-of-{shards:05d}-{digest}.parquet")
    return f"{folder.name}/train-*-{digest}.parquet"


def main(spec: CorpusSpec, argv: Sequence[str]) -> str:
    """Parse, build, and return the closing lines; each script in `dataset_scripts/` calls this."""
    description = spec.description.format(source=spec.source_name)
    parser = RecipeParser([BuildConfig], prog=f"dataset_scripts/{spec.name}.py", description=description)
    (config,) = parser.parse(argv)
    rows = build(spec, config)
    counts = ", ".join(f"{number:,} {name}" for name, number in rows.items())
    return f"{spec.name}: {counts}\ndataset: {config.output_dir}"
