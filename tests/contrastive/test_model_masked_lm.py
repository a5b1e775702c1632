"""The auxiliary masked-language-model loss."""

import math
import shutil

import pytest
import torch
from datasets import Dataset
from safetensors import safe_open
from safetensors.torch import load_file
from simcse_runs import assert_equal_weights, configure, losses, train, weights
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from hf_xling import SimCSETrainer, info_nce
from hf_xling.contrastive.model import TokenMasking
from hf_xling.errors import InputError


@pytest.fixture(scope="module")
def corpus(sentences):
    return Dataset.from_dict({"anchor": sentences[:128]})


@pytest.fixture(scope="module")
def masked_lm_folder(bert_folder, tmp_path_factory):
    """The BERT with a head of its own, without dropout."""
    folder = tmp_path_factory.mktemp("checkpoint") / "masked_lm"
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = AutoModelForMaskedLM.from_pretrained(bert_folder, **still)
        torch.nn.init.normal_(model.cls.predictions.bias)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(folder)
    return folder


# What is masked


@pytest.fixture(scope="module", params=["bert", "xlmr"])
def tokenizer(request):
    return AutoTokenizer.from_pretrained(request.getfixturevalue(f"{request.param}_folder"))


def masking(tokenizer, probability=0.15):
    return TokenMasking(tokenizer.mask_token_id, tuple(tokenizer.all_special_ids), len(tokenizer), probability)


@pytest.mark.parametrize("probability", [0.15, 0.4])
def test_shares_of_masked_tokens(tokenizer, sentences, probability):
    """Devlin et al. 2019: of the chosen tokens 80 % are masked, 10 % are another, 10 % stay."""
    torch.manual_seed(0)
    ids = tokenizer(sentences * 40, padding=True, return_tensors="pt")["input_ids"]
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    assert special[:, -1].all() and (ids == tokenizer.pad_token_id).any()
    masked_ids, labels = masking(tokenizer, probability)(ids).values()
    assert ids.shape == masked_ids.shape == labels.shape
    here = labels != -100
    assert torch.equal(labels[here], ids[here]), "a label is what stood there"
    assert torch.equal(masked_ids[~here], ids[~here]), "the rest stays"
    assert not (here & special).any(), "special tokens and padding are never chosen"
    open_to_it, chosen, now = (~special).sum().item(), here.sum().item(), masked_ids[here]
    assert open_to_it > 40_000
    assert chosen / open_to_it == pytest.approx(probability, abs=0.01)
    masked, left = (now == tokenizer.mask_token_id).sum().item(), (now == ids[here]).sum().item()
    size = len(tokenizer)  # one of so many other tokens is the mask, one the token itself
    assert masked / chosen == pytest.approx(0.8 + 0.1 / size, abs=0.015)
    assert left / chosen == pytest.approx(0.1 + 0.1 / size, abs=0.015)


def test_each_text_and_each_step_is_masked_anew(tokenizer, sentences):
    torch.manual_seed(0)
    ids = torch.tensor(tokenizer([sentences[0]] * 8)["input_ids"])
    first, second = (masking(tokenizer, 0.5)(ids)["mlm_labels"] for _ in range(2))
    assert not torch.equal(first, second) and not (first == first[0]).all()


# The loss


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("token_budget", [None, 64])
def test_equals_a_computation_by_hand(masked_lm_folder, sentences, tmp_path, packing, token_budget):
    corpus = Dataset.from_dict({"anchor": sentences[:16], "positive": sentences[16:32]})
    fields = {"mlm_weight": 0.3, "mlm_probability": 0.3, "packing": packing, "token_budget": token_budget}
    trainer = SimCSETrainer(str(masked_lm_folder), configure(tmp_path, pooling="mean", **fields), corpus)
    assert trainer.packed == packing
    inputs, seen = next(iter(trainer.get_train_dataloader())), []

    class Seen(TokenMasking):
        def __call__(self, ids):
            seen.append(super().__call__(ids))
            return seen[-1]

    trainer.masking = Seen(**vars(trainer.masking))
    trainer.model.train()
    total = trainer.compute_loss(trainer.model, inputs)

    # Text by text, without padding and packing.
    plain, contrastive, terms = AutoModelForMaskedLM.from_pretrained(masked_lm_folder).eval(), [], []
    for chunk, masked in zip(inputs["chunks"], seen, strict=True):
        if packing:
            lengths = [length for count, length in chunk["text_lengths"] for _ in range(count)]
            texts = zip(*(x[0].split(lengths) for x in (chunk["input_ids"], *masked.values())), strict=True)
        else:
            rows = zip(chunk["input_ids"], *masked.values(), chunk["attention_mask"].bool(), strict=True)
            texts = ([x[mask] for x in (ids, masked_ids, labels)] for ids, masked_ids, labels, mask in rows)
        for ids, masked_ids, labels in texts:
            contrastive.append(plain.bert(ids[None]).last_hidden_state.mean(dim=1)[0])
            logits = plain(masked_ids[None]).logits[0].log_softmax(dim=-1)
            terms += [-logits[place, label] for place, label in enumerate(labels.tolist()) if label != -100]
    anchors, positives = torch.stack(contrastive)[inputs["places"]].chunk(2)
    assert len(terms) > 20
    wanted = info_nce(anchors, positives) + 0.3 * torch.stack(terms).mean()
    assert total.item() == pytest.approx(wanted.item(), abs=1e-5)

    total.backward()
    wanted.backward()
    exact = {name: p.grad for name, p in plain.named_parameters()}
    largest = max(gradient.norm() for gradient in exact.values())
    found = {name: p.grad for name, p in trainer.model.masked_lm.named_parameters() if p.grad is not None}
    assert exact.keys() == found.keys()
    for name, gradient in exact.items():
        assert (found[name] - gradient).norm() < 1e-5 * largest, name


