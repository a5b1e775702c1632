import csv
from collections import Counter

import pytest
from generation_runs import other_words, rows
from loopback import LoopbackTGI

from hf_xling.generation import stage

# Rows


def test_each_source_row_ends_exactly_once_in_accepted_or_rejected(world):
    answers = {
        "copied": "Copied!",
        "silent": " ",
        "cut": ("never ending and", "length"),
        "refused": 422,
        "foreign": "ஒரு நாய் ஓடுகிறது",
        "first": "the same answer",
        "second": "The same answer.",
        "good": "as it should be",
    }
    texts = ["good", "", "copied", "silent", "good", "cut", "  ", "refused", "foreign", "first", "second", "first"]
    manifest, out, _ = world(texts, answers.__getitem__)
    accepted, rejected = rows(out, "accepted"), rows(out, "rejected")
    assert [(row["id"], row["text"]) for row in accepted] == [
        ("1", "as it should be"),
        ("5", "as it should be"),
        ("10", "the same answer"),
        ("12", "the same answer"),
    ]
    reasons = {row["id"]: row["reason"] for row in rejected}
    assert reasons == {
        "2": "no_source_text",
        "3": "copy",
        "4": "empty",
        "6": "truncated",
        "7": "no_source_text",
        "8": "endpoint: 422 bad luck with refused",
        "9": "wrong_script",
        "11": "duplicate",
    }
    everything = {row["id"]: row["source_text"] for row in accepted + rejected}
    assert everything == {str(number): text for number, text in enumerate(texts, 1)}
    assert len(accepted) + len(rejected) == len(texts) == manifest["rows"]
    assert (manifest["accepted"], manifest["rejected"], manifest["distinct_texts"]) == (4, 8, 8)
    assert manifest["reasons"] == dict(Counter(reason.split(":")[0] for reason in reasons.values()))
    assert manifest["generated_tokens"] == 17  # of each answer once, however many rows it stands in


def test_a_row_tells_what_made_it(world):
    manifest, out, server = world(["A dog runs."], language="ta", task="translate", answer=lambda _: "ஒரு நாய்.")
    (row,) = rows(out, "accepted")
    assert row == {
        "id": "1",
        "source_text": "A dog runs.",
        "text": "ஒரு நாய்.",
        "language": "ta",
        "task": "translate",
        "sample": 0,
        "prompt_id": manifest["prompt_id"],
        "model_id": "org/model",
        "model_sha": "abc123",
        "request_key": row["request_key"],
        "finish_reason": "eos_token",
        "generated_tokens": 2,
        "seed": 7,
        "parent_text": None,
        "root_text": None,
        "script_share": 1.0,
        "length_ratio": pytest.approx(9 / 11),
    }
    assert manifest["chain"] == ["translate"] and manifest["parameters"]["max_new_tokens"] == 256
    assert "A dog runs." in server.bodies[0]["inputs"] and len(row["request_key"]) == 64


def test_text_that_stands_in_many_rows_is_asked_for_once(world):
    _, out, server = world(["one", "two", "one", "one", "two"])
    assert server.seen == {"one": 1, "two": 1}
    assert [row["id"] for row in rows(out, "accepted")] == ["1", "2", "3", "4", "5"]


