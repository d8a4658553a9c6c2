"""The figures of the paper for an atlas, after the projections that they need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import stored_distances_of
from attention_motifs.figures.catalogue import DEFAULT_FIGURES, catalogue, choose_items
from attention_motifs.figures.head_maps import METHODS
from attention_motifs.figures.make import write_figures
from attention_motifs.figures.style import check_formats, check_width
from attention_motifs.progress import Report, silent
from attention_motifs.store.settings import FigureSettings

METRIC = "mean"
"""Eq. 3, by which the paper projects."""
PROJECTED = ("figure-07-", "figure-14-", "figure-15-")
"""Beginnings of the names of figures that need projections."""


def paper_figures(
    atlas: Atlas,
    out: str | Path | None = None,
    settings: FigureSettings = DEFAULT_FIGURES,
    report: Report = silent,
    *,
    only: Sequence[str] | str = (),
    width: float | None = None,
    metric: str = METRIC,
) -> list[Path]:
    """Make the counterpart of every figure and table of the paper, and the other figures.

    Projections that the figures need and the atlas lacks are made first. Projections by another
    metric are replaced by those of Eq. 3.

    Args:
        atlas: an atlas with distances by `mean`.
        out: folder, `figures/paper/` in the atlas by default. Files of the run before are replaced.
        settings: formats, chosen heads, neighbourhoods.
        report: shows progress.
        only: numbers in the paper or names of figures (default: all).
        width: width of all figures in inches (default: that of each).
        metric: metric of figure 13 and of the choice of typical heads.

    Returns:
        The files written.

    Raises:
        InputError: if a format, a figure or a head is unknown.
        AtlasError: if a stage has not run, a file is damaged, or another run holds the atlas.
        ResourceError: if the disk is full or the folder cannot be written.
    """
    formats = check_formats(settings.formats)
    if width is not None:
        width = check_width(width)
    for needed in dict.fromkeys((METRIC, metric)):
        stored_distances_of(atlas, needed)  # raises before anything is projected
    items = choose_items(catalogue(atlas, settings, metric), only)
    if any(item.name.startswith(PROJECTED) for item in items):
        project_for_figures(atlas, settings, report)
    folder = atlas.path / "figures" / "paper" if out is None else Path(out)
    return write_figures(atlas, items, folder, formats, width, report, chosen=bool(only))


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