def test_it_learns_the_words(bert_folder, corpus, tmp_path):
    def masked_loss(steps):
        fields = {"mlm_weight": 1.0, "max_steps": steps, "mlm_probability": 0.3, "learning_rate": 3e-3}
        trainer = train(bert_folder, corpus, tmp_path / str(steps), **fields)
        ids = trainer.processing_class(corpus["anchor"][:64], padding=True, return_tensors="pt")["input_ids"]
        torch.manual_seed(1)
        masked_ids, labels = trainer.masking(ids).values()
        mask = (ids != trainer.processing_class.pad_token_id).long()
        with torch.no_grad():
            return trainer.model.eval().masked_lm(masked_ids, attention_mask=mask, labels=labels).loss

    assert masked_loss(40) < masked_loss(1) - 0.5


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_the_output_layer_stays_tied_and_the_head_at_home(request, corpus, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    trainer = train(checkpoint, corpus, tmp_path / "run", mlm_weight=0.5, save_strategy="steps", save_steps=2)
    masked_lm, encoder = trainer.model.masked_lm, trainer.model.encoder
    embeddings = encoder.get_input_embeddings().weight
    assert masked_lm.base_model is encoder
    assert masked_lm.get_output_embeddings().weight is embeddings
    assert masked_lm.get_output_embeddings().bias.any(), "it has not been trained"
    start = AutoModel.from_pretrained(checkpoint).get_input_embeddings().weight
    assert (embeddings - start).abs().max() > 1e-4, "it has not moved"
    trainer.save_model(str(tmp_path / "encoder"))
    for folder in (tmp_path / "encoder", tmp_path / "run" / "checkpoint-4"):
        with safe_open(folder / "model.safetensors", "pt") as saved:
            assert set(saved.keys()) == set(AutoModel.from_pretrained(checkpoint).state_dict())
    heads = load_file(tmp_path / "run" / "checkpoint-4" / "simcse_heads.safetensors")
    assert heads and not [name for name in heads if name.startswith("encoder.") or "embeddings" in name]
    assert any(name.startswith("masked_lm.") for name in heads)
    assert not (tmp_path / "encoder" / "simcse_heads.safetensors").exists()


@pytest.mark.parametrize("architecture", ["bert", "xlmr", "distilbert"])
def test_resumed_equals_uninterrupted(request, corpus, tmp_path, architecture):
    checkpoint = request.getfixturevalue(f"{architecture}_folder")
    fields = {"mlm_weight": 0.5, "max_steps": 5, "save_strategy": "steps", "save_steps": 2}
    whole = train(checkpoint, corpus, tmp_path, **fields)
    shutil.rmtree(tmp_path / "checkpoint-4")
    torch.manual_seed(99)
    resumed = train(checkpoint, corpus, tmp_path, str(tmp_path / "checkpoint-2"), **fields)
    assert_equal_weights(weights(whole), weights(resumed))
    assert losses(whole) == losses(resumed)


# What cannot have it


def test_a_tokenizer_without_a_mask_is_refused(bert_folder, corpus, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.mask_token = None
    with pytest.raises(InputError, match=r"--mlm_weight 0.5: the tokenizer of .* has no mask token"):
        SimCSETrainer(str(bert_folder), configure(tmp_path, mlm_weight=0.5), corpus, processing_class=tokenizer)


@pytest.mark.parametrize(
    "fields",
    [
        {"mlm_weight": -1.0},
        {"mlm_weight": math.nan},
        {"mlm_weight": math.inf},
        {"mlm_probability": 0.0},
        {"mlm_probability": 1.0},
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, fields):
    with pytest.raises(InputError, match="--mlm_weight must be 0 or more, --mlm_probability between 0 and 1"):
        configure(tmp_path, **fields)
