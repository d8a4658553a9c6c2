"""Calibration of the verdicts of `motifs explain`: each model of an atlas left out in turn.

    python benchmarks/verdicts.py demo-atlas --draws 20

Prints accuracy, Brier score and reliability curve against the computed classes, and the same with
labels shuffled within the layers of each model before the regressions are fitted.
"""

from __future__ import annotations

import argparse

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.verdicts import Labels, head_labels, model_verdicts
from attention_motifs.evaluation.calibration import calibration, reliability


def shuffled(atlas: Atlas, labels: Labels, rng: np.random.Generator) -> Labels:
    """Deal the labels of each layer of each model anew among its heads."""
    members = labels.members.copy()
    for _, rows in atlas.heads.with_row_index("row").group_by(["model", "layer"]):
        of_layer = rows["row"].to_numpy()
        members[of_layer] = members[rng.permutation(of_layer)]
    return Labels(labels.names, members, labels.labelled)


def main() -> None:
    """Print the calibration of each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas")
    parser.add_argument("--metric")
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    atlas = Atlas.open(options.atlas)
    metric = options.metric or atlas.best_metric
    labels = head_labels(atlas)
    everything: list[tuple[np.ndarray, np.ndarray]] = []
    print(f"metric {metric}")
    print("model,labels,heads,accuracy,always unknown,Brier,Brier of shares,sure,sure and right")
    for model in atlas.models:
        rng = np.random.default_rng(0)
        for name, draws in (("own", 1), ("shuffled", options.draws)):
            figures = []
            for _ in range(draws):
                learnt = labels if name == "own" else shuffled(atlas, labels, rng)
                verdicts = model_verdicts(atlas, model, metric, learnt)
                at = [labels.names.index(n) for n in verdicts.names[:-1]]
                truth = labels.members[np.ix_(verdicts.rows, at)]
                p = verdicts.probabilities[:, :-1]
                shares = verdicts.fitted.shares if verdicts.fitted else np.zeros(0)
                figures.append(calibration(p, truth, shares))
                if name == "own":
                    everything.append((p.ravel(), truth.ravel()))
            n_sure = sum(c.n_sure for c in figures)
            right = sum(c.sure_and_right * c.n_sure for c in figures if c.n_sure)
            means = [
                np.mean([getattr(c, key) for c in figures])
                for key in ("accuracy", "always_unknown", "brier", "brier_of_shares")
            ]
            numbers = ",".join(f"{m:.3f}" for m in means)
            sure = f"{right / n_sure:.2f}" if n_sure else ""
            print(f"{model},{name},{len(truth)},{numbers},{n_sure / draws:g},{sure}")
    print("from,to,probabilities,mean probability,share in the class")
    both = [np.concatenate(x) for x in zip(*everything, strict=True)]
    for b in reliability(*both):
        print(f"{b.low:g},{b.high:g},{b.n},{b.predicted:.3f},{b.observed:.3f}")


if __name__ == "__main__":
    main()
