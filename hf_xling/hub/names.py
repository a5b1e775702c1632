"""Names as they may be published: of what lies on somebody's machine, what names it and not where it lies."""

from __future__ import annotations

import re
from functools import lru_cache

_PATH = re.compile(r"[/~\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|file:")
_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")  # a model's folder in the cache of the Hub


@lru_cache
def model_name(model_id: str | None) -> str | None:
    """The name of a model, as it may be published: of a path on somebody's server, what names the model."""
    if model_id is None or not _PATH.match(model_id):
        return model_id
    cached = _CACHED.search(model_id)
    return "/".join(cached.groups()) if cached else re.split(r"[/\\]", model_id.rstrip("/\\"))[-1] or None
