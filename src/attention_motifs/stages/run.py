"""Whole runs: all stages in order, and a new model in an existing atlas."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_motifs.atlas import IMPORTED, Atlas
from attention_motifs.atlas.stimuli import PROMPTS
from attention_motifs.errors import AtlasError, InputError, JobsFailedError, ModelError
from attention_motifs.executors import LOCAL, Executor
from attention_motifs.models.in_memory import MEMORY, given, model_given, named_models
from attention_motifs.progress import Report, checked_report, silent
from attention_motifs.stages.create import check_configuration, check_folder, create_or_resume
from attention_motifs.stages.distances import distances, standard_metrics
from attention_motifs.stages.embed import embed
from attention_motifs.stages.extract import extract, identify
from attention_motifs.stages.model_source import load_for, not_given, source_on
from attention_motifs.stages.remove import begin_removal, finish_removals, rebuild
from attention_motifs.stages.same_model import changed_model, changes, name_of, recorded_name
from attention_motifs.stages.score import score as score_heads
from attention_motifs.stages.stage import writing
from attention_motifs.store import remote
from attention_motifs.store.paths import MANIFEST
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    from attention_motifs.models.sources import ModelLike


def build(
    path: str | Path,
    configuration: Configuration | None = None,
    *,
    models: Mapping[str, Any] | Sequence[Any] | None = None,
    metrics: Sequence[str] | None = None,
    device: str = "auto",
    executor: Executor = LOCAL,
    force: bool = False,
    score: bool = True,
    report: Report = silent,
) -> Atlas:
    """Build an atlas; a second call with the same settings does what is still missing.

    Args:
        path: folder of the atlas, or its URL.
        configuration: settings of the atlas; default: those of the existing atlas, or those of
            `Configuration(models)` for a new one.
        models: the models, instead of those of the configuration: a mapping from names to models,
            or a list of models. A model is a name, a path, or an object in memory such as
            `(model, tokenizer)`, which is not changed.
        metrics: default: `mean`, `cosine`, `natural` and `recommended`, without those that need
            features or probes that are not computed.
        device: `auto`, `cpu`, `cuda`...
        executor: runs the models; default: this process.
        force: write the atlas into a folder that holds other files.
        score: score the heads on repeated random tokens. A model that cannot be scored is left out
            with a warning.
        report: shows progress.

    Raises:
        InputError: if a setting, a metric, a model's name or a prompt cannot be used, a model
            changed since the atlas was made with it, or the folder holds other files.
        ModelError, ResourceError: if a model is not available, does not load or fails its check.
        AtlasError: if the folder holds an atlas of other settings, or another run holds it.

    Example:
        >>> import attention_motifs as am
        >>> settings = am.Configuration(
        ...     models="smollm2-135m-instruct", n_prompts=4, max_tokens=16, n_components=4,
        ...     feature_sets="paper", n_view_prompts=1,
        ... )
        >>> atlas = am.build("my-atlas", settings, metrics=["mean"])
        >>> atlas.distances("mean").shape
        (270, 270)
    """
    from attention_motifs.distances import get_metric

    report = checked_report(report)
    if configuration is None or models is not None:
        texts, objects = named_models([] if models is None else models)
        require_this_process(objects, executor)
        with given(objects):
            return build(
                path, _settings_of(path, configuration, tuple(texts)), metrics=metrics,
                device=device, executor=executor, force=force, score=score, report=report,
            )  # fmt: skip
    _require_given(path, configuration)
    check_configuration(configuration)
    metrics = [metrics] if isinstance(metrics, str) else metrics
    if not isinstance(metrics, Iterable | None):
        raise InputError(f"metrics={metrics!r:.80}: expected a list of names of metrics")
    metrics = [] if metrics is None else list(metrics)
    for metric in metrics:
        get_metric(metric)
    check_folder(path, force=force)
    with Atlas.lock(path, new=True):
        atlas = create_or_resume(path, configuration)
        finish_removals(atlas, report)
        extract(atlas, device=device, executor=executor, report=report)
        embed(atlas, report=report)
        for metric in metrics or standard_metrics(atlas):
            distances(atlas, metric, report=report)
        if score:
            score_models(atlas, atlas.models, device, executor, report)
        return atlas


def _settings_of(
    path: str | Path, configuration: Configuration | None, models: tuple[str, ...]
) -> Configuration:
    """Return the settings for models that are given apart from them: of an existing atlas, its own.

    Raises:
        InputError: if there are neither models nor an atlas.
    """
    if configuration is not None:
        return dataclasses.replace(configuration, models=models)
    if is_atlas(path):
        known = Atlas.open(path).manifest.configuration
        names = {name_of(model) for model in known.models}
        again = all(name_of(model) in names for model in models)
        return known if again else dataclasses.replace(known, models=models)
    if not models:
        raise InputError(
            f"{path}: there is no atlas to continue. Give the models of a new one: "
            "am.build(path, models={'mine': (model, tokenizer)}), or a configuration"
        )
    return Configuration(models=models)


def _require_given(path: str | Path, configuration: Any) -> None:
    """Require the models that an existing atlas was made with from memory.

    Raises:
        InputError: for the first of them that is not given.
    """
    if not is_atlas(path):
        return
    atlas = Atlas.open(path)
    for model in getattr(configuration, "models", ()):
        record = atlas.manifest.models.get(model)
        if record is not None and record.kind == MEMORY and model_given(model) is None:
            raise not_given(atlas, model)


def is_atlas(path: str | Path) -> bool:
    """Return whether a folder or URL holds an atlas, finished or not."""
    return (remote.paths_of(path).folder / MANIFEST).is_file()


def require_this_process(objects: Mapping[str, Any], executor: Executor) -> None:
    """Refuse models in memory for an executor that runs models in other processes.

    Raises:
        InputError: naming the models.
    """
    if objects and executor is not LOCAL:
        raise InputError(
            f"{', '.join(objects)}: models in memory run in this process only. Leave out "
            "`executor`, or save the models and give their folders"
        )


def score_models(
    atlas: Atlas, models: Sequence[str], device: str, executor: Executor, report: Report
) -> None:
    """Score models one by one; those that cannot be scored are named in a warning."""
    for model in models:
        if atlas.manifest.models[model].kind == IMPORTED:
            continue
        try:
            score_heads(atlas, models=[model], device=device, executor=executor, report=report)
        except (InputError, JobsFailedError, ModelError) as error:
            warnings.warn(f"{model}: its heads are not scored: {error}", stacklevel=3)


def add(
    path: str | Path,
    model: ModelLike,
    *,
    replace: bool = False,
    device: str = "auto",
    score: bool = True,
    softmax_only: bool = False,
    report: Report = silent,
) -> Atlas:
    """Place a new model in an atlas by its saved embeddings, which are not fitted again.

    Args:
        path: folder of the atlas, or its URL.
        model: name or path of the model, or an object in memory: `(model, tokenizer)`, or
            `{"name": (model, tokenizer)}`. It is not changed.
        replace: let the model take the place of one of the same name. If the embedding was fitted
            on that one, it is fitted again, and the positions and distances of all heads change.
        device: `auto`, `cpu`, `cuda`...
        score: score its heads on repeated random tokens, if the model can be scored.
        softmax_only: read the softmax layers alone of a hybrid, see `load_model`.
        report: shows progress.

    Raises:
        AtlasError: if the atlas has no embedding yet.
        InputError: if the atlas holds another model of this name, or was fitted on this one.
        ModelError, ResourceError: if the model is not available, does not load or fails its check.

    Example:
        >>> import attention_motifs as am
        >>> settings = am.Configuration(
        ...     models="smollm2-135m-instruct", n_prompts=4, max_tokens=16, n_components=4,
        ...     feature_sets="paper", n_view_prompts=1,
        ... )
        >>> _ = am.build("small-atlas", settings, metrics=["mean"])
        >>> am.add("small-atlas", "gemma-3-270m").models
        ('smollm2-135m-instruct', 'gemma-3-270m')
    """
    report = checked_report(report)
    (requested,), objects = named_models([model])
    with given(objects), writing(path) as atlas:
        finish_removals(atlas, report)
        if "embed" not in atlas.manifest.stages:
            raise AtlasError(
                f"{atlas.place}: has no embedding to place a model in; finish it with "
                f"{atlas.paths.command('build')}"
            )
        identity = identify(atlas, requested, device, report)
        name = identity.name
        existing = atlas.manifest.models.get(name)
        fitted = any(name == recorded_name(atlas, w) for w in atlas.manifest.configuration.models)
        if existing is not None and existing.is_imported:
            raise InputError(
                f"{name}: its patterns were imported, and no model replaces them. Run "
                f"{atlas.paths.extract_command()} to import them again, or add the model under "
                "another name with NAME=PATH"
            )
        changed = changes(atlas, identity)
        if changed and not replace:
            raise changed_model(atlas, requested, name, changed)
        if fitted and existing is not None and not changed:
            raise InputError(f"{name} is one of the models this atlas was built on already")
        if changed:
            loaded = load_for(atlas, requested, device, report, softmax_only=softmax_only)
            source_on(atlas, loaded, PROMPTS)  # raises before anything is removed
            begin_removal(atlas, name, replacement=requested)
            finish_removals(atlas, report)
        extract(
            atlas, device=device, models=[requested], report=report, added=not fitted,
            softmax_only=softmax_only,
        )  # fmt: skip
        rebuild(atlas, report)
        if score:
            score_models(atlas, [name], device, LOCAL, report)
        return atlas
