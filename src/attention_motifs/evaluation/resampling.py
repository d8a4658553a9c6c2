"""Distances from resampled stimuli: prompts are resampled by their source, and so are probes.

Prompts of one source are alike, so the sampling unit is the source. What a metric needs is summed
over the stimuli of each source once; a resample is then a weighted sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import generator
from attention_motifs.features.arguments import number_array

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Form = Literal["cosine of clouds", "mean distance", "cosine of means"]

Counts = Callable[[str, int], "Int[np.ndarray, ' units']"]
"""A function of the name and the number of sampling units that returns how often each counts."""


@dataclass(frozen=True)
class StimulusBlock:
    """Head clouds on one set of stimuli, such as the prompts or the probes."""

    stimuli: str
    """Name of the set. Blocks of one name are resampled together, in all metrics."""
    clouds: Float[np.ndarray, "stimuli heads components"]
    sources: Sequence[str] | None = None
    """Source of every stimulus (default: each is a source of its own)."""
    weight: float = 1.0


@dataclass(frozen=True)
class SummedBlock:
    """What a block contributes to the distances, summed over the stimuli of each source."""

    stimuli: str
    sums: Float[np.ndarray, "sources ..."]
    sizes: Int[np.ndarray, " sources"]
    weight: float


@dataclass(frozen=True)
class ResampledDistances:
    """Distances as a function of how often each source of stimuli counts."""

    form: Form
    blocks: tuple[SummedBlock, ...]

    @classmethod
    def of(cls, form: Form, blocks: Sequence[StimulusBlock]) -> ResampledDistances:
        """Sum the blocks by source.

        Args:
            form: `cosine of clouds` (presets), `mean distance` (Eq. 3) or `cosine of means`.
            blocks: one or more; only the cosine of clouds takes several.

        Raises:
            InputError: if there is no block, or more than the form takes, or shapes disagree.
        """
        if not blocks or (len(blocks) > 1 and form != "cosine of clouds"):
            raise InputError(f"{len(blocks)} blocks cannot be combined as {form!r}. Give one.")
        return cls(form, tuple(_summed(form, block) for block in blocks))

    @property
    def units_per_half(self) -> int:
        """Number of sources of the first block in each half; 0 if it cannot be halved."""
        return len(self.blocks[0].sizes) // 2

    def __call__(self, counts: Counts | None = None) -> Float[np.ndarray, "heads heads"]:
        """Return the distance matrix of a resample (default: of all stimuli, each once)."""
        weighted = []
        for block in self.blocks:
            n = len(block.sizes)
            often = np.ones(n) if counts is None else np.asarray(counts(block.stimuli, n), float)
            weighted.append((np.tensordot(often, block.sums, axes=1), float(often @ block.sizes)))
        if self.form == "mean distance":
            total, n_stimuli = weighted[0]
            return np.asarray(total / n_stimuli)
        if self.form == "cosine of means":
            total, _ = weighted[0]
            return 1.0 - _cosines(total @ total.T)
        weights = np.array([block.weight for block in self.blocks])
        parts = [_cosines(gram) for gram, _ in weighted]
        similarity = np.tensordot(weights / weights.sum(), np.stack(parts), axes=1)
        # A block in which a head has a zero cloud does not count for this head.
        return 1.0 - _cosines(similarity)


def source_counts(seed: int, replicate: int) -> Counts:
    """Return the counts of one bootstrap replicate: units drawn with replacement.

    The same seed, replicate, name and number of units give the same counts, so that metrics are
    compared on the same resamples.
    """

    def counts(name: str, n: int) -> Int[np.ndarray, " units"]:
        rng = generator(seed, "bootstrap", str(replicate), name, str(n))
        return np.asarray(rng.multinomial(n, np.full(n, 1 / n)))

    return counts


def half_counts(seed: int, split: int) -> tuple[Counts, Counts]:
    """Return the counts of two disjoint random halves of the units; an odd one is left out."""

    def half(which: int) -> Counts:
        def counts(name: str, n: int) -> Int[np.ndarray, " units"]:
            if n < 2:
                return np.ones(n, dtype=np.int64)
            order = generator(seed, "halves", str(split), name, str(n)).permutation(n)
            chosen = np.zeros(n, dtype=np.int64)
            chosen[order[which * (n // 2) : (which + 1) * (n // 2)]] = 1
            return chosen

        return counts

    return half(0), half(1)


def _summed(form: Form, block: StimulusBlock) -> SummedBlock:
    clouds = number_array(block.clouds, "head clouds", ("stimuli", "heads", "components"))
    n = len(clouds)
    sources = range(n) if block.sources is None else block.sources
    if len(sources) != n or not n:
        raise InputError(f"{len(sources)} sources for {n} stimuli. Give one for each.")
    rows: dict[object, list[int]] = {}
    for position, source in enumerate(sources):
        rows.setdefault(source, []).append(position)
    if len(rows) == 1:  # a single source cannot be resampled
        rows = {position: [position] for position in range(n)}
    sums = [_SUMS[form](clouds[of_source]) for of_source in rows.values()]
    sizes = np.array([len(of_source) for of_source in rows.values()])
    return SummedBlock(block.stimuli, np.stack(sums), sizes, float(block.weight))


def _gram(
    clouds: Float[np.ndarray, "stimuli heads components"],
) -> Float[np.ndarray, "heads heads"]:
    rows = clouds.transpose(1, 0, 2).reshape(clouds.shape[1], -1)
    return np.asarray(rows @ rows.T, np.float32)


def _pair_sums(
    clouds: Float[np.ndarray, "stimuli heads components"],
) -> Float[np.ndarray, "heads heads"]:
    from attention_motifs.distances import head_distances

    distances = head_distances(np.ascontiguousarray(clouds, np.float32), metric="mean")
    return np.asarray(distances * np.float32(len(clouds)))


def _point_sums(
    clouds: Float[np.ndarray, "stimuli heads components"],
) -> Float[np.ndarray, "heads components"]:
    return np.asarray(clouds.sum(axis=0, dtype=np.float64))


_SUMS: Mapping[Form, Callable[[np.ndarray], np.ndarray]] = {
    "cosine of clouds": _gram,
    "mean distance": _pair_sums,
    "cosine of means": _point_sums,
}


def _cosines(gram: Float[np.ndarray, "heads heads"]) -> Float[np.ndarray, "heads heads"]:
    """Return cosines from products; the cosine with a zero vector is 0, as in the metrics."""
    length = np.sqrt(np.maximum(np.diagonal(gram), 0.0))
    scale = length[:, None] * length[None, :]
    return np.asarray(np.divide(gram, scale, out=np.zeros_like(gram), where=scale > 0))
