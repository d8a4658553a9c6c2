"""Distances, Classes, Clusters and Cluster trends in a real browser: what a reader does there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from browser.conftest import Visit
from chromium import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]

# Of the grid of heads: room for its labels, and the side of a cell.
LEFT, TOP, CELL = 30, 16, 14
HEADS = 30 * 9 + 18 * 4


def asked(visit: Visit) -> dict[str, str]:
    return {name: result[0] for name, result in parse_qs(urlsplit(visit.page.url).query).items()}


def click_head(visit: Visit, layer: int, index: int, *, shift: bool = False) -> None:
    grid = visit.page.locator("main svg.layer-head-grid").first
    place = {"x": LEFT + (index + 0.5) * CELL, "y": TOP + (layer + 0.5) * CELL}
    grid.click(position=place, modifiers=["Shift"] if shift else [])  # type: ignore[arg-type]


def saved(visit: Visit, group: str, button: str) -> Path:
    menu = visit.page.locator(f"{group} .export-menu").first
    with visit.page.expect_download() as download:
        menu.get_by_role("button", name=button, exact=True).click()
    return Path(download.value.path())


def test_a_cell_of_the_heatmap_tells_the_distance(visit: Visit, demo: Path) -> None:
    from attention_motifs.atlas import Atlas

    visit.open("?page=distances&metric=mean")
    canvas = visit.page.locator("canvas.heatmap-canvas")
    canvas.wait_for()
    canvas.focus()
    for key in ("0", "ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        visit.page.keyboard.press(key)
    status = visit.page.locator(".heatmap-status").inner_text()
    result = re.fullmatch(r"(\S+) to (\S+): ([\d.e-]+)", status)
    assert result, status
    atlas = Atlas.open(demo)
    rows = {head: row for row, head in enumerate(atlas.heads["head"].to_list())}
    row, column = rows[result[1]], rows[result[2]]
    assert row - column == 10 - 2
    assert float(result[3]) == pytest.approx(float(atlas.distances("mean")[row, column]), rel=2e-3)
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(re.compile("page=compare"))
    assert visit.wrong == []


def test_both_patterns_of_a_cell_are_shown_on_one_prompt(visit: Visit) -> None:
    visit.open("?page=distances")
    canvas = visit.page.locator("canvas.heatmap-canvas")
    canvas.hover(position={"x": 40, "y": 90})
    pictures = visit.page.locator(".distances-pair .pattern-cell:has(canvas)")
    wait_until(visit.page, "document.querySelectorAll('.distances-pair canvas').length >= 2")
    assert pictures.count() == 2
    status = visit.page.locator(".heatmap-status").inner_text()
    names = visit.page.locator(".distances-pair .head-link").all_inner_texts()
    assert status.startswith(f"{names[0]} to {names[1]}:")
    prompts = {
        parse_qs(urlsplit(link.get_attribute("href") or "").query)["prompt"][0]
        for link in visit.page.locator(".distances-pair .pattern-cell a").all()
    }
    assert len(prompts) == 1
    # A token under the pointer is marked in both patterns.
    pictures.nth(1).hover(position={"x": 60, "y": 120})
    readouts = visit.page.locator(".distances-pair .pattern-cell-readout")
    wait_until(visit.page, "document.querySelectorAll('.pattern-cell-readout').length === 2")
    places = [text.split("\n")[-1] for text in readouts.all_inner_texts()]
    assert places[0] == places[1]
    assert visit.wrong == []


def test_a_cluster_has_a_card_that_selects_it(visit: Visit) -> None:
    visit.open("?page=clusters")
    card = visit.page.locator(".cluster-card").first
    card.locator("canvas").first.wait_for()
    row = visit.page.locator(".cluster-table tbody tr").first
    size = int(row.locator("td").nth(1).inner_text())
    assert f"{size} heads" in card.inner_text()
    bars = card.locator("svg").get_attribute("aria-label") or ""
    assert sum(map(int, bars.split(": ")[1].split(", "))) == size
    card.locator("h3 a").click()
    visit.page.wait_for_url(re.compile("picked=c0"))
    assert card.get_attribute("data-selected") == "true"
    assert visit.page.locator("[aria-label='Selected heads'] h2").inner_text() == (
        f"{size} selected heads"
    )
    assert visit.wrong == []


def test_a_class_opens_on_its_highest_scores_with_pictures(visit: Visit) -> None:
    visit.open("?page=classes&classes=induction (computed)")
    rows = visit.page.locator(".class-open tbody tr")
    scores = [float(row.locator("td").nth(2).inner_text()) for row in rows.all()]
    assert scores == sorted(scores, reverse=True)
    for row in (rows.first, rows.last):  # pictures are loaded near the screen
        row.scroll_into_view_if_needed()
        row.locator("canvas").first.wait_for()
    assert visit.wrong == []


def test_the_heatmap_zooms_and_the_link_keeps_the_place(visit: Visit) -> None:
    visit.open("?page=distances")
    canvas = visit.page.locator("canvas.heatmap-canvas")
    canvas.wait_for()
    side = canvas.evaluate("canvas => canvas.clientWidth")
    canvas.hover(position={"x": side / 4, "y": side / 2})
    visit.page.mouse.wheel(0, -700)
    visit.page.wait_for_url(re.compile("frame="))
    frame = asked(visit)["frame"]
    left, top, cells = map(float, frame.split(","))
    assert cells < 200
    # What was under the pointer stays under it, to a pixel of the whole matrix.
    assert left + cells / 4 == pytest.approx(HEADS / 4, abs=HEADS / side)
    assert top + cells / 2 == pytest.approx(HEADS / 2, abs=HEADS / side)
    visit.page.reload()
    visit.settle()
    assert asked(visit)["frame"] == frame
    marker = visit.page.locator(".heatmap-marker")
    canvas.press("ArrowRight")
    marker.wait_for()
    for _ in range(6):
        canvas.press("Control+ArrowRight")  # the view moves, and the cell does not
    marker.wait_for(state="detached")
    visit.page.get_by_role("button", name="Show all").click()
    assert "frame" not in asked(visit)
    assert visit.wrong == []


def test_a_class_opens_its_heads(visit: Visit) -> None:
    visit.open("?page=classes")
    visit.page.get_by_role("searchbox", name="Search classes").fill("induction computed")
    cards = visit.page.locator(".class-card")
    assert cards.count() == 1
    cards.first.locator("h3 a").click()
    opened = visit.page.locator(".class-open")
    opened.wait_for()
    assert asked(visit)["classes"] == "induction (computed)"
    heads = opened.locator("tbody tr").count()
    assert heads > 3
    coloured = visit.page.locator(".layer-head-grid path[fill]").evaluate_all(
        "paths => paths.map((path) => Number(path.dataset.heads))"
    )
    assert sum(coloured) == heads
    assert visit.wrong == []


def test_the_browser_cuts_the_tree_as_python_does(visit: Visit, demo: Path) -> None:
    from attention_motifs.clustering.linkage import cut

    linkage = np.load(next(iter((demo / "clusters").glob("linkage-*.npy"))))
    for link, labels in (
        ("n7", cut(linkage, n_clusters=7)),
        ("n40", cut(linkage, n_clusters=40, min_size=2)),
        ("h12", cut(linkage, height=12)),
    ):
        smallest = "&min_size=2" if link == "n40" else ""
        visit.open(f"?page=clusters&cut={link}{smallest}")
        shown = visit.page.locator(".cluster-table tbody tr")
        shown.first.wait_for()
        sizes = [int(row.locator("td").nth(1).inner_text()) for row in shown.all()]
        expected = np.bincount(labels[labels >= 0]).tolist()
        assert sizes[: len(expected)] == expected[:60]
    assert visit.wrong == []


def test_heads_clusters_and_branches_are_selected_and_saved(visit: Visit) -> None:
    visit.open("?page=clusters")
    visit.page.locator(".dendrogram").wait_for()
    click_head(visit, 3, 0)
    visit.page.wait_for_url(re.compile("heads="))
    assert asked(visit)["heads"] == "smollm2-135m-instruct:L3:H0"
    click_head(visit, 20, 4, shift=True)
    visit.page.wait_for_url(re.compile("picked=c"))
    section = '[aria-label="Selected heads"]'
    rows = json.loads(saved(visit, section, "JSON").read_text())
    assert len(rows) > 1
    assert len({row["cluster"] for row in rows}) <= 2
    table = saved(visit, section, "CSV").read_text().splitlines()
    assert len(table) == len(rows) + 1
    visit.page.go_back()
    wait_until(visit.page, "!location.search.includes('picked')")
    tree = visit.page.locator(".dendrogram svg")
    tree.focus()
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(re.compile("picked=b"))
    assert visit.wrong == []


def test_names_of_clusters_stay_and_python_reads_them(visit: Visit, tmp_path: Path) -> None:
    from attention_motifs.clustering.names import read_names

    visit.open("?page=clusters")
    visit.page.get_by_label("Name", exact=True).fill('<b>"sinks"</b>')
    visit.page.get_by_label("Note", exact=True).fill("look again")
    visit.page.get_by_role("button", name="Set name").click()
    names = visit.page.locator(".cluster-names")
    names.wait_for()
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Save names.json").click()
    path = tmp_path / "names.json"
    path.write_bytes(Path(download.value.path()).read_bytes())
    (name,) = read_names(path)
    assert (name.name, name.note) == ('<b>"sinks"</b>', "look again")
    visit.page.reload()
    visit.settle()
    assert '<b>"sinks"</b>' in names.inner_text()
    assert visit.page.locator(".cluster-table").get_by_text('<b>"sinks"</b>').count() == 1
    assert visit.wrong == []


@pytest.mark.parametrize("over", ["depth", "feature", "size"])
def test_trends_follow_clusters(visit: Visit, over: str) -> None:
    visit.open(f"?page=cluster-trends&over={over}&n_clusters=4")
    visit.page.locator("svg.trend").first.wait_for()
    assert visit.page.locator("svg.trend").count() == 4
    lines = saved(visit, "main", "CSV").read_text().splitlines()
    assert lines[0].startswith("Cluster,")
    counts = [line.rsplit(",", 3)[1:] for line in lines[1:]]
    assert all(float(s) == pytest.approx(int(n) / int(of), abs=1e-4) for n, of, s in counts)
    assert visit.wrong == []
