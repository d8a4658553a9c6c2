"""Pages for everyone: rules of accessibility, the keyboard alone, sentences of terms, the tour."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from browser.conftest import Visit
from browser.test_pages import HEAD, PAGES, ROOT, query
from chromium import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
# The standard of the web at level AA, and what its makers call good practice.
FINDINGS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) =>
    `${id}: ${nodes.length} × ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary}`);
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip(f"{AXE}: missing. Run `make web` to install it")
    return AXE.read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing(visit: Visit, axe: str, page: str, theme: str) -> None:
    visit.open(f"{query(page)}&theme={theme}")
    # Playwright evaluates it outside of the page's policy for scripts.
    visit.page.evaluate(axe)
    assert visit.page.evaluate(FINDINGS) == []


def tab_to(visit: Visit, condition: str, most: int = 150) -> None:
    """Press Tab until a condition on `document.activeElement`, named `it`, is true."""
    for _ in range(most):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate(f"(it => Boolean({condition}))(document.activeElement)"):
            return
    raise AssertionError(f"{most} tabs do not reach: {condition}")


def test_the_keyboard_walks_from_the_opening_to_a_saved_picture(
    visit: Visit, tmp_path: Path
) -> None:
    visit.open()
    visit.page.keyboard.type("18.6")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(re.compile("L18:H6"))
    visit.settle()
    assert HEAD in visit.page.locator("main h1").inner_text()
    tab_to(visit, "it.tagName === 'BUTTON' && it.textContent.trim() === 'SVG'")
    with visit.page.expect_download() as waiting:
        visit.page.keyboard.press("Enter")
    waiting.value.save_as(tmp_path / "walk.svg")
    root = ET.parse(tmp_path / "walk.svg").getroot()  # noqa: S314 - our own file
    assert root.findall(".//{http://www.w3.org/2000/svg}image")
    assert visit.wrong == []


@pytest.mark.parametrize(
    ("page", "term"),
    [("head", "percentile"), ("evaluation", "MAP"), ("clusters", "adjusted Rand index")],
)
def test_a_term_has_its_sentence_on_focus(visit: Visit, page: str, term: str) -> None:
    visit.open(query(page))
    place = visit.page.locator(".term", has_text=term).first
    place.focus()
    sentence = visit.page.locator("[role=tooltip]")
    sentence.wait_for()
    assert sentence.inner_text() == place.get_attribute("data-help")
    assert place.get_attribute("aria-describedby") == sentence.get_attribute("id")
    visit.page.keyboard.press("Escape")
    sentence.wait_for(state="detached")
    place.hover()
    sentence.wait_for()
    assert visit.wrong == []


@pytest.mark.parametrize("visit", [(1280, 800), (390, 844)], indirect=True, ids=["wide", "narrow"])
def test_the_tour_points_at_the_controls_and_ends_for_good(visit: Visit) -> None:
    visit.open("?tour=1")
    seen = []
    for _ in range(6):
        wait_until(visit.page, "document.querySelector('.tour-ring')")
        seen.append(visit.page.locator(".tour-card h2").inner_text())
        # The button that goes on has the focus.
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_timeout(200)
    assert len(set(seen)) == 6
    visit.page.locator(".tour-card").wait_for(state="detached")
    assert "tour" not in visit.page.url
    wide = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    kept = visit.page.evaluate("localStorage.getItem('attention-motifs tour')")
    assert kept == "seen"
    assert visit.wrong == []


def test_the_tour_is_offered_once(visit: Visit) -> None:
    # As in a browser that a person uses.
    visit.page.add_init_script("Object.defineProperty(navigator, 'webdriver', { value: false })")
    visit.open()
    offer = visit.page.locator(".tour-offer")
    offer.wait_for()
    offer.get_by_role("button", name="No, thank you").click()
    offer.wait_for(state="detached")
    visit.page.reload()
    visit.settle()
    assert offer.count() == 0
    assert visit.wrong == []
