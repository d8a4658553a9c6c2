"""Take the pictures of the explorer's pages in docs/pictures/, from an exported site.

    python docs/screenshots.py demo-atlas/site

needs Chromium and the `dev` extra. Pages are taken at 1280 x 800 in light; `--all`
adds dark and 390 x 844, for looking at (not kept in the repository). `--page NAME` takes one page
alone. That of ablations needs a site whose atlas was ablated, which the demo's is not;
docs/ablation.md has the commands.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import re
import shutil
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
HEAD = "smollm2-135m-instruct:L18:H6"
LOOK_ALIKES = (
    HEAD,
    "smollm2-135m-instruct:L17:H3",
    "smollm2-135m-instruct:L17:H4",
    "gemma-3-270m:L5:H1",
    "gemma-3-270m:L5:H2",
    "gemma-3-270m:L11:H2",
)
"""Induction heads of both models."""
PROMPTS = ("69f93c88", "21c54d49")
"""Built-in texts that repeat themselves; a site without them shows its first."""
QUERY = {
    "head": f"&head={HEAD}",
    "pattern": f"&head={HEAD}&prompt={PROMPTS[0]}",
    "compare": f"&heads={','.join(LOOK_ALIKES)}&prompts={','.join(PROMPTS)}&order=prompt",
}
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--no-first-run"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def take(page: Page, address: str, path: Path) -> None:
    """Open a page, wait until it is drawn, and save what the window shows."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    # `wait_for_function` compiles text in the page, which the policy of the pages forbids.
    busy = "main .state-loading, [aria-busy='true']"
    while page.evaluate(f'Boolean(document.querySelector("{busy}"))'):
        page.wait_for_timeout(100)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(4000)  # patterns are drawn a few at a time
    page.screenshot(path=path)
    # 256 colours are enough for a page, and a third of the bytes.
    with Image.open(path) as taken:
        smaller = taken.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    smaller.save(path, optimize=True)
    print(path)


def main() -> None:
    """Read the arguments and take all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("site", type=Path, help="exported site, as demo-atlas/site")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/pictures/pages")
    parser.add_argument("--all", action="store_true", help="dark and narrow ones too")
    parser.add_argument("--page", action="append", help="this page only; repeatable")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    names = re.findall(r'name: "([a-z0-9-]+)"', (ROOT / "web/src/app/pages.ts").read_text())
    names.remove("text")  # it needs `motifs serve --live`
    if given.page:
        names = [name for name in names if name in given.page]
    elif not json.loads((given.site / "data/manifest.json").read_text())["ablations"]:
        names.remove("ablation")
    handler = functools.partial(Quiet, directory=str(given.site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    looks = [(1280, 800, "light", "")]
    if given.all:
        looks += [(1280, 800, "dark", "-dark"), (390, 844, "light", "-narrow")]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for width, height, theme, ending in looks:
            page = browser.new_page(viewport={"width": width, "height": height})
            for name in names:
                query = f"?page={name}{QUERY.get(name, '')}&theme={theme}"
                address = f"http://127.0.0.1:{server.server_port}/{query}"
                take(page, address, given.out / f"{name}{ending}.png")
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main()
