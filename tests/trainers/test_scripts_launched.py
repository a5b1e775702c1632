"""The two training scripts under a real `accelerate launch`, and on two processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hf_xling.trainers import regression, simcse
from script_runs import ARGV, SCRIPTS, read_predictions, regression_argv, simcse_argv
from transformers import AutoModel, AutoModelForSequenceClassification

ROOT = Path(simcse.__file__).parent


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}


def accelerate(script, argv, *options):
    command = [sys.executable, "-m", "accelerate.commands.launch", *options, str(ROOT / f"{script}.py"), *argv]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_under_accelerate_launch(bert_folder, files, tmp_path, script):
    good = accelerate(script, ARGV[script](bert_folder, files, tmp_path / "run"), "--cpu")
    assert good.returncode == 0, good.stderr[-3000:]
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert str(tmp_path / "run") in good.stdout.splitlines()[-1]
    bad = accelerate(
        script, [*ARGV[script](bert_folder, files, tmp_path / "other"), "--train_file", "gone.csv"], "--cpu"
    )
    assert bad.returncode == 1
    assert "error: gone.csv: no such file or folder" in bad.stderr.splitlines()
    assert not (tmp_path / "other").exists()


TWO_PROCESSES = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
use_cpu: true
num_processes: 2
num_machines: 1
machine_rank: 0
mixed_precision: 'no'
main_process_port: 0
"""

# Writes the world size and each rank's final weights beside what the script itself writes.
SPY = """\
import sys
import torch
from transformers import Trainer, TrainerCallback

class Spy(TrainerCallback):
    def on_train_end(self, args, state, control, model=None, **kwargs):
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        torch.save((args.world_size, weights), f"{sys.argv[1]}-{args.process_index}.pt")

made = Trainer.__init__
def init(self, *args, **kwargs):
    made(self, *args, **kwargs)
    self.add_callback(Spy())
Trainer.__init__ = init

import importlib
script = importlib.import_module(f"hf_xling.trainers.{sys.argv[2]}")
script.main(sys.argv[3:])
"""


def two_ranks(folder, script, argv):
    """Train with two gloo ranks; return the final weights of each."""
    (folder / "two.yaml").write_text(TWO_PROCESSES, encoding="utf-8")
    (folder / "spy.py").write_text(SPY, encoding="utf-8")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(folder / "two.yaml")]
    command += [str(folder / "spy.py"), str(folder / "rank"), script, *argv]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [torch.load(folder / f"rank-{rank}.pt") for rank in (0, 1)]
    assert [world for world, _ in ranks] == [2, 2]
    return [weights for _, weights in ranks]


def without_dropout(checkpoint, folder):
    """A copy of the checkpoint that has none."""
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps({**config, **still}), encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize(
    "more",
    [(), ("--long_text", "windows", "--max_length", "5", "--token_budget", "16"), ("--task", "classification")],
    ids=["plain", "windows in unlike numbers of passes", "classes"],
)
def test_two_ranks_of_regression_equal_one_process_at_twice_the_batch(bert_folder, files, tmp_path, more):
    checkpoint = without_dropout(bert_folder, tmp_path / "base")
    # SGD shows a wrong factor of the gradient, which Adam would hide. Clipping is off: it would hide it as well.
    common = ("--optim", "sgd", "--lr_scheduler_type", "constant", "--max_grad_norm", "0", "--learning_rate", "6e-2")
    common += ("--save_strategy", "no", "--eval_strategy", "no", "--load_best_model_at_end", "false")

    def argv(output, batch):
        size = ("--per_device_train_batch_size", str(batch), "--gradient_accumulation_steps", "2")
        return regression_argv(checkpoint, files, tmp_path / output, *common, *size, *more)

    first, second = two_ranks(tmp_path, "regression", argv("two", 4))
    regression.main(argv("one", 8))
    single = AutoModelForSequenceClassification.from_pretrained(tmp_path / "one").state_dict()
    base = AutoModel.from_pretrained(checkpoint).state_dict()
    moved = max((single[f"bert.{name}"] - tensor).abs().max() for name, tensor in base.items())
    assert moved > 1e-2, "the model has not moved"
    for name, tensor in single.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], tensor, rtol=0, atol=1e-5)
    results = [json.loads((tmp_path / run / "all_results.json").read_text("utf-8")) for run in ("one", "two")]
    measure = "test_accuracy" if "classification" in more else "test_mse"
    assert results[0][measure] == pytest.approx(results[1][measure], rel=1e-4)
    assert len(read_predictions(tmp_path / "two")) == 12


@pytest.mark.slow
@pytest.mark.distributed
def test_two_ranks_of_simcse_equal_one_process_at_twice_the_batch(bert_folder, files, tmp_path):
    checkpoint = without_dropout(bert_folder, tmp_path / "base")
    common = ("--optim", "sgd", "--lr_scheduler_type", "constant", "--max_grad_norm", "0", "--learning_rate", "0.05")
    common += ("--sts_file", str(tmp_path / "sts.jsonl"), "--token_budget", "24", "--gradient_accumulation_steps", "2")
    texts = (files / "corpus.txt").read_text("utf-8").split("\n")
    rows = [{"sentence1": texts[row], "sentence2": texts[row + 1], "score": row % 4} for row in range(12)]
    (tmp_path / "sts.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    def argv(output, batch):
        size = ("--per_device_train_batch_size", str(batch))
        return simcse_argv(checkpoint, files, tmp_path / output, *common, *size)

    first, second = two_ranks(tmp_path, "simcse", argv("two", 4))
    simcse.main(argv("one", 8))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    single, two, base = (AutoModel.from_pretrained(tmp_path / name).state_dict() for name in ("one", "two", "base"))
    assert max((single[name] - base[name]).abs().max() for name in base) > 1e-2, "the model has not moved"
    for name, tensor in single.items():
        assert torch.equal(two[name], first[f"encoder.{name}"])
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-5)
    results = [json.loads((tmp_path / run / "eval_results.json").read_text("utf-8")) for run in ("one", "two")]
    assert results[0]["eval_sts_spearman"] == pytest.approx(results[1]["eval_sts_spearman"], abs=1e-3)
