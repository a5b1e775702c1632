"""`RatingEnsemble`: the mean of several rating models, and how far they lie apart."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from hf_xling.errors import InputError
from hf_xling.hub.contents import ENSEMBLE_FILE
from hf_xling.provenance.lineage import lineage_beside, together
from hf_xling.provenance.model_cards import check_model_publishable
from hf_xling.regression.card import write_ensemble_card
from hf_xling.regression.rater import Rater
from hf_xling.runs import write_json, written_aside
from hf_xling.training.pretrained import as_texts


@dataclass(frozen=True)
class Ratings:
    """What an ensemble predicts of n texts.

    Attributes:
        mean: (n,) float64, over the members.
        spread: (n,) float64, the members' sample standard deviation; None where there is one member.
        members: (members, n) float64.
    """

    mean: numpy.ndarray
    spread: numpy.ndarray | None
    members: numpy.ndarray

    @classmethod
    def of(cls, members: Sequence[Sequence[float] | numpy.ndarray]) -> Ratings:
        """Of each member's predictions of the same texts."""
        of_each = numpy.asarray(members, dtype=numpy.float64)
        return cls(of_each.mean(axis=0), of_each.std(axis=0, ddof=1) if len(of_each) > 1 else None, of_each)


class RatingEnsemble:
    """Rating models whose predictions are averaged, such as those of several seeds and folds.

    The spread of its members tells where they disagree, which is not how wrong they all are: measure it (the metric
    `calibration`) before it is relied upon. It is a folder with a plain checkpoint for each member and `ensemble.json`,
    which names them; `trainers/regression.py` makes its output folder one wherever it trains several models.

    Args:
        members: at least one.
    """

    def __init__(self, members: Sequence[Rater]):
        if not members:
            raise InputError("an ensemble needs at least one member")
        for member in members:
            if member.class_names is not None:
                raise InputError("an ensemble is of rating models; this member has classes")
        self.members = list(members)

    @classmethod
    def from_pretrained(cls, name: str | Path, revision: str | None = None) -> RatingEnsemble:
        """Load an ensemble from a folder or the Hub; a single checkpoint is an ensemble of one.

        Raises:
            InputError: there is none, or it is damaged.
        """
        return cls([Rater.load(member, revision) for member in member_names(name, revision)])

    def predict(self, texts: Sequence[str] | str) -> Ratings:
        """The members' ratings of texts (of one, if it is a string), in the units of the training labels."""
        texts = as_texts(texts)
        return Ratings.of([member.logits(texts)[:, 0] for member in self.members])

    def save_pretrained(
        self, folder: str | Path, repo_id: str | None = None, results: Mapping[str, Any] | None = None
    ) -> None:
        """Write it as one folder with a card, whole or not at all.

        Args:
            folder: to be written, or to be replaced.
            repo_id: what the card's example calls it.
            results: what was measured of it, for the card, as in `all_results.json`.
        """
        with written_aside(folder) as aside:
            names = [f"member-{number}" for number in range(1, len(self.members) + 1)]
            for name, member in zip(names, self.members, strict=True):
                member.save(aside / name)
            write_members(aside, [aside / name for name in names], repo_id, results)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        revision: str | None = None,
        results: Mapping[str, Any] | None = None,
    ) -> str:
        """Upload it as a model repository (`hub.publish`); returns the commit's URL.

        Args:
            repo_id: `org/name`; made if it is not there.
            private: make it private.
            token: of the Hub; by default the saved one.
            revision: the branch to commit to.
            results: what was measured of it, for the card, as in `all_results.json`.
        """
        from hf_xling.hub.publish import Destination

        check_model_publishable(together([member.lineage for member in self.members]), repo_id)
        with tempfile.TemporaryDirectory(prefix="hf_xling-") as folder:
            self.save_pretrained(Path(folder) / "ensemble", repo_id, results)
            return Destination(repo_id, "model", private, token, revision).publish(Path(folder) / "ensemble").commit_url


def member_names(name: str | Path, revision: str | None = None) -> list[str | Path]:
    """The checkpoints of the ensemble `name`; `name` itself where that is no ensemble."""
    folder = Path(name) if Path(name).is_dir() else _downloaded(str(name), revision)
    if folder is None or not (folder / ENSEMBLE_FILE).exists():
        return [name]
    try:
        members = json.loads((folder / ENSEMBLE_FILE).read_text(encoding="utf-8"))["members"]
        paths = [(folder / member).resolve() for member in members]
        if not paths or not all(path.is_relative_to(folder.resolve()) for path in paths):
            raise ValueError("its members are folders inside of it")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / ENSEMBLE_FILE}: names no members ({error})") from error
    return list(paths)


def _downloaded(name: str, revision: str | None) -> Path | None:
    """The ensemble `name` on the Hub, or in its cache; None where there is no ensemble of that name."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        hf_hub_download(name, ENSEMBLE_FILE, revision=revision)
        return Path(snapshot_download(name, revision=revision))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError):
        return None  # loading it as a single checkpoint says what is wrong, if anything is


def write_members(
    folder: Path,
    members: Sequence[Path],
    repo_id: str | None = None,
    results: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Make `folder`, which holds the checkpoints `members`, an ensemble, with a card as `save_pretrained` has it."""
    write_json(folder / ENSEMBLE_FILE, {"members": [member.relative_to(folder).as_posix() for member in members]})
    lineage = together([lineage_beside(member) for member in members])
    write_ensemble_card(folder, len(members), lineage, repo_id, results or {}, settings or {})
