import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from loopback import LoopbackTGI

from hf_xling import runs
from hf_xling.errors import EndpointError, InputError
from hf_xling.generation import stage
from hf_xling.generation.config import GenerateConfig
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.records import Completion
from hf_xling.generation.stage import generate
from hf_xling.generation.stage import main as generate_command
from hf_xling.sample.replay import serving

CLI = [sys.executable, "-c", "import sys; from hf_xling.cli import main; sys.exit(main())", "generate"]
DEAD = "http://127.0.0.1:9"  # the discard port: nobody listens there


def other_words(source: str) -> str:
    """An acceptable English paraphrase, another one for each source."""
    return f"In other words, {source[::-1]}"


def config(tmp_path, url, input="input.txt", output="out", **fields) -> GenerateConfig:
    defaults = {"task": "paraphrase", "language": "en"}
    return GenerateConfig(
        input=str(tmp_path / input), endpoint=url, output_dir=str(tmp_path / output), **{**defaults, **fields}
    )


def rows(folder: Path, kind: str) -> list[dict]:
    return pyarrow.parquet.read_table(folder / kind).to_pylist()


def contents(folder: Path) -> dict[str, bytes]:
    """The outcome of a run, byte by byte."""
    names = [path for kind in ("accepted", "rejected") for path in sorted((folder / kind).iterdir())]
    return {str(path.relative_to(folder)): path.read_bytes() for path in [*names, folder / "manifest.json"]}


@pytest.fixture
def world(tmp_path):
    """`run(lines or file name, answer)` → the manifest, the output folder and the server that was asked."""

    def run(texts, answer=other_words, server=None, **fields):
        if isinstance(texts, list):
            (tmp_path / "input.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
            texts = "input.txt"
        server = server or LoopbackTGI(answer)
        with serving(server.app()) as url:
            manifest = generate(config(tmp_path, url, texts, **fields))
        return manifest, tmp_path / fields.get("output", "out"), server

    return run


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
    [(401, 1, 100, True), (401, 2, 100, False), (401, 39, 40, False), (422, 39, 40, True), (413, 39, 40, True)],
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


def test_one_text_that_tgi_cannot_generate_for_is_no_failure_of_the_endpoint():
    assert stage._failure(config(Path(), DEAD), {"x": Completion(None, error="424 Request failed")}) is None
    told = {str(number): Completion(None, error="timed out" if number else "503 x") for number in range(3)}
    failure = stage._failure(config(Path(), DEAD), {**told, "x": Completion("y")})
    assert "3 of 4 texts are unanswered, most often because of `timed out`" in str(failure)


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


@pytest.mark.parametrize(
    "change, named",
    [
        ({"language": "ta"}, r"language was 'en', is now 'ta'"),
        ({"seed": 1}, r"parameters\.seed was 0, is now 1"),
        ({"temperature": 0.0}, r"parameters\.do_sample was True, is now False"),
    ],
)
def test_another_run_in_the_folder_is_refused_with_the_field_named(world, change, named):
    _, out, _ = world(["one"])
    before = contents(out)
    with pytest.raises(InputError, match=named):
        world(["one"], **change)
    assert contents(out) == before


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


# Failures


def test_an_endpoint_that_is_down_writes_nothing(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    with pytest.raises(EndpointError, match=rf"--endpoint {DEAD}: no connection"):
        generate(config(tmp_path, DEAD))
    assert [path.name for path in tmp_path.iterdir()] == ["input.txt"]


@pytest.mark.parametrize("status", [401, 404])
def test_an_endpoint_that_refuses_all_is_no_run(world, tmp_path, status):
    with pytest.raises(EndpointError, match=f"2 of 2 texts are unanswered, most often because of `{status} bad "):
        world(["one", "two"], lambda source: status)
    assert not (tmp_path / "out" / "accepted").exists()
    manifest, _, _ = world(["one", "two"])
    assert manifest["accepted"] == 2


def test_texts_that_are_refused_for_what_they_are_make_a_run(world):
    manifest, _, _ = world(["one", "two"], lambda source: 422)
    assert manifest["reasons"] == {"endpoint": 2}


@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        ("text,id\nx,a\ny,b\nz,a\n", {"id_column": "id"}, "a.csv, row 3 (line 4): has the id `a` of row 1"),
        ("text,id\nx,a\ny,\n", {"id_column": "id"}, "a.csv, row 2 (line 3): has no id in column `id`"),
        ("text\nx\n", {"id_column": "id"}, "a.csv: has no column `id`; its columns are text"),
        ("texts\nx\n", {}, "a.csv: has no column `text`; its columns are texts"),
        ("text\n", {}, "a.csv: is empty"),
    ],
)
def test_input_that_cannot_be_used_is_named_before_anything_is_asked(tmp_path, content, fields, said):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        generate(config(tmp_path, DEAD, "a.csv", **fields))
    assert said in str(caught.value) and not (tmp_path / "out").exists()


def test_values_that_are_no_texts_are_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n\n{"text": 5}\n')
    with pytest.raises(InputError, match=r"a.jsonl, row 2 \(line 3\), column `text`: 5 is no text"):
        generate(config(tmp_path, DEAD, "a.jsonl"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"language": "tamil"}, "--language tamil"),
        ({"task": "summarise"}, "--task summarise"),
        ({"endpoint": "localhost:8080"}, "--endpoint localhost:8080"),
        ({"max_new_tokens": 0}, "--max_new_tokens 0"),
        ({"timeout": -1.0}, "--timeout -1.0"),
        ({"top_p": 1.0}, "--top_p"),
        ({"temperature": -0.1}, "--temperature"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": 2**63}, "--seed 9223372036854775808"),
    ],
)
def test_fields_out_of_range_are_named(fields, said):
    good = {"input": "x", "endpoint": DEAD, "output_dir": "y", "task": "translate", "language": "ta"}
    with pytest.raises(InputError) as caught:
        GenerateConfig(**{**good, **fields})
    assert said in str(caught.value)


