"""Type-I error of the package's tests, on data whose truth is known.

    python benchmarks/calibration.py                 # all, some five minutes on one core
    python benchmarks/calibration.py --only near

Every line simulates data without an effect and counts how often the test rejects. The layout of
heads is that of the two packaged models together: 30 layers of 9 heads and 18 layers of 4.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

LAYER = np.concatenate([np.repeat(np.arange(30), 9), 30 + np.repeat(np.arange(18), 4)])
Line = tuple[str, str, str, str]
"""What is tested, level, share of rejections, and a remark."""


def main() -> None:
    """Parse the arguments and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=list(CHECKS), help="one of the checks")
    only = parser.parse_args().only
    print("| test | level | rejected | data |\n|---|---|---|---|")
    for name, check in CHECKS.items():
        if only in (None, name):
            for line in check():
                print("| " + " | ".join(line) + " |", flush=True)


def near(n_runs: int = 400) -> Iterator[Line]:
    """Distances dealt at random within every pair of layers."""
    from attention_motifs.atlas.nearness import nearness

    p, percentile = np.empty((n_runs, 10)), np.empty(n_runs)
    rng = np.random.default_rng(0)
    for run in range(n_runs):
        level = rng.random((48, 48))
        upper = np.triu(rng.random((len(LAYER),) * 2) + (level + level.T)[LAYER][:, LAYER], 1)
        matrix = upper + upper.T
        query = int(rng.integers(len(LAYER)))
        order = np.argsort(matrix[query])
        order = order[order != query][:10]
        mates = np.flatnonzero(LAYER[query] == LAYER)
        everyone = np.ones(len(LAYER), dtype=bool)
        nearest = nearness(matrix[mates], query, mates, LAYER, everyone, order)
        p[run], percentile[run] = nearest.p, nearest.percentile[0]
    data = "distances dealt at random within every pair of layers"
    yield "`near`, p of the nearest", "0.25", _share(p[:, 0] <= 0.25), data
    for k in (3, 5, 10):
        yield f"`near`, p of the nearest {k}", "0.05", _share(p[:, k - 1] <= 0.05), data
    small = _share(percentile <= 5)
    yield (
        "percentile of the nearest (no test)",
        "0.05",
        small,
        f"median {np.median(percentile):.1f}",
    )


def complementary(n_runs: int = 20) -> Iterator[Line]:
    """Heads that vary independently of one another."""
    from attention_motifs.distances import complementary as find

    p, any_q = [], []
    for seed in range(n_runs):
        clouds = np.random.default_rng(seed).standard_normal((32, 40, 4)).astype(np.float32)
        pairs = find(clouds, n=780, permutations=999, min_mean_quantile=0.0, seed=seed, threads=1)
        p.append(pairs.p_value)
        any_q.append(bool((pairs.q_value <= 0.05).any()))
    for level in (0.01, 0.05):
        share = _share(np.concatenate(p) <= level)
        yield "`complementary`, p of a pair", f"{level}", share, "independent heads, 780 pairs"
    yield "`complementary`, any q", "0.05", _share(np.array(any_q)), "the same, 20 draws"


def families(n_runs: int = 500) -> Iterator[Line]:
    """28 true nulls in a table that also holds 300 real effects of another question."""
    from attention_motifs.atlas.ablation_table import table_of
    from attention_motifs.stages.ablation.rows import corrected

    for name, kind in (("one family per question", "group"), ("one family for the file", "head")):
        rng = np.random.default_rng(0)
        hits = []
        for _ in range(n_runs):
            rows = [{"kind": "head", "p": p} for p in rng.uniform(0, 0.002, 300)]
            rows += [{"kind": kind, "anchor": "a", "p": p} for p in rng.random(28)]
            common = {"measure": "loss", "design": "repeated"}
            table = corrected(table_of([row | common for row in rows]))
            hits.append(bool((table["q"][300:] <= 0.05).any()))
        yield f"`ablate`, any q, {name}", "0.05", _share(np.array(hits)), "28 nulls, 300 effects"


def clusters(n_runs: int = 30) -> Iterator[Line]:
    """One Gaussian, which has no clusters."""
    from attention_motifs.clustering import cluster, one_gaussian, stability, validity
    from attention_motifs.distances import head_distances

    rng = np.random.default_rng(0)
    # Variances that fall, as those of principal components do.
    scale = 4.0 / np.arange(1, 9)
    clouds = scale * rng.standard_normal((48, 1, 8))
    clouds = clouds + scale * rng.standard_normal((1, 150, 8)) + rng.standard_normal((48, 150, 8))
    for method in ("average", "leiden"):
        settings = {"n_clusters": 16} if method == "average" else {}

        def of(data: np.ndarray, method: str = method, settings: dict = settings) -> tuple:
            whole = cluster(head_distances(data, threads=1), method=method, **settings)
            return whole, lambda prompts: head_distances(data[prompts], threads=1)

        above, indices = [], []
        for run in range(n_runs):
            data = one_gaussian(clouds, np.random.default_rng([1, run])).astype(np.float32)
            whole, recompute = of(data)
            stable = stability(whole, recompute, 48, n_rounds=8, seed=run)

            def reference(draw: int, run: int = run, data: np.ndarray = data) -> tuple:
                drawn = one_gaussian(data, np.random.default_rng([2, run, draw]))
                return of(drawn.astype(np.float32))

            sources = [str(i) for i in range(48)]
            valid = validity(whole, stable, recompute, sources, reference=reference, seed=run)
            above.append(stable.mean > (valid.reference_largest or 0.0))
            indices.append(stable.mean)
        remark = f"one Gaussian; its stability is {np.mean(indices):.2f}"
        yield f"`cluster`, `{method}`, above all draws", "0.2", _share(np.array(above)), remark


def induction() -> Iterator[Line]:
    """Heads that look a fixed distance back, which are no induction heads."""
    from attention_motifs.behaviour.scores import score_patterns
    from attention_motifs.behaviour.sequences import repeated_sequences, shuffled_sequences

    rng = np.random.default_rng(0)
    words = np.arange(500)
    equal = [repeated_sequences(words, length, times, 16, rng, (999,)) for length, times in
             ((25, 4), (50, 2))]  # fmt: skip
    gaps = shuffled_sequences(words, 4, 12, 16, rng, (999,))
    for back in (24, 49):
        scores = [
            np.mean([score_patterns(_fixed(len(row), back), row)[0, 0] for row in rows])
            for rows in (np.concatenate(equal), gaps)
        ]
        remark = f"looks {back} back: `induction` {scores[0]:.2f}, with random gaps {scores[1]:.2f}"
        yield "`score`, head at a fixed distance", "0.3", f"{float(scores[1] >= 0.3):.3f}", remark


def _fixed(n: int, back: int) -> np.ndarray:
    pattern = np.zeros((1, n, n))
    pattern[0, np.arange(n), np.maximum(np.arange(n) - back, 0)] = 1.0
    return pattern


def _share(rejected: np.ndarray) -> str:
    """Return the share of rejections and its standard error."""
    share = float(rejected.mean())
    return f"{share:.3f} ± {np.sqrt(share * (1 - share) / rejected.size):.3f}"


CHECKS: dict[str, Callable[[], Iterator[Line]]] = {
    "near": near,
    "complementary": complementary,
    "families": families,
    "clusters": clusters,
    "induction": induction,
}

if __name__ == "__main__":
    main()
