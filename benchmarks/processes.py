"""The processes of a benchmark: a server and a client for each measurement, and a peer's environment.

This process starts them and stays small, because a process inherits the peak memory of the one that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import workload

HERE = Path(__file__).parent


class Failed(Exception):
    """A process of the benchmark failed."""


class OutOfMemory(Failed):
    """A process was killed from outside."""


class Server:
    """A loopback server that runs."""

    def __init__(self, url: str, slots: int):
        self.url, self.slots = url, slots

    def stats(self) -> dict[str, Any]:
        """What its slots have done so far."""
        with urllib.request.urlopen(f"{self.url}/stats") as answer:
            return json.load(answer)


class Processes:
    """Runs the processes of one benchmark in one folder."""

    def __init__(self, folder: Path, **environment: str):
        self._folder, self._numbers = folder, count()
        self._environment = {**os.environ, "HF_HUB_OFFLINE": "1", **environment}

    def folder(self, name: str) -> Path:
        """A new folder."""
        path = self._folder / f"{next(self._numbers):02d}-{name}"
        path.mkdir()
        return path

    def python(self, script: Path, *arguments: str, interpreter: str = sys.executable) -> dict[str, Any]:
        """Run `script` and return what it reports.

        Raises:
            Failed: it ended with an error; the message holds the end of its log.
        """
        log = self.folder("log") / "stderr"
        print(f"{script.name} {' '.join(arguments[:1])} …", file=sys.stderr)
        with open(log, "w", encoding="utf-8") as stream:  # what it prints there may be more than a pipe holds
            command = [interpreter, str(script), *arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stream, text=True, env=self._environment)
        if done.returncode == -signal.SIGKILL:
            raise OutOfMemory(f"{script.name} was killed, as happens to a process that wants too much memory")
        if done.returncode != 0:
            raise Failed(f"{script.name} failed:\n{log.read_text(encoding='utf-8')[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])


class Bench(Processes):
    """Those of the benchmark of generation.

    Attributes:
        peer: the interpreter of an environment that has the peer; None where there is none.
    """

    def __init__(self, options: argparse.Namespace, folder: Path):
        super().__init__(folder, RANK="0", WORLD_SIZE="1")  # a benchmark is no launch
        self.options, self.peer = options, None

    @contextmanager
    def server(self, slots: int, rows: int = 0, mean: float = 0.0) -> Iterator[Server]:
        """A server whose first `rows` rows take `mean` seconds on average; by default all answers come at once."""
        options = self.options
        numbers = {"slots": slots, "rows": rows, "mean": mean, "longest": options.longest, "seed": options.seed}
        flags = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, str(HERE / "loopback_server.py"), *flags]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self._environment)
        try:
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}", slots)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def client(
        self, server: Server, arguments: Sequence[str] | None, rows: int, folder: Path | None = None
    ) -> dict[str, Any]:
        """Let a client of `clients.py`, or the peer where `arguments` is None, ask about the first `rows` rows.

        It has as many requests in flight as the server has slots, unless `arguments` say otherwise.
        """
        values = {"url": server.url, "texts": self._texts(rows), "folder": folder or self.folder("client")}
        values["in_flight"] = server.slots
        common = [word for name, value in values.items() for word in (f"--{name}", str(value))]
        if arguments is None:
            return self.python(HERE / "datatrove_client.py", *common, interpreter=self.peer)
        return self.python(HERE / "clients.py", arguments[0], *common, *arguments[1:])

    def find_peer(self, requirements: Sequence[str]) -> None:
        """Take the interpreter that was given, or install the peer in an environment of its own; or say why not.

        `datatrove[inference]` itself would bring vLLM and SGLang, which want a GPU at build time; what is left of it
        without them is enough for a server that runs already.
        """
        if self.options.peer_python:
            self.peer = self.options.peer_python
            return
        folder = self.folder("peer")
        interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        install = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                print(f"datatrove is left out: {done.stdout.strip().splitlines()[-1]}", file=sys.stderr)
                return
        self.peer = str(interpreter)

    def _texts(self, rows: int) -> Path:
        path = self._folder / f"texts-{rows}.txt"
        if not path.exists():
            with open(path, "w", encoding="utf-8") as stream:
                stream.writelines(f"{workload.sentence(number)}\n" for number in range(rows))
        return path


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """What the figures depend on and nothing that names this machine."""
    versions = {name: version(name) for name in packages}
    return {"CPU cores": os.cpu_count(), "system": platform.system(), "Python": platform.python_version(), **versions}


def write_results(path: Path | None, results: dict[str, Any]) -> None:
    """Write `results` as JSON; None for nowhere."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


@contextmanager
def reporting(
    parser: argparse.ArgumentParser,
    results: dict[str, Any],
    as_text: Callable[[dict[str, Any]], str],
    output: Path | None,
) -> Iterator[Path]:
    """A folder for the processes of a benchmark; at its end the tables of `results` are printed and all is written.

    Where a process fails, its log goes to stderr and the status is 1.
    """
    with tempfile.TemporaryDirectory(prefix="hf_xling-benchmark-") as folder:
        try:
            yield Path(folder)
        except Failed as error:
            parser.exit(1, f"{error}\n")
    print(as_text(results))
    write_results(output, results)
