import math

import pytest
import torch

from hf_xling import alignment, uniformity
from hf_xling.contrastive.evaluation import pair_metrics, relative_distance


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


def test_relative_distance_equals_a_loop_over_pairs():
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(9, 6, generator=generator).double()
    y = x + 0.5 * torch.randn(9, 6, generator=generator).double()
    units = [[row / row.norm() for row in side] for side in (x, y)]
    distances = [[(one - other).square().sum().item() for other in units[1]] for one in units[0]]
    own = sum(distances[i][i] for i in range(9)) / 9
    others = sum(distances[i][j] for i in range(9) for j in range(9) if i != j) / 72
    assert relative_distance(x, y).item() == pytest.approx(own / others, abs=1e-5)
    assert relative_distance(3 * x, 0.1 * y).item() == pytest.approx(own / others, abs=1e-5)


def test_relative_distance_closed_forms():
    basis = torch.eye(40)
    assert relative_distance(basis, basis).item() == pytest.approx(0.0, abs=1e-5)
    assert relative_distance(basis, basis.roll(1, dims=0)).item() == pytest.approx(2 / (2 * 38 / 39), abs=1e-5)
    x, y = torch.randn(2, 2000, 16, generator=torch.Generator().manual_seed(5))
    assert relative_distance(x, y).item() == pytest.approx(1.0, abs=0.02), "pairs by chance"


def test_vectors_that_draw_together_are_better_aligned_but_no_closer_than_others():
    """Why alignment alone does not tell: the share of a common direction grows."""
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(200, 16, generator=generator)
    y = x + torch.randn(200, 16, generator=generator)
    together = torch.zeros(16)
    together[0] = 20.0
    assert alignment(x + together, y + together) < 0.2 * alignment(x, y)
    assert relative_distance(x + together, y + together) == pytest.approx(relative_distance(x, y).item(), abs=0.1)


def test_views_that_are_identical_have_no_alignment():
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(7))
    assert pair_metrics(x, x, identical=True) == {"uniformity": uniformity(x).item()}
    assert pair_metrics(x, x.flip(0), identical=False).keys() == {"uniformity", "alignment", "relative_distance"}


def test_half_precision_is_measured_in_float32():
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(3)).bfloat16()
    for measured in (alignment(x, x.flip(0)), uniformity(x), relative_distance(x, x.flip(0))):
        assert measured.dtype == torch.float32 and measured.isfinite()
