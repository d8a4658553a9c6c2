"""The server over real sockets: what it answers, and what it refuses."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from attention_motifs.errors import InputError, ResourceError
from attention_motifs.site.server import allowed_host, bind, host_name, make_server, resolve

SECRET = b"the secret of another folder"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def talk(port: int, request: bytes) -> Answer:
    """Send bytes as they are, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(request)
        line.settimeout(10)
        received = b""
        while chunk := line.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest)}
    return Answer(int(first.split()[1]), headers, body)


def get(
    port: int, path: str, host: str | None = None, method: str = "GET", more: str = ""
) -> Answer:
    host = f"127.0.0.1:{port}" if host is None else host
    lines = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"
    return talk(port, lines.encode("latin-1"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("served")
    (base / "secret.txt").write_bytes(SECRET)
    site = base / "site"
    (site / "data" / "points").mkdir(parents=True)
    (site / "assets").mkdir()
    (site / "index.html").write_text("<!doctype html>" + "page " * 500)
    (site / "assets" / "index-abc.js").write_text("let x = 1;\n" * 300)
    (site / "data" / "manifest.json").write_text("{}")
    (site / "data" / "points" / "0.bin").write_bytes(bytes(range(256)) * 4)
    (site / ".hidden").write_bytes(SECRET)
    (site / "out").symlink_to(base)
    (site / "out.txt").symlink_to(base / "secret.txt")
    (site / "in.json").symlink_to(site / "data" / "manifest.json")
    return site


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    server, opened = make_server(folder, "127.0.0.1"), bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.05)
    yield opened.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def test_files_are_served_as_they_are(port: int, folder: Path) -> None:
    page = get(port, "/")
    assert (page.status, page.body) == (200, (folder / "index.html").read_bytes())
    assert page.headers["content-type"].startswith("text/html")
    points = get(port, "/data/points/0.bin?v=1", more="Accept-Encoding: gzip\r\n")
    assert points.body == bytes(range(256)) * 4
    assert "content-encoding" not in points.headers
    assert "immutable" in points.headers["cache-control"]
    assert get(port, "/in.json").body == b"{}"


def test_text_is_compressed_where_that_is_understood(port: int, folder: Path) -> None:
    plain = (folder / "assets" / "index-abc.js").read_bytes()
    packed = get(port, "/assets/index-abc.js", more="Accept-Encoding: br, gzip\r\n")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"].startswith("text/javascript")
    assert len(packed.body) < len(plain) / 5
    assert gzip.decompress(packed.body) == plain
    tag = packed.headers["etag"]
    assert get(port, "/assets/index-abc.js", more=f"If-None-Match: {tag}\r\n").status == 304


def test_head_has_no_body(port: int) -> None:
    answer = get(port, "/", method="HEAD")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) > 100
    assert answer.body == b""


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/data/../../secret.txt",
        "/data/%2e%2e/%2e%2e/secret.txt",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "/%5c..%5csecret.txt",
        "//../secret.txt",
        "/./../secret.txt",
        "/.hidden",
        "/%2ehidden",
        "/out/secret.txt",
        "/out.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/index.html%00.js",
        "/index.html/",
        "/data",
        "/data/",
        "/C:/secret.txt",
        "/..;/secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/\xff\xfe",
        "/" + "a" * 5000,
        "/" + "../" * 50 + "etc/passwd",
    ],
)
def test_what_lies_outside_of_the_site_is_not_there(path: str, port: int) -> None:
    answer = get(port, path)
    assert answer.status in (400, 404)
    assert SECRET not in answer.body
    assert b"root:" not in answer.body


@pytest.mark.parametrize("target", ["http://evil.example/", "*", "evil", "http://127.0.0.1/"])
def test_targets_that_are_no_paths_are_refused(target: str, port: int) -> None:
    assert get(port, target).status in (400, 404)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1", "[::1]:80"])
def test_this_machine_goes_by_its_loopback_names(host: str, port: int) -> None:
    assert get(port, "/", host).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8377", "localhost.evil.example", "127.0.0.1.evil.example",
     "10.0.0.1", "127.0.0.1:80:80", "localhost@evil.example", "[::1", "[::1]x", ""],
)  # fmt: skip
def test_other_hosts_are_refused(host: str, port: int) -> None:
    answer = get(port, "/", host)
    assert answer.status in (400, 421)
    assert b"page" not in answer.body


def test_no_host_or_two_are_refused(port: int) -> None:
    assert talk(port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").status == 400
    assert talk(port, b"GET / HTTP/1.0\r\n\r\n").status == 400
    two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert talk(port, two).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_nothing_can_be_changed(method: str, port: int) -> None:
    assert get(port, "/index.html", method=method).status == 405


@pytest.mark.parametrize("path", ["/", "/nothing", "/data/manifest.json", "/data/points/0.bin"])
@pytest.mark.parametrize("host", [None, "evil.example"])
def test_every_answer_carries_the_headers(path: str, host: str | None, port: int) -> None:
    headers = get(port, path, host).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers


def test_a_range_of_a_file(port: int) -> None:
    answer = get(port, "/data/points/0.bin", more="Range: bytes=256-511\r\n")
    assert answer.status == 206
    assert answer.body == bytes(range(256))


def test_elsewhere_numbers_and_given_names_are_answered_for() -> None:
    allowed = allowed_host("192.0.2.1", ["Lab.example"])
    for host in ("10.1.2.3:8377", "[2001:db8::1]:80", "lab.example", "localhost"):
        assert allowed(host)
    assert not allowed("evil.example")
    assert not allowed_host("127.0.0.1", [])("10.1.2.3")
    assert allowed_host("127.0.0.1", ["lab.example"])("lab.example:80")


@pytest.mark.parametrize(
    ("header", "name"),
    [("a.B:80", "a.b"), ("[::1]", "::1"), ("a.", "a"), (":80", None), ("a:x", None), ("a:٣", None)],
)
def test_host_headers_are_read(header: str, name: str | None) -> None:
    assert host_name(header) == name


def test_paths_resolve_below_the_folder_only(folder: Path) -> None:
    assert resolve(folder, "/") == folder / "index.html"
    assert resolve(folder, "/assets/index-abc.js") == folder / "assets" / "index-abc.js"
    assert resolve(folder, "index.html") is None
    assert resolve(folder, "/nul\0") is None


def test_a_taken_port_and_a_strange_host_are_told() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(ResourceError, match=f"127.0.0.1:{number}.*another --port"):
            bind("127.0.0.1", number)
    with pytest.raises(InputError, match="--port 70000"):
        bind("127.0.0.1", 70000)
    with pytest.raises(InputError, match="--host not an address"):
        bind("not an address", 0)
