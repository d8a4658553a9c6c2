"""Seconds and peak memory of every command on a synthetic atlas of many heads.

    python benchmarks/scale.py --heads 20000 --prompts 8
    python benchmarks/scale.py --heads 6080 --prompts 24 --folder small

Heads attend as mixtures of six motifs, drawn with a seed; their features are computed from these
patterns of 12 tokens. Each command runs in a process of its own, whose peak memory the system
reports. What has run is in `results.json` of the folder and is not run again, and a command that
runs longer than `--seconds` is stopped and listed as such. The last line is the largest peak.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np

MAKE = "make the atlas"
MODEL_HEADS = 400
"""Heads of a model: 16 layers of 25."""

HEAD, OTHER = "synthetic-0:L3:H1", "synthetic-1:L5:H2"

COMMANDS: dict[str, tuple[str, ...]] = {
    "embed": ("embed", "--force"),
    "distances": ("distances", "--metric", "mean", "--force", "--budget", "36000"),
    "distances, 64 nearest": ("distances", "--metric", "natural", "--dense-limit", "1"),
    "shares": ("shares",),
    "near": ("near", HEAD, "--metric", "mean"),
    "near, of 64 nearest": ("near", HEAD, "--metric", "natural"),
    "show": ("show", HEAD),
    "explain": ("explain", HEAD),
    "why": ("why", HEAD, OTHER),
    "diff": ("diff", "synthetic-0", "synthetic-1"),
    "report": ("report", "synthetic-0", "--out", "report.html"),
    "identify": ("identify", "--head", HEAD, "--prompt", "1"),
    "complementary": ("complementary",),
    "metrics": ("metrics",),
    "prompts": ("prompts",),
    "info": ("info",),
    "cluster, leiden": ("cluster", "--method", "leiden", "--rounds", "2"),
    "cluster, hdbscan": ("cluster", "--method", "hdbscan", "--rounds", "2"),
    "cluster, single": ("cluster", "--method", "single", "--rounds", "2"),
    "cluster, average": ("cluster", "--method", "average"),
    "project, pca": ("project", "--method", "pca"),
    "project, isomap": ("project", "--method", "isomap", "--neighbors", "16"),
    "project, umap": ("project", "--method", "umap", "--neighbors", "16"),
    "project, tsne": ("project", "--method", "tsne", "--neighbors", "16", "--dimension", "2"),
    "evaluate": ("evaluate", "--bootstraps", "50", "--permutations", "200"),
    "compare": ("compare",),
    "benchmark": ("benchmark",),
    "score": ("score",),
    "figures": ("figures",),
    "paper": ("paper", "--format", "png"),
    "export, JSON": ("export", HEAD, "--json", "--out", "head.json"),
    "export, page": ("export", HEAD, "--html", "--out", "head.html"),
    "site": ("site",),
    "check": ("check",),
    "copy": ("copy", "{atlas}", "copied"),
    "publish, dry run": ("publish", "{atlas}", "name/atlas", "--dry-run"),
}
"""Words of each command; `--atlas` is added where they do not name the atlas."""


def main() -> None:
    """Run what has not run yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heads", type=int, default=20_000)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=Path("scale-benchmark"))
    parser.add_argument("--seconds", type=float, default=1800.0, help="longest run of a command")
    parser.add_argument("--only", nargs="*", default=[MAKE, *COMMANDS])
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if given.make:
        make_atlas(folder / "atlas", -(-given.heads // MODEL_HEADS), given.prompts)
        return
    path = folder / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    make = [sys.executable, __file__, "--make", "--heads", str(given.heads)]
    make += ["--prompts", str(given.prompts), "--folder", str(folder)]
    for name in given.only:
        if name in results:
            continue
        words = make
        if name != MAKE:
            words = [sys.executable, "-m", "attention_motifs", *COMMANDS[name]]
            atlas = str(folder / "atlas")
            named = "{atlas}" in words
            words = [atlas if word == "{atlas}" else word for word in words]
            words += [] if named else ["--atlas", atlas]
        results[name] = measured(words, given.seconds, folder)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))


def measured(words: Sequence[str], seconds: float, folder: Path) -> dict[str, Any]:
    """Run a command; return its seconds of clock and processor, peak MiB, exit code, last line."""
    log = folder / "log.txt"
    start = time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen(
            list(words), stdout=output, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True
        )
        stop = threading.Timer(seconds, os.killpg, (child.pid, signal.SIGKILL))
        stop.start()
        _, status, usage = os.wait4(child.pid, 0)
        stop.cancel()
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "processor": round(usage.ru_utime + usage.ru_stime, 1),
        "mib": usage.ru_maxrss // 1024,
        "code": os.waitstatus_to_exitcode(status),
        "warnings": [line[:300] for line in lines if line.startswith("warning")],
        "last": lines[-1][:300] if lines else "",
    }


