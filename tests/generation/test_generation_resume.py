from dataclasses import replace

import pytest
from generation_runs import DEAD, config, contents, other_words, rows
from loopback import LoopbackTGI

from hf_xling import runs
from hf_xling.errors import EndpointError, InputError
from hf_xling.generation import stage
from hf_xling.generation.filters import FilterConfig
from hf_xling.generation.stage import generate, is_generated
from hf_xling.sample.replay import serving

# Going on


def test_a_finished_run_asks_for_nothing_again(world):
    _, out, _ = world(["one", "two", "three"])
    before = contents(out)
    _, _, server = world(["one", "two", "three"])
    assert server.seen == {} and contents(out) == before


def finished(out) -> bool:
    return runs.read_run(out)["finished"]


def test_failures_of_the_endpoint_are_rows_and_are_tried_again_on_the_next_run(world, tmp_path):
    server, out = LoopbackTGI(lambda source: 401 if source == "two" else other_words(source)), tmp_path / "out"
    with pytest.raises(EndpointError, match="1 of 3 texts are unanswered, most often because of `401 bad luck with t"):
        world(["one", "two", "three"], server=server)
    assert server.seen == {"one": 1, "two": 1, "three": 1} and not finished(out)
    (row,) = rows(out, "rejected")
    assert (row["id"], row["reason"], row["text"]) == ("2", "endpoint: 401 bad luck with two", None)
    manifest, _, server = world(["one", "two", "three"])
    assert server.seen == {"two": 1} and manifest["reasons"] == {} and finished(out)
    assert [row["id"] for row in rows(out, "accepted")] == ["1", "2", "3"] and rows(out, "rejected") == []


@pytest.mark.parametrize(
    ("status", "bad", "texts", "ends"),
    [(401, 1, 100, True), (401, 2, 100, False), (401, 15, 16, False), (422, 39, 40, True), (413, 39, 40, True)],
)
def test_a_run_ends_when_the_endpoint_has_answered_all_but_one_text_in_a_hundred(
    world, tmp_path, status, bad, texts, ends
):
    lines = [f"text {number}" for number in range(texts)]
    refused, out = set(lines[-bad:]), tmp_path / "out"

    def answer(source):
        return status if source in refused else other_words(source)

    if ends:
        manifest, _, _ = world(lines, answer)
        assert manifest["reasons"] == {"endpoint": bad}
    else:
        with pytest.raises(
            EndpointError, match=rf"127.0.0.1:\d+: {bad} of {texts} texts .*the same command asks for th"
        ):
            world(lines, answer)
    assert finished(out) == ends and len(rows(out, "rejected")) == bad and len(rows(out, "accepted")) == texts - bad


def test_texts_that_tgi_cannot_generate_for_are_no_failure_of_the_endpoint(world):
    manifest, out, server = world(["one", "two"], lambda source: 424 if source == "two" else other_words(source))
    assert manifest["reasons"] == {"endpoint": 1} and finished(out) and server.seen == {"one": 1, "two": 3}


def test_a_finished_run_that_grows_and_meets_a_dying_endpoint_is_finished_no_more(world, tmp_path):
    _, out, _ = world(["one"])
    assert finished(out)
    with pytest.raises(EndpointError, match="1 of 2 texts"):
        world(["one", "two"], lambda source: 401)
    assert not finished(out) and len(rows(out, "rejected")) == 1
    world(["one", "two"])
    assert finished(out)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.71, 1.0])
def test_a_ledger_that_was_cut_gives_the_same_rows(world, share):
    texts = [f"text {number}" for number in range(20)]
    _, out, _ = world(texts)
    before = contents(out)
    ledger = out / "ledger" / "ledger.jsonl"
    content = ledger.read_bytes()
    ledger.write_bytes(content[: int(len(content) * share)])
    kept = ledger.read_bytes().count(b"\n")
    for path in [*(out / "accepted").iterdir(), *(out / "rejected").iterdir(), out / "manifest.json"]:
        path.unlink()
    _, _, server = world(texts)
    assert sum(server.seen.values()) == len(server.seen) == 20 - kept
    assert contents(out) == before


def test_a_grown_input_asks_for_what_is_new(world):
    world(["one", "two"])
    manifest, out, server = world(["three", "two", "one"])
    assert server.seen == {"three": 1} and manifest["rows"] == 3
    assert [row["source_text"] for row in rows(out, "accepted")] == ["three", "two", "one"]


