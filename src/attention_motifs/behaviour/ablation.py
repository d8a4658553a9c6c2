"""Taking heads out: what is put in place of their outputs, through the attention tap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attention_motifs.behaviour.replay import CleanRun, replay
from attention_motifs.errors import InputError
from attention_motifs.extraction import run_tapped
from attention_motifs.extraction.tap import LayerSink, OutputSink

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.models.model import LoadedModel

METHODS = {
    "mean": "its mean over calibration prompts and positions",
    "mean-position": "its mean over calibration prompts, position by position",
    "resample": "its output on another sequence of the same design, position by position",
    "zero": "zero",
    "pattern-preserving": "zero, while every attention pattern is held as it was in the clean run, "
    "so that only the value path changes (Olsson et al. 2022)",
}
"""What the output of an ablated head becomes."""

NEEDS_CALIBRATION = ("mean", "mean-position")


@dataclass(frozen=True)
class Ablation:
    """Heads taken out together."""

    heads: tuple[tuple[int, int], ...]
    """Layer and index of each, in order."""

    @property
    def first_layer(self) -> int:
        """Before it nothing changes."""
        return min(layer for layer, _ in self.heads)

    def of_layer(self, layer: int) -> list[int]:
        """Indices of the heads of one layer."""
        return [index for of_head, index in self.heads if of_head == layer]


@dataclass(frozen=True)
class Calibration:
    """Mean outputs of all heads over calibration prompts."""

    by_position: tuple[Float[Tensor, "n heads d"], ...]
    """Per layer."""
    overall: tuple[Float[Tensor, "heads d"], ...]


def calibrate(
    loaded: LoadedModel, token_ids: Int[Tensor, "prompts n"], batch: int = 4
) -> Calibration:
    """Average what each head hands to the output projection, in float64, over equal prompts."""
    sums: list[Tensor] = []

    def add(layer: int, output: Tensor) -> None:
        total = output.double().sum(dim=0)
        if layer == len(sums):
            sums.append(total)
        else:
            sums[layer] += total

    for start in range(0, len(token_ids), batch):
        rows = token_ids[start : start + batch]
        run_tapped(loaded, rows, lambda _layer, _weights: None, output_sink=add)
    dtype = next(loaded.model.parameters()).dtype
    means = [total / len(token_ids) for total in sums]
    return Calibration(
        tuple(mean.to(dtype) for mean in means), tuple(mean.mean(dim=0).to(dtype) for mean in means)
    )


def replaced_outputs(
    ablations: Sequence[Ablation],
    method: str,
    *,
    calibration: Calibration | None = None,
    donors: Sequence[Float[Tensor, "sequences n heads d"]] = (),
) -> OutputSink:
    """Build what puts other outputs in place, for several ablations side by side.

    Args:
        ablations: one copy of the batch each, in this order.
        method: of `METHODS`.
        calibration: for the means.
        donors: for `resample`, per layer the outputs on the sequences that stand in.

    Raises:
        InputError: if the method is not known, or what it needs was not given; and, later, if
            sequences are longer than those that `mean-position` was calibrated on.
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
    method: str, calibration: Calibration | None, donors: Sequence[Tensor]
) -> Callable[[int, list[int], int], Tensor]:
    """What takes the place of heads of a layer, on sequences of so many tokens."""
    if method not in METHODS:
        raise InputError(f"method {method!r}: choose {', '.join(METHODS)}")
    if method == "resample":
        if not donors:
            raise InputError("method resample: the outputs on other sequences are needed")
        return lambda layer, heads, _n: donors[layer][:, :, heads]
    if method in NEEDS_CALIBRATION:
        if calibration is None:
            raise InputError(f"method {method}: calibration prompts are needed")
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
                f"method mean-position: was calibrated on prompts of {len(of_layer)} tokens, not "
                f"the {n} of these sequences; take longer prompts, or method mean"
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
    donors: Sequence[Float[Tensor, "sequences n heads d"]] = (),
    sink: LayerSink | None = None,
) -> Float[Tensor, "sequences n width"]:
    """Run the whole model with heads taken out: the plain way, which `replay_ablated` equals.

    Args:
        loaded: the model.
        token_ids: sequences of equal length.
        ablation: may name no head, and then changes nothing.
        method: of `METHODS`.
        clean: with its patterns, for `pattern-preserving`.
        calibration: for the means.
        donors: for `resample`.
        sink: looks at the patterns.

    Returns:
        The last hidden states.

    Raises:
        InputError: as `replaced_outputs`, or if a head is not there.
    """
    check_heads(loaded, [ablation])
    held = None
    if method == "pattern-preserving":
        if clean is None or not clean.patterns:
            raise InputError("method pattern-preserving: a clean run with its patterns is needed")
        held = clean.patterns.__getitem__
    hidden = run_tapped(
        loaded,
        token_ids,
        sink or (lambda _layer, _weights: None),
        output_sink=replaced_outputs([ablation], method, calibration=calibration, donors=donors),
        held=held,
    )
    assert hidden is not None  # noqa: S101 - the pass was not told to stop early
    return hidden


def replay_ablated(
    loaded: LoadedModel,
    clean: CleanRun,
    ablations: Sequence[Ablation],
    method: str,
    *,
    positions: Int[Tensor, " looked_at"] | None = None,
    calibration: Calibration | None = None,
    donors: Sequence[Float[Tensor, "sequences n heads d"]] = (),
    sink: LayerSink | None = None,
) -> Float[Tensor, "ablations sequences looked_at width"]:
    """Run several ablations side by side, from the first layer in which any of them changes.

    Args:
        loaded: the model.
        clean: the run without ablation, with its patterns for `pattern-preserving`.
        ablations: each of at least one head.
        method: of `METHODS`.
        positions: whose last hidden states are wanted; by default all.
        calibration: for the means.
        donors: for `resample`.
        sink: looks at the patterns (ablations * sequences, heads, n, n) of later layers.

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
    n_layers, n_heads = loaded.info.n_layers, loaded.info.n_heads
    for layer, index in (head for ablation in ablations for head in ablation.heads):
        if not (0 <= layer < n_layers and 0 <= index < n_heads):
            raise InputError(
                f"{loaded.info.name}:L{layer}:H{index}: {loaded.info.name} has layers 0 to "
                f"{n_layers - 1} and heads 0 to {n_heads - 1}"
            )
