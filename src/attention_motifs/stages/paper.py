"""The figures of the paper for an atlas, after the projections that they need."""

from __future__ import annotations

from pathlib import Path

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import all_pairs_of
from attention_motifs.figures.head_maps import METHODS
from attention_motifs.figures.paper import DEFAULT_FIGURES, make_paper
from attention_motifs.figures.style import check_formats
from attention_motifs.progress import Report, silent
from attention_motifs.store.settings import FigureSettings

METRIC = "mean"
"""Eq. 3, by which the paper projects."""


def paper_figures(
    atlas: Atlas,
    out: str | Path | None = None,
    settings: FigureSettings = DEFAULT_FIGURES,
    report: Report = silent,
) -> list[Path]:
    """Make the counterpart of every figure and table of the paper; see `figures.paper`.

    Projections that the figures need and the atlas lacks are made first. Projections by another
    metric are replaced by those of Eq. 3.

    Returns:
        The files written.

    Raises:
        InputError: if a format or a head is unknown.
        AtlasError: if a stage has not run, a file is damaged, or another run holds the atlas.
        ResourceError: if the disk is full or the folder cannot be written.
    """
    check_formats(settings.formats)
    all_pairs_of(atlas, METRIC)  # raises before anything is projected
    project_for_figures(atlas, settings, report)

    def nearest(head: str, n: int) -> list[str]:
        return [near.head for near in atlas.near(head, n=n, metric=METRIC)]

    return make_paper(atlas, nearest, out, settings, report)


def project_for_figures(atlas: Atlas, settings: FigureSettings, report: Report = silent) -> None:
    """Project to the plane by Eq. 3 with the neighbourhoods of figures 7, 14 and 15."""
    from attention_motifs.stages.explore import NEIGHBOURHOODS, installed_projections
    from attention_motifs.stages.project import project

    sizes, dimensions = _stored(atlas)
    needed = {settings.isomap_neighbors, *settings.neighbors}
    if needed <= sizes:
        return
    project(
        atlas,
        metric=METRIC,
        methods=installed_projections(),
        n_neighbors=sorted(needed | (sizes or set(() if settings.neighbors else NEIGHBOURHOODS))),
        dimensions=sorted(dimensions | {2}),
        report=report,
    )


def _stored(atlas: Atlas) -> tuple[set[int], set[int]]:
    """Return the neighbourhood sizes stored for all maps in two dimensions, and all dimensions."""
    import polars as pl

    if not atlas.file("projections").is_file():
        return set(), set()
    table = atlas.projections.filter(pl.col("metric") == METRIC)
    flat = table.filter(pl.col("n_components") == 2)
    by_method = [set(flat.filter(pl.col("method") == m)["n_neighbors"].to_list()) for m in METHODS]
    sizes = set.intersection(*(sizes for sizes in by_method if sizes)) if any(by_method) else set()
    return sizes, set(table["n_components"].to_list())
