import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError, XlingError
from hf_xling.generation.languages import LANGUAGES
from hf_xling.generation.prompts import TASKS
from hf_xling.runs import file_hash
from hf_xling.sample.replay import MAX_CONCURRENT_REQUESTS, main, make_app, read_recording, serving, sources_in

EN, TA = LANGUAGES["en"], LANGUAGES["ta"]
PAIRS = [
    {"task": "translate", "source": "A dog runs.", "text": "ஒரு நாய் ஓடுகிறது."},
    {"task": "paraphrase", "source": "A dog runs.", "text": "A dog is running."},
    {"task": "translate", "source": "A dog runs.", "text": "second recording"},
    {"task": "translate", "source": "line\nbreak {{ x }}", "text": "வரி"},
]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("replay") / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in PAIRS), "utf-8")
    return path


@pytest.fixture(scope="module")
def url(pairs):
    with serving(make_app(read_recording(pairs))) as url:
        yield url


def ask(url, body=None):
    """The status and the body of the answer to a POST of `body`, or to a GET."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            status, content = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, content = error.code, error.read()
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode()


def generate(url, prompt, **parameters):
    return ask(f"{url}/generate", {"inputs": prompt, "parameters": {"details": True, **parameters}})


def prompt(task, source, language=TA):
    return TASKS[task].render(source, EN, language)


def test_recorded_answers_are_given_by_task_and_source(url):
    status, answer = generate(url, prompt("translate", "A dog runs."), seed=5)
    assert status == 200 and answer == {
        "generated_text": "ஒரு நாய் ஓடுகிறது.",
        "details": {"finish_reason": "eos_token", "generated_tokens": 3, "seed": 5, "prefill": [], "tokens": []},
    }
    assert generate(url, prompt("paraphrase", "A dog runs.", EN))[1]["generated_text"] == "A dog is running."
    assert generate(url, prompt("translate", "line\nbreak {{ x }}"))[1]["generated_text"] == "வரி"


def test_details_are_off_by_default(url):
    status, answer = ask(f"{url}/generate", {"inputs": prompt("translate", "A dog runs.")})
    assert status == 200 and answer == {"generated_text": "ஒரு நாய் ஓடுகிறது."}


def test_the_token_budget_cuts(url):
    _, answer = generate(url, prompt("translate", "A dog runs."), max_new_tokens=2)
    assert answer["generated_text"] == "ஒரு நாய்"
    assert answer["details"]["finish_reason"] == "length" and answer["details"]["generated_tokens"] == 2


def test_chat_gives_the_same_answers(url):
    messages = TASKS["translate"].messages("A dog runs.", EN, TA)
    status, answer = ask(f"{url}/v1/chat/completions", {"model": "tgi", "messages": messages})
    assert status == 200
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "ஒரு நாய் ஓடுகிறது."}
    assert answer["choices"][0]["finish_reason"] == "stop" and answer["usage"]["completion_tokens"] == 3
    _, answer = ask(f"{url}/v1/chat/completions", {"model": "tgi", "messages": messages, "max_tokens": 1})
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("wire", ["render", "messages"])
@given(source=st.text() | st.just("<|eot_id|>") | st.just("\0"))
def test_every_prompt_of_a_task_is_known_by_its_source(wire, source):
    for (task, template), source_language, language in product(TASKS.items(), LANGUAGES.values(), LANGUAGES.values()):
        assert (task, source) in sources_in(getattr(template, wire)(source, source_language, language))


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        prompt("translate", "x")[:-1],
        prompt("translate", "x")[1:],
        prompt("paraphrase", "").removesuffix("\n"),
        [{"role": "user", "content": prompt("translate", "x")}],
        [{"role": "user"}],
        [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
    ],
    ids=str,
)
def test_no_source_is_found_in_what_no_template_made(prompt):
    assert list(sources_in(prompt)) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("generate", {"inputs": prompt("translate", "not recorded")}),
        ("generate", {"inputs": "a prompt of somebody else's"}),
        ("generate", {"inputs": ""}),
        ("generate", {}),
        ("generate", {"inputs": prompt("translate", "A dog runs."), "parameters": {"temperature": 0}}),
        ("generate", {"inputs": prompt("translate", "A dog runs."), "parameters": {"top_p": 1.0}}),
        ("generate", {"inputs": prompt("translate", "A dog runs."), "parameters": {"stop": ["x"] * 5}}),
        ("v1/chat/completions", {"messages": [{"role": "user", "content": "not recorded"}]}),
        ("v1/chat/completions", {"messages": [{"role": "user"}]}),
        ("v1/chat/completions", {"messages": []}),
        ("v1/chat/completions", {}),
    ],
)
def test_what_tgi_refuses_is_a_422_in_its_words(url, path, body):
    status, answer = ask(f"{url}/{path}", body)
    assert status == 422 and answer["error_type"] == "validation"
    assert answer["error"].startswith("Input validation error: ")


@pytest.mark.parametrize("path", ["generate", "v1/chat/completions"])
@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff"])
def test_what_is_no_json_object_is_a_4xx_in_plain_text(url, path, body):
    status, answer = ask(f"{url}/{path}", body)
    assert 400 <= status < 500 and isinstance(answer, str)


def test_info_models_and_health(url, pairs):
    status, info = ask(f"{url}/info")
    assert status == 200 and info["model_id"] == "replay/pairs" and info["model_sha"] == file_hash(pairs)[:40]
    assert info["max_concurrent_requests"] == MAX_CONCURRENT_REQUESTS == 128
    model = {"id": "replay/pairs", "object": "model", "created": 0, "owned_by": "replay/pairs"}
    assert ask(f"{url}/v1/models") == (200, {"object": "list", "data": [model]})
    assert ask(f"{url}/health")[0] == 200
    assert ask(f"{url}/nowhere")[0] == 404


def test_more_than_the_window_is_overload_at_once_and_passes(pairs):
    body = json.dumps({"inputs": prompt("translate", "A dog runs.")}).encode()
    told = {"Host": "x", "Content-Type": "application/json", "Content-Length": len(body), "Expect": "100-continue"}
    head = "POST /generate HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in told.items()) + "\r\n"
    with serving(make_app(read_recording(pairs))) as url, ExitStack() as stack:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        waiting = [stack.enter_context(socket.create_connection(address)) for _ in range(MAX_CONCURRENT_REQUESTS)]
        for connection in waiting:  # requests that the server has begun, as it says, and cannot end
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        overloaded = {"error": "Model is overloaded", "error_type": "overloaded"}
        assert ask(f"{url}/generate", body) == (429, overloaded)
        for connection in waiting:
            connection.sendall(body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert ask(f"{url}/generate", body)[0] == 200


def test_many_at_once_are_all_answered(url):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: generate(url, prompt("translate", "A dog runs."))[0], range(64)))
    assert answers == [200] * 64


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"task": "translat", "source": "x", "text": "y"}', "row 5: unknown task 'translat'"),
        ('{"task": "translate", "source": "x"}', "row 5: `source` and `text` must be texts"),
        ('{"task": "translate", "source": 5, "text": "y"}', "row 5: `source` and `text` must be texts"),
        ('{"task": ["translate"], "source": "x", "text": "y"}', "row 5: unknown task ['translate']"),
        ("{", "line 5: not valid JSON"),
    ],
)
def test_a_recording_that_cannot_be_used_is_named(pairs, tmp_path, line, said):
    path = tmp_path / "bad.jsonl"
    path.write_text(pairs.read_text("utf-8") + line + "\n", "utf-8")
    with pytest.raises(InputError) as caught:
        read_recording(path)
    assert f"bad.jsonl, {said}" in str(caught.value)


def test_a_port_that_is_taken_is_named(url, pairs):
    port = url.rpartition(":")[2]
    with pytest.raises(XlingError, match=rf"--port {port}: cannot be listened on: (?i:.*address already in use)"):
        main(["--pairs", str(pairs), "--port", port])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(pairs, number):
    command = [sys.executable, "-c", "import sys; from hf_xling.cli import main; sys.exit(main())", "serve-replay"]
    process = subprocess.Popen([*command, "--pairs", str(pairs), "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("3 recorded pairs served at http://127.0.0.1:")
        assert ask(f"{line.split()[5]}/health")[0] == 200
        os.kill(process.pid, number)
        assert process.communicate() == ("stopped\n", None) and process.returncode == 0
    finally:
        process.kill()
        process.wait()
