"""Rows joined by columns are those that a loop over Python's objects makes."""

import numpy
import pyarrow
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.corpora.joined import TEXTS, join
from hf_xling.corpora.sources import SPLITS, Sentences
from hf_xling.provenance.generation_run import PROVENANCE

SENTENCES = ["s0", "s1", "s2", "s3", "s4"]
ROWS = st.lists(
    st.tuples(st.sampled_from([*SENTENCES, "stranger"]), st.sampled_from(["s0", "t0", "t1", "t2"])), max_size=12
)


def generation(rows, model):
    columns = {"root_text": [root for root, _ in rows], "text": [text for _, text in rows]}
    known = {"task": "translate", "language": "ta", "model_id": model, "model_sha": None, "prompt_id": "p"}
    columns |= {name: [known[name]] * len(rows) for name in PROVENANCE}
    return pyarrow.table(columns, pyarrow.schema(dict.fromkeys(columns, pyarrow.string())))


def reference(split_of, contradictions, with_source, runs):
    """The rows of each config as tuples of texts, group, split and model."""
    rows = {"sentences": [], "pairs": [], "triplets": []}
    if with_source:
        rows["sentences"] += [(text, group, split_of[group], None) for group, text in enumerate(SENTENCES)]
    for model, generated in runs.items():
        first = {}
        for root, text in generated:
            if root in SENTENCES:
                group = SENTENCES.index(root)
                rows["sentences"].append((text, group, split_of[group], model))
                rows["pairs"].append((root, text, group, split_of[group], model))
                first.setdefault(group, text)
        for premise, hypothesis in contradictions:
            if split_of[premise] == split_of[hypothesis] and {premise, hypothesis} <= first.keys():
                texts = SENTENCES[premise], first[premise], first[hypothesis]
                rows["triplets"].append((*texts, premise, split_of[premise], model))
    # Of rows that are the same but for the model, the first.
    return {name: list({row[:-1]: row for row in reversed(part)}.values())[::-1] for name, part in rows.items()}


@given(
    st.lists(st.integers(0, 2), min_size=5, max_size=5),
    st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=4),
    st.booleans(),
    ROWS,
    ROWS,
)
def test_joined_columns_are_what_a_loop_makes(split_of, contradictions, with_source, one, two):
    pairs = sorted(contradictions)
    of = numpy.array(split_of, dtype=numpy.int8)
    sentences = Sentences(SENTENCES, of, numpy.array(pairs, dtype=numpy.int64).reshape(-1, 2), [])
    runs = {"one": one, "two": two}
    joined = join(sentences, "en", with_source, [generation(rows, model) for model, rows in runs.items()])
    expected = reference(split_of, pairs, with_source, runs)
    assert joined.strangers == [sum(root == "stranger" for root, _ in rows) for rows in runs.values()]
    assert ("triplets" in joined.tables) == bool(pairs)
    for name, table in joined.tables.items():
        columns = [*TEXTS[name], "group", "split", "model_id"]
        found = [tuple(row[column] for column in columns) for row in table.to_pylist()]
        assert sorted(found, key=str) == sorted(expected[name], key=str)
        counts = {row["split"]: row for row in joined.counts.get(name, ())}
        for place, split in enumerate(SPLITS):
            own = sum(row[-2] == place for row in expected[name])
            row = counts.get(split, {"rows": 0})
            assert row["rows"] == own
            if name == "triplets" and split in counts:
                dropped = row["in two splits"] + row["not generated"] + row["same again"] + row["leaked"]
                assert row["contradictions"] == 2 * sum(split_of[premise] == place for premise, _ in pairs)
                assert row["contradictions"] - dropped == own
            elif split in counts:
                assert row.get("source", 0) + row["generated"] - row["same again"] - row["leaked"] == own


def test_rows_come_in_the_order_of_the_source_and_of_the_runs():
    sentences = Sentences(SENTENCES[:2], numpy.zeros(2, numpy.int8), numpy.zeros((0, 2), numpy.int64), [])
    runs = [generation([("s1", "b"), ("s0", "a")], "one"), generation([("s0", "c"), ("s1", "b")], "two")]
    table = join(sentences, "en", True, runs).tables["sentences"]
    assert table["anchor"].to_pylist() == ["s0", "s1", "b", "a", "c"]
    assert table["task"].to_pylist() == ["source", "source", *["translate"] * 3]


def test_rows_with_leaked_texts_go_from_their_split_alone():
    split_of = numpy.array([0, 0, 2, 2, 2], dtype=numpy.int8)
    sentences = Sentences(SENTENCES, split_of, numpy.array([[0, 1], [2, 3]]), [])
    rows = [("s0", "x"), ("s1", "y"), ("s2", "x"), ("s3", "z")]
    joined = join(sentences, "en", False, [generation(rows, "one")])
    joined.drop({"train": pyarrow.array(["s1", "s2"])})  # of a sentence, all that came of it; s2 is not of this split
    assert joined.tables["sentences"]["anchor"].to_pylist() == ["x", "x", "z"]
    assert joined.tables["triplets"]["anchor"].to_pylist() == ["s2"]  # the other's negative was made from `s1`
    joined = join(sentences, "en", False, [generation(rows, "one")])
    joined.drop({"train": pyarrow.array(["x"])})
    assert [row["anchor"] for row in joined.tables["sentences"].to_pylist()] == ["y", "x", "z"]
    assert joined.tables["pairs"]["positive"].to_pylist() == ["y", "x", "z"]
    assert joined.tables["triplets"]["anchor"].to_pylist() == ["s2"]  # the other's positive has leaked
    told = {
        (config, row["split"]): (row["leaked"], row["rows"]) for config, rows in joined.counts.items() for row in rows
    }
    assert told == {
        ("sentences", "train"): (1, 1),
        ("sentences", "test"): (0, 2),
        ("pairs", "train"): (1, 1),
        ("pairs", "test"): (0, 2),
        ("triplets", "train"): (1, 0),
        ("triplets", "test"): (0, 1),
    }
