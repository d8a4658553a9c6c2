"""The live server over real sockets: answers, refusals, its queue, and requests that are left."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.text_patterns import Reading
from attention_motifs.features.stopping import raise_if_stopped, stopped_by
from attention_motifs.live.application import _LARGEST_BODY, MOST_WAITING, live_extension
from attention_motifs.live.models import MAX_BYTES, LiveModels
from attention_motifs.store.packed_patterns import pack_triangles
from site_server import serving_site

TEXT = "one two three one two three one two three, said the cat."


@contextlib.contextmanager
def serving(folder: Path, live: Any) -> Iterator[int]:
    (folder / "index.html").write_text("<!doctype html><head><title>x</title></head><p>page")
    with serving_site(folder, live_extension(live)) as number:
        yield number


@pytest.fixture(scope="module")
def atlas(built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return Atlas.open(shutil.copytree(built.path, tmp_path_factory.mktemp("live") / "atlas"))


@pytest.fixture(scope="module")
def live(atlas: Atlas) -> LiveModels:
    models = LiveModels(atlas)
    for name in atlas.models:
        models.load(name)
    return models


@pytest.fixture(scope="module")
def port(live: LiveModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("site"), live) as number:
        yield number


def post(
    port: int, path: str, value: Any, headers: dict[str, str | None] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send JSON, or bytes, as a page of the server would; a header that is None is left out."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    given = {
        "Content-Type": "application/json",
        "Origin": f"http://127.0.0.1:{port}",
        **(headers or {}),
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body, {k: v for k, v in given.items() if v is not None})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data


def read(port: int, texts: list[str], models: list[str] | None = None) -> tuple[dict, np.ndarray]:
    status, headers, data = post(port, "/live/read", {"texts": texts, "models": models or []})
    assert status == 200, data
    assert headers["content-type"] == "application/octet-stream"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    length = int.from_bytes(data[:4], "little")
    return json.loads(data[4 : 4 + length]), np.frombuffer(data[4 + length :], dtype=np.uint8)


def error_of(data: bytes) -> str:
    error: str = json.loads(data)["error"]
    assert "Traceback" not in error
    assert "\n" not in error
    return error


def test_the_page_says_that_the_server_is_live(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    page = answer.read().decode()
    assert '<meta name="extension" content="live"></head>' in page
    assert answer.getheader("etag") is None
    connection.request("GET", "/live/state")
    state = json.loads(connection.getresponse().read())
    assert state["models"] == ["a", "b"]
    assert state["max_bytes"] == MAX_BYTES
    connection.close()


def test_patterns_of_all_heads_are_sent_as_bytes(port: int, atlas: Atlas) -> None:
    answer, patterns = read(port, [TEXT])
    expected = atlas.on(TEXT)
    at = 0
    for reading, own in zip(answer["readings"], expected.readings, strict=True):
        assert reading["tokens"] == list(own.tokens)
        np.testing.assert_allclose(reading["unusual"], own.unusual.deviations, atol=1e-3)
        for layer in own.layers:
            packed = pack_triangles(layer)
            sent = patterns[at : at + packed.size].reshape(packed.shape)
            assert np.abs(sent.astype(int) - packed).max() <= 1
            at += packed.size
    assert at == len(patterns)
    assert answer["differences"] == []


def test_two_texts_and_chosen_models(port: int) -> None:
    answer, _ = read(port, [TEXT, TEXT.replace("cat", "dog")], ["b"])
    assert [(r["model"], r["text"]) for r in answer["readings"]] == [("b", 0), ("b", 1)]
    (difference,) = answer["differences"]
    assert len(difference["moved"]) == 9
    assert max(difference["moved"]) > 0


def test_texts_are_bounded(port: int) -> None:
    long = "one two " * (MAX_BYTES // 8)
    answer, _ = read(port, [long], ["a"])
    assert answer["readings"][0]["is_cut"]
    assert len(answer["readings"][0]["tokens"]) == 256
    status, _, data = post(port, "/live/read", {"texts": ["x" * (MAX_BYTES + 1)], "models": []})
    assert status == 400
    assert f"{MAX_BYTES:,}" in error_of(data)
    status, _, data = post(port, "/live/read", b" " * (_LARGEST_BODY + 1))
    assert status == 413
    assert "too large" in error_of(data)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"null", b"{", b"\xff", b"[" * 100_000, b'{"texts": "a", "models": []}',
        b'{"texts": [], "models": []}', b'{"texts": ["a b", "c", "d"], "models": []}',
        b'{"texts": [5], "models": []}', b'{"texts": [""], "models": []}',
        b'{"texts": ["\\ud800 a"], "models": []}', b'{"texts": ["a b"], "models": ["c"]}',
        b'{"texts": ["a b"]}',
    ],
)  # fmt: skip
def test_malformed_requests_are_answered_in_one_line(port: int, body: bytes) -> None:
    status, _, data = post(port, "/live/read", body)
    assert status == 400
    assert error_of(data)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": None}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": None}, 415),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
    ],
)
@pytest.mark.parametrize("path", ["/live/read", "/live/keep"])
def test_requests_of_other_pages_are_refused(
    port: int, path: str, headers: dict[str, str | None], status: int, atlas: Atlas
) -> None:
    body = {"texts": [TEXT], "models": [], "text": TEXT}
    assert post(port, path, body, headers)[0] == status
    assert not atlas.file("kept_prompts").is_file()


def test_other_methods_and_paths_are_refused(port: int) -> None:
    assert post(port, "/live/state", {})[0] == 405
    assert post(port, "/index.html", {})[0] == 405
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(method, "/live/read", headers={"Origin": f"http://127.0.0.1:{port}"})
        assert connection.getresponse().status in (404, 405)
        connection.close()


def test_a_site_that_is_not_live_takes_no_text(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<head></head>")
    with serving_site(tmp_path) as number:
        assert post(number, "/live/read", {"texts": [TEXT], "models": []})[0] == 405
        connection = http.client.HTTPConnection("127.0.0.1", number, timeout=10)
        connection.request("GET", "/")
        assert b"extension" not in connection.getresponse().read()
        connection.close()


def test_a_text_is_kept_by_a_request_alone(built: Atlas, live: LiveModels, tmp_path: Path) -> None:
    own = Atlas.open(shutil.copytree(built.path, tmp_path / "atlas"))
    models = LiveModels(own)
    models._models = live._models
    (tmp_path / "site").mkdir()
    with serving(tmp_path / "site", models) as number:
        read(number, [TEXT])
        assert not own.file("kept_prompts").is_file()
        status, _, data = post(number, "/live/keep", {"text": TEXT})
        kept = json.loads(data)
        assert (status, kept["n_kept"], kept["is_new"]) == (200, 1, True)
        assert (own.path / kept["file"]).is_file()
        with Atlas.lock(own.path):
            status, _, data = post(number, "/live/keep", {"text": TEXT + " More."})
        assert status == 409
        assert "another run" in error_of(data)
        assert post(number, "/live/keep", {"text": " "})[0] == 400


class Slow:
    """Models that read a text until they are let go; they note what was read, and what stopped."""

    names = ("a",)

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.go = threading.Event()
        self.at_once = 0
        self.most_at_once = 0

    def read(self, text: str, model: str, *, stopped: threading.Event) -> Reading:
        self.begun.append(text)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            with stopped_by(stopped):
                while not self.go.wait(0.01):
                    raise_if_stopped()
        except Exception:
            self.stopped.append(text)
            raise
        finally:
            self.at_once -= 1
        return Reading(model, ("t", "t"), False, False, (0,), (np.ones((1, 2, 2)),), None, "")


@pytest.fixture
def slow() -> Iterator[Slow]:
    models = Slow()
    yield models
    models.go.set()


def until(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in 10 s")


def ask_and_leave(port: int, text: str) -> socket.socket:
    """Send a request, and return its connection before the answer."""
    body = json.dumps({"texts": [text], "models": []}).encode()
    line = socket.create_connection(("127.0.0.1", port), timeout=10)
    head = (
        f"POST /live/read HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    line.sendall(head.encode() + body)
    return line


def test_one_text_at_a_time_and_a_bounded_queue(slow: Slow, tmp_path: Path) -> None:
    with serving(tmp_path, slow) as number, ThreadPoolExecutor(8) as pool:
        waiting = []
        for i in range(MOST_WAITING + 1):
            request = {"texts": [f"text {i}"], "models": []}
            waiting.append(pool.submit(post, number, "/live/read", request))
            time.sleep(0.05)
        until(lambda: slow.begun)
        try:
            until(lambda: _is_busy(number))  # the queue may still be filling
        finally:
            slow.go.set()
        assert [answer.result()[0] for answer in waiting] == [200] * (MOST_WAITING + 1)
        assert slow.most_at_once == 1
        assert post(number, "/live/read", {"texts": ["after"], "models": []})[0] == 200


def _is_busy(port: int) -> bool:
    line = ask_and_leave(port, "one more")
    line.settimeout(0.5)
    data = b""
    with contextlib.suppress(TimeoutError), line:
        while b"}" not in data and (part := line.recv(65536)):
            data += part
    assert not data or data.startswith(b"HTTP/1.1 503")
    assert b"200 OK" not in data
    return b"busy" in data and b"retry-after: 1" in data.lower()


def test_a_request_whose_browser_left_is_stopped(slow: Slow, tmp_path: Path) -> None:
    with serving(tmp_path, slow) as number:
        first = ask_and_leave(number, "first")
        until(lambda: slow.begun == ["first"])
        second = ask_and_leave(number, "second")  # waits for its turn
        time.sleep(0.1)
        second.close()
        time.sleep(0.1)
        first.close()
        until(lambda: slow.stopped == ["first"])
        slow.go.set()
        assert post(number, "/live/read", {"texts": ["third"], "models": []})[0] == 200
        assert slow.begun == ["first", "third"]


def test_the_server_ends_while_a_text_is_read(slow: Slow, tmp_path: Path) -> None:
    with serving(tmp_path, slow) as number:
        line = ask_and_leave(number, "first")
        until(lambda: slow.begun)
    until(lambda: slow.stopped == ["first"])
    line.close()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--live", "--host", "192.0.2.1"], "--host 192.0.2.1"),
        (["--live", "--host-name", "lab.example"], "--host-name"),
        (["--model", "a"], "Add --live"),
        (["--device", "cpu"], "Add --live"),
        (["--live", "--model", "zzz"], "zzz"),
    ],
)
def test_options_that_do_not_go_together(atlas: Atlas, options: list[str], word: str) -> None:
    from typer.testing import CliRunner

    from attention_motifs.cli.app import app
    from attention_motifs.errors import MotifsError

    result = CliRunner().invoke(app, ["serve", "--atlas", str(atlas.path), *options])
    assert result.exit_code != 0
    assert word in (
        str(result.exception) if isinstance(result.exception, MotifsError) else result.output
    )
