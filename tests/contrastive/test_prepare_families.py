"""Encoders of many architectures: a text's vector is that of the text alone, here and in what is saved."""

import pytest
import torch
from datasets import Dataset
from families import make_model, save_model
from simcse_runs import configure
from transformers import AutoModelForTextEncoding, AutoTokenizer

from hf_xling import SimCSETrainer
from hf_xling.contrastive.evaluation import encode_texts
from hf_xling.errors import InputError

TEXTS = ["the dog eats fish", "a cat", "the boy wants one tree", "the old houses the bird likes much water"]
FAMILIES = [
    *("bert", "roberta", "xlm-roberta", "distilbert", "albert", "electra", "mpnet", "deberta", "deberta-v2"),
    *("modernbert", "xlm", "xlnet", "convbert", "fnet", "canine", "funnel", "gpt2", "llama", "qwen2", "t5"),
]
ON_NEITHER_SIDE = {"convbert", "fnet", "canine", "funnel"}


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": [*sentences[:24], *(" ".join(sentences[n : n + 2]) for n in range(8))]})


def trained(corpus, bert_folder, folder, kind, side="right", **fields):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder, padding_side=side)
    loader = {"loader": AutoModelForTextEncoding} if kind == "t5" else {}
    base = save_model(folder / "base", kind, tokenizer, **loader)
    # Some families load this tokenizer as one of their own kind, which knows few of its words.
    args = configure(folder / "run", **{"pooling": "mean", "max_steps": 1, "allow_unknown_tokens": True, **fields})
    trainer = SimCSETrainer(str(base), args, corpus)
    trainer.train()
    trainer.save_model(str(folder / "encoder"))
    return trainer


@pytest.mark.parametrize("kind", FAMILIES)
def test_vectors_do_not_depend_on_the_batch(bert_folder, corpus, tmp_path, kind):
    from sentence_transformers import SentenceTransformer

    trainer = trained(corpus, bert_folder, tmp_path, kind)
    together = encode_texts(trainer.model, trainer.processing_class, TEXTS, 16)
    alone = torch.cat([encode_texts(trainer.model, trainer.processing_class, text, 16) for text in TEXTS])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    assert (together[0] - together[1]).abs().max() > 1e-3, "all texts have one vector"
    model = SentenceTransformer(str(tmp_path / "encoder"), device="cpu")
    assert model.tokenizer.pad_token is not None
    size = 1 if kind in ON_NEITHER_SIDE else len(TEXTS)
    exported = torch.tensor(model.encode(TEXTS, show_progress_bar=False, batch_size=size))
    torch.testing.assert_close(exported, together, atol=1e-4, rtol=1e-4)
    assert (trainer.model.side is None) == (kind in ON_NEITHER_SIDE)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "xlnet"])
def test_a_tokenizer_that_pads_on_the_left_is_put_right(bert_folder, corpus, tmp_path, kind, pooling):
    """So what the card tells holds: `hidden[:, 0]` is the first token and no padding."""
    from sentence_transformers import SentenceTransformer

    trainer = trained(corpus, bert_folder, tmp_path, kind, side="left", pooling=pooling)
    wanted = encode_texts(trainer.model, trainer.processing_class, TEXTS, 16)
    assert AutoTokenizer.from_pretrained(tmp_path / "encoder").padding_side == "right"
    found = SentenceTransformer(str(tmp_path / "encoder"), device="cpu").encode(TEXTS, show_progress_bar=False)
    torch.testing.assert_close(torch.tensor(found), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_model_without_a_padding_token_gets_one(bert_folder, corpus, tmp_path, kind):
    from sentence_transformers import SentenceTransformer

    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.pad_token, tokenizer.eos_token = None, "[SEP]"
    base = save_model(tmp_path / "base", kind, tokenizer, pad_token_id=None)
    trainer = SimCSETrainer(str(base), configure(tmp_path / "run", pooling="mean", max_steps=1), corpus)
    trainer.train()
    trainer.save_model(str(tmp_path / "encoder"))
    wanted = encode_texts(trainer.model, trainer.processing_class, TEXTS, 16)
    model = SentenceTransformer(str(tmp_path / "encoder"), device="cpu")
    found = torch.tensor(model.encode(TEXTS, show_progress_bar=False))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert model.tokenizer.pad_token == "[SEP]" and model[0].auto_model.config.pad_token_id == 3


@pytest.mark.parametrize("kind", ["perceiver", "t5", "bart"])
def test_what_is_no_encoder_of_texts_is_refused(bert_folder, corpus, tmp_path, kind):
    base = save_model(tmp_path / "base", kind, AutoTokenizer.from_pretrained(bert_folder))
    with pytest.raises(InputError, match=r"base: (is an encoder-decoder|this PerceiverModel cannot read texts)"):
        SimCSETrainer(str(base), configure(tmp_path / "run", pooling="mean"), corpus)


def test_a_model_of_few_positions(bert_folder, corpus, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder, model_max_length=10**30)
    model = make_model("bert", len(tokenizer), max_position_embeddings=5)
    args = configure(tmp_path, max_length=5, max_steps=1, pooling="mean")
    SimCSETrainer(model, args, corpus, processing_class=tokenizer).train()
    with pytest.raises(InputError, match=r"--max_length 16: .* has positions for 5 tokens"):
        SimCSETrainer(model, configure(tmp_path), corpus, processing_class=tokenizer)
