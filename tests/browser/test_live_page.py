"""The page of the user's own text in a real browser, served live on tiny models."""

from __future__ import annotations

import csv
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.features.stopping import Stopped
from attention_motifs.live.application import live_extension
from attention_motifs.live.models import LiveModels
from attention_motifs.site.export import export_site
from browser.conftest import Visit, visiting
from chromium import wait_until
from exported_site import read_json
from site_server import serving_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TEXT = "one two three one two three one two three, said <b>the</b> cat."
PAGE = "?page=text"


@dataclass
class Served:
    atlas: Atlas
    address: str
    live: LiveModels


@pytest.fixture(scope="module")
def served(built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A copy of the atlas of tiny models, with its site and a live server."""
    atlas = Atlas.open(shutil.copytree(built.path, tmp_path_factory.mktemp("live") / "atlas"))
    exported = export_site(atlas, atlas.path / "site")
    if not exported.has_pages:
        pytest.skip("the pages have not been built")
    live = LiveModels(atlas)
    for name in atlas.models:
        live.load(name)
    with serving_site(exported.path, live_extension(live)) as port:
        yield Served(atlas, f"http://127.0.0.1:{port}/", live)


@pytest.fixture
def visit(browser: Browser, served: Served, request: pytest.FixtureRequest) -> Iterator[Visit]:
    size = getattr(request, "param", (1280, 800))
    with visiting(browser, served.address, size) as built:
        yield built


def show(visit: Visit, text: str) -> None:
    """Type a text and run the models."""
    visit.page.get_by_label("Text", exact=True).fill(text)
    visit.page.get_by_role("button", name="Show every head").click()
    visit.page.wait_for_selector(".table tbody tr")
    wait_until(visit.page, "!document.querySelector('button[type=submit]').disabled")


@pytest.mark.parametrize("visit", [(1280, 800), (390, 844)], indirect=True, ids=["wide", "narrow"])
def test_a_text_is_read_and_its_heads_are_shown(visit: Visit, served: Served) -> None:
    page = visit.page
    visit.open(PAGE)
    assert page.locator("main h1").inner_text() == "Your text"
    assert page.locator("nav a[aria-current=page]").inner_text() == "Your text"
    show(visit, TEXT)
    expected = served.atlas.on(TEXT)
    first = page.locator(".text-pick").first
    assert first.inner_text() == expected.table["head"][0]
    assert page.locator(".pattern-inspect").count() == 1
    assert "<b>the</b>" in page.locator(".pattern-caption").inner_text()
    # Another head, from the table, is shown large; the page stays where it is.
    page.locator(".text-pick").nth(3).scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    page.locator(".text-pick").nth(3).click()
    head = expected.table["head"][3]
    wait_until(page, f"document.querySelector('.pattern-caption').textContent.startsWith('{head}')")
    assert page.evaluate("scrollY") == before
    page.locator(".text-map").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('.pattern-grid canvas')")
    assert page.locator(".pattern-grid-frame").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert not served.atlas.file("kept_prompts").is_file()
    # Nothing of the text is in the address or in the storage of the browser.
    state = page.evaluate("location.href + JSON.stringify(localStorage) + document.cookie")
    assert "three" not in state
    assert visit.wrong == []


def test_two_texts_are_compared_side_by_side(visit: Visit, served: Served) -> None:
    page, other = visit.page, TEXT.replace("cat", "dog")
    visit.open(PAGE)
    page.get_by_label("Text", exact=True).fill(TEXT)
    page.get_by_label("Compare with another text").check()
    page.get_by_label("Other text", exact=True).fill(other)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".table tbody tr")
    expected = served.atlas.on(TEXT, against=other).table
    assert page.locator(".text-pick").first.inner_text() == expected["head"][0]
    assert f"{100 * expected['moved'][0]:.0f} %" in page.locator("tbody tr").first.inner_text()
    assert page.locator(".pattern-inspect").count() == 2
    # One cursor over both patterns.
    page.locator(".pattern-matrix").first.hover(position={"x": 40, "y": 200})
    wait_until(page, "document.querySelectorAll('.token[data-query]').length === 2")
    assert visit.wrong == []


def test_a_second_answer_replaces_the_first(visit: Visit) -> None:
    page = visit.page
    visit.open(PAGE)
    show(visit, TEXT)
    page.locator(".text-map").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('.pattern-grid canvas')")
    drawn = "document.querySelector('.pattern-grid canvas')?.toDataURL().slice(-200)"
    before = page.evaluate(drawn)
    show(visit, TEXT.replace("one two three", "three one two", 1))
    page.locator(".text-map").scroll_into_view_if_needed()
    wait_until(page, f"{drawn} && {drawn} !== {before!r}")
    # The answer is still there after a look at the page of a head.
    page.locator("h2 .head-link").click()
    wait_until(page, "location.search.includes('page=head')")
    page.go_back()
    page.wait_for_selector(".text-pick")
    assert page.get_by_label("Text", exact=True).input_value().startswith("three one two")
    assert visit.wrong == []


def test_a_refusal_is_shown_and_the_page_stays_usable(visit: Visit) -> None:
    page = visit.page
    visit.open(PAGE)
    assert page.get_by_role("button", name="Show every head").is_disabled()
    page.get_by_label("Text", exact=True).fill("x " * 10_000)
    page.get_by_role("button", name="Show every head").click()
    page.wait_for_selector("[role=alert]")
    assert "bytes" in page.locator("[role=alert]").inner_text()
    show(visit, TEXT)
    assert page.locator("[role=alert]").count() == 0
    assert all("400" in line for line in visit.wrong)


def test_leaving_the_page_stops_the_request(
    visit: Visit, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(self: LiveModels, text: str, model: str, *, stopped: threading.Event) -> None:
        begun.set()
        assert stopped.wait(20)
        ended.set()
        raise Stopped

    monkeypatch.setattr(LiveModels, "read", endless)
    visit.open(PAGE)
    visit.page.get_by_label("Text", exact=True).fill(TEXT)
    visit.page.get_by_role("button", name="Show every head").click()
    assert begun.wait(10)
    visit.page.get_by_role("link", name="About").click()
    assert ended.wait(10)
    assert visit.wrong == []


def test_a_pattern_that_is_not_stored_is_computed(
    visit: Visit, served: Served, tmp_path: Path
) -> None:
    atlas, page = served.atlas, visit.page
    place = len(atlas.view_prompts())
    prompt = atlas.prompts["prompt_id"][place]
    model = atlas.models[0]
    visit.open(f"?page=pattern&head={model}:L1:H0&prompt={prompt[:8]}")
    assert "the server computed it" in page.locator("main").inner_text()
    with page.expect_download() as waiting:
        inspected = page.locator(".pattern-inspect")
        inspected.get_by_role("button", name="CSV", exact=True).click()
    waiting.value.save_as(tmp_path / "pattern.csv")
    rows = list(csv.DictReader((tmp_path / "pattern.csv").read_text("utf-8").splitlines()))
    text = read_json(atlas.path / "site", "prompts.json.bin")[place]["text"]
    expected = served.live.read(text, model).layers[1][0]
    shown = np.zeros_like(expected)
    for row in rows:
        shown[int(row["query"]), int(row["key"])] = float(row["weight"])
    # Weights are sent as bytes of their square roots.
    np.testing.assert_allclose(np.sqrt(shown), np.sqrt(expected), atol=0.5 / 255 + 1e-3)
    assert visit.wrong == []


def test_a_text_is_kept_by_a_click(visit: Visit, served: Served) -> None:
    page = visit.page
    visit.open(PAGE)
    show(visit, TEXT)
    page.get_by_role("button", name="Keep this text").click()
    page.wait_for_selector(".text-command")
    assert page.locator(".text-command").inner_text().startswith("motifs build --atlas")
    file: Path = served.atlas.file("kept_prompts").path
    assert file.read_text().startswith('{"text": "one two')
    assert visit.wrong == []
    file.unlink()
