"""Learning rates by part of the model, and the frozen body."""

import pytest
import torch
from regression_runs import configure, distance, losses, train, weights
from transformers import TrainerCallback

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError


def rates(trainer) -> dict[str, float]:
    """The learning rate of each parameter."""
    trainer.create_optimizer()
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    return {names[id(p)]: group["lr"] for group in trainer.optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_each_layer_learns_slower_than_the_one_above(request, rated, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    args = configure(tmp_path, learning_rate=1.0, layer_lr_decay=0.5)
    trainer = RegressionTrainer(str(checkpoint), args, rated)
    found = rates(trainer)
    deviation = trainer.task.deviation
    assert found.keys() == {name for name, _ in trainer.model.named_parameters()}
    output = "classifier.out_proj" if architecture == "xlmr" else "classifier"
    for name, rate in found.items():
        if name.startswith(output):
            assert rate == pytest.approx(deviation)
        elif "layer.1." in name:
            assert rate == 0.5
        elif "layer.0." in name:
            assert rate == 0.25
        elif "embeddings" in name:
            assert rate == 0.125
        else:
            assert rate == 1.0 and ("pooler" in name or "classifier" in name), name
    assert deviation != 1.0


def test_weight_decay_acts_on_weights_alone_and_at_one_pace(bert_folder, rated, tmp_path):
    trainer = RegressionTrainer(str(bert_folder), configure(tmp_path, weight_decay=0.5, learning_rate=0.1), rated)
    trainer.create_optimizer()
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    for group in trainer.optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            plain = name.endswith("bias") or "LayerNorm" in name
            assert group["lr"] * group["weight_decay"] == pytest.approx(0.0 if plain else 0.05), name


class Watch(TrainerCallback):
    """The weights after each step."""

    def __init__(self):
        self.course = []

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.course.append(weights(model))

    on_step_end = on_train_begin


def test_a_frozen_body_does_not_move_until_it_may(bert_folder, rated, tmp_path):
    watch = Watch()
    args = configure(tmp_path, max_steps=4, freeze_body_steps=2, weight_decay=0.1)
    RegressionTrainer(str(bert_folder), args, rated, callbacks=[watch]).train()
    body = [name for name in watch.course[0] if name.startswith("bert.") and "pooler" not in name]
    head = [name for name in watch.course[0] if name.startswith(("classifier.", "bert.pooler"))]
    for step, (before, after) in enumerate(zip(watch.course, watch.course[1:], strict=False)):
        assert all(torch.equal(before[name], after[name]) for name in body) == (step < 2)
        assert not any(torch.equal(before[name], after[name]) for name in head)


def test_a_frozen_body_resumes(bert_folder, rated, tmp_path):
    fields = {"max_steps": 6, "freeze_body_steps": 4, "save_strategy": "steps", "save_steps": 3, "save_total_limit": 3}
    whole = train(bert_folder, rated, tmp_path, layer_lr_decay=0.8, **fields)
    resumed = train(bert_folder, rated, tmp_path, resume=str(tmp_path / "checkpoint-3"), layer_lr_decay=0.8, **fields)
    assert distance(weights(whole.model), weights(resumed.model)) == 0 and losses(whole) == losses(resumed)


def test_a_schedule_that_is_no_function_of_the_step_cannot_freeze(bert_folder, rated, tmp_path):
    fields = {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "steps", "metric_for_best_model": "mse"}
    args = configure(tmp_path, freeze_body_steps=2, **fields)
    with pytest.raises(InputError, match="--freeze_body_steps 2: does not go with this --lr_scheduler_type"):
        RegressionTrainer(str(bert_folder), args, rated, rated.select(range(16))).train()
