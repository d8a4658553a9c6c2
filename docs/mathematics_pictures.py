"""Draw the pictures of docs/method.md into docs/pictures/mathematics/.

    python docs/mathematics_pictures.py [FOLDER]

Everything shown is computed by the package from made-up patterns; a test draws them again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import attention_motifs as am
from attention_motifs.features.definitions import density_histogram, skewed
from attention_motifs.figures.style import COLUMN_WIDTH, PAGE_WIDTH, PALETTE, save, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).resolve().parent / "pictures" / "mathematics"
N = 32
"""Tokens of the made-up patterns."""


def patterns() -> dict[str, np.ndarray]:
    """Three motifs, n x n, rows summing to 1."""
    previous = np.eye(N, k=-1)
    previous[0, 0] = 1.0
    query, key = np.indices((N, N))
    stripes = np.where((query - key) % 8 == 7, 6.0, 0.0) + np.where(key == 0, 2.0, 0.0)
    sink = np.where(key == 0, 4.0, 0.0)
    return {
        "previous token": previous,
        "stripes 8 apart": _softmax(stripes),
        "first-token sink": _softmax(sink),
    }


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.tril(np.exp(logits))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@styled
def two_skew_grams() -> Figure:
    """A, S(A), both products and the histograms of their entries, for three motifs."""
    from matplotlib.figure import Figure

    shown = patterns()
    figure = Figure(figsize=(PAGE_WIDTH, 4.2), layout="constrained")
    grid = figure.subplots(len(shown), 5, width_ratios=[1, 1, 1, 1, 1.3])
    titles = ("A", "S(A)", "S Sᵀ: query by query", "Sᵀ S: offset by offset", "entries in 32 bins")
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title)
    for row, (name, pattern) in zip(grid, shown.items(), strict=True):
        moved = skewed(pattern)
        products = (moved @ moved.T, moved.T @ moved)
        for axes, matrix in zip(row, (pattern, moved, *products), strict=False):
            axes.imshow(np.clip(matrix, 0, 1) ** 0.5, cmap="viridis", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
        edges = np.linspace(0, 1, 33)
        for product, label, colour in zip(products, ("S Sᵀ", "Sᵀ S"), PALETTE, strict=False):
            row[4].stairs(density_histogram(product), edges, color=colour, label=label)
        row[4].set(yscale="symlog", ylim=(0, 40), yticks=[0, 1, 10, 32])
        row[4].set_yticklabels(["0", "1", "10", "32"])
    grid[0][4].legend()
    return figure


@styled
def translation() -> Figure:
    """Two heads on five prompts, and the same moved by a vector per prompt."""
    from matplotlib.figure import Figure

    rng = np.random.default_rng(3)
    here = rng.normal(size=(5, 2, 2)) * 0.5 + [[0.0, 0.0], [2.2, 1.0]]
    moved = here + rng.normal(size=(5, 1, 2)) * 1.6
    figure = Figure(figsize=(PAGE_WIDTH, 2.6), layout="constrained")
    for axes, clouds, title in zip(
        figure.subplots(1, 2),
        (here, moved),
        ("as they are", "each prompt moved, for both heads alike"),
        strict=True,
    ):
        distance = am.head_distances(clouds.astype(np.float32))[0, 1]
        for pair in clouds:
            axes.plot(*pair.T, color="#bbbbbb", linewidth=0.8, zorder=1)
        for head, colour in zip((0, 1), PALETTE, strict=False):
            axes.scatter(*clouds[:, head].T, color=colour, s=18, label=f"head {head + 1}")
        axes.set_title(f"{title}: D = {distance:.3f}")
        axes.set_aspect("equal")
        axes.set(xticks=[], yticks=[])
    figure.axes[1].legend(loc="center right")
    return figure


@styled
def welch_weights() -> Figure:
    """What one Hann window makes of a variance: the weight of each token."""
    from matplotlib.figure import Figure
    from scipy.signal import get_window

    window = get_window("hann", 128)
    weights = 128 * window**2 / (window**2).sum()
    figure = Figure(figsize=(COLUMN_WIDTH, 1.9), layout="constrained")
    axes = figure.subplots()
    axes.plot(weights / 128, color=PALETTE[0], label="psd_total_power, per token")
    axes.axhline(1 / 128, color=PALETTE[1], label="variance")
    axes.set(xlabel="token i of 128", ylabel="weight of (xᵢ - mean)²", ylim=(0, 0.03))
    axes.legend(loc="upper right")
    return figure


@styled
def whitening() -> Figure:
    """Clouds of three heads before and after whitening by what varies within heads."""
    from matplotlib.figure import Figure

    rng = np.random.default_rng(5)
    spread = np.array([[1.0, 0.9], [0.9, 1.0]])
    heads = np.array([[0.0, 0.0], [0.9, -0.9], [1.7, 1.7]])
    clouds = heads + rng.multivariate_normal(np.zeros(2), spread, size=(60, 3)) * 0.7
    deviations = (clouds - clouds.mean(axis=0)).reshape(-1, 2)
    within = deviations.T @ deviations / len(deviations)
    values, vectors = np.linalg.eigh(within + 0.1 * np.eye(2))
    whitened = clouds @ (vectors * values**-0.5) @ vectors.T
    figure = Figure(figsize=(PAGE_WIDTH, 2.8), layout="constrained")
    for axes, shown, title in zip(
        figure.subplots(1, 2), (clouds, whitened), ("before", "after whitening"), strict=True
    ):
        means = shown.mean(axis=0)
        lengths = [np.linalg.norm(means[0] - means[k]) for k in (1, 2)]
        for head, colour in zip(range(3), PALETTE, strict=False):
            axes.scatter(*shown[:, head].T, color=colour, s=5, alpha=0.6)
            axes.scatter(*means[head], color=colour, s=60, edgecolor="black", label=f"{head + 1}")
        axes.set_title(f"{title}: d(1, 2) = {lengths[0]:.2f}, d(1, 3) = {lengths[1]:.2f}")
        axes.set_aspect("equal")
        axes.set(xticks=[], yticks=[])
    figure.axes[0].legend(loc="upper left", title="head (mean)")
    return figure


PICTURES = {
    "two-skew-grams": two_skew_grams,
    "translation": translation,
    "welch-weights": welch_weights,
    "whitening": whitening,
}


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        # Many small squares are smaller as an image.
        ending = "png" if name == "two-skew-grams" else "svg"
        for path in save(draw(), folder, name, formats=(ending,)):
            print(path)


if __name__ == "__main__":
    main()
