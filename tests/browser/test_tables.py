"""The pages of features, evaluation, ablation and the method, in a real browser."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.conftest import Visit

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(600)]


def saved_csv(visit: Visit, where: str, path: Path) -> list[dict[str, str]]:
    """Rows of the CSV that a part of the page saves."""
    with visit.page.expect_download() as waiting:
        visit.page.locator(where).get_by_role("button", name="CSV", exact=True).click()
    waiting.value.save_as(path)
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_features_are_searched_and_opened_and_back_goes_back(visit: Visit) -> None:
    from attention_motifs import feature_names

    names = feature_names(["paper", "extended"])
    visit.open("?page=features")
    listed = visit.page.locator(".features-list li a")
    expect(listed).to_have_count(len(names))
    visit.page.get_by_label("Search features by name and meaning").fill("first_tok")
    expected = [name for name in names if "first_tok" in name]
    expect(listed).to_have_count(len(expected))
    listed.filter(has_text=re.compile(rf"^{re.escape(expected[-1])}$")).click()
    expect(visit.page.locator("article h2")).to_have_text(expected[-1])
    visit.page.reload()
    expect(visit.page.locator("article h2")).to_have_text(expected[-1])
    visit.page.go_back()
    expect(visit.page.locator("article h2")).to_have_text(names[0])
    assert visit.wrong == []


def test_a_features_histogram_counts_every_pattern(visit: Visit, tmp_path: Path) -> None:
    visit.open("?page=features&feature=diag.mean")
    counts = saved_csv(visit, ".features-title", tmp_path / "histogram.csv")
    manifest = visit.page.evaluate("fetch('data/manifest.json').then(a => a.json())")
    assert sum(int(row["patterns"]) for row in counts) == manifest["n_patterns"]
    # Formulas are set, not shown as LaTeX.
    expect(visit.page.locator(".features-formula math")).to_have_count(1)
    assert visit.wrong == []


def test_the_matrix_of_features_is_walked_by_keys(visit: Visit) -> None:
    visit.open("?page=features&feature=diag.mean")
    field = visit.page.get_by_role("application", name=re.compile("correlation of"))
    field.focus()
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("ArrowRight")
    status = visit.page.locator(".grid-canvas-status")
    expect(status).to_contain_text("diag.median · diag.median: 1")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("article h2")).to_have_text("diag.median")
    assert visit.wrong == []


def test_the_evaluation_holds_every_row_and_filters(
    visit: Visit, demo: Path, tmp_path: Path
) -> None:
    visit.open("?page=evaluation")
    stored = demo / "evaluation.json"
    if not stored.is_file():
        expect(visit.page.locator("main")).to_contain_text("motifs evaluate")
        return
    evaluation = json.loads(stored.read_text())
    if "schema_version" not in evaluation:
        expect(visit.page.locator("main")).to_contain_text("motifs evaluate")
        return
    metric = visit.page.locator("main select").first.input_value()
    rows = saved_csv(visit, "main", tmp_path / "evaluation.csv")
    of_metric = [row for row in evaluation["rows"] if row["metric"] == metric]
    assert len(rows) == len(of_metric) + len(evaluation["too_few"])
    answers = visit.page.locator(".evaluation-headline li, .evaluation-lead")
    expect(answers).to_have_count(len(evaluation["answer"]))
    visit.open("?page=evaluation&statistics=MAP&layout=beside")
    shown = visit.page.locator(".evaluation-table tbody tr")
    named = {
        (row["model"], row["name"], row["kind"])
        for row in evaluation["rows"]
        if row["statistic"] == "MAP"
    }
    expect(shown).to_have_count(len(named))
    assert visit.wrong == []


def test_without_ablations_the_page_names_the_command(visit: Visit, demo: Path) -> None:
    visit.open("?page=ablation")
    if (demo / "ablations.parquet").is_file():
        expect(visit.page.locator(".ablation-table tbody tr").first).to_be_visible()
    else:
        expect(visit.page.locator("main code").first).to_contain_text("motifs ablate")
    assert visit.wrong == []


def test_the_method_names_settings_and_licences(visit: Visit) -> None:
    visit.open("?page=about")
    text = visit.page.locator("main").inner_text()
    manifest = visit.page.evaluate("fetch('data/manifest.json').then(a => a.json())")
    for model in manifest["models"]:
        assert model["licence"] in text
    for name in manifest["settings"]:
        assert name in text
    assert "@misc{ivanitskiy2025motifs" in text
    assert visit.wrong == []
