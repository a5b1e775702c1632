import math

import pytest
import torch
from torch.nn.functional import normalize

from hf_xling import info_nce


def reference(anchors, positives, negatives=None, *, temperature=0.05, groups=None, negative_weight=0.0):
    """The mean cross-entropy, a row and a candidate at a time, in fp64."""

    def similarity(x, y):
        return (x @ y) / (x.norm() * y.norm()) / temperature

    losses = []
    for row, anchor in enumerate(anchors):
        own = similarity(anchor, positives[row])
        terms = [own]
        for other, positive in enumerate(positives):
            if other != row and (groups is None or groups[other] != groups[row]):
                terms.append(similarity(anchor, positive))
        for other, negative in enumerate(negatives if negatives is not None else ()):
            terms.append(similarity(anchor, negative) + (negative_weight if other == row else 0.0))
        losses.append(torch.logsumexp(torch.stack(terms), dim=0) - own)
    return torch.stack(losses).mean()


def symmetric_reference(anchors, positives, negatives=None, *, temperature=0.05, groups=None, **kwargs):
    there = reference(anchors, positives, negatives, temperature=temperature, groups=groups, **kwargs)
    return (there + reference(positives, anchors, temperature=temperature, groups=groups)) / 2


def draw(rows, negatives=0, width=8, dtype=torch.float64):
    """Embeddings of different lengths, each positive near its anchor."""
    generator = torch.Generator().manual_seed(rows * 100 + negatives)
    anchors = torch.randn(rows, width, generator=generator, dtype=torch.float64) * torch.arange(1, rows + 1)[:, None]
    positives = anchors + torch.randn(rows, width, generator=generator, dtype=torch.float64)
    hard = torch.randn(negatives, width, generator=generator, dtype=torch.float64) if negatives else None
    return [None if x is None else x.to(dtype).requires_grad_() for x in (anchors, positives, hard)]


CASES = {
    "plain": (6, 0, {}),
    "warm": (6, 0, {"temperature": 1.0}),
    "one row": (1, 0, {}),
    "negatives": (5, 5, {}),
    "more negatives than rows": (4, 9, {}),
    "fewer negatives than rows": (4, 1, {}),
    "weighted negatives": (5, 5, {"negative_weight": 1.5}),
    "groups": (6, 0, {"groups": [0, 1, 0, 2, 1, 0]}),
    "groups and negatives": (5, 5, {"groups": [3, 3, 7, 7, 1], "negative_weight": 0.7, "temperature": 0.2}),
    "all in one group": (4, 4, {"groups": [0, 0, 0, 0]}),
}


@pytest.mark.parametrize("symmetric", [False, True], ids=["one way", "symmetric"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)], ids=["fp64", "fp32"])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_loop_with_its_gradients(case, dtype, tolerance, symmetric):
    rows, negatives, options = CASES[case]
    options = dict(options)
    if "groups" in options:
        options["groups"] = torch.tensor(options["groups"])
    inputs, exact = draw(rows, negatives, dtype=dtype), draw(rows, negatives)
    for given, wanted in zip(inputs, exact, strict=True):  # the same rounded numbers on both sides
        if given is not None:
            wanted.data.copy_(given.data)
    loss = info_nce(*inputs, **options, symmetric=symmetric)
    wanted = (symmetric_reference if symmetric else reference)(*exact, **options)
    assert loss.dtype == dtype and loss.ndim == 0
    assert loss.item() == pytest.approx(wanted.item(), rel=tolerance, abs=tolerance)
    loss.backward()
    wanted.backward()
    for given, right in zip(inputs, exact, strict=True):
        if given is not None:
            scale = max(right.grad.abs().max().item(), 1.0)
            torch.testing.assert_close(given.grad.double(), right.grad, rtol=0, atol=tolerance * scale)
    if case not in ("one row", "all in one group"):
        assert exact[0].grad.norm() > 1e-6, "the comparison is of nothing with nothing"


def test_each_option_moves_the_loss():
    anchors, positives, negatives = draw(6, 6)
    plain = info_nce(anchors, positives, temperature=0.5)
    hard = info_nce(anchors, positives, negatives, temperature=0.5)
    assert plain < hard < info_nce(anchors, positives, negatives, temperature=0.5, negative_weight=1.0)
    groups = torch.tensor([0, 0, 1, 1, 2, 2])
    assert info_nce(anchors, positives, temperature=0.5, groups=groups) < plain
    assert info_nce(anchors, positives, temperature=0.5, symmetric=True) != plain
    assert info_nce(anchors, positives, temperature=0.1) != plain


def test_groups_all_different_change_nothing():
    anchors, positives, _ = draw(5)
    alone = info_nce(anchors, positives, groups=torch.tensor([4, 0, 9, 2, 7]))
    assert alone.item() == info_nce(anchors, positives).item()


