"""The viewer in a real browser: as a file, and in the output of an executed notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import attention_motifs as am
from attention_motifs.viewer import PatternView, document
from chromium import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (document.ASSETS / "viewer.js").is_file(), reason="the viewer has not been built"
    ),
]

NOTEBOOK = "http://notebook.example/"
TOKENS = ["<b>BOS</b>", " one", " two", " three", " \u202eone", " two", " </script>", " one"]
N_LAYERS, N_HEADS, N = 3, 4, len(TOKENS)


def patterns() -> np.ndarray:
    """Return patterns whose strongest key, besides the first token, is known for each head."""
    weights = np.zeros((N_LAYERS, N_HEADS, N, N), dtype=np.float32)
    for head in range(N_HEADS):
        for query in range(N):
            weights[:, head, query, 0] += 0.6
            weights[:, head, query, max(0, query - head)] += 0.36
            weights[:, head, query, query] += 0.04
    return weights


def view() -> PatternView:
    return am.view(patterns(), TOKENS, model="org/<i>m</i>", head="L1:H2")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test on an error, a warning or a request to any host."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True)
    context.route(re.compile("^https?:"), lambda route: route.abort())
    page = context.new_page()
    page.set_default_timeout(20_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: (
            # That one is about the test, which reads pixels.
            None if "willReadFrequently" in message.text else wrong.append(message.text)
        ),
    )
    page.on(
        "request",
        lambda sent: (
            None
            if sent.url.startswith(("data:", "blob:", "file:", NOTEBOOK))
            else wrong.append(sent.url)
        ),
    )
    yield page
    context.close()
    assert not wrong


def opened(page: Page, path: Path) -> Frame:
    page.goto(view().save(path / "a folder" / "view.html").as_uri())
    page.wait_for_selector(".pattern-matrix canvas")
    return page.main_frame


def hover_cell(page: Page, frame: Frame, selector: str, query: int, key: int) -> None:
    """Move the pointer to a cell of a picture with the first token apart."""
    canvas = frame.locator(selector).first
    box = canvas.bounding_box()
    assert box is not None
    left = max(3, round(box["height"] * 0.04)) + max(1, round(box["height"] * 0.01))
    side = box["height"] - left
    page.mouse.move(box["x"] + left + (key + 0.5) * side / N, box["y"] + (query + 0.5) * side / N)


def test_one_cursor_over_matrix_map_and_text(page: Page, tmp_path: Path) -> None:
    frame = opened(page, tmp_path)
    assert frame.locator("h1").inner_text() == "org/<i>m</i>:L1:H2"
    # From the large pattern to the text and to every small one.
    before = marked_pixels(frame)
    hover_cell(page, frame, ".pattern-matrix", 6, 4)
    wait_until(frame, "document.querySelector('.token[data-query]')")
    assert frame.locator(".token[data-query]").get_attribute("data-token") == "6"
    assert frame.locator(".token[data-key]").get_attribute("data-token") == "4"
    assert "36.0 %" in frame.locator(".pattern-readout").inner_text()
    after = marked_pixels(frame)
    assert all(count == 0 for count in before)
    assert len(after) == N_LAYERS
    assert all(count > 0 for count in after)
    # From the text to the patterns: the strongest key of the token.
    frame.locator(".token[data-token='5']").hover()
    wait_until(frame, "document.querySelector('.token[data-query]')?.dataset.token === '5'")
    assert frame.locator(".token[data-key]").get_attribute("data-token") == "3"
    # From a small pattern, of another head, to the large one.
    box = frame.locator(".pattern-grid-cursor").nth(0).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] * 0.8)
    wait_until(frame, "document.querySelector('.token[data-key]')?.dataset.token === '0'")
    assert frame.locator(".viewer-readout").inner_text().startswith("L0:H0")


def marked_pixels(frame: Frame) -> list[int]:
    """Return the number of pixels of the cursor in each row of the map."""
    counts: list[int] = frame.evaluate(
        """() => [...document.querySelectorAll(".pattern-grid-cursor")].map((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((_, i) => i % 4 === 3 && data[i] > 0).length;
        })"""
    )
    return counts


def test_keys_choose_heads_move_the_cell_and_change_the_scale(page: Page, tmp_path: Path) -> None:
    frame = opened(page, tmp_path)
    frame.locator(".pattern-grid").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    title = frame.locator("h1")
    wait_until(frame, "document.querySelector('h1').textContent.endsWith('L2:H3')")
    page.keyboard.press("n")  # after the last head comes the first
    wait_until(frame, "document.querySelector('h1').textContent.endsWith('L0:H0')")
    page.keyboard.press("p")
    wait_until(frame, "document.querySelector('h1').textContent.endsWith('L2:H3')")
    assert title.inner_text().endswith("L2:H3")
    hover_cell(page, frame, ".pattern-matrix", 6, 4)
    page.mouse.down()
    page.mouse.up()
    page.keyboard.press("ArrowUp")
    wait_until(frame, "document.querySelector('.token[data-query]')?.dataset.token === '5'")
    page.keyboard.press("Escape")
    page.mouse.move(1, 1)
    wait_until(frame, "!document.querySelector('.token[data-query]')")
    before = canvas_of(frame)
    page.keyboard.press("s")
    wait_until(frame, "document.body.textContent.includes('logarithmic')")
    assert canvas_of(frame) != before
    page.keyboard.press("t")
    wait_until(frame, "document.body.textContent.includes('first token hidden')")


def canvas_of(frame: Frame) -> str:
    """Return the picture of the large pattern as text."""
    text: str = frame.evaluate(
        "document.querySelector('.pattern-matrix canvas.pattern-canvas').toDataURL()"
    )
    return text


def save(page: Page, frame: Frame, section: str, kind: str, path: Path) -> Path:
    with page.expect_download() as download:
        frame.locator(section).get_by_role("button", name=kind, exact=True).click()
    target = path / download.value.suggested_filename
    download.value.save_as(target)
    return target


def test_saved_pictures_name_the_head_the_prompt_and_the_scale(page: Page, tmp_path: Path) -> None:
    frame = opened(page, tmp_path)
    for section in (".viewer-head", ".viewer-map"):
        svg = save(page, frame, section, "SVG", tmp_path).read_text(encoding="utf-8")
        assert "<script" not in svg
        shown = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", svg))
        assert "org/&lt;i&gt;m&lt;/i&gt;" in shown
        assert "three" in shown
        assert "square-root scale" in shown
        assert "data:image/png" in svg
        with Image.open(save(page, frame, section, "PNG", tmp_path)) as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").resize((64, 64)).getcolors(4096) or []) > 20
    csv = save(page, frame, ".viewer-head", "CSV", tmp_path).read_text(encoding="utf-8")
    assert csv.startswith("query,key")


def test_output_of_an_executed_notebook_works_in_its_frame(page: Page, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    source = (
        "import numpy as np\nimport attention_motifs as am\n"
        f"am.view(np.array({patterns().tolist()}), {TOKENS!r}, model='org/<i>m</i>', head='L1:H2')"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    (output,) = [o for o in notebook.cells[0].outputs if o.output_type == "execute_result"]
    assert output.data["text/plain"] == repr(view())
    body = f"<!doctype html><meta charset=utf-8><body>{output.data['text/html']}"
    page.route(NOTEBOOK, lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(NOTEBOOK)
    page.wait_for_selector("iframe")
    frame = page.frames[-1]
    frame.wait_for_selector(".pattern-matrix canvas")
    hover_cell(page, frame, ".pattern-matrix", 6, 4)
    wait_until(frame, "document.querySelector('.token[data-key]')?.dataset.token === '4'")
    picture = save(page, frame, ".viewer-head", "SVG", tmp_path).read_text(encoding="utf-8")
    assert "L1:H2" in picture
    with Image.open(save(page, frame, ".viewer-map", "PNG", tmp_path)) as saved:
        assert saved.size[0] > 100


def test_long_prompts_are_one_canvas_and_no_table(page: Page, tmp_path: Path) -> None:
    n = 1024
    pattern = np.zeros((2, n, n), dtype=np.float32)
    pattern[:, np.arange(n), np.maximum(0, np.arange(n) - 300)] = 1
    path = am.view(pattern, [f" token{i}" for i in range(n)]).save(tmp_path / "long.html")
    page.goto(path.as_uri())
    page.wait_for_selector(".pattern-matrix canvas")
    page.wait_for_selector(".token")
    assert page.evaluate("document.querySelectorAll('*').length") < 3 * n
    page.locator(".token[data-token='700']").hover()
    wait_until(page, "document.querySelector('.token[data-key]')?.dataset.token === '400'")


def test_narrow_pages_do_not_scroll_sideways(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
