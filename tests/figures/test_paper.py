"""The counterparts of the paper's figures and tables."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.cli import app as cli
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.figures.artificial import (
    HEADS,
    artificial_distances,
    artificial_patterns,
)
from attention_motifs.figures.catalogue import catalogue, models_table
from attention_motifs.figures.feature_figures import feature_correlation, importance_table
from attention_motifs.figures.head_groups import UNKNOWN, head_groups
from attention_motifs.figures.head_notes import shares_of_heads
from attention_motifs.figures.look_alikes import (
    SHOWN_HEADS,
    look_alike_caption,
    look_alike_table,
    look_alikes,
    nearest_to,
    row_notes,
)
from attention_motifs.figures.make import INDEX, make_figures
from attention_motifs.figures.tables import COLUMNS, escape_tex
from attention_motifs.stages.create import save_classes
from attention_motifs.stages.paper import paper_figures
from attention_motifs.stages.project import project
from attention_motifs.store.settings import FigureSettings
from synthetic_atlas import make_synthetic_atlas

FIGURES = ("02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("paper") / "atlas")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All figures of the same atlas with its projections, which take seconds."""
    projected = make_synthetic_atlas(tmp_path_factory.mktemp("projected") / "atlas")
    project(projected, n_neighbors=[2, 16], dimensions=[2])
    out = tmp_path_factory.mktemp("out")
    make_figures(Atlas.open(projected.path), out, only=(), formats="svg")
    return out


@pytest.mark.slow
def test_every_figure_and_table_of_the_paper_has_its_counterpart(built: Path) -> None:
    names = {path.stem for path in built.glob("*.svg")}
    for number in FIGURES:
        assert [name for name in names if name.startswith(f"figure-{number}")], number
    captions = json.loads((built / "captions.json").read_text())
    assert set(captions) == names | {"table-1-models"}
    for name, caption in captions.items():
        kind, number, *_ = name.split("-")
        if number.isdigit():
            assert caption.startswith(f"{kind.capitalize()} {int(number)}. ")
        assert "12 heads, 20 prompts" in caption  # what all captions share
    text, tex = (built / "captions.txt").read_text(), (built / "captions.tex").read_text()
    for name, caption in captions.items():
        assert f"{name}\n{caption}\n" in text
        assert f":{name}}}" in tex
    assert tex.count("\\caption{") == len(captions)


@pytest.mark.slow
def test_figures_are_vectors_and_numbers_are_tables(built: Path) -> None:
    for path in built.glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - our own file
    described = set(pl.read_csv(built / "numbers" / "columns.csv")["column"])
    assert described <= set(COLUMNS)
    tables = [p for p in (built / "numbers").glob("*.csv") if p.stem != "columns"]
    for table in tables:
        read = pl.read_csv(table, infer_schema_length=None)
        assert len(read)
        assert set(read.columns) <= described
        for column in read.select(pl.col(pl.Float64)):
            np.testing.assert_array_equal(column.round_sig_figs(5), column)


@pytest.mark.slow
def test_numbers_are_in_long_form_without_repetition(atlas: Atlas, built: Path) -> None:
    numbers = built / "numbers"
    patterns = pl.read_csv(numbers / "figure-03-patterns.csv")
    assert patterns.columns == ["head", "prompt_id", "query", "key", "attention"]
    assert (patterns["key"] <= patterns["query"]).all()
    n = len(atlas.heads)
    assert len(pl.read_csv(numbers / "figure-13-distances-mean.csv")) == n * (n - 1) // 2
    components = pl.read_csv(numbers / "patterns-in-components.csv")
    assert next(c for c in components.columns if c.startswith("pc")) == "pc1"
    assert not list(numbers.glob("figure-04*"))  # figures 4 and 12 share the table


