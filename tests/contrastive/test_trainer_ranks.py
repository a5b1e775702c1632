"""Two gloo ranks of B rows are one process of 2B rows: gradients, weights, and no row twice."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import simcse_ranks
import torch
from simcse_ranks import CASES, ROWS, STEPS
from transformers import AutoTokenizer

BATCH = 8
FAST = ("pairs", "accumulated", "masked")  # the first beside the fault, the second with groups and chunks
SLOW = [case for case in CASES if case not in FAST]


def each(*names):
    """Parametrises by cases; those that the slow pair of processes trains are slow tests."""
    cases = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]
    return pytest.mark.parametrize("case", cases)


def words(folder) -> list[str]:
    """What the tokenizer of a checkpoint knows, less its special tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return sorted(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens))


@pytest.fixture(scope="module")
def still_folder(bert_folder, tmp_path_factory):
    """The BERT without dropout."""
    folder = tmp_path_factory.mktemp("checkpoint") / "still"
    shutil.copytree(bert_folder, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps({**config, **still}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def fast_ranks(still_folder, tmp_path_factory):
    return launched(still_folder, tmp_path_factory.mktemp("ranks"), FAST)


@pytest.fixture(scope="module")
def slow_ranks(still_folder, tmp_path_factory):
    return launched(still_folder, tmp_path_factory.mktemp("ranks"), SLOW)


@pytest.fixture
def ranks(request, case):
    """What each of the two processes found."""
    return request.getfixturevalue("fast_ranks" if case in FAST else "slow_ranks")


def launched(still_folder, folder, cases):
    """Train all `cases` by one pair of processes, as starting one takes seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        simcse_ranks.__file__,
        str(still_folder),
        str(folder),
        str(BATCH),
        " ".join(words(still_folder)),
        *cases,
    ]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    path = os.pathsep.join([str(Path(simcse_ranks.__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **common, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    logs = [open(folder / f"log-{rank}.txt", "w+", encoding="utf-8") for rank in (0, 1)]  # noqa: SIM115 - read and closed below
    processes = [
        subprocess.Popen(
            command, env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stdout=log, stderr=log
        )
        for rank, log in enumerate(logs)
    ]
    try:
        codes = [process.wait() for process in processes]  # torch ends one that waits for the other in vain
    finally:
        for process in processes:
            process.kill()
        for log in logs:
            log.close()
    assert codes == [0, 0], "\n".join((folder / f"log-{rank}.txt").read_text("utf-8")[-3000:] for rank in (0, 1))
    return [torch.load(folder / f"rank-{rank}.pt") for rank in (0, 1)]


def alone(case, still_folder, tmp_path, batch=2 * BATCH):
    return simcse_ranks.train(case, still_folder, tmp_path, words(still_folder), batch)


def flat(gradients):
    return torch.cat([gradients[name].flatten() for name in sorted(gradients)])


@pytest.mark.distributed
@each(*(case for case in CASES if case not in ("masked", "bfloat16")))
def test_two_ranks_equal_one_process_at_twice_the_batch(ranks, still_folder, tmp_path, case):
    first, second = (rank[case] for rank in ranks)
    assert first["world"] == second["world"] == 2
    single = alone(case, still_folder, tmp_path)
    assert single["world"] == 1
    one, two = flat(single["gradients"]), flat(first["gradients"])
    assert first["gradients"].keys() == second["gradients"].keys() == single["gradients"].keys()
    assert torch.equal(two, flat(second["gradients"]))
    assert one.norm() > 1e-2, "the comparison is of nothing with nothing"
    assert (two.norm() / one.norm()).item() == pytest.approx(1.0, abs=1e-5)
    assert torch.nn.functional.cosine_similarity(one, two, dim=0).item() == pytest.approx(1.0, abs=1e-5)
    largest = max(gradient.norm() for gradient in single["gradients"].values())
    for name, gradient in single["gradients"].items():
        assert (gradient - first["gradients"][name]).norm() < 1e-5 * largest, name
    for name, tensor in single["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name]), name
        torch.testing.assert_close(first["weights"][name], tensor, rtol=0, atol=1e-5, msg=lambda m, name=name: name + m)
    assert len(first["losses"]) == STEPS and first["losses"] == pytest.approx(single["losses"], abs=1e-4)


@pytest.mark.distributed
@each("budget", "padded budget", "accumulated", "masked")
def test_ranks_may_have_unlike_numbers_of_chunks(ranks, case):
    first, second = (rank[case]["chunks"] for rank in ranks)
    assert len(first) == len(second) and min(first + second) > 1
    assert any(one != two for one, two in zip(first, second, strict=True))


@pytest.mark.distributed
@each(*CASES)
def test_both_ranks_learn_the_same(ranks, case):
    """Also with a head for masked tokens, an adapter, and bf16: DDP would say so of a parameter without a gradient."""
    first, second = (rank[case]["weights"] for rank in ranks)
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert first.keys() > {"encoder.embeddings.word_embeddings.weight"} or case == "adapter"
    assert all(
        gradient.abs().sum() > 0 for name, gradient in ranks[0][case]["gradients"].items() if "lora_A" not in name
    )


@pytest.mark.slow
@pytest.mark.distributed
def test_masked_tokens_of_both_ranks_count_alike(fast_ranks, slow_ranks):
    """Not each rank's mean: they mask different numbers of tokens."""
    (sum_1, count_1), (sum_2, count_2) = (rank["masked"]["mlm"] for rank in fast_ranks)
    assert count_1 != count_2
    together = (sum_1 + sum_2) / (count_1 + count_2)
    assert abs(together - (sum_1 / count_1 + sum_2 / count_2) / 2) > 1e-4, "the comparison sees nothing"
    added = fast_ranks[0]["masked"]["losses"][0] - slow_ranks[0]["unmasked"]["losses"][0]
    assert added == pytest.approx(CASES["masked"][1]["mlm_weight"] * together, abs=2e-5)


@pytest.mark.distributed
def test_the_comparison_sees_a_gather_without_gradient(fast_ranks):
    """At W = 2 it leaves half of the gradient, and clipping or Adam would hide it."""
    fault, pairs = (fast_ranks[0][case] for case in ("fault", "pairs"))
    assert fault["losses"][0] == pytest.approx(pairs["losses"][0], abs=1e-5), "the loss is no clue"
    faulty, right = flat(fault["gradients"]), flat(pairs["gradients"])
    assert (faulty.norm() / right.norm()).item() == pytest.approx(0.5, abs=1e-4)
    assert torch.nn.functional.cosine_similarity(faulty, right, dim=0).item() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.distributed
def test_no_row_stands_twice_and_ragged_batches_are_dropped(fast_ranks, still_folder, tmp_path):
    trained = [rank["batches"]["rows"] for rank in fast_ranks]
    assert [len(rows) for rows in trained] == [(ROWS - 5) // (2 * BATCH)] * 2
    assert all(len(rows) == BATCH for rank in trained for rows in rank)
    seen = [row for rank in trained for rows in rank for row in rows]
    assert len(set(seen)) == len(seen) == 2 * BATCH * ((ROWS - 5) // (2 * BATCH))
    held_out = [row for rank in fast_ranks for rows in rank["batches"]["held_out"] for row in rows]
    assert sorted(held_out) == list(range(ROWS))
    # Evaluation is at a fixed batch, whatever the number of processes.
    single = simcse_ranks.batches(still_folder, tmp_path, words(still_folder), BATCH)["metrics"]
    for name in ("loss", "uniformity", "alignment", "relative_distance"):
        for rank in fast_ranks:
            assert rank["batches"]["metrics"][f"eval_{name}"] == pytest.approx(single[f"eval_{name}"], abs=1e-5), name
