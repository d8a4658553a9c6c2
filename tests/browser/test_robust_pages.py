"""Pages under odd conditions, on a small atlas of 16 heads a layer: long names, failed requests,
lost graphics, narrow windows, forced colours.
"""

from __future__ import annotations

import csv
import functools
import gzip
import http.server
import json
import shutil
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.ablation_table import table_of
from attention_motifs.head import HeadId
from attention_motifs.site.export import export_site
from attention_motifs.stages.ablation import rows as rows_of
from attention_motifs.stages.cluster import cluster
from attention_motifs.stages.project import project
from attention_motifs.store import files
from browser.conftest import Visit, visiting
from browser.test_pages import PAGES
from exported_site import manifest_of, read_json
from synthetic_atlas import make_synthetic_atlas

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HEAD = "synthetic-0:L1:H2"
SVG = "{http://www.w3.org/2000/svg}"
NARROW = (390, 844)
CANVAS = ".points-3d-canvas[data-ready=true]"
OVERLAPS = """(selector) => {
  const texts = [...document.querySelectorAll(selector)].filter((text) => text.textContent.trim());
  const boxes = texts.map((text) => text.getBoundingClientRect());
  const pairs = [];
  for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
    const [a, b] = [boxes[i], boxes[j]];
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    // Boxes of text have a margin of two pixels or so above and below the letters.
    if (across > 0.5 && down > 4) pairs.push(`${texts[j].textContent} / ${texts[i].textContent}`);
  }
  return pairs;
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of three models with 16 heads a layer, with scores, clusters and ablations."""
    atlas = make_synthetic_atlas(
        tmp_path_factory.mktemp("robust") / "atlas",
        n_models=3, n_layers=4, n_heads=16, n_prompts=8,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    scores = {
        name: pl.Series(rng.random(len(atlas.heads)) ** 3, dtype=pl.Float32)
        for name in ("induction", "induction spread", "self", "self spread")
    }
    atlas.write_heads(atlas.heads.with_columns(pl.Series(n, s) for n, s in scores.items()))
    project(atlas, methods=["pca"], n_neighbors=[4], dimensions=[2, 3])
    cluster(atlas, method="average", n_clusters=12, n_rounds=0)
    files.write_parquet(atlas.file("ablations").path, rows_of.corrected(table_of(effects(atlas))))
    return export_site(atlas).path


def effects(atlas: Atlas) -> list[dict[str, object]]:
    """A sweep of one layer with effects of both signs and of very different sizes."""
    heads = [HeadId("synthetic-0", 0, i) for i in range(16)]
    generator = np.random.default_rng(1)
    clean = np.full((16, 5), 2.0)
    size = np.geomspace(1e-4, 4, 16)[:, None] * generator.choice([-1, 1], (16, 1))
    constant = {
        "model": "synthetic-0", "method": "mean", "design": "repeated", "seed": 0,
        "n_sequences": 5, "n_positions": 8, "experiment": "sweep",
    }  # fmt: skip
    noise = 1e-4 * generator.normal(size=(16, 5))
    sweep = rows_of.Measured("loss", clean, clean + size + noise, constant)
    rows: list[dict[str, object]] = rows_of.head_rows(sweep, heads, np.zeros(16, dtype=int))
    distances = np.asarray(atlas.distances("mean"))[0, :16].astype(float)
    rows.append(rows_of.distance_row(sweep, heads, np.zeros(16), distances, str(heads[0]), "mean"))
    return rows


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as result:
        yield result


class served:  # noqa: N801 - a context manager used like a function
    """Serve a folder without a log until the block ends."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def visit(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    with visiting(browser, address, getattr(request, "param", (1280, 800))) as built:
        yield built


def save(visit: Visit, where: str, kind: str, path: Path) -> Path:
    menu = visit.page.locator(where).first
    with visit.page.expect_download() as waiting:
        menu.get_by_role("button", name=kind, exact=True).first.click()
    waiting.value.save_as(path)
    return path


# Names


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return JSON in which each text that is a key of `names` is replaced."""
    if isinstance(value, dict):
        return {names.get(k, k): renamed(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [renamed(v, names) for v in value]
    return names.get(value, value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def odd_names(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The site with a name of 3,000 letters, one from right to left, one of half a character."""
    site = tmp_path_factory.mktemp("odd") / "site"
    shutil.copytree(folder, site)
    hebrew = "\u05de\u05d5\u05d3\u05dc"
    names = {
        "synthetic-0": "m" * 3000,
        "org/synthetic-1": hebrew,
        "synthetic-2": "half \ud800 of a pair \u202eevil",
        "induction (computed)": "c" * 3000,
        "self (computed)": "half \udc00",
        "induction": f"{hebrew} {'g' * 3000}",
        "diag.mean": "f" * 3000,
        "average": "a" * 3000,
        "synthetic/hostile": "s" * 3000,
        "synthetic/plain": "half \ud800",
        "loss": "l" * 3000,
    }
    data = site / "data"
    manifest = json.loads((data / "manifest.json").read_text("utf-8"))
    manifest["clusterings"][0]["names"] = {"0": "n" * 3000, "1": hebrew, "2": "half \udc00"}
    json_files = [manifest[k] for k in ("prompts", "classes", "tags", "features", "ablations")]
    for name in json_files:
        (data / name).write_bytes(gzip.compress(packed(renamed(read_json(site, name), names))))
    (data / "manifest.json").write_bytes(packed(renamed(manifest, names)))
    with served(site) as result:
        yield result


def packed(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


@pytest.mark.parametrize("page", PAGES)
def test_long_and_odd_names_break_no_page(browser: Browser, odd_names: str, page: str) -> None:
    name = "m" * 3000
    for size in ((1280, 800), NARROW):
        with visiting(browser, odd_names, size) as visit:
            visit.open(f"?page={page}&head={name}:L1:H2&heads={name}:L1:H2,L1:H3")
            assert visit.page.locator("main h1").count() == 1
            assert visit.page.locator("[role=alert]").all_inner_texts() == []
            wide = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0
            assert visit.wrong == []


def test_a_name_from_right_to_left_is_set_apart(browser: Browser, odd_names: str) -> None:
    with visiting(browser, odd_names) as visit:
        visit.open("?page=compare&heads=\u05de\u05d5\u05d3\u05dc:L0:H1")
        name = visit.page.locator(".head-link").first
        assert name.evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"
        assert visit.wrong == []


# Counts and filters


def test_the_legend_hides_heads_without_a_class(visit: Visit, folder: Path) -> None:
    visit.open("?page=heads-3d&colour=class")
    visit.page.locator(CANVAS).wait_for()
    entry = visit.page.locator(".points-legend-entry", has_text="no known class")
    classes = read_json(folder, manifest_of(folder)["classes"])
    n_in_some = len({row for one in classes for row in one["rows"]})
    entry.click()
    caption = visit.page.locator(".points-caption")
    expect(caption).to_contain_text(f"{n_in_some} of {manifest_of(folder)['n_heads']} points")
    visit.page.reload()
    expect(caption).to_contain_text(f"{n_in_some} of")
    assert visit.wrong == []


def test_legends_of_two_pages_count_alike(visit: Visit) -> None:
    def counts(selector: str) -> dict[str, str]:
        lines = [text.split("\n") for text in visit.page.locator(selector).all_inner_texts()]
        return {line[0]: line[-1] for line in lines if len(line) > 1}

    visit.open("?page=heads-3d&colour=class")
    visit.page.locator(CANVAS).wait_for()
    of_points = counts(".points-legend-entry")
    visit.open("?page=classes")
    of_classes = counts(".legend li")
    assert of_classes
    assert {name: of_points[name] for name in of_classes} == of_classes


def test_the_csv_of_clusters_holds_the_heads(visit: Visit, folder: Path, tmp_path: Path) -> None:
    visit.open("?page=clusters")
    path = save(visit, "main .export-menu", "CSV", tmp_path / "clusters.csv")
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    members = [head for row in rows for head in row["Members"].split("; ")]
    assert len(members) == len(set(members)) == manifest_of(folder)["n_heads"]
    assert [int(row["Heads"]) for row in rows] == [len(row["Members"].split("; ")) for row in rows]


# Layout


@pytest.mark.parametrize("visit", [(1280, 800), NARROW], indirect=True, ids=["wide", "narrow"])
def test_labels_of_distances_and_ablations_do_not_overlap(visit: Visit) -> None:
    for query in ("", "&order=clusters", "&order=tree", "&frame=10,10,20"):
        visit.open(f"?page=distances{query}")
        visit.page.locator("canvas.heatmap-canvas").wait_for()
        assert visit.page.evaluate(OVERLAPS, ".heatmap-axes text") == []
    for query in ("", "&scale=linear", "&group=layer"):
        visit.open(f"?page=ablation{query}")
        for chart in ("section .chart-axis text", "main > div:nth-of-type(2) .chart text"):
            assert visit.page.evaluate(OVERLAPS, chart) == []


@pytest.mark.parametrize("visit", [(1280, 800), NARROW], indirect=True, ids=["wide", "narrow"])
def test_grids_of_16_heads_are_whole_and_can_be_picked(visit: Visit) -> None:
    for page in ("compare", "classes", "clusters"):
        visit.open(f"?page={page}")
        grids = visit.page.locator("svg.layer-head-grid")
        grids.first.wait_for()
        for grid in grids.all():
            box = grid.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= visit.page.evaluate("window.innerWidth")
    visit.open("?page=compare")
    grid = visit.page.locator("svg.layer-head-grid").first
    box = grid.bounding_box()
    assert box is not None
    zoom = box["width"] / (30 + 16 * 14 + 1)  # labels, and 16 cells of 14 pixels
    grid.click(position={"x": (30 + 15.5 * 14) * zoom, "y": (16 + 7) * zoom})
    expect(visit.page.locator(".compare-head")).to_contain_text("1 head")
    assert "synthetic-0:L0:H15" in visit.page.url


def test_forced_colours_keep_the_colours_that_mean_something(
    browser: Browser, address: str
) -> None:
    context = browser.new_context(forced_colors="active")
    page = context.new_page()
    page.goto(address + "?page=classes")
    dot = page.locator(".class-card-dot").first
    dot.wait_for()
    assert dot.evaluate("e => getComputedStyle(e).backgroundColor") != "rgba(0, 0, 0, 0)"
    assert dot.evaluate("e => getComputedStyle(e).forcedColorAdjust") == "none"
    context.close()


# Saved pictures


def test_a_saved_pattern_holds_the_boxes_of_the_locked_cell(visit: Visit, tmp_path: Path) -> None:
    visit.open(f"?page=pattern&head={HEAD}&cell=7-3")
    visit.page.locator(".token[data-key]").wait_for()
    root = ET.parse(save(visit, "main", "SVG", tmp_path / "p.svg")).getroot()  # noqa: S314
    orange = [e for e in root.iter(f"{SVG}rect") if "255, 106, 0" in e.get("stroke", "")]
    assert len(orange) == 3  # the cell in the pattern, the enlarged cell, the key's token
    query = visit.page.locator(".token[data-query]")
    colour = query.evaluate("e => getComputedStyle(e).outlineColor")
    assert [e for e in root.iter(f"{SVG}rect") if e.get("stroke") == colour]


# Loading, history, graphics


def test_a_pattern_that_failed_to_load_is_tried_again(visit: Visit) -> None:
    broken = True

    def answer(route: Any) -> None:
        if broken:
            route.abort()
        else:
            route.continue_()

    visit.page.route("**/data/patterns/**", answer)
    visit.open(f"?page=head&head={HEAD}")
    again = visit.page.get_by_role("button", name="Not loaded. Try again")
    again.first.wait_for()
    broken = False
    n_failed = again.count()
    again.first.click()
    expect(again).to_have_count(n_failed - 1)
    expect(visit.page.locator(".pattern-cell canvas")).not_to_have_count(0)


def test_a_table_that_failed_to_load_is_tried_again(visit: Visit) -> None:
    visit.page.route("**/data/ablations*", lambda route: route.abort(), times=1)
    visit.open("?page=ablation")
    visit.page.get_by_role("button", name="Try again").click()
    visit.page.locator(".ablation-table tbody tr").first.wait_for()
    assert visit.page.locator("[role=alert]").count() == 0


def test_a_projection_that_failed_to_load_is_tried_again(visit: Visit) -> None:
    broken = True

    def answer(route: Any) -> None:
        if broken:
            route.abort()
        else:
            route.continue_()

    visit.page.route("**/data/projections/**", answer)
    visit.open("?page=projections")
    again = visit.page.get_by_role("button", name="Not loaded. Try again")
    again.first.wait_for()
    broken = False
    n_failed = again.count()
    again.first.click()
    expect(again).to_have_count(n_failed - 1)
    visit.page.locator(".projection-card canvas").first.wait_for()


def scrolled(page: Page) -> int:
    return int(page.evaluate("window.scrollY"))


def scrolls_to(page: Page, place: int) -> None:
    """Wait until the window is scrolled to a place."""
    for _ in range(60):
        if abs(scrolled(page) - place) < 3:
            return
        page.wait_for_timeout(100)
    assert scrolled(page) == place


def test_another_head_starts_at_the_top_and_back_returns(visit: Visit) -> None:
    visit.open(f"?page=head&head={HEAD}")
    page = visit.page
    page.locator(".pattern-rows .head-link").last.scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    before = scrolled(page)
    assert before > 200
    page.locator(".pattern-rows .head-link").last.click()
    scrolls_to(page, 0)
    visit.settle()
    page.go_back()
    scrolls_to(page, before)
    page.reload()
    scrolls_to(page, before)
    assert visit.wrong == []


def test_a_lost_graphics_context_comes_back_with_the_selection(visit: Visit) -> None:
    visit.open("?page=heads-3d&colour=model&picked=AAAA")
    page = visit.page
    page.locator(CANVAS).wait_for()
    page.wait_for_timeout(500)
    selected = page.locator(".points-status strong").inner_text()
    before = drawn(page)
    assert before > 20
    page.evaluate(
        """() => {
          const canvas = document.querySelector(".points-3d-canvas");
          window.lost = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
          window.lost.loseContext();
        }"""
    )
    expect(page.locator(".points-3d-lost")).to_contain_text("stopped drawing")
    page.evaluate("window.lost.restoreContext()")
    page.locator(CANVAS).wait_for()
    expect(page.locator(".points-3d-lost")).to_have_count(0)
    page.wait_for_timeout(500)
    assert page.locator(".points-status strong").inner_text() == selected == "3 selected"
    assert drawn(page) > 20
    assert [w for w in visit.wrong if w.startswith("error")] == []


def drawn(page: Page) -> int:
    """Number of colours in a screenshot of the points."""
    from io import BytesIO

    from PIL import Image

    png = page.locator(".points-3d-canvas").screenshot()
    colours = Image.open(BytesIO(png)).convert("RGB").getcolors(1 << 24)
    return len(colours or [])


def test_a_page_opened_as_a_file_shows_the_sentence(browser: Browser, folder: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    expect(page.locator("#not-started")).to_be_visible()
    expect(page.locator("#not-started")).to_contain_text("motifs serve")
    context.close()