def test_the_closing_lines_tell_counts_and_where_the_rows_are(tmp_path):
    (tmp_path / "input.txt").write_text("one\none\n\ntwo\n")
    with serving(LoopbackTGI(other_words).app()) as url:
        fields = {"input": tmp_path / "input.txt", "output_dir": tmp_path / "out", "endpoint": url}
        argv = [f"--{name}={value}" for name, value in fields.items()]
        closing = generate_command([*argv, "--task=paraphrase", "--language=en"])
    assert closing == (
        "4 rows (2 distinct texts): 3 accepted, 1 rejected (1 no_source_text)\n"
        f"accepted rows: {tmp_path / 'out' / 'accepted'}"
    )


# Processes of their own


def arguments(tmp_path, url, output) -> list[str]:
    fields = {"input": tmp_path / "input.txt", "output_dir": tmp_path / output, "endpoint": url, "max_in_flight": 4}
    return [*(f"--{name}={value}" for name, value in fields.items()), "--task=paraphrase", "--language=en"]


def test_generation_works_offline_and_needs_no_torch(tmp_path):
    (tmp_path / "input.txt").write_text("one\ntwo\n")
    program = (
        "import sys\nfrom hf_xling.generation.stage import main\nmain(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules, 'torch'\nassert 'datasets' not in sys.modules, 'datasets'\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "error"}
    with serving(LoopbackTGI(other_words).app()) as url:
        command = [sys.executable, "-c", program, *arguments(tmp_path, url, "out")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "out", "accepted")) == 2


def test_a_failure_on_the_command_line_is_one_line_and_a_status(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    done = subprocess.run([*CLI, *arguments(tmp_path, DEAD, "out")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: --endpoint {DEAD}: no connection") and done.stderr.count("\n") == 1


def test_the_token_is_sent_and_written_nowhere(tmp_path):
    (tmp_path / "input.txt").write_text("one\nbad\n")
    server = LoopbackTGI(lambda source: 401 if source == "bad" else other_words(source))
    environment = os.environ | {"HF_TOKEN": "hf_VerySecretToken"}
    with serving(server.app()) as url:
        command = [*CLI, *arguments(tmp_path, url, "out")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == "" and "1 of 2 texts are unanswered" in done.stderr
    assert len(server.headers) == 3
    assert not any("VerySecretToken" in str(headers) or "Authorization" in headers for headers in server.headers)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5 and "VerySecretToken" not in done.stderr
    for path in files:
        content = path.read_bytes() + str(path).encode()
        assert b"VerySecretToken" not in content and b"Authorization" not in content


def run_with_kills(tmp_path, texts: list[str], kills: list[int]) -> None:
    """Run, killed when the server has been asked so many times and taken up again; compare with a run left in peace."""
    (tmp_path / "input.txt").write_text("".join(f"{text}\n" for text in texts))
    window, process, killed, asked, due, paid_for = 4, None, None, 0, list(kills), {}

    def answer(source):
        nonlocal asked, killed
        asked += 1
        # What a process had in flight when it was killed is still counted, but kills nobody.
        if due and asked >= due[0] and process is not killed:
            due.pop(0)
            os.kill(process.pid, signal.SIGKILL)
            killed = process
        return other_words(source)

    server = LoopbackTGI(answer)
    with serving(server.app()) as url:
        for _ in kills:
            process = subprocess.Popen([*CLI, *arguments(tmp_path, url, "killed")], stderr=subprocess.DEVNULL)
            assert process.wait(timeout=60) == -signal.SIGKILL
            assert not (tmp_path / "killed" / "accepted").exists()
            with Ledger(tmp_path / "killed" / "ledger") as ledger:
                lines = ledger.path.read_text("utf-8").splitlines()
            kept = {json.loads(line.partition(" ")[2])["text"] for line in lines}
            assert len(server.seen) - window <= len(lines) == len(kept) <= len(server.seen)
            # What the ledger holds is never asked for again.
            assert all(server.seen[source] == count for source, count in paid_for.items())
            paid_for |= {source: count for source, count in server.seen.items() if other_words(source) in kept}
        process = subprocess.Popen([*CLI, *arguments(tmp_path, url, "killed")], stderr=subprocess.DEVNULL)
        assert process.wait(timeout=60) == 0
        again = {source for source, count in server.seen.items() if count > 1}
        assert all(server.seen[source] == count for source, count in paid_for.items())
        # What was in flight at a kill is asked for again.
        assert len(again) <= window * len(kills) and sum(server.seen.values()) <= len(texts) + window * len(kills)
        assert set(server.seen) == set(texts)
        process = subprocess.Popen([*CLI, *arguments(tmp_path, url, "whole")], stderr=subprocess.DEVNULL)
        assert process.wait(timeout=60) == 0
    assert not due
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_killed_run_goes_on_and_pays_for_nothing_twice(tmp_path):
    run_with_kills(tmp_path, [f"text {number}" for number in range(40)], [17])


@pytest.mark.slow
def test_a_run_killed_many_times_ends_as_one_left_in_peace(tmp_path):
    run_with_kills(tmp_path, [f"text {number}" for number in range(300)], [1, 30, 95, 170, 171, 240, 300])
