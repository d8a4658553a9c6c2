"""Features behind the components: importance and correlation (the paper's figure 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.figures.arguments import check_atlas
from attention_motifs.figures.palette import LIGHT_GREY
from attention_motifs.figures.style import (
    COLUMN_WIDTH,
    FONT_SIZE,
    SMALL,
    colours,
    fitted,
    legend_below,
    legend_height,
    new_figure,
    styled,
    text_width,
)

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

N_TOP = 20
"""Number of features in the figure of the most important ones."""
N_COMPONENTS = 3
"""Number of components that have a colour of their own in it."""


def importance_table(atlas: Atlas) -> pl.DataFrame:
    """Return the importance of every feature: its share of the variance of the kept components.

    Returns:
        Columns `feature`, `component` (1, 2, ...) and `importance` (0 to 1; all sum to the kept
        components' share); a row per feature and component.

    Raises:
        AtlasError: if the atlas has no embedding.
    """
    import polars as pl

    check_atlas(atlas)
    embedding = atlas.embedding()
    table = embedding.importance()
    n_components, n_features = table.shape
    return pl.DataFrame(
        {
            "feature": np.repeat(np.array(embedding.feature_names, dtype=object), n_components),
            "component": np.tile(np.arange(1, n_components + 1), n_features),
            "importance": table.T.ravel(),
        },
        schema_overrides={"feature": pl.String},
    )


def feature_correlation(
    atlas: Atlas,
) -> tuple[list[str], Float[np.ndarray, "features features"]]:
    """Return the correlation of all features over all patterns.

    Returns:
        Names of the features that vary, and their correlations.

    Raises:
        AtlasError: if a part of the features is missing or damaged.
    """
    from attention_motifs.embedding.moments import FeatureMoments

    embedding = atlas.embedding()
    names = list(embedding.feature_names)
    moments = FeatureMoments(len(names))
    for model in atlas.models:
        for part in atlas.feature_parts(model, names):
            moments.update(part.select(names).to_numpy())
    covariance = moments.covariance()[np.ix_(embedding.kept, embedding.kept)]
    deviation = np.sqrt(np.diag(covariance))
    return [names[i] for i in embedding.kept], covariance / np.outer(deviation, deviation)


def correlation_table(atlas: Atlas) -> pl.DataFrame:
    """Return `feature_correlation` as a table: columns `feature_a`, `feature_b`, `correlation`.

    Every pair of features is in it once.
    """
    import polars as pl

    names, matrix = feature_correlation(atlas)
    a, b = np.tril_indices(len(names), -1)
    array = np.array(names, dtype=object)
    return pl.DataFrame(
        {"feature_a": array[a], "feature_b": array[b], "correlation": matrix[a, b]},
        schema_overrides={"feature_a": pl.String, "feature_b": pl.String},
    )


@styled
def feature_importance(atlas: Atlas, n: int = N_TOP, width: float = COLUMN_WIDTH) -> Figure:
    """Draw the n most important features, with their share of the first three components.

    Args:
        atlas: an atlas with an embedding.
        n: number of features.
        width: width in inches.

    Raises:
        AtlasError: if the atlas has no embedding.
    """
    check_atlas(atlas)
    embedding = atlas.embedding()
    shares = embedding.importance()
    top = np.argsort(-shares.sum(axis=0), kind="stable")[:n]
    names = [fitted(embedding.feature_names[i], 72 * 0.45 * width, SMALL) for i in top]
    shown = min(N_COMPONENTS, len(shares))
    labels = [f"PC {i + 1}" for i in range(shown)] + ["other components kept"]
    height = 0.125 * len(top) + 0.5 + legend_height(labels, width)
    figure = new_figure(width, height, layout="constrained")
    axes = figure.subplots()
    base = np.zeros(len(top))
    parts = [*shares[:shown][:, top], shares[shown:][:, top].sum(axis=0)]
    bars = []
    for part, colour in zip(parts, [*colours(shown), LIGHT_GREY], strict=True):
        bars.append(
            axes.barh(np.arange(len(top)), 100 * part, left=100 * base, height=0.8, color=colour)
        )
        base += part
    axes.set_yticks(np.arange(len(top)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(top) - 0.4, -0.6), xlabel="share of variance (%)")
    legend_below(figure, bars, labels)
    return figure


@styled
def correlation_matrix(atlas: Atlas, width: float = COLUMN_WIDTH) -> Figure:
    """Draw the correlation of all features, by family (paper, figure 10, bottom).

    Args:
        atlas: an atlas with an embedding and features.
        width: width in inches.

    Raises:
        AtlasError: as `feature_correlation`.
    """
    check_atlas(atlas)
    names, matrix = feature_correlation(atlas)
    n = len(names)
    families = [_family(name) for name in names]
    starts = [i for i in range(n) if i == 0 or families[i] != families[i - 1]]
    ends = [*starts[1:], n]
    widest = max(text_width(families[i], SMALL) for i in starts) / 72
    side = min(width - widest - 0.25, 5.0)
    figure = new_figure(width, side + widest * 0.75 + 0.65, layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    middles = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    # A name is left out where it would touch the one before.
    shown, last = [], -np.inf
    for start, middle in zip(starts, middles, strict=True):
        if (middle - last) * 72 * side / n >= 1.25 * FONT_SIZE:
            shown.append((middle, families[start]))
            last = middle
    axes.set_yticks([m for m, _ in shown], [name for _, name in shown])
    axes.set_xticks([m for m, _ in shown], [name for _, name in shown], rotation=90)
    axes.tick_params(length=0)
    for draw in (axes.axhline, axes.axvline):
        for start in starts[1:]:
            draw(start - 0.5, color="black", linewidth=0.4)
    bar = figure.colorbar(picture, ax=axes, location="bottom", shrink=0.6, aspect=30)
    bar.set_ticks([-1, 0, 1])
    bar.set_label("correlation")
    return figure


def _family(name: str) -> str:
    """Return the object of a feature's statistic: `gram.row` of `gram.row.hist.mean`."""
    before, hist, _ = name.partition(".hist")
    return before if hist else name.partition(".")[0]
