"""Small SimCSE trainings for the tests of the trainer."""

import torch

from hf_xling import SimCSEConfig, SimCSETrainer

BATCH = 16


def configure(folder, **fields) -> SimCSEConfig:
    defaults = {
        "max_steps": 4,
        "per_device_train_batch_size": BATCH,
        "learning_rate": 1e-3,
        "max_length": 16,
        "save_strategy": "no",
        "save_total_limit": None,
        "logging_steps": 1,
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return SimCSEConfig(output_dir=str(folder), **{**defaults, **fields})


def train(checkpoint, corpus, folder, resume=None, callbacks=None, eval_dataset=None, **fields) -> SimCSETrainer:
    trainer = SimCSETrainer(
        str(checkpoint), configure(folder, **fields), corpus, eval_dataset=eval_dataset, callbacks=callbacks
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def losses(trainer) -> list[float]:
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_equal_weights(first, second, atol=0.0):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=0, atol=atol, msg=lambda m, name=name: f"{name}: {m}")
