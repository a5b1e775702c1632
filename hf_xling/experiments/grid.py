"""The paper's seven experiments, for any pair of languages, and what a recipe says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hf_xling.errors import InputError
from hf_xling.generation.languages import language_code
from hf_xling.hub.values import check_license
from hf_xling.recipes import option, section

Side = Literal["source", "target"]
SIDES: tuple[Side, ...] = ("source", "target")


@dataclass(frozen=True)
class Experiment:
    """One row of the grid.

    Attributes:
        name: language code and arm, such as `ta-simcse-translated`.
        side: `source` (the high-resource language) or `target`.
        corpus: the corpus that SimCSE is trained on first, with dropout pairs; None for direct fine-tuning.
        paper_mse: what the paper reports on its own data; None where it reports nothing.
    """

    name: str
    side: Side
    corpus: str | None
    paper_mse: float | None


# Arm, side and corpus (a script in dataset_scripts/) of section 5.2 of the paper, with the MSE of its tables 2 and 3.
_ARMS: tuple[tuple[str, Side, str | None, float | None], ...] = (
    ("direct", "source", None, 0.052),
    ("simcse-snli", "source", "snli_sentences", 0.089),
    ("simcse-paraphrased", "source", "snli_paraphrased", None),
    ("direct", "target", None, 0.398),
    ("simcse-murasu", "target", "tamil_murasu", 0.392),
    ("simcse-translated", "target", "snli_tamil", 0.342),
    ("simcse-paraphrased-translated", "target", "snli_tamil_paraphrased", 0.313),
)
_PAPER_LANGUAGES = {"source": "en", "target": "ta"}


def paper_experiments(source_language: str, target_language: str) -> list[Experiment]:
    """The seven experiments with their names in these languages; the paper's figures are for `en` and `ta`."""
    codes = {"source": source_language, "target": target_language}
    return [
        Experiment(f"{codes[side]}-{arm}", side, corpus, mse if codes[side] == _PAPER_LANGUAGES[side] else None)
        for arm, side, corpus, mse in _ARMS
    ]


@dataclass
class ExperimentsConfig:
    """A recipe of experiments × seeds. A section holds fields of the stage of its name, in that stage's own words.

    Attributes:
        codes: of the languages of the two sides, whether a code or a file gave them.
    """

    source: str = option("corpus in the source language: a file, a dataset folder or a Hub id")
    news: str = option("corpus in the target language, as people wrote it (the paper: Tamil Murasu)")
    endpoint: list[str] = option("base URL of the text-generation endpoint; or several of one model")
    output_dir: str = option("gets everything: generation/, corpora/, encoders/, experiments/, report/")
    translate_endpoint: list[str] | None = option(
        "endpoint of the translating model; default: --endpoint serves both", None
    )
    language: str = option("target language: a code or a profile (.yaml)", "ta")
    source_language: str = option("source language, in the same way", "en")
    text_column: list[str] = option("text columns of the source", ["text"])
    dataset_config: str | None = option("config of the source, where it has some", None)
    news_config: str | None = option("config of the news, where they have some", None)
    split: str = option("split of the source, where it is a dataset", "train")
    source_name: str | None = option("what cards call the source; default: its id on the Hub, or its file", None)
    news_name: str | None = option("what cards call the news; default: the same of the news", None)
    license: str | None = option("licence of the corpora, for their cards", None)
    seeds: list[int] = option("a training for each seed and experiment", [1, 2, 3])
    jobs: int = option("trainings at a time: more than 1 where a device has room for several small ones", 1)
    accelerate_config: str | None = option(
        "cpu, single_gpu, multi_gpu, or a file of `accelerate config`; default: accelerate's own", None
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
        self.codes: dict[Side, str] = {
            "source": language_code(self.source_language, "--source_language"),
            "target": language_code(self.language, "--language"),
        }
        if len(set(self.seeds)) != len(self.seeds):
            raise InputError("--seeds: a seed is given twice")
        if self.jobs < 1:
            raise InputError(f"--jobs {self.jobs}: at least 1 is needed")
        for side in SIDES:
            if "model_name_or_path" not in self.task(side):
                raise InputError(f"{side}_task.model_name_or_path is needed: the checkpoint that training starts from")

    def task(self, side: Side) -> dict[str, Any]:
        """The section of the rated texts of a side."""
        return self.source_task if side == "source" else self.target_task
