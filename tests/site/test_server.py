"""Tests of the server over real sockets: answers, refusals, caching, odd requests."""

from __future__ import annotations

import gzip
import logging
import mimetypes
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.errors import InputError, ResourceError
from attention_motifs.site import server
from attention_motifs.site.server import (
    MEDIA_TYPES,
    accepts_gzip,
    allowed_host,
    bind,
    host_name,
    resolve,
)
from site_server import serving_site

SECRET = b"the secret of another folder"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def talk(port: int, request: bytes) -> Answer:
    """Send raw bytes, and read until the server closes the connection."""
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
    for suffix in MEDIA_TYPES:
        (site / f"file{suffix.upper()}").write_bytes(b"content " * 40)
    (site / ".hidden").write_bytes(SECRET)
    (site / "out").symlink_to(base)
    (site / "out.txt").symlink_to(base / "secret.txt")
    (site / "in.json").symlink_to(site / "data" / "manifest.json")
    return site


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with serving_site(folder) as number:
        yield number


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


def test_every_file_is_named_by_the_table_of_the_server(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: ("text/plain", None))
    for suffix, media_type in MEDIA_TYPES.items():
        kind = get(port, f"/file{suffix.upper()}").headers["content-type"]
        assert kind.partition(";")[0] == media_type


def test_the_table_knows_every_suffix_of_the_pages() -> None:
    from attention_motifs.site.export import ASSETS

    suffixes = {path.suffix for path in ASSETS.rglob("*") if path.is_file()} - {".sha256"}
    assert suffixes <= set(MEDIA_TYPES)


@pytest.mark.parametrize("path", ["/", "/assets/index-abc.js", "/data/points/0.bin", "/file.PNG"])
@pytest.mark.parametrize("encoding", ["", "Accept-Encoding: gzip\r\n"])
def test_an_unchanged_file_is_answered_with_304(port: int, path: str, encoding: str) -> None:
    tag = get(port, path, more=encoding).headers["etag"]
    strong = tag.removeprefix("W/")
    for sent in (tag, strong, f"W/{strong}", "*", f'"a", {tag}', f'W/"b",{strong} , "c"'):
        answer = get(port, path, more=f"{encoding}If-None-Match: {sent}\r\n")
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"].removeprefix("W/") == strong
        assert "cache-control" in answer.headers
    for sent in ('"other"', strong.strip('"'), strong[:-2] + '"', ""):
        assert get(port, path, more=f"{encoding}If-None-Match: {sent}\r\n").status == 200


def test_a_changed_file_has_another_tag(port: int, folder: Path) -> None:
    (folder / "changing.txt").write_text("one")
    tag = get(port, "/changing.txt").headers["etag"]
    (folder / "changing.txt").write_text("another")
    answer = get(port, "/changing.txt", more=f"If-None-Match: {tag}\r\n")
    assert (answer.status, answer.body) == (200, b"another")


