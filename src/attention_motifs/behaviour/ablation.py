"""Ablation of heads: their outputs are replaced through the attention tap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attention_motifs.behaviour.replay import CleanRun, replay
from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.extraction import run_tapped
from attention_motifs.extraction.tap import LayerSink, OutputSink
from attention_motifs.features.numerics import fixed_numerics
from attention_motifs.head import layers_in_words

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.models.model import LoadedModel

METHODS = {
    "mean": "its mean over other sequences of the same design, and over positions",
    "mean-position": "its mean over other sequences of the same design, position by position",
    "resample": "its output on another sequence of the same design, position by position",
    "zero": "zero",
    "pattern-preserving": "zero, with every attention pattern held as in the clean run, "
    "so that only the value path changes (Olsson et al. 2022)",
}
"""What replaces the output of an ablated head, by method."""

NEEDS_CALIBRATION = ("mean", "mean-position")


@dataclass(frozen=True)
class Ablation:
    """Heads that are ablated together."""

    heads: tuple[tuple[int, int], ...]
    """Layer and index of each, in order."""

    @property
    def first_layer(self) -> int:
        """The first layer that changes."""
        return min(layer for layer, _ in self.heads)

    def of_layer(self, layer: int) -> list[int]:
        """Return the indices of the ablated heads of a layer."""
        return [index for of_head, index in self.heads if of_head == layer]


@dataclass(frozen=True)
class Calibration:
    """Mean outputs of all heads over calibration sequences."""

    by_position: Mapping[int, Float[Tensor, "n heads d"]]
    """Per layer, for each position."""
    overall: Mapping[int, Float[Tensor, "heads d"]]


@fixed_numerics()
def calibrate(
    loaded: LoadedModel, token_ids: Int[Tensor, "prompts n"], batch: int = 4
) -> Calibration:
    """Average the output of each head over sequences of equal length, in float64."""
    sums: dict[int, Tensor] = {}

    def add(layer: int, output: Tensor) -> None:
        total = output.double().sum(dim=0)
        sums[layer] = sums[layer] + total if layer in sums else total

    for start in range(0, len(token_ids), batch):
        rows = token_ids[start : start + batch]
        run_tapped(loaded, rows, lambda _layer, _weights: None, output_sink=add)
    dtype = next(loaded.model.parameters()).dtype
    means = {layer: total / len(token_ids) for layer, total in sums.items()}
    return Calibration(
        {layer: mean.to(dtype) for layer, mean in means.items()},
        {layer: mean.mean(dim=0).to(dtype) for layer, mean in means.items()},
    )


def replaced_outputs(
    ablations: Sequence[Ablation],
    method: str,
    *,
    calibration: Calibration | None = None,
    donors: Mapping[int, Float[Tensor, "sequences n heads d"]] | None = None,
) -> OutputSink:
    """Build a function that replaces outputs, for several ablations at once.

    Args:
        ablations: one for each copy of the batch, in order.
        method: a key of `METHODS`.
        calibration: mean outputs, for the two means.
        donors: for `resample`, per layer the outputs on the sequences that replace these.

    Raises:
        InputError: if the method is not known or its input is missing; when called, if sequences
            are longer than those of the calibration of `mean-position`.
    """
    source = _source(method, calibration, donors)

    def replace(layer: int, output: Tensor) -> Tensor:
        copies = output.view(len(ablations), -1, *output.shape[1:])
        for copy, ablation in zip(copies, ablations, strict=True):
            if heads := ablation.of_layer(layer):
                copy[:, :, heads] = source(layer, heads, output.shape[1]).to(copy)
        return output

    return replace


def _source(
    method: str, calibration: Calibration | None, donors: Mapping[int, Tensor] | None
) -> Callable[[int, list[int], int], Tensor]:
    """Return a function from layer, heads and number of tokens to the replacing outputs."""
    if method not in METHODS:
        raise InputError(f"method {method!r} is not known; {did_you_mean(method, METHODS)}")
    if method == "resample":
        if not donors:
            raise InputError("method resample needs the outputs on other sequences. Give donors.")
        return lambda layer, heads, _n: donors[layer][:, :, heads]
    if method in NEEDS_CALIBRATION:
        if calibration is None:
            raise InputError(f"method {method} needs mean outputs. Give a calibration.")
        return _mean_of(calibration, by_position=method == "mean-position")
    return lambda _layer, _heads, _n: torch.zeros(())


def _mean_of(
    calibration: Calibration, *, by_position: bool
) -> Callable[[int, list[int], int], Tensor]:
    def mean(layer: int, heads: list[int], n: int) -> Tensor:
        if not by_position:
            return calibration.overall[layer][heads]
        of_layer = calibration.by_position[layer]
        if n > len(of_layer):
            raise InputError(
                f"method mean-position was calibrated on sequences of {len(of_layer)} tokens, and "
                f"these sequences have {n}. Calibrate on longer ones, or use method mean."
            )
        return of_layer[:n, heads]

    return mean


def run_ablated(
    loaded: LoadedModel,
    token_ids: Int[Tensor, "sequences n"],
    ablation: Ablation,
    method: str,
    *,
    clean: CleanRun | None = None,
    calibration: Calibration | None = None,
    donors: Mapping[int, Float[Tensor, "sequences n heads d"]] | None = None,
    sink: LayerSink | None = None,
) -> Float[Tensor, "sequences n width"]:
    """Run the whole model with heads ablated, without a replay.

    `replay_ablated` gives the same result faster.

    Args:
        loaded: the model.
        token_ids: sequences of equal length.
        ablation: the heads to ablate; with none nothing changes.
        method: a key of `METHODS`.
        clean: the clean run with its patterns, for `pattern-preserving`.
        calibration: mean outputs, for the two means.
        donors: outputs on other sequences, for `resample`.
        sink: receives the patterns.

    Returns:
        The last hidden states.

    Raises:
        InputError: as `replaced_outputs`, or if a head does not exist.
    """
    check_heads(loaded, [ablation])
    held = None
    if method == "pattern-preserving":
        if clean is None or not clean.patterns:
            raise InputError(
                "method pattern-preserving needs the patterns of the clean run. Keep them."
            )
        held = clean.patterns.__getitem__
    hidden = run_tapped(
        loaded,
        token_ids,
        sink or (lambda _layer, _weights: None),
        output_sink=replaced_outputs([ablation], method, calibration=calibration, donors=donors),
        held=held,
    )
    assert hidden is not None  # noqa: S101 - no layer was asked to stop the pass
    return hidden


def replay_ablated(
    loaded: LoadedModel,
    clean: CleanRun,
    ablations: Sequence[Ablation],
    method: str,
    *,
    positions: Int[Tensor, " looked_at"] | None = None,
    calibration: Calibration | None = None,
    donors: Mapping[int, Float[Tensor, "sequences n heads d"]] | None = None,
    sink: LayerSink | None = None,
) -> Float[Tensor, "ablations sequences looked_at width"]:
    """Run several ablations at once, from the first layer that any of them changes.

    Args:
        loaded: the model.
        clean: the run without ablation, with its patterns for `pattern-preserving`.
        ablations: ablations of at least one head each.
        method: a key of `METHODS`.
        positions: positions whose last hidden states are returned (default: all).
        calibration: mean outputs, for the two means.
        donors: outputs on other sequences, for `resample`.
        sink: receives the patterns (ablations * sequences, heads, n, n) of later layers.

    Raises:
        InputError: as `run_ablated`.
        ModelError: if the model cannot be replayed.
    """
    check_heads(loaded, ablations)
    hidden = replay(
        loaded,
        clean,
        min(ablation.first_layer for ablation in ablations),
        replaced_outputs(ablations, method, calibration=calibration, donors=donors),
        n_copies=len(ablations),
        positions=positions,
        hold_patterns=method == "pattern-preserving",
        sink=sink,
    )
    return hidden.view(len(ablations), -1, *hidden.shape[1:])


def check_heads(loaded: LoadedModel, ablations: Sequence[Ablation]) -> None:
    """Refuse heads that the model does not have.

    Raises:
        InputError: naming the head.
    """
    layers, n_heads = loaded.layers, loaded.info.n_heads
    for layer, index in (head for ablation in ablations for head in ablation.heads):
        if not (layer in layers and 0 <= index < n_heads):
            raise InputError(
                f"head {loaded.info.name}:L{layer}:H{index} does not exist: {loaded.info.name} has "
                f"{layers_in_words(layers)} and heads 0 to {n_heads - 1}."
            )
