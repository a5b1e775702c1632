"""Masks of 16 random bits: as many kept, as large, and drawn by the same generator as torch's own."""

import pytest
import torch
from encoders import make_encoder
from torch import nn

from hf_xling.contrastive.model import ShortDropout, shorten_dropout


def drop(p, shape=(400, 501), dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    x = torch.ones(shape, dtype=dtype, requires_grad=True)
    y = ShortDropout(p).train()(x)
    y.sum().backward()
    return y.detach(), x.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_keeps_its_share_and_the_mean(p, dtype):
    y, gradient = drop(p, dtype=dtype)
    kept = y != 0
    n = kept.numel()
    assert abs(kept.float().mean().item() - (1 - p)) < 4 * (p * (1 - p) / n) ** 0.5
    torch.testing.assert_close(y[kept].float(), torch.full_like(y[kept].float(), 1 / (1 - p)), rtol=0.01, atol=0)
    assert torch.equal(gradient, y), "the gradient has the mask of the forward pass"


def test_neighbours_rows_and_columns_are_independent():
    """The four numbers that are drawn together too."""
    kept = (drop(0.5, (1000, 1000))[0] != 0).float() - 0.5
    for shift in (1, 2, 3, 4, 5, 8):
        assert abs((kept.flatten()[shift:] * kept.flatten()[:-shift]).mean().item()) < 0.25 * 4e-3
    for axis in (0, 1):
        assert kept.mean(dim=axis).abs().max() < 0.5 * 5 / 1000**0.5


def test_the_seed_gives_the_mask():
    one, again, other = (drop(0.1, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0, 5), (2, 3, 7)])
def test_any_shape(shape):
    y, _ = drop(0.5, shape)
    assert y.shape == shape and set(y.flatten().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize(("p", "training"), [(0.1, False), (0.0, True), (1.0, True), (1e-6, True)])
def test_what_it_need_not_do_is_left_to_torch(p, training):
    x = torch.randn(50, 7)
    layer, plain = ShortDropout(p).train(training), nn.Dropout(p).train(training)
    torch.manual_seed(0)
    found = layer(x)
    torch.manual_seed(0)
    assert torch.equal(found, plain(x))


def test_an_encoder_gets_it_and_saves_the_same(tmp_path):
    encoder = make_encoder("bert", 0.1)
    names = list(encoder.state_dict())
    shorten_dropout(encoder)
    kinds = {type(module) for module in encoder.modules() if isinstance(module, nn.Dropout)}
    assert kinds == {ShortDropout} and list(encoder.state_dict()) == names
    encoder.save_pretrained(tmp_path)
    assert "Short" not in (tmp_path / "config.json").read_text("utf-8")
