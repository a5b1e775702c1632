"""The door to the Hub: the files of a folder become one commit of a repository there, and a tag."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, RepoFile, constants, get_token
from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.errors import RepositoryNotFoundError as NotThere
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

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
    """A folder as it is on the Hub.

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


@dataclass(frozen=True)
class Destination:
    """A repository on the Hub that a folder is pushed to.

    Attributes:
        repo_id: `org/name`, or a name of the user's own; made if it is not there.
        kind: of repository.
        private: make it private; one that is public already is refused then.
        token: of the Hub; by default the saved one.
        revision: the branch; `main` by default.
        tag: of the commit; by default the next of `v1`, `v2`, … if it has none.

    Raises:
        InputError: a name that the Hub does not take.
    """

    repo_id: str
    kind: Kind
    private: bool | None = None
    token: str | None = field(default=None, repr=False)
    revision: str | None = None
    tag: str | None = None

    def __post_init__(self) -> None:
        check_repo_id(self.repo_id, self.kind)
        check_ref(self.tag, "--tag")
        check_revision(self.revision, "--hub_revision")

    def publish(self, folder: str | Path) -> Publication:
        """Make the repository hold what `contents` finds in `folder`, by one commit at most.

        Data and weights that the folder has no more are removed from it if its card is one of ours, what others put
        beside them stays. A push that failed can be repeated: files that have arrived are not sent again. One that
        meets another goes after it.

        Raises:
            InputError: no token or none with the rights, a name that another kind of repository has or one whose files
                of another make would be removed, a tag of another commit, or a folder with nothing to publish or
                nothing that may be.
            XlingError: the Hub cannot be reached, or fails.
        """
        with refusals(self.repo_id, f"{folder} is ready", self.token, ": the same command pushes it"):
            api = self._client()
            name = self._full_name(api.whoami)
            files = contents(Path(folder), self.kind, name)
            if not self._is_there(api, name):
                api.create_repo(name, repo_type=self.kind, private=self.private or None, exist_ok=True)
            push = _Push(api, name, self.kind, self.revision, self.tag)
            sha, is_new = push.commit(files)
            url = f"{api.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{name}"
            return Publication(url, sha, push.mark(sha), is_new)

    def check_access(self) -> Destination:
        """The same with its full name, once it seems that one may push to it: for before long work. Changes nothing.

        What is pushed is new, so a tag that is there would have to move.

        Raises:
            InputError, XlingError: as for `publish`.
        """
        with refusals(self.repo_id, "nothing has been done yet", self.token):
            api = self._client()
            account = api.whoami()
            name = self._full_name(lambda: account)
            organisations = {org["name"]: org.get("roleInOrg") for org in account.get("orgs", ())}
            roles = {each.lower(): role for each, role in {account["name"]: None, **organisations}.items()}
            owner = name.split("/")[0].lower()
            of_token = ((account.get("auth") or {}).get("accessToken") or {}).get("role")
            if owner not in roles or "read" in (roles[owner], of_token):
                raise Refusal(f"the token (of {account['name']}) has no right to write there")
            branches, pulls, tags = {constants.DEFAULT_REVISION}, set(), {}
            if self._is_there(api, name):
                refs = api.list_repo_refs(name, repo_type=self.kind, include_pull_requests=True)
                branches = {branch.name for branch in refs.branches}
                pulls = {pull.ref for pull in refs.pull_requests or ()}
                tags = {ref.name: ref.target_commit for ref in refs.tags}
            _refuse_moving(self.tag, tags, None)
            if self.revision is not None and self.revision.removeprefix("refs/heads/") not in branches | pulls:
                known = ", ".join(sorted(branches))
                raise Refusal(f"has no branch {self.revision}, which --hub_revision gives; it has {known}")
            return replace(self, repo_id=name)

    def _client(self) -> HfApi:
        if constants.is_offline_mode():
            raise OfflineModeIsEnabled
        token = self.token or get_token()
        if token is None:
            raise LocalTokenNotFoundError
        return HfApi(token=token, library_name="hf_xling", library_version=hf_xling.__version__)

    def _full_name(self, whoami: Callable[[], dict[str, Any]]) -> str:
        return self.repo_id if "/" in self.repo_id else f"{whoami()['name']}/{self.repo_id}"

    def _is_there(self, api: HfApi, name: str) -> bool:
        """Whether the repository exists; one of another kind, or a public one for a private, is refused."""
        try:
            info = api.repo_info(name, repo_type=self.kind)
        except NotThere:
            other = "model" if self.kind == "dataset" else "dataset"
            if api.repo_exists(name, repo_type=other):
                raise Refusal(f"is the name of a {other}; give the {self.kind} another") from None
            return False
        if self.private and info.private is False:
            raise Refusal("is public, and --private was asked for; make it private on the Hub, or give another name")
        return True


