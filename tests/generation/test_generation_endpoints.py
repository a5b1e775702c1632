"""Runs against several endpoints, against mixed models, and against servers that are not TGI."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

import pytest
from generation_runs import DEAD, config, contents, manifest_of, other_words, rows
from loopback import LoopbackTGI

from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.filling import DEFAULT_IN_FLIGHT, connect
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import serving

LINES = [f"text {number}" for number in range(40)]


@pytest.fixture
def together(tmp_path):
    """`run(server, …)` → the manifest and the folder of a run against all of these servers."""

    def run(*servers, lines=LINES, **fields):
        (tmp_path / "input.txt").write_text("".join(f"{line}\n" for line in lines))
        with ExitStack() as stack:
            urls = [stack.enter_context(serving(server.app())) for server in servers]
            manifest = generate(config(tmp_path, urls, **fields))
        return manifest, tmp_path / fields.get("output", "out")

    return run


def servers(*shas: str, answer=other_words) -> list[LoopbackTGI]:
    return [LoopbackTGI(answer, model_sha=sha) for sha in shas]


def test_endpoints_of_one_model_share_the_texts(together):
    one, two, three = servers("a", "a", "a")
    manifest, out = together(one, two, three, max_in_flight=1)
    assert all(server.seen for server in (one, two, three))
    assert one.seen + two.seen + three.seen == dict.fromkeys(LINES, 1)
    assert (manifest["model_sha"], manifest["accepted"]) == ("a", len(LINES))
    again = servers("a")
    before = contents(out)
    together(*again)  # whoever answers: the model is the same
    assert not again[0].seen and contents(out) == before


def test_other_models_or_revisions_are_refused_with_both_named(together, tmp_path):
    said = r"--endpoint http://127.0.0.1:\d+: serves {}, but http://127.0.0.1:\d+ serves {}; --allow_mixed_models takes"
    with pytest.raises(InputError, match=said.format(r"org/model \(b\)", r"org/model \(a\)")):
        together(*servers("a", "a", "b"))
    other = LoopbackTGI(other_words, model_id="org/other", model_sha=None)
    with pytest.raises(InputError, match=said.format(r"org/other \(no sha\)", r"org/model \(a\)")):
        together(*servers("a"), other)
    assert not (tmp_path / "out").exists()


def test_of_mixed_models_each_row_tells_which_of_them_answered(together):
    one, two = servers("a", "b")
    manifest, out = together(one, two, max_in_flight=1, allow_mixed_models=True)
    shas = {row["source_text"]: row["model_sha"] for row in rows(out, "accepted")}
    assert shas == {**dict.fromkeys(one.seen, "a"), **dict.fromkeys(two.seen, "b")} and set(shas.values()) == {"a", "b"}
    assert (manifest["model_id"], manifest["model_sha"]) == ("org/model", "a+b")
    again, before = servers("b", "a"), contents(out)
    together(*again, allow_mixed_models=True)  # in another order
    assert not again[0].seen and not again[1].seen and contents(out) == before
    # One of the two alone is another model than both.
    (alone,) = servers("a")
    together(alone)
    assert set(alone.seen) == set(LINES)


def test_endpoints_that_speak_different_wires_are_refused(together):
    tgi, other = servers("a", "a")
    other.info = None
    with pytest.raises(InputError, match=r"speaks another wire than .*; give --wire"):
        together(tgi, other)
    other.model_id = "org/model"
    manifest, _ = together(tgi, other, wire="chat", max_in_flight=1, allow_mixed_models=True)
    assert (manifest["wire"], manifest["accepted"]) == ("chat", len(LINES))
    assert {body["model"] for body in tgi.bodies} == {"tgi"} and {body["model"] for body in other.bodies} == {
        "org/model"
    }


def test_a_server_without_info_is_asked_in_chat_for_the_model_that_it_names(together, tmp_path):
    server = LoopbackTGI(other_words, model_id="org/vllm")
    server.info = None
    manifest, out = together(server)
    assert {body["model"] for body in server.bodies} == {"org/vllm"} and "messages" in server.bodies[0]
    assert (manifest["wire"], manifest["model_id"], manifest["model_sha"]) == ("chat", "org/vllm", None)
    (row, *_) = rows(out, "accepted")
    assert (row["model_id"], row["model_sha"], row["seed"]) == ("org/vllm", None, 0)
    server.bodies.clear()
    manifest, _ = together(server, model="org/adapter", output="b")
    assert {body["model"] for body in server.bodies} == {"org/adapter"} and manifest["model_id"] == "org/adapter"


def test_the_wire_of_a_run_is_part_of_what_it_asks(together):
    server = LoopbackTGI(other_words)
    together(server, wire="auto")
    assert manifest_of(together(server, wire="auto")[1])["wire"] == "generate"
    server.seen.clear()
    server.info = None
    manifest, _ = together(server, wire="auto")  # the same folder: now it speaks chat, and all is asked again
    assert set(server.seen) == set(LINES) and manifest["wire"] == "chat"


def test_an_endpoint_that_is_down_at_the_start_is_named(together, tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    with serving(LoopbackTGI(other_words).app()) as url, pytest.raises(EndpointError, match=rf"--endpoint {DEAD}: no"):
        generate(config(tmp_path, [url, DEAD]))
    assert not (tmp_path / "out").exists()


def test_when_one_endpoint_fails_the_other_does_the_work(together):
    good, bad = servers("a", "a")
    bad.answer = lambda source: 503
    manifest, _ = together(bad, good, max_in_flight=8)
    assert manifest["accepted"] == len(LINES) and set(good.seen) == set(LINES)
    assert sum(bad.seen.values()) >= 5 and manifest["last_run"]["requests"] == len(LINES) + sum(bad.seen.values())


# How many at a time


@pytest.mark.parametrize(
    ("told", "given", "world", "size"),
    [
        (8, None, 1, 7),
        (128, None, 1, 115),
        (5000, None, 1, 4500),
        (1, None, 1, 1),
        (None, None, 1, DEFAULT_IN_FLIGHT),
        (128, 3, 1, 3),
        (8, 200, 1, 200),
        (128, None, 2, 57),
        (128, 3, 2, 1),
        (None, None, 100, 1),
    ],
)
def test_the_window_is_what_info_allows_less_a_tenth_unless_it_is_given(tmp_path, told, given, world, size):
    server = LoopbackTGI(other_words)
    server.info["max_concurrent_requests"] = told

    async def sizes(urls):
        async with AsyncExitStack() as stack:
            pool = await connect(config(tmp_path, urls, max_in_flight=given), urls, stack, world)
            return pool.limit, [int(endpoint.limit) for endpoint in pool.endpoints]

    with serving(server.app()) as url, serving(server.app()) as other:
        assert asyncio.run(sizes([url, other])) == (2 * size, [size, size])


@pytest.mark.parametrize("status", [500, 424, 401])
def test_one_of_two_that_fails_at_everything_at_once_does_not_swallow_the_run(together, status):
    """The quickest endpoint has the least outstanding, and so would be given nearly everything."""
    lines = [f"text {number}" for number in range(300)]
    sick, well = servers("a", "a")
    sick.answer = lambda source: other_words(source) if sick.seen.total() < 20 else status
    well.delay = 0.005
    manifest, _ = together(sick, well, lines=lines, max_in_flight=4)
    assert manifest["accepted"] >= len(lines) - 3
    assert sick.seen.total() < len(lines) / 3
