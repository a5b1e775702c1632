"""What may leave for the Hub: no pickle, no token, no path of this machine."""

from __future__ import annotations

import json
from pathlib import Path

from hf_xling.errors import InputError
from hf_xling.runs import write_json

STATE_FILE = "trainer_state.json"


def check_strategy(strategy: str) -> None:
    """An `InputError` unless a Trainer pushes at its end only.

    What it pushes with each checkpoint holds a pickle of all its arguments, `--hub_token` among them.
    """
    if strategy != "end":
        raise InputError(
            f"--hub_strategy {strategy}: would push a pickle of all arguments, the token among them; take `end`"
        )


def forget_local_paths(folder: str | Path) -> None:
    """In the state of a Trainer in `folder`, call the best checkpoint by its name alone."""
    path = Path(folder) / STATE_FILE
    state = json.loads(path.read_text(encoding="utf-8"))
    if state.get("best_model_checkpoint"):
        state["best_model_checkpoint"] = Path(state["best_model_checkpoint"]).name
        write_json(path, state)
