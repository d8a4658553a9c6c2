"""The counterparts of the paper's figures and tables."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
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
from attention_motifs.figures.components import feature_correlation, importance_table
from attention_motifs.figures.head_groups import UNKNOWN, head_groups
from attention_motifs.figures.paper import (
    look_alike_table,
    make_paper,
    models_table,
    paper_items,
)
from attention_motifs.stages.create import save_classes
from attention_motifs.stages.paper import paper_figures
from attention_motifs.stages.project import project
from attention_motifs.store.settings import FigureSettings
from synthetic_atlas import make_synthetic_atlas

FIGURES = ("02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    built = make_synthetic_atlas(tmp_path_factory.mktemp("paper") / "atlas")
    project(built, n_neighbors=[2, 16], dimensions=[2])
    return Atlas.open(built.path)


def nearest(atlas: Atlas):
    return lambda head, n: [result.head for result in atlas.near(head, n=n)]


@pytest.fixture(scope="module")
def built(atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    make_paper(atlas, nearest(atlas), out, FigureSettings(formats=("svg",)))
    return out


def test_every_figure_and_table_of_the_paper_has_its_counterpart(built: Path) -> None:
    names = {path.stem for path in built.glob("*.svg")}
    for number in FIGURES:
        assert [name for name in names if name.startswith(f"figure-{number}")], number
    captions = json.loads((built / "captions.json").read_text())
    assert set(captions) == names | {"table-1-models"}
    for name, caption in captions.items():
        kind, number, *_ = name.split("-")
        assert caption.startswith(f"{kind.capitalize()} {int(number)}. ")


def test_figures_are_vectors_and_numbers_are_tables(built: Path) -> None:
    for path in built.glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - our own file
    tables = list((built / "numbers").glob("*.csv"))
    for name in json.loads((built / "captions.json").read_text()):
        assert [table for table in tables if table.stem.startswith(name)], name
    assert all(len(pl.read_csv(table, infer_schema_length=None)) for table in tables)


def test_the_same_atlas_gives_the_same_bytes(atlas: Atlas, built: Path, tmp_path: Path) -> None:
    item = next(i for i in paper_items(atlas, nearest(atlas)) if i.name == "figure-12-components")
    from attention_motifs.figures.style import save

    assert item.draw is not None
    (path,) = save(item.draw(), tmp_path, item.name, ["svg"])
    assert path.read_bytes() == (built / path.name).read_bytes()


def test_without_projections_the_command_that_makes_them_is_named(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    with pytest.raises(AtlasError, match="motifs project"):
        make_paper(atlas, nearest(atlas), tmp_path / "out")


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
    items = {i.name: i for i in paper_items(atlas, nearest(atlas), FigureSettings(heads=(head,)))}
    assert set(items["figure-03-patterns"].numbers[""]()["head"]) == {head}
    with pytest.raises(InputError):
        paper_items(atlas, nearest(atlas), FigureSettings(heads=("other:L0:H0",)))


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
    table = look_alike_table(atlas, ["synthetic-0:L0:H0", "synthetic-0:L0:H1"])
    expected = [0.0, float(atlas.distances("mean")[0, 1])]
    assert table["distance"].to_list() == pytest.approx(expected)
    assert table["classes"].to_list() == ["", "twister"]
    assert table["label"].to_list() == [UNKNOWN, "twisters"]
    assert table["papers"].to_list() == ["", "Mine"]
    assert table["urls"].to_list() == ["", "https://example.org/a"]
    items = paper_items(atlas, lambda *_: ["synthetic-0:L0:H1"])
    caption = next(i.caption for i in items if i.name == "figure-05-look-alikes")
    assert "synthetic-0:L0:H1: twister (Mine)" in caption


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
    assert list(groups.colours)[-1] == UNKNOWN
    assert set(groups.labels) == set(groups.colours)


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
    distance = {(a, b): table.filter(pl.col("head") == a)[b][0] for a in HEADS for b in HEADS}
    # A2 and A3 share the motif; A1 and A2 share the tokens they attend to.
    assert distance[two, three] < distance[one, two]
    assert distance[two, three] < distance[one, three]


def test_the_command_writes_the_figures(
    atlas: Atlas, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["paper", "--atlas", str(atlas.path), "--out", str(tmp_path), "--format", "svg"]
    cli.app(arguments, standalone_mode=False)
    assert "figure-13-distances.svg" in capsys.readouterr().out
    assert (tmp_path / "figure-13-distances.svg").is_file()
