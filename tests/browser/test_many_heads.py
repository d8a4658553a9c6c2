"""Distances of more heads than one picture holds: by layer, then head by head."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from attention_motifs.site import export_distances
from attention_motifs.site.export import export_site
from attention_motifs.stages.distances import distances
from browser.conftest import free_port, running, visiting
from chromium import wait_until
from synthetic_atlas import make_synthetic_atlas

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a site of tiles and of nearest heads, on a plain static server."""
    folder = tmp_path_factory.mktemp("many")
    atlas = make_synthetic_atlas(folder / "atlas", n_prompts=4)
    distances(atlas, "natural", dense_limit=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_distances, "MATRIX_LIMIT", 1)
        patch.setattr(export_distances, "TILE_SIDE", 8)
        export_site(atlas, folder / "site")
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(command, port, folder / "site"):
        yield f"http://127.0.0.1:{port}/"


def test_a_cell_of_two_layers_opens_their_heads(browser: Browser, address: str) -> None:
    with visiting(browser, address) as visit:
        visit.open("?page=distances&metric=natural")
        assert "nearest heads of each" in visit.page.locator("main").inner_text()
        layers = visit.page.get_by_role("application", name="Mean distances of 6 layers")
        layers.focus()
        for key in ("0", "ArrowRight", "ArrowRight", "Enter"):
            visit.page.keyboard.press(key)
        heads = visit.page.get_by_role("application", name="Distances of the heads of")
        heads.wait_for()
        places = parse_qs(urlsplit(visit.page.url).query)["of_layers"][0].split(",")
        assert len(places) == 2
        heads.focus()
        for key in ("0", "ArrowRight", "ArrowRight", "Enter"):
            visit.page.keyboard.press(key)
        visit.page.wait_for_url("**page=compare**")
        visit.settle()
        assert visit.wrong == []


def test_tiles_show_every_pair_of_a_small_window(browser: Browser, address: str) -> None:
    with visiting(browser, address) as visit:
        sent: list[str] = []
        visit.page.on("request", lambda request: sent.append(urlsplit(request.url).path))
        visit.open("?page=distances&metric=mean")
        matrix = visit.page.get_by_role("application", name="Distances of 12 heads by mean")
        status = visit.page.locator("main p[role=status]", has_text="Shown now")
        status.get_by_text("every pair of heads").wait_for()
        wait_until(visit.page, "!document.querySelector('main').innerText.includes('loading')")
        tiles = [path for path in sent if path.endswith(("1-0-0.bin", "1-0-1.bin", "1-1-1.bin"))]
        assert len(tiles) == 3
        assert not any(path.endswith("matrix.bin") for path in sent)
        matrix.focus()
        for key in ("0", "ArrowRight", "ArrowRight"):
            visit.page.keyboard.press(key)
        cell = visit.page.locator(".heatmap-status")
        assert re.search(r"H\d to .*: [\d.]+$", cell.inner_text())
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_url("**page=compare**")
        visit.settle()
        assert visit.wrong == []


def test_a_tile_that_cannot_be_fetched_is_named_and_layers_stay(
    browser: Browser, address: str
) -> None:
    with visiting(browser, address) as visit:
        visit.page.route("**/1-0-1.bin*", lambda route: route.fulfill(status=404))
        visit.open("?page=distances&metric=mean")
        alert = visit.page.get_by_role("alert").filter(has_text="1-0-1.bin: is missing")
        alert.wait_for()
        assert visit.page.get_by_role("application", name="Distances of 12 heads").is_visible()


def test_the_first_pattern_waits_for_no_distances(browser: Browser, address: str) -> None:
    with visiting(browser, address) as visit:
        held: list[Route] = []
        visit.page.route("**/data/distances/**", lambda route: held.append(route))
        visit.page.goto(f"{address}?page=head&head=synthetic-0:L1:H1")
        first = visit.page.locator(".pattern-rows-line canvas").first
        first.wait_for()
        assert held
        for route in held:
            route.continue_()
        visit.page.unroute("**/data/distances/**")
        visit.page.locator(".pattern-rows-heading", has_text="Nearest").wait_for()
        assert first.is_visible()
        assert visit.wrong == []
