"""Weight of the explorer's pages: kB, requests, elements, seconds to the first pattern.

    motifs demo && python benchmarks/weight.py demo=demo-atlas/site

opens every page of each site, served by `motifs serve`, in headless Chromium with an empty cache at
1280 x 800, and prints for each: kB received (and kB without files of patterns), requests, elements
in the document, rows of patterns on the first screen, and the median seconds to the first pattern.
`NAME=FOLDER` names a site; several are measured in turn. Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import json
import runpy
import shutil
import statistics
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

EXPLORER = runpy.run_path(str(Path(__file__).with_name("site.py")))
"""The other benchmark of the explorer. Its name is that of a standard module."""

PAGES = (
    "home",
    "head",
    "pattern",
    "heads",
    "distances",
    "classes",
    "clusters",
    "features",
    "about",
)
SETTLED = 1000
"""Milliseconds without a request after which a page has settled."""
BUSY = """!document.querySelector("h1, .bench") ||
  document.querySelector('main .state-loading, [aria-busy="true"]') !== null"""

WATCH = """() => {
  const look = () => {
    const drawn = [...document.querySelectorAll("canvas.pattern-canvas")].find((canvas) => {
      const data = canvas.width > 1 && canvas.getContext("2d")
        .getImageData(0, 0, canvas.width, canvas.height).data;
      return data && data.some((value) => value > 0);
    });
    if (drawn) window.firstPattern = performance.now();
    else requestAnimationFrame(look);
  };
  document.addEventListener("DOMContentLoaded", look);
}"""
ROWS = """() => [...document.querySelectorAll('.pattern-rows [role="row"]')].filter((row) => {
  const box = row.querySelector(".pattern-cell")?.getBoundingClientRect();
  return box && box.bottom <= innerHeight;
}).length"""


def main() -> None:
    """Measure and print a table; write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sites", nargs="*", help="NAME=FOLDER of a site")
    parser.add_argument("--pages", nargs="+", default=list(PAGES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/weight.json"))
    given = parser.parse_args()
    sites = {
        name: Path(folder) for name, _, folder in (item.partition("=") for item in given.sites)
    }
    measured: dict[str, dict[str, dict[str, Any]]] = {}
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        for name, folder in sites.items():
            measured[name] = {}
            for page in given.pages:
                # A browser each: a page that crashes takes its browser.
                rounds = []
                for _ in range(given.rounds):
                    browser = playwright.chromium.launch(
                        executable_path=program, args=EXPLORER["FLAGS"]
                    )
                    with EXPLORER["served"](folder, True) as address:
                        rounds.append(open_page(browser, address + query_of(folder, page)))
                    with suppress(Exception):
                        browser.close()
                measured[name][page] = median(rounds)
                print(name, page, measured[name][page], flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(measured, indent=1) + "\n")


def query_of(site: Path, page: str) -> str:
    """Return the query of a page, with a head in the middle of the second model."""
    manifest = json.loads((site / "data" / "manifest.json").read_text("utf-8"))
    model = manifest["models"][min(1, len(manifest["models"]) - 1)]
    head = f"&head={model['name']}:L{model['layers'][len(model['layers']) // 2]}:H1"
    return f"?page={page}{head if page in {'head', 'pattern'} else ''}"


def open_page(browser: Browser, address: str) -> dict[str, Any]:
    """Open a page with an empty cache, scroll to its end, and measure it."""
    context = browser.new_context(viewport=EXPLORER["WINDOW"], color_scheme="light")
    page = context.new_page()
    session = context.new_cdp_session(page)
    sizes: dict[str, int] = {}
    urls: dict[str, str] = {}
    session.on(
        "Network.requestWillBeSent", lambda e: urls.update({e["requestId"]: e["request"]["url"]})
    )
    session.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    session.send("Network.enable")
    page.add_init_script(f"({WATCH})()")
    page.goto(address, wait_until="commit")
    settle(page, sizes)
    rows = page.evaluate(ROWS)
    first = page.evaluate("window.firstPattern")
    screen = sum(sizes.values())
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    settle(page, sizes)
    result = {
        "kB": sum(sizes.values()) / 1000,
        "kB first screen": screen / 1000,
        "kB without patterns": sum(
            n for i, n in sizes.items() if "/data/patterns/" not in urls.get(i, "")
        )
        / 1000,
        "requests": len(sizes),
        "elements": page.evaluate("document.querySelectorAll('*').length"),
        "rows": rows,
        "seconds": first / 1000 if first is not None else None,
    }
    context.close()
    return result


def settle(page: Page, sizes: dict[str, int]) -> None:
    """Wait until no request has finished for a while."""
    before = -1
    for _ in range(100):
        if len(sizes) == before and not page.evaluate(BUSY):
            return
        before = len(sizes)
        page.wait_for_timeout(SETTLED)


def median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each number; None if a round has none."""
    return {
        key: None
        if any(item[key] is None for item in rounds)
        else round(statistics.median(item[key] for item in rounds), 2)
        for key in rounds[0]
    }


if __name__ == "__main__":
    main()
