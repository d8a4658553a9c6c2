"""The documentation site: built without a warning, complete, closed in itself, and readable."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser

import attention_motifs
from attention_motifs import errors
from attention_motifs.distances import get_metric, metric_names
from attention_motifs.features import features_of
from attention_motifs.features.registry import BUILT_IN_SETS
from attention_motifs.store.paths import ARTEFACTS
from chromium import wait_until

DOCS = Path(__file__).parents[2] / "docs"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not in this copy"),
]


@dataclass
class Site:
    """The built pages by their paths below the root."""

    root: Path

    @cached_property
    def pages(self) -> dict[str, BeautifulSoup]:
        return {
            path.relative_to(self.root).as_posix(): BeautifulSoup(
                path.read_text(encoding="utf-8"), "html.parser"
            )
            for path in sorted(self.root.rglob("*.html"))
        }

    @cached_property
    def identifiers(self) -> dict[str, set[str]]:
        return {
            name: {str(tag["id"]) for tag in page.find_all(id=True)}
            | {str(tag["name"]) for tag in page.find_all("a", attrs={"name": True})}
            for name, page in self.pages.items()
        }

    def addresses(self) -> Iterator[tuple[str, str, str]]:
        """(page, kind of tag, address) of all that pages point to or load."""
        for name, page in self.pages.items():
            for tag in page.find_all(["a", "link", "script", "img", "source", "iframe"]):
                address = tag.get("href") or tag.get("src")
                if address:
                    yield name, tag.name, str(address)

    def words(self, page: str) -> str:
        """Text of the body of a page."""
        return self.pages[page].find("article").get_text()  # type: ignore[union-attr]


BUILD_SECONDS = 240


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    log = folder / "log"
    # Into a file: Node, which the build starts, would keep a pipe open if it outlived the build.
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "-d", str(folder / "read"), str(DOCS), str(folder / "html")],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the site takes longer than {BUILD_SECONDS} s:\n{log.read_text()}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert code == 0, log.read_text()
    return Site(folder / "html")


def is_external(address: str) -> bool:
    return bool(urlsplit(address).scheme or urlsplit(address).netloc)


def test_every_page_of_the_docs_is_on_the_site_and_can_be_reached(site: Site) -> None:
    written = {
        path.relative_to(DOCS).with_suffix(".html").as_posix()
        for ending in ("*.md", "*.ipynb")
        for path in DOCS.rglob(ending)
        if "_build" not in path.parts
    }
    assert written <= set(site.pages)
    # By links alone, from the first page: what a reader can come to.
    reached, new = {"index.html"}, ["index.html"]
    while new:
        page = new.pop()
        for link in site.pages[page].find_all("a", href=True):
            target = urlsplit(str(link["href"]))
            if target.scheme or not target.path:
                continue
            path = (site.root / page).parent / unquote(target.path)
            name = path.resolve().relative_to(site.root.resolve()).as_posix()
            if name in site.pages and name not in reached:
                reached.add(name)
                new.append(name)
    assert written <= reached


def test_every_link_inside_the_site_leads_somewhere(site: Site) -> None:
    broken = []
    for page, _, address in site.addresses():
        if is_external(address):
            continue
        parts = urlsplit(address)
        path = (site.root / page).parent / unquote(parts.path) if parts.path else site.root / page
        target = path.resolve()
        if not target.is_relative_to(site.root.resolve()) or not target.is_file():
            broken.append((page, address))
            continue
        name = target.relative_to(site.root.resolve()).as_posix()
        fragment = unquote(parts.fragment)
        if fragment and name in site.pages and fragment not in site.identifiers[name]:
            broken.append((page, address))
    assert not broken


def test_links_to_other_sites_are_well_formed(site: Site) -> None:
    outside = [
        (page, address)
        for page, _, address in site.addresses()
        if is_external(address) and not address.startswith("data:image/")
    ]
    assert outside, "the sources of the method are linked"
    for page, address in outside:
        parts = urlsplit(address)
        assert parts.scheme in {"http", "https", "mailto"}, (page, address)
        assert re.fullmatch(r"[^\s<>\"{}|\\^`]+", address), (page, address)
        assert parts.scheme == "mailto" or re.fullmatch(r"[\w.-]+\.[a-z]+", parts.netloc), address


def test_nothing_is_loaded_from_another_host(site: Site) -> None:
    for page, tag, address in site.addresses():
        assert tag == "a" or not is_external(address) or address.startswith("data:"), (
            page,
            address,
        )
    for style in site.root.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text), style
        for address in re.findall(r"url\(\s*[\"']?([^\"')]+)", text):
            if not address.startswith(("data:", "#")):
                assert (style.parent / urlsplit(address).path).is_file(), (style, address)


def test_every_formula_is_set(site: Site) -> None:
    formulas = sum(len(page.select(".katex")) for page in site.pages.values())
    assert formulas > 300
    for name, page in site.pages.items():
        assert not page.select(".katex-error"), name
        # A formula that was not taken for one shows its dollars (code and tokens may have some).
        rest = copy.copy(page)
        for shown in rest.select("article .katex, article pre, article code"):
            shown.decompose()
        assert not re.search(r"\$\$|\$\\", rest.get_text()), name


def test_every_command_is_there_with_all_its_options(site: Site) -> None:
    import typer

    from attention_motifs.cli.app import app

    text = site.words("reference/commands.html")

    def check(command: object, name: str) -> None:
        inner = getattr(command, "commands", None)
        for sub, one in (inner or {}).items():
            check(one, f"{name} {sub}")
        if inner is None:
            section = text.partition(f"{name}¶")[2] or text.partition(f"{name}#")[2]
            assert section, f"{name} is not there"
            section = re.split(r"\nmotifs [\w -]+[¶#]\n", section)[0]
            for parameter in command.params:  # type: ignore[attr-defined]
                if getattr(parameter, "hidden", False):  # an older name of an option
                    continue
                for option in (*parameter.opts, *parameter.secondary_opts):
                    known = option in section or option in ("--help", "-h")
                    assert known or not option.startswith("-"), (name, option)
            examples = (command.help or "").partition("Examples:")[2]  # type: ignore[attr-defined]
            assert examples.strip().splitlines()[0].strip() in section

    check(typer.main.get_command(app), "motifs")


def test_every_public_name_is_there_with_its_words(site: Site) -> None:
    page = site.pages["reference/python.html"]
    text = " ".join(site.words("reference/python.html").split())
    for name in set(attention_motifs.__all__) - {"__version__"}:
        value = getattr(attention_motifs, name)
        assert page.find(id=f"attention_motifs.{name}"), name
        first = (value.__doc__ or "").strip().splitlines()[0].replace("`", "")
        assert " ".join(first.split()) in text, name
    for name in ("near", "distances", "embedded", "pattern", "heads", "projections"):
        assert page.find(id=f"attention_motifs.Atlas.{name}"), name


@pytest.mark.parametrize("set_name", BUILT_IN_SETS)
def test_every_feature_is_there_with_its_formula(site: Site, set_name: str) -> None:
    page = site.pages["features.html"]
    for feature in features_of(set_name):
        entry = page.find("details", id=feature.name)
        assert entry is not None, feature.name
        assert entry.select(".katex-display"), feature.name
        assert " ".join(feature.large.split()) in " ".join(entry.get_text().split())


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_is_there_with_its_formula(site: Site, name: str) -> None:
    (section,) = (
        heading.parent
        for heading in site.pages["distances.html"].find_all("h3")
        if name in [code.get_text() for code in heading.find_all("code")]
    )
    assert section is not None
    assert section.select(".katex-display")
    assert get_metric(name).blind in section.get_text()


def test_every_file_of_an_atlas_is_there(site: Site) -> None:
    names = {
        re.sub(r"<\w+>", "*", cell.get_text())
        for cell in site.pages["atlas.html"].select("td:first-child code")
    }
    for each in ARTEFACTS.values():
        assert re.sub(r"\{[^}]*\}", "*", each.pattern) in names


def test_every_kind_of_error_is_there_with_its_code(site: Site) -> None:
    rows = site.pages["troubleshooting.html"].find(id="exit-codes").find_all("tr")  # type: ignore[union-attr]
    shown = {}
    for row in rows:
        if cells := [cell.get_text() for cell in row.find_all("td")]:
            shown[int(cells[0])] = cells[1].split(", ")
    assert set(shown) == set(errors.EXIT_CODES)
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.MotifsError):
            assert name in shown[kind.exit_code]


def test_names_in_prose_link_to_the_reference(site: Site) -> None:
    targets = {
        str(link["href"])
        for link in site.pages["heads-like-mine.html"].select("article a[href]")
        if link.find("code")
    }
    assert "reference/python.html#attention_motifs.Atlas.near" in targets
    assert "reference/commands.html#motifs-near" in targets


# In a browser


@pytest.mark.timeout(600)
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window_and_wide_things_scroll(
    site: Site, browser: Browser, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    wide = {}
    for name in site.pages:
        page.goto((site.root / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        cut = page.evaluate(CUT)
        if cut or page.evaluate("document.documentElement.scrollWidth") > width:
            wide[name] = cut
    page.close()
    assert not wide


CUT = """() => [...document.querySelectorAll('article .katex, article table')].filter(tag => {
  if (!tag.offsetParent && !tag.getClientRects().length) return false;
  const edge = tag.getBoundingClientRect().right;
  for (let box = tag.parentElement; box && box.tagName !== 'ARTICLE'; box = box.parentElement) {
    const overflow = getComputedStyle(box).overflowX;
    if (['auto', 'scroll'].includes(overflow)) return false;
    if (overflow === 'hidden' && edge > box.getBoundingClientRect().right + 1) return true;
  }
  return edge > document.querySelector('article').getBoundingClientRect().right + 1;
}).map(tag => tag.textContent.slice(0, 60))"""
"""Formulas and tables that reach beyond the text without a box that scrolls."""


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("confidence", "how-sure"),
        ("sure", "how-sure"),
        ("limits", "how-sure"),
        ("own model", "own-model"),
        ("my model", "own-model"),
        ("fine-tuned", "own-model"),
    ],
)
def test_the_search_finds_pages_by_everyday_words(
    site: Site, browser: Browser, words: str, target: str
) -> None:
    page = browser.new_page()
    page.goto(f"{(site.root / 'search.html').as_uri()}?q={quote(words)}")
    wait_until(page, "/finished|Search Results/.test(document.body.innerText)")
    page.wait_for_selector("ul.search li a")
    page.wait_for_timeout(500)
    links = page.locator("ul.search li a").all()
    result = [str(link.get_attribute("href")).partition(".html")[0] for link in links]
    page.close()
    assert target in result[:5], result[:10]


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
@pytest.mark.parametrize("target", ["own-model.html", "how-sure.html"])
def test_the_first_screen_leads_to_the_first_questions(
    site: Site, browser: Browser, target: str, width: int, height: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto((site.root / "index.html").as_uri())
    box = page.locator(f"article a[href='{target}']").first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= height
    assert box["x"] + box["width"] <= width
    assert page.locator("button.copybtn").count() > 0
    page.close()


def test_what_is_generated_left_no_mark(site: Site) -> None:
    for name, page in site.pages.items():
        assert "<!-- generated" not in str(page), name
