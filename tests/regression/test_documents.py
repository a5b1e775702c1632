"""Rated documents: what is kept of long ones, what is refused of their rows, and the passes of a batch."""

import numpy
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from regression_runs import configure
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_xling import RegressionTrainer
from hf_xling.errors import InputError
from hf_xling.regression.documents import OVERLAP_SHARE, Cutter, DocumentTable, RegressionCollator, window_starts
from hf_xling.regression.head import document_logits
from hf_xling.training.chunking import PADDING_SHARE, PADDING_TOKENS, places, split_padded


@pytest.fixture(scope="module", params=["bert", "xlmr"])
def tokenizer(request):
    return AutoTokenizer.from_pretrained(request.getfixturevalue(f"{request.param}_folder"))


def words(tokenizer, count):
    known = sorted(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens))
    return [known[number % len(known)].strip("▁") for number in range(count)]


@pytest.mark.parametrize("count", [1, 5, 6, 7, 40])
def test_truncation_is_the_tokenizers_own(tokenizer, count):
    text = " ".join(words(tokenizer, count))
    for side in ("right", "left"):
        tokenizer.truncation_side = side
        ((parts, length),) = Cutter(tokenizer, 8)([text])
        wanted = tokenizer(text, truncation=True, max_length=8)["input_ids"]
        assert [part.tolist() for part in parts] == [wanted]
        assert length == len(tokenizer(text)["input_ids"])
    tokenizer.truncation_side = "right"


def test_head_and_tail(tokenizer):
    text = words(tokenizer, 40)
    ids = tokenizer(" ".join(text))["input_ids"]
    ((parts, _),) = Cutter(tokenizer, 10, "head_tail")([" ".join(text)])
    assert [part.tolist() for part in parts] == [[*ids[:3], *ids[-7:]]], (
        "of 8 words 2 from the head and 6 from the tail"
    )
    ((short, _),) = Cutter(tokenizer, 42, "head_tail")([" ".join(text)])
    assert [part.tolist() for part in short] == [ids]


def test_windows(tokenizer):
    text = words(tokenizer, 20)
    ids = tokenizer(" ".join(text))["input_ids"]
    ((parts, _),) = Cutter(tokenizer, 10, "windows")([" ".join(text)])
    assert all(len(part) == 10 and part[0] == ids[0] and part[-1] == ids[-1] for part in parts)
    content = [part[1:-1].tolist() for part in parts]
    assert content[0] == ids[1:9] and content[-1] == ids[-9:-1] and len(content) == 3


@given(st.integers(2, 600), st.integers(1, 5000))
def test_windows_cover_all_and_overlap(size, more):
    length = size + more
    starts = window_starts(length, size)
    assert starts[0] == 0 and starts[-1] == length - size and starts == sorted(set(starts))
    steps = numpy.diff(starts)
    overlap = round(OVERLAP_SHARE * size)
    assert steps.max() <= max(1, size - overlap) + 1
    assert len(starts) == 1 or steps.max() - steps.min() <= 1, "evenly"
    covered = {place for start in starts for place in range(start, start + size)}
    assert covered == set(range(length))
    # One fewer would leave neighbours with less in common.
    assert len(starts) == 2 or (length - size) / (len(starts) - 2) > max(1, size - overlap) - 1e-9


def test_what_is_cut_is_counted(tokenizer):
    lengths = [3, 8, 9, 18]  # with the two special tokens 5, 10, 11 and 20
    rows = Dataset.from_dict({"text": [" ".join(words(tokenizer, n)) for n in lengths], "label": [1.0] * 4})
    cut = DocumentTable(rows, Cutter(tokenizer, 10)).cut
    assert (cut.documents, cut.long_documents, cut.tokens, cut.cut_tokens) == (4, 2, 46, 11) and cut.is_noteworthy
    assert cut.in_words(10) == "of 4 documents 2 (50%) are longer than 10 tokens; 24% of all tokens are cut"
    windows = DocumentTable(rows, Cutter(tokenizer, 10, "windows")).cut
    assert windows.long_documents == 2 and windows.cut_tokens == 0 and not windows.is_noteworthy
    assert not DocumentTable(rows, Cutter(tokenizer, 20)).cut.is_noteworthy


def test_a_table_wants_its_columns_and_rows(tokenizer):
    with pytest.raises(InputError, match="reviews: is empty"):
        DocumentTable(Dataset.from_dict({"text": [], "label": []}), Cutter(tokenizer, 10), "reviews")


@pytest.fixture(scope="module")
def mixed(sentences):
    """Documents of 1 to 12 sentences: from 6 tokens to far past the 32 positions."""
    texts = [" ".join(sentences[row : row + 1 + row % 12]) for row in range(48)]
    return Dataset.from_dict({"text": texts, "label": [1.0 + row % 5 for row in range(48)]})


