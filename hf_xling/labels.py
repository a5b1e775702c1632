"""Labels: which number or class a value means, and `--label_map`. Every stage reads them by these rules.

What has one certain meaning is read: `" 4.5 "`, `௪`, `2.0` for class 2. What could mean several things, or would be
Python's own reading (`4,5`, `3_5`, `True`, `4/5`), is none, and the row is named.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hf_xling.errors import InputError

UNLABELLED = -1  # what `datasets` writes where a `ClassLabel` is unknown, as in SNLI
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+", re.ASCII)


class BadRow(ValueError):
    """A row that cannot be used: the message is for its owner, the reason for a count."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def is_missing(value: Any, class_names: Sequence[str] | None = None) -> bool:
    """Whether `value` says nothing: null, NaN, blank, or -1 in a `ClassLabel` column, whose `class_names` are given."""
    blank = isinstance(value, str) and not value.strip()
    return value is None or value != value or blank or (class_names is not None and value == UNLABELLED)


def number_of(value: Any) -> float:
    """The finite number that `value` is.

    Raises:
        BadRow: it is missing, no number or not finite.
    """
    if is_missing(value):
        raise BadRow("label is null", "the label is null; a number is needed")
    if isinstance(value, str):
        text = "".join(str(unicodedata.decimal(each, each)) for each in value.strip()).replace("\N{MINUS SIGN}", "-")
        number = float(text) if _NUMBER.fullmatch(text) else math.nan if _NOT_FINITE.fullmatch(text) else None
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an integer of more than 308 digits
            number = math.inf
    else:
        number = None
    if number is None:
        way = "such as 10.5 (--label_map gives numbers to names)"
        raise BadRow("label is not a number", f"the label is {value!r}; a number is needed, {way}")
    if not math.isfinite(number):
        raise BadRow("label is not finite", f"the label is {value!r}; a finite number is needed")
    return number


def rating_of(
    value: Any,
    values: Mapping[str, float] | None = None,
    class_names: Sequence[str] | None = None,
    limits: Sequence[float] | None = None,
) -> float:
    """The rating that `value` is, by `--label_map` (`values`) where there is one, and within `limits`, ends included.

    Raises:
        BadRow: it is missing, no number, not in the map or out of range.
    """
    if is_missing(value, class_names):
        raise BadRow("label is null", "the label is null; a number is needed")
    number = number_of(value) if values is None else values[_mapped_name(value, values, class_names)]
    if limits is not None and not limits[0] <= number <= limits[1]:
        raise BadRow("label out of range", f"the label is {number}; --label_range allows {limits[0]} to {limits[1]}")
    return number


def class_name(value: Any, class_names: Sequence[str] | None, values: Mapping[str, float] | None = None) -> str:
    """The name of the class that `value` is: 2, 2.0 and "2.0" are the class `2`; with `--label_map` a name in it.

    Raises:
        BadRow: it is missing, no class or not in the map.
    """
    if is_missing(value, class_names):
        raise BadRow("label is null", "the label is null; the name of a class is needed")
    if values is not None:
        return _mapped_name(value, values, class_names)
    name = _class_at(value, class_names) if class_names else _plain_name(value)
    if name is None:
        raise BadRow("label is not a class", f"the label is {value!r}; the name of a class is needed")
    return name


def _mapped_name(value: Any, values: Mapping[str, float], class_names: Sequence[str] | None) -> str:
    """The name in `--label_map` of `value`, or of the class whose number in a `ClassLabel` column it is."""
    names = [str(value).strip(), _plain_name(value), _class_at(value, class_names)]
    for name in [*names, *([str(value).lower()] if isinstance(value, bool) else [])]:
        if name is not None and name in values:
            return name
    raise BadRow("label not in --label_map", f"the label is {value!r}; --label_map has {', '.join(values)}")


def _plain_name(value: Any) -> str | None:
    if isinstance(value, str):
        whole = _WHOLE.fullmatch(value.strip())
        return str(int(whole[1])) if whole else value.strip()
    if isinstance(value, float | Decimal):  # integers come as floats from columns with nulls
        return None if not math.isfinite(value) else str(int(value)) if value == int(value) else str(value)
    return str(value) if isinstance(value, int) else None


def _class_at(value: Any, class_names: Sequence[str] | None) -> str | None:
    if not class_names or not isinstance(value, int | float) or value != value or value not in range(len(class_names)):
        return None
    return class_names[int(value)]


def label_values(items: Sequence[str] | None) -> dict[str, float] | None:
    """`NAME=NUMBER` items as numbers by name; None where no map was given.

    Raises:
        InputError: an item is not of that form, its number is not finite, or a name is given twice.
    """
    if items is None:
        return None
    values: dict[str, float] = {}
    for item in items:
        name, _, value = item.rpartition("=")
        name = name.strip()
        try:
            number = number_of(value if name else None)
        except BadRow as error:
            raise InputError(f"--label_map {item}: NAME=NUMBER is needed, such as Happy=1") from error
        if name in values:
            raise InputError(f"--label_map: `{name}` is given twice")
        values[name] = number
    return values
