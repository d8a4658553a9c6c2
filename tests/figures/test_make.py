from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from attention_motifs.atlas import Atlas
from attention_motifs.errors import AtlasError, HeadNotFoundError, InputError
from attention_motifs.figures import (
    distance_heatmap,
    embedding_points,
    heads_in_order,
    make_figures,
    pattern_embedding,
    pattern_sheet,
    save,
    typical_heads,
    variance_explained,
    variance_table,
)
from attention_motifs.figures.heatmap import shade
from attention_motifs.figures.style import MISSING, colours, fitted, plain, text_width
from attention_motifs.store import files
from synthetic_atlas import HOSTILE_TEXTS, make_synthetic_atlas

NAMES = (
    "figure-11-variance",
    "figure-04-models",
    "figure-04-heads",
    "figure-13-distances",
    "figure-03-patterns",
)
TABLES = ("figure-03-patterns", "figure-11-variance", "figure-13-distances-mean",
          "patterns-in-components", "columns")  # fmt: skip
HEADS = ["synthetic-0:L0:H0", "org/synthetic-1:L2:H1"]


@pytest.fixture(autouse=True)
def no_warnings():
    """matplotlib warns of missing glyphs and of layouts that do not fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return make_synthetic_atlas(tmp_path_factory.mktemp("figures") / "atlas")


@pytest.fixture(scope="module")
def built(atlas):
    return make_figures(atlas, heads=HEADS)


def svg_text(path: Path) -> str:
    """All text of a picture, read by an XML parser."""
    return "\n".join(ElementTree.parse(path).getroot().itertext())  # noqa: S314


@pytest.mark.slow
def test_all_files_are_written_into_the_atlas(atlas, built):
    folder = atlas.path / "figures"
    expected = {folder / f"{name}.{ending}" for name in NAMES for ending in ("png", "svg")}
    expected |= {folder / "numbers" / f"{name}.csv" for name in TABLES}
    expected |= {folder / f"captions.{ending}" for ending in ("json", "txt", "tex")}
    expected |= {folder / "figures.json"}
    assert set(built) == expected
    assert {p for p in folder.rglob("*") if p.is_file()} == expected  # nothing unfinished is left


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_valid_and_not_blank(atlas, built, name):
    with Image.open(atlas.path / "figures" / f"{name}.png") as image:
        image.load()
        assert image.format == "PNG"
        assert min(image.size) > 500
        assert len(image.convert("RGB").getcolors(1 << 24)) > 20
    root = ElementTree.parse(atlas.path / "figures" / f"{name}.svg").getroot()  # noqa: S314
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("name", ["figure-04-models", "figure-13-distances"])
def test_models_are_named(atlas, built, name):
    text = svg_text(atlas.path / "figures" / f"{name}.svg").splitlines()
    assert set(atlas.models) <= set(text)


@pytest.mark.parametrize("name", ["figure-04-heads", "figure-03-patterns"])
def test_heads_are_named(atlas, built, name):
    assert set(HEADS) <= set(svg_text(atlas.path / "figures" / f"{name}.svg").splitlines())


def test_prompts_are_shown_as_plain_text(atlas, built):
    path = atlas.path / "figures" / "figure-03-patterns.svg"
    text = svg_text(path)
    assert "<b>$x$</b> &" in text
    assert "line one line two" in text
    assert MISSING in text
    assert "\u202e" not in text
    assert "\x07" not in text
    assert "<b>" not in path.read_text(encoding="utf-8")


def test_numbers_of_the_variance_are_those_of_the_embedding(atlas, built):
    table = pl.read_csv(atlas.path / "figures" / "numbers" / "figure-11-variance.csv")
    shares = atlas.embedding().explained_variance_ratio
    np.testing.assert_allclose(table["share"].to_numpy(), shares, rtol=1e-4)
    np.testing.assert_allclose(table["cumulative"].to_numpy(), np.cumsum(shares), rtol=1e-4)
    assert table["n_components"].to_list() == list(range(1, len(shares) + 1))


def test_variance_marks_three_ten_and_sixteen(atlas, built):
    cumulative = variance_table(atlas)["cumulative"]
    text = svg_text(atlas.path / "figures" / "figure-11-variance.svg").splitlines()
    for k in (3, 10, 16):
        assert f"{k}: {cumulative[k - 1]:.1%}" in text


def test_numbers_of_the_patterns(atlas, built):
    table = pl.read_csv(atlas.path / "figures" / "numbers" / "figure-03-patterns.csv")
    prompt_id = atlas.view_prompts()[1]
    rows = table.filter(pl.col("head") == HEADS[1], pl.col("prompt_id") == prompt_id)
    reference = atlas.pattern(HEADS[1], prompt_id)
    drawn = np.zeros_like(reference)
    drawn[rows["query"], rows["key"]] = rows["attention"]
    np.testing.assert_allclose(drawn, reference, rtol=1e-4)


def test_numbers_of_the_distances_hold_every_pair_once(atlas, built):
    table = pl.read_csv(atlas.path / "figures" / "numbers" / "figure-13-distances-mean.csv")
    pairs = table.select("head_a", "head_b").rows()
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 12 * 11 // 2
    expected = [atlas.distances("mean")[atlas.head_index(a), atlas.head_index(b)] for a, b in pairs]
    np.testing.assert_allclose(table["distance"].to_numpy(), expected, rtol=1e-4)


@pytest.mark.slow
def test_same_bytes_from_another_process(atlas, built, tmp_path):
    script = (
        "import sys; from attention_motifs.atlas import Atlas\n"
        "from attention_motifs.figures import make_figures, pattern_sheet, save\n"
        "atlas = Atlas.open(sys.argv[1]); heads = sys.argv[3:]\n"
        "make_figures(atlas, sys.argv[2], heads=heads)\n"
        "save(pattern_sheet(atlas, heads), sys.argv[2], 'sheet', ['pdf'])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    arguments = [str(atlas.path), str(tmp_path), *HEADS]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=120)
    for path in built:
        existing = tmp_path / path.relative_to(atlas.path / "figures")
        assert existing.read_bytes() == path.read_bytes(), path.name
    [pdf] = save(pattern_sheet(atlas, HEADS), tmp_path, "again", ["pdf"])
    assert pdf.read_bytes().startswith(b"%PDF")
    assert pdf.read_bytes() == (tmp_path / "sheet.pdf").read_bytes()


def test_heads_are_ordered_by_model_layer_and_index(atlas, tmp_path):
    shuffled = Atlas(atlas.paths, atlas.manifest)
    shuffled._heads = atlas.heads.sample(fraction=1.0, shuffle=True, seed=1)
    table = heads_in_order(shuffled)
    assert table["head"].to_list() == atlas.heads["head"].to_list()
    assert shuffled.heads["head"].gather(table["row"]).to_list() == table["head"].to_list()


def test_heatmap_shows_the_distances_and_a_strip_per_side(atlas):
    matrix, top, left = distance_heatmap(atlas).axes[0].images
    np.testing.assert_array_equal(matrix.get_array(), atlas.distances("mean"))
    off_diagonal = atlas.distances("mean")[~np.eye(12, dtype=bool)]
    assert matrix.get_clim()[1] == pytest.approx(np.quantile(off_diagonal, 0.99))
    assert matrix.get_clim()[0] == 0.0
    hues = colours(2)
    expected = [shade(hues[m], d) for m in (0, 1) for d in (0.0, 0.5, 1.0) for _ in range(2)]
    np.testing.assert_allclose(top.get_array()[0], expected)
    np.testing.assert_allclose(left.get_array()[:, 0], expected)


def test_heatmap_parts_the_models(atlas):
    borders = [c.get_segments() for c in distance_heatmap(atlas).axes[0].collections]
    assert [segments[0].tolist() for segments in borders] == [[[0, 6], [12, 6]], [[6, 0], [6, 12]]]


def test_shades_darken_with_depth():
    hue = colours(1)[0]
    brightness = [sum(shade(hue, depth)) for depth in np.linspace(0, 1, 9)]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(brightness)) == 9


def test_colours_of_many_models_differ():
    assert len({tuple(np.round(c, 3)) for c in colours(21)}) == 21


def test_points_are_all_there_or_a_seeded_sample(atlas):
    everything = embedding_points(atlas)
    assert len(everything) == 20 * 12
    cloud = everything.filter(pl.col("head") == HEADS[1])
    expected = atlas.embedded()[:, atlas.head_index(HEADS[1]), :3]
    np.testing.assert_array_equal(cloud.select("pc1", "pc2", "pc3").to_numpy(), expected)
    assert cloud["prompt_id"].to_list() == atlas.prompts["prompt_id"].to_list()

    sample = embedding_points(atlas, max_points=50, seed=3)
    assert len(sample) == 50
    assert sample.equals(embedding_points(atlas, max_points=50, seed=3))
    assert not sample.equals(embedding_points(atlas, max_points=50, seed=4))
    assert len(sample.join(everything, on=sample.columns, how="semi")) == 50


def test_chosen_heads_keep_all_their_points(atlas):
    sample = embedding_points(atlas, HEADS, max_points=10)
    counts = dict(sample["head"].value_counts().iter_rows())
    assert [counts[head] for head in HEADS] == [20, 20]
    assert len(sample) <= 40 + 10


def test_chosen_heads_are_points_over_the_density(atlas):
    figure = pattern_embedding(atlas, HEADS)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        density, *chosen = axes.collections
        assert density.get_array().sum() == 20 * 12
        assert [len(c.get_offsets()) for c in chosen] == [20, 20]
        assert all(np.ptp(c.get_facecolor()[0, :3]) > 0.3 for c in chosen)


def test_points_are_rasterised_in_vector_files(atlas, built):
    svg = (atlas.path / "figures" / "figure-04-models.svg").read_text(encoding="utf-8")
    assert svg.count("<image") == 3
    assert svg.count("<use") < 200  # ticks and legend; never the 720 points


@pytest.mark.slow
def test_outlying_points_do_not_set_the_frame(tmp_path):
    atlas = make_synthetic_atlas(tmp_path / "a", n_models=1, n_layers=4, n_heads=4, n_prompts=150)
    path = atlas.file("embedded", model="synthetic-0").path
    table = files.read_parquet(path, "")
    usual = float(table["pc0"].abs().max())
    far = pl.when(pl.int_range(pl.len()) == 7).then(1e4).otherwise(pl.col("pc0"))
    files.write_parquet(path, table.with_columns(far.cast(pl.Float32).alias("pc0")))
    axes = pattern_embedding(atlas).axes[0]
    assert axes.get_xlim()[1] < 2 * usual
    assert any("of 2,400 outside" in text.get_text() for text in axes.texts)


def test_two_components_make_one_panel_and_one_is_refused(tmp_path):
    two = make_synthetic_atlas(tmp_path / "two", n_prompts=4, n_components=2)
    assert len(pattern_embedding(two).axes) == 1
    one = make_synthetic_atlas(tmp_path / "one", n_prompts=4, n_components=1)
    with pytest.raises(InputError, match="--n-components 3"):
        pattern_embedding(one)
    assert svg_text(save(variance_explained(one), tmp_path, "v")[1])


def test_sheet_is_as_asked(atlas):
    prompts = atlas.view_prompts()[2:4]
    figure = pattern_sheet(atlas, [HEADS[1], HEADS[0], HEADS[1]], prompts)
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 4  # the repeated head is drawn once
    reference = [atlas.pattern(head, p) for head in (HEADS[1], HEADS[0]) for p in prompts]
    for axes, pattern in zip(panels, reference, strict=True):
        shown = axes.images[0].get_array()
        np.testing.assert_array_equal(shown.filled(0), pattern)
        assert shown.mask[np.triu_indices(12, 1)].all()
        assert not shown.mask[np.tril_indices(12)].any()
        assert float(axes.images[0].norm(0.25)) == pytest.approx(0.5)  # the square root


def test_sheet_refuses_what_it_cannot_draw(atlas):
    with pytest.raises(InputError):
        pattern_sheet(atlas, [])
    with pytest.raises(HeadNotFoundError):
        pattern_sheet(atlas, ["synthetic-0:L9:H0"])
    with pytest.raises(AtlasError):
        pattern_sheet(atlas, HEADS, [atlas.prompts["prompt_id"][-1]])


def test_what_cannot_be_drawn_is_named_with_the_mend(atlas, tmp_path):
    with pytest.raises(AtlasError, match=r"motifs distances .* --metric energy"):
        make_figures(atlas, tmp_path, heads=HEADS, metric="energy")
    with pytest.raises(HeadNotFoundError):
        make_figures(atlas, tmp_path, heads=["nobody:L0:H0"])
    assert not any(tmp_path.iterdir())  # it fails before anything is drawn


def test_unknown_format_writes_nothing(atlas, tmp_path):
    with pytest.raises(InputError, match=r"'gif'.*png, svg, pdf"):
        save(variance_explained(atlas), tmp_path / "out", "v", ["png", "gif"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "shape",
    [
        {"n_models": 1, "n_layers": 1, "n_heads": 1, "n_prompts": 2, "n_tokens": 2},
        pytest.param(
            {"n_models": 10, "n_layers": 1, "n_heads": 2, "n_prompts": 3, "n_tokens": 4},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["one head", "ten models"],
)
def test_degenerate_atlases_are_drawn(tmp_path, shape):
    atlas = make_synthetic_atlas(tmp_path / "atlas", **shape)
    paths = make_figures(atlas, tmp_path / "out", formats="png")
    names = {path.stem for path in paths if path.suffix == ".png"}
    assert names == set(NAMES)


def test_typical_heads_are_one_per_motif(tmp_path):
    atlas = make_synthetic_atlas(tmp_path / "atlas", n_prompts=8, n_tokens=16)
    chosen = typical_heads(atlas, n=6)
    # Heads of the synthetic models repeat the six motifs by layer and index.
    assert {head.rpartition(":L")[2] for head in chosen} == {
        f"{layer}:H{index}" for layer in range(3) for index in range(2)
    }
    assert chosen == sorted(chosen, key=atlas.head_index)
    assert typical_heads(atlas, n=100) == atlas.heads["head"].to_list()


def test_the_users_own_settings_neither_matter_nor_change(atlas, built, tmp_path):
    import matplotlib

    mine = {"font.size": 30.0, "text.parse_math": True, "savefig.dpi": 20.0}
    with matplotlib.rc_context(mine):
        paths = save(pattern_sheet(atlas, HEADS), tmp_path, "figure-03-patterns")
        assert {key: matplotlib.rcParams[key] for key in mine} == mine
    for path in paths:
        assert path.read_bytes() == (atlas.path / "figures" / path.name).read_bytes()


@given(st.text(max_size=60))
@example("\uf400")  # for private use, and the font has it
def test_plain_text_is_one_printable_line(text):
    shown = plain(text)
    assert plain(shown) == shown
    assert shown == " ".join(shown.split())
    assert all(c == " " or c.isprintable() for c in shown)


def test_formatting_marks_leave_no_gap():
    assert plain("a \u200b b\u202e c\u200d") == "a b c"


@given(st.text(max_size=300), st.floats(20, 200))
def test_fitted_text_fits(text, width):
    shown = fitted(text, width, 6.0)
    assert text_width(shown, 6.0) <= width or shown == "…"
    assert shown == plain(text) or shown.endswith("…")


def test_hostile_texts_are_fitted():
    for text in HOSTILE_TEXTS:
        assert 0 < text_width(fitted(text, 70, 5.5), 5.5) <= 70
    assert fitted("\n" * 5000 + "text", 70, 5.5) == "text"


@pytest.mark.parametrize("value", [3, 2.5, object(), True])
def test_arguments_of_another_kind_are_refused(value: Any, tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4)
    for call in (
        lambda: make_figures(value),
        lambda: make_figures(atlas, out=value),
        lambda: make_figures(atlas, heads=value),
        lambda: make_figures(atlas, metric=value),
        lambda: make_figures(atlas, report=value),
        lambda: pattern_sheet(atlas, value),
        lambda: pattern_sheet(value, []),
        lambda: pattern_sheet(atlas, [atlas.heads["head"][0]], value),
        lambda: pattern_embedding(value),
        lambda: distance_heatmap(value),
        lambda: heads_in_order(value),
        lambda: variance_table(value),
        lambda: embedding_points(value),
        lambda: embedding_points(atlas, (), str(value)),
        lambda: typical_heads(atlas, str(value)),
        lambda: pattern_embedding(atlas, value),
    ):
        with pytest.raises(InputError, match=r"expected|[Gg]ive|not "):
            call()


def test_few_points_may_leave_a_model_without_any(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4)
    for n in (0, 1):
        points = embedding_points(atlas, max_points=n)
        assert (len(points), points["head"].dtype) == (n, pl.String)