def test_a_run_replaces_the_run_before_and_nothing_else(atlas: Atlas, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make_figures(atlas, out, only=["11", "13"], formats="svg")
    (out / "notes.txt").write_text("mine")
    (out / "figure-13-mine.svg").write_text("mine")
    make_figures(atlas, out, only="11", formats="pdf")
    kept = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    listed = set(json.loads((out / INDEX).read_text())["files"])
    assert kept == listed | {INDEX, "notes.txt", "figure-13-mine.svg"}
    assert "figure-11-variance.pdf" in kept
    assert "numbers/figure-13-distances-mean.csv" not in kept
    assert [p.name for p in tmp_path.iterdir()] == ["out"]  # nothing unfinished is left
    with pytest.raises(AtlasError):  # no evaluation: the run fails, and the files stay
        make_figures(atlas, out, only=["11", "evaluation"], formats="svg")
    assert kept == {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}


def test_an_index_cannot_name_files_outside(atlas: Atlas, tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine.txt"
    out.mkdir()
    mine.write_text("mine")
    index = {"files": ["../mine.txt", str(mine), 3]}
    (out / INDEX).write_text(json.dumps(index))
    make_figures(atlas, out, only="11", formats="svg")
    (out / INDEX).write_text("not JSON")
    make_figures(atlas, out, only="11", formats="svg")
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ("4", {"figure-04-heads", "figure-04-models"}),
        ("figure-04-heads", {"figure-04-heads"}),
        ("table-1", {"table-1-models"}),
        ("model-map", {"model-map-synthetic-0", "model-map-org-synthetic-1"}),
    ],
)
def test_figures_are_chosen_by_number_or_name(atlas: Atlas, only: str, names: set[str]) -> None:
    from attention_motifs.figures.catalogue import choose_items

    assert {item.name for item in choose_items(catalogue(atlas), [only])} == names
    with pytest.raises(InputError, match="figure '99'"):
        choose_items(catalogue(atlas), ["99"])


@pytest.mark.slow
def test_what_the_atlas_lacks_is_left_out_with_the_command(built: Path) -> None:
    left_out = json.loads((built / INDEX).read_text())["left_out"]
    assert "motifs evaluate" in left_out["evaluation"]


def test_stand_ins_show_the_motif_and_are_not_repeated(atlas: Atlas) -> None:
    shown = look_alikes(atlas, 2)
    heads = [each.head for each in shown.values()]
    assert set(shown) == set(SHOWN_HEADS)
    assert len(set(heads)) == len(heads)
    shares = shares_of_heads(atlas)
    assert shares is not None
    previous = shares[:, 2]  # "previous token"
    assert previous[atlas.head_index(shown["6"].head)] >= 0.5 * previous.max()


def test_where_nothing_is_near_the_sheet_says_so(atlas: Atlas) -> None:
    shown = nearest_to(atlas, "synthetic-0:L0:H0", 3)
    far = replace(shown, near=tuple(replace(near, percentile=60.0) for near in shown.near))
    notes = row_notes(atlas, far)
    assert notes[far.head][1].startswith("no head is near")
    assert all("not near" in notes[near.head][1] for near in far.near)
    near = replace(shown, near=tuple(replace(near, percentile=1.0) for near in shown.near))
    assert not any("near" in note for _, note in row_notes(atlas, near).values())


