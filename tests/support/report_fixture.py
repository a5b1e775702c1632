"""A folder of made-up results, as `hf-xling experiments` writes it, in the shapes that the report has to bear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy

PAPER = {
    "en-direct": 0.052,
    "en-simcse-snli": 0.089,
    "en-simcse-paraphrased": None,
    "ta-direct": 0.398,
    "ta-simcse-murasu": 0.392,
    "ta-simcse-translated": 0.342,
    "ta-simcse-paraphrased-translated": 0.313,
}
SIZES = {"en": 200, "ta": 120}


def make_results(folder: Path, seeds: tuple[int, ...] = (1, 2, 3), names: dict[str, float | None] = PAPER) -> Path:
    """Write seven experiments in two languages, and their baselines, to `folder`."""
    for place, (name, paper_mse) in enumerate(names.items()):
        for seed in seeds:
            add_run(folder, name, seed, noise=0.62 - 0.03 * place, paper_mse=paper_mse)
    for language in dict.fromkeys(name.split("-")[0] for name in names):
        add_run(folder, "constant", None, language=language, noise=None)
        add_run(folder, "tfidf-ridge", None, language=language, noise=0.5)
    return folder


def add_run(
    folder: Path,
    experiment: str,
    seed: int | None,
    *,
    noise: float | None,
    language: str | None = None,
    slug: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Append a row with its predictions and logs; `noise` None predicts a constant, `slug` names its folder."""
    baseline = seed is None
    language = language or experiment.split("-")[0]
    slug = slug or experiment
    run_id = f"{experiment}/{language}" if baseline else f"{experiment}/seed-{seed}"
    place = f"baselines/{slug}-{language}" if baseline else f"experiments/{slug}/seed-{seed}"
    random = numpy.random.default_rng([len(experiment), seed or 0, int(1000 * (noise or 0))])
    size = SIZES.get(language, 60)
    # The same true ratings for every run of a language.
    ratings = numpy.random.default_rng(size).integers(4, 19, size) / 4 if language != "en" else None
    true = numpy.arange(size) % 2.0 if ratings is None else ratings
    scale = true.std()
    predicted = numpy.full(size, true.mean() + 0.01)
    if noise is not None:
        predicted = true.mean() + 0.5 * (true - true.mean()) + random.normal(0, noise * scale, size)
    (folder / place).mkdir(parents=True, exist_ok=True)
    pairs = zip(true.tolist(), predicted.tolist(), strict=True)
    lines = ["id,label,prediction", *(f"{index},{label!r},{guess!r}" for index, (label, guess) in enumerate(pairs))]
    (folder / place / "predictions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    mse = float(((predicted - true) ** 2).mean())
    correlation = None if noise is None else float(numpy.corrcoef(true, predicted)[0, 1])
    encoder = None if baseline or experiment.endswith("-direct") else f"encoders/{slug}/trainer_state.json"
    if encoder:
        write_state(folder / encoder, {"loss": [4.2 * 0.93**step + 0.4 * random.random() for step in range(60)]})
    if not baseline:
        training = [7 * 0.85**step * random.uniform(0.8, 1.2) + 0.05 for step in range(40)]
        validation = [mse + 5 * 0.8**step + 0.002 * step for step in range(0, 40, 4)]
        write_state(folder / place / "trainer_state.json", {"loss": training, "eval_mse": validation})
    row = {
        "run_id": run_id,
        "experiment": experiment,
        "kind": "baseline" if baseline else "experiment",
        "language": language,
        "task": f"reviews_{language}_test.csv",
        "seed": seed,
        "n_train": 280,
        "n_validation": 80,
        "n_test": size,
        "test_mse": mse,
        "test_rmse": mse**0.5,
        "test_mae": float(numpy.abs(predicted - true).mean()),
        "test_pearson": correlation,
        "test_spearman": correlation,
        "predictions": f"{place}/predictions.csv",
        "log": None if baseline else f"{place}/trainer_state.json",
        "encoder_log": encoder,
        "paper_mse": None,
        "started": "2026-11-20T10:00:00+00:00",
        "seconds": 0.4 if baseline else 5.2,
        **changes,
    }
    with open(folder / "results.jsonl", "a", encoding="utf-8") as stream:
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return row


def write_state(path: Path, curves: dict[str, list[float]]) -> None:
    """A Trainer state whose `log_history` holds `curves`, spread over 400 steps."""
    history = []
    for name, values in curves.items():
        step = 400 // len(values)
        history += [{"step": (index + 1) * step, "epoch": 0.1, name: value} for index, value in enumerate(values)]
    history.append({"step": 400, "train_loss": 1.0, "train_runtime": 5.0})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"global_step": 400, "log_history": history}), encoding="utf-8")


def read_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of `results.jsonl` by `run_id`."""
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["run_id"]: row for row in map(json.loads, lines)}
