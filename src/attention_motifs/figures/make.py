"""All figures of an atlas, with the numbers behind them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas.head_distances import all_pairs_of
from attention_motifs.errors import InputError
from attention_motifs.figures.arguments import check_atlas, check_count, list_heads
from attention_motifs.figures.clouds import embedding_points, pattern_embedding
from attention_motifs.figures.heatmap import distance_heatmap, heads_in_order
from attention_motifs.figures.sheet import DEFAULT_PROMPTS, pattern_sheet
from attention_motifs.figures.style import save
from attention_motifs.figures.variance import variance_explained, variance_table
from attention_motifs.progress import Report, checked_report, silent
from attention_motifs.store.files import atomic

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas
    from attention_motifs.head import HeadId

N_TYPICAL = 6
"""Number of typical heads, which are shown by default."""

MAX_MATRIX = 1000
"""Largest number of heads whose distances are also written as CSV (about 8 MB)."""


def make_figures(
    atlas: Atlas,
    out: str | Path | None = None,
    heads: Sequence[str | HeadId] | None = None,
    metric: str = "mean",
    report: Report = silent,
) -> list[Path]:
    """Draw every figure as PNG and SVG, and write its numbers as CSV.

    Args:
        atlas: an atlas with embedded patterns and distances by `metric`.
        out: folder for the files, `figures/` in the atlas by default; numbers go to its
            `numbers/`.
        heads: heads for the sheet of patterns and to pick out in the embedding; by default
            `typical_heads`.
        metric: metric of the heatmap and of the choice of typical heads.
        report: shows progress.

    Returns:
        Paths of the files. Without patterns for viewing there is no sheet of patterns.

    Raises:
        InputError: if a head is not in the atlas, or an argument is of another type.
        AtlasError: if a stage has not run or a file is damaged.
        ResourceError: if the disk is full or the folder cannot be written.
    """
    report = checked_report(report)
    check_atlas(atlas)
    if not isinstance(out, str | os.PathLike | None):
        raise InputError(f"out={out!r:.80}: expected the path of a folder")
    folder = atlas.path / "figures" if out is None else Path(out)
    all_pairs_of(atlas, metric)  # raises before anything is drawn
    chosen = list_heads(heads) or typical_heads(atlas, metric=metric)
    for head in chosen:
        atlas.head_index(head)
    work: list[tuple[str, Callable[[], Figure], Callable[[], pl.DataFrame]]] = [
        (
            "variance_explained",
            lambda: variance_explained(atlas),
            lambda: variance_table(atlas),
        ),
        (
            "pattern_embedding",
            lambda: pattern_embedding(atlas),
            lambda: embedding_points(atlas),
        ),
        (
            "pattern_embedding_heads",
            lambda: pattern_embedding(atlas, chosen),
            lambda: embedding_points(atlas, chosen),
        ),
        (
            f"distance_heatmap_{metric}",
            lambda: distance_heatmap(atlas, metric),
            lambda: distance_numbers(atlas, metric),
        ),
    ]
    if atlas.view_prompts():
        work.append(
            (
                "pattern_sheet",
                lambda: pattern_sheet(atlas, chosen),
                lambda: pattern_numbers(atlas, chosen),
            )
        )
    paths = []
    with report("draw the figures", len(work)) as advance:
        for name, draw, numbers in work:
            paths += save(draw(), folder, name)
            paths.append(_write_numbers(folder / "numbers" / f"{name}.csv", numbers()))
            advance(1)
    return paths


def typical_heads(atlas: Atlas, n: int = N_TYPICAL, metric: str = "mean") -> list[str]:
    """Return n typical heads: the medoids of n groups, in the order of the atlas.

    The first medoid has the smallest sum of distances, every further one is the head farthest
    from those before; then heads join their nearest medoid and each group chooses its own anew
    (k-medoids after Park and Jun 2009) until nothing changes.

    Raises:
        AtlasError: if the distances by `metric` do not exist or are damaged.
    """
    check_atlas(atlas)
    n = check_count("n", n)
    distances = np.nan_to_num(
        np.asarray(all_pairs_of(atlas, metric).matrix, dtype=np.float64), nan=np.inf
    )
    medoids = [int(distances.sum(axis=1).argmin())]
    while len(medoids) < min(n, len(distances)):
        from_medoids = distances[medoids].min(axis=0)
        from_medoids[medoids] = -1.0
        medoids.append(int(from_medoids.argmax()))
    for _ in range(100):  # converges in a few rounds; equal distances could make a cycle
        group = distances[medoids].argmin(axis=0)
        group[medoids] = np.arange(len(medoids))
        new = []
        for g in range(len(medoids)):
            members = np.flatnonzero(group == g)
            inner = distances[np.ix_(members, members)].sum(axis=1)
            new.append(int(members[inner.argmin()]))
        if new == medoids:
            break
        medoids = new
    return [str(atlas.heads["head"][i]) for i in sorted(medoids)]


def distance_numbers(atlas: Atlas, metric: str) -> pl.DataFrame:
    """Return the heads in the order of the heatmap, with their distances if they are few."""
    import polars as pl

    order = heads_in_order(atlas)
    if len(order) > MAX_MATRIX:
        return order
    rows = order["row"].to_numpy()
    matrix = all_pairs_of(atlas, metric).among(rows)
    return order.hstack(pl.DataFrame(matrix, schema=order["head"].to_list(), orient="row"))


def pattern_numbers(atlas: Atlas, heads: Sequence[str | HeadId]) -> pl.DataFrame:
    """Return a row per head, prompt and query token; columns k0, k1, ... are the key tokens."""
    import polars as pl

    names = dict.fromkeys(str(atlas.heads["head"][atlas.head_index(head)]) for head in heads)
    tables = []
    for name in names:
        for prompt_id in atlas.view_prompts()[:DEFAULT_PROMPTS]:
            pattern = atlas.pattern(name, prompt_id)
            n = len(pattern)
            keys = pl.DataFrame(pattern, schema=[f"k{i}" for i in range(n)], orient="row")
            tables.append(
                keys.select(
                    pl.lit(name).alias("head"),
                    pl.lit(prompt_id).alias("prompt_id"),
                    pl.Series("query", np.arange(n)),
                    pl.all(),
                )
            )
    # Prompts differ in length: missing keys of a shorter one are left empty.
    return pl.concat(tables, how="diagonal")


def _write_numbers(path: Path, table: pl.DataFrame) -> Path:
    with atomic(path) as temporary:
        table.write_csv(temporary)
    return path
