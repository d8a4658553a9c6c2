"""Share of patterns that name their head: fitted on some prompts of an atlas, asked with others.

For each model, its own heads or those of all models to choose from, and patterns asked about one at
a time or those of all its heads together: the share of patterns whose first answer (or one
of the first five) is right, the mean of the stated probability, and the share of patterns that are
called unlike every head (1 in 100 by chance). With `--lengths`, the models run again on the asked
prompts, and their patterns are cut to shorter lengths, for which the heads are known from the
patterns that the atlas keeps.

    python benchmarks/identify.py --atlas demo-atlas --ask 16 --lengths
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from attention_motifs import Atlas, extract_patterns
from attention_motifs.atlas.identify import fit_identifier, identify, identifying_features
from attention_motifs.atlas.queries import by_prompt
from attention_motifs.evaluation import HeadIdentifier
from attention_motifs.stages.model_source import wanted_model

LENGTHS = (96, 64, 32, 16)


def main() -> None:
    """Measure, print and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--atlas", default="demo-atlas")
    parser.add_argument("--ask", type=int, default=16, help="prompts to ask with at a time")
    parser.add_argument("--lengths", action="store_true", help="also cut patterns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/identify.json"))
    given = parser.parse_args()
    atlas = Atlas.open(given.atlas)
    results = held_out(atlas, given.ask, given.seed)
    if given.lengths:
        results += cut(atlas, given.ask)
    for row in results:
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def held_out(atlas: Atlas, n_ask: int, seed: int) -> list[dict[str, Any]]:
    """Ask with `n_ask` prompts at a time, each once, and fit on all others."""
    columns = identifying_features(atlas)
    features, n_tokens = [], []
    for model in atlas.models:
        parts = [by_prompt(atlas, model, p, columns) for p in atlas.feature_parts(model, columns)]
        features.append(np.concatenate([values for values, _ in parts]))
        n_tokens.append(np.concatenate([lengths for _, lengths in parts]))
    order = np.random.default_rng(seed).permutation(len(features[0]))
    heads, of_model = atlas.heads["head"].to_list(), atlas.heads["model"].to_numpy()
    answers: dict[str, list[tuple[str, Any]]] = {}
    for start in range(0, len(order) - n_ask + 1, n_ask):
        asked = order[start : start + n_ask]
        fit = np.setdiff1d(order, asked)
        for centred in (False, True):
            identifier = HeadIdentifier.fit(
                [values[fit] for values in features],
                [n[fit] for n in n_tokens],
                heads,
                columns,
                centred=centred,
            )
            for m, model in enumerate(atlas.models):
                of_this_model = of_model == model
                for p in asked:
                    for among, mask in ((model, of_this_model), ("all models", None)):
                        what = f"{model} among {among}, {'whole model' if centred else 'alone'}"
                        identified = identifier.identify_all(
                            features[m][p], int(n_tokens[m][p]), candidates=mask
                        )
                        names = np.array(heads)[of_this_model]
                        answers.setdefault(what, []).extend(zip(names, identified, strict=True))
    return [summary(what, len(fit), pairs) for what, pairs in sorted(answers.items())]


def cut(atlas: Atlas, n_ask: int) -> list[dict[str, Any]]:
    """Ask with patterns cut to shorter lengths, on the last prompts of the atlas."""
    rows = []
    texts = atlas.prompts["text"].to_list()[-n_ask:]
    configuration = atlas.manifest.configuration
    batches = [
        (list(map(str, b.heads)), b.patterns.numpy())
        for model in atlas.models
        for b in extract_patterns(
            wanted_model(atlas, model, "name it again"),
            texts,
            max_tokens=configuration.max_tokens,
            bos=configuration.bos,
        )
    ]
    for n in LENGTHS:
        identifier = fit_identifier(atlas, n_tokens=n)
        answers = [
            pair
            for heads, patterns in batches
            for pair in zip(
                heads, identify(atlas, patterns[:, :n, :n], identifier=identifier), strict=True
            )
        ]
        row = summary(f"all, {n} tokens", configuration.n_view_prompts, answers)
        rows.append({**row, "stated top_1": round(identifier.top_1, 3)})
    return rows


def summary(what: str, n_fit: int, answers: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the row of a set of answers."""
    return {
        "heads": what,
        "fitted on": n_fit,
        "patterns": len(answers),
        "top_1": round(np.mean([a.heads[0].head == head for head, a in answers]), 3),
        "top_5": round(np.mean([head in [h.head for h in a.heads] for head, a in answers]), 3),
        "probability": round(np.mean([a.heads[0].probability for _, a in answers]), 3),
        "unlike all": round(np.mean([a.is_unlike_all for _, a in answers]), 4),
    }


if __name__ == "__main__":
    main()
