"""Sweeps of many ablations over a few sequences: one clean run, then replays in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from attention_motifs.behaviour.ablation import Ablation, Calibration, replay_ablated
from attention_motifs.behaviour.measures import (
    LOGIT_BYTES,
    PrefixMatching,
    losses_and_divergence,
    measures_on,
)
from attention_motifs.behaviour.replay import check_replay, clean_run
from attention_motifs.errors import InputError, ModelError
from attention_motifs.features.numerics import fixed_numerics

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.behaviour.designs import Design
    from attention_motifs.models.language_head import Head
    from attention_motifs.models.model import LoadedModel

BLOCK_SEQUENCES = 4
"""Sequences that share a clean run, which is kept in memory."""
PASS_TOKENS = 1280
"""Tokens per replay, which sets the number of ablations per batch (at least one)."""
_ALLOCATOR_FACTOR = 1.25
"""The allocator keeps freed memory for a while."""
PREDICTED_TOGETHER = 32
"""Ablations whose predictions are compared with one computation of the clean ones."""

Values = dict[str, "tuple[Float[np.ndarray, 'ablations sequences'], Any]"]
"""Per measure: values without and with the ablation; NaN if nothing can be measured."""


@dataclass(frozen=True)
class SweepPlan:
    """The design, the ablations and the method of a sweep."""

    design: Design
    ablations: tuple[Ablation, ...]
    method: str
    induction_heads: tuple[tuple[int, int], ...] = ()
    """Heads whose prefix matching is watched, by layer and index."""
    calibration: Calibration | None = None
    donors: Int[np.ndarray, " sequences"] | None = None
    """For `resample`: the sequence that replaces each sequence."""


def donors_for(n_sequences: int, rng: np.random.Generator) -> Int[np.ndarray, " sequences"]:
    """Draw a donor for every sequence, each used once: the next one in a random cycle.

    Raises:
        InputError: if there are fewer than 2 sequences.
    """
    if n_sequences < 2:
        raise InputError(f"method resample: there is {n_sequences} sequence. Give 2 or more.")
    order = rng.permutation(n_sequences)
    donors = np.empty(n_sequences, dtype=np.int64)
    donors[order] = np.roll(order, 1)
    return donors


@fixed_numerics()
def measure_block(
    loaded: LoadedModel,
    plan: SweepPlan,
    sequences: Sequence[int],
    *,
    check: bool = False,
    advance: Callable[[int], None] = lambda _steps: None,
) -> Values:
    """Measure every ablation of a plan on some of its sequences.

    Args:
        loaded: the model with its language-model head.
        plan: what to measure.
        sequences: rows of the design, few, since the clean run on them is kept in memory.
        check: whether to check first that replays of this model are correct.
        advance: called with the number of ablations done.

    Returns:
        Per measure the values without and with ablation, (ablations, sequences). Prefix matching is
        the mean over the watched heads in layers after the first ablated one; NaN without any.

    Raises:
        InputError: if a head does not exist, or an input of the method is missing.
        ModelError: if the model has no language-model head, or cannot be replayed.
    """
    if loaded.head is None:
        raise ModelError(f"{loaded.info.name} was loaded without its language-model head.")
    device = loaded.model.device
    design = plan.design
    token_ids = torch.from_numpy(design.token_ids[list(sequences)])
    positions = torch.from_numpy(design.positions).to(device)
    targets = torch.from_numpy(design.targets[list(sequences)]).to(device)
    reader = PrefixMatching(design, plan.induction_heads)
    holds = plan.method == "pattern-preserving"
    clean = clean_run(loaded, token_ids, keep_patterns=holds, sink=reader)
    if check:
        check_replay(loaded, clean)
    donors: Mapping[int, Tensor] | None = None
    if plan.method == "resample" and plan.donors is not None:
        standing_in = torch.from_numpy(design.token_ids[plan.donors[list(sequences)]])
        donors = clean_run(loaded, standing_in).outputs
    known = clean.hidden[:, positions]
    shape = (len(plan.ablations), len(sequences))
    values = {name: np.full((2, *shape), np.nan) for name in measures_on(design.name)}
    with torch.inference_mode():
        base = losses_and_divergence(loaded.head, known[None], known, targets)[0]
        for name, value in design.per_sequence(_numbers(base)).items():
            values[name][0] = value
        if "kl" in values:
            values["kl"][0] = 0.0
        clean_matching = {h: [_numbers(x)[0] for x in reader.of([h])] for h in reader.heads}
        waiting: list[tuple[list[int], Tensor]] = []
        for rows in _batches(plan.ablations, _copies(design, len(sequences))):
            batch = [plan.ablations[row] for row in rows]
            later = [h for h in reader.heads if h[0] > batch[0].first_layer and not holds]
            hidden = replay_ablated(
                loaded,
                clean,
                batch,
                plan.method,
                positions=positions,
                calibration=plan.calibration,
                donors=donors,
                sink=reader if later else None,
            )
            if later:
                _put_matching(values, rows, reader, later, clean_matching)
            waiting.append((rows, hidden))
            if sum(len(some) for some, _ in waiting) >= PREDICTED_TOGETHER:
                _put_predictions(values, design, loaded.head, waiting, known, targets)
                waiting.clear()
            advance(len(rows))
        if waiting:
            _put_predictions(values, design, loaded.head, waiting, known, targets)
    return {name: (both[0], both[1]) for name, both in values.items()}


def _put_predictions(
    values: dict[str, np.ndarray],
    design: Design,
    head: Head,
    waiting: Sequence[tuple[list[int], Tensor]],
    known: Tensor,
    targets: Tensor,
) -> None:
    """Set the measures of the predictions of finished ablations."""
    rows = [row for some, _ in waiting for row in some]
    hidden = torch.cat([hidden for _, hidden in waiting])
    losses, divergences = losses_and_divergence(head, hidden, known, targets)
    for name, value in design.per_sequence(_numbers(losses)).items():
        values[name][1, rows] = value
    if "kl" in values:
        values["kl"][1, rows] = _numbers(divergences).mean(axis=-1)


def _put_matching(
    values: dict[str, np.ndarray],
    rows: list[int],
    reader: PrefixMatching,
    later: list[tuple[int, int]],
    clean: dict[tuple[int, int], list[np.ndarray]],
) -> None:
    """Set the mean prefix matching of later heads."""
    for i, name in enumerate(("prefix matching", "prefix matching (literal)")):
        seen = _numbers(reader.of(later)[i]).mean(axis=0)
        values[name][1, rows] = seen.reshape(len(rows), -1)
        values[name][0, rows] = np.mean([clean[head][i] for head in later], axis=0)


def _batches(ablations: Sequence[Ablation], n_copies: int) -> Iterator[list[int]]:
    """Yield rows of ablations with the same first layer, a few at a time."""
    order = sorted(range(len(ablations)), key=lambda row: ablations[row].first_layer)
    for _, group in groupby(order, key=lambda row: ablations[row].first_layer):
        rows = list(group)
        for start in range(0, len(rows), n_copies):
            yield rows[start : start + n_copies]


def _copies(design: Design, n_sequences: int) -> int:
    return max(1, PASS_TOKENS // (n_sequences * int(design.token_ids.shape[1])))


def _numbers(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.double().cpu().numpy())


def memory_needed(loaded: LoadedModel, plan: SweepPlan) -> int:
    """Estimate the bytes that `measure_block` needs besides the model, for `BLOCK_SEQUENCES`.

    The sum of the clean run (residual stream, heads' outputs, held patterns), the donors' run, one
    replay's activations, last hidden states that wait for their predictions, and logits.
    """
    config = loaded.model.config
    n_layers, n_heads = loaded.info.n_layers, loaded.info.n_heads
    n_sequences, n = (
        min(BLOCK_SEQUENCES, len(plan.design.token_ids)),
        plan.design.token_ids.shape[1],
    )
    width = int(config.hidden_size)
    of_heads = n_heads * int(getattr(config, "head_dim", None) or width // n_heads)
    inner = int(getattr(config, "intermediate_size", None) or 4 * width)
    size = next(loaded.model.parameters()).element_size()
    patterns = n_heads * n * n
    holds, resamples = plan.method == "pattern-preserving", plan.method == "resample"
    kept = n_layers * (n * (width + of_heads * (1 + resamples)) + patterns * holds)
    rows = n_sequences * _copies(plan.design, n_sequences)
    passing = rows * (n * (6 * width + 2 * of_heads + 3 * inner) + 3 * patterns)
    n_positions = len(plan.design.positions)
    waiting = (PREDICTED_TOGETHER * n_sequences + rows) * n_positions * width
    at_once = n_sequences * 4 * (loaded.head.n_words if loaded.head else int(config.vocab_size))
    logits = 3 * max(at_once, min(LOGIT_BYTES, n_positions * at_once))
    return int(_ALLOCATOR_FACTOR * ((n_sequences * kept + passing + 2 * waiting) * size + logits))
