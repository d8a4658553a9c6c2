"""Pages run as they stand, print what they show, and stay within their bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from attention_motifs.clustering import read_names
from attention_motifs.literature import load_known_heads
from documented_pages import DOCS, compare, run_pages, steps_of

ROOT = DOCS.parent
PAGES = sorted(
    path
    for ending in ("*.md", "*.ipynb")
    for path in DOCS.rglob(ending)
    if "_build" not in path.parts and ".ipynb_checkpoints" not in path.parts
)
INCLUDED = {"contributing.md", "changelog.md", "measurements.md"}
"""Files of the repository that are pages of the site too."""
NEED_NOTHING = ("method", "distances", "evaluation", "maps", "known-heads", "scale",
                "reference/python", "reference/commands")  # fmt: skip
NEED_THE_DEMO = ("../README", "index", "start", "own-model", "heads-like-mine", "how-sure",
                 "explain", "figures", "features", "atlas",
                 "troubleshooting")  # fmt: skip


def path_of(page: str) -> Path:
    return (DOCS / f"{page}.md").resolve()


@pytest.mark.slow
def test_pages_that_need_no_atlas_run_and_print_what_they_show(tmp_path: Path) -> None:
    run_pages([path_of(page) for page in NEED_NOTHING], tmp_path)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("page", NEED_THE_DEMO)
def test_a_page_on_the_demo_runs_and_prints_what_it_shows(page: str, beside_demo: Path) -> None:
    run_pages([path_of(page)], beside_demo)


def test_every_page_with_something_to_run_is_run() -> None:
    run = {path_of(page) for page in (*NEED_NOTHING, *NEED_THE_DEMO)}
    for path in PAGES:
        if path.suffix == ".md" and path.name not in INCLUDED:
            assert path in run or not steps_of(path), path


def test_the_documentation_keeps_its_size() -> None:
    pages = [path for path in PAGES if path.name not in INCLUDED]
    assert len(pages) <= 25, "when a page joins, another one goes"
    words = sum(len(p.read_text(encoding="utf-8").split()) for p in pages if p.suffix == ".md")
    assert words <= 20_000


@pytest.mark.parametrize(
    ("page", "block", "read"),
    [
        ("maps", 0, read_names),
        ("known-heads", 0, load_known_heads),
        ("../CONTRIBUTING", 0, load_known_heads),
    ],
)
def test_the_files_shown_are_read(
    page: str, block: int, read: Callable[[Path], object], tmp_path: Path
) -> None:
    blocks = re.findall(r"```json\n(.*?)```", path_of(page).read_text("utf-8"), re.DOTALL)
    path = tmp_path / "shown.json"
    path.write_text(blocks[block], encoding="utf-8")
    assert read(path)


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", "docs/index.md"]
)
def test_links_of_pages_that_a_forge_shows_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (path.parent / link.partition("#")[0]).is_file(), link


def test_pictures_have_words_for_those_who_cannot_see_them() -> None:
    for page in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        for words, name in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text("utf-8")):
            assert (page.parent / name).is_file(), (page.name, name)
            assert len(words) > 10, (page.name, name)


# The comparison itself


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("a 1.00 b\n", "a  1.01   b\n"),
        ("rank 3 L18:H6 0.2102", "rank 3 L18:H6 0.2115"),
        ("p 0.001", "p 0.002"),
        ("one\n...\n", "one\ntwo\nthree\n"),
        ("│ 0.26 ┆ 45 │\n└───┴──┘", "│ 0.261 ┆ 45 │\n└────┴──┘"),
        ("(0.50,", "(0.51,"),
    ],
)
def test_what_agrees(shown: str, real: str) -> None:
    assert not compare(shown, real)


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("a 1.00 b", "a 1.05 b"),
        ("rank 3 L18:H6 0.2102", "rank 3 L18:H7 0.2102"),
        ("45 heads", "46 heads"),
        ("one\ntwo", "one"),
        ("one\n...", "two\nthree"),
        ("1.00", "x"),
    ],
)
def test_what_does_not_agree(shown: str, real: str) -> None:
    assert compare(shown, real)


def test_a_block_that_fails_or_prints_something_else_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue\n```\n\n```python\nx = 1\n```\n\n```python\nx / 0\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md, line 10:(?s:.*)ZeroDivisionError"):
        run_pages([page], tmp_path)
    page.write_text("```sh\nfalse\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md, line 2"):
        run_pages([page], tmp_path)
    page.write_text("```python\nprint(42)\n```\n```text\n43\n```\n")
    with pytest.raises(AssertionError, match="'42' is printed, '43' is shown"):
        run_pages([page], tmp_path)


def test_blocks_of_a_page_share_a_folder_and_a_namespace(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 2\n```\n```sh\necho 21 > n\n```\n```sh nocheck\nfalse\n```\n"
        "```python\nprint(x * int(open('n').read()))\n```\n```text\n42\n```\n"
    )
    run_pages([page], tmp_path)
