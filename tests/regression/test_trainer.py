"""`RegressionTrainer`: one loss by document however it is split, what it starts from, keeps, tells and refuses."""

import shutil
from functools import partial

import numpy
import pytest
import torch
from datasets import Dataset
from regression_runs import configure, distance, losses, train, weights
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainerCallback,
    pipeline,
)

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError, XlingError
from hf_xling.regression.metrics import METRICS


class InOrder(RegressionTrainer):
    """Takes the rows as they stand, so that two trainings see the same ones."""

    def _get_train_sampler(self, *args, **kwargs):
        return torch.utils.data.SequentialSampler(self.train_dataset)


# SGD, whose step shows the gradient itself: Adam's would hide a wrong factor.
SGD = {"optim": "sgd", "learning_rate": 1e-2, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}


def hand_written(checkpoint, rows, sizes):
    """The weights and losses after one SGD step for each of `sizes`, and the starting weights.

    The body learns from the MSE divided by the labels' variance; the output layer, with its larger rate, from the MSE.
    """
    variance = torch.tensor(rows["label"], dtype=torch.float64).var(correction=0).item()
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).train()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    start, course = weights(model), []
    first = 0
    for size in sizes:
        batch = tokenizer(rows["text"][first : first + size], padding=True, return_tensors="pt")
        loss = (model(**batch).logits[:, 0] - torch.tensor(rows["label"][first : first + size])).square().mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                scale = 1.0 if name.startswith("classifier.") else 1 / variance
                parameter -= SGD["learning_rate"] * scale * parameter.grad
        course.append(loss.item())
        first += size
    return weights(model), course, start


@pytest.mark.parametrize(("batch", "accumulated"), [(16, 1), (4, 4), (5, 4), (1, 16)])
def test_a_step_is_the_mse_of_its_texts_however_they_are_split(still, rated, tmp_path, batch, accumulated):
    """40 texts: the last step is a smaller one, and of 5 × 4 the steps hold 20 texts."""
    rows, size = rated.select(range(40)), batch * accumulated
    sizes = [min(size, 40 - first) for first in range(0, 40, size)]
    wanted, course, start = hand_written(still, rows, sizes)
    trainer = train(
        still,
        rows,
        tmp_path,
        InOrder,
        max_steps=-1,
        num_train_epochs=1,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulated,
        **SGD,
    )
    assert trainer.state.global_step == len(sizes)
    assert losses(trainer) == pytest.approx(course, rel=1e-4)
    assert distance(wanted, start) > 1e-2, "the model has not moved"
    assert distance(weights(trainer.model), wanted) < 1e-5


def test_a_ragged_last_micro_batch_weighs_by_its_texts(still, rated, tmp_path):
    """22 texts at 4 × 4: the last step holds a batch of 4 and one of 2."""
    rows = rated.select(range(22))
    wanted, course, start = hand_written(still, rows, [16, 6])
    fields = {"max_steps": -1, "num_train_epochs": 1, "per_device_train_batch_size": 4}
    trainer = train(still, rows, tmp_path, InOrder, gradient_accumulation_steps=4, **fields, **SGD)
    assert losses(trainer) == pytest.approx(course, rel=1e-4)
    assert distance(weights(trainer.model), wanted) < 1e-5 < 1e-2 < distance(wanted, start)


def plain_batch(tokenizer, rows):
    batch = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
    return {**batch, "labels": torch.tensor([row["label"] for row in rows])}


def test_stock_trainer_differs(still, rated, tmp_path):
    """Why `RegressionTrainer` has a loss of its own; where this fails, it can do without."""
    rows = rated.select(range(16))
    results = []
    for batch, accumulated in ((16, 1), (4, 4)):
        trainer = Trainer(
            model=AutoModelForSequenceClassification.from_pretrained(still),
            args=configure(
                tmp_path,
                max_steps=1,
                per_device_train_batch_size=batch,
                gradient_accumulation_steps=accumulated,
                **SGD,
            ),
            train_dataset=rows,
            data_collator=partial(plain_batch, AutoTokenizer.from_pretrained(still)),
        )
        trainer.train()
        results.append((losses(trainer)[0], weights(trainer.model)))
    (whole, first), (split, second) = results
    assert split == pytest.approx(4 * whole, rel=0.01)
    assert distance(first, second) > 1e-2


