import json
import math
import shutil

import pytest
import scipy.stats
import torch
from datasets import Dataset
from simcse_runs import assert_equal_weights, configure, losses, weights
from transformers import AutoModel, AutoTokenizer, TrainerCallback

from hf_xling import SimCSETrainer, alignment, info_nce, uniformity
from hf_xling.contrastive.evaluation import relative_distance
from hf_xling.contrastive.model import pool
from hf_xling.errors import InputError


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences[:128]})


@pytest.fixture(scope="module")
def pairs(sentences):
    """The second of each pair says the same of another subject."""
    others = [" ".join(["the", "tree", *text.split()[2:]]) for text in sentences[128:152]]
    return Dataset.from_dict({"anchor": sentences[128:152], "positive": others})


@pytest.fixture(scope="module")
def sts(sentences):
    """Pairs of sentences, rated by the words that they share."""

    def shared(one, other):
        one, other = set(one.split()), set(other.split())
        return 5 * len(one & other) / len(one | other)

    left, right = sentences[152:192], sentences[192:232]
    return Dataset.from_dict({"sentence1": left, "sentence2": right, "score": list(map(shared, left, right))})


def encoded(folder, texts, pooling="mean"):
    """The vectors of plain transformers."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        return pool(model(**batch).last_hidden_state, batch["attention_mask"], pooling)


def make(folder, tmp_path, corpus=None, held_out=None, sts=None, **fields):
    return SimCSETrainer(str(folder), configure(tmp_path, **fields), corpus, held_out, sts_dataset=sts)


def groups_of(trainer):
    """Of the held-out rows: those that share a text are of one group."""
    return torch.tensor([trainer.eval_dataset[row]["group"] for row in range(len(trainer.eval_dataset))])


class Spoil(TrainerCallback):
    """Raises the learning rate, after the second step, to where it does harm."""

    def on_step_begin(self, args, state, control, optimizer, **kwargs):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 if state.global_step < 2 else 0.1


BY_STEPS = {"eval_strategy": "steps", "save_strategy": "steps", "load_best_model_at_end": True}

# What is measured


@pytest.mark.parametrize("packing", [True, False])
def test_pairs_are_measured_at_a_fixed_batch(bert_folder, pairs, tmp_path, packing):
    fields = {"pooling": "mean", "per_device_eval_batch_size": 8, "packing": packing}
    trainer = make(bert_folder, tmp_path, held_out=pairs, **fields)
    measured = trainer.evaluate()
    columns = [encoded(bert_folder, pairs[name]).split(8) for name in ("anchor", "positive")]
    batches = zip(*columns, groups_of(trainer).split(8), strict=True)
    wanted = [
        (info_nce(x, y, groups=groups), alignment(x, y), uniformity(x), relative_distance(x, y))
        for x, y, groups in batches
    ]
    assert len(wanted) == 3
    for name, value in zip(
        ("loss", "alignment", "uniformity", "relative_distance"), torch.tensor(wanted).mean(0), strict=True
    ):
        assert measured[f"eval_{name}"] == pytest.approx(value.item(), abs=1e-5), name
    larger = make(bert_folder, tmp_path, held_out=pairs, **{**fields, "per_device_eval_batch_size": 24}).evaluate()
    assert larger["eval_loss"] > measured["eval_loss"]


def test_sentences_are_measured_without_alignment(bert_folder, corpus, tmp_path):
    measured = make(bert_folder, tmp_path, held_out=corpus, pooling="mean").evaluate()
    assert math.isfinite(measured["eval_loss"]) and measured["eval_uniformity"] < 0
    assert "eval_alignment" not in measured and "eval_relative_distance" not in measured
    assert "eval_sts_spearman" not in measured


@pytest.mark.parametrize("rows", [17, 18])
def test_a_last_batch_of_one_row_has_a_loss_and_no_uniformity(bert_folder, pairs, tmp_path, rows):
    """A row alone has nothing to be told from: its loss is 0."""
    fields = {"per_device_eval_batch_size": 8, "dataloader_drop_last": False, "pooling": "mean"}
    texts = pairs.select(range(rows))
    trainer = make(bert_folder, tmp_path, held_out=texts, **fields)
    measured = trainer.evaluate()
    columns = (*(encoded(bert_folder, texts[name]) for name in ("anchor", "positive")), groups_of(trainer))
    batches = list(zip(*(column.split(8) for column in columns), strict=True))
    losses = [len(x) * info_nce(x, y, groups=groups).item() for x, y, groups in batches]
    assert measured["eval_loss"] == pytest.approx(sum(losses) / rows, abs=1e-5)
    values = [uniformity(x).item() for x, *_ in batches if len(x) > 1]
    assert measured["eval_uniformity"] == pytest.approx(sum(values) / len(values), abs=1e-5)


def test_another_dataset_can_be_evaluated(bert_folder, pairs, corpus, tmp_path):
    trainer = make(bert_folder, tmp_path, held_out=corpus)
    measured = trainer.evaluate(pairs, metric_key_prefix="test")
    assert measured["test_loss"] == make(bert_folder, tmp_path, held_out=pairs).evaluate()["eval_loss"]
    assert "test_relative_distance" in measured
    assert "eval_relative_distance" not in trainer.evaluate()


@pytest.mark.parametrize("pooling", ["cls_mlp", "mean"])
@pytest.mark.parametrize("packing", [True, False])
def test_similarity_is_that_of_the_exported_vectors(bert_folder, sts, tmp_path, pooling, packing):
    measured = make(bert_folder, tmp_path, sts=sts, pooling=pooling, packing=packing).evaluate()
    left, right = (encoded(bert_folder, sts[name], pooling) for name in ("sentence1", "sentence2"))
    cosines = torch.nn.functional.cosine_similarity(left, right)
    for name, correlation in (("spearman", scipy.stats.spearmanr), ("pearson", scipy.stats.pearsonr)):
        wanted = correlation(cosines.numpy(), sts["score"]).statistic
        assert measured[f"eval_sts_{name}"] == pytest.approx(wanted, abs=1e-4)
    assert math.isfinite(measured["eval_loss"]), "of the set's own sentences"


def test_the_masked_language_model_is_no_part_of_it(bert_folder, pairs, tmp_path):
    plain, masked = (
        make(bert_folder, tmp_path, held_out=pairs, pooling="mean", mlm_weight=weight).evaluate()["eval_loss"]
        for weight in (0.0, 1.0)
    )
    assert plain == masked


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sentence1": ["a cat"], "score": [1.0]}, "has no column `sentence2`; its columns are sentence1, score"),
        ({"sentence1": ["a cat"] * 2, "sentence2": ["a dog"] * 2, "score": [2.0] * 2}, "no two different numbers"),
        ({"sentence1": ["a cat"], "sentence2": ["a dog"], "score": [2.0]}, "no two different numbers"),
        ({"sentence1": [], "sentence2": [], "score": []}, "no two different numbers"),
    ],
)
def test_what_is_no_similarity_set_is_refused(bert_folder, corpus, tmp_path, columns, message):
    with pytest.raises(InputError, match=f"sts_dataset.*{message}"):
        make(bert_folder, tmp_path, corpus, sts=Dataset.from_dict(columns))


# What is made of it


def test_evaluations_are_logged_and_the_best_by_similarity_is_restored(bert_folder, corpus, pairs, sts, tmp_path):
    trainer = make(bert_folder, tmp_path, corpus, pairs, sts, max_steps=5, eval_steps=1, save_steps=1, **BY_STEPS)
    trainer.add_callback(Spoil())
    trainer.train()
    lines = [line for line in trainer.state.log_history if "eval_loss" in line]
    names = ("loss", "alignment", "uniformity", "relative_distance", "sts_spearman", "sts_pearson")
    assert len(lines) == 5 and all(math.isfinite(line[f"eval_{name}"]) for line in lines for name in names)
    scores = [line["eval_sts_spearman"] for line in lines]
    assert max(scores) > scores[-1] + 1e-3 and scores.index(max(scores)) != [line["eval_loss"] for line in lines].index(
        min(line["eval_loss"] for line in lines)
    ), "the two would choose alike"
    assert trainer.state.best_metric == max(scores)
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{scores.index(max(scores)) + 1}")
    assert trainer.evaluate()["eval_sts_spearman"] == pytest.approx(max(scores), abs=1e-5)


@pytest.mark.parametrize("metric", ["loss", "uniformity"])
def test_another_measure_may_choose(bert_folder, corpus, pairs, sts, tmp_path, metric):
    fields = {"max_steps": 3, "eval_steps": 1, "save_steps": 1, "metric_for_best_model": metric, **BY_STEPS}
    fields["greater_is_better"] = False
    trainer = make(bert_folder, tmp_path, corpus, pairs, sts, **fields)
    trainer.train()
    scores = [line[f"eval_{metric}"] for line in trainer.state.log_history if "eval_loss" in line]
    assert trainer.state.best_metric == min(scores)


def test_without_a_similarity_set_the_loss_chooses(bert_folder, corpus, pairs, tmp_path):
    trainer = make(bert_folder, tmp_path, corpus, pairs, max_steps=4, eval_steps=2, save_steps=2, **BY_STEPS)
    trainer.add_callback(Spoil())
    trainer.train()
    scores = [line["eval_loss"] for line in trainer.state.log_history if "eval_loss" in line]
    assert scores[0] < scores[1] - 0.1
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-2")
    assert trainer.evaluate()["eval_loss"] == pytest.approx(scores[0], abs=1e-5)


def test_early_stopping_stops(bert_folder, corpus, pairs, tmp_path):
    fields = {"max_steps": 12, "eval_steps": 1, "save_steps": 1, "early_stopping_patience": 3, **BY_STEPS}
    trainer = make(bert_folder, tmp_path, corpus, pairs, **fields)
    trainer.add_callback(Spoil())
    trainer.train()
    scores = [line["eval_loss"] for line in trainer.state.log_history if "eval_loss" in line]
    best = scores.index(min(scores)) + 1
    assert trainer.state.global_step == best + 3 < 12
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{best}")


# Resuming


def history(trainer):
    timed = ("runtime", "per_second", "total_flos")
    return [
        {name: value for name, value in line.items() if not any(part in name for part in timed)}
        for line in trainer.state.log_history
    ]


@pytest.mark.parametrize("fields", [{}, {"mlm_weight": 0.2, "token_budget": 64}], ids=["plain", "masked_lm"])
def test_resumed_equals_uninterrupted_with_evaluation_going_on(bert_folder, corpus, pairs, sts, tmp_path, fields):
    def run(resume=None):
        steps = {"max_steps": 6, "eval_steps": 1, "save_steps": 3, "metric_for_best_model": "sts_pearson"}
        trainer = make(bert_folder, tmp_path, corpus, pairs, sts, **{**BY_STEPS, **steps, **fields})
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run()
    shutil.rmtree(tmp_path / "checkpoint-6")
    torch.manual_seed(99)
    resumed = run(str(tmp_path / "checkpoint-3"))
    assert_equal_weights(weights(whole), weights(resumed))
    assert losses(whole) == losses(resumed)
    assert history(whole)[:-1] == history(resumed)[:-1]
    assert whole.state.best_model_checkpoint == resumed.state.best_model_checkpoint


def test_early_stopping_counts_on_when_resumed(bert_folder, corpus, pairs, tmp_path):
    def run(resume=None):
        fields = {"max_steps": 12, "eval_steps": 1, "save_steps": 1, "early_stopping_patience": 3, **BY_STEPS}
        trainer = make(bert_folder, tmp_path, corpus, pairs, **fields)
        trainer.add_callback(Spoil())
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run()
    last = whole.state.global_step
    assert json.loads((tmp_path / f"checkpoint-{last}" / "trainer_state.json").read_text())["global_step"] == last
    shutil.rmtree(tmp_path / f"checkpoint-{last}")
    resumed = run(str(tmp_path / f"checkpoint-{last - 1}"))
    assert resumed.state.global_step == last
    assert_equal_weights(weights(whole), weights(resumed))
