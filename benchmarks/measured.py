"""What one measured process reports of itself, as a line of JSON. Reads nothing but the standard library."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MIB = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there and in KiB elsewhere


def cpu_seconds() -> float:
    """User and system time of this process, all of its threads together."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory() -> float:
    """The most memory that this process has held so far, in MiB.

    A process inherits the peak of the one that started it, which therefore has to be a small one.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB


@contextmanager
def measuring(report: dict[str, Any]) -> Iterator[None]:
    """Put `seconds` and `cpu` of the block, and `memory_before` and `peak_memory` of the process, into `report`."""
    report["memory_before"] = peak_memory()
    wall, cpu = time.monotonic(), cpu_seconds()
    yield
    report |= {"seconds": time.monotonic() - wall, "cpu": cpu_seconds() - cpu, "peak_memory": peak_memory()}


def tell(report: dict[str, Any]) -> None:
    """Hand `report` to the process that started this one."""
    print(json.dumps(report), flush=True)
