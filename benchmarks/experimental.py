"""The feature set `experimental` beside `paper`: what it costs, and what it adds.

Cost: both sets on the same random patterns, on all cores, in interleaved rounds; the ratio is the
median over the rounds of the ratio within a round. What it adds, on patterns of packaged models
over built-in prompts, cut to one length:

- R^2 of each experimental feature from the paper's 94 by ridge regression on standardised columns,
  and from the first 16 principal components of the 94; five folds over heads, so that no head is
  in both halves; held-out patterns of all folds pooled;
- principal components of both sets together, standardised: their shares of variance, and which
  share of a component's squared loadings lies on experimental features.

Prints tables and writes JSON.

    python benchmarks/experimental.py
    python benchmarks/experimental.py --model gemma-3-270m --n-prompts 8 --rounds 3   # a quick look
    python benchmarks/experimental.py --no-models                                     # cost alone
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

MODELS = ("smollm2-135m-instruct", "gemma-3-270m")
COMPONENTS = (3, 10, 16)
FOLDS = 5
KINDS = ("absorption", "fourier", "network")


def main() -> None:
    """Parse the arguments, measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", help="repeatable; default: both packaged")
    parser.add_argument("--no-models", action="store_true", help="measure the cost alone")
    parser.add_argument("--n-prompts", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "experimental.json"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1 or min(arguments.lengths) < 1:
        parser.error("--rounds and --lengths must be at least 1")
    result: dict[str, Any] = {
        "machine": f"{os.cpu_count()} processors",
        "cost": [cost(n, arguments.rounds) for n in arguments.lengths],
        "models": {},
    }
    for model in () if arguments.no_models else arguments.model or MODELS:
        tables, heads = feature_tables(model, arguments.n_prompts, arguments.max_tokens)
        result["models"][model] = {
            "patterns": len(heads),
            "heads": len(set(heads.tolist())),
            "explained": explained(tables, heads, model),
            "components": components(tables),
        }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def cost(n: int, rounds: int) -> dict[str, float]:
    """Microseconds per pattern of both sets, and their ratio."""
    from attention_motifs.features import compute_features

    count = max(16, (1 << 21) // (n * n))
    rng = np.random.default_rng(0)
    scores = np.where(np.tri(n) > 0, 2 * rng.standard_normal((count, n, n)), -np.inf)
    patterns = np.exp(scores - scores.max(axis=2, keepdims=True))
    patterns = (patterns / patterns.sum(axis=2, keepdims=True)).astype(np.float32)
    seconds: dict[str, list[float]] = {"paper": [], "experimental": []}
    for round_ in range(rounds + 1):
        for name, taken in seconds.items():
            started = time.perf_counter()
            compute_features(patterns, name)
            if round_:  # the first one compiles
                taken.append(time.perf_counter() - started)
    ratios = [b / a for a, b in zip(seconds["paper"], seconds["experimental"], strict=True)]
    row = {name: statistics.median(taken) / count * 1e6 for name, taken in seconds.items()}
    row |= {"n": n, "patterns": count, "ratio": statistics.median(ratios)}
    row |= {"ratio_low": min(ratios), "ratio_high": max(ratios)}
    print(
        f"n = {n}: paper {row['paper']:.0f} us per pattern, experimental "
        f"{row['experimental']:.0f} us, ratio {row['ratio']:.2f} "
        f"({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
    )
    return row


def feature_tables(
    model: str, n_prompts: int, max_tokens: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Both sets on all heads and prompts, a row per pattern, and the head of each row."""
    from attention_motifs.extraction import for_each_layer, load_model
    from attention_motifs.features import compute_features
    from attention_motifs.models.tokenizing import tokenize
    from attention_motifs.prompts import load_prompts

    loaded = load_model(model)
    tokenized = tokenize(
        loaded, [(p.prompt_id, p.text) for p in load_prompts(seed=0)], max_tokens=max_tokens
    )
    full = [prompt for prompt in tokenized if len(prompt.token_ids) == max_tokens]
    if len(full) < n_prompts:
        raise SystemExit(f"only {len(full)} built-in prompts have {max_tokens} tokens")
    step = len(full) // n_prompts  # spread over the kinds of text
    rows: dict[str, list[np.ndarray]] = {"paper": [], "experimental": []}
    heads: list[np.ndarray] = []

    def sink(layer: int, positions: Any, patterns: Any) -> None:
        n_heads = patterns.shape[1]
        for name, parts in rows.items():
            parts.append(compute_features(patterns.flatten(0, 1), name).numpy())
        heads.append(np.tile(np.arange(n_heads) + layer * n_heads, len(positions)))

    for_each_layer(loaded, full[: step * n_prompts : step], sink)
    tables = {name: np.concatenate(parts).astype(np.float64) for name, parts in rows.items()}
    return tables, np.concatenate(heads)


def standardised(table: np.ndarray) -> np.ndarray:
    """Columns that vary, with mean 0 and standard deviation 1."""
    deviation = table.std(axis=0)
    kept = deviation > 1e-9 * np.maximum(1, np.abs(table.mean(axis=0)))
    return (table[:, kept] - table[:, kept].mean(axis=0)) / deviation[kept]


def explained(tables: dict[str, np.ndarray], heads: np.ndarray, model: str) -> dict[str, Any]:
    """R^2 of each experimental feature from the paper's, over held-out heads."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from attention_motifs.features import feature_names

    names = feature_names("experimental")
    x, y = tables["paper"], tables["experimental"]
    spread = y.std(axis=0)
    varying = spread > 1e-9 * np.maximum(1, np.abs(y.mean(axis=0)))
    y = (y[:, varying] - y[:, varying].mean(axis=0)) / spread[varying]
    models = {
        "features": make_pipeline(StandardScaler(), Ridge(alpha=1.0)),
        "components": make_pipeline(StandardScaler(), PCA(16), Ridge(alpha=1.0)),
    }
    scores = {}
    for kind, regression in models.items():
        predicted = np.empty_like(y)
        for train, test in GroupKFold(FOLDS).split(x, y, heads):
            predicted[test] = regression.fit(x[train], y[train]).predict(x[test])
        scores[kind] = 1 - ((y - predicted) ** 2).mean(axis=0)
    kept = [name for name, varies in zip(names, varying, strict=True) if varies]
    result = {
        name: {"from_features": float(a), "from_components": float(b)}
        for name, a, b in zip(kept, scores["features"], scores["components"], strict=True)
    }
    print(f"\n{model}: {len(heads)} patterns; R^2 from the 94 features, from 16 components")
    for name, values in sorted(result.items(), key=lambda item: item[1]["from_features"]):
        print(f"  {name:32} {values['from_features']:6.3f} {values['from_components']:6.3f}")
    for kind in ("", *KINDS):
        mine = [result[name] for name in kept if name.startswith(kind)]
        means = [statistics.mean(m[k] for m in mine) for k in ("from_features", "from_components")]
        print(f"  mean of {kind or 'all':24} {means[0]:6.3f} {means[1]:6.3f} ({len(mine)})")
    return result


def components(tables: dict[str, np.ndarray]) -> dict[str, Any]:
    """Shares of variance of the components of both sets, and of each set alone."""
    paper, experimental = (standardised(tables[name]) for name in ("paper", "experimental"))
    values, vectors = principal(np.hstack([paper, experimental]))
    on_experimental = (vectors[paper.shape[1] :] ** 2).sum(axis=0)
    alone = {"paper": principal(paper)[0], "experimental": principal(experimental)[0]}
    columns = paper.shape[1] + experimental.shape[1]
    result: dict[str, Any] = {
        "columns": {"paper": paper.shape[1], "experimental": experimental.shape[1]},
        "share_of_columns": experimental.shape[1] / columns,
        "variance": (values / values.sum()).tolist()[: COMPONENTS[-1]],
        "experimental_loadings": on_experimental.tolist()[: COMPONENTS[-1]],
        "first": {},
    }
    print(f"  components of {paper.shape[1]} + {experimental.shape[1]} columns that vary:")
    for count in COMPONENTS:
        first = {
            "variance": float(values[:count].sum() / values.sum()),
            "variance_paper_alone": share(alone["paper"], count),
            "variance_experimental_alone": share(alone["experimental"], count),
            "experimental_loadings": float(on_experimental[:count].mean()),
            "experimental_variance": float(
                (on_experimental * values)[:count].sum() / values[:count].sum()
            ),
        }
        result["first"][count] = first
        print(f"    first {count}: " + ", ".join(f"{k} {v:.3f}" for k, v in first.items()))
    loadings = ", ".join(f"{v:.2f}" for v in result["experimental_loadings"])
    print(f"    loadings on experimental, by component: {loadings}")
    return result


def principal(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances and directions of the principal components, largest first."""
    values, vectors = np.linalg.eigh(table.T @ table / len(table))
    return values[::-1], vectors[:, ::-1]


def share(values: np.ndarray, count: int) -> float:
    """Share of variance of the first components."""
    return float(values[:count].sum() / values.sum())


if __name__ == "__main__":
    main()
