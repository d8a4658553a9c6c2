"""The whole pipeline at the paper's size, on made-up patterns: time, memory and growth per stage.

Six models of the paper's layers and heads (table 1; 1,520 heads), 128 prompts of 128 tokens:
194,560 patterns. Every stage runs in a process of its own, so that its peak memory is its own. The
same is done with a quarter and four times the prompts, and the slope of log time against log
patterns is printed: 1 is linear. Making the patterns is timed apart and taken off.

    python benchmarks/pipeline.py
    python benchmarks/pipeline.py --prompts 32 128 --tokens 64 --feature-sets paper
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Layers and heads of the models in the paper's table 1.
MODELS = {
    "gpt2-small": (12, 12),
    "gpt2-medium": (24, 16),
    "pythia-1b": (16, 8),
    "Llama-3.2-1B": (16, 32),
    "gemma-2b": (18, 8),
    "gemma-2-2b": (26, 8),
}
STAGES = ("patterns", "features", "embed", "distances", "project", "site")
POOL = 48
"""Patterns that are mixed two at a time: cheap to make, all different."""


def main() -> None:
    """Parse the arguments, measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--feature-sets", nargs="+", default=["paper"])
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--atlas", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(run_stage(given.stage, given.atlas, given)))
        return
    results = {n: measure(n, given) for n in given.prompts}
    show(results)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(results, indent=1) + "\n")


def measure(n_prompts: int, given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Seconds and peak memory of every stage for one number of prompts."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for stage in STAGES:
            command = [sys.executable, __file__, "--stage", stage, "--atlas", f"{folder}/atlas"]
            command += ["--prompts", str(n_prompts), "--tokens", str(given.tokens)]
            command += ["--feature-sets", *given.feature_sets]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{stage} with {n_prompts} prompts failed:\n{done.stderr[-2000:]}")
            found[stage] = json.loads(done.stdout.splitlines()[-1])
            print(f"{n_prompts} prompts, {stage}: {found[stage]}", flush=True)
    found["features"]["seconds"] -= found["patterns"]["seconds"]
    return found


def run_stage(stage: str, path: Path, given: argparse.Namespace) -> dict[str, float]:
    """Run one stage in this process; times leave out imports and compilation."""
    from attention_motifs.atlas import Atlas

    (n_prompts,) = given.prompts
    warm_up(given)
    before = time.perf_counter()
    if stage == "patterns":
        for batch in patterns_of(n_prompts, given.tokens):
            batch.sum()
    elif stage == "features":
        extract_all(path, n_prompts, given)
    else:
        atlas = Atlas.open(path)
        with Atlas.lock(path):
            run_later_stage(stage, atlas)
    seconds = time.perf_counter() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mib": peak}


def run_later_stage(stage: str, atlas: Any) -> None:
    """Run a stage that reads what an earlier one wrote."""
    from attention_motifs.site.export import export_site
    from attention_motifs.stages.distances import distances
    from attention_motifs.stages.embed import embed
    from attention_motifs.stages.project import project

    if stage == "embed":
        embed(atlas)
    elif stage == "distances":
        distances(atlas, "mean")
    elif stage == "project":
        project(atlas, methods=["isomap"], n_neighbors=[16], dimensions=[2, 3])
    else:
        export_site(atlas, atlas.path / "site")


def warm_up(given: argparse.Namespace) -> None:
    """Load and compile what the stages use, which is paid once per installation."""
    from attention_motifs.distances import head_distances
    from attention_motifs.features import compute_features

    compute_features(next(patterns_of(1, given.tokens))[:4], given.feature_sets)
    head_distances(np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32))


def patterns_of(
    n_prompts: int, n: int, models: Sequence[str] = tuple(MODELS)
) -> Iterator[np.ndarray]:
    """Patterns of one layer on one prompt at a time, (heads, n, n) float32."""
    pool = pattern_pool(n)
    for model in models:
        n_layers, n_heads = MODELS[model]
        for prompt in range(n_prompts):
            for layer in range(n_layers):
                yield mixed(pool, model, prompt, layer, n_heads)


