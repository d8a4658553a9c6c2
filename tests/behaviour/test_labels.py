"""Label sequences: input that neither probes nor the scores of the heads table use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attention_motifs.behaviour.labels import (
    BEHAVIOURS,
    BLOCK_LENGTHS,
    N_TOKENS,
    LabelTexts,
    can_be_scored,
    detector_sequences,
    key_groups,
    label_scores,
    label_sequences,
    unseen_texts,
)
from attention_motifs.behaviour.scores import DESIGNS, score_patterns
from attention_motifs.behaviour.sequences import REPEAT_LENGTHS
from attention_motifs.errors import InputError
from attention_motifs.evaluation import LABEL_KINDS
from attention_motifs.extraction import load_model, run_tapped
from attention_motifs.models.model import LoadedModel
from attention_motifs.models.tokenizing import prefix_tokens
from attention_motifs.prompts import Prompt, load_prompts
from tiny_models import make_tiny_model


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(f"t={make_tiny_model(tmp_path_factory.mktemp('model') / 't')}")


def test_no_sequence_has_no_scores(loaded: LoadedModel) -> None:
    """All texts of an atlas may be shorter than can be scored."""
    scores = label_scores(loaded, [], lambda _: None)
    assert scores.shape == (0, loaded.info.n_layers * loaded.info.n_heads, len(BEHAVIOURS))


def test_no_length_is_that_of_a_score_or_of_a_probe() -> None:
    assert not set(BLOCK_LENGTHS) & {length for length, _ in DESIGNS}
    assert not set(BLOCK_LENGTHS) & set(REPEAT_LENGTHS)


def test_texts_are_unseen_apart_and_from_many_sources() -> None:
    prompts = load_prompts()
    seen = {prompt.prompt_id for prompt in prompts[::3]}
    texts = unseen_texts(seen)
    ids = [prompt.prompt_id for prompt in (*texts.repeated, *texts.plain)]
    assert len(set(ids)) == len(ids) == 32
    assert not set(ids) & seen
    assert len({prompt.source for prompt in (*texts.repeated, *texts.plain)}) == 32
    assert unseen_texts(seen) == texts != unseen_texts(seen, seed=1)


def test_too_few_unseen_texts_give_none() -> None:
    prompts = load_prompts()
    assert unseen_texts({prompt.prompt_id for prompt in prompts[7:]}) == LabelTexts((), ())
    eight = unseen_texts({prompt.prompt_id for prompt in prompts[8:]})
    assert len(eight.repeated) == len(eight.plain) == 4
    given = [Prompt(f"text {i}", "mine") for i in range(10)]
    assert {p.source for p in unseen_texts(set(), given).plain} == {"mine"}


def test_sequences_are_what_their_kind_says(loaded: LoadedModel) -> None:
    texts = unseen_texts(set())
    prefix = prefix_tokens(loaded)
    drawn = {
        kind: label_sequences(loaded, kind, prefix=prefix, texts=texts) for kind in LABEL_KINDS
    }
    start = len(prefix)
    for i, row in enumerate(drawn["random tokens"]):
        k = BLOCK_LENGTHS[i % len(BLOCK_LENGTHS)]
        assert len(row) == N_TOKENS
        assert (row[start + k :] == row[start:-k]).all()
        assert len(set(row[start : start + k])) == k
    for row in drawn["repeated text"]:
        half = (len(row) - start) // 2
        assert (row[start : start + half] == row[start + half :]).all()
    for row, prompt in zip(drawn["plain text"], texts.plain, strict=True):
        ids = loaded.tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
        assert row[start:].tolist() == ids[: N_TOKENS - start]
    with pytest.raises(InputError):
        label_sequences(loaded, "songs", prefix=prefix, texts=texts)


def test_a_short_context_is_used_or_refused(tmp_path: Path) -> None:
    short = load_model(f"s={make_tiny_model(tmp_path / 's', context=60)}")
    rows = label_sequences(short, "random tokens", prefix=(0,), texts=LabelTexts((), ()))
    assert {len(row) for row in rows} == {60}
    shorter = load_model(f"s={make_tiny_model(tmp_path / 'r', context=40)}")
    with pytest.raises(InputError, match="40 tokens"):
        label_sequences(shorter, "random tokens", prefix=(0,), texts=LabelTexts((), ()))


def test_scores_are_those_of_the_patterns(loaded: LoadedModel) -> None:
    import torch

    rng = np.random.default_rng(0)
    rows = [np.tile(rng.integers(5, 50, size=12), 2), np.tile(rng.integers(5, 50, size=10), 3)]
    steps: list[int] = []
    scores = label_scores(loaded, [*rows, rows[0]], steps.append)
    assert sum(steps) == 3
    assert scores.shape == (3, loaded.info.n_layers * loaded.info.n_heads, len(BEHAVIOURS))
    np.testing.assert_allclose(scores[0], scores[2], rtol=1e-5, atol=1e-6)
    for row, result in zip(rows, scores, strict=False):
        layers: list[np.ndarray] = []

        def keep(_layer: int, weights: torch.Tensor, row=row, layers: list = layers) -> None:
            layers.append(score_patterns(weights[0].numpy(), row))

        run_tapped(loaded, torch.from_numpy(row)[None], keep)
        expected = np.concatenate(layers)[:, : len(BEHAVIOURS)]
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_the_detector_reads_prompts_with_a_repeated_token() -> None:
    rows = [list(range(20)), [*range(12), 3], [1, 2, 3, 3]] + [
        [*range(15), 1 + i % 14] for i in range(50)
    ]
    chosen = detector_sequences(rows)
    assert len(chosen) == 32
    assert all(can_be_scored(row) for row in chosen)
    assert detector_sequences([list(range(20))]) == []


def test_key_groups_are_those_of_the_configuration(loaded: LoadedModel) -> None:
    assert key_groups(loaded) == loaded.info.n_heads
