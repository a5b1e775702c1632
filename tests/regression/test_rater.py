"""Rating models of many architectures: a text's rating is that of the text alone, here and in what is saved."""

import numpy
import pytest
from families import make_model, save_model
from regression_runs import configure
from transformers import AutoModelForSequenceClassification, AutoModelForTextEncoding, AutoTokenizer, pipeline

from hf_xling import RatingEnsemble, RegressionTrainer
from hf_xling.errors import InputError
from hf_xling.regression.rater import Rater

TEXTS = ["the dog eats fish", "a cat", "the boy wants one tree", "the old houses the bird likes much water"]


FAMILIES = [
    *("bert", "roberta", "xlm-roberta", "distilbert", "albert", "electra", "mpnet", "deberta", "deberta-v2"),
    *("modernbert", "xlm", "xlnet", "convbert", "fnet", "canine", "funnel", "perceiver", "gpt2", "llama", "qwen2"),
]


ON_NEITHER_SIDE = {"convbert", "fnet", "canine"}


@pytest.fixture
def tokenizer(bert_folder):
    return AutoTokenizer.from_pretrained(bert_folder)


def trained(base, rated, folder, **fields):
    # Some families load this tokenizer as one of their own kind, which knows few of its words.
    args = configure(folder, **{"max_steps": 2, "learning_rate": 1e-2, "allow_unknown_tokens": True, **fields})
    trainer = RegressionTrainer(str(base), args, rated.select(range(48)))
    trainer.train()
    trainer.save_model()
    return trainer


def assert_alone_is_together(trainer, rated, folder, batches):
    rater = Rater.load(folder)
    together = rater.logits(TEXTS)[:, 0]
    alone = [rater.logits([text])[0, 0] for text in TEXTS]
    assert together.tolist() == pytest.approx(alone, abs=1e-4)
    assert numpy.std(together) > 1e-4, "all texts have one rating"
    rows = rated.select(range(8))
    assert rater.logits(rows["text"][:])[:, 0] == pytest.approx(trainer.predict(rows).predictions[:, 0], abs=1e-4)
    rate = pipeline("text-classification", str(folder), function_to_apply="none", device="cpu")
    given = [answer["score"] for answer in rate(TEXTS, batch_size=batches)]
    assert given == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_ratings_do_not_depend_on_the_batch(rated, tmp_path, tokenizer, kind, side):
    tokenizer.padding_side = side
    base = save_model(tmp_path / "base", kind, tokenizer)
    trainer = trained(base, rated, tmp_path / "run")
    assert_alone_is_together(trainer, rated, tmp_path / "run", 1 if kind in ON_NEITHER_SIDE else 4)
    assert (trainer.data_collator.side is None) == (kind in ON_NEITHER_SIDE)
    assert trainer.data_collator.side == "left" or kind != "xlnet", "it reads the last token, padding or not"


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2"])
def test_a_model_without_a_padding_token_gets_one(rated, tmp_path, tokenizer, kind):
    tokenizer.pad_token, tokenizer.eos_token = None, "[SEP]"
    base = save_model(tmp_path / "base", kind, tokenizer, pad_token_id=None)
    trainer = trained(base, rated, tmp_path / "run")
    assert_alone_is_together(trainer, rated, tmp_path / "run", 4)
    assert trainer.model.config.pad_token_id == 3


def test_a_model_that_cannot_pad_is_refused(rated, tmp_path, tokenizer):
    for name in ("pad", "unk", "cls", "sep", "mask"):
        setattr(tokenizer, f"{name}_token", None)
    model = make_model("llama", 40, AutoModelForSequenceClassification, num_labels=1, pad_token_id=None)
    with pytest.raises(InputError, match="has no token to pad with; set its `pad_token`"):
        RegressionTrainer(model, configure(tmp_path), rated, processing_class=tokenizer)


@pytest.mark.parametrize("kind", ["t5", "t5 encoder", "bart"])
def test_what_is_no_encoder_is_refused(rated, tmp_path, tokenizer, kind):
    loader = {"loader": AutoModelForTextEncoding} if kind == "t5 encoder" else {}
    base = save_model(tmp_path / "base", kind.split()[0], tokenizer, **loader)
    with pytest.raises(InputError, match=r"base: is an encoder-decoder"):
        RegressionTrainer(str(base), configure(tmp_path / "run"), rated)


def test_models_of_few_and_of_any_number_of_positions(rated, tmp_path, tokenizer):
    unlimited = AutoTokenizer.from_pretrained(tokenizer.name_or_path, model_max_length=10**30)
    few = save_model(tmp_path / "few", "bert", unlimited, max_position_embeddings=5)
    assert trained(few, rated, tmp_path / "run").cutter.max_length == 5
    assert Rater.load(tmp_path / "run").logits([" ".join(["the dog"] * 40)]).shape == (1, 1)
    any_number = save_model(tmp_path / "any", "xlnet", unlimited)
    trained(any_number, rated, tmp_path / "long")
    assert Rater.load(tmp_path / "long").logits([" ".join(["the dog"] * 40)]).shape == (1, 1)
    none = save_model(tmp_path / "none", "bert", unlimited, max_position_embeddings=2)
    with pytest.raises(InputError, match="--max_length: the model takes 2 tokens, 2 of them special; no text fits"):
        trained(none, rated, tmp_path / "no")


# One text


def test_a_string_is_one_text(rated, tmp_path, tokenizer):
    trained(save_model(tmp_path / "base", "bert", tokenizer), rated, tmp_path / "run")
    ensemble = RatingEnsemble.from_pretrained(tmp_path / "run")
    assert ensemble.predict(TEXTS[0]).mean.tolist() == ensemble.predict(TEXTS[:1]).mean.tolist()
    assert Rater.load(tmp_path / "run").logits(TEXTS[0]).shape == (1, 1)
    twice = RatingEnsemble([*ensemble.members, *ensemble.members])
    assert twice.predict(text for text in TEXTS).members.shape == (2, 4)
    assert ensemble.predict(numpy.array(TEXTS)).mean.shape == (4,)
    for bad in (["a", None], ["a", 3], [["a", "b"]], [float("nan")]):
        with pytest.raises(InputError, match=rf"texts\[{len(bad) - 1}\]: is .*; a text is needed"):
            ensemble.predict(bad)


@pytest.mark.parametrize("texts", [None, 5, {"text": "a"}, b"a"])
def test_what_are_no_texts_is_refused(still, texts):
    with pytest.raises(InputError, match="texts: a list of texts is needed, not"):
        RatingEnsemble([Rater.load(still)]).predict(texts)
