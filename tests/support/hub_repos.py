"""What the loopback Hub stores: repositories with a git-like history, in memory."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from hub_cards import front_matter

LFS_SUFFIXES = (".parquet", ".arrow", ".safetensors", ".bin", ".pt", ".pth", ".pkl", ".npz", ".gz", ".zip", ".model")
LFS_FROM = 10 * 1024**2  # bytes
_ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)


class HubError(Exception):
    """An answer other than 2xx, with the code that clients tell errors apart by."""

    def __init__(self, status: int, message: str, code: str | None = None, commit: str | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.commit = status, message, code, commit


@dataclass(frozen=True)
class Blob:
    """A file's content, as git stores it or through LFS."""

    content: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def oid(self) -> str:
        """Git's id of what git stores: the content itself, or the pointer to it."""
        return _git_id("blob", self.pointer if self.lfs else self.content)

    @property
    def pointer(self) -> bytes:
        head = "version https://git-lfs.github.com/spec/v1"
        return f"{head}\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()

    @property
    def etag(self) -> str:
        """By which clients tell that a file has not changed: SHA-256 for LFS, git's id otherwise."""
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """A revision, and all files as they are in it."""

    sha: str
    parent: str | None
    title: str
    date: str
    files: Mapping[str, Blob]

    @classmethod
    def of(cls, parent: "Commit | None", title: str, files: Mapping[str, Blob]) -> "Commit":
        date = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lines = [f"{path}\0{blob.oid}" for path, blob in sorted(files.items())]
        content = "\n".join([*lines, parent.sha if parent else "", title, date]).encode()
        return cls(_git_id("commit", content), parent.sha if parent else None, title, date, dict(files))


