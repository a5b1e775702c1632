"""Ratings by a saved checkpoint, as its trainer gave them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import cached_file

from hf_xling.errors import InputError
from hf_xling.provenance.lineage import Lineage, lineage_beside
from hf_xling.regression.documents import Cutter, RegressionCollator
from hf_xling.regression.head import SETTINGS, SETTINGS_FILE, document_logits, logits_side, max_length
from hf_xling.regression.tasks import class_names
from hf_xling.training.adapters import base_of
from hf_xling.training.pretrained import as_texts, load_pretrained, load_tokenizer, make_usable

TOKENS_PER_PASS = 8192
OPTION = "--model"


class Rater:
    """A saved rating model or classifier, with its tokenizer and its way with long texts.

    Args:
        model: a sequence classifier, as `load` finds it.
        tokenizer: of the model.
        source: where both were loaded from: a folder or Hub id, and a revision.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        source: tuple[str, str | None] | None = None,
    ):
        self.model = model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = tokenizer
        self._source = source
        settings = getattr(model.config, SETTINGS, None) or {}
        length = max_length(model, tokenizer, settings.get("max_length"))
        self._cutter = Cutter(tokenizer, length, settings.get("long_text", "truncate"))
        make_usable(tokenizer, model, str(model.name_or_path))
        side = logits_side(self.model, tokenizer, length, str(model.name_or_path))
        self._collate = RegressionCollator(tokenizer.pad_token_id or 0, TOKENS_PER_PASS, side=side)

    @classmethod
    def load(cls, name: str | Path, revision: str | None = None) -> Rater:
        """The checkpoint in a folder or on the Hub, on the GPU if there is one.

        An adapter is merged into its base model.

        Raises:
            InputError: there is no such checkpoint, or it has no head.
        """
        name = str(name)
        tokenizer, adapter = load_tokenizer(name, revision, OPTION), _adapter_settings(name, revision)
        if adapter is not None:
            return cls(_merged(name, revision, adapter), tokenizer, (name, revision))
        model, loading = load_pretrained(
            AutoModelForSequenceClassification, name, revision, OPTION, output_loading_info=True
        )
        if missing := sorted(loading["missing_keys"]):
            raise InputError(f"{OPTION} {name}: is no rating model; it lacks {', '.join(missing[:3])}")
        return cls(model, tokenizer, (name, revision))

    @cached_property
    def lineage(self) -> Lineage:
        """What the model descends from; empty where that is not recorded, or cannot be read."""
        try:
            return Lineage() if self._source is None else lineage_beside(*self._source)
        except (OSError, ValueError):  # the Hub does not answer
            return Lineage()

    @property
    def class_names(self) -> list[str] | None:
        """Of a classifier, in the order of its logits; None of a rating model."""
        return None if self.model.config.num_labels == 1 else class_names(self.model)

    @torch.inference_mode()
    def logits(self, texts: Sequence[str] | str) -> numpy.ndarray:
        """(n, labels) float32: of each text the mean over its parts. Passes hold texts of similar lengths.

        Raises:
            InputError: one of them is no text.
        """
        texts = as_texts(texts)
        if not len(texts):
            return numpy.zeros((0, self.model.config.num_labels), dtype=numpy.float32)
        batch = self._collate([{"parts": parts, "label": 0.0} for parts, _ in self._cutter(texts)])
        device = self.model.device
        chunks = [{name: value.to(device) for name, value in chunk.items()} for chunk in batch["chunks"]]
        return document_logits(self.model, chunks, len(texts)).cpu().numpy()

    def save(self, folder: str | Path) -> None:
        """Write it as a plain checkpoint."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.lineage.trainings:
            self.lineage.write(folder)


def _adapter_settings(name: str, revision: str | None) -> dict[str, Any] | None:
    """What is beside an adapter (`head.SETTINGS_FILE`); None for a whole checkpoint, or where there is nothing."""
    try:
        path = cached_file(name, SETTINGS_FILE, revision=revision or "main")
    except OSError:
        return None
    return json.loads(Path(str(path)).read_text(encoding="utf-8"))


def _merged(name: str, revision: str | None, settings: dict[str, Any]) -> PreTrainedModel:
    from peft import PeftModel

    base_name, base_revision = base_of(name, revision)
    settings["id2label"] = {int(number): label for number, label in settings["id2label"].items()}
    base = load_pretrained(
        AutoModelForSequenceClassification,
        base_name,
        base_revision,
        f"{OPTION} {name}: its base model",
        num_labels=len(settings["id2label"]),
    )
    for field, value in settings.items():
        setattr(base.config, field, value)
    return PeftModel.from_pretrained(base, name, revision=revision).merge_and_unload()
