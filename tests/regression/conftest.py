import pytest
import torch
from datasets import Dataset


@pytest.fixture(scope="session")
def rated(sentences):
    """Ratings that follow the subject: something to learn. Their mean is far from 0."""
    values = {"boy": 1.0, "girl": 1.5, "dog": 4.0, "cat": 4.5, "man": 2.0, "woman": 2.5, "child": 3.0, "bird": 5.0}
    return Dataset.from_dict({"text": sentences, "label": [values[text.split()[1]] for text in sentences]})


@pytest.fixture(scope="session")
def still(bert_folder, rated, tmp_path_factory):
    """A rating model of the ratings' scale without dropout, whose steps can be compared."""
    folder = tmp_path_factory.mktemp("still")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        bert_folder, num_labels=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    with torch.no_grad():
        found = model.eval()(**tokenizer(rated["text"][:], padding=True, return_tensors="pt")).logits.mean()
        model.classifier.bias += sum(rated["label"]) / len(rated) - found
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
