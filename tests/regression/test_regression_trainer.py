from functools import partial

import pytest
import torch
from datasets import Dataset
from regression_runs import configure, distance, losses, train, weights
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainerCallback, pipeline

from hf_xling import RegressionTrainer
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
