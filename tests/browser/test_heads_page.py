"""The page of all heads in a real browser: sorted, filtered and saved as the atlas has them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import expect

from attention_motifs import Atlas
from browser.conftest import Visit
from chromium import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]

SHARE = "previous token share"


@pytest.fixture(scope="module")
def heads(demo: Path) -> pl.DataFrame:
    return Atlas.open(demo).heads


def first_cells(visit: Visit) -> list[str]:
    return visit.page.locator(".heads-table tbody tr td:first-child").all_inner_texts()


def status(visit: Visit) -> str:
    return visit.page.locator(".heads-table").get_by_role("status").inner_text()


def saved(visit: Visit, path: Path) -> pl.DataFrame:
    """Rows of the CSV that the page saves."""
    with visit.page.expect_download() as waiting:
        visit.page.locator(".heads-table").get_by_role("button", name="CSV", exact=True).click()
    waiting.value.save_as(path)
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    return pl.DataFrame(rows)


def test_all_heads_are_listed_and_saved_with_their_numbers(
    visit: Visit, heads: pl.DataFrame, tmp_path: Path
) -> None:
    visit.open("?page=heads")
    assert status(visit) == str(len(heads))
    table = saved(visit, tmp_path / "heads.csv")
    assert table["head"].to_list() == heads["head"].to_list()
    values = table[SHARE].cast(pl.Float64).to_numpy()
    assert values == pytest.approx(heads[SHARE].to_numpy(), abs=5e-4)  # stored as float16
    assert visit.wrong == []


def test_the_heads_are_sorted_by_a_motif_and_a_head_opens(
    visit: Visit, heads: pl.DataFrame
) -> None:
    visit.open("?page=heads")
    heading = visit.page.get_by_role("columnheader", name=re.compile("^previous token( [▲▼])?$"))
    while heading.get_attribute("aria-sort") != "descending":
        heading.get_by_role("button").click()
    best = heads.sort(SHARE, descending=True)["head"].to_list()
    assert first_cells(visit)[:5] == best[:5]
    visit.page.reload()
    visit.settle()
    assert first_cells(visit)[:5] == best[:5], "the order is part of the address"
    visit.page.get_by_role("link", name=best[0], exact=True).click()
    expect(visit.page.locator("h1")).to_contain_text(best[0])
    visit.page.go_back()
    expect(visit.page.locator("h1")).to_have_text("All heads")
    assert visit.wrong == []


def test_the_heads_are_filtered_by_model_motif_and_text(visit: Visit, heads: pl.DataFrame) -> None:
    visit.open("?page=heads")
    model = heads["model"][0]
    visit.page.locator("summary", has_text="Models").click()
    visit.page.get_by_role("checkbox", name=model).check()
    visit.page.get_by_label("Motif").select_option("previous token")
    visit.page.get_by_label("At least, %").fill("30")
    visit.page.get_by_label("At least, %").press("Enter")
    expected = heads.filter((pl.col("model") == model) & (pl.col(SHARE) >= 0.3))["head"].to_list()
    assert 0 < len(expected) < len(heads)
    wait_until(visit.page, "location.search.includes('least=30')")
    expect(visit.page.locator(".heads-table tbody tr")).to_have_count(len(expected))
    assert sorted(first_cells(visit)) == sorted(expected)
    visit.page.get_by_label("Filter heads").fill(expected[-1])
    expect(visit.page.locator(".heads-table tbody tr")).to_have_count(
        sum(expected[-1] in name for name in expected)
    )
    assert visit.wrong == []


def test_a_verdict_counts_its_heads(visit: Visit) -> None:
    visit.open("?page=heads")
    verdicts = visit.page.locator("details", has=visit.page.locator("summary", has_text="Verdicts"))
    verdicts.locator("summary").click()
    choice = verdicts.locator(".many-list label").first
    count = int(choice.locator(".muted").inner_text())
    choice.locator("input").check()
    n_heads = int(status(visit).rpartition(" ")[2])
    assert count == min(n_heads, int(status(visit).partition(" ")[0]))
    expect(visit.page.locator(".heads-table tbody tr")).to_have_count(min(100, count))
    assert visit.wrong == []
