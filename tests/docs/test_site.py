"""The documentation site: built without a warning, whole, and closed in itself."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

import attention_motifs
from attention_motifs.features import features_of
from attention_motifs.features.registry import BUILT_IN_SETS

DOCS = Path(__file__).parents[2] / "docs"

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not in this copy")


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    done = subprocess.run(
        [*command, "-d", str(folder / "read"), str(DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
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
    outside = [(page, address) for page, _, address in site.addresses() if is_external(address)]
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
    pages = {"experimental": "experimental-features.html"}
    page = site.pages[pages.get(set_name, f"reference/features-{set_name.replace('_', '-')}.html")]
    text = page.find("article").get_text()  # type: ignore[union-attr]
    features = features_of(set_name)
    assert len(page.select(".katex-display")) >= len(features)
    for feature in features:
        assert feature.name in text
    if set_name not in pages:
        for feature in features:
            assert " ".join(feature.large.split()) in " ".join(text.split()), feature.name


def test_every_part_of_the_package_is_on_the_page_of_the_code(site: Site) -> None:
    text = site.words("code.html")
    root = Path(attention_motifs.__file__).parent
    for path in root.iterdir():
        if path.suffix == ".py" and path.stem != "__init__":
            assert path.name in text
        elif (path / "__init__.py").is_file():
            assert f"{path.name}/" in text


def test_what_is_generated_left_no_mark(site: Site) -> None:
    for name, page in site.pages.items():
        assert "<!-- generated" not in str(page), name
