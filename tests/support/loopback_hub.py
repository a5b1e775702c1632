"""A Hugging Face Hub on loopback: as much of its wire as real clients use to push and load models and datasets.

Serve it by `faulty_tgi.serving`; clients run in a process of their own (`hub_clients`). It has no Xet, no
discussions and no CDN: large files come from the address at which they were asked for.
"""

import base64
import hashlib
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from hub_cards import card_faults
from hub_repos import Blob, Commit, HubError, Repo, read_commit, upload_mode

_API = "/api/{kind:models|datasets}/{owner}/{name}"
_RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: what is closed is reset


@dataclass(slots=True)
class Asked:
    """A request that came: what it was for, and the status of its answer (None where the connection was cut)."""

    what: str
    method: str
    path: str
    status: int | None = None


@dataclass(slots=True)
class _Fault:
    what: str
    left: int  # requests until it happens
    status: int | None = None  # … in place of the answer; None cuts the connection
    before: Callable[[], Any] | None = None  # … or what is done before the request is handled


@dataclass
class LoopbackHub:
    """The server. It keeps no token, only their digests.

    Attributes:
        url: what `HF_ENDPOINT` must be.
        repos: by kind (`models` or `datasets`) and name.
        log: all requests, in the order in which they came.
    """

    url: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    log: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._accounts: dict[str, tuple[str, ...]] = {}
        self._stored: dict[str, bytes] = {}  # LFS contents by their SHA-256
        self._announced: dict[str, int] = {}  # … that may be put, with their sizes
        self._faults: list[_Fault] = []

    def admit(self, token: str, *namespaces: str) -> None:
        """Let `token` write to `namespaces`, of which the first is the user's own."""
        self._accounts[_digest(token)] = namespaces

    def asked(self, what: str) -> list[int | None]:
        """The statuses of all requests of one kind."""
        return [entry.status for entry in self.log if entry.what == what]

    def fail(self, what: str, status: int, nth: int = 1) -> None:
        """Answer the `nth` request of a kind from now on with `status`. Kinds are the handlers' names."""
        self._faults.append(_Fault(what, nth, status))

    def cut(self, what: str, nth: int = 1) -> None:
        """Reset the connection of the `nth` request of a kind from now on, in the middle of its body if it has one."""
        self._faults.append(_Fault(what, nth))

    def intrude(self, repo: Repo, files: Mapping[str, str], nth: int = 1) -> None:
        """Let another client's commit go in just before the `nth` commit from now on is handled."""
        changes = {path: Blob(text.encode()) for path, text in files.items()}
        self._faults.append(_Fault("commit", nth, before=lambda: repo.commit("main", "somebody else's", changes)))

    async def start(self) -> None:
        app = web.Application(client_max_size=1024**3, middlewares=[self._account])
        git, files = "{owner}/{name}.git/info/lfs/objects/batch", "{owner}/{name}/resolve/{revision}/{path:.+}"
        app.add_routes(
            [
                web.get("/api/whoami-v2", self._whoami),
                web.post("/api/validate-yaml", self._validate),
                web.post("/api/repos/create", self._create),
                web.get(_API, self._info),
                web.get(_API + "/revision/{revision}", self._info),
                web.get(_API + "/refs", self._refs),
                web.post(_API + "/tag/{revision}", self._tag),
                web.post(_API + "/branch/{branch}", self._branch),
                web.get(_API + "/commits/{revision}", self._commits),
                web.get(_API + "/tree/{revision}", self._tree),
                web.get(_API + "/tree/{revision}/{path:.+}", self._tree),
                web.post(_API + "/paths-info/{revision}", self._paths),
                web.post(_API + "/preupload/{revision}", self._preupload),
                *(web.post(f"/{kind}{git}", self._batch) for kind in ("", "{kind:datasets}/")),
                web.put("/lfs/{oid}", self._upload),
                web.post(_API + "/commit/{revision}", self._commit),
                *(web.get(f"/{kind}{files}", self._resolve) for kind in ("", "{kind:datasets}/")),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _account(self, request: web.Request, handler: Any) -> web.StreamResponse:
        known = request.match_info.http_exception is None
        what = request.match_info.handler.__name__.removeprefix("_") if known else "unknown"
        entry = Asked(what, request.method, request.path)
        self.log.append(entry)
        try:
            if (fault := self._due(entry.what)) is not None and fault.before is None and fault.status is None:
                return await _cut(request)
            if fault is not None and fault.before is None:
                raise HubError(fault.status, "failed on purpose")
            if fault is not None:
                fault.before()
            if "Authorization" in request.headers and self._namespaces(request) is None:
                raise HubError(401, "Invalid credentials in Authorization header")
            response = await handler(request)
        except HubError as error:
            headers = {"X-Error-Code": error.code, "X-Repo-Commit": error.commit, "X-Error-Message": error.message}
            told = {name: value for name, value in headers.items() if value is not None}
            response = web.json_response({"error": error.message}, status=error.status, headers=told)
        except web.HTTPException as error:
            entry.status = error.status
            raise
        entry.status = response.status
        return response

    def _due(self, what: str) -> _Fault | None:
        for fault in (waiting := [fault for fault in self._faults if fault.what == what]):
            fault.left -= 1
        due = next((fault for fault in waiting if fault.left == 0), None)
        self._faults = [fault for fault in self._faults if fault.left > 0]
        return due

    def _namespaces(self, request: web.Request) -> tuple[str, ...] | None:
        """What the request's token may write to; None without a token, or with an unknown one."""
        return self._accounts.get(_digest(request.headers.get("Authorization", "").removeprefix("Bearer ")))

    def _may_write(self, request: web.Request, namespace: str) -> None:
        if (namespaces := self._namespaces(request)) is None:
            raise HubError(401, "Invalid username or password.")
        if namespace not in namespaces:
            raise HubError(403, f'You don\'t have the rights to write under the namespace "{namespace}"')

    def _repo(self, request: web.Request, write: bool = False) -> Repo:
        asked = request.match_info
        repo = self.repos.get((asked.get("kind", "models"), f"{asked['owner']}/{asked['name']}"))
        if repo is None or (repo.private and asked["owner"] not in (self._namespaces(request) or ())):
            raise HubError(404, "Repository not found", "RepoNotFound")
        if write:
            self._may_write(request, asked["owner"])
        return repo

    async def _whoami(self, request: web.Request) -> web.Response:
        if (namespaces := self._namespaces(request)) is None:
            raise HubError(401, "Invalid username or password.")
        orgs = [{"type": "org", "name": name} for name in namespaces[1:]]
        return web.json_response({"type": "user", "name": namespaces[0], "orgs": orgs})

    async def _validate(self, request: web.Request) -> web.Response:
        errors, warnings_ = card_faults((await request.json())["content"])
        told = {"errors": [{"message": each} for each in errors], "warnings": [{"message": each} for each in warnings_]}
        return web.json_response(told, status=400 if errors else 200)

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        namespace = asked.get("organization") or (self._namespaces(request) or ("",))[0]
        self._may_write(request, namespace)
        kind, name = f"{asked.get('type') or 'model'}s", f"{namespace}/{asked['name']}"
        if kind not in ("models", "datasets"):
            raise HubError(400, f"no repositories of type {kind} here")
        url = f"{self.url}/{'datasets/' if kind == 'datasets' else ''}{name}"
        if (kind, name) in self.repos:
            return web.json_response({"error": "You already created this repo", "url": url}, status=409)
        # `private` is what huggingface_hub 1 sends, `visibility` what 2 sends.
        private = asked.get("private") or asked.get("visibility") == "private"
        self.repos[kind, name] = Repo(kind, name, bool(private))
        return web.json_response({"url": url, "name": name, "id": name})

    async def _info(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        told = repo.info(repo.at(request.match_info.get("revision", "main")), blobs="blobs" in request.query)
        if wanted := {*request.query.getall("expand", ()), *request.query.getall("expand[]", ())}:
            told = {key: value for key, value in told.items() if key in {"_id", "id", *wanted}}
        return web.json_response(told)

    async def _refs(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        told: dict[str, list] = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
        for key, prefix, refs in (("branches", "refs/heads", repo.branches), ("tags", "refs/tags", repo.tags)):
            for name, sha in refs.items():
                if name.startswith("refs/pr/"):
                    told["pullRequests"].append({"name": name, "ref": name, "targetCommit": sha})
                else:
                    told[key].append({"name": name, "ref": f"{prefix}/{name}", "targetCommit": sha})
        if request.query.get("include_prs") != "1":
            del told["pullRequests"]
        return web.json_response(told)

    async def _tag(self, request: web.Request) -> web.Response:
        repo = self._repo(request, write=True)
        return _add_ref(repo.tags, (await request.json())["tag"], repo.at(request.match_info["revision"]))

    async def _branch(self, request: web.Request) -> web.Response:
        repo = self._repo(request, write=True)
        start = (await request.json()).get("startingPoint", "main")
        return _add_ref(repo.branches, request.match_info["branch"], repo.at(start))

    async def _commits(self, request: web.Request) -> web.Response:
        line = self._repo(request).history(request.match_info["revision"])
        facts = {"authors": [{"user": "tests"}], "message": ""}
        return web.json_response([{"id": each.sha, "title": each.title, "date": each.date, **facts} for each in line])

    async def _tree(self, request: web.Request) -> web.Response:
        repo, asked = self._repo(request), request.match_info
        recursive, expand = (request.query.get(name, "").lower() in ("true", "1") for name in ("recursive", "expand"))
        return web.json_response(repo.tree(repo.at(asked["revision"]), asked.get("path", ""), recursive, expand))

    async def _paths(self, request: web.Request) -> web.Response:
        repo, asked = self._repo(request), await request.post()
        commit = repo.at(request.match_info["revision"])
        return web.json_response(repo.paths_info(commit, asked.getall("paths", []), asked.get("expand") == "true"))

    async def _preupload(self, request: web.Request) -> web.Response:
        repo = self._repo(request, write=True)
        there = repo.at(request.match_info["revision"]).files
        told = []
        for file in (await request.json())["files"]:
            mode = upload_mode(file["path"], file["size"], base64.b64decode(file["sample"]))
            entry = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            if file["path"] in there:  # by which clients leave out what has not changed
                entry["oid"] = there[file["path"]].etag
            told.append(entry)
        return web.json_response({"files": told})

    async def _batch(self, request: web.Request) -> web.Response:
        self._repo(request, write=True)
        objects = []
        for each in (await request.json())["objects"]:
            entry = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self._stored:
                self._announced[each["oid"]] = each["size"]
                entry["actions"] = {"upload": {"href": f"{self.url}/lfs/{each['oid']}"}}
            objects.append(entry)
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _upload(self, request: web.Request) -> web.Response:
        oid, content = request.match_info["oid"], await request.read()
        if self._announced.get(oid) != len(content) or hashlib.sha256(content).hexdigest() != oid:
            raise HubError(400, "BadDigest")
        self._stored[oid] = content
        return web.Response()

    async def _commit(self, request: web.Request) -> web.Response:
        repo = self._repo(request, write=True)
        if "create_pr" in request.query:
            raise HubError(400, "no pull requests here")
        header, changes = read_commit(await request.read(), self._stored)
        commit = repo.commit(request.match_info["revision"], header["summary"], changes, header.get("parentCommit"))
        url = f"{self.url}/{'datasets/' if repo.kind == 'datasets' else ''}{repo.name}/commit/{commit.sha}"
        return web.json_response({"success": True, "commitOid": commit.sha, "commitUrl": url, "hookOutput": ""})

    async def _resolve(self, request: web.Request) -> web.Response:
        commit, blob = self._repo(request).file(request.match_info["revision"], request.match_info["path"])
        headers = {"ETag": f'"{blob.etag}"', "X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
        if "Range" not in request.headers:
            return web.Response(body=blob.content, headers=headers)
        start, stop, _ = request.http_range.indices(size := len(blob.content))
        if start >= stop:
            raise HubError(416, "Range not satisfiable")
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return web.Response(body=blob.content[start:stop], status=206, headers=headers)


def _add_ref(refs: dict[str, str], name: str, commit: Commit) -> web.Response:
    if name in refs:
        raise HubError(409, f"{name} already exists")
    refs[name] = commit.sha
    return web.json_response({})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def _cut(request: web.Request) -> web.Response:
    if request.content_length:
        await request.content.readexactly(request.content_length // 2)
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    return web.Response()
