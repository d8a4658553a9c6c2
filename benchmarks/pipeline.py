"""The whole pipeline at the paper's size, on made-up patterns: time, memory and growth per stage.

Six models of the paper's layers and heads (table 1; 1,520 heads), 128 prompts of 128 tokens:
194,560 patterns. Every stage runs in a process of its own, so that its peak memory is its own. The
same is done with a quarter and four times the prompts, and with a quarter (one model of 384 heads)
and four times the heads (24 models). Slopes of log processor seconds on log size are printed: 1 is
linear. Processor seconds count all threads, and other load changes them less. Making the patterns
is timed apart and taken off. Figures are kept in the JSON file and added to, so that the sizes and
stages can be run one after another.

    python benchmarks/pipeline.py
    python benchmarks/pipeline.py --prompts 32 128 --heads 1 --tokens 64 --feature-sets paper
    python benchmarks/pipeline.py --prompts 512 --heads 1 --keep DIR --stages patterns features
    python benchmarks/pipeline.py --prompts 512 --heads 1 --keep DIR --stages embed mean
    python benchmarks/pipeline.py --show
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
from collections.abc import Iterator
from itertools import pairwise
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
STAGES = ("patterns", "features", "embed", "mean", "natural", "isomap", "site")
METRICS = ("mean", "natural")
PAPER_PROMPTS = 128
POOL = 48
"""Patterns that are mixed two at a time: cheap to make, all different."""

Size = tuple[float, int]
"""Heads, in multiples of the paper's, and prompts."""
Figures = dict[str, dict[str, float]]
"""Stage -> seconds and peak memory in MiB."""


def main() -> None:
    """Parse the arguments, measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument(
        "--heads", type=float, nargs="+", default=[0.25, 1, 4], help="multiples of the paper's"
    )
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--feature-sets", nargs="+", default=["paper", "extended"])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--keep", type=Path, help="folder for the atlases; by default none is kept")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "pipeline.json"
    )
    parser.add_argument("--show", action="store_true", help="print what the JSON file holds")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--atlas", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(run_stage(given.stage, given.atlas, given)))
        return
    by_size: dict[str, Figures] = json.loads(given.out.read_text()) if given.out.is_file() else {}
    for size in [] if given.show else sizes(given):
        for stage, figures in measure(size, given):
            by_size.setdefault(json.dumps(size), {})[stage] = figures
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(json.dumps(by_size, indent=1) + "\n")
    show({tuple(json.loads(key)): figures for key, figures in by_size.items()})


def sizes(given: argparse.Namespace) -> list[Size]:
    """The paper's heads with every number of prompts, and its prompts with every number of heads.

    With one number of heads, or of prompts, it is that one that stays.
    """
    heads = given.heads[0] if len(given.heads) == 1 else 1.0
    prompts = given.prompts[0] if len(given.prompts) == 1 else PAPER_PROMPTS
    expected = [(heads, n) for n in given.prompts] + [(float(m), prompts) for m in given.heads]
    return list(dict.fromkeys(expected))


def models_of(times: float) -> dict[str, tuple[int, int]]:
    """The paper's models, so many times over; below once, the one with a quarter of the heads."""
    if times < 1:
        return {"gpt2-medium": MODELS["gpt2-medium"]}
    copies = range(round(times))
    return {f"{name}-{i}" if i else name: MODELS[name] for i in copies for name in MODELS}


def heads_in(models: dict[str, tuple[int, int]]) -> int:
    """Heads of all models."""
    return sum(layers * each for layers, each in models.values())


def measure(size: Size, given: argparse.Namespace) -> Iterator[tuple[str, dict[str, float]]]:
    """Seconds and peak memory of the stages for one size."""
    times, n_prompts = size
    with tempfile.TemporaryDirectory() as folder:
        atlas = (given.keep or Path(folder)) / f"{times:g}-{n_prompts}"
        for stage in given.stages:
            command = [sys.executable, __file__, "--stage", stage, "--atlas", str(atlas)]
            command += ["--prompts", str(n_prompts), "--tokens", str(given.tokens)]
            command += ["--heads", str(times), "--feature-sets", *given.feature_sets]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{stage} of {atlas.name} failed:\n{done.stderr[-2000:]}")
            figures = json.loads(done.stdout.splitlines()[-1])
            print(f"{times:g} x heads, {n_prompts} prompts, {stage}: {figures}", flush=True)
            yield stage, figures


def run_stage(stage: str, path: Path, given: argparse.Namespace) -> dict[str, float]:
    """Run one stage in this process; times leave out imports and compilation."""
    from attention_motifs.atlas import Atlas

    (n_prompts,), (times,) = given.prompts, given.heads
    models = models_of(times)
    warm_up(given)
    before, before_cpu = time.perf_counter(), time.process_time()
    if stage == "patterns":
        for batch in patterns_of(models, n_prompts, given.tokens):
            batch.sum()
    elif stage == "features":
        extract_all(path, models, n_prompts, given)
    else:
        atlas = Atlas.open(path)
        with Atlas.lock(path):
            run_later_stage(stage, atlas)
    seconds = time.perf_counter() - before
    cpu = time.process_time() - before_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak}


