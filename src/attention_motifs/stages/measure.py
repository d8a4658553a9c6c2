"""Behaviour scores and ablations of an atlas that is named by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.features.arguments import whole_number
from attention_motifs.head import HeadId
from attention_motifs.models.in_memory import given, in_memory, named_models
from attention_motifs.progress import Report, checked_report, silent
from attention_motifs.stages.ablation import targets
from attention_motifs.stages.ablation.ablate import ablate as ablate_target
from attention_motifs.stages.ablation.ablate import sweep
from attention_motifs.stages.ablation.settings import N_CONTROLS, N_SEQUENCES, Settings
from attention_motifs.stages.score import score as score_stage
from attention_motifs.stages.stage import writing

if TYPE_CHECKING:
    import polars as pl


def score(
    path: str | Path,
    *,
    models: Mapping[str, Any] | Sequence[Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    report: Report = silent,
) -> Atlas:
    """Score the heads of an atlas on repeated random tokens.

    Args:
        path: folder of the atlas, or its URL.
        models: which models: names in the atlas, or a mapping from names in the atlas to models in
            memory, such as `{"mine": (model, tokenizer)}`. Default: all.
        seed: seed for the draw of tokens.
        device: `auto`, `cpu`, `cuda`...
        force: score again although nothing changed.
        report: shows progress.

    Returns:
        The atlas; its table `heads` holds the scores.

    Raises:
        InputError: if a model is not in the atlas, or has other weights than it was made with.
        ModelError, ResourceError: if a model cannot be loaded.
        AtlasError: if there is no atlas, or another run holds it.

    Example:
        >>> import attention_motifs as am
        >>> settings = am.Configuration(
        ...     models="smollm2-135m-instruct", n_prompts=4, max_tokens=16, n_components=4,
        ...     feature_sets="paper", n_view_prompts=1,
        ... )
        >>> _ = am.build("my-atlas", settings, metrics=["mean"], score=False)
        >>> "induction" in am.score("my-atlas").heads.columns
        True
    """
    report = checked_report(report)
    seed = whole_number(seed, "seed")
    texts, objects = (None, {}) if models is None else named_models(models)
    with given(objects), writing(path) as atlas:
        score_stage(atlas, seed=seed, device=device, models=texts, force=force, report=report)
        return atlas


def ablate(
    path: str | Path,
    heads: str | HeadId | Sequence[str | HeadId],
    *,
    model: Any = None,
    methods: str | Sequence[str] = "mean",
    designs: str | Sequence[str] = ("prompts", "repeated"),
    n_sequences: int = N_SEQUENCES,
    n_controls: int = N_CONTROLS,
    seed: int = 0,
    device: str = "auto",
    report: Report = silent,
) -> pl.DataFrame:
    """Ablate heads together, or each head of a model alone, and measure the effect.

    Args:
        path: folder of the atlas, or its URL.
        heads: a head, or a list of heads of one model, that are ablated together and compared with
            random heads of the same layers; or the name of a model, whose heads are ablated one by
            one.
        model: the model in memory, as `(model, tokenizer)`, or the path of a local model as
            NAME=PATH. Default: as the atlas records it.
        methods: replacement of the heads' outputs: `mean`, `mean-position`, `resample`, `zero`,
            `pattern-preserving`, or `all`.
        designs: test sequences: `prompts`, `repeated` or `long`.
        n_sequences: test sequences per design.
        n_controls: random sets of heads of the same layers.
        seed: seed for the sequences and the random sets.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.

    Returns:
        One row per measure, method and design: the effect, its interval, and p and q against the
        random sets. The atlas keeps them in `ablations.parquet`.

    Raises:
        InputError: if a head or a setting cannot be used, the atlas has too few prompts of full
            length, or the model has other weights than the atlas was made with.
        ModelError, ResourceError: if the model cannot be loaded or ablated.
        AtlasError: if there is no atlas, or another run holds it.

    Example:
        >>> import attention_motifs as am
        >>> settings = am.Configuration(
        ...     models="smollm2-135m-instruct", n_prompts=4, max_tokens=16, n_components=4,
        ...     feature_sets="paper", n_view_prompts=1,
        ... )
        >>> _ = am.score(am.build("my-atlas", settings, metrics=["mean"], score=False).path)
        >>> effects = am.ablate(
        ...     "my-atlas", "smollm2-135m-instruct:L18:H6", designs="repeated", n_sequences=2,
        ...     n_controls=1,
        ... )
        >>> "effect" in effects.columns
        True
    """
    report = checked_report(report)
    names = _texts(heads, "heads")
    if not names:
        raise InputError("heads = []: no heads are selected. Name a head, or a model")
    settings = Settings(
        methods=_texts(methods, "methods"),
        designs=_texts(designs, "designs"),
        n_sequences=whole_number(n_sequences, "n_sequences", least=1),
        n_controls=whole_number(n_controls, "n_controls"),
        seed=whole_number(seed, "seed"),
        device=device,
    )
    with writing(path) as atlas:
        whole = len(names) == 1 and names[0] in atlas.models
        target = None if whole else targets.named_heads(atlas, names)
        name = names[0] if target is None else target.model
        requested = model if isinstance(model, str) else None
        held = None if model is None or requested else replace(in_memory(model, name), name=name)
        with given({} if held is None else {name: held}):
            if target is None:
                return sweep(atlas, name, settings, requested=requested, report=report)
            return ablate_target(atlas, target, settings, model=requested, report=report)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    """Return a text or a list of texts, or of heads, as texts."""
    values = [value] if isinstance(value, str | HeadId) else value
    if not isinstance(values, Sequence) or not all(isinstance(v, str | HeadId) for v in values):
        raise InputError(f"{name} = {value!r:.80}: give a name, or a list of names")
    return tuple(str(v) for v in values)
