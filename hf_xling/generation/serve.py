"""A local server for `--serve MODEL`: vLLM where it is installed, else `transformers serve`."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from tqdm import tqdm

from hf_xling.errors import EndpointError, InputError, one_line
from hf_xling.runs import file_hash

LOOPBACK = "127.0.0.1"
POLL = 0.2  # seconds between two looks at a server that is starting
GUARD = Path(__file__).with_name("guard.py")

# Without a GPU, continuous batching takes 60% of the computer's whole memory, whoever else may use it, and zeroes it
# during the first request (7 GB of 23, and 18 s, for a model of 0.5 MB; bounded like this 2.6 GB and 5 s). Only torch
# knows whether there is one, and generation imports no torch: so the server's own process looks.
TRANSFORMERS_SERVE = """
import sys
import torch
from transformers.cli.transformers import app
bounds = ["--cb-max-memory-percent", "0.2", "--cb-max-batch-tokens", "2048"]
app(["serve", *sys.argv[1:], *([] if torch.accelerator.is_available() else bounds)])
"""
TRANSFORMERS_NEEDS = ("fastapi", "openai", "pydantic", "uvicorn")

# Names of variables whose values are nobody's business but their owner's: OPENAI_API_KEY, AWS_SECRET_ACCESS_KEY, …
# VLLM_API_KEY is one, too: with it vLLM would refuse us.
SECRET = re.compile(r"(^|_)(TOKEN|KEY|SECRET|PASSWORD)$", re.IGNORECASE)
HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")

ERROR_LINE = re.compile(r"((?:[\w.]*(?:Error|Exception)|ERROR):\s.+)")


@dataclass(frozen=True)
class ServedModel:
    """A model behind a local server that is up.

    Attributes:
        url: base URL of the server, without `/v1`.
        model_id: what to send as `model`.
        model_sha: 40 hexadecimal digits: of a folder's content, or the commit of a model from the Hub.
        extra_body: further fields for each request's body, without which the server would not sample.
    """

    url: str
    model_id: str
    model_sha: str
    extra_body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A kind of server.

    Attributes:
        name: what to call it.
        command: the command line that serves a model on a port of the loopback interface; its `/health` answers 200
            once the model is loaded.
        samples: whether it samples when it is sent a temperature; otherwise it goes by the model's generation config.
        revisions: whether it takes what follows an `@` in a model's name for a revision, in that of a folder too.
    """

    name: str
    command: Callable[[str, int], Sequence[str]]
    samples: bool = True
    revisions: bool = False


def find_server(find_spec: Callable[[str], object | None] = importlib.util.find_spec) -> Server:
    """The server that is installed beside this package.

    Raises:
        InputError: there is none.
    """
    if find_spec("vllm"):
        return Server("vLLM", _vllm_command)
    if all(map(find_spec, TRANSFORMERS_NEEDS)):
        return Server("transformers serve", _transformers_command, samples=False, revisions=True)
    raise InputError("--serve: no server is installed; pip install 'hf_xling[serve]' (or vllm, for a GPU)")


@contextmanager
def serving_model(
    model: str, log: Path, longest_start: float = 900.0, longest_stop: float = 10.0, server: Server | None = None
) -> Iterator[ServedModel]:
    """Start a server for `model` on a free loopback port, wait until it is healthy, and stop it whatever happens.

    The server runs in a session of its own: Ctrl-C in the terminal reaches this process alone, which can so collect
    what it has asked for. The server ends with the block, by SIGTERM to all of its processes, then SIGKILL; and it ends
    with this process however that ends (see `guard.py`), as long as no fork of it lives on. It is given no secrets from
    the environment, but for the Hub's token if the model comes from there.

    Args:
        model: a folder with a checkpoint, or the id of a model on the Hub.
        log: a file for all that the server writes; an earlier one is replaced.
        longest_start: seconds until the server must be healthy; a download counts.
        longest_stop: seconds that the server has for ending itself.
        server: what to start, by default what is installed.

    Raises:
        InputError: there is no such model, or no server; nothing has been started.
        EndpointError: the server ended or did not become healthy in time.
    """
    config = _find_file(model, "config.json")
    server = server or find_server()
    folder = Path(model).is_dir()
    if folder and server.revisions and "@" in model:
        raise InputError(f"--serve {model}: {server.name} takes no path with an @; a relative one may have none")
    extra_body = {} if server.samples else {"generation_config": _sampling_config(model, config)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with _free_port() as port:
        command = [sys.executable, "-I", "-S", str(GUARD), str(longest_stop), *server.command(model, port)]
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(folder),
                start_new_session=True,
            )
        with process:
            try:
                sha = file_hash(model)[:40] if folder else config.parent.name  # while the server loads it
                _wait_until_healthy(process, port, longest_start, f"--serve {model}", server.name, log)
                yield ServedModel(f"http://{LOOPBACK}:{port}", model, sha, extra_body)
            finally:
                _stop(process, longest_stop)


