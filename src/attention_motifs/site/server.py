"""`motifs serve`: the HTTP server of a site folder.

It answers GET and HEAD requests for files in the folder, and refuses a request whose Host header
names another machine: otherwise a web page could read the atlas by pointing its own host name at
this machine (DNS rebinding). An extension adds routes; a POST to them must be JSON from a page of
this server, so that no other page can send one.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import ipaddress
import logging
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from attention_motifs.errors import InputError, ResourceError

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8377

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of index.html, which also forbids framing by another page."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

MEDIA_TYPES = {
    ".bin": "application/octet-stream",
    ".css": "text/css",
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".npy": "application/octet-stream",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
"""Media type by suffix. The system's table is not used: on some machines it is wrong."""

MOST_CONNECTIONS = 256
"""Connections served at a time; further ones get status 503."""

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_COMPRESSIBLE = {".html", ".js", ".mjs", ".css", ".json", ".svg", ".csv", ".txt", ".map", ".md"}
_LARGEST_COMPRESSED = 16 << 20
"""Larger files are sent as stored: a compressed copy is kept in memory."""
_LARGEST_WHOLE = 64 << 20
"""Larger files are read while they are sent."""
_NO_SUCH_FILE = "this site has no such file\n"
_LARGEST_REQUEST = 32 << 10
"""Bytes of a request's first line and headers."""
_FOREVER = "public, max-age=31536000, immutable"
_TAG = re.compile(r'(?:W/)?("[^"]*")')

log = logging.getLogger(__name__)


def resolve(folder: Path, path: str) -> Path | None:
    """Return the file in `folder` that a decoded URL path names; None if there is none.

    A path is plain names between slashes. Everything else names no file: `..`, backslashes,
    control characters, drive letters, hidden files, and links to files outside of the folder.
    """
    if not path.startswith("/"):
        return None
    names = path[1:].split("/")
    if names[-1] == "":
        names[-1] = "index.html"
    for name in names:
        odd = any(ord(c) < 32 or c in "\\:\x7f" for c in name)
        # A name that is still encoded was encoded twice, to pass a check.
        if not name or name.startswith(".") or odd or unquote(name) != name:
            return None
    root = folder.resolve()
    try:
        target = root.joinpath(*names).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    return target if target.is_file() and target.is_relative_to(root) else None


def host_name(header: str) -> str | None:
    """Return the name or address in a Host header, in lower case; None if it is malformed."""
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
    """Return whether an address or name reaches this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def allowed_host(host: str, names: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that says whether a Host header is accepted.

    The loopback names and `names` are accepted. A server bound to another address than loopback
    also accepts this machine's name and every numeric address, which no name server can forge.

    Args:
        host: address that the server is bound to.
        names: further host names to accept.
    """
    known = {*_LOOPBACK_NAMES, host.lower(), *(name.lower() for name in names)}
    public = not is_loopback(host)
    if public:
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
        return public

    return allowed


@dataclass(frozen=True)
class Extension:
    """What a server answers besides the files of a site.

    Attributes:
        name: content of `<meta name="extension">`, by which the pages recognise it.
        routes: tried before the files.
        posts: paths that take POST requests.
    """

    name: str
    routes: Sequence[Route]
    posts: frozenset[str]


class Guard:
    """Middleware that refuses all but GET and HEAD of accepted hosts, and POST to some paths.

    It adds `headers` to every answer, and turns an error of the application into status 500 and
    one line in the log.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed: Callable[[str], bool],
        headers: Mapping[str, str],
        posts: frozenset[str] = frozenset(),
    ) -> None:
        """Wrap `app`.

        Args:
            app: answers the requests that pass.
            allowed: says whether a Host header is accepted.
            headers: of every answer.
            posts: paths that take POST requests.
        """
        self.app = app
        self.allowed = allowed
        self.posts = posts
        self.headers = [(k.lower().encode(), v.encode()) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        from starlette.responses import PlainTextResponse

        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is None:
            try:
                await self.app(scope, receive, with_headers)
                return
            except Exception as error:  # noqa: BLE001 - every error is one line, not a stack trace
                log.warning("%s: %s: %s", scope["path"], type(error).__name__, error)
            refusal = 500, "the file could not be read"
        if not started:
            status, reason = refusal
            await PlainTextResponse(f"{reason}\n", status)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and reason for a request that is refused; None if it is answered."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return 400, "give one Host header"
        if not self.allowed(hosts[0].decode("latin-1")):
            return 421, "this server does not answer for that host; see `motifs serve --host-name`"
        if scope["method"] == "POST" and scope["path"] in self.posts:
            return _post_refusal(scope, hosts[0])
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "only GET and HEAD are answered"
        if not scope["raw_path"].startswith(b"/") or not scope["path"].startswith("/"):
            return 400, "the request names no path"
        return None


def _post_refusal(scope: Scope, host: bytes) -> tuple[int, str] | None:
    """Return status and reason for a POST that is not JSON of a page of this server."""
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name, []).append(value)
    # Browsers send Origin with every POST, and a page cannot change it.
    if headers.get(b"origin") != [b"http://" + host]:
        return 403, "only pages of this server may send that"
    if headers.get(b"sec-fetch-site", [b"same-origin"]) != [b"same-origin"]:
        return 403, "only pages of this server may send that"
    if headers.get(b"content-type") != [b"application/json"]:
        return 415, "send application/json"
    return None


def application(
    folder: Path, allowed: Callable[[str], bool], extension: Extension | None = None
) -> ASGIApp:
    """Return the ASGI application that serves a site folder.

    Args:
        folder: the site.
        allowed: says whether a Host header is accepted.
        extension: further routes.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    # Not a coroutine, so that reading and compressing does not hold up other requests.
    def answer(request: Request) -> Response:
        path = resolve(folder, request.scope["path"])
        if path is None:
            return PlainTextResponse(_NO_SUCH_FILE, 404)
        if extension is not None and path == folder.resolve() / "index.html":
            return _marked_page(path, extension)
        try:
            return _file_response(request, path)
        except FileNotFoundError:  # removed since its name was resolved
            return PlainTextResponse(_NO_SUCH_FILE, 404)

    routes = list(extension.routes) if extension else []
    posts = extension.posts if extension else frozenset()
    return Starlette(
        routes=[*routes, Route("/{path:path}", answer, methods=["GET"])],
        middleware=[Middleware(Guard, allowed=allowed, headers=HEADERS, posts=posts)],
    )


