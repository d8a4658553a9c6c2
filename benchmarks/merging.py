"""Statistics that merge: time and peak memory of fitting on more and more parts.

Made-up features of 1,520 heads, 16 prompts to a part, are made one part at a time and never held.
Fitted are the pattern embedding (94 columns: counts, means, covariance) and the preset
`natural` (85 columns: quantiles, covariance within heads), the latter with exact quantiles and
with sketches, each in a process of its own. Making the parts is timed apart and taken off. It also
says how far the ranks of the sketches' quantiles are off, and prints a table and writes JSON.

    python benchmarks/merging.py
    python benchmarks/merging.py --parts 2 16 --heads 380
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distances import peak_bytes

PROMPTS_PER_PART = 16
PAPER_COLUMNS, EXTENDED_COLUMNS = 94, 85
WAYS = ("embedding", "natural, exact", "natural, sketches")


def main() -> None:
    """Parse the arguments, measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=int, nargs="+", default=[4, 32])
    parser.add_argument("--heads", type=int, default=1520)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "merging.json"
    )
    parser.add_argument("--way", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(run(given.way, given.parts[0], given.heads)))
        return
    figures = []
    for way in WAYS:
        for n_parts in given.parts:
            command = [sys.executable, __file__, "--way", way, "--parts", str(n_parts)]
            command += ["--heads", str(given.heads)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
            figures.append(row)
            print(
                f"{way:22} {row['patterns']:>9,} patterns {row['seconds']:7.1f} s, "
                f"peak {row['peak_mib']:5.0f} MiB"
                + (f", ranks off by {row['ranks_off']:.5f}" if "ranks_off" in row else ""),
                flush=True,
            )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def parts(n_parts: int, n_heads: int, columns: Sequence[int]) -> Iterator[np.ndarray]:
    """Skewed features (prompts, heads, columns) of one part at a time, float32."""
    for number in range(n_parts):
        rng = np.random.default_rng(number)
        shape = (PROMPTS_PER_PART, n_heads, EXTENDED_COLUMNS)
        yield np.exp(rng.standard_normal(shape, dtype=np.float32))[:, :, columns]


def run(way: str, n_parts: int, n_heads: int) -> dict[str, Any]:
    """Fit by one way, in this process."""
    from attention_motifs.embedding import PatternEmbedding
    from attention_motifs.embedding.moments import LengthBinnedMoments
    from attention_motifs.embedding.recommended import RecommendedEmbedding

    names = [str(i) for i in range(EXTENDED_COLUMNS)]
    n_tokens = np.full(PROMPTS_PER_PART, 128)
    making = 0.0

    def timed(columns: Sequence[int]) -> Iterator[np.ndarray]:
        nonlocal making
        drawn = parts(n_parts, n_heads, columns)
        while True:
            before = time.perf_counter()
            part = next(drawn, None)
            making += time.perf_counter() - before
            if part is None:
                return
            yield part

    def read(columns: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        for part in timed([int(name) for name in columns]):
            yield part, n_tokens, "model"

    started = time.perf_counter()
    result: dict[str, Any] = {"way": way, "patterns": n_parts * n_heads * PROMPTS_PER_PART}
    if way == "embedding":
        columns = [i % EXTENDED_COLUMNS for i in range(PAPER_COLUMNS)]
        total = LengthBinnedMoments(PAPER_COLUMNS)
        for part in timed(columns):
            moments = LengthBinnedMoments(PAPER_COLUMNS)  # as workers would, then merged
            moments.update(part.reshape(-1, PAPER_COLUMNS))
            total.merge(moments)
        PatternEmbedding.from_moments(total)
    else:
        fitted = RecommendedEmbedding.fit_parts(read, names, sketch=way.endswith("sketches"))
    result["seconds"] = time.perf_counter() - started - making
    result["peak_mib"] = peak_bytes() / 2**20
    if way.endswith("sketches"):
        result["ranks_off"] = ranks_off(fitted, read)
    return result


def ranks_off(fitted: Any, read: Any) -> float:
    """The largest error of a rank over all quantiles of four columns."""
    worst = 0.0
    for column in range(0, EXTENDED_COLUMNS, 28):
        values = np.sort(np.concatenate([x.ravel() for x, _, _ in read([str(column)])]))
        estimated = fitted.quantiles[0, column]
        expected = (np.arange(len(estimated)) + 0.5) / len(estimated)
        low, high = (
            np.searchsorted(values, estimated, side) / len(values) for side in ("left", "right")
        )
        worst = max(worst, float(np.maximum(low - expected, expected - high).max()))
    return worst


if __name__ == "__main__":
    main()