@pytest.mark.parametrize("batch", [2, 64])
def test_without_structure_the_loss_is_the_log_of_the_candidates(batch):
    equal = torch.ones(batch, 4)
    assert info_nce(equal, equal).item() == pytest.approx(math.log(batch), abs=1e-6)
    assert info_nce(equal, equal, torch.ones(3, 4)).item() == pytest.approx(math.log(batch + 3), abs=1e-6)


def test_orthonormal_pairs_have_a_closed_form():
    basis = torch.eye(16, dtype=torch.float64)
    assert info_nce(basis, basis).item() == pytest.approx(math.log1p(15 * math.exp(-1 / 0.05)), rel=1e-10)
    assert info_nce(basis, basis, temperature=1.0).item() == pytest.approx(math.log1p(15 / math.e), rel=1e-10)


def test_length_of_the_embeddings_is_nothing_to_it():
    anchors, positives, negatives = draw(5, 5)
    scaled = info_nce(anchors * 1e3, positives * 1e-3, negatives * 7)
    assert scaled.item() == pytest.approx(info_nce(anchors, positives, negatives).item(), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_have_a_float32_loss(dtype):
    halves = [x.detach().to(dtype) for x in draw(6, 6, dtype=torch.float32)]
    loss = info_nce(*halves)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(info_nce(*[x.float() for x in halves]).item(), abs=1e-6)


def test_autocast_leaves_the_logits_in_float32():
    anchors, positives, negatives = draw(32, 32, dtype=torch.float32)
    outside = info_nce(anchors, positives, negatives, symmetric=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert (anchors @ positives.T).dtype == torch.bfloat16, "autocast is not at work"
        inside = info_nce(anchors, positives, negatives, symmetric=True)
    assert inside.dtype == torch.float32
    assert inside.item() == pytest.approx(outside.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("shapes", "options"),
    [
        (((4, 8), (3, 8)), {}),
        (((4, 8), (4, 7)), {}),
        (((4,), (4,)), {}),
        (((2, 4, 8), (2, 4, 8)), {}),
        (((0, 8), (0, 8)), {}),
        (((4, 8), (4, 8), (4, 7)), {}),
        (((4, 8), (4, 8), (8,)), {}),
        (((4, 8), (4, 8), (5, 8)), {"negative_weight": 1.0}),
        (((4, 8), (4, 8)), {"negative_weight": 1.0}),
        (((4, 8), (4, 8)), {"groups": torch.zeros(3)}),
        (((4, 8), (4, 8)), {"groups": torch.zeros(4, 1)}),
        (((4, 8), (4, 8)), {"temperature": 0.0}),
        (((4, 8), (4, 8)), {"temperature": float("nan")}),
    ],
)
def test_what_does_not_fit_is_refused(shapes, options):
    with pytest.raises(ValueError):
        info_nce(*(torch.ones(shape) for shape in shapes), **options)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)], ids=["fp64", "fp32"])
@pytest.mark.parametrize("negatives", [0, 1, 2])
def test_equals_multiple_negatives_ranking_loss_with_its_gradients(negatives, dtype, tolerance):
    """sentence-transformers lays several hard negatives one behind the other, as the collator does."""
    ranking = pytest.importorskip("sentence_transformers.losses").MultipleNegativesRankingLoss

    def columns():
        anchors, positives, hard = draw(7, 7, dtype=dtype)
        more = [(hard.detach() * (number + 1) + number).requires_grad_() for number in range(negatives)]
        return [anchors, positives, *more]

    theirs, mine = columns(), columns()
    peer = ranking(model=None, scale=20.0).compute_loss_from_embeddings(theirs, None)
    ours = info_nce(mine[0], mine[1], torch.cat(mine[2:]) if negatives else None)
    assert peer > 5e-4
    assert ours.item() == pytest.approx(peer.item(), abs=tolerance)
    peer.backward()
    ours.backward()
    largest = max(column.grad.norm().item() for column in theirs)
    assert largest > 1e-4
    for one, other in zip(mine, theirs, strict=True):
        assert (one.grad - other.grad).norm().item() <= tolerance * max(largest, 1.0)


def test_agrees_with_the_cosine_module_of_the_official_code():
    anchors, positives, _ = draw(6)
    scores = torch.nn.CosineSimilarity(dim=-1)(anchors.unsqueeze(1), positives.unsqueeze(0)) / 0.05
    official = torch.nn.functional.cross_entropy(scores, torch.arange(6))
    assert info_nce(anchors, positives).item() == pytest.approx(official.item(), rel=1e-10)
    assert not torch.allclose(normalize(anchors, dim=-1), anchors)
