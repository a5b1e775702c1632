"""The processes of one launch (`accelerate launch -m hf_xling.generation.stage …`): who am I, and are the others done.

Reading RANK and WORLD_SIZE needs no torch; waiting for other processes does, and imports it where there are some.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

LONGEST_STAGE = timedelta(days=30)  # torch's own limit on waiting is half an hour; a rank may have hours more to do


@dataclass(frozen=True)
class Ranks:
    """This process's number and how many there are."""

    rank: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> Self:
        """As a launcher has set them; one process where there is none."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks to the user and writes the rows."""
        return self.rank == 0

    def wait_for_all(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            from accelerate import PartialState

            PartialState(cpu=True, timeout=LONGEST_STAGE).wait_for_everyone()
