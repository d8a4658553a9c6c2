"""Files of figures: pictures, captions, and the numbers behind them, replaced as a whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from attention_motifs.atlas.head_distances import stored_distances_of
from attention_motifs.errors import AtlasError, InputError, MotifsError
from attention_motifs.figures.arguments import check_atlas, list_heads
from attention_motifs.figures.captions import full
from attention_motifs.figures.catalogue import DEFAULT_FIGURES, catalogue, choose_items
from attention_motifs.figures.head_maps import ALL_MODELS, head_map_table
from attention_motifs.figures.style import check_formats, check_width, save
from attention_motifs.figures.tables import describe_columns, figure_tex, write_table
from attention_motifs.progress import Report, checked_report, silent
from attention_motifs.store import files
from attention_motifs.store.settings import FigureSettings

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas
    from attention_motifs.figures.catalogue import FigureItem
    from attention_motifs.head import HeadId

QUICK_FIGURES = ("3", "4", "11", "13")
"""Figures that need no projections: `motifs figures`."""
INDEX = "figures.json"
"""Lists the files of a run, which the next run replaces."""


def make_figures(
    atlas: Atlas,
    out: str | Path | None = None,
    heads: Sequence[str | HeadId] | None = None,
    metric: str = "mean",
    report: Report = silent,
    *,
    only: Sequence[str] | str = QUICK_FIGURES,
    width: float | None = None,
    formats: Sequence[str] | str = ("png", "svg"),
    settings: FigureSettings = DEFAULT_FIGURES,
) -> list[Path]:
    """Draw figures, and write their captions and numbers.

    Files of the run before are removed once all new ones are drawn; other files of the folder stay.

    Args:
        atlas: an atlas with embedded patterns and distances by `metric`.
        out: folder for the files, `figures/` in the atlas by default; numbers go to its
            `numbers/`.
        heads: heads for figure 3 and to pick out in figure 4; by default `typical_heads`.
        metric: metric of figure 13 and of the choice of typical heads.
        report: shows progress.
        only: numbers in the paper or names of figures (default: 3, 4, 11 and 13); empty for all.
        width: width of all figures in inches, such as 3.35, 5.5 or 6.9 (default: 3.35 or 6.9,
            whichever suits the figure).
        formats: `png`, `svg` and `pdf`.
        settings: number of look-alikes, neighbourhoods.

    Returns:
        Paths of the files.

    Raises:
        InputError: if a head or figure is not known, or an argument is of another type.
        AtlasError: if a stage has not run or a file is damaged.
        ResourceError: if the disk is full or the folder cannot be written.
    """
    report = checked_report(report)
    check_atlas(atlas)
    if not isinstance(out, str | os.PathLike | None):
        raise InputError(f"out={out!r:.80}: expected the path of a folder")
    endings = check_formats(formats)
    if width is not None:
        width = check_width(width)
    folder = atlas.path / "figures" if out is None else Path(out)
    stored_distances_of(atlas, metric)  # raises before anything is drawn
    names = [str(atlas.heads["head"][atlas.head_index(head)]) for head in list_heads(heads)]
    if names:
        settings = _with_heads(settings, names)
    words = [only] if isinstance(only, str) else list(only)
    if words == list(QUICK_FIGURES) and not atlas.view_prompts():
        words.remove("3")
    items = choose_items(catalogue(atlas, settings, metric), words)
    if any(item.name == "figure-07-isomap" for item in items):
        head_map_table(atlas, ALL_MODELS)  # raises before anything is drawn
    return write_figures(atlas, items, folder, endings, width, report, chosen=bool(words))


def _with_heads(settings: FigureSettings, heads: Sequence[str]) -> FigureSettings:
    from dataclasses import replace

    changed: dict[str, Any] = {"heads": tuple(heads)}
    return replace(settings, **changed)


def write_figures(
    atlas: Atlas,
    items: Sequence[FigureItem],
    folder: Path,
    formats: Sequence[str],
    width: float | None = None,
    report: Report = silent,
    *,
    chosen: bool = False,
) -> list[Path]:
    """Draw the items into a new folder, then let them replace the run before.

    Args:
        atlas: the atlas.
        items: figures and tables of `catalogue`.
        folder: folder for the files.
        formats: `png`, `svg` and `pdf`.
        width: width of all figures in inches (default: that of each).
        report: shows progress.
        chosen: whether the user named the items; else optional ones that the atlas cannot have
            are left out, and the index says why.

    Returns:
        Paths of the files in `folder`.

    Raises:
        AtlasError: if a stage has not run or a file is damaged.
        ResourceError: if the disk is full or the folder cannot be written.
    """
    parent = folder.absolute().parent
    with files.writable_folder(folder):
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=files.TEMPORARY_PREFIX, dir=parent))
        try:
            names = _draw(atlas, items, scratch, formats, width, report, chosen=chosen)
            _replace(scratch, folder, names)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return [folder / name for name in names]


def _draw(
    atlas: Atlas,
    items: Sequence[FigureItem],
    scratch: Path,
    formats: Sequence[str],
    width: float | None,
    report: Report,
    *,
    chosen: bool,
) -> list[str]:
    """Draw everything into `scratch`; return the names of the files, the index last."""
    captions: dict[str, str] = {}
    left_out: dict[str, str] = {}
    widths: dict[str, float] = {}
    written: list[Path] = []
    columns: set[str] = set()
    stems: set[str] = set()
    with report("draw the figures", len(items)) as advance:
        for item in items:
            try:
                if item.draw is not None:
                    widths[item.name] = width or item.width
                    written += save(item.draw(widths[item.name]), scratch, item.name, formats)
                captions[item.name] = full(atlas, item.name, item.caption())
            except AtlasError as error:
                if not item.optional or chosen:
                    raise
                left_out[item.name] = str(error)
                widths.pop(item.name, None)
                advance(1)
                continue
            for stem, table in item.tables.items():
                if stem not in stems:
                    stems.add(stem)
                    paths, of_table = write_table(table(), scratch / "numbers", stem)
                    written += paths
                    columns |= of_table
            advance(1)
    written.append(describe_columns(scratch / "numbers", columns))
    files.write_json(scratch / "captions.json", captions)
    (scratch / "captions.txt").write_text(
        "".join(f"{name}\n{text}\n\n" for name, text in captions.items()), encoding="utf-8"
    )
    (scratch / "captions.tex").write_text(figure_tex(captions, widths), encoding="utf-8")
    written += [scratch / f"captions.{ending}" for ending in ("json", "txt", "tex")]
    names = [path.relative_to(scratch).as_posix() for path in written]
    files.write_json(
        scratch / INDEX,
        {"schema_version": 1, "files": names, "widths": widths, "left_out": left_out},
    )
    return [*names, INDEX]


def _replace(scratch: Path, folder: Path, names: Sequence[str]) -> None:
    """Remove the files of the run before, and move the new ones to the folder, the index last."""
    for name in _previous(folder):
        (folder / name).unlink(missing_ok=True)
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).replace(target)


def _previous(folder: Path) -> list[str]:
    """Return the files that the run before wrote, none where its index cannot be trusted."""
    path = folder / INDEX
    if not path.is_file():
        return []
    try:
        listed = files.read_json(path)["files"]
    except (MotifsError, KeyError, TypeError):
        return []
    if not isinstance(listed, list):
        return []
    inside = [PurePosixPath(name) for name in listed if isinstance(name, str)]
    return [str(name) for name in inside if not name.is_absolute() and ".." not in name.parts]
