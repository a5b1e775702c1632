import shutil

import pytest
import torch
from datasets import Dataset
from simcse_runs import BATCH, configure, train
from transformers import AutoModel, AutoTokenizer

from hf_xling import SimCSEConfig, SimCSETrainer, info_nce
from hf_xling.errors import InputError, XlingError


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences})


def test_a_loss_that_is_no_number_ends_the_training(bert_folder, corpus, tmp_path):
    encoder = AutoModel.from_pretrained(bert_folder)
    with torch.no_grad():
        encoder.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    trainer = SimCSETrainer(encoder, configure(tmp_path), corpus, processing_class=tokenizer)
    with pytest.raises(XlingError, match=r"the loss is nan at step 1; a lower --learning_rate"):
        trainer.train()


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("step", [1, 3])
def test_it_ends_at_the_step_where_it_happens(bert_folder, corpus, tmp_path, monkeypatch, value, step):
    """And nothing is saved of it, whatever is logged."""
    steps = []

    def spoilt(*args, **kwargs):
        steps.append(1)
        return info_nce(*args, **kwargs) + (value if len(steps) >= step else 0.0)

    monkeypatch.setattr("hf_xling.contrastive.trainer.info_nce", spoilt)
    fields = {"logging_steps": 100, "save_strategy": "steps", "save_steps": 1, "max_steps": 5}
    with pytest.raises(XlingError, match=f"the loss is {value} at step {step}; "):
        train(bert_folder, corpus, tmp_path, **fields)
    saved = {path.name for path in tmp_path.glob("checkpoint-*")}
    assert saved == {f"checkpoint-{number}" for number in range(1, step)}


def test_weights_that_are_no_numbers_are_not_saved(bert_folder, corpus, tmp_path):
    """Where the loss is looked at only now and then, as on a GPU."""
    trainer = train(bert_folder, corpus, tmp_path / "run", max_steps=1)
    trainer._last_loss = torch.tensor(float("nan"))
    with pytest.raises(XlingError, match="the loss is nan at step 1"):
        trainer.save_model(str(tmp_path / "encoder"))
    assert not (tmp_path / "encoder").exists()
    with pytest.raises(XlingError, match="the loss is nan at step 1"):
        trainer.log({"loss": float("nan")})


def test_a_tokenizer_bigger_than_the_model_is_refused(bert_folder, corpus, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.add_tokens(["zebra"])
    with pytest.raises(InputError, match=r"the tokenizer has tokens up to number \d+, .* only \d+"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), corpus, processing_class=tokenizer)


@pytest.mark.parametrize("architecture", ["bert", "xlmr"])
def test_texts_longer_than_the_positions_are_refused(request, corpus, tmp_path, architecture):
    """XLM-R numbers its positions from 2: of its 34 only 32 are for tokens."""
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    long = Dataset.from_dict({"anchor": ["the dog " * 40] * BATCH})
    train(checkpoint, long, tmp_path / "run", max_length=32, max_steps=1)
    with pytest.raises(InputError, match=r"--max_length 33: .* has positions for 32 tokens"):
        SimCSETrainer(str(checkpoint), configure(tmp_path, max_length=33), long)


def test_a_corpus_smaller_than_a_batch_is_refused(bert_folder, corpus, tmp_path):
    with pytest.raises(InputError, match=r"train_dataset: has 15 rows, fewer than one batch of 16 \(--per"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), corpus.select(range(15)))
    with pytest.raises(InputError, match=r"eval_dataset: has 5 rows, .* of 8 \(--per_device_eval_batch_size\)"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), corpus, corpus.select(range(5)))


def test_a_corpus_without_anchors_is_refused(bert_folder, sentences, tmp_path):
    with pytest.raises(InputError, match="train_dataset: has no column `anchor`; its columns are text"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), Dataset.from_dict({"text": sentences}))
    with pytest.raises(InputError, match="eval_dataset: is empty"):
        SimCSETrainer(
            str(bert_folder),
            configure(tmp_path),
            Dataset.from_dict({"anchor": sentences}),
            Dataset.from_dict({"anchor": []}),
        )


@pytest.mark.parametrize("damage", ["missing", "no weights", "half the weights", "other weights", "no tokenizer"])
def test_a_checkpoint_that_is_none_is_refused(bert_folder, corpus, tmp_path, damage):
    folder = tmp_path / "base"
    if damage != "missing":
        shutil.copytree(bert_folder, folder)
    if damage == "no weights":
        (folder / "model.safetensors").unlink()
    if damage == "half the weights":
        (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    if damage == "other weights":
        (folder / "config.json").write_text((folder / "config.json").read_text().replace('_size": 64', '_size": 32'))
    if damage == "no tokenizer":
        for path in folder.glob("token*"):
            path.unlink()
    with pytest.raises(InputError, match="cannot be loaded as a checkpoint"):
        SimCSETrainer(str(folder), configure(tmp_path / "run"), corpus)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"per_device_train_batch_size": 1},
        {"max_length": 2},
        {"remove_unused_columns": True},
        {"token_budget": 15},
        {"torch_compile": True, "token_budget": 64},
        {"early_stopping_patience": 2},
        {"early_stopping_patience": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, fields):
    with pytest.raises(InputError, match=f"--{next(iter(fields))}"):
        configure(tmp_path, **fields)


@pytest.mark.parametrize("columns", [(), ("negative_1", "negative_2")])
def test_a_weight_wants_one_column_of_negatives(bert_folder, sentences, tmp_path, columns):
    corpus = Dataset.from_dict(dict.fromkeys(("anchor", *columns), sentences[:BATCH]))
    message = rf"--negative_weight 1.0: wants one column of hard negatives; train_dataset has {len(columns)}"
    with pytest.raises(InputError, match=message):
        SimCSETrainer(str(bert_folder), configure(tmp_path, negative_weight=1.0), corpus)


def test_ragged_batches_of_several_processes_are_refused(tmp_path, monkeypatch):
    """They would wait for each other for ever."""
    monkeypatch.setattr(SimCSEConfig, "world_size", 2)
    configure(tmp_path)
    with pytest.raises(InputError, match="--dataloader_drop_last: must stay on with several processes"):
        configure(tmp_path, dataloader_drop_last=False)
