r"""What the block `tokens` adds to the preset `recommended`, on texts that the distances never saw.

A score of every head, measured on 40 built-in prompts that are not in the atlas, is compared with
the mean over its five nearest heads of the model: Spearman's correlation (S5), in the metrics
`recommended` and `tokens`. The gain has a 95 % interval from a bootstrap over these prompts and
over the heads, both at once. Scores: the behaviour scores of patterns on the prompts and on the
prompts said twice, and six features of tokens on the prompts. Prints a table and writes JSON.

    motifs build --model MODEL --features paper --features extended --features tokens \
        --n-prompts 96 --metric recommended --metric tokens --atlas ATLAS
    python benchmarks/token_block.py --atlas ATLAS
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

import attention_motifs as am
from attention_motifs.behaviour.scores import score_patterns
from attention_motifs.extraction import load_model, run_tapped
from attention_motifs.features import compute_features
from attention_motifs.models.tokenizing import prefix_tokens, tokenize
from attention_motifs.prompts import load_prompts

SCORES = ("induction", "duplicate token", "previous token", "first-token sink", "self")
KINDS = (
    "newline.excess",
    "punctuation.excess",
    "digit.excess",
    "capital.excess",
    "word.share",
    "rare.excess",
)
N_LABEL_PROMPTS = 40
N_NEAREST = 5
HALF = 55  # tokens of a text that is said twice


def main() -> None:
    """Parse the arguments, measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--atlas", type=Path, required=True)
    parser.add_argument("--metrics", nargs=2, default=["recommended", "tokens"])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "token_block.json"
    )
    arguments = parser.parse_args()
    atlas = am.Atlas.open(arguments.atlas)
    models = atlas.heads["model"].to_numpy()
    result: dict[str, Any] = {}
    for model in atlas.models:
        heads = np.flatnonzero(models == model)
        nearest = [
            nearest_heads(np.asarray(atlas.distances(metric))[np.ix_(heads, heads)])
            for metric in arguments.metrics
        ]
        for name, labels in labels_of(atlas, model).items():
            row = compared(labels, nearest, arguments.draws)
            result.setdefault(model, {})[name] = row
            low, high = row["interval"]
            print(
                f"{model:24} {name:12} {row['before']:.3f} -> {row['after']:.3f}  "
                f"gain {row['after'] - row['before']:+.3f} [{low:+.3f}, {high:+.3f}]"
            )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")


def nearest_heads(distances: np.ndarray) -> np.ndarray:
    """Return the nearest other heads of each head: (heads, N_NEAREST)."""
    distances = distances.astype(np.float64)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1)[:, :N_NEAREST]


def labels_of(atlas: am.Atlas, model: str) -> dict[str, np.ndarray]:
    """Return scores of all heads on each text: (texts, heads, scores) per kind of score."""
    configuration = atlas.manifest.configuration
    loaded = load_model(model)
    used = set(atlas.prompts["prompt_id"])
    prompts = [p for p in load_prompts() if p.prompt_id not in used][:N_LABEL_PROMPTS]
    pairs = [(p.prompt_id, p.text) for p in prompts]
    settings = {"max_tokens": configuration.max_tokens, "bos": configuration.bos}
    prefix = list(prefix_tokens(loaded, configuration.bos))
    plain, kinds, twice = [], [], []
    for tokenized in tokenize(loaded, pairs, **settings):
        ids = np.array(tokenized.token_ids)
        plain.append(scores_on(loaded, ids))
        kinds.append(
            on_each_layer(
                loaded,
                ids,
                lambda p, texts=tokenized.tokens: compute_features(p, KINDS, tokens=texts),
            )
        )
        text = tokenized.token_ids[len(prefix) :][:HALF]
        twice.append(scores_on(loaded, np.array([*prefix, *text, *text])))
    named = {"plain text": plain, "said twice": twice, "kinds": kinds}
    return {name: np.stack(rows) for name, rows in named.items()}


def scores_on(loaded: Any, ids: np.ndarray) -> np.ndarray:
    """Return the scores `SCORES` of all heads on a sequence: (heads, scores)."""
    return on_each_layer(
        loaded, ids, lambda p: score_patterns(p.double().numpy(), ids)[:, : len(SCORES)]
    )


def on_each_layer(loaded: Any, ids: np.ndarray, function: Any) -> np.ndarray:
    """Return what a function gives for the patterns of each layer, layer after layer."""
    layers: list[np.ndarray] = []
    run_tapped(
        loaded,
        torch.from_numpy(ids)[None],
        lambda _, weights: layers.append(np.asarray(function(weights[0].float().cpu()))),
    )
    return np.concatenate(layers)


def compared(labels: np.ndarray, nearest: list[np.ndarray], draws: int) -> dict[str, Any]:
    """Return S5 in both metrics, mean over the scores, and the interval of the gain."""
    n_texts, n_heads = labels.shape[:2]
    before, after = (s5(labels, n, np.arange(n_heads)) for n in nearest)
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(draws):
        drawn = labels[rng.integers(0, n_texts, n_texts)]
        heads = rng.integers(0, n_heads, n_heads)
        gains.append(s5(drawn, nearest[1], heads) - s5(drawn, nearest[0], heads))
    return {
        "before": before,
        "after": after,
        "interval": np.quantile(gains, [0.025, 0.975]).tolist(),
    }


def s5(labels: np.ndarray, nearest: np.ndarray, heads: np.ndarray) -> float:
    """Return the mean over the scores of S5 of these heads."""
    score = labels.mean(axis=0)
    ranks, around = rankdata(score[heads], axis=0), rankdata(score[nearest].mean(1)[heads], axis=0)
    return float(np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(ranks.T, around.T, strict=True)]))


if __name__ == "__main__":
    main()
