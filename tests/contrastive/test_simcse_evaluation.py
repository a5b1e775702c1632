import math

import pytest
import torch

from hf_xling import alignment, uniformity


def test_alignment_from_equal_to_opposite():
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    assert alignment(x, 3 * x).item() == pytest.approx(0.0, abs=1e-6)
    assert alignment(x, -0.5 * x).item() == pytest.approx(4.0, abs=1e-5)
    right_angles = torch.eye(4), torch.eye(4).roll(1, dims=0)
    assert alignment(*right_angles).item() == pytest.approx(2.0, abs=1e-6)
    half = alignment(torch.eye(4), torch.cat([torch.eye(4)[:2], -torch.eye(4)[2:]]))
    assert half.item() == pytest.approx(2.0, abs=1e-6)


def test_alignment_is_two_less_twice_the_cosine():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(9, 6, generator=generator), torch.randn(9, 6, generator=generator)
    cosine = torch.nn.functional.cosine_similarity(x, y).mean()
    assert alignment(x, y).item() == pytest.approx(2 - 2 * cosine.item(), abs=1e-5)


def test_uniformity_closed_forms():
    assert uniformity(torch.ones(5, 3)).item() == pytest.approx(0.0, abs=1e-6)
    assert uniformity(torch.tensor([[2.0, 0.0], [-1.0, 0.0]])).item() == pytest.approx(-8.0, abs=1e-5)
    assert uniformity(7 * torch.eye(6)).item() == pytest.approx(-4.0, abs=1e-5)
    # Two of three pairs at right angles (squared distance 2), one opposite (4).
    mixed = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    assert uniformity(mixed).item() == pytest.approx(math.log((2 * math.exp(-4) + math.exp(-8)) / 3), abs=1e-5)


def test_uniformity_equals_a_loop_over_pairs():
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(2)).double()
    unit = [row / row.norm() for row in x]
    potentials = [math.exp(-2 * (unit[i] - unit[j]).square().sum()) for i in range(7) for j in range(i)]
    assert uniformity(x).item() == pytest.approx(math.log(sum(potentials) / len(potentials)), abs=1e-5)


def test_half_precision_is_measured_in_float32():
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(3)).bfloat16()
    for measured in (alignment(x, x.flip(0)), uniformity(x)):
        assert measured.dtype == torch.float32 and measured.isfinite()
