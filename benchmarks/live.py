"""Live text: seconds from a request to its last byte, as the page of `motifs serve --live` asks.

    python benchmarks/live.py --atlas demo-atlas --model smollm2-135m-instruct

Starts the live server, sends ten different texts of one length one after the other, and measures
each from the request to the last byte of the patterns of all heads; then two texts in one request.
Short texts, which are compared with stored patterns cut to their length, are measured apart: the
first one of a length reads these patterns. Prints the median and the 95th percentile, and peak
memory; writes `benchmarks/results/live.json`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import resource
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from attention_motifs import Atlas
from attention_motifs.extraction import tokenize
from attention_motifs.live.application import live_extension
from attention_motifs.live.models import LiveModels
from attention_motifs.site.server import bind, make_server

N_TEXTS = 10
LENGTHS = (128, 64, 16)


def main() -> None:
    """Measure, print and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--atlas", default="demo-atlas")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/live.json"))
    given = parser.parse_args()
    live = LiveModels(Atlas.open(given.atlas))
    start = time.perf_counter()
    live.load(given.model)
    loading = time.perf_counter() - start
    live.read("The first text compiles what the next ones need. " * 12, given.model)
    before = peak_mb()
    results = measure(live, given.model)
    for row in results:
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    print(f"loading {loading:.1f} s; peak memory {before} MB after the first text, {peak_mb()} MB")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def peak_mb() -> int:
    """Return the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(live: LiveModels, model: str) -> list[dict[str, Any]]:
    """Return the seconds of requests over a socket, per length."""
    folder = live.atlas.path
    server = make_server(folder, "127.0.0.1", (), live_extension(live))
    opened = bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = opened.getsockname()[1]
    rows = []
    for n in LENGTHS:
        texts = texts_of(live, model, n, N_TEXTS + 1)
        first, n_bytes = request(port, texts[:1], model)
        seconds = [request(port, [text], model)[0] for text in texts[1:]]
        pairs = [request(port, texts[i : i + 2], model)[0] for i in range(1, N_TEXTS, 2)]
        rows.append(
            {
                "tokens": n,
                "median": round(float(np.median(seconds)), 3),
                "p95": round(float(np.quantile(seconds, 0.95)), 3),
                "first": round(first, 3),
                "two texts": round(float(np.median(pairs)), 3),
                "MB": round(n_bytes / 1e6, 2),
            }
        )
    server.should_exit = True
    thread.join(10)
    return rows


def texts_of(live: LiveModels, model: str, n_tokens: int, n_texts: int) -> list[str]:
    """Return prompts of the atlas cut to a number of tokens."""
    loaded = live._models[model].loaded
    pairs = list(live.atlas.prompts.select("prompt_id", "text").iter_rows())
    prompts = tokenize(loaded, pairs, max_tokens=n_tokens)
    texts = ["".join(prompt.tokens) for prompt in prompts if len(prompt.tokens) == n_tokens]
    return texts[-n_texts:]


def request(port: int, texts: list[str], model: str) -> tuple[float, int]:
    """Return the seconds of a request until its last byte, and the bytes of the answer."""
    body = json.dumps({"texts": texts, "models": [model]})
    headers = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{port}"}
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/live/read", body, headers)
    answer = connection.getresponse()
    data = answer.read()
    seconds = time.perf_counter() - start
    if answer.status != 200:
        raise SystemExit(f"status {answer.status}: {data[:200]!r}")
    return seconds, len(data)


if __name__ == "__main__":
    main()
