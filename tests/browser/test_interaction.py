"""Keys on the pattern page; texts that try to be markup, on every page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from browser.conftest import Visit, free_port, running, visiting
from browser.test_pages import HEAD, PAGES
from chromium import find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]


def test_arrow_keys_move_the_cell_of_a_pattern(visit: Visit) -> None:
    visit.open(f"?page=pattern&head={HEAD}")
    canvas = visit.page.locator("main canvas").first
    box = canvas.bounding_box()
    assert box is not None
    visit.page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.7)
    visit.page.wait_for_timeout(300)
    before = visit.page.locator("main").inner_text()
    visit.page.keyboard.press("ArrowDown")
    visit.page.wait_for_timeout(300)
    moved = visit.page.locator("main").inner_text()
    assert moved != before
    visit.page.keyboard.press("ArrowUp")
    visit.page.wait_for_timeout(300)
    assert visit.page.locator("main").inner_text() == before
    # A locked cell stays where it is when the mouse moves; Escape lets it go.
    visit.page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.5)
    visit.page.wait_for_timeout(300)
    assert visit.page.locator("main").inner_text() == before
    visit.page.keyboard.press("Escape")
    visit.page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.6)
    visit.page.wait_for_timeout(300)
    assert visit.page.locator("main").inner_text() != before
    assert visit.wrong == []


# Texts that try to be markup


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[str]:
    """A site of made-up patterns on prompts with markup, odd characters, words without end."""
    import sys

    find_browser()
    from attention_motifs.site.export import export_site
    from attention_motifs.stages.project import project
    from synthetic_atlas import make_synthetic_atlas

    atlas = make_synthetic_atlas(tmp_path_factory.mktemp("hostile") / "atlas")
    project(atlas, n_neighbors=[2], dimensions=[2, 3])
    export_site(atlas, atlas.path / "site")
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(command, port, atlas.path / "site"):
        yield f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize("page", PAGES)
def test_hostile_texts_stay_text(browser: Browser, hostile: str, page: str) -> None:
    with visiting(browser, hostile) as visit:
        visit.page.add_init_script("window.alert = () => { throw new Error('alert') }")
        more = "&head=org/synthetic-1:L1:H1&heads=org/synthetic-1:L1:H1,synthetic-0:L0:H0"
        visit.open(f"?page={page}{more}")
        assert visit.page.locator("main b, main script, main img:not([src^='data:'])").count() == 0
        wide = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        assert visit.wrong == []
