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
MEASURED = "measured by hf_xling"  # by which a push tells our results from those that others put beside them


@dataclass(frozen=True)
class Evidence:
    """What was measured.

    Attributes:
        on: what it was measured on, and how often it was trained.
        metrics: names of `METRICS`, the columns of the table.
        rows: what was measured, and the value of each metric as text.
        values: of each metric the one number that stands for the model; finite.
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
    folds, seeds = results.get("folds"), results.get("seeds", [results.get("seed")])
    runs = len(seeds) * (folds or 1)
    seeded = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    what = "texts"
    if split == "validation":
        chose = ", which chose the checkpoint, and so says too much good of it" if "chosen_by" in results else ""
        what = f"texts of the validation set{chose}"
    on = f"{results[f'n_{split}']:,} {what}; {seeded}" if f"n_{split}" in results else seeded
    if folds:
        on = f"cross-validation in {folds} folds; {on}"
    if runs == 1:
        rows = [("this model", [_number(results.get(f"{split}_{name}")) for name in metrics])]
        values, on = _finite(results, split, metrics), f"{on}; one training, so that no spread is known"
    else:
        spread = [(results.get(f"{split}_{name}"), results.get(f"{split}_{name}_std")) for name in metrics]
        label = f"each of {runs} models alone: mean ± sample standard deviation{' over folds and seeds' * bool(folds)}"
        rows, values = [(label, [_number(*each) for each in spread])], _finite(results, split, metrics)
        for prefix, what in (("out_of_fold", "in cross-validation"), ("ensemble_test", "on the test set")):
            if f"{prefix}_{metrics[0]}" in results:
                rows.append(
                    (
                        f"the mean of their predictions, {what}",
                        [_number(results.get(f"{prefix}_{name}")) for name in metrics],
                    )
                )
                values = _finite(results, prefix, metrics)
    for metric, (key, said) in BASELINES.items():
        if metric in metrics and results.get(f"{split}_{key}") is not None:
            value = _number(results[f"{split}_{key}"], results.get(f"{split}_{key}_std"))
            rows.append((said, [value if name == metric else "" for name in metrics]))
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
    rows: list[tuple[str, dict[str, float]]] = []
    last: dict[str, float] = {}
    for what, prefix, names in (("in training", "", ["loss"]), ("held out", "eval_", list(_HELD_OUT))):
        entries = [entry for entry in history if any(f"{prefix}{name}" in entry for name in names)]
        for entry in dict.fromkeys((0, len(entries) - 1)) if entries else ():
            told = entries[entry]
            last = {_HELD_OUT[name] if prefix else name: told.get(f"{prefix}{name}") for name in names}
            rows.append((f"{what}, step {told.get('step', 0):,}", last))
    if not rows:
        return None
    rows.append(("a model that cannot tell texts apart", dict(chance)))
    columns = [name for name in METRICS if any(values.get(name) is not None for _, values in rows[:-1])]
    if not chance.keys() & set(columns):
        rows.pop()
    shown = [(what, [_number(values.get(name)) for name in columns]) for what, values in rows]
    single = "one training, so that no spread is known"
    return Evidence(single, columns, shown, _finite(last, "", ["sts_spearman"]))


def model_index(
    name: str, task: str, evidence: Evidence | None, dataset: str, is_id: bool, **part: str | None
) -> list[dict[str, Any]]:
    """The `model-index` of a card's front matter; empty if there is nothing to tell.

    Args:
        name: of the model.
        task: of the Hub.
        evidence: what was measured.
        dataset: its id on the Hub, or what else it is called.
        is_id: whether it is one.
        part: `config`, `split` and `revision` of the dataset.
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
            **{f"dataset_{key}": told for key, told in part.items()},
        )
        for metric, value in (evidence.values.items() if evidence else ())
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


def _number(value: float | None, spread: float | None = None) -> str:
    if value is None:
        return ""
    return f"{value:.4f} ± {spread:.4f}" if spread else f"{value:.4f}"


def _finite(results: Mapping[str, Any], prefix: str, metrics: Iterable[str]) -> dict[str, float]:
    found = {name: results.get(f"{prefix}_{name}" if prefix else name) for name in metrics}
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}
