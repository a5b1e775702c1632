"""A look before a run: `--dry_run`, and the check of one row before many are paid for."""

import re

import pytest
from generation_runs import DEAD, config, other_words, rows
from loopback import LoopbackTGI

from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.filling import CHECKED_ROWS, LONG_RUN, SHOWN_CHARACTERS
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.stage import generate
from hf_xling.generation.stage import main as generate_command

# A dry run


DRY = ("A dog runs.", "", "A cat sleeps.", "A dog runs.", "Birds fly.", "Fish swim.")


def dry_run(tmp_path, *arguments, lines=DRY):
    (tmp_path / "input.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    fields = {"input": tmp_path / "input.txt", "output_dir": tmp_path / "out", "task": "paraphrase", "language": "en"}
    given = [f"--{name}={value}" for name, value in fields.items()]
    shown = generate_command([*given, "--dry_run", *arguments])
    assert [path.name for path in tmp_path.iterdir()] == ["input.txt"]
    return shown


@pytest.mark.parametrize("arguments", [(), (f"--endpoint={DEAD}",), ("--serve=no/such-model",)])
def test_a_dry_run_shows_prompts_and_counts_and_touches_nothing(tmp_path, arguments):
    shown = dry_run(tmp_path, *arguments)
    assert "6 texts, 4 of them distinct, 1 empty; 1 answers to each: 4 requests to paraphrase-v1-" in shown
    assert re.search(r"about \d+ tokens of prompts and \d+ of answers \(high estimates; at most 4,096 in", shown)
    assert shown.endswith("\nnothing was asked or written")
    assert [shown.count(f"prompt {number}:") for number in (1, 2, 3, 4)] == [1, 1, 1, 0]
    assert all(text in shown for text in ("A dog runs.", "A cat sleeps.", "Birds fly.")) and "Fish swim." not in shown
    assert ("<|start_header_id|>" in shown) == (arguments != ("--serve=no/such-model",))  # which speaks chat


@pytest.mark.parametrize(
    ("arguments", "native", "chat"),
    [
        ((), True, True),
        ((f"--endpoint={DEAD}",), True, True),
        (("--wire=generate",), True, False),
        (("--wire=chat", "--model=some-model"), False, True),
        (("--serve=no/such-model",), False, True),
    ],
)
@pytest.mark.parametrize("task, form", [("paraphrase", "llama3"), ("translate", "alpaca")])
def test_a_dry_run_shows_the_form_that_would_be_sent(tmp_path, arguments, native, chat, task, form):
    """Where that is for the endpoint to say, both."""
    shown = dry_run(tmp_path, *arguments, f"--task={task}", "--language=ta")
    mark = {"llama3": "<|start_header_id|>user", "alpaca": "### Instruction:"}[form]
    assert (mark in shown, f"sent as it is, in the form {form}, whatever model" in shown) == (native, native)
    assert ("user: " in shown, "chat messages; the server puts them into the form" in shown) == (chat, chat)
    assert ("of an endpoint whose /info is TGI's" in shown) == (native and chat)
    assert shown.count("A dog runs.") == native + chat


def test_a_dry_run_knows_samples_and_wires_and_cuts_what_is_long(tmp_path):
    lines = ["word " * SHOWN_CHARACTERS, "x"]
    shown = dry_run(tmp_path, "--samples=3", "--wire=chat", lines=lines)
    assert "3 answers to each: 6 requests" in shown and "system: You rewrite English" in shown
    assert "… (10,0" in shown and len(shown) < 2 * SHOWN_CHARACTERS

    def tokens(shown):
        found = re.search(r"about (\S+) tokens of prompts and (\S+) of answers .* at most (\S+) in", shown).groups()
        return [int(number.replace(",", "")) for number in found]

    asked, answered, most = tokens(shown)
    assert [asked, answered, most] == [3 * number for number in tokens(dry_run(tmp_path, "--wire=chat", lines=lines))]
    assert answered < most == 6 * 1024


def test_a_dry_run_refuses_what_a_run_would(tmp_path):
    with pytest.raises(InputError, match="--task summarize"):
        dry_run(tmp_path, "--task=summarize")
    with pytest.raises(InputError, match=r"input\.txt: is empty"):
        dry_run(tmp_path, lines=[])


def test_a_dry_run_of_nothing_to_ask(tmp_path):
    assert "2 texts, 0 of them distinct, 2 empty; 1 answers to each: 0 requests" in dry_run(tmp_path, lines=["", " "])


def test_a_run_of_a_config_that_says_dry_run_asks_for_nothing(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    with pytest.raises(InputError, match="--dry_run"):
        generate(config(tmp_path, DEAD, dry_run=True))
    assert [path.name for path in tmp_path.iterdir()] == ["input.txt"]


# The check of one row

LINES = [f"text number {number}" for number in range(LONG_RUN)]
SHOWN = "check of one row\n"


def test_before_many_rows_one_is_asked_and_shown(world, capsys):
    server = LoopbackTGI(lambda source: shown.append(capsys.readouterr().err) or other_words(source))
    shown: list[str] = []
    manifest, _, _ = world(LINES, server=server)
    assert set(server.seen.values()) == {1} and len(server.seen) == LONG_RUN == manifest["accepted"]
    assert manifest["last_run"]["requests"] == manifest["last_run"]["completions"] == LONG_RUN
    # Everything that was shown before the second question.
    assert shown[0] == "" and shown[1].startswith(SHOWN)
    assert server.bodies[0]["inputs"] in shown[1] and f"--- answers ---\n{other_words(LINES[0])}\n---\n" in shown[1]
    assert "".join(shown).count(SHOWN) == 1


def test_few_rows_are_not_worth_a_check(world, capsys):
    world(LINES[1:])
    assert SHOWN not in capsys.readouterr().err


def test_what_counts_is_how_many_are_missing(world, capsys):
    world(LINES[:50])
    world(LINES)
    assert SHOWN not in capsys.readouterr().err
    more = [f"another {number}" for number in range(LONG_RUN)]
    _, _, server = world(LINES + more)
    assert server.bodies[0]["inputs"] in capsys.readouterr().err and set(server.seen) == set(more)


def test_a_check_whose_answer_is_cut_asks_for_more_and_shows_that(world, capsys):
    def answer(source):
        cut = source == LINES[0] and server.bodies[-1]["parameters"]["max_new_tokens"] < 1024
        return ("cut off and", "length") if cut else other_words(source)

    server = LoopbackTGI(answer)
    world(LINES, server=server)
    shown = capsys.readouterr().err
    assert other_words(LINES[0]) in shown and "cut off and" not in shown
    assert server.seen.pop(LINES[0]) > 1 and set(server.seen.values()) == {1}


def test_a_text_that_is_refused_is_no_reason_to_stop_others_are_tried(world, capsys):
    lines = [*LINES, "short"]
    _, out, server = world(lines, lambda source: 422 if source == LINES[0] else other_words(source))
    assert f"--- answers ---\n{other_words('short')}\n---\n" in capsys.readouterr().err
    assert server.seen["short"] == 1 and len(rows(out, "accepted")) == len(lines) - 1
    assert [row["source_text"] for row in rows(out, "rejected")] == [LINES[0]]


@pytest.mark.parametrize(("status", "asked"), [(422, CHECKED_ROWS), (413, CHECKED_ROWS), (401, 1), (404, 1)])
def test_an_endpoint_that_refuses_all_is_found_out_before_the_others_are_asked(world, tmp_path, status, asked):
    server = LoopbackTGI(lambda source: status)
    with pytest.raises(EndpointError) as caught:
        world(LINES, server=server)
    assert re.fullmatch(
        rf"--endpoint http://127.0.0.1:\d+: the check of one row failed: {status} bad luck with text number 0.*",
        str(caught.value),
    )
    assert sum(server.seen.values()) == len(server.seen) == asked
    assert not (tmp_path / "out" / "accepted").exists() and not (tmp_path / "out" / "manifest.json").exists()
    manifest, out, server = world(LINES)  # failures are tried again
    assert manifest["accepted"] == LONG_RUN and set(server.seen.values()) == {1}
    with Ledger(out / "ledger") as ledger:
        assert len(ledger) == LONG_RUN
