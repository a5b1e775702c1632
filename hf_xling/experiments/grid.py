"""The paper's seven experiments, for any pair of languages, and what a recipe says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_xling.errors import InputError
from hf_xling.generation.languages import language_code
from hf_xling.hub.values import check_license
from hf_xling.recipes import RecipeParser, section


@dataclass(frozen=True)
class Experiment:
    """One row of the grid.

    Attributes:
        name: language code and arm, such as `ta-simcse-translated`.
        side: `source` (the high-resource language) or `target`.
        corpus: the corpus that SimCSE is trained on first, with dropout pairs; None for direct fine-tuning.
        paper_mse: what the paper reports on its own data (tables 2 and 3); None where it reports nothing.
    """

    name: str
    side: str
    corpus: str | None
    paper_mse: float | None


# Arm, side, corpus (a script in dataset_scripts/): section 5.2 of the paper.
_ARMS = (
    ("direct", "source", None),
    ("simcse-snli", "source", "snli_sentences"),
    ("simcse-paraphrased", "source", "snli_paraphrased"),
    ("direct", "target", None),
    ("simcse-murasu", "target", "tamil_murasu"),
    ("simcse-translated", "target", "snli_tamil"),
    ("simcse-paraphrased-translated", "target", "snli_tamil_paraphrased"),
)
_PAPER_MSE = {
    "en-direct": 0.052,
    "en-simcse-snli": 0.089,
    "ta-direct": 0.398,
    "ta-simcse-murasu": 0.392,
    "ta-simcse-translated": 0.342,
    "ta-simcse-paraphrased-translated": 0.313,
}


def paper_experiments(source_language: str, target_language: str) -> list[Experiment]:
    """The seven experiments with their names in these languages; the paper's own are `en` and `ta`."""
    languages = {"source": source_language, "target": target_language}
    experiments = []
    for arm, side, corpus in _ARMS:
        name = f"{languages[side]}-{arm}"
        experiments.append(Experiment(name, side, corpus, _PAPER_MSE.get(name)))
    return experiments


@dataclass
class ExperimentsConfig:
    """A recipe of experiments × seeds. A section holds fields of the stage of its name, in that stage's own words.

    Attributes:
        codes: of the languages of the two sides, whether a code or a file gave them.
    """

    source: str = field(metadata={"help": "corpus in the source language: a file, a dataset folder or a Hub id"})
    news: str = field(metadata={"help": "corpus in the target language, as people wrote it (the paper: Tamil Murasu)"})
    endpoint: list[str] = field(metadata={"help": "base URL of the text-generation endpoint; or several of one model"})
    output_dir: str = field(
        metadata={"help": "gets everything: generation/, corpora/, encoders/, experiments/, report/"}
    )
    translate_endpoint: list[str] | None = field(
        default=None, metadata={"help": "endpoint of the translating model; default: --endpoint serves both"}
    )
    language: str = field(default="ta", metadata={"help": "target language: a code or a profile (.yaml)"})
    source_language: str = field(default="en", metadata={"help": "source language, in the same way"})
    text_column: list[str] = field(default_factory=lambda: ["text"], metadata={"help": "text columns of the source"})
    dataset_config: str | None = field(default=None, metadata={"help": "config of the source, where it has some"})
    news_config: str | None = field(default=None, metadata={"help": "config of the news, where they have some"})
    split: str = field(default="train", metadata={"help": "split of the source, where it is a dataset"})
    source_name: str | None = field(
        default=None, metadata={"help": "what cards call the source; default: its id on the Hub, or its file"}
    )
    news_name: str | None = field(
        default=None, metadata={"help": "what cards call the news; default: the same of the news"}
    )
    license: str | None = field(default=None, metadata={"help": "licence of the corpora, for their cards"})
    seeds: list[int] = field(
        default_factory=lambda: [1, 2, 3], metadata={"help": "a training for each seed and experiment"}
    )
    jobs: int = field(
        default=1, metadata={"help": "trainings at a time: more than 1 where a device has room for several small ones"}
    )
    accelerate_config: str | None = field(
        default=None,
        metadata={"help": "cpu, single_gpu, multi_gpu, or a file of `accelerate config`; default: accelerate's own"},
    )
    generate: dict[str, Any] = section("of `hf-xling generate`, for all three runs: max_in_flight, temperature, …")
    simcse: dict[str, Any] = section("of trainers/simcse.py, for all encoders: max_steps, learning_rate, …")
    regression: dict[str, Any] = section("of trainers/regression.py, for all experiments: num_train_epochs, …")
    source_task: dict[str, Any] = section(
        "of trainers/regression.py, for the source language: model_name_or_path, train_file, …"
    )
    target_task: dict[str, Any] = section("of trainers/regression.py, for the target language")

    _argument_group_name = "experiments"

    def __post_init__(self) -> None:
        check_license(self.license)
        self.codes = {
            "source": language_code(self.source_language, "--source_language"),
            "target": language_code(self.language, "--language"),
        }
        if len(set(self.seeds)) != len(self.seeds):
            raise InputError("--seeds: a seed stands twice")
        if self.jobs < 1:
            raise InputError(f"--jobs {self.jobs}: at least 1 is needed")
        for side in ("source_task", "target_task"):
            if "model_name_or_path" not in getattr(self, side):
                raise InputError(f"{side}.model_name_or_path is needed: the checkpoint that training starts from")


def main(argv: Sequence[str]) -> str:
    """Parse, run, report, and return the closing lines: the table, and where everything is."""
    about = "From source text to the report, each step skipped where an earlier run has finished it."
    (config,) = RecipeParser([ExperimentsConfig], prog="hf-xling experiments", description=about).parse(argv)

    from hf_xling.experiments.report import results_table, write_report
    from hf_xling.experiments.runner import run_experiments  # with every stage, and torch

    run_experiments(config)
    report = write_report(config.output_dir)
    return (
        f"{results_table(report.summaries)}\n\n"
        f"a row a run: {Path(config.output_dir) / 'results.jsonl'}\n"
        f"report:      {report.html}"
    )
