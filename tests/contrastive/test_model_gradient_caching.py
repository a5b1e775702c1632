"""A batch in several passes, encoded again in the backward pass: the gradient of one pass, in bounded memory."""

from functools import partial

import pytest
import torch
from datasets import Dataset
from encoders import THE_THREE, gradients, largest_difference, make_encoder, token_ids
from simcse_runs import assert_equal_weights, losses, train, weights
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from hf_xling import info_nce
from hf_xling.contrastive import model as model_module
from hf_xling.contrastive.model import SimCSEModel
from hf_xling.contrastive.packing import PACKED_ATTENTION, chunks, first_position

LENGTHS = [5, 3, 9, 9, 3, 17, 30, 30, 2, 5, 5, 21, 8, 8]


def make_model(kind, pooling="cls_mlp", packed=True, dropout=0.1):
    encoder = make_encoder(kind, dropout)
    if packed:
        encoder.set_attn_implementation(PACKED_ATTENTION)
    torch.manual_seed(1)
    return SimCSEModel(encoder, pooling).train()


def step(model, lengths=LENGTHS, packed=True, token_budget=40, recompute=False, seed=5, scale=1.0):
    """The vectors and gradients of one batch, encoded under the dropout masks that `seed` gives."""
    options = {"first_position": first_position(model.encoder), "pad": model.config.pad_token_id}
    parts, places = chunks(token_ids(lengths), packed=packed, token_budget=token_budget, **options)
    assert len(parts) > 3
    model.zero_grad()
    torch.manual_seed(seed)
    vectors, _ = model(parts, recompute)
    anchors, positives = vectors[places].chunk(2)
    (scale * info_nce(anchors, positives, temperature=0.5)).backward()
    return vectors.detach(), gradients(model)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize("pooling", ["cls_mlp", "mean", "first_last_mean"])
@pytest.mark.parametrize("kind", THE_THREE)
def test_equals_one_pass_under_the_same_masks(kind, pooling, packed):
    model = make_model(kind, pooling, packed)
    once, exact = step(model, packed=packed)
    again, cached = step(model, packed=packed, recompute=True)
    assert torch.equal(once, again)
    assert largest_difference(exact, cached) < 1e-6
    other, _ = step(model, packed=packed, recompute=True, seed=6)
    assert (once - other).abs().max() > 1e-2, "dropout is not at work"


def test_the_state_of_the_generator_goes_on_alike():
    """So that a training with gradient caching draws the masks of one without, step by step."""
    model, states = make_model("bert"), []
    for recompute in (False, True):
        step(model, recompute=recompute)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_the_comparison_sees_other_masks(monkeypatch):
    model = make_model("bert")
    _, exact = step(model)
    monkeypatch.setattr(model_module, "checkpoint", partial(checkpoint, preserve_rng_state=False))
    _, cached = step(model, recompute=True)
    assert largest_difference(exact, cached) > 0.05


def test_the_comparison_sees_a_wrong_scale():
    model = make_model("bert")
    _, exact = step(model)
    _, cached = step(model, recompute=True, scale=1.001)
    assert largest_difference(exact, cached) > 5e-4


def test_under_autocast():
    model = make_model("bert")
    with torch.autocast("cpu", torch.bfloat16):
        _, exact = step(model)
        _, cached = step(model, recompute=True)
    assert largest_difference(exact, cached) < 1e-6
    _, full = step(model)
    assert largest_difference(full, exact) > 1e-4, "autocast is not at work"


# Through the trainer


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"packing": False},
        {"pooling": "mean", "gradient_accumulation_steps": 2},
        {"mlm_weight": 0.5},
        {"bf16": True},
    ],
    ids=["packed", "padded", "accumulated", "masked_lm", "bf16"],
)
def test_training_in_passes_is_training(bert_folder, sentences, tmp_path, monkeypatch, fields):
    columns = {"anchor": sentences[:96], "positive": sentences[96:192], "negative": sentences[192:288]}
    corpus = Dataset.from_dict({**columns, "group": [row // 2 for row in range(96)]})
    passes = []

    def run(folder, function):
        monkeypatch.setattr(model_module, "checkpoint", function)
        return train(bert_folder, corpus, tmp_path / folder, token_budget=64, max_steps=3, **fields)

    def counted(function, *args, **kwargs):
        passes.append(1)
        return checkpoint(function, *args, **kwargs)

    plain = run("plain", lambda function, *args, use_reentrant: function(*args))
    cached = run("cached", counted)
    assert len(passes) >= 3 * 4, "several passes a step"
    assert losses(cached) == losses(plain)
    assert_equal_weights(weights(cached), weights(plain), atol=2e-6)
    forgetful = run("forgetful", partial(checkpoint, preserve_rng_state=False))
    drift = [(one - weights(plain)[name]).abs().max() for name, one in weights(forgetful).items()]
    assert max(drift) > 1e-4, "the comparison sees nothing"


# Memory


def peak(model, lengths, **options) -> int:
    """The most bytes that one step has in use at a time beyond what there was before it, by the allocator's records."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step(model, lengths, **options)
    records = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    used = highest = 0
    for event in sorted(records, key=lambda event: event.start_ns()):
        used += event.nbytes()
        highest = max(highest, used)
    return highest


def test_the_budget_bounds_the_memory():
    model = make_model("bert", "mean")
    lengths = [12, 16, 20, 24] * 32
    step(model, lengths)  # whatever is allocated once
    whole = peak(model, lengths)
    cached = peak(model, lengths, token_budget=256, recompute=True)
    twice = peak(model, lengths * 2, token_budget=256, recompute=True)
    assert whole > 5_000_000, "nothing was measured"
    assert cached < 0.35 * whole
    assert twice < 1.2 * cached
    assert peak(model, lengths, token_budget=512, recompute=True) > 1.2 * cached, "the budget is what bounds it"
