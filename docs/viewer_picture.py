"""Take the picture of the viewer in docs/pictures/viewer.png, from the demo atlas.

    python docs/viewer_picture.py demo-atlas

needs Chromium and the `dev` extra.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from attention_motifs import Atlas

OUT = Path(__file__).parent / "pictures" / "viewer.png"
HEAD = "smollm2-135m-instruct:L18:H6"
PROMPT = "69f93c88"
"""A built-in text that repeats itself."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run"]


def main() -> None:
    """Read the argument, and take the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("atlas", type=Path, help="a demo atlas")
    atlas = Atlas.open(parser.parse_args().atlas)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = atlas.view(HEAD, PROMPT, theme="light").save(Path(folder) / "view.html")
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(path.as_uri())
        page.wait_for_selector(".pattern-matrix canvas")
        page.wait_for_timeout(1500)
        box = page.locator(".pattern-matrix").bounding_box()
        if box is not None:
            # On the stripe of a repeated passage.
            page.mouse.move(box["x"] + 0.474 * box["width"], box["y"] + 0.5 * box["height"])
        page.wait_for_timeout(500)
        page.screenshot(path=OUT)
        browser.close()
    # 256 colours are enough for a page, and a third of the bytes.
    with Image.open(OUT) as taken:
        smaller = taken.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    smaller.save(OUT, optimize=True)
    print(OUT)


if __name__ == "__main__":
    main()
