"""A batch in passes, documents in windows: one loss and one gradient, however they are split."""

import numpy
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from regression_runs import configure, distance, train, weights
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_xling import RegressionTrainer
from hf_xling.regression.collator import RegressionCollator
from hf_xling.regression.trainer import document_logits
from hf_xling.training.chunking import PADDING_SHARE, PADDING_TOKENS, places, split_padded

SGD = {"optim": "sgd", "learning_rate": 1e-2, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}


@pytest.fixture(scope="module")
def mixed(sentences):
    """Documents of 1 to 12 sentences: from 6 tokens to far past the 32 positions."""
    texts = [" ".join(sentences[row : row + 1 + row % 12]) for row in range(48)]
    return Dataset.from_dict({"text": texts, "label": [1.0 + row % 5 for row in range(48)]})


@given(st.lists(st.integers(1, 600), min_size=1, max_size=80), st.one_of(st.none(), st.integers(1, 9000)))
def test_passes_hold_each_text_once_with_little_padding(lengths, budget):
    parts = split_padded(lengths, budget)
    assert sorted(place for part in parts for place in part) == list(range(len(lengths)))
    order = [place for part in parts for place in part]
    assert [order[place] for place in places(parts)] == list(range(len(lengths)))
    for part in parts:
        sizes = [lengths[place] for place in part]
        padded = max(sizes) * len(sizes)
        assert padded <= (1 + PADDING_SHARE) * sum(sizes) + PADDING_TOKENS
        assert budget is None or padded <= budget or len(sizes) == 1
    assert sorted(lengths) == [lengths[place] for place in order]


def test_the_example_of_the_collator():
    rows = [{"parts": [[2, 7, 3]], "label": 4.5}, {"parts": [[2, 8, 9, 3], [2, 9, 9, 3]], "label": 1.0}]
    rows = [{**row, "parts": [numpy.array(part) for part in row["parts"]]} for row in rows]
    batch = RegressionCollator()(rows)
    (chunk,) = batch["chunks"]
    assert batch["labels"].tolist() == [4.5, 1.0]
    assert chunk["input_ids"].tolist() == [[2, 7, 3, 0], [2, 8, 9, 3], [2, 9, 9, 3]]
    assert chunk["attention_mask"].tolist() == [[1, 1, 1, 0], [1] * 4, [1] * 4]
    assert chunk["documents"].tolist() == [0, 1, 1] and chunk["weights"].tolist() == [1.0, 0.5, 0.5]
    assert chunk["labels"].tolist() == [4.5, 1.0, 1.0]


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


def test_documents_may_be_split_over_passes(still, mixed):
    """Windows of one document stand in passes of their own, with others between."""
    model = AutoModelForSequenceClassification.from_pretrained(still).eval()
    tokenizer = AutoTokenizer.from_pretrained(still)
    from hf_xling.regression.long_text import Cutter

    cut = Cutter(tokenizer, 20, "windows")(mixed["text"][:16])
    rows = [{"parts": parts, "label": 0.0} for parts, _ in cut]
    results = []
    for budget in (20, 64, 10**6):
        batch = RegressionCollator(0, budget)(rows)
        with torch.no_grad():
            results.append(document_logits(model, batch["chunks"], 16))
    assert len(RegressionCollator(0, 20)(rows)["chunks"]) > 30
    for other in results[1:]:
        torch.testing.assert_close(results[0], other, atol=1e-5, rtol=0)


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
        assert abs(untrained.mean() - mean) < 2 * numpy.std(labels), "the head stands in the units from the start"
    assert results["plain"].std() > 0.2, "nothing was learnt"
    for name, found in results.items():
        assert abs(found - results["plain"]).max() < (0.02 if name == "far" else 5e-3), name


def test_all_labels_alike_are_learnt_too(bert_folder, rated, tmp_path):
    rows = Dataset.from_dict({"text": rated["text"][:32], "label": [3.0] * 32})
    trainer = train(bert_folder, rows, tmp_path, max_steps=3)
    assert trainer.task.deviation == 1.0
    assert distance(weights(trainer.model), weights(trainer.model)) == 0
    assert trainer.predict(rows).metrics["test_mse"] < 0.5
