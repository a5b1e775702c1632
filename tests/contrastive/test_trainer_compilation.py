"""`--torch_compile`: every batch has lengths of its own, and yet nothing is compiled anew for it."""

import json
import random
import shutil

import pytest
import torch
from datasets import Dataset
from simcse_runs import BATCH, losses, train
from torch._dynamo.utils import counters
from transformers import TrainerCallback

STEPS = 8


class Graphs(TrainerCallback):
    """How many graphs were compiled up to the end of each step."""

    def __init__(self):
        self.compiled = []

    def on_step_end(self, *args, **kwargs):
        self.compiled.append(counters["stats"]["unique_graphs"])


@pytest.fixture
def corpus(sentences):
    """Texts of 1 to 14 words, so that few batches have as many different lengths as another."""
    dice, words = random.Random(0), " ".join(sentences).split()
    texts = [" ".join(dice.choices(words, k=dice.randint(1, 14))) for _ in range(STEPS * BATCH)]
    return Dataset.from_dict({"anchor": texts})


@pytest.fixture
def still_folder(bert_folder, tmp_path):
    """Without dropout, whose masks are others where it is compiled."""
    folder = shutil.copytree(bert_folder, tmp_path / "still")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


# Of torch, when it looks at what goes into a graph.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("fields", [{}, {"pooling": "mean"}, {"packing": False}], ids=["first", "mean", "padded"])
def test_compiled_learns_the_same_and_settles(still_folder, corpus, tmp_path, fields):
    torch._dynamo.reset()
    counters.clear()
    graphs = Graphs()
    fields = {"max_steps": STEPS, **fields}
    plain = train(still_folder, corpus, tmp_path / "plain", **fields)
    # The backend runs the captured graphs as they are: what costs minutes, and what this is about, is how many.
    compiled = train(
        still_folder, corpus, tmp_path / "run", callbacks=[graphs], torch_compile_backend="eager", **fields
    )
    assert losses(compiled) == pytest.approx(losses(plain), abs=1e-4)
    if compiled.packed:
        runs = [len(list(batch["chunks"][0]["text_lengths"])) for batch in compiled.get_train_dataloader()]
        assert set(runs[3:]) - set(runs[:3]), "no batch is unlike the first ones"
    assert graphs.compiled[0] > 0, "nothing was compiled"
    assert graphs.compiled[2] == graphs.compiled[-1], graphs.compiled
