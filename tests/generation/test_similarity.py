import sys

import pytest

from hf_xling.errors import InputError
from hf_xling.generation.similarity import Similarity


def mean_pooled(folder, text):
    """The sentence vector as it is defined: the mean over tokens of the last layer, at length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    return torch.nn.functional.normalize(states.mean(dim=0), dim=0)


def test_similarity_is_the_cosine_of_mean_pooled_vectors(bert_folder, sentences):
    sources, answers = sentences[:6], sentences[6:12]
    values = Similarity(str(bert_folder))(sources, answers)
    assert max(values) - min(values) > 0.01  # the model tells the pairs apart
    for source, answer, value in zip(sources, answers, values, strict=True):
        assert value == pytest.approx(
            float(mean_pooled(bert_folder, source) @ mean_pooled(bert_folder, answer)), abs=1e-5
        )


def test_a_text_is_as_similar_as_can_be_to_itself_and_encoded_once(bert_folder, sentences, monkeypatch):
    from sentence_transformers import SentenceTransformer

    encoded, encode = [], SentenceTransformer.encode

    def spy(self, texts, **options):
        encoded.extend(texts)
        return encode(self, texts, **options)

    monkeypatch.setattr(SentenceTransformer, "encode", spy)
    one, other = sentences[:2]
    similarity = Similarity(str(bert_folder))
    values = similarity([one, one, other, one], [one, other, one, other])
    assert values[0] == pytest.approx(1.0, abs=1e-5) and max(values) <= 1
    assert values[1] == pytest.approx(values[2], abs=1e-6) == pytest.approx(values[3], abs=1e-6)
    assert sorted(encoded) == sorted([one, other])
    assert similarity([], []) == []


def test_what_cannot_be_loaded_is_one_line(tmp_path):
    for model in (str(tmp_path / "missing"), str(tmp_path), "no/such-model"):
        with pytest.raises(InputError, match=f"^--similarity_model {model}: cannot be loaded: .") as caught:
            Similarity(model)
        assert "\n" not in str(caught.value)


def test_without_sentence_transformers_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InputError, match=r"^--similarity_model org/model: .*pip install sentence-transformers"):
        Similarity("org/model")
