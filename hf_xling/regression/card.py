"""The cards of a rating model or classifier, and of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_xling.hub.results import measured_split, regression_evidence
from hf_xling.provenance.lineage import Lineage
from hf_xling.provenance.model_cards import write_model_card

SETTINGS = (
    *("learning_rate", "lr_scheduler_type", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("num_train_epochs", "layer_lr_decay", "freeze_body_steps", "long_text"),
)


def write_regressor_card(
    folder: Path,
    lineage: Lineage,
    repo_id: str | None,
    results: Mapping[str, Any],
    classes: Sequence[str] | None,
    adapter: bool,
    **facts: Any,
) -> None:
    """Write `README.md`: what the model predicts, how to use it, how it was trained, on what, and what was measured.

    Args:
        folder: of the model.
        lineage: of the model.
        repo_id: on the Hub; None while it has none.
        results: as in `all_results.json`; may be empty.
        classes: that a classifier predicts; None of a rating model.
        adapter: whether it is one, and no whole checkpoint.
        facts: what else `regressor_card` shows.
    """
    write_model_card(
        folder,
        "regressor_card",
        lineage,
        repo_id,
        {
            **({"library_name": "peft"} if adapter else {}),
            "pipeline_tag": "text-classification",
            "tags": ["regression" if classes is None else "classification"],
        },
        regression_evidence(results),
        "train" if "fold" in results else measured_split(results),
        classes=classes,
        adapter=adapter,
        **facts,
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
