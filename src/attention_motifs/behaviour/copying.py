"""Copying scores: whether a head raises the logits of the tokens that it attends to.

After Olsson et al. (2022), "head activation evaluators": on random tokens that do not repeat, the
output of a head is followed along the direct path to the logits. These logits less their mean over
the vocabulary, and clipped at zero, show which tokens of the sample the head raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attention_motifs.behaviour.direct_path import direct_path
from attention_motifs.behaviour.sequences import common_tokens, repeated_sequences
from attention_motifs.errors import ModelError
from attention_motifs.features.numerics import fixed_numerics

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.models.model import LoadedModel

N_TOKENS, N_SAMPLES = 25, 10
"""As in that paper."""
_BATCH = 5
"""Samples per forward pass."""
_LEAST = 1e-300


@fixed_numerics()
def copying_scores(
    loaded: LoadedModel, *, prefix: Sequence[int], seed: int = 0, n_samples: int = N_SAMPLES
) -> Float[np.ndarray, "samples layers heads two"]:
    """Score every head twice: attending to a single token, and attending by its own pattern.

    A score is the share of the attended token in the logits raised of all tokens of the sample,
    both summed over the queries; between 0 and 1, and 1/25 by chance.

    Args:
        loaded: the model with its language-model head.
        prefix: token ids put before each sample; they are neither queries nor attended tokens.
        seed: seed for the draw of tokens, 0 or more.
        n_samples: number of samples of 25 distinct tokens.

    Returns:
        Scores `copying` and `copying (literal)`; 0 for a head that raises no token of a sample.

    Raises:
        InputError: if the tokenizer has too few common tokens.
        ModelError: if there is no language-model head, or no known direct path.
    """
    if loaded.head is None:
        raise ModelError(f"{loaded.info.name} was loaded without its language-model head.")
    rng = np.random.default_rng(seed)
    rows = repeated_sequences(common_tokens(loaded), N_TOKENS, 1, n_samples, rng, prefix)
    start = len(prefix)
    scores = np.empty((n_samples, len(loaded.layers), loaded.info.n_heads, 2))
    with torch.inference_mode():
        centre = loaded.head.unembedding.float().mean(dim=0)
        for begin in range(0, n_samples, _BATCH):
            batch = torch.from_numpy(rows[begin : begin + _BATCH]).to(loaded.model.device)
            path = direct_path(loaded, batch)
            words = loaded.head.unembedding[batch[:, start:]].float() - centre
            itself = torch.eye(N_TOKENS).to(words)
            for row, (layer, pattern) in enumerate(path.clean.patterns.items()):
                attended = pattern[:, :, start:, start:].float()
                ways = ((path.alone, itself.expand_as(attended)), (path.clean.outputs, attended))
                for i, (outputs, weights) in enumerate(ways):
                    parts = path.contributions(layer, outputs[layer])[:, start:]
                    logits = torch.einsum("snhw,skw->shnk", parts, words)
                    scores[begin : begin + len(batch), row, :, i] = (
                        copied_share(logits, weights).cpu().numpy()
                    )
    return scores


def copied_share(
    logits: Float[Tensor, "samples heads queries tokens"],
    attended: Float[Tensor, "samples heads queries tokens"],
) -> Float[Tensor, "samples heads"]:
    """Return the share of the attended tokens in the logits that a head raises.

    With r the logits clipped at zero and a the attention of a query, scaled to sum 1, it is the sum
    over queries of sum_k a_k r_k divided by the sum over queries of sum_k r_k. Olsson et al. (2022)
    write it as x / (x + T), between 0 and a half, and scale that to -1 to 1: from the share s,
    4 s / (1 + s) - 1.

    Args:
        logits: logits added by the head, less their mean over the vocabulary.
        attended: attention to the tokens.

    Returns:
        Shares between 0 and 1; 0 if nothing is raised or attended to.
    """
    raised = logits.double().clamp(min=0)
    weights = attended.double()
    weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=_LEAST)
    return (weights * raised).sum(dim=(-2, -1)) / raised.sum(dim=(-2, -1)).clamp(min=_LEAST)
