"""SimCSE steps that are compared, each in a process of its own: `python simcse_clients.py NAME --model DIR …`."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from datasets import Dataset
from measured import tell
from torch import Tensor, nn
from training import StepClock, by_kind, make_checkpoint, memory, product_rate, read_texts, timed
from transformers import AutoModel, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments

TEMPERATURE = 0.05


def ours(options: argparse.Namespace, texts: list[str], common: dict[str, Any]) -> Trainer:
    """`SimCSETrainer` as it is."""
    from hf_xling import SimCSEConfig, SimCSETrainer

    fields = {"max_length": options.max_length, "token_budget": options.token_budget, "torch_compile": options.compile}
    args = SimCSEConfig(**common, **fields)
    trainer = SimCSETrainer(options.model, args, Dataset.from_dict({"anchor": texts}))
    _same_mlp(trainer.model.mlp[0])
    return trainer


def sentence_transformers(options: argparse.Namespace, texts: list[str], common: dict[str, Any]) -> Trainer:
    """The trainer of sentence-transformers with `MultipleNegativesRankingLoss`, or the cached one."""
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        losses,
        models,
    )

    encoder = models.Transformer(options.model, max_seq_length=options.max_length)
    width = encoder.get_embedding_dimension()
    dense = models.Dense(width, width, activation_function=nn.Tanh())
    _same_mlp(dense.linear)
    model = SentenceTransformer(
        modules=[encoder, models.Pooling(width, pooling_mode="cls"), dense], device=options.device
    )
    scale = 1 / TEMPERATURE
    if options.mini_batch:
        loss = losses.CachedMultipleNegativesRankingLoss(model, scale=scale, mini_batch_size=options.mini_batch)
    else:
        loss = losses.MultipleNegativesRankingLoss(model, scale=scale)
    args = SentenceTransformerTrainingArguments(**common, torch_compile=options.compile)
    return SentenceTransformerTrainer(model, args, Dataset.from_dict({"anchor": texts, "positive": texts}), loss=loss)


class TwoViews(nn.Module):
    """The step of the official SimCSE: each text twice in a padded batch, and cosines of all pairs by broadcasting."""

    def __init__(self, name: str):
        super().__init__()
        self.encoder = AutoModel.from_pretrained(name)
        self.encoder.pooler.requires_grad_(False)
        self.dense = nn.Linear(self.encoder.config.hidden_size, self.encoder.config.hidden_size)
        _same_mlp(self.dense)

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """(B, T) token ids and attention mask → the loss."""
        twice = {name: value.repeat(2, 1) for name, value in batch.items()}
        vectors = torch.tanh(self.dense(self.encoder(**twice).last_hidden_state[:, 0]))
        one, other = vectors.chunk(2)
        cosines = F.cosine_similarity(one.unsqueeze(1), other.unsqueeze(0), dim=-1)
        return {"loss": F.cross_entropy(cosines / TEMPERATURE, torch.arange(len(one), device=one.device))}


def padded(options: argparse.Namespace, texts: list[str], common: dict[str, Any]) -> Trainer:
    """`TwoViews` in transformers' Trainer, over texts that were tokenised beforehand, as the official script does."""
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    ids = tokenizer(texts, truncation=True, max_length=options.max_length, return_token_type_ids=False)
    args = TrainingArguments(**common, torch_compile=options.compile, remove_unused_columns=False)
    collator = DataCollatorWithPadding(tokenizer)
    return Trainer(TwoViews(options.model), args, collator, Dataset.from_dict(dict(ids)), processing_class=tokenizer)


CLIENTS = {"ours": ours, "sentence_transformers": sentence_transformers, "padded": padded}


