"""Clouds of patterns and heads, and projections in a real browser: what a reader does there.

Where points are on the screen is computed here from the data, by the definition of the view.
"""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser

from browser.conftest import Visit, visiting
from chromium import find_browser, wait_until
from exported_site import manifest_of, read_json, values

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]

HALF = math.tan(math.radians(45) / 2)
CANVAS = ".points-3d-canvas[data-ready=true]"


def opened(visit: Visit, query: str) -> dict[str, float]:
    """Open a page of points; place and size of the picture in the window."""
    visit.open(query)
    canvas = visit.page.locator(CANVAS)
    canvas.wait_for()
    visit.page.wait_for_timeout(600)
    box = canvas.bounding_box()
    assert box is not None
    return dict(box)


def projection_of(site: Path, n_components: int) -> tuple[str, np.ndarray]:
    """Id and coordinates, (n heads, n components), of a projection of all heads."""
    manifest = manifest_of(site)
    one = next(
        p
        for p in manifest["projections"]
        if p["scope"] == "all" and p["method"] == "pca" and p["n_components"] == n_components
    )
    name = f"pca,{one['metric']},{one['n_neighbors']},{n_components}d,all"
    return name, values(site, one["file"], "f4").reshape(n_components, -1).T.astype(float)


def in_box(points: np.ndarray) -> np.ndarray:
    """Coordinates moved and scaled to a box from -1 to 1, proportions kept."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - (low + high) / 2) / ((high - low).max() / 2)


def on_screen(points: np.ndarray, box: dict[str, float], distance: float) -> np.ndarray:
    """Pixels in the window of points seen from (0, 0, distance); from afar without depth."""
    deep = points[:, 2:3] if points.shape[1] == 3 else 0.0
    seen = points[:, :2] / ((distance - deep) * HALF) * box["height"] / 2
    middle = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
    return middle + seen * np.array([1, -1])


def fitted(points: np.ndarray, box: dict[str, float]) -> float:
    """Distance from which points in a box fill the picture, with 8 % free at an edge."""
    half = np.abs(points[:, :2]).max(axis=0)
    return float(1.08 * max(half[1], half[0] * box["height"] / box["width"]) / HALF)


def lonely(spots: np.ndarray, box: dict[str, float]) -> np.ndarray:
    """Points that are not near another point or under a panel."""
    away = np.linalg.norm(spots[:, None] - spots[None], axis=2)
    np.fill_diagonal(away, np.inf)
    x, y = (spots - [box["x"], box["y"]]).T
    free = (x > 250) & (x < box["width"] - 330) & (y > 20) & (y < box["height"] - 60)
    return np.flatnonzero((away.min(axis=1) > 18) & free)


def heads_of(site: Path) -> list[str]:
    return [
        f"{m['name']}:L{layer}:H{index}"
        for m in manifest_of(site)["models"]
        for layer in range(m["n_layers"])
        for index in range(m["n_heads"])
    ]


@pytest.mark.parametrize("n_components", [2, 3])
def test_the_point_under_the_cursor_is_the_one_that_is_named(
    visit: Visit, demo: Path, n_components: int
) -> None:
    site = demo / "site"
    name, points = projection_of(site, n_components)
    # Depth shows from the front at a distance of 2.2.
    view = "" if n_components == 2 else "&view=0,0,0,0,0,0,1,2.2"
    box = opened(visit, f"?page=heads-3d&projection={name}{view}")
    distance = fitted(in_box(points), box) if n_components == 2 else 2.2
    spots = on_screen(in_box(points), box, distance)
    alone = lonely(spots, box)[:25]
    assert len(alone) >= 8
    heads = heads_of(site)
    card = visit.page.locator(".points-3d-preview")
    for row in alone:
        x, y = spots[row]
        visit.page.mouse.move(box["x"] + 5, box["y"] + 5)
        card.wait_for(state="detached")
        # Beside the point, not on it: the reach is larger than the point.
        visit.page.mouse.move(x + 4, y + 4)
        card.wait_for()
        assert heads[row] in card.inner_text()
    assert visit.wrong == []


def test_a_rectangle_selects_what_lies_in_it(visit: Visit, demo: Path, tmp_path: Path) -> None:
    site = demo / "site"
    name, points = projection_of(site, 2)
    box = opened(visit, f"?page=heads-3d&projection={name}")
    spots = on_screen(in_box(points), box, fitted(in_box(points), box))
    page = visit.page
    x0, y0 = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.3
    x1, y1 = box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.62
    inside = (spots > [x0, y0]).all(axis=1) & (spots < [x1, y1]).all(axis=1)
    clear = np.abs(np.concatenate([spots - [x0, y0], spots - [x1, y1]], axis=1)).min() > 0.01
    assert inside.any()
    assert clear
    page.get_by_role("button", name="Rectangle").click()
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, y1)
    page.mouse.move(x1, y1)
    page.mouse.up()
    count = page.locator(".points-status strong")
    count.wait_for()
    assert count.inner_text() == f"{inside.sum()} selected"
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    download.value.save_as(tmp_path / "heads.csv")
    with (tmp_path / "heads.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["head"] for row in rows} == {heads_of(site)[i] for i in np.flatnonzero(inside)}
    first = heads_of(site).index(rows[0]["head"])
    assert float(rows[0]["pca 1"]) == pytest.approx(points[first, 0], rel=1e-5)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON", exact=True).click()
    saved = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert len(saved["rows"]) == inside.sum()
    page.reload()
    page.locator(CANVAS).wait_for()
    assert count.inner_text() == f"{inside.sum()} selected"
    page.go_back()
    count.wait_for(state="detached")
    assert visit.wrong == []


def test_a_worker_makes_a_long_table_while_the_page_answers(
    visit: Visit, demo: Path, tmp_path: Path
) -> None:
    manifest = manifest_of(demo / "site")
    opened(visit, "?page=patterns-3d")
    page = visit.page
    page.evaluate("""() => {
      window.ticks = 0;
      const OwnWorker = window.Worker;
      window.Worker = class extends OwnWorker {
        constructor(...words) { super(...words); window.script = String(words[0]); }
      };
      setInterval(() => window.ticks++, 1);
    }""")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert "/assets/long-table-worker" in page.evaluate("window.script")
    assert page.evaluate("window.ticks") > 0
    download.value.save_as(tmp_path / "patterns.csv")
    with (tmp_path / "patterns.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == manifest["n_patterns"]
    names = heads_of(demo / "site")
    assert [row["head"] for row in rows[: len(names)]] == names
    assert len({row["prompt"] for row in rows}) == manifest["n_patterns"] // len(names)
    assert visit.wrong == []


def test_the_legend_filters_and_cycles(visit: Visit, demo: Path) -> None:
    manifest = manifest_of(demo / "site")
    opened(visit, "?page=patterns-3d&colour=model")
    page = visit.page
    caption = page.locator(".points-caption")
    per_head = manifest["points"]["n_prompts"]
    n_first = manifest["models"][0]["n_layers"] * manifest["models"][0]["n_heads"] * per_head
    total = manifest["n_heads"] * per_head
    entries = page.locator(".points-legend-entry")
    assert f"{total:,} of {total:,} points" in caption.inner_text()
    entries.nth(0).click()
    page.wait_for_url(re.compile("hide="))
    assert f"{total - n_first:,} of" in caption.inner_text()
    entries.nth(0).click(modifiers=["Alt"])
    page.wait_for_timeout(200)
    assert f"{n_first:,} of" in caption.inner_text()
    page.get_by_role("button", name="Colour by the next column").click()
    page.wait_for_url(re.compile("colour=(?!model)"))
    assert "hide" not in page.url
    assert visit.wrong == []


def test_the_best_metric_opens_flat_and_another_is_chosen(visit: Visit, demo: Path) -> None:
    manifest = manifest_of(demo / "site")
    projected = {p["metric"] for p in manifest["projections"]}
    metrics = [m["name"] for m in manifest["metrics"] if m["name"] in projected]
    box = opened(visit, "?page=heads-3d")
    page, caption = visit.page, visit.page.locator(".points-caption")
    assert f"2-D, 16 neighbours, {metrics[0]}, all" in caption.inner_text()
    names = page.locator(".points-3d-region")
    boxes = [name.bounding_box() for name in names.all()]
    assert len(boxes) >= 3
    for i, a in enumerate(boxes):
        assert a is not None
        assert box["x"] <= a["x"]
        assert a["x"] + a["width"] <= box["x"] + box["width"]
        for b in boxes[:i]:
            assert b is not None
            across = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
            down = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
            assert across < 0.5 or down < 3
    page.get_by_label("Metric").select_option(metrics[1])
    text = "document.querySelector('.points-caption').innerText"
    wait_until(page, f"{text}.includes(', {metrics[1]},')")
    page.get_by_role("checkbox", name="2-D").click()
    wait_until(page, f"{text}.includes(' 3-D')")
    assert f", {metrics[1]}," in caption.inner_text()
    assert visit.wrong == []


def test_a_pattern_that_is_not_stored_shows_what_is_known(visit: Visit, demo: Path) -> None:
    site = demo / "site"
    prompts = read_json(site, manifest_of(site)["prompts"])
    viewable = sum(p["viewable"] for p in prompts if p["group"] == "prompts")
    hidden = next(p for p in prompts if p["group"] == "prompts" and not p["viewable"])
    n_heads = manifest_of(site)["n_heads"]
    opened(visit, "?page=patterns-3d")
    assert f"{viewable * n_heads:,} of" in visit.page.locator("main p").first.inner_text()
    visit.open(f"?page=pattern&head={heads_of(site)[0]}&prompt={hidden['id'][:8]}")
    page = visit.page
    assert page.locator(".pattern-features li").count() > 3
    assert page.locator(".pattern-neighbours figure canvas").count() > 3
    assert hidden["text"][:20].strip() in page.locator(".pattern-text").inner_text()
    assert visit.wrong == []


def test_a_colour_is_found_by_typing(visit: Visit) -> None:
    opened(visit, "?page=heads-3d")
    page = visit.page
    page.locator(".grouped summary", has_text="Colour").click()
    page.keyboard.type("leiden")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("colour=cluster"))
    assert "leiden" in page.locator(".points-legend-title").inner_text()
    assert visit.wrong == []


def test_the_keyboard_goes_from_point_to_point_and_opens_one(visit: Visit) -> None:
    opened(visit, "?page=patterns-3d")
    page = visit.page
    page.locator(CANVAS).focus()
    page.keyboard.press("h")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.wait_for_url(re.compile("dim=3"))
    page.keyboard.press("n")
    card = page.locator(".points-3d-preview")
    card.wait_for()
    first = card.inner_text()
    page.keyboard.press("n")
    text = "document.querySelector('.points-3d-preview').innerText"
    wait_until(page, f"{text} !== {json.dumps(first)}")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile("view="))
    kept = page.url
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("page=pattern&"))
    page.go_back()
    page.locator(CANVAS).wait_for()
    assert page.url == kept
    assert visit.wrong == []


def test_every_projection_is_a_picture_that_opens_it(visit: Visit, demo: Path) -> None:
    stored = manifest_of(demo / "site")["projections"]
    visit.open("?page=projections&scope=every+scope")
    cards = visit.page.locator(".projection-card")
    assert cards.count() == len(stored)
    visit.open("?page=projections&dims=3")
    all_3d = [p for p in stored if p["scope"] == "all" and p["n_components"] == 3]
    assert cards.count() == len(all_3d)
    best = max(p["trustworthiness"] for p in all_3d)
    first = ".projection-numbers span:first-child[data-best=true]"
    bold = visit.page.locator(first).all_inner_texts()
    assert bold == [f"T {best:.3f}"]
    cards.first.locator("canvas").wait_for()
    asked = parse_qs(urlsplit(cards.first.get_attribute("href") or "").query)
    cards.first.click()
    visit.page.locator(CANVAS).wait_for()
    method = asked["projection"][0].split(",")[0]
    assert f"{method} 3-D" in visit.page.locator(".points-caption").inner_text()
    assert visit.wrong == []


def test_without_webgl_the_page_says_so(browser: Browser, served: str) -> None:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]
    path = find_browser()
    bare = browser.browser_type.launch(executable_path=path, args=flags)
    try:
        with visiting(bare, served) as visit:
            visit.open("?page=heads-3d")
            empty = visit.page.locator(".state-empty")
            empty.wait_for()
            assert "WebGL 2" in empty.inner_text()
            assert visit.wrong == []
    finally:
        bare.close()
