"""Models of an atlas: their paths and dtypes, and the source of their patterns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.stimuli import PROBES, Stimuli
from attention_motifs.errors import InputError, MotifsError
from attention_motifs.progress import Report, silent
from attention_motifs.stages.parts import PatternSource, Sink
from attention_motifs.stages.same_model import recorded_name
from attention_motifs.store.manifest import ModelRecord
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    from attention_motifs.models.model import LoadedModel
    from attention_motifs.models.tokenizing import TokenizedPrompt


def wanted_model(atlas: Atlas, model: str, advice: str) -> str:
    """Return the name or path from which a model of the atlas is loaded again.

    A local model is searched at the path that the user named, and next to the atlas, so that an
    atlas can be moved together with its models.

    Args:
        atlas: holds the model.
        model: its name.
        advice: how to give the path, for the error.

    Raises:
        InputError: if it is a local model that is in none of these places, or a model in memory
            that is not given again.
    """
    from attention_motifs.models.in_memory import MEMORY, model_given
    from attention_motifs.models.packaged import PACKAGED

    info = atlas.manifest.models[model]
    names = (w for w in atlas.manifest.configuration.models if recorded_name(atlas, w) == model)
    given = next(names, info.wanted)
    if model_given(model) is not None:
        return model
    if info.kind == MEMORY and given == model:
        raise not_given(atlas, model)
    if info.is_local:
        return _place_of_local(atlas, info, given, advice)
    if given is not None and (info.wanted is None or info.kind != "hub"):
        return given
    if info.kind == "hub" and info.revision:
        return f"{model}={info.location}@{info.revision}"
    if info.kind == "packaged" and model not in PACKAGED:  # added under another name
        for packaged in PACKAGED.values():
            if ", ".join(packaged.requirements) == info.location:
                return f"{model}={packaged.name}"
    return given or model


def not_given(atlas: Atlas, model: str) -> InputError:
    """Build the error for a model that an atlas was made with from memory, and that is needed."""
    place = str(atlas.place)
    return InputError(
        f"{model}: no file holds its weights, since {place} was made with this model in memory. "
        f"Give it again in Python: am.build({place!r}, models={{{model!r}: (model, tokenizer)}}), "
        "the same models= in am.score, or model=(model, tokenizer) in am.ablate"
    )


def models_to_extract(atlas: Atlas) -> list[str]:
    """Return the models of the configuration, each with its present place."""
    models = []
    for requested in atlas.manifest.configuration.models:
        name = recorded_name(atlas, requested)
        advice = f"run {atlas.paths.command('build --model NAME=PATH')} with its present path"
        models.append(
            wanted_model(atlas, name, advice) if name in atlas.manifest.models else requested
        )
    return models


def _place_of_local(atlas: Atlas, info: ModelRecord, given: str | None, advice: str) -> str:
    text = given or info.location
    if text is None:
        raise InputError(f"{info.name}: the path of this local model is not recorded; {advice}")
    name, equals, source = text.partition("=")
    path = Path(source if equals and name == info.name else text).expanduser()
    beside = (atlas.path.resolve().parent, atlas.path.resolve())
    places = [
        Path.cwd() / path,
        *(folder / part for folder in beside for part in (path, path.name)),
    ]
    places = list(dict.fromkeys(Path(os.path.normpath(place)) for place in places))
    existing = [place for place in places if os.path.exists(place)]  # noqa: PTH110 - no error without permission
    if not existing:
        searched = ", ".join(map(str, places))
        raise InputError(f"{info.name}: this local model is in none of {searched}; {advice}")
    place = existing[0]
    if len(existing) > 1:  # the same path below two folders
        place = next((p for p in existing if _has_weights(p, info.weights_sha256)), place)
    return given if given is not None and place == places[0] else f"{info.name}={place}"


def _has_weights(place: Path, sha256: str) -> bool:
    from attention_motifs.models.digests import current_sha256, weights_sha256

    try:
        return (weights_sha256 if place.is_dir() else current_sha256)(place) == sha256
    except (MotifsError, OSError):
        return False


def load_for(
    atlas: Atlas,
    requested: str,
    device: str = "auto",
    report: Report = silent,
    *,
    dtype: str | None = None,
    softmax_only: bool = False,
) -> LoadedModel:
    """Load a model to run it on the prompts and the probes of an atlas.

    Args:
        atlas: read, not written.
        requested: the model as the user names it.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.
        dtype: default: that of `dtype_in`.
        softmax_only: read the softmax layers of a hybrid, also if the atlas does not say so.

    Raises:
        ModelError, ResourceError: if the model is not available, does not load or fails its check.
    """
    from attention_motifs.extraction import load_model
    from attention_motifs.models.sources import resolve

    name = resolve(requested).name
    return load_model(
        requested,
        device=device,
        dtype=dtype or dtype_in(atlas, name),
        max_tokens=atlas.manifest.configuration.max_tokens,
        softmax_only=softmax_only or reads_softmax_only(atlas, name),
        report=report,
    )


def source_on(atlas: Atlas, loaded: LoadedModel, stimuli: Stimuli) -> PatternSource:
    """Return the source of the patterns of a loaded model on the prompts or probes of an atlas.

    Raises:
        InputError: if a prompt or a probe is shorter than two tokens.
        ResourceError: if a forward pass does not fit in memory.
    """
    from attention_motifs.models.tokenizing import tokenize
    from attention_motifs.stages.probe_sequences import probe_sequences

    configuration = atlas.manifest.configuration
    if stimuli is PROBES:
        probes = probe_sequences(atlas, loaded)
        source = source_of(loaded, probes.sequences, configuration)
        return replace(source, stimuli=PROBES, repeat_lengths=probes.repeat_lengths)
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


def reads_softmax_only(atlas: Atlas, model: str) -> bool:
    """Return whether the atlas holds the softmax layers alone of a model, or is to hold them."""
    record = atlas.manifest.models.get(model)
    recorded = record is not None and record.softmax_layers is not None
    return recorded or atlas.manifest.configuration.softmax_only


def source_of(
    loaded: LoadedModel, tokenized: Sequence[TokenizedPrompt], configuration: Configuration
) -> PatternSource:
    """Return the source of the patterns of a loaded model on prompts tokenized for it.

    Raises:
        ResourceError: if a forward pass does not fit in memory.
    """
    from attention_motifs.extraction import for_each_layer, most_at_once
    from attention_motifs.models.tokenizing import prefix_tokens

    longest = max((len(t.token_ids) for t in tokenized), default=2)
    at_once = most_at_once(loaded, longest, by_heads=True)
    # The threads end when the source is garbage.
    threads = ThreadPoolExecutor(at_once, "attention-motifs pass")

    def run_block(positions: Sequence[int], sink: Sink, by_heads: bool = False) -> None:
        prompts = [tokenized[i] for i in positions]
        for_each_layer(loaded, prompts, sink, at_once=at_once, threads=threads, by_heads=by_heads)

    return PatternSource(
        loaded.info.name,
        ModelRecord.from_json(
            {**loaded.info.to_json(), "bos": bool(prefix_tokens(loaded, configuration.bos))}
        ),
        [(t.token_ids, t.tokens) for t in tokenized],
        run_block,
        partial(run_block, by_heads=True),
    )
