"""`--label_map`: numbers for labels that are names."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_xling.errors import InputError


def label_values(items: Sequence[str] | None) -> dict[str, float] | None:
    """`NAME=NUMBER` items as numbers by name; None where no map was given.

    Raises:
        InputError: an item is not of that form, its number is not finite, or a name stands twice.
    """
    if items is None:
        return None
    values: dict[str, float] = {}
    for item in items:
        name, _, value = item.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise InputError(f"--label_map {item}: NAME=NUMBER is needed, such as Happy=1")
        if name in values:
            raise InputError(f"--label_map: `{name}` stands twice")
        values[name] = number
    return values
