"""Measures of an ablation: losses, divergence, and prefix matching of later heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attention_motifs.features.numerics import fixed_numerics

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.behaviour.designs import Design
    from attention_motifs.models.language_head import Head


@dataclass(frozen=True)
class Measure:
    """A measure, and the designs on which it is defined."""

    designs: tuple[str, ...]
    worse: int
    """1 if a larger value is worse for the model, -1 if a smaller one is."""
    meaning: str


MEASURES = {
    "loss": Measure(("prompts", "repeated"), 1, "next-token loss, nats"),
    "kl": Measure(
        ("prompts", "repeated"),
        1,
        "Kullback-Leibler divergence of the prediction from the clean one, nats",
    ),
    "prefix matching": Measure(
        ("repeated",),
        -1,
        "attention that the induction heads of later layers pay to the tokens after earlier "
        "occurrences of this one",
    ),
    "prefix matching (literal)": Measure(
        ("repeated",), -1, "the same for the tokens before earlier occurrences"
    ),
    "in-context learning": Measure(
        ("long",), 1, "mean loss over tokens 450 to 550 less mean loss over tokens 40 to 60, nats"
    ),
}

LOGIT_BYTES = 64 * 2**20
"""Size of the logits computed at a time, unless those of a single position are larger."""
_CACHED_BYTES = 2**21


def measures_on(design: str) -> list[str]:
    """Return the names of the measures of a design."""
    return [name for name, measure in MEASURES.items() if design in measure.designs]


@fixed_numerics()
def losses_and_divergence(
    head: Head,
    hidden: Float[Tensor, "ablations sequences looked_at width"],
    clean: Float[Tensor, "sequences looked_at width"],
    targets: Int[Tensor, "sequences looked_at"],
    logit_bytes: int = LOGIT_BYTES,
) -> tuple[
    Float[Tensor, "ablations sequences looked_at"], Float[Tensor, "ablations sequences looked_at"]
]:
    """Compute the loss of the target and the divergence from the clean prediction, in nats.

    Logits are computed for one ablation and a few positions at a time, the clean ones once for all
    ablations. KL is the sum over words of p (ln p - ln q) with p the clean prediction; rounding can
    leave 1e-6 of either sign.

    Args:
        head: the language-model head.
        hidden: last hidden states of the ablated runs.
        clean: last hidden states of the clean run.
        targets: the tokens to predict.
        logit_bytes: size limit for the logits of one ablation.

    Returns:
        Losses and divergences, float32.
    """
    n_ablations, n_sequences, n_positions, _ = hidden.shape
    step = max(1, logit_bytes // (n_sequences * head.n_words * 4))
    losses = torch.empty(hidden.shape[:3], dtype=torch.float32, device=hidden.device)
    divergences = torch.empty_like(losses)
    for start in range(0, n_positions, step):
        part = slice(start, start + step)
        log_p = head(clean[:, part]).flatten(0, 1).log_softmax(dim=-1)
        p = log_p.exp()
        negative_entropy = log_p.mul_(p).sum(dim=-1)
        del log_p
        target = targets[:, part].reshape(-1, 1)
        for i in range(n_ablations):
            logits = head(hidden[i, :, part]).flatten(0, 1)
            loss, expected = _row_losses(logits, p, target)
            losses[i, :, part] = loss.view(n_sequences, -1)
            divergences[i, :, part] = (negative_entropy + expected).view(n_sequences, -1)
    return losses, divergences


def _row_losses(
    logits: Float[Tensor, "rows words"],
    p: Float[Tensor, "rows words"],
    target: Int[Tensor, "rows one"],
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """Return the loss of the target, and the mean loss over words drawn from p.

    Works on blocks of rows that stay in the cache, since each is read several times.
    """
    step = max(1, _CACHED_BYTES // (logits.shape[1] * 4))
    losses, expected = [], []
    for start in range(0, len(logits), step):
        rows = slice(start, start + step)
        log_q = logits[rows].log_softmax(dim=-1)
        losses.append(-log_q.gather(-1, target[rows])[:, 0])
        expected.append(-log_q.mul_(p[rows]).sum(dim=-1))
    return torch.cat(losses), torch.cat(expected)


class PrefixMatching:
    """Measures the prefix matching of chosen heads while the model runs."""

    def __init__(self, design: Design, heads: Sequence[tuple[int, int]]) -> None:
        """Watch heads, given as layer and index, on the repetitions of a design."""
        queries, earlier = design.pairs
        after, before = earlier + 1, earlier - 1
        # The following token may be the query itself. The first token of all is a sink: attention
        # to it is no match, as in `scores`.
        self._after = torch.from_numpy(np.stack([queries, after])[:, after < queries])
        self._before = torch.from_numpy(np.stack([queries, before])[:, before >= 1])
        self.heads = tuple(sorted(heads)) if len(queries) else ()
        self._seen: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def __call__(self, layer: int, patterns: Float[Tensor, "rows heads n n"]) -> None:
        """Read the patterns of a layer; heads that are not watched are skipped."""
        for head in self.heads:
            if head[0] == layer:
                pattern = patterns[:, head[1]]
                mass = self._mass(pattern, self._after), self._mass(pattern, self._before)
                self._seen[head] = mass

    def of(
        self, heads: Sequence[tuple[int, int]]
    ) -> tuple[Float[Tensor, "heads rows"], Float[Tensor, "heads rows"]]:
        """Return the attention after and before earlier occurrences, from the last run."""
        after, before = zip(*(self._seen[head] for head in heads), strict=True)
        return torch.stack(after), torch.stack(before)

    def _mass(self, pattern: Tensor, pairs: Tensor) -> Tensor:
        return pattern[:, pairs[0], pairs[1]].float().sum(dim=-1) / max(
            1, len(np.unique(pairs[0].numpy()))
        )
