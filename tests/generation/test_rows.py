import csv
from collections import Counter
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from generation_runs import DEAD, config, contents, manifest_of, other_words, rows
from loopback import LoopbackTGI

from hf_xling.corpora.builders import build
from hf_xling.corpora.text_corpus import TextCorpusConfig, TextCorpusSpec
from hf_xling.errors import InputError, XlingError
from hf_xling.generation.asking import Asker
from hf_xling.generation.endpoint import EndpointInfo
from hf_xling.generation.filters import SCORES, FilterConfig
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.rows import REJECTED_SCHEMA, ROW_SCHEMA, write_rows
from hf_xling.generation.scores import Similarity
from hf_xling.generation.sources import read_sources
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import serving

# Rows

ANSWERS = {
    "copied twice over": "Copied twice over!",
    "silent": " ",
    "one two three four": ("never ending and", "length"),
    "no text for TGI": 422,
    "foreign": "ஒரு நாய் ஓடுகிறது",
    "declined": "I cannot help with that request.",
    "wordy": "word " * 40,
    "There were 17 dogs in 1999.": "In the year 1999 there was a number of dogs.",
    "said again": "Paraphrase this sentence in English. Keep its meaning; change its words and its structure.",
    "long": "A very long answer to a very short source text indeed, isn't it, my friend?",
    "talkative": "Here is a paraphrase: as short as it gets",
    "first": "the same answer",
    "second": "The same answer.",
    "good": "as it should be",
}
REFUSED = "endpoint: 422 bad luck with no text for TGI"


def test_each_source_row_ends_exactly_once_in_accepted_or_rejected(world):
    texts = ["good", "", *ANSWERS, "  ", "first"]
    manifest, out, server = world(texts, ANSWERS.__getitem__)
    accepted, rejected = rows(out, "accepted"), rows(out, "rejected")
    assert [(row["id"], row["source_text"], row["text"]) for row in accepted] == [
        ("1", "good", "as it should be"),
        ("13", "talkative", "as short as it gets"),
        ("14", "first", "the same answer"),
        ("16", "good", "as it should be"),
        ("18", "first", "the same answer"),
    ]
    found = {row["source_text"]: (row["reason"], row["failed"]) for row in rejected}
    assert found == {
        "": ("no_source_text", ["no_source_text"]),
        "copied twice over": ("copy", ["copy"]),
        "silent": ("empty", ["empty"]),
        "one two three four": ("truncated", ["truncated"]),
        "no text for TGI": (REFUSED, [REFUSED]),
        "foreign": ("wrong_script", ["wrong_script"]),
        "declined": ("refusal", ["refusal"]),
        "wordy": ("repetition", ["repetition", "length"]),
        "There were 17 dogs in 1999.": ("numerals", ["numerals"]),
        "said again": ("prompt_echo", ["prompt_echo", "length"]),
        "long": ("length", ["length"]),
        "  ": ("no_source_text", ["no_source_text"]),
        "second": ("duplicate", ["duplicate"]),
    }
    everything = {row["id"]: row["source_text"] for row in accepted + rejected}
    assert everything == {str(number): text for number, text in enumerate(texts, 1)}
    assert len(accepted) + len(rejected) == len(texts) == manifest["rows"]
    assert (manifest["accepted"], manifest["rejected"], manifest["distinct_texts"]) == (5, 13, len(ANSWERS))
    assert manifest["acceptance_rate"] == round(5 / 18, 4)
    assert manifest["reasons"] == dict(Counter(row["reason"].split(":")[0] for row in rejected))
    # Once each, but for what was empty (tried a few times) or cut (asked for again with more).
    assert {text: count for text, count in server.seen.items() if count > 1} == {"silent": 3, "one two three four": 4}


def test_a_row_tells_what_made_it(world):
    manifest, out, server = world(["A dog runs."], language="ta", task="translate", answer=lambda _: "ஒரு நாய்.")
    (row,) = rows(out, "accepted")
    scores = {score.name for score in SCORES}
    assert {name: value for name, value in row.items() if name not in scores} == {
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
        "root_text": None,
    }
    assert scores < row.keys() and row["script_share"] == 1.0 and row["length_ratio"] == pytest.approx(9 / 11 / 1.24)
    assert (row["refusal"], row["preamble"], row["numerals_kept"], row["similarity"]) == (False, None, None, None)
    assert "A dog runs." in server.bodies[0]["inputs"] and len(row["request_key"]) == 64
    assert pyarrow.parquet.read_schema(out / "accepted" / "part-00000.parquet").equals(ROW_SCHEMA)
    assert pyarrow.parquet.read_schema(out / "rejected" / "part-00000.parquet").equals(REJECTED_SCHEMA)
    assert rows(out, "rejected") == []


