"""Texts longer than the model takes: what is kept of them, and that the signal at their end is found."""

import numpy
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from hf_xling.errors import InputError
from hf_xling.regression.documents import DocumentTable
from hf_xling.regression.long_text import OVERLAP_SHARE, Cutter, window_starts


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
