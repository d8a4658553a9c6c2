"""The page of ablations, and a head's effects, on a small atlas with made-up measurements."""

from __future__ import annotations

import csv
import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.ablation_table import table_of
from attention_motifs.head import HeadId
from attention_motifs.site.export import export_site
from attention_motifs.stages.ablation import rows as rows_of
from attention_motifs.stages.ablation.targets import Target, near_heads
from attention_motifs.store import files
from browser.conftest import Visit, visiting
from synthetic_atlas import make_synthetic_atlas

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MODEL, ANCHOR = "synthetic-0", "synthetic-0:L0:H1"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Ablated:
    """An exported site, and the table that it shows."""

    address: str
    table: pl.DataFrame


@pytest.fixture(scope="module")
def ablated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ablated]:
    atlas = make_synthetic_atlas(tmp_path_factory.mktemp("ablated") / "atlas", n_heads=4)
    table = rows_of.corrected(table_of(made_up_rows(atlas)))
    files.write_parquet(atlas.file("ablations").path, table)
    folder = export_site(atlas).path
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Ablated(f"http://127.0.0.1:{server.server_port}/", table)
    server.shutdown()


def made_up_rows(atlas: Atlas) -> list[dict[str, object]]:
    """A sweep of one model, and a set with its controls, of random effects."""
    heads = [HeadId(MODEL, layer, i) for layer in range(3) for i in range(4)]
    layer = np.array([head.layer for head in heads])
    generator = np.random.default_rng(0)
    clean = np.full((12, 6), 2.0)
    effects = generator.exponential(size=(12, 1)) ** 2 + 0.1 * generator.normal(size=(12, 6))
    constant = {
        "model": MODEL,
        "method": "mean",
        "design": "repeated",
        "seed": 0,
        "n_sequences": 6,
        "n_positions": 8,
    }
    rows: list[dict[str, object]] = []
    sweep = rows_of.Measured("loss", clean, clean + effects, {**constant, "experiment": "sweep"})
    rows += rows_of.head_rows(sweep, heads, layer)
    groups = [Target("a <b>class</b>", tuple(heads[:3])), near_heads(atlas, ANCHOR, 3, "mean")]
    rows += [rows_of.group_row(sweep, heads, layer, group) or {} for group in groups]
    distances = np.asarray(atlas.distances("mean"))[atlas.head_index(ANCHOR)]
    expected_values = np.array([distances[atlas.head_index(head)] for head in heads], dtype=float)
    rows.append(rows_of.distance_row(sweep, heads, layer, expected_values, ANCHOR, "mean"))
    together = rows_of.Measured(
        "loss", clean[:5], clean[:5] + effects[:5], {**constant, "experiment": "pair"}
    )
    controls = [(heads[i], heads[4 + i]) for i in range(4)]
    rows += rows_of.set_rows(together, Target("pair", (heads[0], heads[5])), controls)
    return rows


@pytest.fixture
def page(browser: Browser, ablated: Ablated) -> Iterator[Visit]:
    with visiting(browser, ablated.address) as built:
        yield built


def test_every_effect_is_listed_sorted_and_saved(
    page: Visit, ablated: Ablated, tmp_path: Path
) -> None:
    page.open("?page=ablation")
    n_tested = ablated.table["n_tested"][0]
    family = ablated.table["family"][0]
    expect(page.page.locator("main")).to_contain_text(f"{family} ({n_tested})")
    shown = page.page.locator(".ablation-table tbody tr")
    listed = ablated.table.filter(~pl.col("control"))
    expect(shown).to_have_count(len(listed))
    largest = listed.filter(pl.col("kind") == "head").sort("effect", descending=True)["name"][0]
    expect(shown.first).to_contain_text(largest)
    with page.page.expect_download() as waiting:
        page.page.locator(".ablation-table").get_by_role("button", name="CSV", exact=True).click()
    waiting.value.save_as(tmp_path / "effects.csv")
    saved = list(csv.DictReader((tmp_path / "effects.csv").read_text("utf-8").splitlines()))
    heads = {row["name"]: float(row["effect"]) for row in saved if row["kind"] == "head"}
    expected = dict(
        ablated.table.filter(pl.col("kind") == "head").select("name", "effect").iter_rows()
    )
    assert heads == pytest.approx(expected)
    # The name of a class is text, whatever it holds.
    expect(page.page.locator(".ablation-table b")).to_have_count(0)
    expect(page.page.locator(".ablation-table")).to_contain_text("a <b>class</b>")
    shown.first.get_by_role("link").first.click()
    expect(page.page.locator("h1")).to_contain_text(largest)
    assert page.wrong == []


def test_groups_sets_and_the_scatter_are_drawn_with_their_controls(page: Visit) -> None:
    page.open("?page=ablation&group=tested")
    expect(page.page.locator("div.chart .chart-band")).to_have_count(3)  # two groups and the set
    expect(page.page.locator(".chart-dots-muted")).to_have_count(1)
    expect(page.page.locator(".chart-dots-strong")).to_have_count(1)
    table = page.page.locator(".ablation-correlations tbody tr")
    expect(table).to_have_count(1)
    expect(table).to_contain_text("95 %")
    page.page.get_by_label("Scale").select_option("linear")
    assert "scale=linear" in page.page.url
    page.settle()
    assert page.wrong == []


def test_the_head_page_has_the_effect_with_its_interval(page: Visit, ablated: Ablated) -> None:
    page.open(f"?page=head&head={ANCHOR}")
    row = ablated.table.row(
        by_predicate=(pl.col("name") == ANCHOR) & (pl.col("kind") == "head"), named=True
    )
    page.settle()  # the evidence above the effects is there
    page.page.get_by_role("region", name="Ablation").scroll_into_view_if_needed()
    effects = page.page.get_by_role("list", name=f"Effects of ablating {ANCHOR}")
    expect(effects).to_contain_text(f"{row['effect']:.3g}".replace("-", "\u2212"))
    drawn = effects.get_by_label("95 %")
    expect(drawn.first).to_be_visible()
    expect(page.page.locator(".head-effects")).to_contain_text(f"of {row['n_tested']}")
    assert page.wrong == []
