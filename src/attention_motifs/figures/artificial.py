"""The paper's figure 2: an artificial example of equal motifs on different tokens.

Three heads read texts of capitals, countries, years and other words. In A1 a capital attends to its
country, in A2 every token attends to countries, in A3 every token attends to years. A1 and A2 are
similar in the tokens they attend to, A2 and A3 in their motif: both have vertical bars.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.figures.palette import weight_colours
from attention_motifs.figures.style import PAGE_WIDTH, SMALL, new_figure, styled

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

HEADS = ("A1: capitals to their countries", "A2: all to countries", "A3: all to years")
N_TEXTS = 16
_WEIGHT = 0.8
"""Attention to the tokens that the head looks for; the rest goes to the first token."""


DRAWN = (
    "<start>", "1789", "France", "Spain", "Japan", "1914",
    "Paris", "Madrid", "Tokyo", "1969", "and", "so",
)  # fmt: skip
"""Tokens of the text that is drawn: each capital comes four tokens after its country."""
_COUNTRIES, _CAPITALS, _YEARS = (2, 3, 4), (6, 7, 8), (1, 5, 9)


def drawn_patterns() -> Float[np.ndarray, "3 n n"]:
    """Return the patterns of the three heads on the text `DRAWN`."""
    patterns = np.zeros((3, len(DRAWN), len(DRAWN)), dtype=np.float32)
    patterns[0, _CAPITALS, _COUNTRIES] = 1.0
    patterns[1][:, _COUNTRIES] = 1.0
    patterns[2][:, _YEARS] = 1.0
    return _normalised(patterns)


def _normalised(
    patterns: Float[np.ndarray, "*texts 3 n n"],
) -> Float[np.ndarray, "*texts 3 n n"]:
    """Remove the future, scale rows to `_WEIGHT`, and give the rest to the first token."""
    patterns = np.tril(patterns)
    sums = patterns.sum(axis=-1, keepdims=True)
    patterns = np.divide(_WEIGHT * patterns, sums, out=np.zeros_like(patterns), where=sums > 0)
    patterns[..., 0] += 1.0 - patterns.sum(axis=-1)
    return patterns


def artificial_patterns(
    n_texts: int = N_TEXTS, n_tokens: int = 48, seed: int = 0
) -> Float[np.ndarray, "texts 3 n n"]:
    """Return patterns of the three heads on random texts: float32, causal, rows summing to 1.

    A text holds six countries, later their capitals, and six years, at random positions.
    """
    rng = np.random.default_rng(seed)
    patterns = np.zeros((n_texts, 3, n_tokens, n_tokens), dtype=np.float32)
    for text in patterns:
        places = 1 + rng.permutation(n_tokens - 1)[:18]
        first, second, years = places[:6], places[6:12], places[12:]
        countries, capitals = np.minimum(first, second), np.maximum(first, second)
        text[0, capitals, countries] = 1.0
        for head, keys in ((1, countries), (2, years)):
            text[head][:, keys] = 1.0
    return _normalised(patterns)


def artificial_distances(atlas: Atlas) -> pl.DataFrame:
    """Return the distances by Eq. 3 of the three heads, in the embedding of an atlas.

    Returns:
        Columns `head_a`, `head_b`, `distance`; every pair is in it once.

    Raises:
        AtlasError: if the atlas has no embedding.
    """
    import polars as pl

    from attention_motifs.distances import head_distances
    from attention_motifs.features import compute_features

    embedding = atlas.embedding()
    patterns = artificial_patterns()
    n_texts, n_heads, n, _ = patterns.shape
    rows = compute_features(patterns.reshape(-1, n, n), list(embedding.feature_names))
    embedded = embedding.transform(rows, np.full(len(rows), n))
    matrix = np.asarray(head_distances(embedded.reshape(n_texts, n_heads, -1), metric="mean"))
    pairs = list(combinations(range(n_heads), 2))
    return pl.DataFrame(
        {
            "head_a": [HEADS[i] for i, _ in pairs],
            "head_b": [HEADS[j] for _, j in pairs],
            "distance": [float(matrix[i, j]) for i, j in pairs],
        }
    )


@styled
def artificial_example(atlas: Atlas, width: float = PAGE_WIDTH) -> Figure:
    """Draw the three artificial heads on one text, with their distances (paper, figure 2).

    The colour is the square root of the attention, as in the sheets of patterns.

    Args:
        atlas: an atlas with an embedding of features that need no tokens.
        width: width in inches.

    Raises:
        AtlasError: if the atlas has no embedding.
    """
    columns = 4 if width > 6.0 else 2
    rows = 4 // columns
    figure = new_figure(width, rows * (0.95 * width / columns + 0.2), layout="constrained")
    grid = figure.subplots(rows, columns).ravel()
    for axes, name, pattern in zip(grid, HEADS, drawn_patterns(), strict=False):
        _draw(axes, name, pattern, labelled=axes is grid[0] or columns == 2)
    _write_distances(grid[3], artificial_distances(atlas))
    return figure


def _draw(axes: Axes, name: str, pattern: Float[np.ndarray, "n n"], *, labelled: bool) -> None:
    from matplotlib.colors import PowerNorm

    future = np.triu(np.ones(pattern.shape, dtype=bool), k=1)
    shown = np.ma.masked_array(pattern, future)
    axes.imshow(shown, cmap=weight_colours(), norm=PowerNorm(0.5, 0.0, 1.0))
    places = range(len(DRAWN))
    axes.set_xticks(places, DRAWN, rotation=90)
    axes.set_yticks(places, DRAWN if labelled else [])
    axes.tick_params(length=0, pad=1.5)
    axes.set_title(name.replace(": ", "\n"), fontsize=SMALL, pad=3)


def _write_distances(axes: Axes, table: pl.DataFrame) -> None:
    axes.axis("off")
    lines = ["artificial patterns,", "of no model", "", "distance by Eq. 3:"]
    lines += [f"{a[:2]} to {b[:2]}: {d:.1f}" for a, b, d in table.iter_rows()]
    axes.text(
        0.02, 0.98, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=SMALL,
        linespacing=1.4,
    )  # fmt: skip
