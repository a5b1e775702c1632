"""Results as evidence in a card: with spread and baselines for people, and in the Hub's two forms for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hf_xling.runs import write_text

# By the name of a metric in our results: what a card calls it, and the Hub.
METRICS = {
    "mse": ("mean squared error", "mse"),
    "rmse": ("its root", "rmse"),
    "mae": ("mean absolute error", "mae"),
    "pearson": ("Pearson", "pearsonr"),
    "spearman": ("Spearman", "spearmanr"),
    "accuracy": ("accuracy", "accuracy"),
    "macro_f1": ("macro-F1", "f1"),
    "loss": ("contrastive loss", "loss"),
    "held_out_loss": ("contrastive loss, held out", "loss"),
    "sts_spearman": ("Spearman on the similarity set", "spearman_cosine"),
    "alignment": ("alignment", "alignment"),
    "uniformity": ("uniformity", "uniformity"),
    "relative_distance": ("relative distance", "relative_distance"),
}
BASELINES = {
    "mse": ("constant_mse", "always the mean rating of the training set"),
    "accuracy": ("majority_accuracy", "always the commonest class of the training set"),
}
# By the name that `SimCSETrainer.evaluate` gives it.
_HELD_OUT = {
    "loss": "held_out_loss",
    **{name: name for name in ("sts_spearman", "alignment", "uniformity", "relative_distance")},
}
RESULTS_FOLDER = ".eval_results"
MEASURED = "measured by hf_xling"  # tells our results from those that others put beside them


@dataclass(frozen=True)
class Evidence:
    """What was measured.

    Attributes:
        on: what it was measured on, and how often it was trained.
        metrics: names of `METRICS`, the columns of the table.
        rows: what was measured, and the value of each metric as text.
        values: of each metric the one number for the model; finite.
    """

    on: str
    metrics: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    values: Mapping[str, float]

    @property
    def titles(self) -> list[str]:
        """The columns' names."""
        return [METRICS[metric][0] for metric in self.metrics]


def regression_evidence(results: Mapping[str, Any]) -> Evidence | None:
    """The evidence in `all_results.json` of one training or of several; None where nothing was measured.

    Without a test set it is that of the validation set (`measured_split`).
    """
    split = measured_split(results)
    metrics = [name for name in METRICS if f"{split}_{name}" in results]
    if not metrics:
        return None

    def row(prefix: str) -> list[str]:
        return [_number(results, f"{prefix}_{name}") for name in metrics]

    folds, seeds = results.get("folds"), results.get("seeds", [results.get("seed")])
    on = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    if f"n_{split}" in results:
        chose = ", which chose the checkpoint, and so says too much good of it" if "chosen_by" in results else ""
        what = "texts" if split == "test" else f"texts of the validation set{chose}"
        on = f"{results[f'n_{split}']:,} {what}; {on}"
    on = f"cross-validation in {folds} folds; {on}" if folds else on
    values = _finite(results, split, metrics)
    if (runs := len(seeds) * (folds or 1)) == 1:
        rows, on = [("this model", row(split))], f"{on}; one training, so that no spread is known"
    else:
        over = " over folds and seeds" if folds else ""
        rows = [(f"each of {runs} models alone: mean ± sample standard deviation{over}", row(split))]
        for prefix, place in (("out_of_fold", "in cross-validation"), ("ensemble_test", "on the test set")):
            if f"{prefix}_{metrics[0]}" in results:
                rows.append((f"the mean of their predictions, {place}", row(prefix)))
                values = _finite(results, prefix, metrics)
    for metric, (key, said) in BASELINES.items():
        if metric in metrics and results.get(f"{split}_{key}") is not None:
            rows.append((said, [_number(results, f"{split}_{key}") if name == metric else "" for name in metrics]))
    return Evidence(on, metrics, rows, values)


def measured_split(results: Mapping[str, Any]) -> str:
    """What a rating model or classifier was measured on: `test`, or `validation` where there was no test set."""
    return "test" if any(f"test_{name}" in results for name in METRICS) else "validation"


def contrastive_evidence(history: Iterable[Mapping[str, Any]], chance: Mapping[str, float]) -> Evidence | None:
    """The evidence in the log of a contrastive training: what was measured first, and at the end; None if nothing was.

    Args:
        history: `log_history` of a Trainer.
        chance: of some metrics, what a model gets that cannot tell texts apart.
    """
    rows: list[tuple[str, Mapping[str, float | None]]] = []
    last: dict[str, float | None] = {}
    for what, prefix, names in (("in training", "", {"loss": "loss"}), ("held out", "eval_", _HELD_OUT)):
        entries = [entry for entry in history if any(f"{prefix}{name}" in entry for name in names)]
        for entry in entries[:1] + entries[1:][-1:]:
            last = {told: entry.get(f"{prefix}{name}") for name, told in names.items()}
            rows.append((f"{what}, step {entry.get('step', 0):,}", last))
    if not rows:
        return None
    columns = [name for name in METRICS if any(values.get(name) is not None for _, values in rows)]
    if chance.keys() & set(columns):
        rows.append(("a model that cannot tell texts apart", chance))
    shown = [(what, [_number(values, name) for name in columns]) for what, values in rows]
    return Evidence("one training, so that no spread is known", columns, shown, _finite(last, "", ["sts_spearman"]))


def model_index(
    name: str,
    task: str,
    evidence: Evidence,
    dataset: str,
    is_id: bool,
    config: str | None,
    split: str | None,
    revision: str | None,
) -> list[dict[str, Any]]:
    """The `model-index` of a card's front matter; empty where nothing was measured.

    Args:
        name: of the model.
        task: of the Hub.
        evidence: what was measured.
        dataset: its id on the Hub, or what else it is called.
        is_id: whether it is one.
        config, split, revision: of the dataset.
    """
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    results = [
        EvalResult(
            task_type=task,
            dataset_type=dataset if is_id else "local",
            dataset_name=dataset,
            metric_type=METRICS[metric][1],
            metric_name=METRICS[metric][0],
            metric_value=round(value, 6),
            dataset_config=config,
            dataset_split=split,
            dataset_revision=revision,
        )
        for metric, value in evidence.values.items()
    ]
    return eval_results_to_model_index(name, results) if results else []


def write_eval_results(
    folder: str | Path, evidence: Evidence, dataset_id: str, config: str | None, split: str, revision: str | None
) -> None:
    """Write `.eval_results/`, the Hub's newer form, which has one number a dataset: the first metric's.

    It goes for datasets of the Hub alone, and shows there where they are benchmarks.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    metric, value = next(iter(evidence.values.items()))
    entry = EvalResultEntry(
        dataset_id=dataset_id,
        task_id=config or "default",
        value=round(value, 6),
        dataset_revision=revision,
        notes=f"{METRICS[metric][0]} on the split {split}; {evidence.on}; {MEASURED}",
    )
    text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), allow_unicode=True, sort_keys=False)
    write_text(Path(folder) / RESULTS_FOLDER / f"{dataset_id.split('/')[-1]}.yaml", text)


def _number(results: Mapping[str, Any], key: str) -> str:
    value, spread = results.get(key), results.get(f"{key}_std")
    if value is None:
        return ""
    return f"{value:.4f} ± {spread:.4f}" if spread else f"{value:.4f}"


def _finite(results: Mapping[str, Any], prefix: str, metrics: Iterable[str]) -> dict[str, float]:
    found = {name: results.get(f"{prefix}_{name}" if prefix else name) for name in metrics}
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}
