"""The commands of the docs, and a folder in which each is run once, after those whose files it reads."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def commands_of(page: str) -> list[str]:
    """The commands of the bash blocks of a page, continued lines joined."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def output_of(command: str) -> str:
    """The folder or file that a command writes, as it names it; the command itself where it names none."""
    found = re.search(r"--output(?:_dir)? (\S+)", command)
    return found[1] if found else command


@dataclass
class Workshop:
    """Runs commands in a folder of files for them.

    Args:
        folder: where.
        commands: all that can be run there, in the order of the docs.
        adapted: makes of a command of the docs the one that is run here.
        environment: what is set for a command beside the tests' own environment.
    """

    folder: Path
    commands: list[str]
    adapted: Callable[[str], str] = str
    environment: Callable[[str], dict[str, str]] = lambda command: {}
    _done: dict[str, subprocess.CompletedProcess] = field(default_factory=dict)

    def run(self, command: str) -> subprocess.CompletedProcess:
        """The end of `command`; the test is skipped where a command failed whose output this one reads."""
        for earlier in self._needs(command):
            if self.run(earlier).returncode != 0:
                pytest.skip(f"needs {output_of(earlier)}, and the command that makes it failed")
        if command not in self._done:
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            self._done[command] = subprocess.run(
                shlex.split(self.adapted(command)),
                cwd=self.folder,
                env={**os.environ, "PATH": path, **self.environment(command)},
                capture_output=True,
                text=True,
            )
        return self._done[command]

    def _needs(self, command: str) -> list[str]:
        """The first commands that make what this one reads."""
        makers: dict[str, str] = {}
        for other in self.commands:
            makers.setdefault(output_of(other), other)
        read = [token for token in shlex.split(command) if token != output_of(command)]
        return [makers[out] for out in makers if any(f"{token}/".startswith(f"{out}/") for token in read)]