def test_latex_escapes_every_special_character() -> None:
    assert escape_tex("a_b & 5 % {x} #1 $ ~ ^ \\") == (
        r"a\_b \& 5 \% \{x\} \#1 \$ \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )


@pytest.mark.slow
def test_the_same_atlas_gives_the_same_bytes(atlas: Atlas, built: Path, tmp_path: Path) -> None:
    item = next(i for i in catalogue(atlas) if i.name == "figure-12-components")
    from attention_motifs.figures.style import save

    assert item.draw is not None
    (path,) = save(item.draw(item.width), tmp_path, item.name, ["svg"])
    assert path.read_bytes() == (built / path.name).read_bytes()


def test_without_projections_the_command_that_makes_them_is_named(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    with pytest.raises(AtlasError, match="motifs project"):
        make_figures(atlas, tmp_path / "out", only=())


@pytest.mark.slow
def test_projections_that_a_figure_needs_are_made_by_the_command(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    project(atlas, n_neighbors=[2], dimensions=[3], methods=["pca", "isomap"])
    settings = FigureSettings(formats=("svg",), isomap_neighbors=3, neighbors=(2, 4))
    paper_figures(Atlas.open(atlas.path), tmp_path / "out", settings)
    maps = pl.read_csv(tmp_path / "out" / "numbers" / "figure-15-projections-all.csv")
    assert set(maps["n_neighbors"]) == {2, 4}
    assert set(maps["method"]) == {"isomap", "umap", "tsne"}
    before = atlas.file("projections").path.stat().st_ino
    paper_figures(Atlas.open(atlas.path), tmp_path / "out", settings)
    assert atlas.file("projections").path.stat().st_ino == before
    assert set(atlas.projections["n_components"]) == {2, 3}


def test_a_format_that_is_not_written_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    with pytest.raises(InputError, match="gif"):
        paper_figures(atlas, tmp_path / "out", FigureSettings(formats=("svg", "gif")))
    assert not atlas.file("projections").path.exists()
    assert not (tmp_path / "out").exists()


def test_heads_of_figures_can_be_chosen(atlas: Atlas) -> None:
    head = str(atlas.heads["head"][3])
    items = {i.name: i for i in catalogue(atlas, FigureSettings(heads=(head,)))}
    assert set(items["figure-03-patterns"].tables["figure-03-patterns"]()["head"]) == {head}
    with pytest.raises(InputError):
        catalogue(atlas, FigureSettings(heads=("other:L0:H0",)))


def test_look_alikes_carry_distance_class_and_citation(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    drawn = {
        "schema": 1,
        "groups": [{"name": "twisters", "colour": "#123456"}],
        "classes": [{"name": "twister", "group": "twisters"}],
        "sources": [
            {"key": "me", "title": "Mine", "evidence": "manual", "url": "https://example.org/a"}
        ],
        "assignments": [
            {"model": "synthetic-0", "head": "L0:H1", "class": "twister", "source": "me"}
        ],
    }
    (tmp_path / "own.json").write_text(json.dumps(drawn))
    save_classes(atlas, tmp_path / "own.json")
    shown = nearest_to(atlas, "synthetic-0:L0:H0", 11)
    table = look_alike_table(atlas, shown).filter(
        pl.col("head").is_in(["synthetic-0:L0:H0", "synthetic-0:L0:H1"])
    )
    expected = [0.0, float(atlas.distances("mean")[0, 1])]
    assert table["distance"].to_list() == pytest.approx(expected)
    assert table["classes"].to_list() == ["", "twister"]
    assert table["label"].to_list() == [UNKNOWN, "twisters"]
    assert table["papers"].to_list() == ["", "Mine"]
    assert table["urls"].to_list() == ["", "https://example.org/a"]
    assert "synthetic-0:L0:H1: twister (Mine)" in look_alike_caption(atlas, shown)


def test_importance_sums_to_the_variance_of_the_kept_components(atlas: Atlas) -> None:
    table = importance_table(atlas)
    embedding = atlas.embedding()
    kept = embedding.explained_variance_ratio[: embedding.n_components].sum()
    assert table["importance"].sum() == pytest.approx(kept)


def test_correlation_is_that_of_numpy(atlas: Atlas) -> None:
    names, matrix = feature_correlation(atlas)
    parts = [part for model in atlas.models for part in atlas.feature_parts(model, names)]
    rows = np.concatenate([part.select(names).to_numpy() for part in parts]).astype(np.float64)
    np.testing.assert_allclose(matrix, np.corrcoef(rows.T), atol=1e-6)


def test_models_table_counts_heads(atlas: Atlas) -> None:
    table = models_table(atlas)
    assert table["model"].to_list() == list(atlas.models)
    assert table["heads"].sum() == len(atlas.heads)


def test_heads_are_labelled_by_score_and_by_literature(atlas: Atlas, tmp_path: Path) -> None:
    assert set(head_groups(atlas).labels) == {UNKNOWN}
    scored = make_synthetic_atlas(tmp_path / "scored")
    n = len(scored.heads)
    scored.write_heads(
        scored.heads.with_columns(
            pl.Series("induction", [0.9, 0.2] + [0.0] * (n - 2)),
            pl.Series("previous token", [0.5] + [0.0] * (n - 1)),
            pl.Series("classes", [[], ["s-inhibition"]] + [[]] * (n - 2), dtype=pl.List(pl.String)),
        )
    )
    groups = head_groups(scored)
    assert groups.labels[:3] == ("induction (computed)", "inhibition", UNKNOWN)
    assert list(groups.marks)[-1] == UNKNOWN
    assert set(groups.labels) == set(groups.marks)


# Figure 2: what the paper says the method sees


def test_artificial_patterns_are_attention_patterns() -> None:
    patterns = artificial_patterns(4)
    assert patterns.shape[:2] == (4, 3)
    np.testing.assert_allclose(patterns.sum(axis=-1), 1.0, atol=1e-6)
    assert not np.triu(patterns, 1).any()
    assert patterns.min() >= 0


def test_the_method_groups_by_motif_and_not_by_token(atlas: Atlas) -> None:
    table = artificial_distances(atlas)
    one, two, three = HEADS
    distance = {(a, b): value for a, b, value in table.iter_rows()}
    # A2 and A3 share the motif; A1 and A2 share the tokens they attend to.
    assert distance[two, three] < distance[one, two]
    assert distance[two, three] < distance[one, three]


def test_the_command_writes_the_figures(
    atlas: Atlas, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["paper", "--atlas", str(atlas.path), "--out", str(tmp_path), "--format", "svg"]
    arguments += ["--only", "13", "--width", "5.5"]
    cli.app(arguments, standalone_mode=False)
    assert "figure-13-distances.svg" in capsys.readouterr().out
    assert (tmp_path / "figure-13-distances.svg").is_file()