def _wait_until_healthy(process: subprocess.Popen, port: int, longest: float, who: str, name: str, log: Path) -> None:
    start = time.monotonic()
    with tqdm(desc=f"{who}: starting {name}", bar_format="{desc}, {elapsed}", mininterval=1.0) as progress:
        while not _is_healthy(port):
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL)
                raise EndpointError(f"{who}: {name} failed: {_telling_line(log)}; see {log}")
            if time.monotonic() - start > longest:
                raise EndpointError(f"{who}: {name} was not up after {longest:g} s: {_telling_line(log)}; see {log}")
            progress.update()


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=5.0)  # goes past proxies, unlike urllib's
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen, longest: float) -> None:
    """End the whole process group; a second interruption makes it quick."""
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses where all have ended
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(longest)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _free_port() -> Iterator[int]:
    """A port that is free, and on Linux stays so until the server listens: loading a model takes minutes.

    There a second socket may be bound to a port as long as nobody listens, if both allow it, which servers do.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, 0))
        port = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()
        yield port


def _vllm_command(model: str, port: int) -> list[str]:
    module = "vllm.entrypoints.openai.api_server"
    return [sys.executable, "-P", "-m", module, "--model", model, "--host", LOOPBACK, "--port", str(port)]


def _transformers_command(model: str, port: int) -> list[str]:
    options = ["--host", LOOPBACK, "--port", str(port), "--continuous-batching"]
    # -P: a folder `transformers` where the command happens to be run is not the library
    return [sys.executable, "-P", "-c", TRANSFORMERS_SERVE, model, *options]


def _environment(folder: bool) -> dict[str, str]:
    """This process's environment without secrets; that of the Hub is needed where a model comes from there."""
    needed = () if folder else HUB_TOKENS
    kept = {name: value for name, value in os.environ.items() if name in needed or not SECRET.search(name)}
    # vLLM reports its usage unless told not to; the token may lie in a file as well.
    own = {"PYTHONUNBUFFERED": "1", "VLLM_NO_USAGE_STATS": "1"}
    return kept | own | ({"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"} if folder else {})


def _find_file(model: str, name: str) -> Path:
    """The file `name` of a model in a folder or on the Hub, whence it is downloaded if it is not in the cache.

    Raises:
        InputError: there is no such model or file.
    """
    path = Path(model)
    if path.is_dir():
        if not (path / name).is_file():
            raise InputError(f"--serve {model}: holds no {name}; the folder of a checkpoint is needed")
        return path / name
    if path.exists():
        raise InputError(f"--serve {model}: is a file; the folder of a checkpoint is needed")
    try:
        return Path(hf_hub_download(model, name))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise InputError(
            f"--serve {model}: no such folder, and no {name} of such a model on the Hub ({one_line(error, 120)})"
        ) from error


def _sampling_config(model: str, config: Path) -> str:
    """The model's own generation config, as JSON, with sampling switched on.

    `transformers serve` samples only if the model's config says so, whatever temperature it is sent; a config in the
    request takes the place of the model's, and the request's temperature and top_p are laid over it.
    """
    try:
        own = _read_mapping(_find_file(model, "generation_config.json"))
    except InputError:  # an older checkpoint: what ends an answer is in its config
        whole = _read_mapping(config)
        own = {name: whole[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in whole}
    return json.dumps({**own, "do_sample": True}, sort_keys=True)


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: is not the JSON of a config ({one_line(error, 120)})") from error


def _telling_line(log: Path) -> str:
    """The last line of `log` that names an error, else the last line."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    named = [found.group(1) for found in map(ERROR_LINE.search, lines) if found]
    return one_line((named or lines or ["it wrote nothing"])[-1], 120)
