"""What commands are told about pushing, and when they push: at their end, once and for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_xling.errors import InputError
from hf_xling.hub.publish import Destination
from hf_xling.hub.values import check_ref, check_repo_id, check_revision
from hf_xling.recipes import option

_TAG_HELP = "tag of this release on the Hub; default: the next of v1, v2, …"


@dataclass
class PushArguments:
    """Whether and how a command publishes the dataset that it builds; the token is the saved one, or HF_TOKEN."""

    push_to_hub: bool = option("publish the finished folder on the Hub as --repo_id", False)
    private: bool = option("make the repository private", False)
    tag: str | None = option(_TAG_HELP, None)

    _argument_group_name = "publishing"

    def check(self, repo_id: str | None) -> None:
        """An `InputError` where there is no name to push to, or one or a tag that the Hub does not take."""
        check_repo_id(repo_id, "dataset")
        check_ref(self.tag, "--tag")
        if self.push_to_hub and repo_id is None:
            raise InputError("--push_to_hub: --repo_id ORG/NAME is needed, its name on the Hub")

    def publish(self, folder: str, repo_id: str | None) -> list[str]:
        """Push the dataset in `folder` if that is asked for; return the closing line on it."""
        if not self.push_to_hub:
            return []
        assert repo_id is not None, "check() was not called"
        return [str(Destination(repo_id, "dataset", self.private, tag=self.tag).publish(folder))]


@dataclass
class TrainingPushArguments:
    """The fields of `TrainingArguments` for pushing, by shorter names as well; to be inherited before those."""

    hub_model_id: str | None = field(
        default=None,
        metadata={"aliases": ["--repo_id"], "help": "name on the Hub, org/name (or --repo_id); default: the folder's"},
    )
    hub_private_repo: bool = field(
        default=False, metadata={"aliases": ["--private"], "help": "make the repository private (or --private)"}
    )
    hub_tag: str | None = field(default=None, metadata={"aliases": ["--tag"], "help": f"{_TAG_HELP} (or --tag)"})
    hub_strategy: str = option("when to push; other than at the end a pickle of all arguments would go too", "end")

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # that of TrainingArguments
        if self.hub_strategy != "end":
            raise InputError(
                f"--hub_strategy {self.hub_strategy}: would push a pickle of all arguments, the token among them; "
                "take `end`"
            )
        check_repo_id(self.hub_model_id, "model")
        check_ref(self.hub_tag, "--tag")
        check_revision(getattr(self, "hub_revision", None), "--hub_revision")
        self.hub_private_repo = self.hub_private_repo or None  # type: ignore[assignment]  # None: as the organisation has it


class ModelPush:
    """The push at the end of a training script, in the place of Trainer's own, which is switched off.

    Args:
        args: the `TrainingArguments`, with `TrainingPushArguments`.
        is_finished: whether the run is; else it is checked first whether one may push at all, on the first process.

    Raises:
        InputError, XlingError: as for `publish`.
    """

    def __init__(self, args: Any, is_finished: bool):
        self.folder = args.output_dir
        self.wanted, args.push_to_hub = args.push_to_hub and args.should_save, False
        if self.wanted:
            name = args.hub_model_id or Path(args.output_dir).resolve().name
            options = {"token": args.hub_token, "revision": args.hub_revision, "tag": args.hub_tag}
            self.destination = Destination(name, "model", args.hub_private_repo, **options)
            if not is_finished:
                self.destination = self.destination.check_access()
                args.hub_model_id = self.destination.repo_id

    def publish(self) -> list[str]:
        """Push the output folder if that is asked for; return the closing line on it."""
        return [str(self.destination.publish(self.folder))] if self.wanted else []
