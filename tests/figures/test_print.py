"""Every figure at every width: type that can be read, fonts that venues take, no overlap."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.figures.catalogue import catalogue
from attention_motifs.figures.plot import PLOTS
from attention_motifs.figures.style import SMALL, save
from attention_motifs.figures.variance import variance_explained
from attention_motifs.stages.project import project
from synthetic_atlas import make_synthetic_atlas

WIDTHS = (3.35, 5.5, 6.9)
LACKING = {"evaluation", "reliability", "training"}
"""Figures for which a synthetic atlas lacks scores or versions."""


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    built = make_synthetic_atlas(tmp_path_factory.mktemp("print") / "atlas", n_tokens=16)
    project(built, n_neighbors=[2, 16], dimensions=[2], methods=["pca", "isomap", "tsne"])
    return Atlas.open(built.path)


def shown_texts(figure: Any) -> list[tuple[str, float, Any]]:
    """Text, size and box in pixels of everything that is drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            drawn = set(axis._update_ticks()) if axes.axison else set()
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if tick not in drawn:
                    hidden |= {tick.label1, tick.label2}
    return [
        (text.get_text(), text.get_fontsize(), text.get_window_extent(canvas.get_renderer()))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]


def check_texts(figure: Any) -> None:
    """No text is below 6 points, cut off at the edge, or over another."""
    right, top = figure.get_size_inches() * figure.dpi
    texts = [t for t in shown_texts(figure) if t[2].width]
    assert texts
    for i, (text, size, box) in enumerate(texts):
        assert size >= SMALL, text
        assert box.x0 > -1.5, text
        assert box.y0 > -1.5, text
        assert box.x1 < right + 1.5, text
        assert box.y1 < top + 1.5, text
        for text_before, _, before in texts[:i]:
            across = min(box.x1, before.x1) - max(box.x0, before.x0)
            along = min(box.y1, before.y1) - max(box.y0, before.y0)
            assert min(across, along) < 1.5, (text, text_before)


def fonts_of(pdf: Path) -> set[bytes]:
    """Kinds of the fonts in a PDF, which may be in compressed streams."""
    data = pdf.read_bytes()
    parts = [data]
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            parts.append(zlib.decompress(match[1]))
        except zlib.error:
            continue
    return {
        kind for part in parts for kind in re.findall(rb"/Subtype\s*/(Type3|TrueType|Type0)", part)
    }


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_can_be_printed(atlas: Atlas, tmp_path: Path, width: float) -> None:
    total = 0
    for item in catalogue(atlas):
        if item.draw is None or item.name in LACKING:
            continue
        figure = item.draw(width)
        assert figure.get_figwidth() == width, item.name
        assert figure.get_figheight() <= 12, item.name
        check_texts(figure)
        paths = save(figure, tmp_path, item.name, ["pdf", "svg"])
        kinds = fonts_of(paths[0])
        assert b"Type3" not in kinds, item.name
        assert kinds, item.name
        assert "sans-serif" in paths[1].read_text(encoding="utf-8"), item.name
        total += sum(path.stat().st_size for path in paths)
    assert total < 15_000_000


@pytest.mark.slow
def test_fonts_are_embedded_as_truetype(atlas: Atlas, tmp_path: Path) -> None:
    figure = variance_explained(atlas, 5.5)
    check_texts(figure)
    [pdf] = save(figure, tmp_path, "v", ["pdf"])
    assert b"Type3" not in fonts_of(pdf)
    assert fonts_of(pdf)


@pytest.mark.parametrize("width", [3.0, 40, "5.5", None, True, float("nan")])
def test_other_widths_are_refused(atlas: Atlas, width: Any) -> None:
    with pytest.raises(InputError, match="width="):
        variance_explained(atlas, width)


@pytest.mark.parametrize("name", ["distances", "model", "near", "variance"])
def test_plots_are_shown_by_notebooks(atlas: Atlas, name: str) -> None:
    arguments = {"near": ["synthetic-0:L0:H0"]}.get(name, [])
    figure: Any = atlas.plot(name, *arguments, width=3.35)
    assert figure.get_figwidth() == 3.35
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(("width", "below"), [(3.35, "head"), (6.9, "layer")])
def test_a_map_of_a_model_has_a_letter_for_every_head(
    tmp_path: Path, width: float, below: str
) -> None:
    """In a column 30 layers run down, since letters do not fit beside each other."""
    from attention_motifs.stages.shares import shares

    deep = make_synthetic_atlas(tmp_path / "deep", 1, 30, 3, 4)
    shares(deep)
    figure: Any = Atlas.open(deep.path).plot("model", width=width)
    check_texts(figure)
    [axes] = figure.axes
    assert axes.get_xlabel() == below
    assert len(axes.texts) == len(deep.heads)


def test_plots_name_what_is_wrong(atlas: Atlas) -> None:
    for wrong in ("distance", 3, None):
        with pytest.raises(InputError, match=r"figure .* is not known.*distances"):
            atlas.plot(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"'heigth'.*metric, width"):
        atlas.plot("distances", heigth=3)
    with pytest.raises(AtlasError, match="motifs evaluate"):
        atlas.plot("evaluation")
    with pytest.raises(InputError, match="not in this atlas"):
        atlas.plot("model", "nobody")
    assert "distances" in PLOTS
