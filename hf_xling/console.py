"""The end of every command: its closing lines on stdout, or one line about the failure on stderr and an exit status."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from tqdm import tqdm

from hf_xling.errors import InputError, XlingError, one_line

DEBUG_VARIABLE = "HF_XLING_DEBUG"
# What opening a path that somebody gave can fail with.
_OF_PATHS = {
    *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
    errno.ELOOP,
}
_NOTED: set[str] = set()  # what `note_once` has said of this command


def run_command(main: Callable[[Sequence[str]], str | None], argv: Sequence[str] | None = None) -> int:
    """Run `main(argv)`, print the lines that it returns, and return the exit status.

    The status is 0 when done, 2 for bad input, 1 for any other failure, 130 when interrupted. A bare `--debug` in
    `argv` shows the traceback of a failure.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    _NOTED.clear()
    debug = take_debug_flag(argv) or os.environ.get(DEBUG_VARIABLE) == "1"
    before = os.environ.get(DEBUG_VARIABLE, "")
    os.environ[DEBUG_VARIABLE] = "1" if debug else before  # for the scripts that this command launches
    try:
        closing = main(argv)
        if closing:
            print(closing)
        return 0
    except KeyboardInterrupt as error:
        print("interrupted" + (f": {one_line(error)}" if str(error) else ""), file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, XlingError):
            print(f"error: {one_line(error)}", file=sys.stderr)
            return error.status
        if isinstance(error, OSError) and error.errno in _OF_PATHS and error.filename is not None:
            print(f"error: {one_line(os.fsdecode(error.filename))}: {error.strerror}", file=sys.stderr)
            return InputError.status
        hint = "" if debug else " (--debug shows the traceback)"
        print(f"error: {type(error).__name__}: {one_line(error)}{hint}", file=sys.stderr)
        return 1
    finally:
        os.environ[DEBUG_VARIABLE] = before


def announce(line: str) -> None:
    """Print `line` at once, for a command that has something to say before it ends."""
    print(line, flush=True)


def note(text: str) -> None:
    """Print `text` on stderr at once, on lines of its own above the progress of a command."""
    tqdm.write(text, file=sys.stderr)


def note_once(text: str) -> None:
    """`note`, once a command, from the first process of a launch: all read the same tables, and some several times."""
    if text not in _NOTED and int(os.environ.get("RANK", "0")) == 0:
        _NOTED.add(text)
        note(text)


def take_debug_flag(argv: list[str]) -> bool:
    """Remove each bare `--debug` from `argv` and tell whether there was one.

    `--debug VALUE` is transformers' own option of that name and stays.
    """
    pairs = list(zip(argv, [*argv[1:], "-"], strict=False))
    argv[:] = [token for token, after in pairs if token != "--debug" or not after.startswith("-")]
    return len(argv) < len(pairs)
