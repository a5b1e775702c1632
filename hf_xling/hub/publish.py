"""The door to the Hub: the files of a folder become one commit of a repository there, and a tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoFile,
    constants,
    get_token,
)
from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.errors import RepositoryNotFoundError as NotThere
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

import hf_xling
from hf_xling.errors import one_line
from hf_xling.hub.contents import README, Content, Kind, contents, is_result, is_same, is_stale
from hf_xling.hub.refusals import Refusal, is_conflict, refusals
from hf_xling.hub.results import MEASURED
from hf_xling.hub.values import check_ref, check_repo_id, check_revision

ATTEMPTS = 6
BUILT = "Built with hf_xling"  # which each of our cards says
_VERSION = re.compile(r"v([1-9]\d*)")


@dataclass(frozen=True)
class Publication:
    """A folder as it stands on the Hub.

    Attributes:
        url: of the repository.
        sha: of the commit that holds all of it.
        tag: of that commit.
        is_new: whether this push made the commit; it does not where the repository holds it all already.
    """

    url: str
    sha: str
    tag: str
    is_new: bool

    @property
    def commit_url(self) -> str:
        """The page of the commit."""
        return f"{self.url}/commit/{self.sha}"

    def __str__(self) -> str:
        done = "pushed" if self.is_new else "nothing new to push"
        return f"{done}: {self.url}, commit {self.sha}, tag {self.tag}"


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    kind: Kind,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    tag: str | None = None,
    message: str | None = None,
) -> Publication:
    """Make the repository `repo_id` hold what `contents` finds in `folder`, by one commit at most.

    Data and weights that the folder has no more are removed from it if its card is one of ours, what others put beside
    them stays. A push that failed can be repeated: files that have arrived are not sent again. One that meets another
    goes after it.

    Args:
        folder: of a dataset or a model.
        repo_id: `org/name`, or a name of the user's own; made if it is not there.
        kind: of repository.
        private: make it private; one that is public already is refused then.
        token: of the Hub; by default the saved one.
        revision: the branch; `main` by default.
        tag: of the commit; by default the next of `v1`, `v2`, … if it has none.
        message: of the commit; by default the tag.

    Raises:
        InputError: no token or none with the rights, a bad name, one that another kind of repository has or one whose
            files of another make would be removed, a tag that stands on another commit, or a folder with nothing to
            publish or nothing that may be.
        XlingError: the Hub cannot be reached, or fails.
    """
    check_repo_id(repo_id, kind)
    check_ref(tag, "--tag")
    check_revision(revision, "--hub_revision")
    with refusals(repo_id, f"{folder} is ready", token, ": the same command pushes it"):
        api = _client(token)
        name = _full_name(api, repo_id)
        files = contents(Path(folder), kind, name)
        if not _is_there(api, name, kind, private):
            api.create_repo(name, repo_type=kind, private=private or None, exist_ok=True)
        push = _Push(api, {"repo_id": name, "repo_type": kind}, files, revision)
        sha, is_new = push.commit(kind, tag, message)
        return Publication(_url(api, name, kind), sha, push.mark(sha, tag), is_new)


def check_access(
    repo_id: str,
    *,
    kind: Kind,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    tag: str | None = None,
) -> str:
    """The full name of a repository, once it seems that one may push to it: for before long work. Changes nothing.

    What is pushed is new, so a tag that is there would have to move.

    Raises:
        InputError, XlingError: as for `publish`.
    """
    check_repo_id(repo_id, kind)
    with refusals(repo_id, "nothing has been done yet", token):
        api = _client(token)
        account = api.whoami()
        name = _full_name(api, repo_id, account)
        namespaces = {account["name"]: None, **{org["name"]: org.get("roleInOrg") for org in account.get("orgs", ())}}
        roles = {each.lower(): role for each, role in namespaces.items()}
        owner = name.split("/")[0].lower()
        of_token = ((account.get("auth") or {}).get("accessToken") or {}).get("role")
        if owner not in roles or "read" in (roles[owner], of_token):
            raise Refusal(f"the token (of {account['name']}) has no right to write there")
        asked = {"repo_type": kind, "include_pull_requests": True}
        refs = api.list_repo_refs(name, **asked) if _is_there(api, name, kind, private) else None
        _refuse_moving(tag, {ref.name: ref.target_commit for ref in refs.tags} if refs else {}, None)
        branches = {branch.name for branch in refs.branches} if refs else {constants.DEFAULT_REVISION}
        pulls = {pull.ref for pull in (refs and refs.pull_requests) or ()}
        if revision is not None and revision.removeprefix("refs/heads/") not in branches | pulls:
            raise Refusal(f"has no branch {revision}, which --hub_revision gives; it has {', '.join(sorted(branches))}")
        return name


class _Push:
    """A push to one repository: its commit, its tag, each again where another push came in between."""

    def __init__(self, api: HfApi, repo: dict[str, Any], files: dict[str, Content], branch: str | None):
        self.api, self.repo, self.files, self.branch = api, repo, files, branch
        self._additions: dict[str, CommitOperationAdd] = {}

    def commit(self, kind: Kind, tag: str | None, message: str | None) -> tuple[str, bool]:
        """The commit that holds the files, and whether it was made here."""
        for attempt in _attempts():
            with attempt:
                head = self.api.repo_info(**self.repo, revision=self.branch).sha
                listed = self.api.list_repo_tree(**self.repo, recursive=True, revision=head)
                there = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
                new = [path for path, content in self.files.items() if not is_same(there.get(path), content)]
                stale = self._stale([path for path in there if path not in self.files], README in there, kind, head)
                changes = [*map(self._addition, new), *map(CommitOperationDelete, stale)]
                tags = self._tags()
                _refuse_moving(tag, tags, None if changes else head)
                if not changes:
                    return head, False
                told = message or f"Publish {tag or _next(tags)}"
                options = {"commit_message": told, "parent_commit": head, "revision": self.branch}
                return self.api.create_commit(**self.repo, operations=changes, **options).oid, True
        raise AssertionError("the last attempt raises")

    def mark(self, sha: str, tag: str | None) -> str:
        """The tag of the commit `sha`, which is made if it has none."""
        for attempt in _attempts():
            with attempt:
                tags = self._tags()
                _refuse_moving(tag, tags, sha)
                own = [name for name, target in tags.items() if target == sha]
                if tag is None and own:
                    return max(own, key=_number)
                if tag not in own:
                    self.api.create_tag(**self.repo, tag=tag or _next(tags), revision=sha)
                return tag or _next(tags)
        raise AssertionError("the last attempt raises")

    def _stale(self, others: list[str], has_card: bool, kind: Kind, head: str) -> list[str]:
        """Which of the files `others` to remove; refused where the card does not say that they are ours."""
        results = [path for path in others if kind == "model" and is_result(path)]
        ours = {path for path in results if MEASURED in self._text(path, head)}
        stale = [path for path in others if path in ours or is_stale(path, kind)]
        if stale and not (has_card and BUILT in self._text(README, head)):
            more = f" and {len(stale) - 1:,} more" if len(stale) > 1 else ""
            raise Refusal(
                f"holds something else ({one_line(stale[0], 30)}{more}) and no card of hf_xling; "
                "give another --repo_id, or delete the files there yourself"
            )
        return stale

    def _text(self, path: str, head: str) -> str:
        """A file in the repository, its lines as one: YAML breaks them anywhere."""
        file = self.api.hf_hub_download(**self.repo, filename=path, revision=head)
        return " ".join(Path(file).read_text(encoding="utf-8", errors="replace").split())

    def _addition(self, path: str) -> CommitOperationAdd:
        """The same at each attempt: it knows that it has been sent."""
        if path not in self._additions:
            self._additions[path] = CommitOperationAdd(path, self.files[path])
        return self._additions[path]

    def _tags(self) -> dict[str, str]:
        return {ref.name: ref.target_commit for ref in self.api.list_repo_refs(**self.repo).tags}


def _attempts() -> Iterator[Any]:
    return Retrying(
        retry=retry_if_exception(is_conflict),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.25, max=8),
        reraise=True,
    )


def _client(token: str | None) -> HfApi:
    if constants.is_offline_mode():
        raise OfflineModeIsEnabled
    token = token or get_token()
    if token is None:
        raise LocalTokenNotFoundError
    return HfApi(token=token, library_name="hf_xling", library_version=hf_xling.__version__)


def _full_name(api: HfApi, repo_id: str, account: dict[str, Any] | None = None) -> str:
    return repo_id if "/" in repo_id else f"{(account or api.whoami())['name']}/{repo_id}"


def _is_there(api: HfApi, name: str, kind: Kind, private: bool | None) -> bool:
    """Whether the repository exists; one of another kind in its place, or a public one for a private, is refused."""
    try:
        info = api.repo_info(name, repo_type=kind)
    except NotThere:
        other = "model" if kind == "dataset" else "dataset"
        if api.repo_exists(name, repo_type=other):
            raise Refusal(f"is the name of a {other}; give the {kind} another") from None
        return False
    if private and info.private is False:
        raise Refusal("is public, and --private was asked for; make it private on the Hub, or give another name")
    return True


def _url(api: HfApi, name: str, kind: Kind) -> str:
    return f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"


def _refuse_moving(tag: str | None, tags: dict[str, str], sha: str | None) -> None:
    """Tags stay where they are; `sha` is None for a commit that is still to be made."""
    if tag in tags and tags[tag] != sha:
        raise Refusal(f"the tag {tag} stands on another commit, {tags[tag][:10]}; give another --tag")


def _number(tag: str) -> int:
    match = _VERSION.fullmatch(tag)
    return int(match[1]) if match else 0


def _next(tags: dict[str, str]) -> str:
    return f"v{max(map(_number, tags), default=0) + 1}"
