"""The card of an encoder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from hf_xling.contrastive.course import draw_course
from hf_xling.contrastive.pooling import EXPORTED_POOLING
from hf_xling.hub.cards import training_settings
from hf_xling.hub.results import contrastive_evidence
from hf_xling.provenance.model_cards import write_model_card

if TYPE_CHECKING:
    from hf_xling.contrastive.trainer import SimCSETrainer

_SETTINGS = (
    *("temperature", "symmetric", "negative_weight", "mlm_weight", "max_length", "learning_rate", "lr_scheduler_type"),
    "per_device_train_batch_size",
)


def write_encoder_card(trainer: SimCSETrainer) -> None:
    """Write `README.md`: what the encoder is, how to load it, how it was trained, on what, and what was measured.

    And `training.png`, which it shows, where anything was logged more than once.
    """
    args, adapter, model = trainer.args, trainer.is_adapter, trainer.accelerator.unwrap_model(trainer.model)
    processes = args.world_size if args.cross_rank_negatives else 1
    more = {"processes that share negatives": processes, "steps": trainer.state.global_step}
    more |= {f"tokens of the column {column}": found for column, found in trainer.coverage.items()}
    more |= {f"tokens of {texts}": found for texts, found in trainer.held_out_coverage.items()}
    chance = {"relative_distance": 1.0}
    if not args.mlm_weight and not args.negative_weight:  # either adds to the loss
        texts = args.per_device_train_batch_size * processes * (len(trainer.train_dataset.views) - 1)
        chance["loss"] = math.log(texts)
    history = trainer.state.log_history
    write_model_card(
        args.output_dir,
        "encoder_card",
        trainer.lineage,
        args.hub_model_id,
        {
            "library_name": "peft" if adapter else "sentence-transformers",
            "pipeline_tag": "sentence-similarity",
            "tags": ["sentence-transformers", "simcse", "feature-extraction"],
        },
        contrastive_evidence(history, chance),
        "similarity",
        settings=training_settings(args, _SETTINGS, **more),
        rows=len(trainer.train_dataset),
        pairs=not trainer.train_dataset.dropout_pairs,
        pooling=EXPORTED_POOLING[model.pooling],
        prompt=model.form.prompt,
        normalize=model.form.normalize,
        mlp=model.mlp is not None,
        keep_mlp=args.keep_mlp,
        max_length=args.max_length,
        adapter=adapter,
        side=trainer.data_collator.side,
        course=draw_course(history, chance, Path(args.output_dir)),
    )
