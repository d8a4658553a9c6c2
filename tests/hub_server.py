"""The endpoints of the Hugging Face hub that the client uses for datasets, on loopback.

Made from what the client (huggingface_hub) sends and expects; it is not the hub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from loopback import Answer, Loopback, path_and_query

TOKEN = "hf_loopbackSECRETtoken0123456789"  # noqa: S105

_API = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)(?P<rest>/.*)?")
_RESOLVE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass
class Repository:
    """A dataset repository: its commits, newest last, each with all of its files."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)
    """Uploaded large files by their SHA-256."""

    def commit(self, files: dict[str, bytes]) -> str:
        sha = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()  # noqa: S324
        self.commits.append((sha, files))
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((c for c in self.commits if c[0] == revision), None)


def is_large(name: str) -> bool:
    return name.endswith((".parquet", ".npy", ".safetensors"))


@dataclass
class Hub(Loopback):
    """Accepts `TOKEN` alone."""

    repositories: dict[str, Repository] = field(default_factory=dict)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        route, _query = path_and_query(path)
        route = unquote(route)
        known = headers.get("authorization") == f"Bearer {TOKEN}"
        if route == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if route.startswith("/lfs/"):
            return self._store(route, body)
        if method in ("PUT", "POST") and not known:
            return _error(401, "RepoNotFound" if "datasets" in route else "")
        if route == "/api/repos/create":
            return self._create(json.loads(body))
        if match := re.fullmatch(r"/datasets/(.+)\.git/info/lfs/objects/batch", route):
            return self._batch(self.repositories[match[1]], match[1], json.loads(body))
        match = _API.fullmatch(route) or _RESOLVE.fullmatch(route)
        repository = self.repositories.get(match["repo"]) if match else None
        if match is None or repository is None or (repository.private and not known):
            return _error(404, "RepoNotFound")
        if "file" in match.groupdict():
            return self._resolve(repository, match["revision"], match["file"], method, headers)
        return self._api(repository, match["repo"], match["rest"] or "", body)

    def _create(self, asked: dict[str, Any]) -> Answer:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.repositories:
            return _error(409, "")
        built = Repository(asked.get("visibility") == "private" or bool(asked.get("private")))
        built.commit({".gitattributes": b"*.parquet filter=lfs\n"})
        self.repositories[name] = built
        return _json({"url": f"{self.url}/datasets/{name}"})

    def _api(self, repository: Repository, name: str, rest: str, body: bytes) -> Answer:
        action, _, revision = rest.lstrip("/").partition("/")
        revision = (
            revision.split("/")[0] if action in ("revision", "tree", "preupload", "commit") else ""
        )
        result = repository.at(revision or "main")
        if result is None:
            return _error(404, "RevisionNotFound")
        sha, files = result
        if action in ("", "revision"):
            siblings = [{"rfilename": file} for file in files]
            return _json({"id": name, "sha": sha, "private": repository.private,
                          "siblings": siblings})  # fmt: skip
        if action == "tree":
            return _json([_tree_entry(file, data) for file, data in files.items()])
        asked = [json.loads(line) for line in body.splitlines() if line.strip()]
        if action == "preupload":
            return _json(
                {
                    "files": [
                        {
                            "path": file["path"],
                            "uploadMode": "lfs" if is_large(file["path"]) else "regular",
                            "shouldIgnore": False,
                            "oid": None,
                        }
                        for file in asked[0]["files"]
                    ]
                }
            )
        assert action == "commit", rest
        return self._commit(repository, name, sha, dict(files), asked)

    def _commit(
        self,
        repository: Repository,
        name: str,
        head: str,
        files: dict[str, bytes],
        lines: list[Any],
    ) -> Answer:
        for line in lines:
            value = line["value"]
            if line["key"] == "header" and value.get("parentCommit", head) != head:
                return _error(412, "")
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in repository.large:
                    return _error(400, "")
                files[value["path"]] = repository.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        sha = repository.commit(files)
        return _json({"commitUrl": f"{self.url}/datasets/{name}/commit/{sha}", "commitOid": sha})

    def _batch(self, repository: Repository, name: str, asked: dict[str, Any]) -> Answer:
        objects = []
        for item in asked["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in repository.large:
                href = f"{self.url}/lfs/{name}/{item['oid']}?X-Amz-Signature=signedSECRET"
                entry["actions"] = {"upload": {"href": href}}
            objects.append(entry)
        return _json({"transfer": "basic", "objects": objects})

    def _store(self, route: str, body: bytes) -> Answer:
        name, _, oid = route.removeprefix("/lfs/").rpartition("/")
        if hashlib.sha256(body).hexdigest() != oid:
            return _error(400, "")
        self.repositories[name].large[oid] = body
        return Answer()

    def _resolve(
        self, repository: Repository, revision: str, file: str, method: str, headers: dict[str, str]
    ) -> Answer:
        result = repository.at(revision)
        if result is None:
            return _error(404, "RevisionNotFound")
        sha, files = result
        if file not in files:
            return _error(404, "EntryNotFound", {"X-Repo-Commit": sha})
        data = files[file]
        answer_headers = {
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Repo-Commit": sha,
            "Accept-Ranges": "bytes",
        }
        asked = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        if asked and method == "GET" and int(asked[1]) > 0:
            start = int(asked[1])
            answer_headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return Answer(206, data[start:], answer_headers)
        return Answer(200, data, answer_headers)


def _tree_entry(name: str, data: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": blob}
    if is_large(name):
        sha256 = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 130}
    return entry


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> Answer:
    answer_headers = {"X-Error-Code": code} if code else {}
    return Answer(status, b'{"error": "no"}', {**answer_headers, **(headers or {})})
