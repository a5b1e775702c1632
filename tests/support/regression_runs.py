"""Small regression trainings for the tests of the trainer."""

import torch

from hf_xling import RegressionConfig, RegressionTrainer


def configure(folder, **fields) -> RegressionConfig:
    defaults = {
        "max_steps": 2,
        "per_device_train_batch_size": 16,
        "learning_rate": 1e-3,
        "eval_strategy": "no",
        "save_strategy": "no",
        "load_best_model_at_end": False,
        "logging_steps": 1,
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return RegressionConfig(output_dir=str(folder), **{**defaults, **fields})


def train(checkpoint, rows, folder, trainer=RegressionTrainer, resume=None, eval_dataset=None, **fields):
    trainer = trainer(str(checkpoint), configure(folder, **fields), rows, eval_dataset)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def weights(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def distance(first, second) -> float:
    assert first.keys() == second.keys()
    return max((first[name].float() - second[name].float()).abs().max().item() for name in first)


def losses(trainer) -> list[float]:
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]
