"""A real browser on a site exported from a real atlas of the two packaged models.

The browser is the system's Chromium, driven by Playwright. Without one the tests are skipped;
with `MOTIFS_REQUIRE_BROWSER=1`, as in `.ci/run`, they fail instead. `MOTIFS_DEMO_ATLAS=PATH` uses
a demo atlas that is there, which saves building one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from chromium import find_browser, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

N_PROMPTS = 12


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, score_models: Callable[..., None]) -> Path:
    """The demo on fewer prompts: a real atlas with its exported site."""
    find_browser()
    from attention_motifs.cli.demonstration import run_demo
    from attention_motifs.stages import run

    path = tmp_path_factory.mktemp("browser") / "sub folder" / "demo-atlas"
    if existing := os.environ.get("MOTIFS_DEMO_ATLAS"):
        shutil.copytree(existing, path)
        return path
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "score_models", score_models)
        run_demo(path, N_PROMPTS, "cpu")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, cwd: Path) -> Iterator[None]:
    """Run a server until it answers, then until the block ends."""
    # Not to a pipe: a server that logs its requests would stand still when the pipe is full.
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(1200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                break
            time.sleep(0.1)
        assert process.poll() is None, f"did not start: {command}"
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def served(demo: Path) -> Iterator[str]:
    """Address of the site as our own server serves it."""
    port = free_port()
    code = "from attention_motifs.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--atlas", str(demo), "--port", str(port)]
    with running(command, port, demo.parent):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="session")
def plain(demo: Path) -> Iterator[str]:
    """Address of the site two folders below the root of a plain static server."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(command, port, demo.parent.parent):
        yield f"http://127.0.0.1:{port}/sub%20folder/demo-atlas/site/"


@dataclass
class Visit:
    """A page of the browser, with everything that must not happen on it."""

    page: Page
    base: str
    wrong: list[str] = field(default_factory=list)

    def open(self, query: str = "") -> None:
        """Open an address of the site and wait until nothing loads any more."""
        self.page.goto(self.base + query)
        self.settle()

    def settle(self) -> None:
        self.page.wait_for_load_state("networkidle")
        wait_until(self.page, "document.querySelector('#app')?.textContent.length > 20")
        busy = 'main .state-loading, [aria-busy="true"]'
        wait_until(self.page, f"!document.querySelector('{busy}')", seconds=60)


@pytest.fixture
def visit(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    with visiting(browser, served, getattr(request, "param", (1280, 800))) as built:
        yield built


@pytest.fixture
def plain_visit(browser: Browser, plain: str) -> Iterator[Visit]:
    with visiting(browser, plain) as built:
        yield built


@contextlib.contextmanager
def visiting(
    browser: Browser, address: str, size: tuple[int, int] = (1280, 800)
) -> Iterator[Visit]:
    """Open an empty page that notes errors, warnings, failed answers and foreign requests."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    built = Visit(page, address)
    host = urlsplit(address).netloc
    page.on("pageerror", lambda error: built.wrong.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            built.wrong.append(f"console: {message.text} {message.location}")
            if message.type in {"error", "warning"} and "GPU stall" not in message.text
            else None
        ),
    )

    def requested(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != host:
            built.wrong.append(f"request off the host: {url}")

    page.on("request", lambda sent: requested(sent.url))
    page.on(
        "response",
        lambda got: built.wrong.append(f"{got.status}: {got.url}") if got.status >= 400 else None,
    )
    yield built
    context.close()
