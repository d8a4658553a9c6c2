"""The viewer compared with BertViz, CircuitsVis and attnview, on the same patterns in one run.

    python benchmarks/viewer.py

needs Chromium, the `dev` extra, and `pip install bertviz circuitsvis attnview` in an environment of
their own (`--peers PYTHON` names its interpreter; without it, only our viewer is measured). Each
viewer makes its page from the same array; the page is opened in Chromium without a network, and
measured:

* size of the page, and seconds to make it;
* seconds from opening to the first frame with a pattern or a picture on it;
* the longest time for which the page does not answer, and the milliseconds per move of the pointer.

BertViz loads require.js, d3 and jquery from a host. With `--libraries FOLDER`, they are served from
`require.js`, `d3.min.js` and `jquery.min.js` in that folder; without it, as on a machine without a
network, its page stays blank. Writes `benchmarks/results/viewer.json` and prints ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CASES = {
    "30 x 9 heads, 128 tokens": (30, 9, 128),
    "2 x 8 heads, 512 tokens": (2, 8, 512),
    "1 x 4 heads, 1,024 tokens": (1, 4, 1024),
}
"""About as many weights each, 4.3 million: with ten times as many, peers' pages have a gigabyte."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
PEERS = ("bertviz model_view", "bertviz head_view", "circuitsvis", "attnview")

MAKE = """
import json, sys, time
import numpy as np
name, patterns, tokens, out = sys.argv[1:]
patterns, tokens = np.load(patterns), json.load(open(tokens))
import torch
layers = [torch.from_numpy(layer)[None] for layer in patterns]
start = time.perf_counter()
if name.startswith("bertviz"):
    import bertviz
    function = getattr(bertviz, name.split()[1])
    page = function(layers, tokens, html_action="return").data
elif name == "circuitsvis":
    from circuitsvis.attention import attention_heads
    # It shows one group of heads: all layers side by side.
    heads = patterns.reshape(-1, *patterns.shape[2:])
    page = attention_heads(heads, tokens).local_src
else:
    import attnview
    class Cache(dict):
        pass
    cache = {f"blocks.{i}.attn.hook_pattern": layer for i, layer in enumerate(layers)}
    page = attnview.render_html(attnview.from_cache(cache, tokens=tokens))
seconds = time.perf_counter() - start
open(out, "w").write("<!doctype html><meta charset=utf-8><body>" + page)
print(seconds)
"""


def softmax_patterns(n_layers: int, n_heads: int, n: int) -> np.ndarray:
    """Return causal patterns with a strong first token, as most heads have, float32."""
    rng = np.random.default_rng(0)
    lower = np.tril(np.ones((n, n), dtype=bool))
    layers = []
    for _ in range(n_layers):
        scores = 2 * rng.standard_normal((n_heads, n, n), dtype=np.float32)
        scores[..., 0] += 3
        scores = np.where(lower, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        layers.append(weights / weights.sum(axis=-1, keepdims=True))
    return np.stack(layers).astype(np.float32)


def make_ours(patterns: np.ndarray, tokens: list[str], out: Path) -> float:
    """Write our page; return the seconds."""
    import attention_motifs as am

    start = time.perf_counter()
    am.view(patterns, tokens).save(out)
    return time.perf_counter() - start


def make_peer(python: str, name: str, folder: Path, out: Path, limit: float) -> float | str:
    """Write the page of a peer in its environment; return the seconds, or why there is none."""
    command = [python, "-c", MAKE, name, folder / "patterns.npy", folder / "tokens.json", out]
    try:
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not made in {limit:.0f} s"
    if done.returncode:
        return done.stderr.strip().splitlines()[-1][:120]
    return float(done.stdout.split()[-1])


WATCH = """
() => {
  window.longest = 0;
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    window.longest = Math.max(window.longest, now - last);
    last = now;
    setTimeout(tick, 0);
  };
  tick();
  const drawn = "canvas, svg, img, .destination";
  const isDrawn = () => [...document.querySelectorAll(drawn)].some((e) => {
    const box = e.getBoundingClientRect();
    if (box.width < 8 || box.height < 4) return false;
    if (e instanceof HTMLCanvasElement) {
      try {
        const data = e.getContext("2d")?.getImageData(0, 0, e.width, e.height).data;
        return data ? data.some((value) => value > 0) : true;
      } catch { return true; }
    }
    return e instanceof SVGElement ? e.childElementCount > 0 : true;
  });
  const look = () => {
    if (isDrawn()) requestAnimationFrame(() => {
      window.first = performance.now();
      console.log("first picture");
    });
    else requestAnimationFrame(look);
  };
  document.addEventListener("DOMContentLoaded", look);
}
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; give its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def measure(
    browser: Any, path: Path, address: str, limit: float, libraries: Path | None
) -> dict[str, Any]:
    """Open a page without a network, and measure it."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})

    def answer(route: Any) -> None:
        name = route.request.url.rpartition("/")[2].replace("require.min.js", "require.js")
        if libraries is not None and (libraries / name).is_file():
            route.fulfill(path=libraries / name, content_type="text/javascript")
        else:
            route.abort()

    context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), answer)
    page = context.new_page()
    page.set_default_timeout(limit * 1000)
    drawn: list[bool] = []
    page.on(
        "console", lambda message: drawn.append(True) if message.text == "first picture" else None
    )
    page.add_init_script(f"({WATCH})()")
    result: dict[str, Any] = {"megabytes": path.stat().st_size / 1e6}
    try:
        page.goto(address + path.name, wait_until="commit")
        # A page that does not answer cannot be asked; and `wait_for_function` compiles text in the
        # page, which the policy of our page forbids. So the page says when it has drawn.
        end = time.monotonic() + limit
        while not drawn:
            if time.monotonic() > end:
                return {**result, "first_pixel": "blank"}
            page.wait_for_timeout(50)
        page.wait_for_timeout(1500)
        result["first_pixel"] = page.evaluate("window.first") / 1000
        result["nodes"] = page.evaluate("document.querySelectorAll('*').length")
        page.evaluate("window.longestLoading = window.longest; window.longest = 0")
        moves = []
        for i in range(30):
            start = time.perf_counter()
            page.mouse.move(200 + 25 * i, 250 + 12 * i)
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => done(0)))")
            moves.append(time.perf_counter() - start)
        result["blocked"] = page.evaluate("window.longestLoading") / 1000
        result["ms_per_move"] = 1000 * statistics.median(moves)
    except Exception as error:  # noqa: BLE001
        result["failed"] = str(error).splitlines()[0][:120]
    return result


