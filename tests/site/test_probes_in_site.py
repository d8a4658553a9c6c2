"""Probes in an exported site: a group of their own, with patterns and tokens and without points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.site.export import export_site
from exported_site import manifest_of, read_json, stored_patterns


@pytest.fixture(scope="module")
def site(built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    export_site(built, out)
    return out


def test_probes_come_after_all_prompts(site: Path, built: Atlas) -> None:
    manifest = manifest_of(site)
    prompts = read_json(site, manifest["prompts"])
    n = len(built.prompts)
    assert [p["group"] for p in prompts] == ["prompts"] * n + ["probes"] * 3
    assert [p["id"] for p in prompts[n:]] == built.view_probes()
    assert [p["n_tokens"] for p in prompts[n:]] == [[40, 40]] * 3
    assert all(p["text"] for p in prompts)
    assert manifest["points"]["n_prompts"] == n


def test_patterns_and_tokens_of_probes_are_those_of_the_atlas(site: Path, built: Atlas) -> None:
    manifest = manifest_of(site)
    prompts = read_json(site, manifest["prompts"])
    seen = set()
    for code, model in enumerate(manifest["models"]):
        tokens = read_json(site, model["tokens"])
        table = built.probe_sequences(model["name"])
        for row in table.iter_rows(named=True):
            place = next(i for i, p in enumerate(prompts) if p["id"] == row["prompt_id"])
            assert tokens["tokens"][tokens["prompts"].index(place)] == row["tokens"]
        for (head, place), packed in stored_patterns(site, manifest, code).items():
            layer, index = divmod(head, model["n_heads"])
            expected = built.triangles(model["name"], prompts[place]["id"])[layer, index]
            np.testing.assert_array_equal(packed, expected)
            seen.add((code, head, place))
    n_shown = len(built.view_prompts()) + len(built.view_probes())
    assert len(seen) == len(built.heads) * n_shown
