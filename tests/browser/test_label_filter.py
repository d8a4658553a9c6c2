"""Prompts of the pages filtered by their labels, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from attention_motifs import Atlas
from attention_motifs.atlas.prompt_labels import labels_of
from browser.conftest import Visit
from chromium import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]

HEAD = "smollm2-135m-instruct:L18:H6"


@pytest.fixture(scope="module")
def sources(demo: Path) -> list[str]:
    """Source of each prompt that can be viewed."""
    atlas = Atlas.open(demo)
    return [labels["source"] for labels in labels_of(atlas)[: len(atlas.view_prompts())]]


def shown_prompts(visit: Visit) -> int:
    """Count the prompts, without probes, of which the head page shows patterns."""
    headings = visit.page.locator(".pattern-rows .prompt-label")
    return headings.filter(has_not=visit.page.locator(".prompt-group")).count()


def test_the_head_page_shows_the_prompts_of_a_source(visit: Visit, sources: list[str]) -> None:
    source = sources[0]
    visit.open(f"?page=head&head={HEAD}&n_prompts=50")
    assert shown_prompts(visit) == len(sources)
    filters = visit.page.get_by_role("group", name="Prompts with labels")
    sources_list = filters.locator("details", has=visit.page.locator("summary", has_text="source"))
    sources_list.locator("summary").click()
    sources_list.get_by_role("checkbox", name=source).check()
    wait_until(visit.page, "location.search.includes('where=')")
    expect(filters.get_by_role("status")).to_have_text(
        f"{sources.count(source)} of {len(sources)} prompts"
    )
    assert shown_prompts(visit) == sources.count(source)
    visit.page.reload()
    visit.settle()
    assert shown_prompts(visit) == sources.count(source), "the filter is part of the address"
    visit.page.go_back()
    wait_until(visit.page, "!location.search.includes('where=')")
    visit.settle()
    assert shown_prompts(visit) == len(sources)
    assert visit.wrong == []


@pytest.mark.parametrize("page", ["compare", "pattern", "clusters", "patterns-3d"])
def test_a_label_that_no_prompt_has_is_said_and_taken_back(visit: Visit, page: str) -> None:
    visit.open(f"?page={page}&head={HEAD}&heads={HEAD}&where=genre%3Dunheard")
    for summary in visit.page.locator("summary", has_text="Prompts").all():
        summary.click()
    expect(visit.page.get_by_text("No prompt here has these labels").first).to_be_visible()
    visit.page.get_by_role("button", name="All prompts").first.click()
    wait_until(visit.page, "!location.search.includes('where=')")
    assert visit.wrong == []
