import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from generation_runs import CLI, DEAD, arguments, config, contents, other_words, rows
from loopback import LoopbackTGI

from hf_xling import runs
from hf_xling.console import run_command
from hf_xling.errors import EndpointError, InputError
from hf_xling.generation import stage
from hf_xling.generation.filters import FilterConfig
from hf_xling.generation.stage import generate, is_generated, main
from hf_xling.generation.stage import main as generate_command
from hf_xling.sample.replay import serving

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
    manifest, _, _ = world(["one", "two", "three"], lambda source: other_words(source) if source == "two" else 422)
    assert manifest["reasons"] == {"endpoint": 2}
    assert manifest["examples"] == {"endpoint": "endpoint: 422 bad luck with one"}


@pytest.mark.parametrize("status", [400, 401, 402, 413, 422, 424])
@pytest.mark.parametrize(("good", "count"), [(0, 30), (0, 150), (40, 150)])
def test_what_is_refused_to_all_ends_the_run_in_the_words_of_the_endpoint(world, status, good, count):
    answered = []

    def answer(source):
        answered.append(source)
        return other_words(source) if len(answered) <= good else status

    with pytest.raises(EndpointError, match=f"--endpoint http.*{status} bad luck with"):
        world([f"text number {number} of all" for number in range(count)], answer, max_in_flight=4)
    if status != 424:  # those are sent again, and others go on while they wait
        assert len(set(answered)) < good + 40
    manifest, _, server = world([f"text number {number} of all" for number in range(count)], max_in_flight=4)
    assert manifest["accepted"] == count and server.seen.total() == count - good


def test_a_run_that_accepts_nothing_is_a_failure_that_names_the_filter(tmp_path, capsys):
    (tmp_path / "input.txt").write_text("one of these\ntwo of those\n")
    with serving(LoopbackTGI(lambda source: "ஒரு நாய் ஓடுகிறது").app()) as url:
        argv = arguments(tmp_path, url, "out")
        assert run_command(generate_command, argv) == 1
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("error: ") and "none of 2 rows is accepted (wrong_script)" in told
        assert len(rows(tmp_path / "out", "rejected")) == 2 and rows(tmp_path / "out", "accepted") == []
        # Other filters make rows of the same answers.
        closing = generate_command([*argv, "--min_script_share=0", "--min_length_ratio=0.1"])
    assert "1 accepted, 1 rejected (1 duplicate)" in closing


@pytest.mark.parametrize(("bad", "is_loud"), [(5, False), (6, True)])
def test_a_run_that_rejects_most_rows_says_so_last(tmp_path, bad, is_loud):
    (tmp_path / "input.txt").write_text("".join(f"text number {number} of all\n" for number in range(10)))
    refused = {f"text number {number} of all" for number in range(bad)}
    server = LoopbackTGI(lambda source: 413 if source in refused else other_words(source))
    with serving(server.app()) as url:
        last = generate_command(arguments(tmp_path, url, "out")).splitlines()[-1]
    said = "WARNING: 60% of the rows are rejected, more than 50%; most often because of endpoint: 413 bad luck with"
    assert last.startswith(said if is_loud else "accepted rows: ")


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


# Processes of their own


def test_generation_works_offline_and_needs_no_torch(tmp_path):
    (tmp_path / "input.txt").write_text("one\ntwo\n")
    program = (
        "import json, sys\nfrom hf_xling.generation.stage import main\n"
        "for argv in json.loads(sys.argv[1]):\n    main(argv)\n"
        "assert 'torch' not in sys.modules, 'torch'\nassert 'datasets' not in sys.modules, 'datasets'\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "error"}
    tgi, other = LoopbackTGI(other_words), LoopbackTGI(other_words)
    other.info = None
    with serving(tgi.app()) as url, serving(other.app()) as other_url:
        runs = {"generate": url, "chat": url, "auto": other_url}
        argvs = [[*arguments(tmp_path, url, wire), f"--wire={wire}"] for wire, url in runs.items()]
        command = [sys.executable, "-c", program, json.dumps(argvs)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert all(len(rows(tmp_path / wire, "accepted")) == 2 for wire in runs)


def test_a_failure_on_the_command_line_is_one_line_and_a_status(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    done = subprocess.run([*CLI, *arguments(tmp_path, DEAD, "out")], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: --endpoint {DEAD}: no connection") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("key", [[], ["--api_key_variable=MY_KEY"]])
def test_tokens_go_where_they_are_meant_for_and_are_written_nowhere(tmp_path, key, monkeypatch, capsys):
    (tmp_path / "input.txt").write_text("one\nbad\n")
    server = LoopbackTGI(lambda source: 401 if source == "bad" else other_words(source))
    monkeypatch.setenv("HF_TOKEN", "hf_VerySecretToken")
    monkeypatch.setenv("MY_KEY", "sk-VerySecretKey")
    with serving(server.app()) as url:
        assert run_command(main, [*arguments(tmp_path, url, "out"), *key, "--debug"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "1 of 2 texts are unanswered" in err and "VerySecret" not in err
    sent = [headers.get("Authorization") for headers in server.headers]
    assert sent == (["Bearer sk-VerySecretKey"] if key else [None]) * 3
    assert not any("VerySecretToken" in str(headers) for headers in server.headers)
    written = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert str(tmp_path / "out" / "ledger" / "ledger.jsonl") in written
    for path, content in written.items():
        content += path.encode()
        assert b"VerySecret" not in content and b"Authorization" not in content
