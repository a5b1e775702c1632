"""A program that runs a command and ends it, and all that it started, when the process that asked for it has ended.

`python guard.py SECONDS COMMAND…` is started as the leader of a process group, with a pipe as its input whose other end
that process holds and never writes to. However that process ends, SIGKILL included, the system closes the pipe: the
group then gets SIGTERM, and SIGKILL after so many seconds. Once the command has ended, what it left behind is killed.

A pipe rather than Linux's PR_SET_PDEATHSIG, which goes by the thread that forked, reaches the child alone and none of
the child's own, and exists on Linux only. Reads nothing of the package and works on any POSIX system.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

OWN_GROUP = 0  # what kill(2) takes for the caller's process group


def main(seconds: float, command: list[str]) -> None:
    """Run `command` to its end and write its status to stderr; ends by SIGKILL, as all of its group does."""
    # The group's SIGTERM is meant for the command. A handler, as ignoring would be handed on to it.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_parent, args=(seconds,), daemon=True).start()
    status = process.wait()
    sys.stderr.write(f"the server ended with status {status}\n")
    sys.stderr.flush()
    os.kill(OWN_GROUP, signal.SIGKILL)


def _end_with_parent(seconds: float) -> None:
    sys.stdin.buffer.read()
    os.kill(OWN_GROUP, signal.SIGTERM)
    time.sleep(seconds)
    os.kill(OWN_GROUP, signal.SIGKILL)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