def test_the_manifest_tells_what_was_done(world):
    lines, answers = ["one", "two", "one", "", "cut"], {"cut": ("cut and", "length")}
    manifest, out, server = world(lines, lambda source: answers.get(source, other_words(source)))
    assert manifest == manifest_of(out)
    took, versions = manifest.pop("last_run"), manifest.pop("versions")
    prompt = manifest.pop("prompt")
    assert {**manifest, "input": None, "filters": None, "prompt_id": None, "reasons": None} == {
        "task": "paraphrase",
        "chain": ["paraphrase"],
        "language": "en",
        "language_name": "English",
        "source_language": "en",
        "input": None,
        "source": None,
        "model_id": "org/model",
        "model_sha": "abc123",
        "wire": "generate",
        "prompt_id": None,
        "parameters": {"max_new_tokens": 1024, "token_budget": 3.0, "temperature": 0.7, "top_p": None, "seed": 0},
        "samples": 1,
        "filters": None,
        "rows": 5,
        "distinct_texts": 3,
        "accepted": 3,
        "rejected": 2,
        "acceptance_rate": 0.6,
        "reasons": None,
        "examples": {},
        "reasoning": {"stripped": 0, "rejected": 0},
        "generated_tokens": 2 * 4 + 2 * server.seen["cut"],  # of all tries
    }
    assert manifest["reasons"] == {"no_source_text": 1, "truncated": 1}
    assert prompt.keys() == {"system", "instruction", "form", "stop", "sha256"} and manifest["prompt_id"].startswith(
        "paraphrase-v1-"
    )
    assert manifest["filters"]["min_script_share"] == FilterConfig().min_script_share
    sent = sum(server.seen.values())
    assert sent > 3 and (took["requests"], took["completions"]) == (sent, sent)
    assert took["tokens"] == manifest["generated_tokens"] and took["seconds"] > 0
    assert took["completions_per_second"] > 0 and took["tokens_per_second"] > 0
    assert versions.keys() == {"hf_xling", "huggingface_hub", "python", "endpoint"} and all(
        versions[name] for name in versions if name != "endpoint"
    )
    again, _, _ = world(lines)
    assert {**again["last_run"], "seconds": 0} == {
        **{"requests": 0, "completions": 0, "tokens": 0, "seconds": 0},
        **{"completions_per_second": 0.0, "tokens_per_second": 0.0},
    }
    assert again["generated_tokens"] == took["tokens"]


def test_text_that_stands_in_many_rows_is_asked_for_once(world):
    _, out, server = world(["one", "two", "one", "one", "two"])
    assert server.seen == {"one": 1, "two": 1}
    assert [row["id"] for row in rows(out, "accepted")] == ["1", "2", "3", "4", "5"]


