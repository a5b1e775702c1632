"""What both trainers refuse of the objects that they are given, in one clear line."""

import pytest
from datasets import Dataset
from torch import nn
from transformers import AutoTokenizer

from hf_xling import RegressionConfig, RegressionTrainer, SimCSEConfig, SimCSETrainer
from hf_xling.errors import InputError

TRAINERS = [(SimCSETrainer, SimCSEConfig, {"max_length": 16}), (RegressionTrainer, RegressionConfig, {})]


@pytest.fixture
def make(bert_folder, sentences, tmp_path):
    def made(trainer, config, fields, model=None, rows=None, **options):
        args = config(output_dir=str(tmp_path), use_cpu=True, per_device_train_batch_size=16, **fields)
        known = {"anchor": sentences[:32], "text": sentences[:32], "label": [float(n % 5) for n in range(32)]}
        columns = ["anchor"] if trainer is SimCSETrainer else ["text", "label"]
        rows = rows or Dataset.from_dict({name: known[name] for name in columns})
        return trainer(bert_folder if model is None else model, args, rows, **options)

    return made


@pytest.mark.parametrize("trainer", TRAINERS, ids=["simcse", "regression"])
def test_models_and_tokenizers_of_another_kind(make, trainer, bert_folder):
    for model in (nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)), 5):
        with pytest.raises(InputError, match=rf"model: .* is needed, not {type(model).__name__}"):
            make(*trainer, model=model)
    with pytest.raises(InputError, match="processing_class: a tokenizer is needed, not str"):
        make(*trainer, processing_class=str(bert_folder))
    with pytest.raises(InputError, match=r"peft_config: a config of peft \(LoraConfig\) is needed, not dict"):
        make(*trainer, peft_config={"r": 4})
    assert make(*trainer, processing_class=AutoTokenizer.from_pretrained(bert_folder)).model is not None  # of a Path