@pytest.mark.parametrize("name", ["replaced.bin", "replaced.json"])
def test_an_answer_is_one_file_while_another_takes_its_place(
    port: int, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced after it was opened, and before it is read."""
    path, new = folder / "data" / name, folder / "data" / ".new"
    bodies = [b"[" + b"1," * 1000 + b"1]", b"[" + b"2," * 5000 + b"2]"]
    path.write_bytes(bodies[0])
    real, n_tags = server._entity_tag, 0

    def replaced(status: os.stat_result) -> str:
        nonlocal n_tags
        n_tags += 1
        new.write_bytes(bodies[n_tags % 2])
        new.replace(path)
        return real(status)

    monkeypatch.setattr(server, "_entity_tag", replaced)
    for more in ("", "Accept-Encoding: gzip\r\n") * 2:
        answer = get(port, f"/data/{name}", more=more)
        zipped = answer.headers.get("content-encoding") == "gzip"
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert (gzip.decompress(answer.body) if zipped else answer.body) in bodies
    assert n_tags == 4
    path.unlink()


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("gzip;q=0", False),
     ("*, gzip; q=0.0", False), ("br", False), ("", False), ("xgzip", False)],
)  # fmt: skip
def test_gzip_is_sent_to_those_who_accept_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) == accepted


def test_head_has_no_body(port: int) -> None:
    answer = get(port, "/", method="HEAD")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) > 100
    assert answer.body == b""


OUTSIDE = [
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
]


def test_files_outside_of_the_site_are_not_served(port: int) -> None:
    for path in OUTSIDE:
        answer = get(port, path)
        assert answer.status in (400, 404), path
        assert SECRET not in answer.body
        assert b"root:" not in answer.body


def test_targets_that_are_no_paths_are_refused(port: int) -> None:
    for target in ("http://evil.example/", "*", "evil", "http://127.0.0.1/"):
        assert get(port, target).status in (400, 404)


def test_loopback_names_are_accepted(port: int) -> None:
    for host in ("localhost", "LOCALHOST:9000", "127.0.0.1", "[::1]:80"):
        assert get(port, "/", host).status == 200


def test_other_hosts_are_refused(port: int) -> None:
    for host in (
        "evil.example", "evil.example:8377", "localhost.evil.example", "127.0.0.1.evil.example",
        "10.0.0.1", "127.0.0.1:80:80", "localhost@evil.example", "[::1", "[::1]x", "",
    ):  # fmt: skip
        answer = get(port, "/", host)
        assert answer.status in (400, 421), host
        assert b"page" not in answer.body


def test_no_host_or_two_are_refused(port: int) -> None:
    assert talk(port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").status == 400
    assert talk(port, b"GET / HTTP/1.0\r\n\r\n").status == 400
    two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert talk(port, two).status == 400


def test_nothing_can_be_changed(port: int) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        assert get(port, "/index.html", method=method).status == 405


@pytest.mark.parametrize("host", [None, "evil.example"])
def test_every_answer_carries_the_headers(host: str | None, port: int) -> None:
    for path in ("/", "/nothing", "/data/manifest.json", "/data/points/0.bin"):
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


def test_ranges_that_make_no_sense_are_answered(port: int) -> None:
    ranges = ["bytes=9-1", "bytes=99999-", "bytes=-", "lines=1-2", "x", "bytes=" + "0-1," * 2000]
    for one in [*ranges, "bytes=" + "9" * 5000 + "-"]:
        status = get(port, "/data/points/0.bin", more=f"Range: {one}\r\n").status
        assert status in (200, 206, 400, 416)


def test_a_file_that_cannot_be_read_is_an_answer_without_a_stack_trace(
    port: int, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise PermissionError("no permission")

    monkeypatch.setattr("attention_motifs.site.server._compressed", fails)
    with caplog.at_level(logging.WARNING):
        answer = get(port, "/index.html", more="Accept-Encoding: gzip\r\n")
    assert answer.status == 500
    assert b"Traceback" not in answer.body
    assert str(folder).encode() not in answer.body
    assert all(record.exc_info is None for record in caplog.records)


def test_odd_requests_do_not_stop_the_server(port: int, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    valid = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    with caplog.at_level(logging.WARNING):
        for trial in range(60):
            sent = bytearray(valid if trial % 3 else rng.bytes(200) + b"\r\n\r\n")
            for _ in range(int(rng.integers(1, 6))):
                sent[int(rng.integers(len(sent)))] = int(rng.integers(256))
            with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
                line.sendall(bytes(sent))
                line.shutdown(socket.SHUT_WR)
                received = line.recv(65536)
            assert not received or received.startswith(b"HTTP/1.1 ")
            assert b"Traceback" not in received
    assert all(record.exc_info is None for record in caplog.records)
    long = f"GET /{'a' * 100_000} HTTP/1.1\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(long)
        assert line.recv(100).startswith(b"HTTP/1.1 4")
    assert get(port, "/").status == 200


def test_a_public_server_accepts_addresses_and_given_names() -> None:
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


def test_a_taken_port_and_an_unknown_host_are_named() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(ResourceError, match=f"127.0.0.1:{number}.*--port"):
            bind("127.0.0.1", number)
    with pytest.raises(InputError, match="--port 70000"):
        bind("127.0.0.1", 70000)
    with pytest.raises(InputError, match="--host not an address"):
        bind("not an address", 0)


def test_small_answers_are_sent_at_once() -> None:
    # asyncio looks at the protocol before it switches Nagle's algorithm off.
    with bind("127.0.0.1", 0) as opened:
        assert opened.proto == socket.IPPROTO_TCP
