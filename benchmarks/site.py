"""Bytes and time until a page of the explorer shows its content, compared with CSV and plotly.

Both pages are served with gzip and opened in headless Chromium with an empty cache, in turn,
several times. The time runs from the navigation to the first screenshot that shows the plot or a
pattern. Both pages show the same points: those of the atlas, repeated with a little noise up to
130,000. The plotly page gets a CSV of head, prompt and three components.

Needs Chromium, the Playwright package, npm (for plotly.js) and an atlas:

    motifs demo && python benchmarks/site.py --atlas demo-atlas
    python benchmarks/site.py --points 30000 --rounds 1
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

PLOTLY = "plotly.js-dist-min@4.1.2"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
WINDOW = {"width": 1280, "height": 800}
LARGEST = """(selector) => {
  const boxes = [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect());
  boxes.sort((a, b) => b.width * b.height - a.width * a.height);
  const box = boxes[0];
  return box && box.width > 0 ? [box.left, box.top, box.right, box.bottom] : null;
}"""

COLOURED = 300
"""Number of coloured pixels in a drawn plot."""

PLAIN_PAGE = """<!doctype html><meta charset="utf-8"><title>points</title>
<div id="plot" style="width:1200px;height:760px"></div>
<script src="plotly.min.js"></script>
<script>
fetch("points.csv").then((answer) => answer.text()).then((text) => {
  const rows = text.trim().split("\\n").slice(1).map((line) => line.split(","));
  Plotly.newPlot("plot", [{
    type: "scatter3d", mode: "markers", marker: { size: 2 },
    text: rows.map((row) => row[0] + " " + row[1]),
    x: rows.map((row) => +row[2]), y: rows.map((row) => +row[3]), z: rows.map((row) => +row[4]),
  }]);
});
</script>
"""


@dataclass(frozen=True)
class Measured:
    """One measurement of opening a page."""

    seconds: float | None
    """Seconds from the navigation to the first frame with content; None if there was none."""
    bytes: int
    """Bytes received until the network was idle, headers included."""
    before_patterns: int
    """Bytes without the files of patterns."""


def many_points(site: Path, target: Path, least: int) -> int:
    """Copy a site and repeat its prompts until it has `least` points or more."""
    shutil.copytree(site, target)
    data = target / "data"
    manifest = json.loads((data / "manifest.json").read_text("utf-8"))
    points, n_heads = manifest["points"], manifest["n_heads"]
    n_stored = points["n_prompts"]
    n_prompts = -(-least // n_heads)
    chosen = np.arange(n_prompts) % n_stored
    rng = np.random.default_rng(0)
    files = [(name, "float16") for name in points["components"]]
    files += [(feature["file"], feature["dtype"]) for feature in points["features"]]
    for name, dtype in files:
        values = np.frombuffer(_unpacked(data / name), np.dtype(dtype).newbyteorder("<"))
        values = values.reshape(n_stored, n_heads)[chosen].astype(np.float64)
        values[n_stored:] += 0.02 * values.std() * rng.standard_normal(values[n_stored:].shape)
        (data / name).write_bytes(values.astype(np.dtype(dtype).newbyteorder("<")).tobytes())
    prompts = json.loads(_unpacked(data / manifest["prompts"]))
    repeated = [
        {**prompts[i], "viewable": prompts[i]["viewable"] and place < n_stored}
        for place, i in enumerate(chosen.tolist())
    ]
    packed = gzip.compress(json.dumps(repeated).encode("utf-8"), 6, mtime=0)
    (data / manifest["prompts"]).write_bytes(packed)
    points["n_prompts"] = n_prompts
    points["prompts"] = [points["prompts"][i] for i in chosen.tolist()]
    manifest["n_patterns"] = n_prompts * n_heads
    (data / "manifest.json").write_text(json.dumps(manifest, separators=(",", ":")), "utf-8")
    return n_prompts * n_heads


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def plain_page(site: Path, heads: list[str], target: Path) -> None:
    """Write a page of CSV and plotly with the points of a site."""
    target.mkdir()
    data = site / "data"
    points = json.loads((data / "manifest.json").read_text("utf-8"))["points"]
    n_points = points["n_prompts"] * len(heads)
    axes = [
        np.frombuffer(_unpacked(data / name), "<f2").astype(np.float32)
        for name in points["components"][:3]
    ]
    lines = ["head,prompt,pc0,pc1,pc2"]
    for i in range(n_points):
        place = ",".join(f"{axis[i]:.4g}" for axis in axes)
        lines.append(f"{heads[i % len(heads)]},{i // len(heads)},{place}")
    (target / "points.csv").write_text("\n".join(lines) + "\n")
    (target / "index.html").write_text(PLAIN_PAGE)
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", PLOTLY, "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, capture_output=True)
        (archive,) = Path(folder).glob("*.tgz")
        shutil.unpack_archive(archive, folder)
        shutil.copy(Path(folder) / "package" / "plotly.min.js", target / "plotly.min.js")


@contextmanager
def served(folder: Path, ours: bool) -> Iterator[str]:
    """Serve the explorer with the server of `motifs serve`, or the plain page with starlette."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    from attention_motifs.site.server import bind, make_server

    if ours:
        server = make_server(folder, "127.0.0.1")
    else:
        app = Starlette(
            routes=[Mount("/", StaticFiles(directory=folder, html=True))],
            middleware=[Middleware(GZipMiddleware, minimum_size=500, compresslevel=6)],
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    opened = bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{opened.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(10)


def open_page(
    browser: Browser, address: str, box_of: str, longest: float, drawn: Callable[[Any], bool]
) -> Measured:
    """Open a page with an empty cache and take screenshots until its content is drawn.

    Args:
        browser: headless browser.
        address: address of the page.
        box_of: selector of the element with the content.
        longest: most seconds to wait.
        drawn: says whether an image (rows, columns, 3) of the element shows the content.
    """
    context = browser.new_context(viewport=WINDOW, color_scheme="light")
    page = context.new_page()
    session = context.new_cdp_session(page)
    sizes: dict[str, int] = {}
    urls: dict[str, str] = {}

    def on_request(event: dict[str, Any]) -> None:
        urls[event["requestId"]] = event["request"]["url"]

    def on_finished(event: dict[str, Any]) -> None:
        sizes[event["requestId"]] = event["encodedDataLength"]

    session.on("Network.requestWillBeSent", on_request)
    session.on("Network.loadingFinished", on_finished)
    session.send("Network.enable")
    started = time.monotonic()
    page.goto(address, wait_until="commit")
    seconds = None
    while seconds is None and time.monotonic() - started < longest:
        page.wait_for_timeout(20)
        box = page.evaluate(LARGEST, box_of)
        if box is None:
            continue
        left, top, right, bottom = (max(0, round(x)) for x in box)
        # A screenshot waits for pending drawings, so its end is the time of the frame.
        data = page.screenshot(timeout=1000 * longest)
        image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
        if drawn(image[top:bottom, left:right]):
            seconds = time.monotonic() - started
    page.wait_for_load_state("networkidle")
    of_patterns = sum(n for i, n in sizes.items() if "/data/patterns/" in urls.get(i, ""))
    context.close()
    return Measured(seconds, sum(sizes.values()), sum(sizes.values()) - of_patterns)


def coloured(image: Any) -> bool:
    """Return whether enough pixels are coloured; letters are grey."""
    if image.size == 0:
        return False
    height, width = image.shape[:2]
    inner = image[height // 10 : height - height // 10, width // 10 : width - width // 10]
    return int((inner.max(axis=2) - inner.min(axis=2) > 40).sum()) >= COLOURED


def main() -> None:
    """Measure, print the ratios and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--atlas", type=Path, default=Path("demo-atlas"))
    parser.add_argument("--points", type=int, default=130_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=float, default=90.0, help="seconds to wait for a page")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/site.json"))
    given = parser.parse_args()

    from attention_motifs import Atlas
    from attention_motifs.site.export import export_site

    atlas = Atlas.open(given.atlas)
    heads: list[str] = atlas.heads["head"].to_list()
    measured: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        small, large, plain = (Path(folder) / name for name in ("small", "large", "plain"))
        if not export_site(atlas, small).has_pages:
            parser.error("the pages are not built: run `make web`")
        n_points = many_points(small, large, given.points)
        plain_page(large, heads, plain)
        head = f"?page=head&head={heads[len(heads) // 2]}"
        cases = {
            "head page": (small, head, ".pattern-canvas", True),
            "points, explorer": (large, "?page=patterns-3d", "main canvas", True),
            "points, CSV and plotly": (plain, "", "#plot", False),
        }
        browser = playwright.chromium.launch(executable_path=given.chromium, args=FLAGS)
        for _ in range(given.rounds):
            for name, (site, query, box, policy) in cases.items():
                with served(site, policy) as address:
                    opening = open_page(browser, address + query, box, given.longest, coloured)
                measured.setdefault(name, []).append(opening)
                print(f"{name}: {opening}", flush=True)
        browser.close()
    report(measured, n_points, given.out)


def report(measured: dict[str, list[Measured]], n_points: int, out: Path) -> None:
    """Print medians and ratios, and write all measurements."""
    medians = {
        name: {
            "seconds": statistics.median(
                m.seconds if m.seconds is not None else np.inf for m in all_
            ),
            "kB": statistics.median(m.bytes for m in all_) / 1000,
            "kB before patterns": statistics.median(m.before_patterns for m in all_) / 1000,
        }
        for name, all_ in measured.items()
    }
    print(f"\n{n_points} points; medians of {len(next(iter(measured.values())))} rounds")
    for name, median in medians.items():
        print(f"{name:24} {median['seconds']:8.2f} s {median['kB']:10.0f} kB "
              f"{median['kB before patterns']:10.0f} kB before patterns")  # fmt: skip
    ours, theirs = medians["points, explorer"], medians["points, CSV and plotly"]
    ratios = {
        "smaller": theirs["kB"] / ours["kB"],
        "sooner": theirs["seconds"] / ours["seconds"],
    }
    print(f"explorer: {ratios['smaller']:.1f} times smaller (bar 2), "
          f"{ratios['sooner']:.1f} times sooner (bar 3)")  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    rounds = {name: [asdict(m) for m in all_] for name, all_ in measured.items()}
    value = {"points": n_points, "medians": medians, "ratios": ratios, "rounds": rounds}
    out.write_text(json.dumps(value, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
