import pytest
import torch

from hf_xling.contrastive.packing import SimCSECollator

ROWS = [
    {"views": [[2, 7, 3], [2, 7, 3]], "group": 5},
    {"views": [[2, 8, 9, 3], [2, 8, 9, 3]], "group": 6},
]


def test_the_example_of_its_docstring():
    batch = SimCSECollator(packed=True)(ROWS)
    assert list(batch) == ["groups", "chunks", "places"], "Trainer takes the number of rows from the first"
    assert batch["groups"].tolist() == [5, 6] and batch["places"].tolist() == [0, 2, 1, 3]
    [chunk] = batch["chunks"]
    assert chunk["input_ids"].tolist() == [[2, 7, 3, 2, 7, 3, 2, 8, 9, 3, 2, 8, 9, 3]]
    assert chunk["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3]]
    assert list(chunk["text_lengths"]) == [(2, 3), (2, 4)]


@pytest.mark.parametrize("packed", [True, False])
def test_views_stand_one_behind_the_other(packed):
    """All anchors, all positives, all first negatives, all second ones: row i of each belongs together."""
    rows = [{"views": [[1] * (1 + row), [2] * (4 - row), [3], [4] * (2 + row % 2)], "group": row} for row in range(3)]
    batch = SimCSECollator(packed=packed, token_budget=9, first_position=2, pad=0)(rows)
    assert len(batch["chunks"]) > 2
    firsts = torch.cat(
        [
            part["input_ids"][0][part["position_ids"][0] == 2] if packed else part["input_ids"][:, 0]
            for part in batch["chunks"]
        ]
    )
    assert firsts[batch["places"]].tolist() == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3


def test_rows_of_unlike_numbers_of_views_are_no_batch():
    with pytest.raises(ValueError):
        SimCSECollator(packed=True)([ROWS[0], {"views": [[2, 7, 3]], "group": 1}])
