"""SimCSE on real text: the sentences of SNLI's test split (see CONTRIBUTING.md), if they are there."""

import random
from pathlib import Path

import pytest
from datasets import Dataset
from simcse_runs import losses

from hf_xling import SimCSEConfig, SimCSETrainer
from hf_xling.sample.encoder import make_encoder

DATA = Path(__file__).parents[3] / "shared" / "data" / "snli"


@pytest.fixture(scope="module")
def snli():
    """Premises, hypotheses and labels, line by line."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there: it holds SNLI's test split")
    lines = [
        (DATA / f"snli_test.{kind}").read_text("utf-8").rstrip("\n").split("\n") for kind in ("s1", "s2", "labels")
    ]
    rows = [tuple(" ".join(part.split()) for part in row) for row in zip(*lines, strict=True)]
    assert len(rows) > 9000
    return rows


@pytest.mark.slow
def test_vectors_spread_and_positives_draw_near(snli, tmp_path):
    """Held-out premises and what follows from them, before, while and after training on the other sentences by dropout.

    From random weights alignment itself gets worse, as the vectors leave one another: 0.38, 1.48, 1.56 here. They are
    wide, so that there is something to learn: with narrow ones (0.02) an encoder is little more than a bag of words,
    whose pairs lie nearer at the start (0.77) than those of any trained encoder of this size.
    """
    generator = random.Random(0)
    entailed = {premise: hypothesis for premise, hypothesis, label in snli if label == "entailment"}
    premises = sorted(entailed)
    generator.shuffle(premises)
    held_out = premises[:512]
    kept = set(held_out)
    sentences = sorted(
        {text for premise, hypothesis, _ in snli if premise not in kept for text in (premise, hypothesis)}
        - {entailed[premise] for premise in held_out}
    )
    make_encoder(tmp_path / "base", sentences, initializer_range=0.13)
    args = SimCSEConfig(
        output_dir=str(tmp_path / "run"),
        max_steps=240,
        learning_rate=5e-4,
        max_length=32,
        per_device_eval_batch_size=256,
        eval_strategy="steps",
        eval_steps=120,
        eval_on_start=True,
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    pairs = Dataset.from_dict({"anchor": held_out, "positive": [entailed[premise] for premise in held_out]})
    trainer = SimCSETrainer(str(tmp_path / "base"), args, Dataset.from_dict({"anchor": sentences}), pairs)
    trainer.train()
    course = [line for line in trainer.state.log_history if "eval_uniformity" in line]
    assert [line["step"] for line in course] == [0, 120, 240]
    spread, near = ([line[f"eval_{name}"] for line in course] for name in ("uniformity", "relative_distance"))
    assert spread[0] > spread[1] > spread[2] and spread[2] < spread[0] - 1.5
    assert near[2] < near[0] - 0.02 and near[0] < 1
    alignments = [line["eval_alignment"] for line in course]
    assert alignments[2] > alignments[0], "logged as it is"
    assert losses(trainer)[-1] < 0.5 * losses(trainer)[0]
    trainer.create_model_card()
    assert "](training.png)" in (tmp_path / "run/README.md").read_text("utf-8")
    assert (tmp_path / "run/training.png").stat().st_size > 20_000, "a figure of four panels"
