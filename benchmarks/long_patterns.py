"""Features of long patterns: their time by length, and what is lost without the full Gram matrices.

    python benchmarks/long_patterns.py time --lengths 2048 4096 8192
    python benchmarks/long_patterns.py accuracy --rows 128 512

- `time`: processor seconds per pattern of `paper`, `extended` and `no_gram`, and of Gram histograms
  from sampled rows (a prototype in numpy), on random patterns, in one thread.
- `accuracy`: heads of every fifth layer of a packaged model on two prompts of 2,048 tokens. Errors
  of the features from sampled rows against the full computation, by family; share of errors within
  two standard errors; agreement of nearest heads and of distances.

Sampled rows: the rows of a Gram matrix are cut into strata of neighbouring queries, two rows of
each are drawn, and their products with all rows are counted: O(m n^2) for m rows. The standard
error is that of half-samples, one row of each stratum, corrected for the share of rows drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from attention_motifs.features import compute_features, feature_names
from attention_motifs.features.definitions import (
    HISTOGRAM_BINS,
    HISTOGRAM_CONTEXTS,
    HISTOGRAM_STATISTICS,
    LOG_CLIP,
    vector_features,
    vector_statistics,
)

HALVES = 32
"""Half-samples from which a standard error is computed."""

SETS = ("paper", "extended", "no_gram")

N_VECTOR = 28
"""Columns of `paper` before those of the Gram matrices."""


def main() -> None:
    """Run one of the two parts and print its numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["time", "accuracy"])
    parser.add_argument("--lengths", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--rows", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.part == "time":
        results = times(given.lengths, given.rows)
    else:
        results = accuracy(given.model, given.tokens, given.rows)
    text = json.dumps(results, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


def aligned(A: np.ndarray) -> np.ndarray:
    """Return S(A) with its columns reversed: entry [i, d] is A[i, i - d]."""
    n = len(A)
    key = np.arange(n)[:, None] - np.arange(n)[None, :]
    return np.where(key >= 0, np.take_along_axis(A, np.maximum(key, 0), axis=1), np.float32(0))


def layouts(A: np.ndarray) -> list[Callable[[], np.ndarray]]:
    """Return the matrices M of which M M^T are the six Gram matrices, in the order of `paper`."""

    def unit(M: np.ndarray) -> np.ndarray:
        norm = np.linalg.norm(M, axis=1, keepdims=True)
        return M / np.where(norm > 0, norm, 1)

    def logs() -> np.ndarray:
        return np.log(np.clip(A, *LOG_CLIP)).astype(np.float32)

    return [
        lambda: A,
        lambda: np.ascontiguousarray(A.T),
        lambda: aligned(A),
        lambda: unit(logs()),
        lambda: unit(np.ascontiguousarray(logs().T)),
        lambda: unit(aligned(logs())),
    ]


def drawn_rows(n: int, n_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two rows from each stratum of neighbouring rows; return them (s, 2), and the weights."""
    strata = np.array_split(np.arange(n), min(n // 2, n_rows // 2))
    rows = np.array([rng.choice(stratum, 2, replace=False) for stratum in strata])
    return rows, np.array([len(stratum) for stratum in strata]) / n


def sampled_features(
    A: np.ndarray, n_rows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 94 features of `paper` from sampled rows, and their standard errors."""
    n = len(A)
    rows, weights = drawn_rows(n, n_rows, rng)
    flat = rows.ravel()
    values, errors = vector_features(A.astype(np.float64)), [0.0] * N_VECTOR
    picks = rng.integers(0, 2, size=(HALVES, len(rows)))
    scale = np.sqrt(1 - len(flat) / n)
    for layout in layouts(A):
        M = layout()
        products = M[flat] @ M.T
        bins = np.clip(products * HISTOGRAM_BINS, 0, HISTOGRAM_BINS - 1).astype(np.int64)
        bins += np.arange(len(flat))[:, None] * HISTOGRAM_BINS
        counts = np.bincount(bins.ravel(), minlength=len(flat) * HISTOGRAM_BINS)
        shares = counts.reshape(len(rows), 2, HISTOGRAM_BINS) / n
        whole = statistics(weights @ shares.mean(axis=1))
        halves = [statistics(weights @ shares[np.arange(len(rows)), pick]) for pick in picks]
        values += whole.tolist()
        errors += (scale * np.sqrt(((np.array(halves) - whole) ** 2).mean(axis=0))).tolist()
    return np.array(values), np.array(errors)


def statistics(shares: np.ndarray) -> np.ndarray:
    """Return the eleven statistics of a histogram, from the shares of its bins."""
    of = vector_statistics(shares * HISTOGRAM_BINS)
    return np.array([of[name] for name in HISTOGRAM_STATISTICS])


def random_pattern(n: int) -> np.ndarray:
    """Return a causal pattern: the softmax of normal scores that fall with the distance."""
    rng = np.random.default_rng(n)
    A = rng.standard_normal((n, n), dtype=np.float32)
    A -= np.abs(np.arange(n)[:, None] - np.arange(n)[None, :]).astype(np.float32) * np.float32(0.01)
    A = np.tril(np.exp(2 * A))
    return np.asarray(A / A.sum(axis=1, keepdims=True), dtype=np.float32)


def seconds_of(run: Callable[[], Any], rounds: int) -> float:
    """Return the processor seconds of the fastest of some rounds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return round(min(taken), 3)


def times(lengths: list[int], n_rows: list[int]) -> dict[str, dict[str, float]]:
    """Return processor seconds per pattern, by length and by what is computed."""
    time_of(random_pattern(64), n_rows, 1)  # kernels are compiled, or loaded from the cache
    results = {}
    for n in lengths:
        results[str(n)] = time_of(random_pattern(n), n_rows, 2 if n < 8192 else 1)
        print(n, results[str(n)], flush=True)
    return results


def time_of(A: np.ndarray, n_rows: list[int], rounds: int) -> dict[str, float]:
    """Return processor seconds of one pattern."""

    def features_of(name: str) -> Callable[[], object]:
        return lambda: compute_features(A, name, threads=1)

    def sampled(m: int) -> Callable[[], object]:
        return lambda: sampled_features(A, m, np.random.default_rng(0))

    sets = {name: seconds_of(features_of(name), rounds) for name in SETS}
    return sets | {f"{m} rows": seconds_of(sampled(m), 1) for m in n_rows}


def accuracy(model: str, n_tokens: int, n_rows: list[int]) -> dict[str, Any]:
    """Compare features and distances from sampled rows, and of `no_gram`, with the full ones."""
    full, extended, same = [], [], []
    sampled: dict[int, list[np.ndarray]] = {m: [] for m in n_rows}
    errors: dict[int, list[np.ndarray]] = {m: [] for m in n_rows}
    heads = 0
    for batch in batches(model, n_tokens):
        patterns = batch.patterns.numpy()
        full.append(compute_features(patterns, "paper", threads=1))
        extended.append(compute_features(patterns, "extended", threads=1))
        for m in n_rows:
            for k, A in enumerate(patterns):
                # Seeded by head and prompt; and the same rows for all heads of a prompt.
                seed = [batch.layer, k, int(batch.prompt_id[:8], 16)]
                value, error = sampled_features(A, m, np.random.default_rng(seed))
                sampled[m].append(value)
                errors[m].append(error)
                if m == max(n_rows):
                    same.append(sampled_features(A, m, np.random.default_rng(seed[2:]))[0])
        heads += len(patterns)
        print(f"{heads} patterns", flush=True)
    exact = np.concatenate(full).astype(np.float64)
    both = np.concatenate([exact, np.concatenate(extended)], axis=1)
    names = feature_names(["paper", "extended"])
    cheap = both[:, [names.index(name) for name in feature_names("no_gram")]]
    results: dict[str, Any] = {"patterns": heads}
    for m in n_rows:
        values, error = np.array(sampled[m]), np.array(errors[m])
        results[f"{m} rows"] = {
            **{c: family_error(values, exact, error, k) for k, c in enumerate(HISTOGRAM_CONTEXTS)},
            "distances": agreement(exact, values),
        }
    results[f"{max(n_rows)} rows, the same for all heads"] = agreement(exact, np.array(same))
    results["no_gram against paper"] = agreement(exact, cheap)
    results["no_gram against paper and extended"] = agreement(both, cheap)
    results["no_gram against extended"] = agreement(both[:, 94:], cheap)
    results["extended against paper"] = agreement(exact, both[:, 94:])
    return results


def batches(model: str, n_tokens: int) -> Any:
    """Yield the patterns of every fifth layer on two long prompts."""
    import attention_motifs as am

    texts = [prompt.text for prompt in builtin()]
    long = ["\n\n".join(texts[start::2] * 40)[: 8 * n_tokens] for start in (0, 1)]
    for batch in am.extract_patterns(model, long, max_tokens=n_tokens):
        assert batch.patterns.shape[-1] == n_tokens
        if batch.layer % 5 == 2:
            yield batch


def builtin() -> Any:
    """Return the built-in prompts."""
    from attention_motifs.prompts import load_prompts

    return load_prompts("builtin")


def family_error(
    values: np.ndarray, exact: np.ndarray, error: np.ndarray, k: int
) -> dict[str, float]:
    """Return errors of the features of a Gram matrix, relative to them and to their spread."""
    step = len(HISTOGRAM_STATISTICS)
    at = slice(N_VECTOR + k * step + 1, N_VECTOR + (k + 1) * step)  # without the mean, which is 1
    off = np.abs(values[:, at] - exact[:, at])
    spread = exact[:, at].std(axis=0)
    relative = off / np.maximum(np.abs(exact[:, at]), 1e-6)
    known = error[:, at] > 1e-9
    return {
        "median": round(float(np.median(relative)), 4),
        "p95": round(float(np.quantile(relative, 0.95)), 4),
        "p95 of spread": round(float(np.quantile(off / np.maximum(spread, 1e-9), 0.95)), 4),
        "within two standard errors": round(float((off <= 2 * error[:, at])[known].mean()), 3),
    }


def agreement(exact: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Return how far nearest heads and distances (Eq. 3, all components) agree."""
    from scipy.stats import spearmanr

    first, second = distances(exact), distances(values)
    upper = np.triu_indices(len(first), 1)
    for D in (first, second):
        np.fill_diagonal(D, np.inf)
    nearest = second.argmin(axis=1)
    rank = (first < first[np.arange(len(first)), nearest][:, None]).sum(axis=1)
    return {
        "same nearest head": round(float((rank == 0).mean()), 3),
        "nearest among five": round(float((rank < 5).mean()), 3),
        "rank correlation": round(float(spearmanr(first[upper], second[upper])[0]), 4),
    }


def distances(values: np.ndarray) -> np.ndarray:
    """Return mean distances over the two prompts of standardised features."""
    spread = values.std(axis=0)
    kept = spread > 1e-9 * np.maximum(1, np.abs(values.mean(axis=0)))
    Z = ((values - values.mean(axis=0))[:, kept] / spread[kept]).reshape(2, -1, int(kept.sum()))
    return np.mean([np.linalg.norm(z[:, None] - z[None, :], axis=2) for z in Z], axis=0)


if __name__ == "__main__":
    main()
