"""A hub on this machine: what huggingface_hub and datasets ask for, answered from folders."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class LocalHub:
    """Repositories by `models/org/name` or `datasets/org/name`, and what was asked of them."""

    repositories: dict[str, Path]
    gated: set[str] = field(default_factory=set)
    """Repositories whose files are refused to who has not accepted the licence."""
    address: str = ""
    asked: list[str] = field(default_factory=list)
    """Method and path of every request."""
    unknown: list[str] = field(default_factory=list)
    """Requests that no part of the hub's interface known here answers."""


@contextmanager
def local_hub(repositories: dict[str, Path], gated: set[str] | None = None) -> Iterator[LocalHub]:
    """Serve repositories on a free port of the loopback address until the block ends."""
    hub = LocalHub(repositories, gated or set())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_arguments: object) -> None:
            pass

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            hub.asked.append(f"{self.command} {self.path}")
            path = unquote(urlsplit(self.path).path).strip("/")
            parts = path.split("/")
            if parts[:1] == ["api"] and "/".join(parts[1:4]) in hub.repositories:
                self._api("/".join(parts[1:4]), parts[4:], body)
                return
            name = parts if parts[:1] == ["datasets"] else ["models", *parts]
            repository, rest = "/".join(name[:3]), name[3:]
            if repository in hub.repositories and rest[:1] == ["resolve"] and len(rest) > 2:
                self._file(repository, "/".join(rest[2:]))
                return
            if repository not in hub.repositories and (parts[0] == "api" or rest):
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                return
            hub.unknown.append(f"{self.command} {self.path}")
            self._send(404, b"{}", {})

        def _api(self, repository: str, rest: list[str], body: bytes) -> None:
            folder = hub.repositories[repository]
            files = sorted(p for p in folder.rglob("*") if p.is_file())
            rows = [
                {
                    "type": "file",
                    "path": str(p.relative_to(folder)),
                    "rfilename": str(p.relative_to(folder)),
                    "size": p.stat().st_size,
                    "oid": _etag(p),
                }
                for p in files
            ]
            if not rest or rest[0] == "revision":
                value: object = {
                    "_id": "0", "id": repository.partition("/")[2], "sha": REVISION,
                    "private": False, "gated": "manual" if repository in hub.gated else False,
                    "downloads": 0, "likes": 0, "tags": [], "siblings": rows,
                    "lastModified": "2025-01-01T00:00:00.000Z",
                }  # fmt: skip
            elif rest[0] == "tree":
                deep = "recursive=true" in urlsplit(self.path).query
                value = _tree(rows, "/".join(rest[2:]), deep=deep)
            elif rest[0] == "paths-info":
                if self.headers.get("Content-Type", "").startswith("application/json"):
                    expected = json.loads(body)["paths"]
                else:
                    expected = parse_qs(body.decode())["paths"]
                value = [r for r in rows if r["path"] in expected]
            else:
                hub.unknown.append(f"{self.command} {self.path}")
                self._send(404, b"{}", {})
                return
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _file(self, repository: str, name: str) -> None:
            path = hub.repositories[repository] / name
            if repository in hub.gated:
                self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
            elif path.is_file():
                data = path.read_bytes()
                headers = {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": REVISION}
                self._send(200, data, headers)
            else:
                self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})

        def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _tree(rows: list[dict[str, object]], under: str, *, deep: bool) -> list[dict[str, object]]:
    """Files below a folder or, unless `deep`, its own files and folders."""
    start = f"{under}/" if under else ""
    below = [row for row in rows if str(row["path"]).startswith(start)]
    if deep:
        return below
    result: dict[str, dict[str, object]] = {}
    for row in below:
        name, slash, _ = str(row["path"]).removeprefix(start).partition("/")
        folder = {"type": "directory", "path": start + name, "oid": "0", "size": 0}
        result.setdefault(name, folder if slash else row)
    return list(result.values())


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()  # noqa: S324 - a name, no secret
