import numpy
import pytest
from datasets import Dataset
from transformers import AutoTokenizer

from hf_xling.contrastive.columns import negative_columns
from hf_xling.contrastive.data import TextRows, TokenTable
from hf_xling.errors import InputError
from hf_xling.tables import Table


@pytest.fixture(scope="module")
def tokenizer(bert_folder):
    return AutoTokenizer.from_pretrained(bert_folder)


def table(tokenizer, columns, max_length=16, **more) -> TokenTable:
    return TokenTable(TextRows.of(Dataset.from_dict(columns), "corpus"), tokenizer, max_length, **more)


def words(tokenizer, row):
    return [tokenizer.decode(ids, skip_special_tokens=True) for ids in row["views"]]


def test_dropout_pairs_are_one_text_twice(tokenizer):
    rows = table(tokenizer, {"anchor": ["the dog", "a cat eats"], "premise_id": [4, 9]})
    assert rows.dropout_pairs and rows.views == ["anchor", "anchor"] and len(rows) == 2
    assert words(tokenizer, rows[1]) == ["a cat eats", "a cat eats"]
    assert rows[0]["views"][0].tolist() == tokenizer("the dog")["input_ids"]
    assert rows[0]["views"][0].dtype == numpy.int32


def test_positives_then_negatives_by_number(tokenizer):
    columns = {"negative_10": ["fish"], "positive": ["girl"], "negative_2": ["bread"], "anchor": ["boy"]}
    rows = table(tokenizer, {**columns, "negative": ["water"]})
    assert not rows.dropout_pairs
    assert words(tokenizer, rows[0]) == ["boy", "girl", "water", "bread", "fish"]
    names = ["negative_10", "anchor", "negative_2", "negative", "negative_x", "negatives", "negative_"]
    assert negative_columns(names) == ["negative", "negatives", "negative_2", "negative_10"]


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        (["s7", "s1", "s7", "s3"], [0, 1, 0, 2]),
        ([30, 4, 4, 30], [0, 1, 1, 0]),
        ([2**40, -1, 2**40, 0], [0, 1, 0, 2]),
    ],
    ids=["strings", "integers", "large integers"],
)
def test_groups_are_numbered(tokenizer, groups, wanted):
    rows = table(tokenizer, {"anchor": ["the dog", "a cat", "a bird", "a boy"], "group": groups})
    assert [rows[row]["group"] for row in range(4)] == wanted


def test_a_row_without_a_group_is_nobodys_relative(tokenizer):
    texts = ["the dog", "a cat", "a bird", "a boy", "a girl"]
    rows = table(tokenizer, {"anchor": texts, "group": [None, None, 0, 1, 0]})
    first, second, *others = (rows[row]["group"] for row in range(5))
    assert first != second and not {first, second} & set(others)
    assert others[0] == others[2] != others[1]
    without = table(tokenizer, {"anchor": texts})
    assert len({without[row]["group"] for row in range(5)}) == 5


@pytest.mark.parametrize(
    ("columns", "wanted", "repeated"),
    [
        ({"anchor": ["the dog", "a cat", "the dog", "a boy"]}, [0, 1, 0, 2], 2),
        ({"anchor": ["the dog", "a cat", "the dog"], "positive": ["a girl", "a bird", "a boy"]}, [0, 1, 0], 2),
        ({"anchor": ["the dog", "a cat", "a man"], "positive": ["a boy", "a bird", "a boy"]}, [0, 1, 0], 2),
        # The anchor of one is the positive of another; a row whose two texts are one is no repetition.
        ({"anchor": ["the dog", "a cat", "a man"], "positive": ["a boy", "the dog", "a man"]}, [0, 0, 1], 2),
        # Joined through the second row.
        ({"anchor": ["the dog", "the dog", "a man"], "positive": ["a boy", "a bird", "a bird"]}, [0, 0, 0], 3),
        # With a given group, and through it.
        ({"anchor": ["the dog", "a cat", "the dog", "a boy"], "group": ["x", "x", None, "y"]}, [0, 0, 0, 1], 2),
        ({"anchor": ["the dog", "a cat", "the dog", "a boy"], "group": [1, 2, 2, 3]}, [0, 0, 0, 1], 2),
        # Hard negatives always count.
        ({"anchor": ["the dog", "a cat"], "positive": ["a boy", "a bird"], "negative": ["a man"] * 2}, [0, 1], 0),
        # What is cut off tells two texts no longer apart.
        ({"anchor": ["the dog " * 9 + "eats", "the dog " * 9 + "runs", "a dog"]}, [0, 0, 1], 2),
    ],
)
def test_rows_that_share_a_text_are_one_group(tokenizer, columns, wanted, repeated):
    rows = table(tokenizer, columns)
    assert [rows[row]["group"] for row in range(len(rows))] == wanted and rows.repeated == repeated


