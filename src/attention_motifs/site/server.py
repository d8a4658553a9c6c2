"""`motifs serve`: a site folder over HTTP, for this machine unless told otherwise.

Only GET and HEAD of files below the folder are answered. Requests that name another host are
refused, so that a page of a stranger cannot read the atlas by pointing its name at this machine
(DNS rebinding).
"""

from __future__ import annotations

import gzip
import hashlib
import ipaddress
import mimetypes
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from attention_motifs.errors import InputError, ResourceError

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8377

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy: that of index.html, and no frame of another page around it."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_COMPRESSIBLE = {".html", ".js", ".css", ".json", ".svg", ".csv", ".txt", ".map"}
_FOREVER = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".json": "application/json", ".bin": "application/octet-stream"}


def resolve(folder: Path, path: str) -> Path | None:
    """File that a decoded URL path names below `folder`; None if there is none.

    Anything but plain names between slashes names none: `..`, backslashes, control characters,
    drive letters, hidden files, and links that lead out of the folder.
    """
    if not path.startswith("/"):
        return None
    names = path[1:].split("/")
    if names[-1] == "":
        names[-1] = "index.html"
    for name in names:
        odd = any(ord(c) < 32 or c in "\\:\x7f" for c in name)
        # What is still encoded after decoding once was encoded twice to get past a check.
        if not name or name.startswith(".") or odd or unquote(name) != name:
            return None
    root = folder.resolve()
    try:
        target = root.joinpath(*names).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    return target if target.is_file() and target.is_relative_to(root) else None


def host_name(header: str) -> str | None:
    """Name or address in a Host header, without port and in lower case; None if malformed."""
    text = header.strip().lower()
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        port = port.removeprefix(":") if port.startswith(":") or not port else "?"
        if not bracket:
            return None
    else:
        name, _, port = text.partition(":")
    if not name or (port and not port.isascii()) or (port and not port.isdigit()):
        return None
    return name.removesuffix(".")


def is_loopback(host: str) -> bool:
    """Whether an address or name is of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def allowed_host(host: str, names: Iterable[str]) -> Callable[[str], bool]:
    """Return the test that a request's Host must pass.

    Bound to this machine: its loopback names, and `names`. Bound elsewhere: also the machine's
    own name and any address in numbers, which no foreign name server can hand out.
    """
    known = {*_LOOPBACK_NAMES, host.lower(), *(name.lower() for name in names)}
    elsewhere = not is_loopback(host)
    if elsewhere:
        known |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def allowed(header: str) -> bool:
        name = host_name(header)
        if name is None:
            return False
        if name in known:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return elsewhere

    return allowed


class Guard:
    """Middleware: only GET and HEAD of allowed hosts; headers on every answer, errors too."""

    def __init__(
        self, app: ASGIApp, allowed: Callable[[str], bool], headers: Mapping[str, str]
    ) -> None:
        """Stand before `app`; `allowed` tests the Host header."""
        self.app = app
        self.allowed = allowed
        self.headers = [(k.lower().encode(), v.encode()) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        from starlette.responses import PlainTextResponse

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        if scope["type"] != "http":
            return
        refused = self._refusal(scope)
        if refused is None:
            await self.app(scope, receive, with_headers)
        else:
            code, why = refused
            await PlainTextResponse(f"{why}\n", code)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason for a request that is not answered; None if it is."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return 400, "give one Host header"
        if not self.allowed(hosts[0].decode("latin-1")):
            return 421, "this server does not answer for that host"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "only GET and HEAD are answered"
        if not scope["raw_path"].startswith(b"/") or not scope["path"].startswith("/"):
            return 400, "not a path"
        return None


def application(folder: Path, allowed: Callable[[str], bool]) -> ASGIApp:
    """Return the ASGI application that serves a site folder."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        path = request.scope["path"]
        found = resolve(folder, path)
        if found is None:
            return PlainTextResponse("there is no such file in this site\n", 404)
        return _file_response(request, found)

    return Starlette(
        routes=[Route("/{path:path}", answer, methods=["GET"])],
        middleware=[Middleware(Guard, allowed=allowed, headers=HEADERS)],
    )


def _file_response(request: Request, path: Path) -> Response:
    from starlette.responses import FileResponse, Response

    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    kind = kind or "application/octet-stream"
    # Scripts have a digest in their names, data files one in the query: both never change.
    fixed = path.parent.name == "assets" or "v" in request.query_params
    headers = {"Cache-Control": _FOREVER if fixed else "no-cache"}
    if path.suffix not in _COMPRESSIBLE:
        return FileResponse(path, headers=headers, media_type=kind)
    told = path.stat()
    data, tag = _packed(path, told.st_mtime_ns, told.st_size)
    headers |= {"ETag": f'"{tag}"', "Vary": "Accept-Encoding"}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(data, headers={**headers, "Content-Encoding": "gzip"}, media_type=kind)
    return Response(gzip.decompress(data), headers=headers, media_type=kind)


@lru_cache(maxsize=256)
def _packed(path: Path, _mtime: int, _size: int) -> tuple[bytes, str]:
    """A file compressed, and its digest; kept until the file changes."""
    data = path.read_bytes()
    return gzip.compress(data, 6, mtime=0), hashlib.sha256(data).hexdigest()[:16]


def bind(host: str, port: int) -> socket.socket:
    """Open the socket to listen on; port 0 takes a free one.

    Raises:
        InputError: if the address or port cannot be used.
        ResourceError: if the port is taken.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port}: choose one from 1024 to 65535")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        opened = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"--host {host}: no address of this machine ({error.strerror})") from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise ResourceError(
            f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port"
        ) from error
    return opened


def make_server(folder: Path, host: str, names: Iterable[str] = ()) -> uvicorn.Server:
    """Return the server of a site folder; run it with `server.run(sockets=[bind(...)])`.

    Args:
        folder: of the site.
        host: that it is bound to.
        names: other names by which requests may call this machine.
    """
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            application(folder, allowed_host(host, names)),
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
    )
