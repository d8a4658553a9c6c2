from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.identify import (
    fit_identifier,
    identify,
    identifying_features,
    read_patterns,
)
from attention_motifs.errors import AtlasError, HeadNotFoundError, InputError
from attention_motifs.features import compute_features
from synthetic_atlas import make_synthetic_atlas, synthetic_pattern

N_TOKENS = 12


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("identify") / "atlas"
    return make_synthetic_atlas(folder, n_layers=1, n_heads=4, n_prompts=18, n_tokens=N_TOKENS)


def pattern_of(atlas: Atlas, head: str, prompt: int = 0) -> np.ndarray:
    return np.asarray(atlas.pattern(head, atlas.view_prompts()[prompt]), dtype=np.float32)


def test_patterns_name_their_kind_of_head(atlas: Atlas) -> None:
    rng = np.random.default_rng(9)
    kinds = ("previous token", "first token", "self", "uniform")
    patterns = np.stack([synthetic_pattern(kind, N_TOKENS, rng, noise=0.3) for kind in kinds])
    answers = atlas.identify(patterns, models="synthetic-0")
    assert [a.heads[0].head for a in answers] == [f"synthetic-0:L0:H{i}" for i in range(4)]
    (single,) = atlas.identify(patterns[0], 2)
    assert len(single.heads) == 2
    assert single.heads[0].head.endswith("L0:H0")


def test_torch_and_numpy_and_other_number_types_agree(atlas: Atlas) -> None:
    import torch

    pattern = pattern_of(atlas, "synthetic-0:L0:H1")
    fitted = fit_identifier(atlas)
    expected = identify(atlas, pattern, identifier=fitted)
    assert identify(atlas, torch.from_numpy(pattern), identifier=fitted) == expected
    assert identify(atlas, pattern.astype(np.float64), identifier=fitted) == expected


def test_a_longer_pattern_is_cut_to_the_prompts(atlas: Atlas) -> None:
    rng = np.random.default_rng(1)
    longer = synthetic_pattern("self", 3 * N_TOKENS, rng, noise=0.3)
    fitted = fit_identifier(atlas)
    cut = identify(atlas, longer[:N_TOKENS, :N_TOKENS], identifier=fitted)
    assert identify(atlas, longer, identifier=fitted) == cut
    identify(atlas, longer[:2, :2], identifier=fitted)  # shorter ones have an answer too


def test_short_patterns_are_compared_with_cut_ones(atlas: Atlas) -> None:
    whole, cut = fit_identifier(atlas), fit_identifier(atlas, n_tokens=7)
    assert (whole.longest, cut.longest) == (N_TOKENS, 7)
    for head in ("synthetic-0:L0:H0", "org/synthetic-1:L0:H3"):
        shown = [pattern_of(atlas, head, prompt)[:7, :7] for prompt in range(8)]
        shown = [p / p.sum(axis=1, keepdims=True) for p in shown]
        answers = identify(atlas, np.stack(shown), models=head.partition(":")[0])
        assert np.mean([a.heads[0].head == head for a in answers]) > 0.7
        # The features of the fit are those of the patterns that the atlas keeps.
        features = compute_features(np.stack(shown), identifying_features(atlas))
        ranked = cut.ranks.ranked(features[:, None], np.full(8, 7))
        mean = (ranked @ cut.whitening)[:, 0].mean(axis=0)
        assert np.allclose(mean, cut.centroids[atlas.head_index(head)], atol=1e-5)
    nearly = fit_identifier(atlas, n_tokens=N_TOKENS - 1)
    assert nearly.longest == N_TOKENS


def test_without_patterns_for_viewing_the_prompts_are_used(atlas: Atlas) -> None:
    bare = Atlas(atlas.paths, atlas.manifest)
    configuration = replace(atlas.manifest.configuration, n_view_prompts=2)
    bare.manifest = replace(atlas.manifest, configuration=configuration)
    assert fit_identifier(bare, n_tokens=7).longest == N_TOKENS


def test_a_prompt_of_the_atlas_is_left_out_of_the_fit(atlas: Atlas) -> None:
    head, prompt = "org/synthetic-1:L0:H2", atlas.prompts["prompt_id"][17]
    answer = atlas.identify_on_prompt(head, prompt, n=3)
    fitted = fit_identifier(atlas, without_prompt=prompt, whole_models=True)
    assert len(answer.heads) == 3
    assert answer == atlas.identify_on_prompt(head, prompt, n=3, identifier=fitted)
    knowing = fit_identifier(atlas, whole_models=True)
    assert answer != atlas.identify_on_prompt(head, prompt, n=3, identifier=knowing)
    assert answer.heads[0].head.endswith("L0:H2")


