import math
import random

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from hf_xling.sample.encoder import make_encoder
from hf_xling.sample.reviews import english_reviews, tamil_reviews
from hf_xling.sample.scenes import draw_inferences, render
from hf_xling.sample.world import draw_news


@pytest.fixture(scope="module")
def scenes():
    inferences = draw_inferences(random.Random(0), 3300)
    return list(dict.fromkeys(render(scene) for premise, rest in inferences for scene in (premise, *rest)))


@pytest.fixture(scope="module")
def rated():
    return {"en": english_reviews(random.Random(0)), "ta": tamil_reviews(random.Random(0))}


@pytest.fixture(scope="module")
def texts(scenes, rated):
    read = [row.text for splits in rated.values() for row in splits["train"]]
    return [text for phrase in scenes for text in phrase] + draw_news(random.Random(0)) + read


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("sample") / "encoder"
    make_encoder(folder, texts)
    return folder


def test_loads_in_plain_auto_classes_with_all_its_keys(encoder):
    model, info = AutoModel.from_pretrained(encoder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == model.config.max_position_embeddings == 128
    assert len(tokenizer) == model.config.vocab_size <= 4000
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert tokenizer.convert_tokens_to_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) == [0, 1, 2, 3, 4]
    ids = tokenizer("A boy.", "ஒரு சிறுவன்.")
    assert ids["input_ids"][0] == tokenizer.cls_token_id and ids["input_ids"].count(tokenizer.sep_token_id) == 2
    assert "random weights" in (encoder / "README.md").read_text("utf-8")


def test_tokenizer_keeps_vowel_signs_and_whole_words(encoder):
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    # The last two words are in no text of the world.
    for word in ("படிக்கிறான்", "கொண்டிருக்கிறார்கள்", "ஒளிப்பதிவு", "முதியோர்", "வாழ்த்துகிறோம்"):
        pieces = tokenizer.tokenize(word)
        assert "".join(piece.removeprefix("##") for piece in pieces) == word
        # Every piece but the first continues the word: the pre-tokenizer has not cut at a vowel sign.
        assert [piece.startswith("##") for piece in pieces] == [False] + [True] * (len(pieces) - 1)
    assert tokenizer.tokenize("A BOY") == tokenizer.tokenize("a boy")
    assert tokenizer.tokenize("படி") != tokenizer.tokenize("பட")


def test_tokenizer_knows_its_own_world(encoder, texts):
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    words = sorted({word for text in texts for word in text.split()})  # no token goes over a space
    assert not any(tokenizer.unk_token_id in ids for ids in tokenizer(words)["input_ids"])
    longest = sorted(texts, key=len)[-500:]
    assert max(map(len, tokenizer(longest)["input_ids"])) <= 128


def test_reviews_of_the_test_split_fit(encoder, rated):
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    for splits in rated.values():
        encoded = tokenizer([row.text for row in splits["test"]])["input_ids"]
        assert max(map(len, encoded)) <= 128
        assert not any(tokenizer.unk_token_id in ids for ids in encoded)


def test_same_texts_and_seed_same_files(encoder, texts, tmp_path):
    # The trainer of `tokenizers` alone differs from call to call, within one process too.
    make_encoder(tmp_path / "again", texts)
    names = sorted(path.name for path in encoder.iterdir())
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (encoder / name).read_bytes(), name


def test_seed_matters_and_the_global_random_state_does_not_move(encoder, texts, tmp_path):
    before = torch.get_rng_state()
    make_encoder(tmp_path / "other", texts[:200], seed=1, vocab_size=1000)
    make_encoder(tmp_path / "third", texts[:200], seed=2, vocab_size=1000)
    assert torch.equal(torch.get_rng_state(), before)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("other", "third")]
    assert weights[0] != weights[1]


def test_simcse_gets_off_the_ground(encoder, scenes):
    batch = 64
    sentences = [text for phrase in scenes for text in phrase[2:]]
    random.Random(0).shuffle(sentences)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        model = AutoModel.from_pretrained(encoder).train()
        head = torch.nn.Sequential(torch.nn.Linear(128, 128), torch.nn.Tanh())
        optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=5e-4)
        losses = []
        for start in range(0, 40 * batch, batch):
            inputs = tokenizer(2 * sentences[start : start + batch], padding=True, return_tensors="pt")
            vectors = normalize(head(model(**inputs).last_hidden_state[:, 0]), dim=-1)
            loss = cross_entropy(vectors[:batch] @ vectors[batch:].T / 0.05, torch.arange(batch))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.7 * math.log(batch) < losses[0]


def test_regression_beats_the_train_mean(encoder, rated):
    train, test = rated["ta"]["train"], rated["ta"]["test"]
    mean = sum(row.label for row in train) / len(train)
    truth = torch.tensor([row.label for row in test])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=1).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for start in list(range(0, len(train), 16)) * 5:
            rows = train[start : start + 16]
            inputs = tokenizer([row.text for row in rows], padding=True, return_tensors="pt")
            wanted = torch.tensor([row.label - mean for row in rows])
            loss = (model(**inputs).logits[:, 0] - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            inputs = tokenizer([row.text for row in test], padding=True, return_tensors="pt")
            predicted = model(**inputs).logits[:, 0] + mean
    assert (predicted - truth).square().mean() < 0.5 * (truth - mean).square().mean()
