"""Effect of half precision on patterns, and on which head is nearest to which.

The packaged models run on the same prompts in float32 and in bfloat16 (or float16):

1. patterns: the largest and the mean absolute difference of their entries on and below the
   diagonal, and the attention moved (half the sum of a row's differences, mean over rows);
2. heads: two atlases, built alike but for the dtype; for how many heads is the nearest by Eq. 3 the
   same, and for how many is the one of float32 among the five nearest. Beside it the same between
   two float32 atlases of different prompts: what so few prompts leave open anyway.

    python benchmarks/bfloat16.py
    python benchmarks/bfloat16.py --models smollm2-135m-instruct --dtype float16
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MODELS = ("smollm2-135m-instruct", "gemma-3-270m")
N_NEAR = 5


def main() -> None:
    """Parse the arguments, measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--dtype", choices=("bfloat16", "float16"), default="bfloat16")
    parser.add_argument("--n-prompts", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "bfloat16.json"
    )
    given = parser.parse_args()
    print(f"float32 against {given.dtype}, {given.n_prompts} prompts of {given.max_tokens} tokens")
    print("patterns                 largest      mean   attention moved per row: mean, largest")
    rows = [
        patterns(model, given.dtype, given.n_prompts, given.max_tokens) for model in given.models
    ]
    print(f"heads                    same nearest   among {N_NEAR} nearest")
    heads = nearest(given.models, given.dtype, given.n_prompts, given.max_tokens)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    figures = {"dtype": given.dtype, "n_prompts": given.n_prompts, "max_tokens": given.max_tokens}
    given.out.write_text(json.dumps({**figures, "patterns": rows, "heads": heads}, indent=1) + "\n")


def patterns(model: str, dtype: str, n_prompts: int, max_tokens: int) -> dict[str, Any]:
    """Differences of a model's patterns, taken layer by layer."""
    from attention_motifs.extraction import for_each_layer, load_model
    from attention_motifs.models.tokenizing import tokenize
    from attention_motifs.prompts import load_prompts

    kept: dict[tuple[int, int], np.ndarray] = {}
    largest, sums, n_entries = 0.0, 0.0, 0
    moved: list[np.ndarray] = []

    def keep(layer: int, positions: Sequence[int], weights: Any) -> None:
        kept.update({(layer, p): w.numpy().copy() for p, w in zip(positions, weights, strict=True)})

    def compare(layer: int, positions: Sequence[int], weights: Any) -> None:
        nonlocal largest, sums, n_entries
        for position, half in zip(positions, weights, strict=True):
            differences = np.abs(half.numpy() - kept.pop((layer, position)))
            largest = max(largest, float(differences.max()))
            sums += float(differences.sum(dtype=np.float64))
            n_heads, n, _ = differences.shape
            n_entries += n_heads * n * (n + 1) // 2
            moved.append(differences.sum(axis=2).ravel() / 2)

    for used, sink in (("float32", keep), (dtype, compare)):
        loaded = load_model(model, dtype=used, device="cpu")
        prompts = [(p.prompt_id, p.text) for p in load_prompts(n_prompts=n_prompts)]
        tokenized = tokenize(loaded, prompts, max_tokens=max_tokens)
        if any(len(prompt.token_ids) < max_tokens for prompt in tokenized):
            raise SystemExit(f"{model}: a prompt has fewer than {max_tokens} tokens")
        for_each_layer(loaded, tokenized, sink)
    assert not kept, "some patterns were not compared"
    rows = np.concatenate(moved)
    figures = {
        "model": model,
        "largest": largest,
        "mean": sums / n_entries,
        "moved_mean": float(rows.mean()),
        "moved_largest": float(rows.max()),
        "n_patterns": len(rows) // max_tokens,
    }
    print(
        f"{model:24} {figures['largest']:.3f}   {figures['mean']:.1e}   "
        f"{figures['moved_mean']:.4f}, {figures['moved_largest']:.3f}"
    )
    return figures


def nearest(
    models: Sequence[str], dtype: str, n_prompts: int, max_tokens: int
) -> list[dict[str, Any]]:
    """For how many heads of each model the nearest by Eq. 3 stays the same."""
    from attention_motifs.stages.run import build
    from attention_motifs.store.settings import Configuration

    def neighbours(folder: str, used: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Model of every head, and the numbers of its nearest heads, in all models."""
        configuration = Configuration(
            models=tuple(models), n_prompts=n_prompts, max_tokens=max_tokens, dtype=used,
            feature_sets=("paper",), seed=seed, n_view_prompts=0,
        )  # fmt: skip
        atlas = build(folder, configuration, metrics=("mean",), device="cpu")
        matrix = np.array(atlas.distances("mean"))
        np.fill_diagonal(matrix, np.inf)
        return atlas.heads["model"].to_numpy(), matrix.argsort(axis=1, kind="stable")[:, :N_NEAR]

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model_of, full = neighbours(f"{folder}/float32", "float32")
        others = {
            dtype: neighbours(f"{folder}/half", dtype)[1],
            "float32, other prompts": neighbours(f"{folder}/other", "float32", seed=1)[1],
        }
    for against, figures in others.items():
        same = figures[:, 0] == full[:, 0]
        among = (figures == full[:, :1]).any(axis=1)
        for model in models:
            of_model = model_of == model
            row = {
                "against": against,
                "model": model,
                "n_heads": int(of_model.sum()),
                "same_nearest": float(same[of_model].mean()),
                "among_nearest": float(among[of_model].mean()),
            }
            rows.append(row)
            print(f"{model:24} {row['same_nearest']:.3f}   {row['among_nearest']:.3f}   {against}")
    return rows


if __name__ == "__main__":
    main()