def test_another_model_is_asked_again(world):
    world(["one"])
    assert world(["one"], server=LoopbackTGI(other_words, model_sha="other"))[2].seen == {"one": 1}
    assert world(["one"])[2].seen == {}


def test_other_filters_make_the_rows_anew_and_ask_for_nothing(world, tmp_path):
    strict, lenient = FilterConfig(), FilterConfig(max_length_ratio=9.0)
    lines = ["one", "two", "a word or two"]
    told = config(tmp_path, DEAD)
    assert not is_generated(told)
    _, out, _ = world(lines, lambda source: f"{other_words(source)} and many a word more", filters=strict)
    assert is_generated(told) and is_generated(told, strict) and not is_generated(told, lenient)
    assert {row["reason"] for row in rows(out, "rejected")} == {"length"}
    before = contents(out)
    manifest, out, server = world(lines, filters=lenient)
    assert server.seen == {} and manifest["accepted"] == 3 and manifest["filters"]["max_length_ratio"] == 9.0
    assert is_generated(told, lenient) and not is_generated(told, strict)
    _, _, server = world(lines, filters=strict)
    assert server.seen == {} and contents(out) == before and is_generated(told, strict)
    assert not is_generated(config(tmp_path, DEAD, samples=2), strict)
    with pytest.raises(InputError, match="holds another run"):
        is_generated(config(tmp_path, DEAD, seed=1), strict)


@pytest.mark.parametrize(
    "change, named",
    [
        ({"language": "ta"}, r"language was 'en', is now 'ta'"),
        ({"seed": 1}, r"parameters\.seed was 0, is now 1"),
        ({"temperature": 0.0}, r"parameters\.temperature was 0\.7, is now 0\.0"),
        ({"token_budget": 2.0}, r"parameters\.token_budget was 3\.0, is now 2\.0"),
        ({"wire": "chat"}, r"wire was 'auto', is now 'chat'"),
        ({"language": "simple.yaml"}, r"language was 'en'"),
    ],
)
def test_another_run_in_the_folder_is_refused_with_the_field_named(world, tmp_path, monkeypatch, change, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simple.yaml").write_text("code: en\nname: Simple English\n")
    _, out, _ = world(["one"])
    before = contents(out)
    with pytest.raises(InputError, match=named):
        world(["one"], **change)
    assert contents(out) == before


def test_another_prompt_in_the_folder_is_refused(world, tmp_path):
    form = "name: mine\nversion: 1\nsystem: ''\nform: llama3\ninstruction: "
    server = LoopbackTGI(other_words)
    server.source_in = lambda prompt: "one"
    for instruction, refused in (("Again.", False), ("Again!", True), ("Again.", False)):
        (tmp_path / "prompt.yaml").write_text(form + instruction)
        try:
            world(["one"], server=server, prompt=str(tmp_path / "prompt.yaml"))
            assert not refused
        except InputError as error:
            assert refused and "holds another run (prompt was 'mine-v1-" in str(error)


def test_a_path_is_the_same_input_however_it_is_spelled(world, tmp_path, monkeypatch):
    _, out, _ = world(["one"])
    before = contents(out)
    (tmp_path / "link.txt").symlink_to(tmp_path / "input.txt")
    (tmp_path / "other.txt").write_text("two\n")
    monkeypatch.chdir(out)
    server = LoopbackTGI(other_words)
    with serving(server.app()) as url:
        for input, output in (("../input.txt", "."), ("../out/../input.txt", str(out)), ("../link.txt", "../out")):
            generate(replace(config(tmp_path, url), input=input, output_dir=output))
        with pytest.raises(InputError, match=r"input was '../input.txt', is now '../other.txt'"):
            generate(config(tmp_path, url, "other.txt"))
    assert server.seen == {} and before.keys() == contents(out).keys()
    assert all(before[name] == content for name, content in contents(out).items() if name != "manifest.json")


def test_input_and_output_can_move_together(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "input.txt").write_text("one\n")
    server = LoopbackTGI(other_words)
    with serving(server.app()) as url:
        generate(config(tmp_path / "here", url))
        (tmp_path / "here").rename(tmp_path / "there")
        generate(config(tmp_path / "there", url))
    assert server.seen == {"one": 1}


def test_a_dataset_of_the_hub_is_known_by_its_name(tmp_path):
    assert stage.run_identity(replace(config(tmp_path, DEAD), input="org/data"))["input"] == "org/data"