def run_later_stage(stage: str, atlas: Any) -> None:
    """Run a stage that reads what an earlier one wrote."""
    from attention_motifs.site.export import export_site
    from attention_motifs.stages.distances import distances
    from attention_motifs.stages.embed import embed
    from attention_motifs.stages.project import project

    if stage == "embed":
        embed(atlas, force=True)
    elif stage in METRICS:
        distances(atlas, stage, force=True)
    elif stage == "isomap":
        project(atlas, methods=["isomap"], n_neighbors=[16], dimensions=[2, 3], force=True)
    else:
        export_site(atlas, atlas.path / "site")


def warm_up(given: argparse.Namespace) -> None:
    """Load and compile what the stages use, which is paid once per installation."""
    import sklearn.manifold  # noqa: F401

    import attention_motifs.site.export
    import attention_motifs.stages.embed
    import attention_motifs.stages.project  # noqa: F401
    from attention_motifs.distances import head_distances
    from attention_motifs.features import compute_features

    compute_features(next(patterns_of(MODELS, 1, given.tokens))[:4], given.feature_sets)
    few = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    for metric in METRICS:
        head_distances(few, metric)


def patterns_of(models: dict[str, tuple[int, int]], n_prompts: int, n: int) -> Iterator[np.ndarray]:
    """Patterns of one layer on one prompt at a time, (heads, n, n) float32."""
    pool = pattern_pool(n)
    for number, (n_layers, n_heads) in enumerate(models.values()):
        for prompt in range(n_prompts):
            for layer in range(n_layers):
                yield mixed(pool, number, prompt, layer, n_heads)


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


def mixed(pool: np.ndarray, model: int, prompt: int, layer: int, n_heads: int) -> np.ndarray:
    """Mix the head's own two patterns in a share that depends on the prompt."""
    rng = np.random.default_rng((model, prompt, layer))
    share = rng.random((n_heads, 1, 1), dtype=np.float32)
    indices = (np.arange(n_heads) + layer * n_heads) % POOL
    return share * pool[indices] + (1 - share) * pool[(indices * 7 + layer) % POOL]


def extract_all(
    path: Path, models: dict[str, tuple[int, int]], n_prompts: int, given: argparse.Namespace
) -> None:
    """Stream the patterns of all models through the features into an atlas."""
    from attention_motifs.atlas import Atlas
    from attention_motifs.prompts import Prompt, prompts_digest
    from attention_motifs.stages.create import prompts_table
    from attention_motifs.stages.heads import write_heads
    from attention_motifs.stages.parts import PatternSource, extract_from
    from attention_motifs.store.manifest import ModelRecord
    from attention_motifs.store.settings import Configuration

    n = given.tokens
    prompts = [Prompt(f"Made-up prompt {i}.", "synthetic") for i in range(n_prompts)]
    configuration = Configuration(
        models=tuple(models),
        prompts="synthetic",
        n_prompts=n_prompts,
        max_tokens=n,
        feature_sets=tuple(given.feature_sets),
        n_view_prompts=8,
    )
    pool = pattern_pool(n)
    tokens = [(tuple(range(i, n + i)), tuple("x" * n)) for i in range(n_prompts)]
    with Atlas.lock(path, new=True):
        atlas = Atlas.create(path, configuration, prompts_table(prompts), prompts_digest(prompts))
        for number, (model, (n_layers, n_heads)) in enumerate(models.items()):

            def run_block(
                positions: Any, sink: Any, number: int = number, shape: Any = (n_layers, n_heads)
            ) -> None:
                for i, position in enumerate(positions):
                    for layer in range(shape[0]):
                        sink(layer, [i], mixed(pool, number, position, layer, shape[1])[None])

            info = ModelRecord(model, "synthetic", n_layers, n_heads, model)
            extract_from(atlas, PatternSource(model, info, tokens, run_block))
        write_heads(atlas)


def show(by_size: dict[Size, Figures]) -> None:
    """Print seconds, peak memory and slope per stage: first over prompts, then over heads."""
    for axis, what in ((1, "prompts"), (0, "heads")):
        usual = PAPER_PROMPTS if axis == 0 else 1
        chosen = sorted(size for size in by_size if size[1 - axis] == usual)
        if len(chosen) < 2:
            continue
        amounts = [heads_in(models_of(times)) if axis == 0 else n for times, n in chosen]
        print(
            f"\n{what} {amounts}: seconds (peak MiB), slopes of log processor seconds on log {what}"
        )
        for stage in STAGES:
            cells, points = [], []
            for size, amount in zip(chosen, amounts, strict=True):
                seconds = net(by_size[size], stage, "seconds")
                cpu = net(by_size[size], stage, "cpu_seconds")
                if seconds is not None:
                    cells.append(f"{seconds:.1f} ({by_size[size][stage]['peak_mib']:.0f})")
                if cpu is not None:
                    points.append((math.log(amount), math.log(max(cpu, 1e-3))))
            print(f"{stage:12s} " + "  ".join(f"{cell:>16s}" for cell in cells), end="")
            slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(points)]
            print("   slopes " + ", ".join(f"{slope:.2f}" for slope in slopes))


def net(figures: Figures, stage: str, what: str) -> float | None:
    """Seconds of a stage; those of the features without the making of the patterns."""
    needed = [stage, "patterns"] if stage == "features" else [stage]
    if any(what not in figures.get(name, {}) for name in needed):
        return None
    computed = figures["patterns"][what] if stage == "features" else 0.0
    return figures[stage][what] - computed


if __name__ == "__main__":
    main()
