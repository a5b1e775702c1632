"""Loading pretrained parts with one clear line where there is nothing to load."""

from __future__ import annotations

from typing import Any

from transformers.utils import logging

from hf_xling.errors import InputError


def load_pretrained(loader: Any, name: str, revision: str | None = None, **kwargs: Any) -> Any:
    """`loader.from_pretrained(name)` for an Auto class of transformers.

    Raises:
        InputError: `name` is neither a checkpoint folder nor reachable on the Hub, or is damaged.
    """
    try:
        return loader.from_pretrained(name, revision=revision or "main", **kwargs)
    except (OSError, ValueError) as error:
        raise InputError(f"--model_name_or_path {name}: cannot be loaded as a checkpoint ({error})") from error


def quiet_transformers() -> None:
    """For scripts: no bars and reports of transformers around loading and saving; training's own progress stays."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