# Another push came in between: once more, against what is there now.
_again = retry(
    retry=retry_if_exception(is_conflict),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_random_exponential(multiplier=0.25, max=8),
    reraise=True,
)


class _Push:
    """A push to one repository: its commit and its tag."""

    def __init__(self, api: HfApi, name: str, kind: Kind, branch: str | None, tag: str | None):
        self.api, self.name, self.kind, self.branch, self.tag = api, name, kind, branch, tag

    @_again
    def commit(self, files: Mapping[str, Content]) -> tuple[str, bool]:
        """The commit that holds the files, and whether it was made here."""
        head = self.api.repo_info(self.name, repo_type=self.kind, revision=self.branch).sha
        assert head is not None, "the Hub names the commit of a branch"
        listed = self.api.list_repo_tree(self.name, repo_type=self.kind, recursive=True, revision=head)
        there = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
        # The client would leave out what is there already, but a tag must be refused before anything is sent.
        new = [path for path, content in files.items() if not is_same(there.get(path), content)]
        stale = self._stale([path for path in there if path not in files], README in there, head)
        tags = self._tags()
        if not new and not stale:
            _refuse_moving(self.tag, tags, head)
            return head, False
        _refuse_moving(self.tag, tags, None)
        done = self.api.create_commit(
            self.name,
            [*(CommitOperationAdd(path, files[path]) for path in new), *map(CommitOperationDelete, stale)],
            commit_message=f"Publish {self.tag or _next(tags)}",
            repo_type=self.kind,
            revision=self.branch,
            parent_commit=head,
        )
        return done.oid, True

    @_again
    def mark(self, sha: str) -> str:
        """The tag of the commit `sha`, which is made if it has none."""
        tags = self._tags()
        _refuse_moving(self.tag, tags, sha)
        own = [name for name, target in tags.items() if target == sha]
        if self.tag is None and own:
            return max(own, key=_number)
        tag = self.tag or _next(tags)
        if tag not in own:
            self.api.create_tag(self.name, repo_type=self.kind, tag=tag, revision=sha)
        return tag

    def _stale(self, others: list[str], has_card: bool, head: str) -> list[str]:
        """Which of the files `others` to remove; refused where the card does not say that they are ours."""
        results = [path for path in others if self.kind == "model" and is_result(path)]
        ours = {path for path in results if MEASURED in self._text(path, head)}
        stale = [path for path in others if path in ours or is_stale(path, self.kind)]
        if stale and not (has_card and BUILT in self._text(README, head)):
            more = f" and {len(stale) - 1:,} more" if len(stale) > 1 else ""
            raise Refusal(
                f"holds something else ({one_line(stale[0], 30)}{more}) and no card of hf_xling; "
                "give another --repo_id, or delete the files there yourself"
            )
        return stale

    def _text(self, path: str, head: str) -> str:
        """A file in the repository, its lines as one: YAML breaks them anywhere."""
        file = self.api.hf_hub_download(self.name, path, repo_type=self.kind, revision=head)
        return " ".join(Path(file).read_text(encoding="utf-8", errors="replace").split())

    def _tags(self) -> dict[str, str]:
        return {ref.name: ref.target_commit for ref in self.api.list_repo_refs(self.name, repo_type=self.kind).tags}


def _refuse_moving(tag: str | None, tags: dict[str, str], sha: str | None) -> None:
    """Tags stay where they are; `sha` is None for a commit that is still to be made."""
    if tag in tags and tags[tag] != sha:
        raise Refusal(f"the tag {tag} is on another commit, {tags[tag][:10]}; give another --tag")


def _number(tag: str) -> int:
    match = _VERSION.fullmatch(tag)
    return int(match[1]) if match else 0


def _next(tags: dict[str, str]) -> str:
    return f"v{max(map(_number, tags), default=0) + 1}"
