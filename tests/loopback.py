"""A server on this machine that can be told to fail, for tests of what goes over a network."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["status", "truncate", "corrupt", "drop", "lose", "hang"]


@dataclass
class Fault:
    """What is to go wrong with the next requests that fit."""

    kind: Kind
    """`status`: answered with it. `truncate`: half of the body comes, then the end. `corrupt`:
    a byte of the body is another. `drop`: the line ends before any answer, and nothing is done.
    `lose`: the request is carried out and its answer is lost. `hang`: no answer for a while."""
    request: str
    """Regular expression for `METHOD /path?query`."""
    times: int = 1
    status: int = 500
    seconds: float = 0.0


@dataclass(frozen=True)
class Answer:
    """Of the part of a server that does the work."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Loopback:
    """State of a server: subclasses answer; faults and the log of requests are kept here."""

    faults: list[Fault] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    headers_seen: list[dict[str, str]] = field(default_factory=list)
    bytes_sent: int = 0
    url: str = ""
    lock: Any = field(default_factory=threading.RLock)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Carry out a request."""
        raise NotImplementedError

    def fault(self, request: str) -> Fault | None:
        """Take the fault that is due for a request."""
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.request, request):
                fault.times -= 1
                return fault
        return None

    def requests(self, pattern: str) -> list[str]:
        """Requests so far that fit."""
        return [line for line in self.log if re.search(pattern, line)]

    def forget(self) -> None:
        """Start a new log, without faults."""
        self.log.clear()
        self.faults.clear()
        self.headers_seen.clear()
        self.bytes_sent = 0


def _handler(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:
            request = f"{self.command} {self.path}"
            length = self.headers.get("Content-Length")
            body = self.rfile.read(int(length)) if length else b""
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                body = self._read_chunks()
            with server.lock:
                server.log.append(request)
                server.headers_seen.append(dict(self.headers.items()))
                fault = server.fault(request)
            if fault and fault.kind == "hang":
                time.sleep(fault.seconds)
            if fault and fault.kind in ("drop", "hang"):
                self.close_connection = True
                return
            if fault and fault.kind == "status":
                self._send(Answer(fault.status, b"a fault"))
                return
            with server.lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = server.answer(self.command, self.path, headers, body)
            if fault and fault.kind == "lose":
                self.close_connection = True
                return
            if fault and fault.kind == "corrupt" and answer.body:
                answer = Answer(
                    answer.status,
                    bytes([answer.body[0] ^ 1]) + answer.body[1:],
                    answer.headers,
                )
            cut = len(answer.body) // 2 if fault and fault.kind == "truncate" else None
            self._send(answer, cut)

        def _send(self, answer: Answer, cut: int | None = None) -> None:
            self.send_response(answer.status)
            headers = {"Content-Length": str(len(answer.body)), **answer.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                body = answer.body if cut is None else answer.body[:cut]
                self.wfile.write(body)
                with server.lock:
                    server.bytes_sent += len(body)
            if cut is not None:
                self.close_connection = True

        def _read_chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    return Handler


@contextmanager
def serving(server: Loopback) -> Iterator[Loopback]:
    """Run it on a free port of the loopback address."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def path_and_query(path: str) -> tuple[str, str]:
    """Split what comes after the host."""
    parts = urlsplit(path)
    return parts.path, parts.query
