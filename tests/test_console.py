import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from hf_xling.console import note, run_command, take_debug_flag
from hf_xling.errors import EndpointError, InputError, XlingError, one_line


def failing(error):
    def main(argv):
        raise error

    return main


def test_the_closing_lines_go_to_stdout(capsys):
    assert run_command(lambda argv: f"got {argv}", ["a", "b"]) == 0
    assert capsys.readouterr() == ("got ['a', 'b']\n", "")
    assert run_command(lambda argv: None, []) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("x.csv: is\nempty"), 2, "error: x.csv: is empty"),
        (XlingError("failed"), 1, "error: failed"),
        (EndpointError("down"), 1, "error: down"),
        (ZeroDivisionError("by\nzero"), 1, "error: ZeroDivisionError: by zero (--debug shows the traceback)"),
        (RuntimeError(), 1, "error: RuntimeError: RuntimeError (--debug shows the traceback)"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyboardInterrupt("9 answers\nare kept"), 130, "interrupted: 9 answers are kept"),
    ],
)
def test_a_failure_is_one_line_on_stderr_and_a_status(capsys, error, status, line):
    assert run_command(failing(error), []) == status
    assert capsys.readouterr() == ("", line + "\n")


def test_a_note_stands_on_stderr_above_the_progress(capsys):
    note("before\nanything")
    with tqdm(total=2, desc="work") as progress:
        progress.update()
        note("one of two")
        progress.update()
    out, shown = capsys.readouterr()
    lines = shown.replace("\r", "\n").splitlines()
    assert out == "" and lines[:2] == ["before", "anything"] and lines.count("one of two") == 1
    assert [line[:5] for line in lines[lines.index("one of two") + 1 :] if line.strip()] == ["work:"] * 2


def test_debug_shows_the_traceback_and_is_no_argument_of_the_command(capsys):
    def main(argv):
        raise InputError(f"bad {argv}")

    assert run_command(main, ["--debug", "--input", "x"]) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown and shown.endswith("error: bad ['--input', 'x']\n")


@pytest.mark.parametrize(
    ("argv", "left", "found"),
    [
        (["--debug"], [], True),
        (["--debug", "--x", "1", "--debug"], ["--x", "1"], True),
        (["--debug", "underflow_overflow"], ["--debug", "underflow_overflow"], False),
        (["--x", "--debugger"], ["--x", "--debugger"], False),
    ],
)
def test_only_a_bare_debug_is_ours(argv, left, found):
    assert take_debug_flag(argv) is found
    assert argv == left


@given(st.text(st.characters()), st.integers(2, 50))
def test_one_line_is_one_printable_line(text, limit):
    line = one_line(text, limit)
    assert 0 < len(line) <= limit or not line
    assert len(line.splitlines()) <= 1 and line.isprintable()
    line.encode()


def test_one_line_keeps_tamil_and_says_something_of_an_empty_error():
    assert one_line("  வணக்கம்\n\tஉலகம் ") == "வணக்கம் உலகம்"
    assert one_line(ValueError()) == "ValueError"
    assert one_line("x" * 400) == "x" * 299 + "…"