def _marked_page(path: Path, extension: Extension) -> Response:
    """Return the page with the name of the extension in it.

    The exported file stays the same: without the extension it must not promise it. There is no
    entity tag, since a browser would else show the page of an earlier server on the same port.
    """
    from starlette.responses import HTMLResponse

    mark = f'<meta name="extension" content="{html.escape(extension.name)}">'
    page = path.read_text(encoding="utf-8").replace("</head>", f"{mark}</head>", 1)
    return HTMLResponse(page, headers={"Cache-Control": "no-store"})


def _file_response(request: Request, path: Path) -> Response:
    """Return the answer with a file.

    The file is opened once: its size, tag and bytes belong together, whatever takes its place
    meanwhile. Parts of a file, and very large ones, are read while they are sent.
    """
    from starlette.responses import FileResponse, Response

    suffix = path.suffix.lower()
    media_type = MEDIA_TYPES.get(suffix, "application/octet-stream")
    # Names of scripts hold a digest, and so does the query of a data file: neither ever changes.
    fixed = path.parent.name == "assets" or "v" in request.query_params
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        tag = _entity_tag(status)
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": _FOREVER if fixed else "no-cache",
            "ETag": tag,
            "Vary": "Accept-Encoding",
        }
        if _matches(tag, request.headers.getlist("if-none-match")):
            return Response(status_code=304, headers=headers)
        wants_gzip = accepts_gzip(request.headers.get("accept-encoding", ""))
        if suffix in _COMPRESSIBLE and status.st_size <= _LARGEST_COMPRESSED and wants_gzip:
            data = _compressed(path, status.st_mtime_ns, status.st_size)
            # Weak, since it is not byte for byte what other readers get.
            headers |= {"ETag": f"W/{tag}", "Content-Encoding": "gzip"}
            return Response(data, headers=headers, media_type=media_type)
        if "range" not in request.headers and status.st_size <= _LARGEST_WHOLE:
            return Response(file.read(), headers=headers, media_type=media_type)
    return FileResponse(path, headers=headers, media_type=media_type, stat_result=status)


def _entity_tag(status: os.stat_result) -> str:
    """Return a tag that changes with the file."""
    text = f"{status.st_mtime_ns} {status.st_size}"
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'


def _matches(tag: str, headers: Iterable[str]) -> bool:
    """Return whether If-None-Match headers name a tag: `*`, or a list of strong or weak tags."""
    return any(header.strip() == "*" or tag in _TAG.findall(header) for header in headers)


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header accepts gzip."""
    weights = {}
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        weights[name.strip()] = parameters.replace(" ", "")
    weight = weights.get("gzip", weights.get("*"))
    return weight is not None and re.fullmatch(r"q=0(\.0*)?", weight) is None


@lru_cache(maxsize=256)
def _compressed(path: Path, _mtime: int, _size: int) -> bytes:
    """Return a file compressed; kept until the file changes."""
    return gzip.compress(path.read_bytes(), 6, mtime=0)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address and port; port 0 takes a free one.

    Raises:
        InputError: if the address or port cannot be used.
        ResourceError: if the port is taken.
    """
    if not 0 <= port <= 65535:
        raise InputError(
            f"--port {port}: is not a port. Give 0 for a free one, or one from 1024 to 65535"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # With the protocol named, asyncio sends small answers at once, without a wait of 40 ms.
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise InputError(
            f"--host {host}: is no address of this machine ({error.strerror}). "
            "Give 127.0.0.1 or 0.0.0.0"
        ) from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise ResourceError(
            f"{host}:{port}: cannot be listened on ({error.strerror}). Give another --port"
        ) from error
    return opened


def make_server(
    folder: Path, host: str, names: Iterable[str] = (), extension: Extension | None = None
) -> uvicorn.Server:
    """Return the server of a site folder; run it with `server.run(sockets=[bind(...)])`.

    Args:
        folder: the site.
        host: address that the server is bound to.
        names: further host names to accept in requests.
        extension: further routes.
    """
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            application(folder, allowed_host(host, names), extension),
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=_LARGEST_REQUEST,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=2,
        )
    )
