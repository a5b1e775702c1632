"""Early stopping that holds when a run is taken up again."""

from __future__ import annotations

from pathlib import Path

from transformers import Trainer, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import TrainOutput


def end_where_stopped(trainer: Trainer, checkpoint: str | bool | None, patience: int | None) -> TrainOutput | None:
    """Let `trainer` end with its best checkpoint, if its `EarlyStoppingCallback` had ended it at `checkpoint`.

    Trainer forgets that on resuming and trains on: killed between its last checkpoint and its end, a run would become
    another one. Returns None where training has to go on.
    """
    if patience is None or not isinstance(checkpoint, str):
        return None
    state = TrainerState.load_from_json(str(Path(checkpoint) / TRAINER_STATE_NAME))
    callback = state.stateful_callbacks.get("EarlyStoppingCallback", {})
    counter = callback.get("attributes", {}).get("early_stopping_patience_counter", 0)
    if counter < patience:
        return None
    trainer.state = state
    trainer._load_best_model()
    return TrainOutput(state.global_step, float("nan"), {})