def test_texts_are_verbatim(world, tmp_path):
    texts = [" leading, and \ttabs", "line\nbreak", "{{ jinja }}", "<|eot_id|>", "tëxt"]
    with open(tmp_path / "a.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    _, out, server = world("a.csv")
    found = {int(row["id"]): row["source_text"] for kind in ("accepted", "rejected") for row in rows(out, kind)}
    assert [found[number] for number in sorted(found)] == texts
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


def test_a_chain_keeps_its_root(world, tmp_path):
    tamil = {other_words("one"): "ஒன்று", other_words("two"): "இரண்டு", "ஒன்று": "ஒரே ஒன்று", "இரண்டு": "இரட்டை"}
    world(["one", "two"], output="paraphrase")
    manifest, out, _ = world(
        "paraphrase/accepted", tamil.__getitem__, output="translate", task="translate", language="ta"
    )
    assert manifest["chain"] == ["paraphrase", "translate"]
    assert [(row["id"], row["source_text"], row["text"], row["root_text"]) for row in rows(out, "accepted")] == [
        ("1", other_words("one"), "ஒன்று", "one"),
        ("2", other_words("two"), "இரண்டு", "two"),
    ]
    third = {"source_language": "ta", "language": "ta"}
    manifest, out, _ = world("translate/accepted", tamil.__getitem__, output="again", **third)
    assert manifest["chain"] == ["paraphrase", "translate", "paraphrase"]
    assert [row["root_text"] for row in rows(out, "accepted")] == ["one", "two"]
    part = "translate/accepted/part-00000.parquet"
    assert world(part, tamil.__getitem__, output="part", **third)[0]["chain"] == manifest["chain"]


def test_rows_of_an_older_version_are_read_with_their_parents(world, tmp_path):
    _, out, _ = world(["one", "two"], output="first")
    (part,) = (out / "accepted").iterdir()
    table = pyarrow.parquet.read_table(part)
    pyarrow.parquet.write_table(table.append_column("parent_text", pyarrow.array(["x", "y"])), part)
    manifest, out, _ = world("first/accepted", output="second")
    assert [row["root_text"] for row in rows(out, "accepted")] == ["one", "two"]
    assert manifest["chain"] == ["paraphrase", "paraphrase"]


def test_a_column_of_the_users_own_is_no_lineage(world, tmp_path):
    (tmp_path / "mine.csv").write_text("text,source_text,id\nA dog.,page 3,x\nA cat.,page 4,x\n")
    _, out, _ = world("mine.csv")
    assert [(row["id"], row["root_text"]) for row in rows(out, "accepted")] == [("1", None), ("2", None)]


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


def test_only_answers_that_were_cut_are_asked_for_again_with_more(world):
    """The server goes by the limit that it is given: the long answer needs the last of them, the loop would any."""
    long = " ".join(f"word{chr(97 + n)}" for n in range(25))
    answers = {"short": ("fine", "eos_token"), "looping": ("on and on and " * 10, "length")}

    def answer(source):
        limit = server.bodies[-1]["parameters"]["max_new_tokens"]
        return answers.get(source) or ((long, "eos_token") if limit == 300 else (long[:limit], "length"))

    server = LoopbackTGI(answer)
    _, out, _ = world(["short", "long", "looping"], server=server, max_new_tokens=300)
    assert server.seen["short"] == server.seen["looping"] == 1 and server.seen["long"] > 1
    limits = [body["parameters"]["max_new_tokens"] for body in server.bodies if "long" in body["inputs"]]
    assert limits == sorted(set(limits)) and limits[-1] == 300
    texts = {row["source_text"]: row["text"] for row in rows(out, "accepted") + rows(out, "rejected")}
    assert texts["long"] == long and texts["short"] == "fine"
    (row,) = [row for row in rows(out, "rejected") if row["source_text"] == "looping"]
    assert row["failed"][:2] == ["repetition", "truncated"]


def test_prompts_and_languages_of_the_users_own(world, tmp_path):
    (tmp_path / "prompt.yaml").write_text(
        "name: terse\nversion: 2\nsystem: ''\ninstruction: Say it in {{ language }}, tersely.\n"
        "form: '{{ instruction }} <<{{ source }}>> '\nstop: ['<<']\n"
    )
    (tmp_path / "klingon.yaml").write_text("code: tlh\nname: Klingon\nlength_factor: 1.5\n")
    server = LoopbackTGI(lambda source: f"{other_words(source)}<<more")
    server.source_in = lambda prompt: prompt.partition("<<")[2].removesuffix(">> ")
    fields = {"task": "my_own", "prompt": str(tmp_path / "prompt.yaml"), "server": server}
    manifest, out, _ = world(["one"], language=str(tmp_path / "klingon.yaml"), **fields)
    body = server.bodies[0]
    assert body["inputs"] == "Say it in Klingon, tersely. <<one>> " and body["parameters"]["stop"] == ["<<"]
    (row,) = rows(out, "accepted")
    assert (row["text"], row["language"], row["task"]) == (other_words("one"), "tlh", "my_own")
    assert row["prompt_id"].startswith("terse-v2-") and manifest["chain"] == ["my_own"]
    # Another alphabet: what is written in Latin letters is in the wrong one.
    (tmp_path / "klingon.yaml").write_text("code: tlh\nname: Klingon\nscript: F8D0-F8FF\n")
    with pytest.raises(XlingError, match=r"none of 1 rows is accepted \(wrong_script\)"):
        world(["one"], language=str(tmp_path / "klingon.yaml"), output="u", **fields)
    assert rows(tmp_path / "u", "rejected")[0]["reason"] == "wrong_script"


# How rows are written: in parts and batches of any size, and with the likeness in meaning that a model gives


TEXTS = [f"text number {number}" for number in range(20)]


def write_again(tmp_path, filters=None, compare=None, samples=1, **sizes):
    """Write the rows of a finished run in `out` anew."""
    settings, filters = config(tmp_path, DEAD, samples=samples), filters or FilterConfig()
    asker = Asker(settings, EndpointInfo("generate", "org/model", "abc123"), filters.max_repetition)
    with Ledger(tmp_path / "out" / "ledger") as ledger:
        write_rows(tmp_path / "out", asker, filters, ledger, read_sources(settings), compare, **sizes)


@pytest.mark.parametrize(("batch", "part"), [(1, 3), (7, 5), (4096, 20)])
def test_parts_and_batches_hold_the_same_rows_whatever_their_size(world, tmp_path, batch, part):
    def answer(source):
        words = ", once" if server.bodies[-1]["parameters"]["seed"] else ", twice"
        answers = {TEXTS[0]: 422, TEXTS[9]: "text number 9", TEXTS[19]: other_words(TEXTS[1]) + words}
        return answers.get(source, other_words(source) + words)

    server = LoopbackTGI(answer)
    _, out, _ = world(TEXTS, server=server, samples=2)
    before = {kind: rows(out, kind) for kind in ("accepted", "rejected")}
    assert (len(before["accepted"]), len(before["rejected"])) == (2 * 17, 2 * 3)
    write_again(tmp_path, samples=2, rows_per_part=part, rows_per_batch=batch)
    assert {kind: rows(out, kind) for kind in before} == before
    parts = sorted(path.name for path in (out / "accepted").iterdir())
    assert parts == [f"part-{number:05d}.parquet" for number in range(-(-2 * 17 // part))]


def test_parts_of_an_earlier_run_do_not_stay(world, tmp_path):
    _, out, _ = world(TEXTS)
    write_again(tmp_path, rows_per_part=2)
    assert len(list((out / "accepted").iterdir())) == len(TEXTS) // 2
    _, out, _ = world(TEXTS[:3])
    assert len(list((out / "accepted").iterdir())) == 1 and len(rows(out, "accepted")) == 3


def test_answers_that_mean_something_else_are_rejected(world, bert_folder, sentences, tmp_path):
    texts = ["", *sentences[:6], "", *sentences[6:9]]
    answers = dict(zip(sentences[:9], sentences[20:29], strict=True))
    answers[sentences[2]] = 422
    answers[sentences[4]] = f"Here is a paraphrase: {sentences[24]}"
    _, out, _ = world(texts, answers.__getitem__)
    assert {row["similarity"] for row in rows(out, "accepted")} == {None}
    before = contents(out)
    compare = Similarity(str(bert_folder))
    pairs = {source: answer.split(": ")[-1] for source, answer in answers.items() if isinstance(answer, str)}
    cosines = dict(zip(pairs, compare(list(pairs.items())), strict=True))
    least = sorted(cosines.values())[4]
    filters = FilterConfig(similarity_model=str(bert_folder), min_similarity=least - 1e-6)
    manifest, out, server = world(texts, answers.__getitem__, filters=filters)
    accepted, rejected = rows(out, "accepted"), rows(out, "rejected")
    assert set(server.seen) == {sentences[2]} and manifest["reasons"] == {
        "similarity": 4,
        "no_source_text": 2,
        "endpoint": 1,
    }
    write_again(tmp_path, filters, compare, rows_per_batch=5)
    assert (rows(out, "accepted"), rows(out, "rejected")) == (accepted, rejected)
    for row in accepted + rejected:
        assert row["similarity"] == pytest.approx(cosines.get(row["source_text"]), abs=1e-5)
        assert row["text"] == pairs.get(row["source_text"])
    assert all(row["similarity"] >= least - 1e-6 for row in accepted)
    world(texts, answers.__getitem__)
    assert contents(out) == before


def test_a_model_that_is_not_there_is_told_before_anything_is_asked(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    server = LoopbackTGI(other_words)
    with serving(server.app()) as url, pytest.raises(InputError, match="--similarity_model gone/model: cannot be load"):
        generate(config(tmp_path, url), FilterConfig(similarity_model="gone/model"))
    assert not server.bodies and not (tmp_path / "out").exists()


# Several answers to each text, chains of them, and the corpora that they become


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
        assert row["root_text"] == parents[row["source_text"]]
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