def test_texts_are_verbatim(world, tmp_path):
    texts = [" leading, and \ttabs", "line\nbreak", "{{ jinja }}", "<|eot_id|>", "tëxt"]
    with open(tmp_path / "a.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    _, out, server = world("a.csv")
    assert [row["source_text"] for row in rows(out, "accepted")] == texts
    assert set(server.seen) == set(texts)


def test_several_columns_give_ids_of_row_and_column(world, tmp_path):
    (tmp_path / "nli.csv").write_text("premise,hypothesis,key\nA dog.,An animal.,a\nA dog.,,b\n")
    columns = ["premise", "hypothesis"]
    _, out, server = world("nli.csv", text_column=columns)
    found = [(row["id"], row["source_text"]) for row in rows(out, "accepted") + rows(out, "rejected")]
    assert found == [
        ("1/premise", "A dog."),
        ("1/hypothesis", "An animal."),
        ("2/premise", "A dog."),
        ("2/hypothesis", None),
    ]
    assert server.seen == {"A dog.": 1, "An animal.": 1}
    _, out, _ = world("nli.csv", text_column=columns, id_column="key", output="keyed")
    assert [row["id"] for row in rows(out, "accepted")] == ["a/premise", "a/hypothesis", "b/premise"]


def test_a_chain_keeps_parent_and_root(world, tmp_path):
    tamil = {other_words("one"): "ஒன்று", other_words("two"): "இரண்டு", "ஒன்று": "ஒரே ஒன்று", "இரண்டு": "இரட்டை"}
    world(["one", "two"], output="paraphrase")
    manifest, out, _ = world(
        "paraphrase/accepted", tamil.__getitem__, output="translate", task="translate", language="ta"
    )
    assert manifest["chain"] == ["paraphrase", "translate"]
    assert [(row["id"], row["source_text"], row["text"], row["parent_text"], row["root_text"])
            for row in rows(out, "accepted")] == [
        ("1", other_words("one"), "ஒன்று", "one", "one"),
        ("2", other_words("two"), "இரண்டு", "two", "two"),
    ]  # fmt: skip
    third = {"source_language": "ta", "language": "ta"}
    manifest, out, _ = world("translate/accepted", tamil.__getitem__, output="again", **third)
    assert manifest["chain"] == ["paraphrase", "translate", "paraphrase"]
    assert [(row["parent_text"], row["root_text"]) for row in rows(out, "accepted")] == [
        (other_words("one"), "one"),
        (other_words("two"), "two"),
    ]
    part = "translate/accepted/part-00000.parquet"
    assert world(part, tamil.__getitem__, output="part", **third)[0]["chain"] == manifest["chain"]


def test_a_column_of_the_users_own_is_no_lineage(world, tmp_path):
    (tmp_path / "mine.csv").write_text("text,source_text,id\nA dog.,page 3,x\nA cat.,page 4,x\n")
    _, out, _ = world("mine.csv")
    assert [(row["id"], row["parent_text"], row["root_text"]) for row in rows(out, "accepted")] == [
        ("1", None, None),
        ("2", None, None),
    ]


# What is sent


def test_the_wires_are_given_what_they_take(world):
    _, _, server = world(["one"], temperature=0.0, top_p=0.9, seed=5, max_new_tokens=9)
    sent = {name: value for name, value in server.bodies[0]["parameters"].items() if value is not None}
    assert sent == {
        "details": True,
        "return_full_text": False,
        "do_sample": False,
        "max_new_tokens": 9,
        "seed": 5,
        "stop": ["<|eot_id|>"],
    }
    _, out, server = world(["one"], wire="chat", temperature=0.0, seed=5, max_new_tokens=9, output="chat")
    body = {name: value for name, value in server.bodies[0].items() if value is not None}
    messages = body.pop("messages")
    assert body == {"model": "tgi", "max_tokens": 9, "temperature": 0, "seed": 5, "stream": False}
    assert messages[-1]["content"].endswith("\n\none") and len(rows(out, "accepted")) == 1


def test_the_window_is_what_info_allows_unless_it_is_given(world, monkeypatch):
    sizes = []

    async def watched(requests, send, record, size, run=stage.run_window):
        sizes.append(size)
        await run(requests, send, record, size)

    monkeypatch.setattr(stage, "run_window", watched)
    world(["one"])
    server = LoopbackTGI(other_words)
    server.info["max_concurrent_requests"] = 5000
    world(["one"], server=server, output="b")
    world(["one"], max_in_flight=3, output="c")
    assert sizes == [8, 100, 3]
