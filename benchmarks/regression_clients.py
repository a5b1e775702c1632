"""Regression steps that are compared, and `hf-xling predict`, each in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import csv
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from measured import measuring, tell
from training import StepClock, make_checkpoint, memory, read_texts
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

MEDIAN, SPREAD, LONGEST = 90, 0.9, 510  # words of a document: log-normal, cut


def documents(paths: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Documents of sentences, with a heavy tail of long ones."""
    sentences, generator = read_texts(paths, 20_000), random.Random(seed)
    found = []
    for _ in range(count):
        wanted = min(LONGEST, max(5, round(MEDIAN * generator.lognormvariate(0, SPREAD))))
        words: list[str] = []
        while len(words) < wanted:
            words += generator.choice(sentences).split()
        found.append(" ".join(words[:wanted]))
    return found


def rated(options: argparse.Namespace) -> Dataset:
    """As many documents as the steps take, with ratings of 1 to 5."""
    count = options.batch * (options.warm_up + options.steps)
    return Dataset.from_dict({"text": documents(options.texts, count), "label": [1.0 + n % 5 for n in range(count)]})


def ours(options: argparse.Namespace, common: dict[str, Any]) -> Trainer:
    """`RegressionTrainer` as it is."""
    from hf_xling import RegressionConfig, RegressionTrainer

    args = RegressionConfig(**common, max_length=512, eval_strategy="no", load_best_model_at_end=False)
    return RegressionTrainer(options.model, args, rated(options))


def stock(options: argparse.Namespace, common: dict[str, Any]) -> Trainer:
    """transformers' Trainer over texts tokenised beforehand, each batch padded to its longest."""
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    rows = rated(options)
    dataset = Dataset.from_dict(dict(tokenizer(rows["text"][:], truncation=True, max_length=512)))
    dataset = dataset.add_column("label", rows["label"][:])
    model = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=1, problem_type="regression")
    args, collator = TrainingArguments(**common), DataCollatorWithPadding(tokenizer)
    return Trainer(model, args, collator, dataset, processing_class=tokenizer)


CLIENTS = {"ours": ours, "stock": stock}


class SameHead(TrainerCallback):
    """One head for all, as each trainer makes a new one of its own."""

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Weights from -1 to 1, and a bias of 3, the mean of the ratings."""
        import torch

        with torch.no_grad():
            model.classifier.weight.copy_(torch.linspace(-1, 1, model.config.hidden_size))
            model.classifier.bias.fill_(3.0)


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Some steps of one client, and what they took."""
    steps, report = options.warm_up + options.steps, {}
    with tempfile.TemporaryDirectory() as folder:
        common = {
            **{"output_dir": folder, "max_steps": steps, "per_device_train_batch_size": options.batch},
            **{"bf16": options.precision == "bf16", "use_cpu": options.device == "cpu", "save_strategy": "no"},
            **{"report_to": "none", "disable_tqdm": True, "logging_steps": 1},
            **{"logging_strategy": "steps" if options.still else "no"},
            "dataloader_pin_memory": options.device == "cuda",
        }
        trainer, clock = CLIENTS[options.client](options, common), StepClock(options.warm_up)
        trainer.add_callback(clock)
        if options.still:
            trainer.add_callback(SameHead())
        with contextlib.redirect_stdout(sys.stderr):
            trainer.train()
        ids = trainer.processing_class(rated(options)["text"][:], truncation=True, max_length=512)["input_ids"]
        report |= {"seconds": clock.seconds(), "peak_memory": memory(), "tokens": sum(map(len, ids)) / steps}
        if options.still:
            report["loss"] = next(line["loss"] for line in trainer.state.log_history if "loss" in line)
    return report


def predict(options: argparse.Namespace) -> dict[str, Any]:
    """`hf-xling predict` over a file of many sentences."""
    from hf_xling.regression.predict import PredictConfig
    from hf_xling.regression.predict import predict as run

    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.csv"
        with open(source, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text"])
            sentences = read_texts(options.texts, 20_000)
            writer.writerows([sentences[row % len(sentences)]] for row in range(options.rows))
        model = Path(folder) / "model"
        AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=1).save_pretrained(model)
        AutoTokenizer.from_pretrained(options.model).save_pretrained(model)
        del sentences
        with measuring(report):
            run(PredictConfig(str(model), str(source), str(Path(folder) / "out.csv")))
    return report


def main(argv: Sequence[str]) -> None:
    """Parse, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", choices=[*CLIENTS, "make", "predict"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", nargs="+", required=True)
    parser.add_argument("--size", help="for `make`: of the checkpoint to be made")
    parser.add_argument("--still", action="store_true", help="without dropout: one batch, whose loss is told")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warm_up", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1000, help="for `predict`")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(argv)
    if options.client == "make":
        make_checkpoint(
            Path(options.model), options.size, read_texts(options.texts, 20_000), 0.0 if options.still else 0.1
        )
        tell({})
    else:
        tell(predict(options) if options.client == "predict" else train(options))


if __name__ == "__main__":
    main(sys.argv[1:])
