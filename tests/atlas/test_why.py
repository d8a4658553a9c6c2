from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.errors import HeadNotFoundError, InputError
from synthetic_atlas import make_synthetic_atlas

PREVIOUS, FIRST, OTHER_PREVIOUS = "synthetic-0:L0:H0", "synthetic-0:L0:H1", "org/synthetic-1:L0:H0"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("why") / "atlas", n_prompts=6, n_tokens=40)


def test_heads_of_one_kind_agree_in_their_motif(atlas: Atlas) -> None:
    found = atlas.why(PREVIOUS, OTHER_PREVIOUS, "mean")
    assert "most of all in previous token" in found.sentence
    assert "no motif differs much" in found.sentence
    assert min(found.motifs["previous token"]) > 0.6
    assert found.percentile < 20
    assert found.distance == pytest.approx(
        np.mean([p.distance for p in [*found.near_prompts, *found.far_prompts]]), rel=0.01
    )  # six prompts, three at each end
    assert all(p.head * p.other > 0 for p in found.alike)
    json.dumps(found.to_json(), allow_nan=False)


def test_heads_of_two_kinds_differ_in_both(atlas: Atlas) -> None:
    found = atlas.why(PREVIOUS, FIRST)
    assert "they differ in previous token" in found.sentence or "first token (" in found.sentence
    assert found.percentile > 20
    largest = found.apart[0]
    assert abs(largest.head - largest.other) >= abs(found.apart[-1].head - found.apart[-1].other)
    distances = [p.distance for p in found.near_prompts]
    assert distances == sorted(distances)
    assert found.far_prompts[0].distance >= found.near_prompts[-1].distance


def test_mistakes_are_named(atlas: Atlas, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="both heads are the same"):
        atlas.why(PREVIOUS, PREVIOUS)
    with pytest.raises(HeadNotFoundError):
        atlas.why(PREVIOUS, "nothing:L0:H0")
