"""Behaviour scores of heads on repeated random tokens, which carry no meaning.

A sequence is a prefix (BOS if the model was trained with one) and a block of distinct random
tokens that is repeated: 25 tokens four times, 50 tokens twice. After the first repetition every
token has earlier occurrences, so the attention to them, or to the tokens that followed them, can
be measured on the pattern (Olsson et al. 2022, "prefix matching"). All gaps between repetitions of
these sequences are equal. A third kind of sequence has random gaps: 12 groups of 2 to 6 distinct
tokens, then the same groups in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.behaviour.sequences import (
    common_tokens,
    repeated_sequences,
    shuffled_sequences,
)
from attention_motifs.errors import InputError, ModelError
from attention_motifs.features.arguments import whole_number
from attention_motifs.literature.behaviours import BEHAVIOURS as BEHAVIOURS
from attention_motifs.literature.behaviours import CLASS_THRESHOLDS as CLASS_THRESHOLDS
from attention_motifs.literature.behaviours import OF_OUTPUTS, OF_PATTERNS, WITH_GAPS
from attention_motifs.literature.behaviours import computed_classes as computed_classes
from attention_motifs.progress import Advance, Report, silent

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from attention_motifs.models.model import LoadedModel

DESIGNS = ((25, 4), (50, 2))
"""Block length and number of repetitions of the sequences."""

GROUP_LENGTH = 4
"""Mean tokens per group of the sequences with random gaps, which are as long as the others."""

LOCAL_WINDOW = 8
N_SEQUENCES = 16


@dataclass(frozen=True)
class BehaviourScores:
    """Scores of all heads of one model, in the order of `BEHAVIOURS`.

    Scores of outputs are NaN for a model loaded without its language-model head, or without a known
    direct path.
    """

    model: str
    mean: Float[np.ndarray, "layers heads behaviours"]
    """Mean over all sequences with equal gaps, or over those with random gaps."""
    spread: Float[np.ndarray, "layers heads behaviours"]
    """Standard deviation over the sequences (ddof 1)."""


def score_patterns(
    patterns: Float[np.ndarray, "heads n n"], tokens: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "heads behaviours"]:
    """Score the patterns of one layer on one sequence, in the order of `OF_PATTERNS`.

    Induction, duplicate token and literal prefix matching are means over queries whose token
    occurred before. The first token of the sequence is no key of the latter two, since attention to
    it is mostly that of a sink. The local window is a mean over queries from the ninth on, the
    remaining scores over queries from the third on.

    Args:
        patterns: (heads, n, n) patterns of a layer on one sequence.
        tokens: (n,) token ids of the sequence.

    Returns:
        (heads, behaviours) scores.

    Raises:
        InputError: if no token of the sequence repeats, or it is shorter than the window.
    """
    n = len(tokens)
    earlier = (tokens[:, None] == tokens[None, :]) & np.tri(n, k=-1, dtype=bool)
    repeated = earlier.any(axis=1)
    if not repeated.any() or n <= LOCAL_WINDOW:
        raise InputError(
            f"a sequence of {n} tokens cannot be scored: it needs a repeated token and more than "
            f"{LOCAL_WINDOW} tokens."
        )
    after: Bool[np.ndarray, "n n"] = np.zeros_like(earlier)
    after[:, 1:] = earlier[:, :-1]
    before: Bool[np.ndarray, "n n"] = np.zeros_like(earlier)
    before[:, :-1] = earlier[:, 1:]
    # The first token takes attention whatever it is: as a key it would measure the sink.
    earlier[:, 0] = before[:, 0] = False
    query, key = np.arange(n)[:, None], np.arange(n)[None, :]
    offset = query - key
    window = (offset >= 0) & (offset < LOCAL_WINDOW) & (key > 0)
    late = np.arange(n) >= 2  # earlier, attention to the first token is attention to the previous
    columns = [
        _mass(patterns, after, repeated),
        _mass(patterns, earlier, earlier.any(axis=1)),
        _mass(patterns, offset == 1, late),
        _mass(patterns, (key == 0) & (offset >= 0), late),
        _mass(patterns, offset == 0, late),
        _mass(patterns, window, np.arange(n) >= LOCAL_WINDOW),
        _mass(patterns, before, np.asarray(before.any(axis=1))),
    ]
    return np.stack(columns, axis=1)


def _mass(
    patterns: Float[np.ndarray, "heads n n"],
    where: Bool[np.ndarray, "n n"],
    queries: Bool[np.ndarray, " n"],
) -> Float[np.ndarray, " heads"]:
    """Return the attention to the keys in `where`, averaged over the queries; 0 without any."""
    if not queries.any():
        return np.zeros(len(patterns))
    return np.asarray(np.einsum("hij,ij->hi", patterns, where)[:, queries].mean(axis=1))


def behaviour_scores(
    loaded: LoadedModel,
    *,
    prefix: Sequence[int],
    seed: int = 0,
    n_sequences: int = N_SEQUENCES,
    designs: Sequence[tuple[int, int]] = DESIGNS,
    report: Report = silent,
) -> BehaviourScores:
    """Score every head of a model: its patterns on repeated random tokens, and its outputs.

    Args:
        loaded: the model, with its language-model head to score outputs.
        prefix: token ids put before each sequence, such as BOS; empty if prompts have none.
        seed: seed for the draw of tokens, 0 or more.
        n_sequences: number of sequences per design.
        designs: block length and number of repetitions of each design with equal gaps.
        report: shows progress.

    Returns:
        Mean and spread of every score for every head.

    Raises:
        InputError: if the sequences are longer than the context of the model, or the built-in
            prompts have too few different tokens.
    """
    n_repeated = max(length * times for length, times in designs)
    longest = n_repeated + len(prefix)
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    if isinstance(context, int) and context < longest:
        raise InputError(
            f"{loaded.info.name}: the behaviour cannot be scored, since the context of {context} "
            f"tokens is shorter than the sequences of {longest}."
        )
    rng = np.random.default_rng(whole_number(seed, "seed"))
    vocabulary = common_tokens(loaded)
    equal_gaps = [
        repeated_sequences(vocabulary, length, times, n_sequences, rng, prefix)
        for length, times in designs
    ]
    # A stream of its own, so that the other scores do not depend on it.
    gaps_rng = np.random.default_rng([seed, *b"gaps"])
    n_groups = n_repeated // (2 * GROUP_LENGTH)
    random_gaps = shuffled_sequences(
        vocabulary, GROUP_LENGTH, n_groups, n_sequences, gaps_rng, prefix
    )
    title = f"behaviour of {loaded.info.name}"
    with report(title, (len(designs) + 1) * n_sequences) as advance:
        scores = np.concatenate([_pattern_scores(loaded, rows, advance) for rows in equal_gaps])
        with_gaps = _pattern_scores(loaded, random_gaps, advance)[..., : len(WITH_GAPS)]
    parts = [scores, _output_scores(loaded, prefix, seed), with_gaps]
    return BehaviourScores(
        loaded.info.name,
        np.concatenate([part.mean(axis=0) for part in parts], axis=-1),
        np.concatenate([part.std(axis=0, ddof=1) for part in parts], axis=-1),
    )


def _pattern_scores(
    loaded: LoadedModel, sequences: Int[np.ndarray, "sequences tokens"], advance: Advance
) -> Float[np.ndarray, "sequences layers heads behaviours"]:
    """Score all heads on sequences of equal length, in the order of `OF_PATTERNS`."""
    import torch

    from attention_motifs.extraction import run_tapped

    info = loaded.info
    scores = np.full((len(sequences), info.n_layers, info.n_heads, len(OF_PATTERNS)), np.nan)
    for start in range(0, len(sequences), _BATCH):
        batch = sequences[start : start + _BATCH]

        def sink(layer: int, patterns: Any, batch: Any = batch, at: int = start) -> None:
            for i, tokens in enumerate(batch):
                pattern = patterns[i].detach().float().cpu().numpy()
                scores[at + i, layer] = score_patterns(pattern, tokens)

        run_tapped(loaded, torch.from_numpy(batch), sink)
        advance(len(batch))
    return scores[:, list(loaded.layers)]


def _output_scores(
    loaded: LoadedModel, prefix: Sequence[int], seed: int
) -> Float[np.ndarray, "samples layers heads two"]:
    """Return the scores of outputs; NaN if they cannot be computed."""
    from attention_motifs.behaviour.copying import copying_scores

    try:
        return copying_scores(loaded, prefix=prefix, seed=seed)
    except ModelError:  # patterns can be scored without it
        return np.full((2, len(loaded.layers), loaded.info.n_heads, len(OF_OUTPUTS)), np.nan)


_BATCH = 4
"""Sequences per forward pass; keeps a pass over 100 tokens well below a second."""
