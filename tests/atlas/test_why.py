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
    result = atlas.why(PREVIOUS, OTHER_PREVIOUS, "mean")
    assert "most of all in previous token" in result.sentence
    assert "no motif differs much" in result.sentence
    assert min(result.motifs["previous token"]) > 0.6
    assert result.percentile < 20
    assert result.distance == pytest.approx(
        np.mean([p.distance for p in [*result.near_prompts, *result.far_prompts]]), rel=0.01
    )  # six prompts, three at each end
    assert all(p.head * p.other > 0 for p in result.alike)
    json.dumps(result.to_json(), allow_nan=False)


def test_heads_of_two_kinds_differ_in_both(atlas: Atlas) -> None:
    result = atlas.why(PREVIOUS, FIRST)
    assert "they differ in previous token" in result.sentence or "first token (" in result.sentence
    assert result.percentile > 20
    largest = result.apart[0]
    assert abs(largest.head - largest.other) >= abs(result.apart[-1].head - result.apart[-1].other)
    distances = [p.distance for p in result.near_prompts]
    assert distances == sorted(distances)
    assert result.far_prompts[0].distance >= result.near_prompts[-1].distance


def test_mistakes_are_named(atlas: Atlas, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="both heads are the same"):
        atlas.why(PREVIOUS, PREVIOUS)
    with pytest.raises(HeadNotFoundError):
        atlas.why(PREVIOUS, "nothing:L0:H0")
