"""Several answers to each text, chains of them, and the corpora that they become."""

from collections import Counter
from pathlib import Path

import pytest
from generation_runs import contents, other_words, rows
from loopback import LoopbackTGI

from hf_xling.corpora.builders import build
from hf_xling.corpora.text_corpus import TextCorpusConfig, TextCorpusSpec


def seeds(server: LoopbackTGI) -> Counter:
    """How often each source was asked for with each seed."""
    return Counter((server.source_in(body["inputs"]), body["parameters"]["seed"]) for body in server.bodies)


@pytest.fixture
def sampled() -> LoopbackTGI:
    """A server whose answers differ by the seed, as sampling makes them."""
    words = ("once", "twice", "thrice", "four times")

    def answer(source):
        turned = other_words(source).partition(", ")[2]
        return f"{turned}; {words[server.bodies[-1]['parameters']['seed'] - 10]}"

    server = LoopbackTGI(answer)
    return server


def test_each_text_has_as_many_answers_as_were_asked_for(world, sampled):
    manifest, out, server = world(["one", "two", "", "one"], server=sampled, samples=3, seed=10)
    assert seeds(server) == {(text, seed): 1 for text in ("one", "two") for seed in (10, 11, 12)}
    found = rows(out, "accepted") + rows(out, "rejected")
    assert sorted((row["id"], row["sample"]) for row in found) == [(f"{n}", s) for n in (1, 2, 3, 4) for s in (0, 1, 2)]
    assert [(row["id"], row["sample"]) for row in rows(out, "accepted")] == [
        (id, sample) for id in ("1", "2", "4") for sample in (0, 1, 2)
    ]
    texts = [row["text"].rpartition("; ")[2] for row in rows(out, "accepted")]
    assert texts == ["once", "twice", "thrice"] * 3
    assert {row["reason"] for row in rows(out, "rejected")} == {"no_source_text"}
    assert (manifest["rows"], manifest["samples"], manifest["accepted"], manifest["rejected"]) == (4, 3, 9, 3)
    assert len({row["request_key"] for row in rows(out, "accepted")}) == 6


def test_more_samples_ask_for_the_new_ones_only_and_fewer_for_none(world, sampled):
    _, out, _ = world(["one", "two"], server=sampled, samples=2, seed=10)
    two = contents(out)
    sampled.bodies.clear()
    world(["one", "two"], server=sampled, samples=4, seed=10)
    assert seeds(sampled) == {(text, seed): 1 for text in ("one", "two") for seed in (12, 13)}
    assert len(rows(out, "accepted")) == 8
    sampled.bodies.clear()
    world(["one", "two"], server=sampled, samples=2, seed=10)
    assert not sampled.bodies and contents(out) == two


def test_equal_answers_are_one_row_but_a_text_in_several_rows_has_its_answer_in_each(world):
    answers = {"one": ["the same answer", "The same answer!", "another answer"], "two": ["the same answer", "a", "a"]}

    def answer(source):
        return answers[source][server.bodies[-1]["parameters"]["seed"]]

    server = LoopbackTGI(answer)
    manifest, out, _ = world(["one", "two", "one"], server=server, samples=3)
    found = {
        kind: [(row["id"], row["sample"], row.get("reason")) for row in rows(out, kind)]
        for kind in ("accepted", "rejected")
    }
    assert found["accepted"] == [("1", 0, None), ("1", 2, None), ("2", 1, None), ("3", 0, None), ("3", 2, None)]
    assert found["rejected"] == [(id, n, "duplicate") for id, n in [("1", 1), ("2", 0), ("2", 2), ("3", 1)]]
    assert manifest["reasons"] == {"duplicate": 4}


def test_a_chain_over_samples_has_unique_ids_and_keeps_its_lineage(world, sampled):
    _, first, _ = world(["one", "two"], server=sampled, samples=2, seed=10, output="first")
    manifest, second, _ = world("first/accepted", server=sampled, samples=2, seed=10, output="second")
    found = rows(second, "accepted")
    assert [(row["id"], row["sample"]) for row in found] == [
        (id, sample) for id in ("1", "1#1", "2", "2#1") for sample in (0, 1)
    ]
    parents = {row["text"]: row["source_text"] for row in rows(first, "accepted")}
    for row in found:
        assert row["parent_text"] == row["root_text"] == parents[row["source_text"]]
    assert manifest["chain"] == ["paraphrase", "paraphrase"] and manifest["rows"] == 4
    _, third, _ = world("second/accepted", server=sampled, samples=2, seed=10, output="third")
    found = rows(third, "accepted") + rows(third, "rejected")
    assert len({(row["id"], row["sample"]) for row in found}) == len(found) == 16
    assert {row["id"] for row in found} == {f"{n}{of}" for n in (1, 2) for of in ("", "#1", "#1#0", "#1#1")}
    assert {row["root_text"] for row in found} == {"one", "two"}


def test_ids_of_the_users_own_stay_unique_whatever_they_look_like(world, sampled, tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,one\n1#1,two\n")
    _, out, _ = world("a.csv", server=sampled, id_column="id", seed=10, output="first")
    _, out, _ = world("first/accepted", server=sampled, samples=2, seed=10, output="second")
    assert {row["id"] for row in rows(out, "accepted")} == {"1", "1#1"}
    _, out, _ = world("second/accepted", server=sampled, seed=10, output="third")
    assert {row["id"] for row in rows(out, "accepted") + rows(out, "rejected")} == {"1", "1#1", "1#1#0", "1#1#1"}


def corpus(tmp_path: Path, spec: TextCorpusSpec, *generated: str) -> dict[str, list[dict]]:
    import datasets

    folder = tmp_path / "corpus"
    runs = [str(tmp_path / name) for name in generated]
    build(spec, TextCorpusConfig(source=str(tmp_path / "input.txt"), output_dir=str(folder), generated=runs))
    return {name: datasets.load_dataset(str(folder), name, split="train").to_list() for name in ("sentences", "pairs")}


def test_a_corpus_takes_all_samples_of_a_sentence_into_its_group(world, sampled, tmp_path):
    world(["one", "two"], server=sampled, samples=3, seed=10, output="first")
    world("first/accepted", server=sampled, samples=2, seed=10, output="second")
    facts = {"name": "x", "title": "x", "description": "x"}
    single = TextCorpusSpec(**facts, with_source=True, chains=(("paraphrase",),))
    found = corpus(tmp_path, single, "first")
    assert Counter(row["group"] for row in found["pairs"]) == {0: 3, 1: 3}
    assert Counter(row["group"] for row in found["sentences"]) == {0: 4, 1: 4}
    assert {(row["anchor"], row["group"]) for row in found["pairs"]} == {("one", 0), ("two", 1)}
    assert len({row["positive"] for row in found["pairs"]}) == 6
    (tmp_path / "corpus").rename(tmp_path / "of-one")
    chained = TextCorpusSpec(**facts, with_source=False, chains=(("paraphrase",), ("paraphrase", "paraphrase")))
    found = corpus(tmp_path, chained, "first", "second")
    texts = {row["text"] for name in ("first", "second") for row in rows(tmp_path / name, "accepted")}
    assert {row["positive"] for row in found["pairs"]} == {row["anchor"] for row in found["sentences"]} == texts
    assert Counter(row["group"] for row in found["pairs"]) == {0: 3 + 6, 1: 3 + 6}
