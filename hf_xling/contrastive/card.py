"""The card of an encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_xling.contrastive.course import draw_course
from hf_xling.hub.results import contrastive_evidence
from hf_xling.provenance.lineage import Lineage
from hf_xling.provenance.model_cards import write_model_card

SETTINGS = (
    *("temperature", "symmetric", "negative_weight", "mlm_weight", "max_length", "learning_rate", "lr_scheduler_type"),
    "per_device_train_batch_size",
)


def write_encoder_card(
    folder: Path,
    lineage: Lineage,
    repo_id: str | None,
    log_history: Sequence[Mapping[str, Any]],
    chance: Mapping[str, float],
    adapter: bool,
    **facts: Any,
) -> None:
    """Write `README.md`: what the encoder is, how to load it, how it was trained, on what, and what was measured.

    And `training.png`, which it shows, where anything was logged more than once.

    Args:
        folder: of the encoder.
        lineage: of the encoder.
        repo_id: on the Hub; None while it has none.
        log_history: of a Trainer's state.
        chance: what a metric is by chance, if that is known.
        adapter: whether it is one, and no whole checkpoint.
        facts: what else `encoder_card` shows.
    """
    write_model_card(
        folder,
        "encoder_card",
        lineage,
        repo_id,
        {
            "library_name": "peft" if adapter else "sentence-transformers",
            "pipeline_tag": "sentence-similarity",
            "tags": ["sentence-transformers", "simcse", "feature-extraction"],
        },
        contrastive_evidence(log_history, chance),
        "similarity",
        adapter=adapter,
        course=draw_course(log_history, chance, folder),
        **facts,
    )
