"""Every page of the exported demo in a real browser: drawn, linked, reloaded, exported, safe."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from browser.conftest import Visit
from chromium import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
PAGES = re.findall(r'name: "([a-z0-9-]+)"', (ROOT / "web/src/app/pages.ts").read_text())
HEAD = "smollm2-135m-instruct:L18:H6"
# What a page needs in its link to have something to show.
QUERY = {
    "head": f"&head={HEAD}",
    "pattern": f"&head={HEAD}",
    "compare": f"&heads={HEAD},gemma-3-270m:L5:H1",
}
SIZES = [(1280, 800), (800, 800), (390, 844)]
# Opens every folded list and panel in turn; those with which the page is wider than the window.
OPENED = """async () => {
  const wide = [];
  for (const details of document.querySelectorAll("details")) {
    const was = details.open;
    details.open = true;
    await new Promise((done) => setTimeout(done, 60));
    const over = document.documentElement.scrollWidth - window.innerWidth;
    if (over > 0) wide.push(`${details.querySelector("summary").textContent}: ${over}`);
    details.open = was;
  }
  return wide;
}"""


def query(page: str) -> str:
    return f"?page={page}{QUERY.get(page, '')}"


def test_all_pages_of_the_plan_are_there() -> None:
    expected = {
        "home", "head", "compare", "pattern", "patterns-3d", "heads-3d", "projections",
        "distances", "classes", "clusters", "features", "evaluation", "about",
    }  # fmt: skip
    assert expected <= set(PAGES)


@pytest.mark.parametrize("visit", SIZES, indirect=True, ids=["wide", "middle", "narrow"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_an_error_and_fits(visit: Visit, page: str) -> None:
    visit.open(query(page))
    assert visit.page.locator("main h1").count() == 1
    assert visit.page.locator("[role=alert]").all_inner_texts() == []
    # Nothing is wider than the window: a narrow screen scrolls down, not sideways.
    wide = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    assert visit.page.evaluate(OPENED) == []
    assert visit.wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_from_a_plain_server_in_a_subfolder(plain_visit: Visit, page: str) -> None:
    plain_visit.open(query(page))
    assert plain_visit.page.locator("main h1").count() == 1
    assert plain_visit.page.locator("[role=alert]").all_inner_texts() == []
    assert plain_visit.wrong == []


# The colours of the marks in the keys of the page.
MARKS = """[...document.querySelectorAll("main [class*='-dot'], main .projection-key i")]
  .map(mark => getComputedStyle(mark).backgroundColor)"""
# `GROUNDS.dark` and `noneColour` of the pages.
GROUND, NO_CATEGORY = "rgb(34, 39, 46)", {"rgb(77, 86, 98)"}


def contrast(*colours: str) -> float:
    """Return the ratio of the luminances of two colours (WCAG 2)."""
    low, high = sorted(
        sum(
            weight * (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4)
            for weight, share in zip(
                (0.2126, 0.7152, 0.0722),
                (int(x) / 255 for x in re.findall(r"\d+", colour)[:3]),
                strict=True,
            )
        )
        for colour in colours
    )
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_in_the_dark(visit: Visit, page: str) -> None:
    visit.open(query(page) + "&theme=dark")
    colour = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(x) for x in re.findall(r"\d+", colour)[:3])
    assert red + green + blue < 200
    assert visit.wrong == []
    faint = {colour for colour in visit.page.evaluate(MARKS) if contrast(colour, GROUND) < 2.9}
    assert faint <= NO_CATEGORY


DRAWN = """canvas => {
  // A copy at 64 x 64: enough to see whether anything was drawn.
  const copy = document.createElement("canvas");
  copy.width = copy.height = 64;
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0, 64, 64);
  return new Set(new Uint32Array(context.getImageData(0, 0, 64, 64).data.buffer)).size;
}"""


@pytest.mark.parametrize("page", ["home", "head", "compare", "pattern", "distances"])
def test_canvases_show_more_than_one_colour(visit: Visit, page: str) -> None:
    visit.open(query(page))
    canvases = visit.page.locator("main canvas")
    canvases.first.wait_for()
    assert canvases.count() >= 1
    assert canvases.first.evaluate(DRAWN) > 3


@pytest.mark.parametrize("page", ["patterns-3d", "heads-3d"])
def test_points_are_drawn(visit: Visit, page: str) -> None:
    visit.open(query(page))
    picture = visit.page.locator("main canvas").first
    picture.wait_for()
    visit.page.wait_for_timeout(1000)
    png = picture.screenshot()
    from io import BytesIO

    from PIL import Image

    colours = Image.open(BytesIO(png)).convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 20


def test_every_page_is_reached_from_the_navigation(visit: Visit) -> None:
    visit.open()
    nav = visit.page.locator("nav a")
    names = [re.findall(r"page=([a-z0-9-]+)", a.get_attribute("href") or "") for a in nav.all()]
    reached = {name for result in names for name in result} | {"home"}
    # "text" is listed by a live server only, "ablation" only with ablations, which the demo lacks.
    assert reached | {"head", "compare", "pattern", "text", "ablation"} >= set(PAGES)
    assert not reached & {"text", "ablation"}


def test_the_search_has_the_focus_and_finds_a_head(visit: Visit) -> None:
    visit.open()
    assert visit.page.evaluate("document.activeElement.tagName") == "INPUT"
    visit.page.keyboard.type("smollm2-135m-instruct:L18:H6")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(re.compile("head=smollm2"))
    visit.settle()
    assert HEAD in visit.page.locator("main h1").inner_text()
    assert visit.wrong == []


@pytest.mark.parametrize("spelling", ["18.6", "L18.H6", "18:6", "smollm2 18.6"])
def test_a_head_is_found_in_every_spelling(visit: Visit, spelling: str) -> None:
    visit.open("?page=about")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type(spelling)
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(re.compile("page=head"))
    visit.settle()
    assert HEAD in visit.page.locator("main h1").inner_text()


def test_the_search_finds_behaviours_clusters_features_pages_and_prompts(
    visit: Visit, demo: Path
) -> None:
    import polars as pl

    from attention_motifs.atlas import Atlas

    atlas = Atlas.open(demo)
    scores = atlas.heads.filter(pl.col("induction").is_not_nan()).sort("induction")
    best = scores["head"][-1]
    prompt = atlas.prompts["text"][0].split()[:4]
    for text, first, where in [
        ("induction", best, "page=head"),
        ("clusters", "Clusters", "page=clusters"),
        ("cluster 3", "cluster 3", "picked=c3"),
        ("diag.mean", "diag.mean", "feature=diag.mean"),
        (" ".join(prompt), " ".join(prompt), "prompts="),
    ]:
        visit.open("?page=about")
        visit.page.keyboard.press("/")
        visit.page.keyboard.type(text)
        option = "document.querySelector('[role=option]')"
        wait_until(visit.page, f"{option}?.textContent.includes({json.dumps(first)})")
        if where in {"page=head", "picked=c3"}:
            wait_until(visit.page, f"{option}.querySelector('canvas')")
        visit.page.keyboard.press("Enter")
        wait_until(visit.page, f"location.search.includes({json.dumps(where)})")
    visit.settle()
    assert visit.wrong == []


def test_nearest_heads_are_those_of_the_command_line(visit: Visit, demo: Path) -> None:
    from attention_motifs.atlas import Atlas

    visit.open(query("head") + "&metric=mean")
    shown = visit.page.locator("main").inner_text()
    for head in Atlas.open(demo).near(HEAD, n=3)["head"]:
        assert head in shown


def test_the_link_brings_back_the_view_and_back_goes_back(visit: Visit) -> None:
    visit.open(query("head"))
    before = visit.page.url
    visit.page.select_option("main select >> nth=0", index=1)
    wait_until(visit.page, f"location.href !== {json.dumps(before)}")
    after = visit.page.url
    visit.page.reload()
    visit.settle()
    assert visit.page.url == after
    assert visit.page.locator("main select").first.evaluate("s => s.selectedIndex") == 1
    visit.page.go_back()
    wait_until(visit.page, f"location.href === {json.dumps(before)}")
    visit.settle()
    assert visit.page.locator("main select").first.evaluate("s => s.selectedIndex") == 0
    assert visit.wrong == []


def test_links_of_the_papers_site_are_understood(visit: Visit) -> None:
    visit.open("?head_viewing=smollm2-135m-instruct~L18~H6&n_prompts=3&table.n_nearby=4")
    assert HEAD in visit.page.locator("main h1").inner_text()
    assert visit.wrong == []


@pytest.mark.parametrize(
    ("link", "ours", "words"),
    [
        ("?models=a&heads-smollm2-135m-instruct=L18H6~L5H5", "page=compare", "2 heads on 1 prompt"),
        # Prompts of the paper are not the demo's: the page says so, with a link to others.
        ("?prompt=none&head=smollm2-135m-instruct.L18.H6", "page=pattern", HEAD),
        ("?classification_mode=true&current_classification=induction", "page=classes", "Classes"),
    ],
)
def test_links_of_its_other_pages_are_understood(
    visit: Visit, link: str, ours: str, words: str
) -> None:
    visit.open(link)
    assert ours in visit.page.url
    assert words in visit.page.locator("main").inner_text()
    assert visit.wrong == []


def test_without_a_head_the_highest_are_offered(visit: Visit) -> None:
    visit.open("?page=head")
    visit.page.locator(".head-suggested a").first.click()
    assert re.search(r":L\d+:H\d+$", visit.page.locator("main h1").inner_text())
    assert visit.wrong == []


def test_a_head_that_is_not_there_is_told_in_words(visit: Visit) -> None:
    visit.open("?page=head&head=<script>alert(1)</script>:L1:H1")
    assert visit.page.locator("main").inner_text().strip()
    assert visit.page.locator("main script").count() == 0
    assert [w for w in visit.wrong if w.startswith("error")] == []


def test_the_keyboard_reaches_what_the_mouse_reaches(visit: Visit) -> None:
    visit.open(query("head"))
    seen = set()
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        seen.add(visit.page.evaluate("document.activeElement.tagName"))
    assert {"A", "BUTTON", "INPUT", "SELECT"} <= seen


@pytest.mark.parametrize("page", ["head", "distances", "evaluation", "heads-3d"])
def test_pictures_are_exported_and_open_again(visit: Visit, page: str, tmp_path: Path) -> None:
    visit.open(query(page))
    visit.page.wait_for_timeout(500)
    for kind in ("SVG", "PNG"):
        button = visit.page.locator("main").get_by_role("button", name=re.compile(kind)).first
        if not button.is_visible():  # in a menu
            visit.page.locator("main summary, main [aria-haspopup]").filter(
                has_text=re.compile("Export|Save")
            ).first.click()
        with visit.page.expect_download() as waiting:
            button.click()
        path = tmp_path / f"{page}.{kind.lower()}"
        waiting.value.save_as(path)
        if kind == "SVG":
            assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - our own file
        else:
            from PIL import Image

            with Image.open(path) as picture:
                assert min(picture.size) > 50
    assert visit.wrong == []


def test_a_saved_picture_holds_what_is_below_the_window(visit: Visit, tmp_path: Path) -> None:
    visit.open(query("head"))
    cells = visit.page.locator(".pattern-cell")
    cells.first.wait_for()
    assert visit.page.locator(".pattern-cell:has(canvas)").count() < cells.count()
    with visit.page.expect_download() as waiting:
        visit.page.locator("main").get_by_role("button", name="SVG").first.click()
    waiting.value.save_as(tmp_path / "head.svg")
    root = ET.parse(tmp_path / "head.svg").getroot()  # noqa: S314 - our own file
    # Each pattern is a picture of the square and one of the first token, which is set apart.
    assert len(root.findall(".//{http://www.w3.org/2000/svg}image")) == 2 * cells.count()


def test_page_policy_forbids_inline_scripts_and_other_hosts(visit: Visit) -> None:
    visit.open()
    policy = visit.page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy is not None
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
