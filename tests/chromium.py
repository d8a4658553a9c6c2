"""The system's Chromium, for tests in a real browser."""

from __future__ import annotations

import os
import shutil

import pytest

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
