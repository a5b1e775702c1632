"""One rank of two, or one process alone: trains each case and records its gradients. Run by test_trainer_ranks.py."""

import os
import random
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from datasets import Dataset
from peft import LoraConfig
from simcse_runs import configure
from transformers import TrainerCallback

from hf_xling import SimCSETrainer
from hf_xling.contrastive import trainer as trainer_module

STEPS, ROWS = 2, 48


def texts(words, seed) -> list[str]:
    """Texts of 1 to 12 of the words: ranks get unlike numbers of tokens."""
    generator = random.Random(seed)
    return [" ".join(generator.choices(words, k=generator.randint(3, 12))) for _ in range(ROWS)]


def columns(words, *names) -> dict[str, list]:
    found = {name: texts(words, seed) for seed, name in enumerate(("anchor", *names)) if name != "group"}
    if "group" in names:
        found["group"] = [f"sentence {row % 5}" for row in range(ROWS)]
    return found


# name: the columns beside the anchors, and fields
CASES = {
    "plain": ((), {}),
    "pairs": (("positive",), {"symmetric": True}),
    "groups": (("positive", "group"), {"pooling": "mean"}),
    "weighted": (("positive", "negative"), {"negative_weight": 1.5}),
    "negatives": (("positive", "negative_1", "negative_2", "group"), {}),
    "padded": (("positive",), {"packing": False}),
    "budget": (("positive",), {"token_budget": 20}),
    "padded budget": (("negative",), {"token_budget": 20, "packing": False, "pooling": "first_last_mean"}),
    "accumulated": (("positive", "group"), {"gradient_accumulation_steps": 2, "token_budget": 24}),
    "adapter": (("positive",), {}),
    "masked": (("positive",), {"mlm_weight": 0.5, "token_budget": 24, "pooling": "mean"}),
    "unmasked": (("positive",), {"token_budget": 24, "pooling": "mean"}),
    "bfloat16": (("positive",), {"bf16": True}),
}


class Record(TrainerCallback):
    """The gradients of the first step."""

    def __init__(self):
        self.gradients = {}

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        if not self.gradients:
            self.gradients = {
                name.removeprefix("module."): p.grad.clone() for name, p in model.named_parameters() if p.requires_grad
            }


def train(case, checkpoint, folder, words, batch, eval_dataset=None) -> dict:
    """What training the case gives: gradients of the first step, weights of the last, and what the batches were.

    SGD shows a wrong factor of the gradient, which Adam would hide, as clipping would.
    """
    names, fields = CASES[case]
    still = {"optim": "sgd", "lr_scheduler_type": "constant", "max_grad_norm": 0.0, "learning_rate": 0.05}
    args = configure(
        folder,
        **{
            **still,
            "max_steps": STEPS,
            "per_device_train_batch_size": batch,
            "per_device_eval_batch_size": 6,
            **fields,
        },
    )
    corpus, record = Dataset.from_dict(columns(words, *names)), Record()
    peft = LoraConfig(task_type="FEATURE_EXTRACTION", r=4, lora_dropout=0.0) if case == "adapter" else None
    trainer = SimCSETrainer(str(checkpoint), args, corpus, eval_dataset, callbacks=[record], peft_config=peft)
    chunks, compute_loss = [], trainer.compute_loss

    def counted(model, inputs, *rest, **options):
        chunks.append(len(inputs["chunks"]))
        return compute_loss(model, inputs, *rest, **options)

    trainer.compute_loss = counted
    masked = []
    if trainer.masking is not None:
        masking = trainer.masking
        trainer.masking = lambda ids: masked.append(masking(ids)) or masked[-1]
    mlm = []
    trainer.model.register_forward_hook(lambda module, inputs, output: mlm.append(output[1]))
    trainer.train()
    return {
        "world": args.world_size,
        "gradients": record.gradients,
        "weights": {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()},
        "chunks": chunks,
        # Of the first step: the sum of the losses of masked tokens, and how many there are.
        "mlm": (
            (mlm[0].item(), sum((chunk["mlm_labels"] != -100).sum().item() for chunk in masked[: chunks[0]]))
            if masked
            else None
        ),
        "losses": [line["loss"] for line in trainer.state.log_history if "loss" in line],
    }


def batches(checkpoint, folder, words, batch) -> dict:
    """The rows of the batches of one epoch, and what evaluation measures."""
    corpus = Dataset.from_dict(columns(words, "positive"))
    args = configure(folder, per_device_train_batch_size=batch, per_device_eval_batch_size=6)
    trainer = SimCSETrainer(str(checkpoint), args, corpus.select(range(ROWS - 5)), corpus)
    rows = [batch["groups"].tolist() for batch in trainer.get_train_dataloader()]
    held_out = [batch["groups"].tolist() for batch in trainer.get_eval_dataloader()]
    metrics = trainer.evaluate()
    return {"rows": rows, "held_out": held_out, "metrics": metrics}


def without_gradient(rows):
    """The official code's gather: the others' rows are constants."""
    gathered = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, rows.detach().contiguous())
    gathered[dist.get_rank()] = rows
    return torch.cat(gathered)


def main(checkpoint, folder, batch, words, *cases) -> None:
    found = {case: train(case, checkpoint, folder, words.split(), int(batch)) for case in cases}
    found["batches"] = batches(checkpoint, folder, words.split(), int(batch))
    trainer_module.gather_rows = without_gradient
    found["fault"] = train("pairs", checkpoint, folder, words.split(), int(batch))
    torch.save(found, Path(folder) / f"rank-{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
