"""The tutorials run as they stand, and print what they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from documented_pages import DOCS, compare, run_page, steps_of

TUTORIALS = sorted(
    page.relative_to(DOCS).as_posix()
    for page in (DOCS / "tutorials").glob("*.md")
    if page.stem != "index"
)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("page", [*TUTORIALS, "start.md"])
def test_a_tutorial_runs_and_prints_what_it_shows(page: str, beside_demo: Path) -> None:
    run_page(DOCS / page, beside_demo)


@pytest.mark.parametrize("page", TUTORIALS)
def test_tutorials_have_something_to_run_and_show(page: str) -> None:
    steps = steps_of(DOCS / page)
    assert len(steps) >= 3
    assert any(step.printed for step in steps)


# The comparison itself


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("a 1.00 b\n", "a  1.01   b\n"),
        ("rank 3 L18:H6 0.2102", "rank 3 L18:H6 0.2115"),
        ("45 heads", "45 heads"),
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
        ("0.50 0.60", "0.50"),
    ],
)
def test_what_does_not_agree(shown: str, real: str) -> None:
    assert compare(shown, real)


def test_a_block_that_fails_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue\n```\n\n```python\nx = 1\n```\n\n```python\nx / 0\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md, line 10:(?s:.*)ZeroDivisionError"):
        run_page(page, tmp_path)
    page.write_text("```sh\nfalse\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md, line 2"):
        run_page(page, tmp_path)


def test_blocks_share_a_folder_and_a_namespace(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 2\n```\n```sh\necho 21 > n\n```\n```sh nocheck\nfalse\n```\n"
        "```python\nprint(x * int(open('n').read()))\n```\n```text\n42\n```\n"
    )
    run_page(page, tmp_path)
    page.write_text("```python\nprint(42)\n```\n```text\n43\n```\n")
    with pytest.raises(AssertionError, match="'42' is printed, '43' is shown"):
        run_page(page, tmp_path)