@given(st.lists(st.integers(1, 600), min_size=1, max_size=80), st.one_of(st.none(), st.integers(1, 9000)))
def test_passes_hold_each_text_once_with_little_padding(lengths, budget):
    parts = split_padded(lengths, budget)
    assert sorted(place for part in parts for place in part) == list(range(len(lengths)))
    order = [place for part in parts for place in part]
    assert [order[place] for place in places(parts)] == list(range(len(lengths)))
    for part in parts:
        sizes = [lengths[place] for place in part]
        padded = max(sizes) * len(sizes)
        assert padded <= (1 + PADDING_SHARE) * sum(sizes) + PADDING_TOKENS
        assert budget is None or padded <= budget or len(sizes) == 1
    assert sorted(lengths) == [lengths[place] for place in order]


def test_the_example_of_the_collator():
    rows = [{"parts": [[2, 7, 3]], "label": 4.5}, {"parts": [[2, 8, 9, 3], [2, 9, 9, 3]], "label": 1.0}]
    rows = [{**row, "parts": [numpy.array(part) for part in row["parts"]]} for row in rows]
    batch = RegressionCollator()(rows)
    (chunk,) = batch["chunks"]
    assert batch["labels"].tolist() == [4.5, 1.0]
    assert chunk["input_ids"].tolist() == [[2, 7, 3, 0], [2, 8, 9, 3], [2, 9, 9, 3]]
    assert chunk["attention_mask"].tolist() == [[1, 1, 1, 0], [1] * 4, [1] * 4]
    assert chunk["documents"].tolist() == [0, 1, 1] and chunk["weights"].tolist() == [1.0, 0.5, 0.5]
    assert chunk["labels"].tolist() == [4.5, 1.0, 1.0]


def test_documents_may_be_split_over_passes(still, mixed):
    """Windows of one document stand in passes of their own, with others between."""
    model = AutoModelForSequenceClassification.from_pretrained(still).eval()
    tokenizer = AutoTokenizer.from_pretrained(still)
    from hf_xling.regression.documents import Cutter

    cut = Cutter(tokenizer, 20, "windows")(mixed["text"][:16])
    rows = [{"parts": parts, "label": 0.0} for parts, _ in cut]
    results = []
    for budget in (20, 64, 10**6):
        batch = RegressionCollator(0, budget)(rows)
        with torch.no_grad():
            results.append(document_logits(model, batch["chunks"], 16))
    assert len(RegressionCollator(0, 20)(rows)["chunks"]) > 30
    for other in results[1:]:
        torch.testing.assert_close(results[0], other, atol=1e-5, rtol=0)


@pytest.fixture
def make(bert_folder, sentences, tmp_path):
    """A function that makes a trainer of these rows."""

    def made(rows=None, eval_dataset=None, **fields):
        known = Dataset.from_dict({"text": sentences[:32], "label": [float(n % 5) for n in range(32)]})
        return RegressionTrainer(str(bert_folder), configure(tmp_path, **fields), rows or known, eval_dataset)

    return made


@pytest.mark.parametrize("name", ["train_dataset", "eval_dataset"])
@pytest.mark.parametrize(
    ("column", "values", "row"),
    [
        ("label", [1.0, None], 2),
        ("label", ["1", "2"], 1),
        ("label", [[1.0], [2.0]], 1),
        ("label", [1.0, float("nan")], 2),
        ("label", [1.0, float("inf")], 2),
        ("text", ["a", None], 2),
        ("text", [1, 2], 1),
    ],
)
def test_values_of_another_kind_are_named_by_their_row(make, name, column, values, row):
    rows = Dataset.from_dict({"text": ["the dog", "a cat"], "label": [1.0, 2.0], column: values})
    with pytest.raises(InputError, match=rf"{name}, row {row}, column `{column}`: "):
        make(rows=rows) if name == "train_dataset" else make(eval_dataset=rows)


@pytest.mark.parametrize("labels", [[0.5, 1.0], [-1, 0], [0, None], ["a", "b"]])
def test_classes_are_whole_numbers_from_0(make, labels):
    rows = Dataset.from_dict({"text": ["the dog", "a cat"], "label": labels})
    with pytest.raises(InputError, match=r"train_dataset, row \d, column `label`: "):
        make(rows=rows, task="classification")


@pytest.mark.parametrize("labels", [[0.0, 1.0, 2.0], [0, 1, 2], [False, True, True]])
def test_classes_may_be_stored_as_other_numbers(make, labels):
    rows = Dataset.from_dict({"text": ["the dog", "a cat", "the bird"], "label": labels})
    trainer = make(rows=rows, task="classification")
    assert trainer.task.names == tuple(str(number) for number in range(int(max(labels)) + 1))
    batch = trainer.data_collator([trainer.train_dataset[row] for row in range(3)])
    assert batch["labels"].tolist() == [int(label) for label in labels]