@torch.no_grad()
def _same_mlp(dense: nn.Linear) -> None:
    """The same weights for all."""
    nn.init.eye_(dense.weight)
    nn.init.zeros_(dense.bias)


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Some steps of one client, and what they took."""
    steps = options.warm_up + options.steps
    texts = read_texts(options.texts, options.batch * steps)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        common: dict[str, Any] = {
            **{"output_dir": folder, "max_steps": steps, "per_device_train_batch_size": options.batch},
            **{"learning_rate": 5e-5, "bf16": options.precision == "bf16", "use_cpu": options.device == "cpu"},
            **{"save_strategy": "no", "report_to": "none", "disable_tqdm": True, "dataloader_drop_last": True},
            **{"logging_strategy": "steps" if options.still else "no", "logging_steps": 1},
            "dataloader_pin_memory": options.device == "cuda",
        }
        trainer = CLIENTS[options.client](options, texts, common)
        clock = StepClock(options.warm_up)
        trainer.add_callback(clock)
        report["memory_before"] = memory()
        with contextlib.redirect_stdout(sys.stderr):
            trainer.train()
        # What is in a batch, whoever encodes it: both views of each text, without padding.
        ids = trainer.processing_class(texts, truncation=True, max_length=options.max_length)["input_ids"]
        tokens = 2 * sum(map(len, ids)) / steps
        report |= {"seconds": clock.seconds(), "peak_memory": memory(), "tokens": tokens}
        if options.still:
            (logged,) = (line for line in trainer.state.log_history if "loss" in line)
            report |= {"loss": logged["loss"], "grad_norm": logged["grad_norm"]}
        if options.anatomy:
            report["anatomy"] = anatomy(trainer, options, tokens)
    return report


def anatomy(trainer: Trainer, options: argparse.Namespace, tokens: float) -> dict[str, Any]:
    """Where the time of a step goes: by its parts, and by kind of operation; and how near it is to bare products."""
    parts: dict[str, float] = {}
    clock = next(each for each in trainer.callback_handler.callbacks if isinstance(each, StepClock))
    methods = {"get_batch_samples": "batch", "compute_loss": "forward"}
    with timed(trainer, methods, parts), timed(trainer.accelerator, {"backward": "backward"}, parts):
        clock.ends, clock.warm_up = [], 0
        trainer.train()
    whole = sum(clock.seconds())
    parts = {name: seconds / whole for name, seconds in parts.items()}
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if options.device == "cuda" else []
    trainer.args.max_steps = 1
    with torch.profiler.profile(activities=activities) as profile:
        trainer.train()
    kinds = by_kind(profile)
    found = {
        "parts": {**parts, "optimiser and the rest": 1 - sum(parts.values())},
        "kinds": {name: seconds / sum(kinds.values()) for name, seconds in kinds.items()},
    }
    if options.device == "cuda":  # a CPU's rate depends too much on the shape of the product
        weights = sum(parameter.numel() for parameter in trainer.model.encoder.encoder.parameters())
        rate = product_rate(options.precision)
        # Forward and backward of the layers' products take 6 operations a weight and token; attention is left out.
        share = 6 * weights * tokens * len(clock.seconds()) / whole / rate
        found |= {"share_of_product_rate": share, "product_rate": rate}
    return found


def main(argv: Sequence[str]) -> None:
    """Parse, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", choices=[*CLIENTS, "make"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", nargs="+", required=True)
    parser.add_argument("--size", help="for `make`: of the checkpoint to be made")
    parser.add_argument("--still", action="store_true", help="without dropout: one batch, whose loss is told")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warm_up", type=int, default=1)
    parser.add_argument("--max_length", type=int, default=32)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--token_budget", type=int)
    parser.add_argument("--mini_batch", type=int, help="texts of a pass of the cached loss")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--anatomy", action="store_true", help="also tell where the time goes")
    options = parser.parse_args(argv)
    if options.client == "make":
        texts = read_texts(options.texts, 20_000)
        make_checkpoint(Path(options.model), options.size, texts, dropout=0.0 if options.still else 0.1)
        tell({})
    else:
        tell(train(options))


if __name__ == "__main__":
    main(sys.argv[1:])
