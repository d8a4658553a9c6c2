"""Copying scores: does a head raise the logits of the tokens that it attends to?

Olsson et al. (2022), "head activation evaluators": on 25 random tokens that do not repeat, a
head's output goes the direct path to the logits. Less their mean over the tokens of the sample,
and cut at zero, they say which tokens it raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from attention_motifs.behaviour.scores import common_tokens, repeated_sequences
from attention_motifs.errors import ModelError
from attention_motifs.extraction.replay import CleanRun, clean_run, decoder_layers
from attention_motifs.extraction.tap import output_projections

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.extraction import LoadedModel

N_TOKENS, N_SAMPLES = 25, 10
"""As in that paper."""

FINAL_NORMS = ("norm", "ln_f", "final_layernorm", "final_layer_norm")
_LITTLE = 1e-6


def copying_scores(
    loaded: LoadedModel, *, first: int | None, seed: int = 0, n_samples: int = N_SAMPLES
) -> Float[np.ndarray, "layers heads"]:
    """Score every head by how much of what it raises is the tokens that it attends to.

    With x the raise of the attended tokens, weighted by the attention to them (the first token left
    out), and T that of all tokens of the sample, the score is 4 x / (x + T) - 1, between -1 (raises
    others only) and 1 (the attended only); the mean over queries. Where a norm follows, on the
    way or at the end, the head's part goes through it with the scale that the whole has: that
    scale is common to all tokens of the sample, and cancels.

    Args:
        loaded: with its language-model head.
        first: token put before each sample.
        seed: of the draw of tokens.
        n_samples: samples of 25 tokens.

    Returns:
        Scores; NaN for a head that raises nothing.

    Raises:
        InputError: if the tokenizer has too few common tokens.
        ModelError: if there is no head, or the final norm is not known.
    """
    if loaded.head is None:
        raise ModelError(f"{loaded.info.name}: was loaded without its language-model head")
    rng = np.random.default_rng(seed)
    rows = repeated_sequences(common_tokens(loaded), N_TOKENS, 1, n_samples, rng, first)
    clean = clean_run(loaded, torch.from_numpy(rows), keep_patterns=True)
    start = int(first is not None)
    sample = torch.from_numpy(rows[:, start:]).to(loaded.model.device)
    unembedding = loaded.head.unembedding[sample].float()
    finish = final_norm(loaded)
    scores = np.empty((loaded.info.n_layers, loaded.info.n_heads))
    with torch.inference_mode():
        for layer in range(loaded.info.n_layers):
            parts = contributions(loaded, clean, layer)[:, :, start:]
            logits = torch.einsum("shnw,skw->shnk", finish(parts), unembedding)
            attended = clean.patterns[layer][:, :, start:, start:].float()
            scores[layer] = _scores(logits, attended).cpu().numpy()
    return scores


def contributions(
    loaded: LoadedModel, clean: CleanRun, layer: int
) -> Float[Tensor, "sequences heads n width"]:
    """What each head of a layer adds to the residual stream, up to a scale per position."""
    projection = output_projections(loaded.model, loaded.info.n_layers)[layer]
    outputs = clean.outputs[layer]
    alone = torch.zeros(outputs.shape[2], *outputs.shape, dtype=outputs.dtype).to(outputs.device)
    for head in range(outputs.shape[2]):
        alone[head, :, :, head] = outputs[:, :, head]
    nothing = torch.zeros_like(outputs[:1, :1].flatten(2))
    parts: Tensor = projection(alone.flatten(3)) - projection(nothing)
    module = decoder_layers(loaded)[layer]
    if hasattr(module, "post_feedforward_layernorm"):  # Gemma 2 and 3, OLMo 2: after, not before
        norm: Any = module.post_attention_layernorm
        parts = norm(parts)
    return parts.transpose(0, 1)


def final_norm(loaded: LoadedModel) -> Callable[[Tensor], Tensor]:
    """The linear part of the final norm, up to a positive scale per position.

    Raises:
        ModelError: if it has none by a name that is known.
    """
    model = getattr(loaded.model, "decoder", loaded.model)
    for name in FINAL_NORMS:
        norm = getattr(model, name, None)
        if norm is not None:
            # A norm of a part alone is the part times some scale, plus the shift of a LayerNorm.
            return lambda parts: (norm(parts) - norm(torch.zeros_like(parts[..., :1, :]))).float()
    raise ModelError(
        f"{loaded.info.name}: the final norm of its architecture {loaded.info.architecture} is not "
        f"known (none of {', '.join(FINAL_NORMS)}); its heads have no copying score"
    )


def _scores(
    logits: Float[Tensor, "samples heads queries tokens"],
    attended: Float[Tensor, "samples heads queries tokens"],
) -> Float[Tensor, " heads"]:
    raised = (logits - logits.mean(dim=-1, keepdim=True)).clamp(min=0)
    mass = attended.sum(dim=-1)
    attended_raise = (attended * raised).sum(dim=-1) / mass.clamp(min=_LITTLE)
    total = raised.sum(dim=-1)
    counts = (mass > _LITTLE) & (total > 0)
    ratio = torch.where(counts, attended_raise / (attended_raise + total).clamp(min=1e-30), 0.0)
    n = counts.sum(dim=(0, 2))
    mean = ratio.double().sum(dim=(0, 2)) / n
    return torch.where(n > 0, 4 * mean - 1, torch.nan)
