"""Queries by patterns of a head instead of its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.cli import main
from attention_motifs.errors import InputError
from synthetic_atlas import MOTIFS, make_synthetic_atlas, synthetic_pattern

N_PROMPTS, N_TOKENS = 8, 12


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    path = tmp_path_factory.mktemp("near") / "atlas"
    return make_synthetic_atlas(path, n_prompts=N_PROMPTS, n_tokens=N_TOKENS)


def patterns_of(row: int, noise: float = 0.3) -> np.ndarray:
    """Return the patterns of a head of the first model on all prompts, as the atlas has them."""
    layer, head = divmod(row, 2)
    kind = MOTIFS[row % len(MOTIFS)]
    draws = [np.random.default_rng((0, 0, p, layer, head)) for p in range(N_PROMPTS)]
    noise = 0.3 + 0.4 * layer / 3 if noise == 0.3 else noise
    return np.stack([synthetic_pattern(kind, N_TOKENS, rng, noise) for rng in draws])


@pytest.mark.parametrize("row", [0, 3])
def test_own_patterns_on_the_prompts_of_the_atlas_are_the_head(atlas: Atlas, row: int) -> None:
    found = atlas.near(patterns=patterns_of(row), n=4, metric="mean")
    head = atlas.heads["head"][row]
    assert found["head"][0] == head
    assert found["distance"][0] == pytest.approx(0, abs=1e-3)
    others = atlas.near(head, n=3, metric="mean")
    assert found["head"][1:].to_list() == others["head"].to_list()
    np.testing.assert_allclose(found["distance"][1:], others["distance"], atol=1e-3)
    assert found["rank"].to_list() == [1, 2, 3, 4]


def test_patterns_on_any_prompts_find_heads_of_their_kind(atlas: Atlas) -> None:
    rng = np.random.default_rng(5)
    given = [synthetic_pattern("previous token", n, rng) for n in (12, 10, 12)]
    kinds = [MOTIFS[(r["layer"] * 2 + r["index"]) % 6] for r in atlas.heads.to_dicts()]
    kind_of = dict(zip(atlas.heads["head"], kinds, strict=True))
    found = atlas.near(patterns=given, n=2)
    assert {kind_of[head] for head in found["head"]} == {"previous token"}
    assert found["distance"].is_sorted()
    assert found["p"].null_count() == found["percentile"].null_count() == 2
    one_model = atlas.near(patterns=given[0], n=50, models=atlas.models[1])
    assert set(one_model["model"]) == {atlas.models[1]}
    assert len(one_model) == 6


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "give a head or patterns"),
        ({"head": "synthetic-0:L0:H0", "patterns": patterns_of(0)}, "give a head or patterns"),
        ({"patterns": patterns_of(0)[:3], "metric": "mean"}, "8 prompts .* 3 patterns are given"),
        ({"patterns": patterns_of(0), "metric": "recommended"}, "it is a preset"),
        ({"patterns": patterns_of(0), "metric": "cosinus"}, "cosinus"),
        ({"patterns": patterns_of(0)[None]}, "4 axes"),
        ({"patterns": []}, "no pattern is given"),
        ({"patterns": 3}, "patterns are a int"),
        ({"patterns": [np.full((4, 4), np.nan)]}, "NaN"),
        ({"patterns": patterns_of(0), "models": "gpt9"}, "gpt9"),
        ({"patterns": patterns_of(0), "tokens": [["a"]]}, "those of 1 prompts"),
        ({"patterns": patterns_of(0), "n": 0}, "n"),
    ],
)
def test_mistakes_are_named(atlas: Atlas, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        atlas.near(**arguments)


def test_the_command_line_reads_a_file(
    atlas: Atlas,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["motifs", "near", *arguments, "--atlas", str(atlas.path)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((printed.out + printed.err).split())

    file = tmp_path / "patterns.npy"
    np.save(file, patterns_of(2))
    options = ("--patterns", str(file), "--metric", "mean")
    code, text = run(*options, "-n", "1")
    assert code == 0
    assert atlas.heads["head"][2] in text
    code, text = run(*options, "--layers", "1")
    assert code != 0
    assert "--layers cannot be used with --patterns" in text
    code, text = run()
    assert code != 0
    assert "HEAD is missing" in text
