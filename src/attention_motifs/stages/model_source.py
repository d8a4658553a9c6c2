"""Models of an atlas: their paths and dtypes, and the source of their patterns."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.progress import Report, silent
from attention_motifs.stages.parts import PatternSource, Sink
from attention_motifs.store.manifest import ModelRecord
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    from attention_motifs.models.model import LoadedModel
    from attention_motifs.models.tokenizing import TokenizedPrompt


def wanted_model(atlas: Atlas, model: str, mend: str) -> str:
    """Return the name or path under which the user requested a model of the atlas.

    Args:
        atlas: holds the model.
        model: its name.
        mend: how to give the path, for the error.

    Raises:
        InputError: if it is a local model whose path the atlas does not know.
    """
    from attention_motifs.models.sources import resolve

    for wanted in atlas.manifest.configuration.models:
        if wanted == model or wanted.startswith(f"{model}="):
            return wanted
        if any(sign in wanted for sign in "/.@"):
            try:
                if resolve(wanted).name == model:
                    return wanted
            except InputError:  # the path does not exist any more
                continue
    info = atlas.manifest.models[model]
    if info.is_local:
        raise InputError(f"{model}: the path of this local model is not recorded; {mend}")
    if info.kind == "hub" and info.revision:
        return f"{model}={info.location}@{info.revision}"
    return model


def model_source(
    atlas: Atlas,
    wanted: str,
    device: str = "auto",
    report: Report = silent,
    *,
    dtype: str | None = None,
) -> PatternSource:
    """Load a model, and tokenize the atlas's prompts for it.

    Args:
        atlas: read, not written.
        wanted: the model as the user names it.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.
        dtype: default: that of `dtype_in`.

    Raises:
        ModelError, ResourceError: if the model is not available, does not load or fails its check.
        InputError: if a prompt is shorter than two tokens.
    """
    from attention_motifs.extraction import load_model
    from attention_motifs.models.sources import resolve
    from attention_motifs.models.tokenizing import tokenize

    configuration = atlas.manifest.configuration
    dtype = dtype or dtype_in(atlas, resolve(wanted).name)
    loaded = load_model(
        wanted, device=device, dtype=dtype, max_tokens=configuration.max_tokens, report=report
    )
    tokenized = tokenize(
        loaded,
        [(row["prompt_id"], row["text"]) for row in atlas.prompts.iter_rows(named=True)],
        max_tokens=configuration.max_tokens,
        bos=configuration.bos,
    )
    return source_of(loaded, tokenized, configuration)


def dtype_in(atlas: Atlas, model: str) -> str:
    """Return the recorded dtype of a model, or else the dtype of the configuration.

    `auto` is decided once per model, so that parts made later, also elsewhere, match the others.
    """
    record = atlas.manifest.models.get(model)
    return (record.dtype if record else None) or atlas.manifest.configuration.dtype


def source_of(
    loaded: LoadedModel, tokenized: Sequence[TokenizedPrompt], configuration: Configuration
) -> PatternSource:
    """Return the source of the patterns of a loaded model on prompts tokenized for it.

    Raises:
        ResourceError: if a forward pass does not fit in memory.
    """
    from attention_motifs.extraction import for_each_layer, most_at_once
    from attention_motifs.models.tokenizing import first_token

    at_once = most_at_once(loaded, max((len(t.token_ids) for t in tokenized), default=2))
    # The threads end when the source is garbage.
    threads = ThreadPoolExecutor(at_once, "attention-motifs pass")

    def run_block(positions: Sequence[int], sink: Sink) -> None:
        prompts = [tokenized[i] for i in positions]
        for_each_layer(loaded, prompts, sink, at_once=at_once, threads=threads)

    return PatternSource(
        loaded.info.name,
        ModelRecord.from_json(
            {**loaded.info.to_json(), "bos": first_token(loaded, configuration.bos) is not None}
        ),
        [(t.token_ids, t.tokens) for t in tokenized],
        run_block,
        at_once,
    )
