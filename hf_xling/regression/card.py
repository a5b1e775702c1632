"""The cards of a rating model or classifier, and of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_xling.hub.cards import training_settings
from hf_xling.hub.results import measured_split, regression_evidence
from hf_xling.provenance.lineage import Lineage
from hf_xling.provenance.model_cards import write_model_card
from hf_xling.regression.tasks import ClassTask

if TYPE_CHECKING:
    from hf_xling.regression.trainer import RegressionTrainer

SETTINGS = (
    *("learning_rate", "lr_scheduler_type", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("num_train_epochs", "layer_lr_decay", "freeze_body_steps", "long_text"),
)


def write_regressor_card(trainer: RegressionTrainer, results: Mapping[str, Any]) -> None:
    """Write `README.md`: what the model predicts, how to use it, how it was trained, on what, and what was measured.

    Args:
        trainer: at the end of the training.
        results: as in `all_results.json`; may be empty.
    """
    args, labels, adapter = trainer.args, trainer.train_dataset.labels, trainer.is_adapter
    classes = trainer.task.names if isinstance(trainer.task, ClassTask) else None
    more = {"max_length": trainer.cutter.max_length, "steps": trainer.state.global_step}
    more |= {"tokens of the training texts": trainer.coverage}
    more |= {f"tokens of {texts}": found for texts, found in trainer.held_out_coverage.items()}
    write_model_card(
        args.output_dir,
        "regressor_card",
        trainer.lineage,
        args.hub_model_id,
        {
            **({"library_name": "peft"} if adapter else {}),
            "pipeline_tag": "text-classification",
            "tags": ["regression" if classes is None else "classification"],
        },
        regression_evidence(results),
        "train" if "fold" in results else measured_split(results),
        settings=training_settings(args, SETTINGS, **more),
        rows=len(labels),
        classes=classes,
        lowest=min(labels),
        highest=max(labels),
        mean=round(sum(labels) / len(labels), 3),
        long_text=args.long_text,
        adapter=adapter,
    )


def write_ensemble_card(
    folder: Path,
    members: int,
    lineage: Lineage,
    repo_id: str | None,
    results: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Write `README.md` of an ensemble.

    Args:
        folder: of the ensemble.
        members: how many there are.
        lineage: of all of them.
        repo_id: on the Hub; None while it has none.
        results: what `summary.summarise` says of them; may be empty.
        settings: of their trainings; may be empty.
    """
    spread = {name: value for name, value in results.items() if "_calibration_" in name and isinstance(value, float)}
    folds_alone = "folds" in results and "ensemble_test_mse" not in results
    write_model_card(
        folder,
        "ensemble_card",
        lineage,
        repo_id,
        {"pipeline_tag": "text-classification", "tags": ["regression"]},
        regression_evidence(results),
        "train" if folds_alone else measured_split(results),
        members=members,
        settings=settings,
        calibration={name: round(value, 4) for name, value in spread.items()},
    )
