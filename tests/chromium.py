"""The system's Chromium, for tests in a real browser."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
)


def find_browser() -> str:
    """Return the path of a browser; skip, or fail where one is required."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    word = f"no browser ({', '.join(BROWSERS)}): apt-get install chromium"
    if os.environ.get("MOTIFS_REQUIRE_BROWSER") == "1":
        pytest.fail(word)
    pytest.skip(word)


def wait_until(page: Page | Frame, expression: str, seconds: float = 30.0) -> None:
    """Wait until a JavaScript expression is true.

    Playwright's own `wait_for_function` asks a second time by `eval` in the page, which the
    Content-Security-Policy of the pages forbids: it fails where the first answer is no.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({expression})"):
        assert time.monotonic() < end, f"not true after {seconds} s: {expression}"
        time.sleep(0.05)