def table(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    rows = ["| command | seconds | of the processor | peak MiB | |", "|---|---|---|---|---|"]
    for name, of in results.items():
        notes = {0: "", -signal.SIGKILL: "stopped"}.get(of["code"], f"exit code {of['code']}")
        seconds = f"{of['seconds']:,} | {of['processor']:,}"
        rows.append(f"| {name} | {seconds} | {of['mib']:,} | {notes} |")
    largest = max((of["mib"] for of in results.values()), default=0)
    return "\n".join([*rows, "", f"largest peak: {largest / 1024:.1f} GiB"])


MODEL_SHAPE = (16, MODEL_HEADS // 16)
"""Layers of a model, and heads of a layer."""


def make_atlas(
    path: Path,
    n_models: int,
    n_prompts: int,
    n_tokens: int = 12,
    shape: tuple[int, int] = MODEL_SHAPE,
) -> None:
    """Write an embedded atlas with features, heads and made-up scores and classes."""
    from attention_motifs.atlas import Atlas
    from attention_motifs.prompts import Prompt, prompts_digest
    from attention_motifs.stages.create import prompts_table
    from attention_motifs.stages.embed import embed
    from attention_motifs.stages.heads import write_heads
    from attention_motifs.stages.motif_parts import write_share_columns
    from attention_motifs.stages.parts import extract_from
    from attention_motifs.store.settings import Configuration

    names = tuple(f"synthetic-{i}" for i in range(n_models))
    prompts = [
        Prompt(f"Prompt number {i} is about nothing.", f"synthetic/{i % 8}", {})
        for i in range(n_prompts)
    ]
    configuration = Configuration(
        models=names, prompts="synthetic", n_prompts=n_prompts, max_tokens=n_tokens,
        n_view_prompts=1,
    )  # fmt: skip
    with Atlas.lock(path, new=True):
        atlas = Atlas.create(path, configuration, prompts_table(prompts), prompts_digest(prompts))
        with atlas.batched_updates():
            for i, name in enumerate(names):
                extract_from(atlas, source(name, i, prompts, n_tokens, shape))
        write_heads(atlas)
        write_share_columns(atlas)
        embed(atlas)
        write_labels(atlas)


def write_labels(atlas: Any) -> None:
    """Give every head made-up scores, and one head of twenty the class of induction heads."""
    import polars as pl

    from attention_motifs.behaviour import BEHAVIOURS

    rng, table = np.random.default_rng(0), atlas.heads
    scores = [pl.Series(name, rng.random(len(table)) ** 4, dtype=pl.Float32) for name in BEHAVIOURS]
    classes = [["induction"] if x < 0.05 else [] for x in rng.random(len(table))]
    listed = pl.Series("classes", classes, dtype=pl.List(pl.String))
    atlas.write_heads(table.with_columns(listed, *scores))


def source(
    name: str, seed: int, prompts: Sequence[Any], n_tokens: int, shape: tuple[int, int]
) -> Any:
    """Return patterns of one model: the softmax of mixed logits of motifs, and noise."""
    from attention_motifs.stages.parts import PatternSource
    from attention_motifs.store.manifest import ModelRecord
    from synthetic_atlas import _tokens

    n, (n_layers, n_heads) = n_tokens, shape
    query, key = np.indices((n, n))
    band = [query - key == d for d in (1, 0, n // 2)]
    motifs = np.stack([*(6.0 * b for b in band), 5.0 * (key == 0), -0.7 * np.abs(query - key - 2)])
    mixtures = np.random.default_rng([seed, 0]).dirichlet(
        np.full(len(motifs), 0.4), size=(n_layers, n_heads)
    )

    def run_block(positions: Sequence[int], sink: Any) -> None:
        for layer in range(n_layers):
            rng = np.random.default_rng([seed, 1, layer, positions[0]])
            logits = np.tensordot(mixtures[layer], motifs, axes=1)
            noise = 0.5 * rng.standard_normal((len(positions), n_heads, n, n))
            weights = np.tril(np.exp(logits + noise))
            patterns = weights / weights.sum(axis=-1, keepdims=True)
            sink(layer, list(range(len(positions))), patterns.astype(np.float32))

    info = ModelRecord(name, "synthetic", n_layers, n_heads, str(seed))
    tokens = [_tokens(prompt.text, n) for prompt in prompts]
    return PatternSource(name, info, tokens, run_block)


if __name__ == "__main__":
    main()
