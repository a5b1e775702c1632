"""Learning rates by part of the model, the frozen body, early stopping, and adapters."""

import shutil

import pytest
import torch
from datasets import Dataset
from peft import AutoPeftModelForSequenceClassification, LoraConfig, PeftModel
from regression_runs import configure, distance, losses, train, weights
from transformers import AutoModel, AutoModelForSequenceClassification, TrainerCallback, pipeline

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError
from hf_xling.regression.rater import Rater


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


STOPPING = {
    **{"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 1, "save_steps": 1, "save_total_limit": 5},
    **{"load_best_model_at_end": True, "early_stopping_patience": 2, "max_steps": 12, "learning_rate": 5.0},
}


class Killed(TrainerCallback):
    def on_train_end(self, args, state, control, **kwargs):
        raise KeyboardInterrupt


def test_early_stopping_ends_with_the_best_also_when_resumed(bert_folder, rated, tmp_path):
    """A learning rate that does harm."""

    def run(folder, callbacks=(), resume=None):
        args = configure(folder, **STOPPING, lr_scheduler_type="constant")
        rows = rated.select(range(64)), rated.select(range(64, 96))
        trainer = RegressionTrainer(str(bert_folder), args, *rows, callbacks=list(callbacks))
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run(tmp_path / "whole")
    ended = whole.state.global_step
    assert ended < 12
    scores = [line["eval_mse"] for line in whole.state.log_history if "eval_mse" in line]
    assert whole.evaluate()["eval_mse"] == pytest.approx(min(scores), rel=1e-5)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", [Killed()])
    resumed = run(tmp_path / "killed", resume=str(tmp_path / "killed" / f"checkpoint-{ended}"))
    assert resumed.state.global_step == ended
    assert distance(weights(whole.model), weights(resumed.model)) == 0


def test_early_stopping_wants_a_validation_set(bert_folder, rated, tmp_path):
    with pytest.raises(InputError, match="--early_stopping_patience: needs a validation set"):
        RegressionTrainer(str(bert_folder), configure(tmp_path, **STOPPING), rated)


# Adapters


def lora(**fields):
    return LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, lora_dropout=0.0, **fields)


def trained_adapter(checkpoint, rated, folder, **fields):
    args = configure(folder, max_steps=30, learning_rate=5e-3, **fields)
    # peft knows no layers of DistilBERT by itself.
    modules = {"target_modules": ["q_lin", "v_lin"]} if "distilbert" in str(checkpoint) else {}
    trainer = RegressionTrainer(str(checkpoint), args, rated, peft_config=lora(**modules))
    trainer.train()
    trainer.save_model()
    return trainer


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_an_adapter_is_loaded_with_its_head(request, rated, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    trainer = trained_adapter(checkpoint, rated, tmp_path / "run")
    wanted = trainer.predict(rated).predictions[:, 0]
    assert wanted.std() > 0.1, "all ratings are one"
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert "adapter_model.safetensors" in names and "model.safetensors" not in names
    base = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=1)
    by_peft = Rater(PeftModel.from_pretrained(base, tmp_path / "run"), trainer.processing_class)
    assert by_peft.logits(rated["text"][:])[:, 0].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    by_name = AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "run", num_labels=1)
    assert Rater(by_name, trainer.processing_class).logits(rated["text"][:8])[:, 0] == pytest.approx(
        wanted[:8], abs=1e-5
    )
    ours = Rater.load(tmp_path / "run")
    assert ours.logits(rated["text"][:])[:, 0].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    ours.save(tmp_path / "merged")
    rate = pipeline("text-classification", str(tmp_path / "merged"), device="cpu")
    given = [answer["score"] for answer in rate(rated["text"][:8], function_to_apply="none")]
    assert given == pytest.approx(wanted[:8].tolist(), abs=1e-5)


def test_an_adapter_trains_nothing_of_the_body(bert_folder, rated, tmp_path):
    trainer = trained_adapter(bert_folder, rated, tmp_path / "run")
    base = AutoModel.from_pretrained(bert_folder).state_dict()
    body = trainer.model.get_base_model().bert
    for name, tensor in body.state_dict().items():
        if "lora" not in name and "pooler" not in name:
            assert torch.equal(tensor, base[name.replace(".base_layer", "")]), name
    groups = {group["initial_lr"] for group in trainer.optimizer.param_groups}
    assert len(groups) == 2, "the output layer has a rate of its own"


def test_an_adapter_resumes_and_keeps_its_best(bert_folder, rated, tmp_path):
    fields = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3, "save_total_limit": 3, "learning_rate": 5e-3}

    def run(folder, resume=None):
        trainer = RegressionTrainer(str(bert_folder), configure(folder, **fields), rated, peft_config=lora())
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run(tmp_path)
    resumed = run(tmp_path, str(tmp_path / "checkpoint-3"))
    assert distance(weights(whole.model), weights(resumed.model)) == 0


def test_an_encoder_without_a_pooler_brings_a_new_one_home(bert_folder, rated, tmp_path):
    """As AutoModel saves one that was made without: the pooler is new, and part of the adapter's checkpoint."""
    folder = tmp_path / "bare"
    shutil.copytree(bert_folder, folder)
    AutoModel.from_pretrained(bert_folder, add_pooling_layer=False).save_pretrained(folder)
    trainer = trained_adapter(folder, rated, tmp_path / "run")
    assert "bert.pooler.dense.weight" in trainer.loading
    wanted = trainer.predict(rated).predictions[:, 0]
    ours = Rater.load(tmp_path / "run").logits(rated["text"][:])[:, 0]
    assert ours.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)


def test_layers_that_there_are_not_are_refused(bert_folder, rated, tmp_path):
    with pytest.raises(InputError, match="--lora_target_modules"):
        RegressionTrainer(str(bert_folder), configure(tmp_path), rated, peft_config=lora(target_modules=["nowhere"]))


# What stands at each checkpoint


@pytest.mark.parametrize(("scale", "shift"), [(0.25, -0.25), (1.0, 0.0), (25.0, -25.0), (3.0, 1000.0)])
@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_every_checkpoint_answers_the_plain_pipeline(request, rated, tmp_path, architecture, scale, shift):
    """In the ratings' own units: at the first, a middle and the last one."""
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    rows = Dataset.from_dict({"text": rated["text"][:64], "label": [x * scale + shift for x in rated["label"][:64]]})
    found = {}

    class Asked(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            found[state.global_step] = trainer.predict(rows).predictions[:8, 0].tolist()

    fields = {"save_strategy": "steps", "save_steps": 5, "save_total_limit": 9, "max_steps": 15}
    trainer = RegressionTrainer(str(checkpoint), configure(tmp_path, **fields), rows, callbacks=[Asked()])
    trainer.train()
    assert list(found) == [5, 10, 15]
    for step, wanted in found.items():
        rate = pipeline("text-classification", str(tmp_path / f"checkpoint-{step}"), device="cpu")
        given = [answer["score"] for answer in rate(rows["text"][:8], function_to_apply="none", truncation=True)]
        assert given == pytest.approx(wanted, abs=1e-5 * max(1.0, scale + abs(shift)))
        mean = sum(rows["label"]) / len(rows)
        assert abs(sum(given) / 8 - mean) < 3 * scale
    assert found[5] != found[15]