def pattern_pool(n: int) -> np.ndarray:
    """Causal softmax patterns of several motifs with noise, (POOL, n, n) float32."""
    rng = np.random.default_rng(0)
    query, key = np.indices((n, n))
    motifs = [
        6.0 * (query - key == 1),
        5.0 * (key == 0),
        5.0 * (query == key),
        np.zeros((n, n)),
        -0.7 * np.abs(query - key - 2),
        6.0 * (query - key == n // 2) + 2.0 * (key == 0),
    ]
    logits = np.stack([motifs[i % len(motifs)] for i in range(POOL)])
    weights = np.tril(np.exp(logits + rng.standard_normal((POOL, n, n))))
    return (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)


def mixed(pool: np.ndarray, model: str, prompt: int, layer: int, n_heads: int) -> np.ndarray:
    """Mix the head's own two patterns in a share that depends on the prompt."""
    rng = np.random.default_rng((list(MODELS).index(model), prompt, layer))
    share = rng.random((n_heads, 1, 1), dtype=np.float32)
    own = (np.arange(n_heads) + layer * n_heads) % POOL
    return share * pool[own] + (1 - share) * pool[(own * 7 + layer) % POOL]


def extract_all(path: Path, n_prompts: int, given: argparse.Namespace) -> None:
    """Stream the patterns of all models through the features into an atlas."""
    from attention_motifs.atlas import Atlas, Configuration
    from attention_motifs.prompts import Prompt, prompts_digest
    from attention_motifs.stages.create import prompts_table
    from attention_motifs.stages.extract import PatternSource, extract_from, write_heads

    n = given.tokens
    prompts = [Prompt(f"Made-up prompt {i}.", "synthetic") for i in range(n_prompts)]
    configuration = Configuration(
        models=tuple(MODELS),
        prompts="synthetic",
        n_prompts=n_prompts,
        max_tokens=n,
        feature_sets=tuple(given.feature_sets),
        n_view_prompts=8,
    )
    pool = pattern_pool(n)
    tokens = [(tuple(range(n)), tuple("x" * n)) for _ in prompts]
    with Atlas.lock(path, new=True):
        atlas = Atlas.create(path, configuration, prompts_table(prompts), prompts_digest(prompts))
        for model, (n_layers, n_heads) in MODELS.items():

            def run_block(
                positions: Any, sink: Any, model: str = model, shape: Any = (n_layers, n_heads)
            ) -> None:
                for i, position in enumerate(positions):
                    for layer in range(shape[0]):
                        sink(layer, [i], mixed(pool, model, position, layer, shape[1])[None])

            info = {
                "name": model,
                "kind": "synthetic",
                "weights_sha256": model,
                "n_layers": n_layers,
                "n_heads": n_heads,
            }
            extract_from(atlas, PatternSource(model, info, tokens, run_block))
        write_heads(atlas)


def show(results: dict[int, dict[str, dict[str, float]]]) -> None:
    """Print seconds, peak memory and slope per stage."""
    counts = sorted(results)
    heads = sum(layers * each for layers, each in MODELS.values())
    print(f"\n{heads} heads; seconds (peak MiB) for " + ", ".join(f"{n * heads:,}" for n in counts))
    for stage in STAGES:
        cells = [
            f"{results[n][stage]['seconds']:.1f} ({results[n][stage]['peak_mib']:.0f})"
            for n in counts
        ]
        print(f"{stage:10s} " + "  ".join(f"{cell:>16s}" for cell in cells), end="")
        first, last = (max(results[n][stage]["seconds"], 1e-3) for n in (counts[0], counts[-1]))
        if len(counts) > 1:
            slope = math.log(last / first) / math.log(counts[-1] / counts[0])
            print(f"   slope {slope:.2f}", end="")
        print()


if __name__ == "__main__":
    main()
