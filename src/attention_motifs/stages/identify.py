"""Patterns of a model on a text of the user, to identify its heads by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.errors import HeadNotFoundError
from attention_motifs.head import HeadId, layers_in_words
from attention_motifs.progress import Report, silent
from attention_motifs.stages.model_source import dtype_in, wanted_model

if TYPE_CHECKING:
    from jaxtyping import Float


def model_patterns_on_text(
    atlas: Atlas,
    head: str | HeadId,
    text: str,
    *,
    device: str = "auto",
    report: Report = silent,
) -> tuple[Float[np.ndarray, "layers heads n n"], int]:
    """Run the model of a head on a text, and return the patterns of all its heads.

    Args:
        atlas: its settings of tokens are used.
        head: a head of a model of the atlas, or of another model that can be loaded.
        text: the text; it is cut to the setting `max_tokens`.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.

    Returns:
        (layers, heads, n_tokens, n_tokens) patterns, and the place of the head among the heads of
        all these layers.

    Raises:
        InputError: if the text is shorter than two tokens, or the model is not found.
        HeadNotFoundError: if the model has no such head.
        ModelError, ResourceError: if the model does not load.
    """
    from attention_motifs.extraction import extract_patterns, load_model

    asked = head if isinstance(head, HeadId) else HeadId.parse(head)
    source, dtype = asked.model, "float32"
    if asked.model in atlas.models:
        source = wanted_model(atlas, asked.model, "move the model back to its place")
        dtype = dtype_in(atlas, asked.model)
    configuration = atlas.manifest.configuration
    max_tokens = configuration.max_tokens
    loaded = load_model(
        source, device=device, dtype=dtype, max_tokens=max_tokens, softmax_only=True, report=report
    )  # fmt: skip
    layers, n_heads = loaded.layers, loaded.info.n_heads
    if asked.layer not in layers or asked.index >= n_heads:
        raise HeadNotFoundError(
            f"{asked}: {asked.model} has {layers_in_words(layers)} and heads 0 to {n_heads - 1}"
        )
    batches = extract_patterns(loaded, text, max_tokens=max_tokens, bos=configuration.bos)
    patterns = np.stack([batch.patterns.cpu().numpy() for batch in batches])
    return patterns, layers.index(asked.layer) * n_heads + asked.index