def test_all_heads_of_a_model_are_identified_together(atlas: Atlas) -> None:
    names = [f"synthetic-0:L0:H{i}" for i in range(4)]
    patterns = np.stack([pattern_of(atlas, name) for name in names])
    together = atlas.identify(patterns[None], models="synthetic-0")
    assert [a.heads[0].head for a in together] == names
    assert together != atlas.identify(patterns, models="synthetic-0")
    with pytest.raises(InputError, match="whole_models=True"):
        atlas.identify(patterns[None], identifier=fit_identifier(atlas))


def test_questions_about_what_the_atlas_lacks_are_refused(atlas: Atlas) -> None:
    prompt = atlas.prompts["prompt_id"][0]
    with pytest.raises(HeadNotFoundError, match="layers 0 to 0"):
        atlas.identify_on_prompt("synthetic-0:L9:H0", prompt)
    with pytest.raises(InputError, match="motifs prompts"):
        atlas.identify_on_prompt("synthetic-0:L0:H0", "no-prompt")
    with pytest.raises(InputError, match="is not in this atlas"):
        atlas.identify(pattern_of(atlas, "synthetic-0:L0:H0"), models="gpt5")
    bare = Atlas(atlas.paths, atlas.manifest)
    configuration = replace(atlas.manifest.configuration, feature_sets=("experimental",))
    bare.manifest = replace(atlas.manifest, configuration=configuration)
    with pytest.raises(AtlasError, match="neither extended nor paper"):
        bare.identify(pattern_of(atlas, "synthetic-0:L0:H0"))


def uniform(n: int = N_TOKENS) -> np.ndarray:
    return (np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]).astype(np.float32)


def with_entry(query: int, key: int, value: float) -> np.ndarray:
    pattern = uniform()
    pattern[query, key] = value
    return pattern


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [
        (with_entry(5, 2, np.nan), "NaN or infinity"),
        (with_entry(5, 2, np.inf), "NaN or infinity"),
        (with_entry(5, 2, -0.5), "negative weights"),
        (with_entry(2, 5, 0.5), "above the diagonal"),
        (with_entry(5, 2, 3.0), "sums to"),
        (np.zeros((4, 4), dtype=np.float32), "are all 0"),
        (uniform(1), "1 token"),
        (np.zeros((0, 0), dtype=np.float32), "no tokens"),
        (uniform()[:, :5], "shape"),
        (uniform()[None, None, None], "shape"),
        (uniform().astype(np.int64), "type int64"),
        (uniform().astype(str), "type"),
        ([[1.0, 0.0], [0.5, 0.5]], "type list"),
        (None, "type NoneType"),
    ],
)
def test_what_is_no_pattern_is_refused(atlas: Atlas, patterns: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        identify(atlas, patterns, identifier=fit_identifier(atlas))


def test_files_of_patterns_are_read_without_pickle(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    np.save(tmp_path / "a.npy", uniform())
    assert np.array_equal(read_patterns(tmp_path / "a.npy"), uniform())
    save_file({"first": uniform(3), "second": uniform(4)}, tmp_path / "b.safetensors")
    assert read_patterns(str(tmp_path / "b.safetensors"), "second").shape == (4, 4)
    with pytest.raises(InputError, match="first, second"):
        read_patterns(tmp_path / "b.safetensors")
    save_file({"first": uniform(3)}, tmp_path / "c.safetensors")
    assert read_patterns(tmp_path / "c.safetensors").shape == (3, 3)
    np.save(tmp_path / "d.npy", np.array([{"a": 1}], dtype=object))
    (tmp_path / "e.npy").write_bytes(b"not an array")
    (tmp_path / "f.safetensors").write_bytes(b"\xff" * 40)
    for name in ("d.npy", "e.npy", "f.safetensors"):
        with pytest.raises(InputError, match="cannot be read"):
            read_patterns(tmp_path / name)
    for name in ("none.npy", "a.pt"):
        with pytest.raises(InputError, match=name):
            read_patterns(tmp_path / name)