def test_a_label_of_minus_100_counts(still, rated, tmp_path):
    """transformers leaves out labels that equal -100."""
    labels = [-100.0 if row % 2 else label for row, label in enumerate(rated["label"][:16])]
    rows = Dataset.from_dict({"text": rated["text"][:16], "label": labels})
    wanted, course, _ = hand_written(still, rows, [16])
    fields = {"max_steps": 1, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    trainer = train(still, rows, tmp_path, InOrder, **fields, **SGD)
    assert losses(trainer) == pytest.approx(course, rel=1e-4)
    reference, own = wanted["classifier.bias"], trainer.model.classifier.bias
    assert own.item() == pytest.approx(reference.item(), rel=1e-4)
    predicted = trainer.predict(rows)
    assert predicted.label_ids.tolist() == labels
    assert predicted.metrics["test_mse"] == pytest.approx(
        sum((a - b) ** 2 for a, b in zip(predicted.predictions[:, 0], labels, strict=True)) / 16, rel=1e-5
    )


# The head


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_a_new_head_starts_at_the_mean_of_the_labels(request, rated, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    trainer = RegressionTrainer(str(checkpoint), configure(tmp_path), rated)
    head = trainer.model.classifier
    bias = (head.out_proj if architecture == "xlmr" else head).bias
    mean = sum(rated["label"]) / len(rated)
    assert bias.item() == pytest.approx(mean, rel=1e-6) and mean > 2
    others = [tensor for name, tensor in trainer.model.named_parameters() if name.endswith("bias")]
    assert sum((tensor == bias).any().item() for tensor in others) == 1, "no other bias was set"


def test_a_trained_head_keeps_its_bias(still, rated, tmp_path):
    train(still, rated, tmp_path / "first", max_steps=30).save_model()
    before = AutoModelForSequenceClassification.from_pretrained(tmp_path / "first").classifier
    after = RegressionTrainer(str(tmp_path / "first"), configure(tmp_path), rated).model.classifier
    assert torch.equal(before.bias, after.bias) and torch.equal(before.weight, after.weight)


def test_the_seed_alone_decides(bert_folder, rated, tmp_path):
    first = train(bert_folder, rated, tmp_path / "first", seed=3)
    torch.manual_seed(12345)
    torch.rand(100)
    second = train(bert_folder, rated, tmp_path / "second", seed=3)
    assert distance(weights(first.model), weights(second.model)) == 0
    other = train(bert_folder, rated, tmp_path / "third", seed=4)
    assert distance(weights(first.model), weights(other.model)) > 1e-3


# What is saved


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_a_plain_pipeline_gives_the_trainers_ratings(request, rated, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    rows = rated.map(lambda row: {"text": row["text"] + " the dog" * 20})  # cut by both
    trainer = train(checkpoint, rated, tmp_path / "run", max_steps=40)
    trainer.save_model(str(tmp_path / "model"))
    rows = Dataset.from_dict({"text": [*rated["text"][:20], *rows["text"][:4]], "label": [0.0] * 24})
    wanted = trainer.predict(rows).predictions[:, 0]
    rate = pipeline("text-classification", str(tmp_path / "model"), function_to_apply="none", device="cpu")
    given = [answer["score"] for answer in rate(rows["text"][:], truncation=True)]
    assert given == pytest.approx(wanted.tolist(), abs=1e-5)
    assert wanted.std() > 0.05, "all ratings are one"
    assert rate.model.config.problem_type == "regression" and rate.model.config.num_labels == 1


def test_learns_and_saves_no_pickle(bert_folder, rated, tmp_path):
    trainer = train(bert_folder, rated.select(range(200)), tmp_path, max_steps=60, save_strategy="steps", save_steps=60)
    trainer.save_model()
    rest = rated.select(range(200, 288))
    metrics = trainer.predict(rest).metrics
    assert {f"test_{name}" for name in METRICS} <= metrics.keys()
    constant = sum((label - 2.94) ** 2 for label in rest["label"]) / len(rest)
    assert metrics["test_mse"] < 0.5 * constant
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert not (tmp_path / "checkpoint-60" / "training_args.bin").exists()


class Spoil(TrainerCallback):
    """From the third step on the learning rate does harm."""

    def on_step_begin(self, args, state, control, optimizer, **kwargs):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 if state.global_step < 2 else 1.0


def test_the_best_checkpoint_is_restored(bert_folder, rated, tmp_path):
    args = configure(
        tmp_path,
        max_steps=4,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=2,
        save_steps=2,
        load_best_model_at_end=True,
    )
    trainer = RegressionTrainer(
        str(bert_folder), args, rated.select(range(64)), rated.select(range(64, 96)), callbacks=[Spoil()]
    )
    trainer.train()
    scores = [line["eval_mse"] for line in trainer.state.log_history if "eval_mse" in line]
    assert scores[0] < scores[1] - 0.1
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-2")
    assert trainer.evaluate()["eval_mse"] == pytest.approx(scores[0], rel=1e-6)


def test_without_a_validation_set_the_last_checkpoint_stays(bert_folder, rated, tmp_path):
    args = configure(tmp_path, max_steps=2, eval_strategy="epoch", save_strategy="epoch", load_best_model_at_end=True)
    trainer = RegressionTrainer(str(bert_folder), args, rated)
    trainer.train()
    assert trainer.state.best_model_checkpoint is None and trainer.state.global_step == 2


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_resumed_equals_uninterrupted(request, rated, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    fields = {
        "max_steps": 6,
        "save_strategy": "steps",
        "save_steps": 3,
        "save_total_limit": 2,
        "gradient_accumulation_steps": 2,
    }
    whole = train(checkpoint, rated, tmp_path, **fields)
    start = RegressionTrainer(str(checkpoint), configure(tmp_path / "start"), rated)
    assert distance(weights(whole.model), weights(start.model)) > 1e-3, "it has not moved"
    torch.manual_seed(99)
    fields["save_strategy"] = "no"
    resumed = train(checkpoint, rated, tmp_path, resume=str(tmp_path / "checkpoint-3"), **fields)
    assert resumed.state.global_step == 6
    assert distance(weights(whole.model), weights(resumed.model)) == 0
    assert losses(whole) == losses(resumed)


def test_the_card_tells_the_validation_set_where_nothing_else_was_measured(bert_folder, rated, tmp_path):
    fields = {"eval_strategy": "steps", "eval_steps": 1, "max_steps": 2}
    trainer = train(bert_folder, rated.select(range(32)), tmp_path, eval_dataset=rated.select(range(32, 48)), **fields)
    trainer.create_model_card()
    card = (tmp_path / "README.md").read_text("utf-8")
    last = [line["eval_mse"] for line in trainer.state.log_history if "eval_mse" in line][-1]
    assert "16 texts of the validation set; seed 42" in card and f"{last:.4f}" in card


@pytest.mark.parametrize(
    ("fields", "told"), [({"max_steps": 1}, False), ({"max_steps": -1, "num_train_epochs": 1}, True)]
)
def test_the_card_tells_of_epochs_where_they_decide(still, rated, tmp_path, fields, told):
    train(still, rated.select(range(16)), tmp_path, **fields).create_model_card()
    assert ("num_train_epochs" in (tmp_path / "README.md").read_text("utf-8")) == told


@pytest.fixture(scope="module")
def mixed(sentences):
    """Documents of 1 to 12 sentences: from 6 tokens to far past the 32 positions."""
    texts = [" ".join(sentences[row : row + 1 + row % 12]) for row in range(48)]
    return Dataset.from_dict({"text": texts, "label": [1.0 + row % 5 for row in range(48)]})


def by_hand(checkpoint, trainer, rows):
    """The gradient of one step by plain transformers: each part of each document alone, without padding."""
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).train()
    labels = torch.tensor(rows["label"])
    variance = labels.double().var(correction=0).item()
    losses = []
    for (parts, _), label in zip(trainer.cutter(rows["text"][:]), labels, strict=True):
        ratings = torch.stack([model(input_ids=torch.tensor(part)[None].long()).logits[0, 0] for part in parts])
        losses.append((ratings - label).square().mean())
    loss = torch.stack(losses).mean()
    (loss / variance).backward()
    return loss.item(), {name: parameter.grad for name, parameter in model.named_parameters()}


class Recorded(RegressionTrainer):
    """Keeps the gradient of the first step."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gradients = {}

    def training_step(self, model, *args, **kwargs):
        loss = super().training_step(model, *args, **kwargs)
        self.gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        return loss


@pytest.mark.parametrize("long_text", ["truncate", "head_tail", "windows"])
@pytest.mark.parametrize("split", [(48, 1, 10**6), (48, 1, 64), (12, 4, 100), (1, 48, 32)], ids=str)
def test_one_gradient_however_it_is_split(still, mixed, tmp_path, long_text, split):
    batch, accumulated, budget = split
    fields = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated, "max_steps": 1}
    fields |= {"token_budget": budget, "long_text": long_text, **SGD}
    trainer = train(still, mixed, tmp_path, Recorded, **fields)
    loss, exact = by_hand(still, trainer, mixed)
    assert trainer.state.log_history[0]["loss"] == pytest.approx(loss, rel=1e-5)
    largest = max(gradient.norm() for gradient in exact.values())
    assert largest > 1e-3 and exact.keys() == trainer.gradients.keys()
    for name, gradient in exact.items():
        assert (gradient - trainer.gradients[name]).norm() < 1e-5 * largest, name


def test_windows_reach_what_truncation_leaves_out(still, mixed, tmp_path):
    """Or the comparison above would be of one thing with itself."""
    found = []
    for long_text in ("truncate", "head_tail", "windows"):
        trainer = RegressionTrainer(str(still), configure(tmp_path, long_text=long_text), mixed)
        found.append(trainer.predict(mixed).predictions[:, 0])
    assert all(abs(one - other).max() > 1e-3 for one, other in [(found[0], found[1]), (found[0], found[2])])
    short = [row for row, text in enumerate(mixed["text"]) if len(text.split()) <= 30]
    assert len(short) > 5 and abs(found[0][short] - found[2][short]).max() < 1e-5


@pytest.mark.parametrize("long_text", ["truncate", "head_tail", "windows"])
@pytest.mark.parametrize("budget", [40, 8192])
def test_a_documents_prediction_is_the_mean_of_its_parts(still, mixed, tmp_path, long_text, budget):
    args = configure(tmp_path, long_text=long_text, token_budget=budget, per_device_eval_batch_size=7)
    trainer = RegressionTrainer(str(still), args, mixed)
    output = trainer.predict(mixed)
    model = AutoModelForSequenceClassification.from_pretrained(still).eval()
    wanted = []
    with torch.no_grad():
        for parts, _ in trainer.cutter(mixed["text"][:]):
            logits = [model(input_ids=torch.tensor(part)[None].long()).logits[0, 0].item() for part in parts]
            wanted.append(sum(logits) / len(logits))
    assert output.predictions.shape == (48, 1)
    assert output.predictions[:, 0].tolist() == pytest.approx(wanted, abs=1e-5)
    errors = [(one - label) ** 2 for one, label in zip(wanted, mixed["label"], strict=True)]
    assert output.metrics["test_mse"] == pytest.approx(sum(errors) / 48, rel=1e-4)
    assert output.metrics["test_loss"] == pytest.approx(output.metrics["test_mse"], rel=1e-4), "in the ratings' units"


def test_a_pass_alone_is_in_memory(still, mixed, tmp_path):
    """The backward pass of each comes before the forward pass of the next."""
    order = []

    class Watched(RegressionTrainer):
        def compute_loss(self, model, inputs, *args, **kwargs):
            order.append("forward")
            assert len(inputs["chunks"]) == 1
            return super().compute_loss(model, inputs, *args, **kwargs)

    args = configure(tmp_path, token_budget=64, max_steps=1, per_device_train_batch_size=48)
    trainer = Watched(str(still), args, mixed)
    backward = trainer.accelerator.backward
    trainer.accelerator.backward = lambda *a, **k: (order.append("backward"), backward(*a, **k))[1]
    trainer.train()
    assert len(order) > 10 and order == ["forward", "backward"] * (len(order) // 2)


def test_the_scale_of_the_labels_is_nothing_to_training(bert_folder, rated, tmp_path):
    """Ratings of 0 to 1, 1 to 5, 0 to 100, and all above 1,000: the same predictions in their own units."""
    fields = {"max_steps": 40, "max_grad_norm": 0.0, "weight_decay": 0.1, "learning_rate": 1e-3, "adam_epsilon": 1e-12}
    results = {}
    for name, scale, shift in (
        ("plain", 1.0, 0.0),
        ("small", 0.25, -0.25),
        ("percent", 25.0, -25.0),
        ("far", 3.0, 1000.0),
    ):
        labels = [label * scale + shift for label in rated["label"]]
        rows = Dataset.from_dict({"text": rated["text"][:], "label": labels})
        trainer = train(bert_folder, rows, tmp_path / name, **fields)
        predicted = trainer.predict(rows).predictions[:, 0].astype(float)
        results[name] = (predicted - shift) / scale
        mean = sum(labels) / len(labels)
        untrained = RegressionTrainer(str(bert_folder), configure(tmp_path / "new"), rows).predict(rows).predictions
        assert abs(untrained.mean() - mean) < 2 * numpy.std(labels), "the head is in the units from the start"
    assert results["plain"].std() > 0.2, "nothing was learnt"
    for name, found in results.items():
        assert abs(found - results["plain"]).max() < (0.02 if name == "far" else 5e-3), name


def test_all_labels_alike_are_learnt_too(bert_folder, rated, tmp_path):
    rows = Dataset.from_dict({"text": rated["text"][:32], "label": [3.0] * 32})
    trainer = train(bert_folder, rows, tmp_path, max_steps=3)
    assert trainer.task.deviation == 1.0
    assert distance(weights(trainer.model), weights(trainer.model)) == 0
    assert trainer.predict(rows).metrics["test_mse"] < 0.5


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


# What is at each checkpoint


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


def test_a_loss_that_is_no_number_ends_the_training(still, rated, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(still)
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    tokenizer = AutoTokenizer.from_pretrained(still)
    trainer = RegressionTrainer(model, configure(tmp_path), rated, processing_class=tokenizer)
    with pytest.raises(XlingError, match="the loss is nan at step 1; a lower --learning_rate"):
        trainer.train()


def test_a_classifier_of_several_labels_is_refused(bert_folder, rated, tmp_path):
    folder = tmp_path / "classifier"
    model = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=3)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.save_pretrained(folder)
    for given in (model, str(folder)):
        with pytest.raises(InputError, match="has 3 labels; a rating has one"):
            RegressionTrainer(given, configure(tmp_path / "run"), rated, processing_class=tokenizer)


def test_a_tokenizer_bigger_than_the_model_is_refused(bert_folder, rated, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.add_tokens(["zebra"])
    with pytest.raises(InputError, match=r"the tokenizer has tokens up to number \d+, .* only \d+"):
        RegressionTrainer(str(bert_folder), configure(tmp_path), rated, processing_class=tokenizer)


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_long_texts_fit_the_positions(request, tmp_path, architecture):
    """Also where the tokenizer knows no bound; XLM-R numbers its positions from 2."""
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, model_max_length=10**30)
    long = Dataset.from_dict({"text": ["the dog " * 40] * 4, "label": [1.0, 2.0, 3.0, 4.0]})
    trainer = RegressionTrainer(str(checkpoint), configure(tmp_path, max_steps=1), long, processing_class=tokenizer)
    trainer.train()
    assert trainer.cutter.max_length == 32
    with pytest.raises(InputError, match="--max_length 33: the model has positions for 32 tokens"):
        RegressionTrainer(str(checkpoint), configure(tmp_path, max_length=33), long, processing_class=tokenizer)


def test_columns_that_are_missing_are_named(bert_folder, rated, tmp_path):
    with pytest.raises(InputError, match="train_dataset: has no column `label`"):
        RegressionTrainer(str(bert_folder), configure(tmp_path), rated.remove_columns("label"))
    with pytest.raises(InputError, match="eval_dataset: has no column `text`"):
        RegressionTrainer(str(bert_folder), configure(tmp_path), rated, rated.remove_columns("text"))


def test_a_folder_without_a_tokenizer_is_refused(bert_folder, rated, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(bert_folder, folder)
    for path in folder.glob("token*"):
        path.unlink()
    with pytest.raises(InputError, match="base: cannot be loaded as a checkpoint"):
        RegressionTrainer(str(folder), configure(tmp_path / "run"), rated)


@pytest.mark.parametrize("fields", [{"max_length": 2}, {"remove_unused_columns": True}])
def test_settings_that_cannot_work_are_refused(tmp_path, fields):
    with pytest.raises(InputError, match=f"--{next(iter(fields))}"):
        configure(tmp_path, **fields)


TELUGU = ["తెలుగు భాష", "మంచి సినిమా", "చాలా బాగుంది", "నచ్చలేదు"]


@pytest.fixture(scope="module")
def unknown(sentences):
    return Dataset.from_dict({"text": [*TELUGU] * 8, "label": [1.0, 2.0, 3.0, 4.0] * 8})


def test_a_language_that_it_does_not_know_is_refused(bert_folder, unknown, tmp_path):
    message = r"column `text`: 100.0% of the tokens unknown, 1.0 pieces a word; .*bert does not know .*--allow_unknown"
    with pytest.raises(InputError, match=message):
        RegressionTrainer(str(bert_folder), configure(tmp_path), unknown)
    RegressionTrainer(str(bert_folder), configure(tmp_path, allow_unknown_tokens=True), unknown)


def test_a_few_unknown_words_are_told(bert_folder, rated, tmp_path, capsys):
    rows = Dataset.from_dict({"text": [f"{text} తెలుగు" for text in rated["text"]], "label": rated["label"]})
    trainer = train(bert_folder, rows, tmp_path)
    assert 0.1 < trainer.coverage["text"].unknown < 0.2
    assert f"column text: {trainer.coverage['text']}" in capsys.readouterr().err
    trainer.create_model_card()
    assert "of the tokens unknown" in (tmp_path / "README.md").read_text("utf-8")


# Held-out texts


def test_held_out_texts_are_looked_at_before_training(bert_folder, rated, unknown, tmp_path):
    for given, name in ((unknown, "eval_dataset"), ({"te": unknown}, r"eval_dataset\['te'\]")):
        with pytest.raises(InputError, match=rf"{name}, column `text`: 100.0% of the tokens unknown"):
            RegressionTrainer(str(bert_folder), configure(tmp_path), rated, given)
    trainer = RegressionTrainer(str(bert_folder), configure(tmp_path, allow_unknown_tokens=True), rated, unknown)
    trainer.create_model_card()
    assert "| 100.0% of the tokens unknown" in (tmp_path / "README.md").read_text("utf-8")