@dataclass
class Repo:
    """A repository.

    Attributes:
        kind: `models` or `datasets`.
        name: with its namespace.
        commits: by sha, all that there ever were.
        branches, tags: a commit's sha by name.
    """

    kind: str
    name: str
    private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.commits:  # the Hub begins each repository so
            self._add("main", Commit.of(None, "initial commit", {".gitattributes": Blob(_ATTRIBUTES.encode())}))

    def at(self, revision: str = "main") -> Commit:
        """The commit that a branch, a tag or a sha (of at least 7 characters) names."""
        for refs, prefix in ((self.branches, "refs/heads/"), (self.tags, "refs/tags/")):
            if (name := revision.removeprefix(prefix)) in refs:
                return self.commits[refs[name]]
        found = [commit for sha, commit in self.commits.items() if len(revision) >= 7 and sha.startswith(revision)]
        if len(found) != 1:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found[0]

    def file(self, revision: str, path: str) -> tuple[Commit, Blob]:
        commit = self.at(revision)
        if path not in commit.files:
            raise HubError(404, "Entry not found", "EntryNotFound", commit.sha)
        return commit, commit.files[path]

    def history(self, revision: str = "main") -> Iterator[Commit]:
        """The commit and those before it, the newest first."""
        commit = self.at(revision)
        while True:
            yield commit
            if commit.parent is None:
                return
            commit = self.commits[commit.parent]

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Path and content of each file of each commit: all that anyone who may read the repository can see."""
        seen = {(path, blob.etag): blob for commit in self.commits.values() for path, blob in commit.files.items()}
        for (path, _), blob in seen.items():
            yield path, blob.content

    def commit(self, branch: str, title: str, changes: Mapping[str, Blob | None], parent: str | None = None) -> Commit:
        """Add a commit to `branch`; None deletes a file, and of a path that ends on a slash all that is below it.

        Args:
            parent: a sha, which must be that of the branch's head.
        """
        if branch not in self.branches:
            raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head = self.commits[self.branches[branch]]
        if parent is not None and not head.sha.startswith(parent):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for path, blob in changes.items():
            if blob is not None:
                files[path] = blob
                continue
            gone = [each for each in files if each == path or (path.endswith("/") and each.startswith(path))]
            if not gone:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
            for each in gone:
                del files[each]
        return self._add(branch, Commit.of(head, title, files))

    def _add(self, branch: str, commit: Commit) -> Commit:
        self.commits[commit.sha], self.branches[branch] = commit, commit.sha
        return commit

    def tree(self, commit: Commit, folder: str, recursive: bool, expand: bool) -> list[dict[str, Any]]:
        """What lies in `folder` (all of the repository for an empty name), folders first."""
        prefix = f"{folder}/" if folder else ""
        inside = sorted(path for path in commit.files if path.startswith(prefix))
        if not inside and folder:
            raise HubError(404, f"{folder} does not exist on {commit.sha}", "EntryNotFound", commit.sha)
        parts = [path.removeprefix(prefix).split("/") for path in inside]
        depths = [range(1, len(names)) if recursive else range(1, min(2, len(names))) for names in parts]
        folders = {
            prefix + "/".join(names[:depth]) for names, deep in zip(parts, depths, strict=True) for depth in deep
        }
        files = [path for path, names in zip(inside, parts, strict=True) if recursive or len(names) == 1]
        return self.paths_info(commit, [*sorted(folders), *files], expand)

    def paths_info(self, commit: Commit, paths: list[str], expand: bool) -> list[dict[str, Any]]:
        """Of each file and folder of `paths` that is there."""
        told = []
        for path in paths:
            below = {name: blob.oid for name, blob in commit.files.items() if name.startswith(f"{path}/")}
            if (blob := commit.files.get(path)) is not None:
                entry = {"type": "file", "oid": blob.oid, "size": len(blob.content), "path": path}
                if blob.lfs:
                    sizes = {"size": len(blob.content), "pointerSize": len(blob.pointer)}
                    entry["lfs"] = {"oid": blob.sha256, **sizes}
            elif below:
                entry = {"type": "directory", "oid": _git_id("tree", repr(below).encode()), "size": 0, "path": path}
            else:
                continue
            if expand:
                last = self._last_change(commit, path)
                entry["lastCommit"] = {"id": last.sha, "title": last.title, "date": last.date}
            told.append(entry)
        return told

    def _last_change(self, commit: Commit, path: str) -> Commit:
        def state(commit: Commit) -> dict[str, str]:
            return {
                name: blob.oid for name, blob in commit.files.items() if name == path or name.startswith(f"{path}/")
            }

        line = list(self.history(commit.sha))
        return next(
            new for new, old in zip(line, [*line[1:], None], strict=True) if not old or state(new) != state(old)
        )

    def info(self, commit: Commit, blobs: bool) -> dict[str, Any]:
        siblings = []
        for path, blob in sorted(commit.files.items()):
            sibling: dict[str, Any] = {"rfilename": path}
            if blobs:
                sibling |= {"size": len(blob.content), "blobId": blob.oid}
                if blob.lfs:
                    sibling["lfs"] = {
                        "sha256": blob.sha256,
                        "size": len(blob.content),
                        "pointerSize": len(blob.pointer),
                    }
            siblings.append(sibling)
        data = front_matter(commit.files["README.md"].content.decode()) if "README.md" in commit.files else None
        data = data or {}
        *_, first = self.history(commit.sha)
        told = {"_id": _git_id("repo", self.name.encode())[:24], "id": self.name, "author": self.name.split("/")[0]}
        told |= {"sha": commit.sha, "lastModified": commit.date, "createdAt": first.date, "private": self.private}
        told |= {"gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": data.get("tags", [])}
        told |= {"cardData": data, "siblings": siblings}
        if self.kind == "models":
            told |= {
                "modelId": self.name,
                **{key: data[key] for key in ("pipeline_tag", "library_name") if key in data},
            }
        return told


def upload_mode(path: str, size: int, sample: bytes) -> str:
    """`lfs` or `regular`, of a file by its name, its size and its first bytes."""
    if size == 0:
        return "regular"
    return "lfs" if path.endswith(LFS_SUFFIXES) or size >= LFS_FROM or b"\0" in sample else "regular"


def read_commit(body: bytes, stored: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, Blob | None]]:
    """The header and the changes in the NDJSON of a commit; `stored` are the contents of LFS by their SHA-256."""
    header: dict[str, Any] = {}
    changes: dict[str, Blob | None] = {}
    for line in map(json.loads, body.splitlines()):
        key, value = line["key"], line["value"]
        if key == "header":
            header = value
        elif key == "file":
            changes[value["path"]] = Blob(base64.b64decode(value["content"], validate=True))
        elif key == "lfsFile":
            if value["oid"] not in stored:
                raise HubError(400, f"LFS pointer pointed to a file that does not exist: {value['path']}")
            changes[value["path"]] = Blob(stored[value["oid"]], lfs=True)
        elif key in ("deletedFile", "deletedFolder"):
            changes[value["path"].rstrip("/") + ("/" if key == "deletedFolder" else "")] = None
        else:
            raise HubError(400, f"unknown operation {key}")
    if not header.get("summary"):
        raise HubError(400, "a commit needs a header with a summary")
    return header, changes


def _git_id(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()