def test_blocks_of_a_source_are_one_table(tokenizer):
    """Groups of several types keep their numbers from block to block, and a row is named within the whole source."""
    blocks = [
        Table("corpus.jsonl", {"text": ["the dog", "a cat"], "group": [1, "one"], "task": ["source", "source"]}),
        Table("corpus.jsonl", {"text": ["a bird", "a boy"], "group": ["one", None], "task": ["source", "x"]}, start=2),
    ]
    rows = TextRows(blocks)
    assert rows.column_names == ["anchor", "group"] and rows["anchor"][:] == ["the dog", "a cat", "a bird", "a boy"]
    assert rows.chosen == {"anchor": "text"} and rows.written_by == {"task": ["source", "x"]}
    tokens = TokenTable(rows, tokenizer, 16)
    assert [tokens[row]["group"] for row in range(4)] == [0, 1, 1, 2]
    blocks[1].columns["text"][1] = " "
    with pytest.raises(InputError, match=r"corpus\.jsonl, row 4, column `text`: the text is empty"):
        TextRows(blocks)


@pytest.mark.parametrize("other", ["sent1", "Sentence2", "hypothesis", "pos", "tgt"])
def test_a_second_text_under_another_name_is_refused(tokenizer, other):
    with pytest.raises(InputError, match=f"corpus: has `anchor` and `{other}`; call it `positive`"):
        table(tokenizer, {"anchor": ["the dog"], other: ["a cat"]})


def test_long_texts_are_cut_with_their_last_token_in_place(tokenizer):
    rows = table(tokenizer, {"anchor": ["the dog " * 40, "a cat"]}, max_length=10)
    assert [len(rows[row]["views"][0]) for row in (0, 1)] == [10, 4]
    assert rows[0]["views"][0][-1] == tokenizer.sep_token_id


def test_many_texts_are_read_in_parts(tokenizer, sentences):
    whole = table(tokenizer, {"anchor": sentences[:50]})
    parts = table(tokenizer, {"anchor": sentences[:50]}, texts_per_call=7)
    assert len(parts) == 50
    for row in range(50):
        assert parts[row]["views"][0].tolist() == whole[row]["views"][0].tolist()
        assert words(tokenizer, parts[row])[0] == sentences[row]


@pytest.mark.parametrize("bad", [None, 7])
def test_what_is_no_text_is_named_by_its_row(tokenizer, bad):
    columns = {"anchor": ["the dog"] * 4, "positive": ["a cat"] * 3 + [None] if bad is None else [7] * 4}
    with pytest.raises(InputError, match=rf"corpus, row {4 if bad is None else 1}, column `positive`: the text is"):
        table(tokenizer, columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["the dog"]}, "corpus: has no column `anchor`; its columns are text"),
        ({"anchor": []}, "corpus: is empty"),
    ],
)
def test_what_is_no_corpus_is_refused(tokenizer, columns, message):
    with pytest.raises(InputError, match=message):
        table(tokenizer, columns)
