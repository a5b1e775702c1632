"""A process in which real clients of the Hub run: they read its address from the environment when they are imported."""

import multiprocessing
import os
import secrets
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

WRITER, READER = (f"hf_{secrets.token_hex(17)}" for _ in range(2))  # tokens: of a member of `org`, and of a stranger


class ClientError(Exception):
    """What a client raised: its traceback, with the causes. The error itself need not survive the way here."""


class Client:
    """Calls functions in the process; they are a module's own, and import the libraries themselves."""

    def __init__(self, pool: ProcessPoolExecutor):
        self._pool = pool

    def __call__(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """What `function` returns there.

        Raises:
            ClientError: what it raised.
        """
        returned, failure = self._pool.submit(_call, function, *args, **kwargs).result()
        if failure is not None:
            raise ClientError(failure)
        return returned


def environment(url: str, home: Path, token: str | None = None) -> dict[str, str]:
    """What makes clients take `url` for the Hub, and keep everything in the folder `home`."""
    said = {"HF_ENDPOINT": url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_HOME": str(home)}
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    return {**said, **quiet, "HF_TOKEN": token or ""}


@contextmanager
def client(url: str, home: Path, token: str | None = None) -> Iterator[Client]:
    """A client process, for as long as the block runs. Importing the libraries takes it seconds, once."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin) as pool:
        with patch.dict(os.environ, environment(url, home, token)):
            pool.submit(os.getpid).result()  # starts it
        yield Client(pool)


def _begin() -> None:
    warnings.simplefilter("error")
    # huggingface_hub itself sends files so, where Xet is off.
    warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
    # As in the settings of pytest: peft asks transformers 5 for a property by its older name.
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)


def _call(function: Callable, *args: Any, **kwargs: Any) -> tuple[Any, str | None]:
    try:
        return function(*args, **kwargs), None
    except BaseException:
        return None, traceback.format_exc()
