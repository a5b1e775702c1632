"""Texts in a language that the tokenizer does not know: refused by column, allowed, and told in the card."""

import pytest
from datasets import Dataset
from simcse_runs import configure, train

from hf_xling import SimCSETrainer
from hf_xling.errors import InputError

TELUGU = ["తెలుగు భాష", "మంచి సినిమా", "చాలా బాగుంది", "నచ్చలేదు"] * 8


@pytest.mark.parametrize("column", ["anchor", "positive", "negative"])
def test_each_column_is_looked_at(bert_folder, sentences, tmp_path, column):
    columns = dict.fromkeys(("anchor", "positive", "negative"), sentences[:32])
    rows = Dataset.from_dict({**columns, column: TELUGU})
    with pytest.raises(InputError, match=rf"column `{column}`: 100.0% of the tokens unknown, .*--allow_unknown_tokens"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), rows)
    SimCSETrainer(str(bert_folder), configure(tmp_path, allow_unknown_tokens=True), rows)


def test_it_is_told_before_training_and_in_the_card(bert_folder, sentences, tmp_path, capsys):
    trainer = train(bert_folder, Dataset.from_dict({"anchor": sentences[:32]}), tmp_path, max_steps=1)
    assert "column anchor: 0.0% of the tokens unknown, 1.0 pieces a word" in capsys.readouterr().err
    trainer.create_model_card()
    assert "| 0.0% of the tokens unknown, 1.0 pieces a word |" in (tmp_path / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["eval_dataset", "sts_dataset"])
def test_held_out_texts_are_looked_at_before_training(bert_folder, sentences, tmp_path, name):
    rows = Dataset.from_dict({"anchor": sentences[:32]})
    columns = {"anchor": TELUGU, "positive": TELUGU}
    if name == "sts_dataset":
        columns = {"sentence1": sentences[:32], "sentence2": TELUGU, "score": list(range(32))}
    held_out = {name: Dataset.from_dict(columns)}
    column = list(columns)[int(name == "sts_dataset")]
    with pytest.raises(InputError, match=rf"{name}, column `{column}`: 100.0% of the tokens unknown"):
        SimCSETrainer(str(bert_folder), configure(tmp_path), rows, **held_out)
    trainer = SimCSETrainer(str(bert_folder), configure(tmp_path, allow_unknown_tokens=True), rows, **held_out)
    trainer.create_model_card()
    assert trainer.unknown_shares[f"{name}_{column}_unknown_tokens"] == 1
    assert "| 100.0% of the tokens unknown" in (tmp_path / "README.md").read_text("utf-8")