def main() -> None:
    """Make and measure all pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", help="Python with the peers installed")
    parser.add_argument("--libraries", type=Path, help="folder with the libraries of BertViz")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60, help="seconds to open a page")
    parser.add_argument("--making", type=float, default=300, help="seconds to make a page")
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many of the cases")
    parser.add_argument("--folder", type=Path, default=Path("viewer-pages"))
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    results: dict[str, dict[str, Any]] = {}
    program = shutil.which("chromium") or shutil.which("google-chrome")
    for case, shape in list(CASES.items())[: given.cases]:
        folder = given.folder / "-".join(map(str, shape))
        folder.mkdir(parents=True, exist_ok=True)
        tokens = [f" word{i}" for i in range(shape[-1])]
        patterns = softmax_patterns(*shape)
        np.save(folder / "patterns.npy", patterns)
        (folder / "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")
        seconds: dict[str, float | str] = {}
        for name in ("attention-motifs", *(PEERS if given.peers else ())):
            out = folder / f"{name.replace(' ', '-')}.html"
            if name == "attention-motifs":
                seconds[name] = make_ours(patterns, tokens, out)
            else:
                seconds[name] = make_peer(given.peers, name, folder, out, given.making)
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in seconds}
        pages = [name for name, value in seconds.items() if isinstance(value, float)]
        with serving(folder) as address, sync_playwright() as playwright:
            # Interleaved, so that a busy minute meets all; a page that crashes takes its browser.
            for name in given.rounds * pages:
                browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
                out = folder / f"{name.replace(' ', '-')}.html"
                rounds[name].append(measure(browser, out, address, given.limit, given.libraries))
                with contextlib.suppress(Exception):
                    browser.close()
        results[case] = {
            name: {"seconds": seconds[name], **median(measured)}
            for name, measured in rounds.items()
        }
        show(case, results[case])
    out = Path(__file__).parent / "results" / "viewer.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def median(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each number; of what is no number, the first."""
    merged: dict[str, Any] = {}
    for key in {key for result in measured for key in result}:
        values = [result[key] for result in measured if key in result]
        numbers = [value for value in values if isinstance(value, int | float)]
        merged[key] = statistics.median(numbers) if numbers else values[0]
    return merged


def show(case: str, measured: dict[str, dict[str, Any]]) -> None:
    """Print a table, with each number as a ratio to ours."""
    ours = measured["attention-motifs"]
    print(case, flush=True)
    columns = ("seconds", "megabytes", "first_pixel", "blocked", "ms_per_move", "nodes")
    for name, values in measured.items():
        cells = []
        for key in columns:
            value, reference = values.get(key, "-"), ours.get(key)
            if isinstance(value, int | float) and isinstance(reference, int | float):
                cells.append(f"{key} {value:.3g} ({value / max(reference, 1e-9):.2g} x)")
            else:
                cells.append(f"{key} {value}")
        print(f"  {name}: {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
