"""The workbench, on which the site opens: first screen, cursor, map, and keyboard."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from browser.conftest import Visit
from browser.test_pages import HEAD
from chromium import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]

CURSORS = ".pattern-cell-cursor"
# Rows of patterns that are whole in the window, above the text.
WHOLE_ROWS = """() => {
  const floor = document.querySelector(".bench-reading").getBoundingClientRect().top;
  return [...document.querySelectorAll(".pattern-rows-line")].filter((row) => {
    const cell = row.querySelector(".pattern-cell")?.getBoundingClientRect();
    return cell && cell.top >= 0 && cell.bottom <= floor;
  }).length;
}"""


@pytest.fixture
def bench(visit: Visit) -> Visit:
    visit.open()
    visit.page.locator(CURSORS).first.wait_for()
    return visit


def hover(visit: Visit, row: int, across: float, down: float) -> None:
    """Point at a place in the first pattern of a row, as shares of its side."""
    cell = visit.page.locator(".pattern-rows-line:has(.pattern-cell)").nth(row)
    box = cell.locator(".pattern-cell").first.bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


def test_the_first_screen_shows_the_verdict_and_four_rows(bench: Visit) -> None:
    verdict = bench.page.locator(".verdict-name").bounding_box()
    assert verdict is not None
    assert verdict["y"] < 200
    assert bench.page.evaluate(WHOLE_ROWS) >= 4
    assert "by recommended" in bench.page.locator(".pattern-rows-heading").inner_text()
    assert bench.wrong == []


def test_one_cursor_marks_the_tokens_in_every_row_and_in_the_text(bench: Visit) -> None:
    hover(bench, 2, 0.4, 0.8)
    head = bench.page.locator(".pattern-rows-line .head-link").nth(1).inner_text()
    wait_until(
        bench.page, f"document.querySelector('.bench-reading strong')?.textContent === '{head}'"
    )
    near = bench.page.locator(".pattern-rows-line:has(canvas)")
    assert bench.page.locator(CURSORS).count() == near.count()
    token = bench.page.locator(".bench-reading [data-query]")
    assert token.count() == 1
    # The map names the head of the row under the pointer.
    assert bench.page.locator(".head-map-name").inner_text().startswith(head)
    before = token.get_attribute("data-token")
    bench.page.locator(".bench-reading .token-text").press("Shift+ArrowLeft")
    moved = bench.page.locator(".bench-reading [data-query]").get_attribute("data-token")
    assert int(moved or 0) == int(before or 0) - 1
    assert bench.wrong == []


def test_a_rectangle_on_the_map_fills_the_rows_and_a_click_clears_it(bench: Visit) -> None:
    page, canvas = bench.page, bench.page.locator(".head-map > canvas")
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    heading = page.locator(".pattern-rows-heading")
    wait_until(page, "location.search.includes('in=')")
    n_heads = int(re.findall(r"of (\d+) heads", heading.inner_text())[0])
    assert n_heads == page.locator("body").evaluate(
        "async () => (await (await fetch('data/manifest.json')).json()).n_heads - 1"
    )
    page.get_by_role("button", name="Clear the rectangle").click()
    wait_until(page, "!location.search.includes('in=')")
    assert "Look-alikes" in heading.inner_text()
    assert bench.wrong == []


def test_the_map_enlarges_to_mean_patterns_and_the_wheel_goes_back(bench: Visit) -> None:
    page, canvas = bench.page, bench.page.locator(".head-map > canvas")
    box = canvas.bounding_box()
    assert box is not None
    means = page.locator(".bench-mean canvas")
    assert means.count() == 0
    canvas.focus()
    for _ in range(3):
        page.keyboard.press("+")
    means.first.wait_for()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 1000)
    wait_until(page, "!document.querySelector('.bench-mean')")
    assert bench.wrong == []


@pytest.mark.parametrize("visit", [(390, 844)], indirect=True)
def test_a_narrow_window_shows_verdict_map_and_rows_without_scrolling_sideways(
    bench: Visit,
) -> None:
    assert bench.page.locator(".verdict-name").is_visible()
    assert bench.page.locator(".head-map > canvas").is_visible()
    assert bench.page.locator(".pattern-rows-line .pattern-cell").count() >= 4
    assert bench.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert bench.wrong == []


def test_a_look_alike_is_chosen_by_a_click_and_back_returns(bench: Visit) -> None:
    first = bench.page.locator("main h1").inner_text()
    link = bench.page.locator(".pattern-rows-line .head-link").first
    head = link.inner_text()
    link.click()
    wait_until(bench.page, f"document.querySelector('main h1').textContent === '{head}'")
    bench.settle()
    bench.page.go_back()
    wait_until(bench.page, f"document.querySelector('main h1').textContent === '{first}'")
    assert bench.wrong == []


def test_the_state_travels_along_the_navigation_and_back(visit: Visit) -> None:
    visit.open(f"?page=home&head={HEAD}&metric=mean&n_prompts=2&sink=shown&scale=log")
    visit.page.get_by_role("link", name="Cloud of heads").click()
    visit.settle()
    visit.page.get_by_role("link", name="Workbench").click()
    visit.settle()
    for part in (f"head={HEAD}", "metric=mean", "n_prompts=2", "sink=shown", "scale=log"):
        assert part in visit.page.url
    assert visit.page.locator("main h1").inner_text() == HEAD
    assert visit.wrong == []


def test_an_unknown_head_is_reported_and_another_one_shown(visit: Visit) -> None:
    visit.open("?page=home&head=nothing:L99:H0")
    assert "nothing:L99:H0 is not in this atlas" in visit.page.locator("main").inner_text()
    assert re.search(r":L\d+:H\d+$", visit.page.locator("main h1").inner_text())
    assert visit.wrong == []


def test_the_keyboard_walks_from_opening_to_a_saved_picture(bench: Visit, tmp_path: Path) -> None:
    page = bench.page
    page.keyboard.type(HEAD)
    page.keyboard.press("Enter")
    wait_until(page, f"location.search.includes('{HEAD}')")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "SVG":
            break
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    waiting.value.save_as(tmp_path / "rows.svg")
    words = "".join(ET.parse(tmp_path / "rows.svg").getroot().itertext())  # noqa: S314 - our file
    assert HEAD in words
    assert "by recommended" in words
    assert bench.wrong == []
