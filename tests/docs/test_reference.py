"""Pages that list what the code has: files of the atlas, floors of the layout, pictures."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import attention_motifs
from attention_motifs.atlas import Atlas
from attention_motifs.stages.cluster import cluster, name_cluster
from attention_motifs.stages.project import project
from attention_motifs.store.paths import AtlasPaths
from documented_pages import DOCS
from synthetic_atlas import make_synthetic_atlas
from test_layout import FLOOR_OF

PACKAGE = Path(attention_motifs.__file__).parent


def first_cells(page: str) -> list[str]:
    """What stands in backticks in the first column of the page's tables."""
    text = (DOCS / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


# Files of the atlas


def documented_files() -> dict[str, re.Pattern[str]]:
    """The names of docs/atlas.md, and what they match."""
    found = {}
    for name in first_cells("atlas.md"):
        pattern = re.sub(r"<\w+>", "[^/]+", re.escape(name).replace(r"\*", "[^/]*"))
        found[name] = re.compile(pattern + (".+" if name.endswith("/") else ""))
    return found


def undocumented(folder: Path) -> list[str]:
    patterns = documented_files().values()
    files = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return [f for f in files if f != ".lock" and not any(p.fullmatch(f) for p in patterns)]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    made = make_synthetic_atlas(tmp_path_factory.mktemp("documented") / "atlas", n_prompts=8)
    with Atlas.lock(made.path):
        project(made, methods=["pca"], dimensions=[2])
        cluster(made, n_clusters=2, n_rounds=2)
        name_cluster(made, "average", 0, "large")
    return Atlas.open(made.path)


def test_every_file_of_an_atlas_is_documented(atlas: Atlas) -> None:
    assert not undocumented(atlas.path)
    (atlas.path / "distances" / "mean.npz").touch()
    assert undocumented(atlas.path) == ["distances/mean.npz"], "another name is not passed over"
    (atlas.path / "distances" / "mean.npz").unlink()


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(900)
def test_every_file_of_the_demo_is_documented(demo_atlas: Path) -> None:
    assert not undocumented(demo_atlas)


def test_every_path_in_the_code_is_documented_and_the_other_way_round(atlas: Atlas) -> None:
    values = {"model": "org/name", "block": 3, "prompt_id": "0" * 16, "metric": "mean",
              "inputs": "abc", "part": 2, "space": "embedding"}  # fmt: skip
    known: set[str] = set()
    for name, member in inspect.getmembers(AtlasPaths):
        if isinstance(member, property):
            path = getattr(atlas, name)
        elif name.endswith("_path") and callable(member):
            wanted = list(inspect.signature(member).parameters)[1:]
            path = getattr(atlas, name)(*(values[key] for key in wanted))
        else:
            continue
        if path is not None:
            known.add(path.relative_to(atlas.path).as_posix())
    patterns = documented_files()
    for path_name in known:
        assert any(
            p.fullmatch(path_name) or p.fullmatch(path_name + ".safetensors")
            for p in patterns.values()
        ), path_name
    known |= {p.relative_to(atlas.path).as_posix() for p in atlas.path.rglob("*") if p.is_file()}
    known |= {f"{stem}{end}" for stem in ("embedding", "recommended") for end in
              (".json", ".safetensors")}  # fmt: skip
    known |= {"figures/x.png", "site/index.html"}
    for name, pattern in patterns.items():
        assert any(map(pattern.fullmatch, known)), f"{name}: no part of the code writes it"


def test_the_columns_of_the_tables_are_documented(atlas: Atlas) -> None:
    text = (DOCS / "atlas.md").read_text(encoding="utf-8")
    model = atlas.models[0]
    tables = {
        "prompts.parquet": atlas.prompts,
        "tokens/": atlas.tokens(model),
        "heads.parquet": atlas.heads.drop(r"^cluster .*$"),
        "projections.parquet": atlas.projections,
        "embedded/": pl.read_parquet(atlas.file("embedded", model=model).path).select(
            r"^head|prompt_id|pc0$"
        ),
    }
    for start, table in tables.items():
        (row,) = re.findall(rf"^\| `{re.escape(start)}.*$", text, re.MULTILINE)
        for column in table.columns:
            if column in ("metric",) or column in row or column.endswith(" spread"):
                continue
            assert f"`{column}`" in row, f"{start}: {column}"


# Floors


def test_the_floors_in_contributing_are_those_that_the_layout_enforces() -> None:
    text = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE)
    shown = {name: int(floor) for floor, cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert shown == {name: floor for name, floor in FLOOR_OF.items() if name != "__main__"}


def test_files_named_in_contributing_exist() -> None:
    text = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/]+\.py)`", text):
        root = DOCS.parent if name.startswith(("tests/", "docs/")) else PACKAGE
        assert (root / name).is_file(), name


# Pictures


def test_the_pictures_of_the_mathematics_are_drawn_again(tmp_path: Path) -> None:
    script = DOCS / "mathematics_pictures.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    drawn = {path.name for path in tmp_path.iterdir()}
    kept = {path.name for path in (DOCS / "pictures" / "mathematics").iterdir()}
    shown = set(re.findall(r"pictures/mathematics/([\w.-]+)", (DOCS / "method.md").read_text()))
    assert drawn == kept == shown
    for path in tmp_path.glob("*.svg"):
        kept_text = (DOCS / "pictures" / "mathematics" / path.name).read_text(encoding="utf-8")
        # Words and numbers as they were; coordinates may differ in the last digit elsewhere.
        words = r"<text[^>]*>([^<]+)</text>"
        assert re.findall(words, path.read_text(encoding="utf-8")) == re.findall(words, kept_text)
