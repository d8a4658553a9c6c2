"""The paper's figure 2: an artificial example of equal motifs on different tokens.

Three heads read texts of capitals, countries, years and other words. In A1 a capital attends to its
country, in A2 every token attends to countries, in A3 every token attends to years. A1 and A2 are
similar in the tokens they attend to, A2 and A3 in their motif: both have vertical bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.figures.style import PAGE_WIDTH, SMALL, styled

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

HEADS = ("A1: capitals to their countries", "A2: all to countries", "A3: all to years")
N_TEXTS = 16
_WEIGHT = 0.8
"""Attention to the tokens that the head looks for; the rest goes to the first token."""


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
        text[:] = np.tril(text)
    sums = patterns.sum(axis=-1, keepdims=True)
    np.divide(_WEIGHT * patterns, sums, out=patterns, where=sums > 0)
    patterns[..., 0] += 1.0 - patterns.sum(axis=-1)
    return patterns


def artificial_distances(atlas: Atlas) -> pl.DataFrame:
    """Return the distances by Eq. 3 of the three heads, in the embedding of an atlas.

    Returns:
        Columns `head`, and one per head: symmetric, zero diagonal.

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
    matrix = head_distances(embedded.reshape(n_texts, n_heads, -1), metric="mean")
    return pl.DataFrame({"head": HEADS}).hstack(
        pl.DataFrame(np.asarray(matrix), schema=list(HEADS), orient="row")
    )


@styled
def artificial_example(atlas: Atlas) -> Figure:
    """Draw the three patterns on one text, with their distances (paper, figure 2).

    The colour is the square root of the attention, as in the sheets of patterns.

    Raises:
        AtlasError: if the atlas has no embedding.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    patterns = artificial_patterns(1)[0]
    distances = artificial_distances(atlas)
    figure = Figure(figsize=(PAGE_WIDTH, 2.7), layout="constrained")
    for axes, name, pattern in zip(figure.subplots(1, 3), HEADS, patterns, strict=True):
        future = np.triu(np.ones(pattern.shape, dtype=bool), k=1)
        shown = np.ma.masked_array(pattern, future)
        axes.imshow(shown, cmap="cividis", norm=PowerNorm(0.5, 0.0, 1.0), interpolation="none")
        axes.set(xticks=[], yticks=[])
        axes.set_title(name)
        i = HEADS.index(name)
        rest = [f"to {HEADS[j][:2]} {distances[name][j]:.2f}" for j in range(3) if j != i]
        axes.set_xlabel("distance " + ", ".join(rest), fontsize=SMALL)
    return figure
