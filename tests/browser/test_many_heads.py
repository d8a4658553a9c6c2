"""Distances of more heads than one picture holds: by layer, then head by head."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from attention_motifs.site import export_distances
from attention_motifs.site.export import export_site
from browser.conftest import free_port, running, visiting
from synthetic_atlas import make_synthetic_atlas

if TYPE_CHECKING:
    from playwright.sync_api import Browser


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a site without whole matrices, on a plain static server."""
    folder = tmp_path_factory.mktemp("many")
    atlas = make_synthetic_atlas(folder / "atlas", n_prompts=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_distances, "MATRIX_LIMIT", 1)
        export_site(atlas, folder / "site")
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(command, port, folder / "site"):
        yield f"http://127.0.0.1:{port}/"


def test_a_cell_of_two_layers_opens_their_heads(browser: Browser, address: str) -> None:
    with visiting(browser, address) as visit:
        visit.open("?page=distances")
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
