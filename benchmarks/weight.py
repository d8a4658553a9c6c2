"""Weight of the explorer's pages: kB, requests, elements, seconds to the first pattern.

    motifs demo && python benchmarks/weight.py demo=demo-atlas/site

opens every page of each site, served by `motifs serve`, in headless Chromium with an empty cache at
1280 x 800, and prints for each: kB received (and kB without files of patterns), requests, elements
in the document, rows of patterns on the first screen, and the median seconds to the first pattern.
`NAME=FOLDER` names a site; several are measured in turn. `--clicks` does by itself what a reader
does to see the five look-alikes of a head by the best metric, on the prompts of the page and on two
prompts of the reader's choice, and counts the clicks and Enter keys; the result is checked on the
page. Needs Chromium and Playwright.
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
    parser.add_argument("--clicks", action="store_true", help="count clicks, open no other page")
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
            if given.clicks:
                browser = playwright.chromium.launch(
                    executable_path=program, args=EXPLORER["FLAGS"]
                )
                with EXPLORER["served"](folder, True) as address:
                    measured[name]["clicks"] = count_clicks(browser, address, folder)
                print(name, measured[name]["clicks"], flush=True)
                browser.close()
                continue
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


def count_clicks(browser: Browser, address: str, site: Path) -> dict[str, Any]:
    """Open the site, and click and type as a reader does; return the clicks for each goal."""
    manifest = json.loads((site / "data" / "manifest.json").read_text("utf-8"))
    best = manifest["metrics"][0]["name"]
    head = query_of(site, "head").partition("head=")[2]
    page = browser.new_context(viewport=EXPLORER["WINDOW"]).new_page()
    page.goto(address)
    page.locator(".bench-rows .pattern-cell canvas").first.wait_for(timeout=60_000)
    clicks = 0
    page.keyboard.type(head)
    page.get_by_role("option", name=head, exact=False).first.wait_for()
    page.keyboard.press("Enter")
    clicks += 1
    page.locator("main h1", has_text=head).wait_for()
    look_alikes(page, best)
    result: dict[str, Any] = {"on the prompts of the page": clicks}
    page.get_by_text("Heads and prompts shown").click()
    page.locator("summary", has_text="Choose prompts").click()
    clicks += 2
    boxes = page.locator("details.many", has_text="Choose prompts").locator("label")
    chosen = [boxes.nth(i).inner_text().strip()[:20] for i in (1, 2)]
    for text in chosen:
        boxes.filter(has_text=text).first.click()
        clicks += 1
    shown = page.locator(".pattern-rows-prompts [role=columnheader] >> nth=2")
    shown.wait_for()
    look_alikes(page, best)
    titles = page.locator(".pattern-rows-prompts").inner_text()
    if not all(text[:12] in titles for text in chosen):
        raise SystemExit(f"the rows are not on the chosen prompts: {chosen}, {titles}")
    result["on two prompts of one's own"] = clicks
    page.context.close()
    return result


def look_alikes(page: Page, best: str) -> None:
    """Wait until five look-alikes by a metric are drawn."""
    page.locator(".pattern-rows-heading", has_text=f"nearest 5 heads by {best}").wait_for()
    near = page.locator(".pattern-rows [role=rowgroup] >> nth=1")
    for row in range(5):
        cells = near.locator(".pattern-rows-line").nth(row).locator(".pattern-cell")
        cells.first.scroll_into_view_if_needed()
        cells.first.locator("canvas").first.wait_for(timeout=60_000)


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
