"""hf_xling: cross-lingual augmentation, SimCSE training and rating regression for low-resource languages.

Public names are imported on first use, so that `hf-xling --help` and generation load no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "EndpointClient": "hf_xling.generation.endpoint",
    "Ledger": "hf_xling.generation.ledger",
    "PromptTemplate": "hf_xling.generation.prompts",
    "RatingEnsemble": "hf_xling.regression.ensemble",
    "RecipeParser": "hf_xling.recipes",
    "RegressionConfig": "hf_xling.regression.config",
    "RegressionTrainer": "hf_xling.regression.trainer",
    "SimCSEConfig": "hf_xling.contrastive.config",
    "SimCSETrainer": "hf_xling.contrastive.trainer",
    "alignment": "hf_xling.contrastive.evaluation",
    "info_nce": "hf_xling.contrastive.losses",
    "uniformity": "hf_xling.contrastive.evaluation",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
