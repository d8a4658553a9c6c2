"""Removal of a model from an atlas, with all that was computed from it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import AllPairs, stored_distances
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.errors import InputError
from attention_motifs.progress import Report, checked_report, silent
from attention_motifs.stages.ablation.rows import corrected
from attention_motifs.stages.distances import distances
from attention_motifs.stages.embed import embed
from attention_motifs.stages.heads import write_heads
from attention_motifs.stages.same_model import command, name_of, recorded_name
from attention_motifs.stages.stage import writing
from attention_motifs.store import files
from attention_motifs.store.paths import ARTEFACTS, AtlasFile

_PENDING = "remove:"
"""Start of the entry in the journal that stands while a removal is not finished."""

_OF_MODEL = ("extract", "probe", "place", "score")
"""Stages that run once per model: the entries of the journal end with its name."""

_OF_ALL_HEADS = ("project", "explore")
"""Stages over all heads, whose results are deleted."""


def remove(path: str | Path, model: str, *, report: Report = silent) -> Atlas:
    """Remove a model from an atlas.

    Its tokens, features, patterns, scores and ablations are deleted. The embedding is fitted again
    if it was fitted on the model, and the distances are computed again. Projections, clusters and
    the evaluation, which are over all heads, are deleted. A removal that was stopped continues with
    the same call, or with the next `build` or `add`. A model that could not be extracted is taken
    out of the settings, so that the others can be finished without it.

    Args:
        path: folder of the atlas, or its URL.
        model: name of the model, or its path.
        report: shows progress.

    Raises:
        InputError: if the atlas does not hold the model, or the embedding is fitted on it alone.
        AtlasError: if there is no atlas, or another run holds it.

    Example:
        >>> import attention_motifs as am
        >>> settings = am.Configuration(
        ...     models="smollm2-135m-instruct", n_prompts=4, max_tokens=16, n_components=4,
        ...     feature_sets="paper", n_view_prompts=1,
        ... )
        >>> _ = am.build("small-atlas", settings, metrics=["mean"])
        >>> _ = am.add("small-atlas", "gemma-3-270m")
        >>> am.remove("small-atlas", "gemma-3-270m").models
        ('smollm2-135m-instruct',)
    """
    report = checked_report(report)
    if not isinstance(model, str):
        raise InputError(f"model {model!r:.80} is not a name. Give one, such as 'gpt2-small'")
    with writing(path) as atlas:
        name = model if _holds(atlas, model) else name_of(model)
        if not _holds(atlas, name):
            names = dict.fromkeys([*atlas.models, *_configured(atlas)])
            raise InputError(
                f"model {name!r} is not in this atlas; it has {', '.join(names) or 'none'}"
            )
        if name in atlas.manifest.models or name in _configured(atlas):
            begin_removal(atlas, name)
        finish_removals(atlas, report)
        rebuild(atlas, report)
        return atlas


def _holds(atlas: Atlas, name: str) -> bool:
    pending = f"{_PENDING}{name}" in atlas.manifest.stages
    return pending or name in atlas.manifest.models or name in _configured(atlas)


def _configured(atlas: Atlas) -> list[str]:
    """Return the names of the models that the embedding is to be fitted on."""
    return [recorded_name(atlas, wanted) for wanted in atlas.manifest.configuration.models]


def begin_removal(atlas: Atlas, name: str, *, replacement: str | None = None) -> None:
    """Take a model out of the manifest, and note that its files are still to be deleted.

    Args:
        atlas: the caller holds its lock.
        name: of the model.
        replacement: name or path of the model that takes its place in the fit, if any.

    Raises:
        InputError: if the embedding is fitted on the model alone and nothing takes its place.
    """
    manifest = atlas.manifest
    names = {w: recorded_name(atlas, w) for w in manifest.configuration.models}
    fitted = [w for w in names if names[w] != name]
    was_fitted = len(fitted) < len(manifest.configuration.models)
    if was_fitted and replacement is None and not fitted:
        raise InputError(
            f"{name}: the embedding of {atlas.place} is fitted on this model alone. Delete the "
            f"folder instead, or replace the model with {command(atlas, 'add', 'MODEL')} and "
            "--replace"
        )
    requested = tuple(fitted)
    if was_fitted and replacement is not None:
        requested = tuple(replacement if names[w] == name else w for w in names)
    if was_fitted and "embed" in manifest.stages:
        warnings.warn(
            f"{name}: the embedding was fitted on this model and is fitted again, so that the "
            "positions and distances of all heads change",
            stacklevel=3,
        )
    dropped = {f"{stage}:{name}" for stage in _OF_MODEL} | set(_OF_ALL_HEADS)
    stages = {
        key: value
        for key, value in manifest.stages.items()
        if key not in dropped
        and not (key.startswith("place-block:") and key.split(":", 2)[2] == name)
    }
    atlas.update(
        configuration=replace(manifest.configuration, models=requested),
        models={key: info for key, info in manifest.models.items() if key != name},
        imputed={key: counts for key, counts in manifest.imputed.items() if key != name},
        stages={**stages, f"{_PENDING}{name}": "begun"},
    )


def finish_removals(atlas: Atlas, report: Report = silent) -> None:
    """Delete the files of models that were taken out of the manifest; nothing if there are none.

    Args:
        atlas: the caller holds its lock.
        report: shows progress.
    """
    names = [
        key.removeprefix(_PENDING) for key in atlas.manifest.stages if key.startswith(_PENDING)
    ]
    for name in names:
        with report(f"remove {name}", 1):
            if atlas.models:
                _delete_results_of_all_heads(atlas)
            _drop_ablations(atlas, name)
            for file in _files_of(atlas, name):
                files.remove(file)
            stages = {k: v for k, v in atlas.manifest.stages.items() if k != f"{_PENDING}{name}"}
            atlas.update(stages=stages)


def rebuild(atlas: Atlas, report: Report = silent) -> None:
    """Fit and place again what depends on the set of models, and compute the distances again.

    Args:
        atlas: the caller holds its lock.
        report: shows progress.
    """
    if "embed" in atlas.manifest.stages:
        embed(atlas, report=report)
    for metric, stored in stored_distances(atlas).items():
        limit = DENSE_LIMIT if isinstance(stored, AllPairs) else 0
        distances(atlas, metric, budget_seconds=float("inf"), dense_limit=limit, report=report)


def _delete_results_of_all_heads(atlas: Atlas) -> None:
    """Delete projections, evaluation and clusters; names that a user gave to clusters are kept."""
    for artefact in ("projections", "evaluation", "labels", "clusters", "linkage"):
        for file in atlas.paths.existing(artefact):
            files.remove(file)
    write_heads(atlas)
    if atlas.file("heads").is_file():
        labels = [name for name in atlas.heads.columns if name.startswith("cluster (")]
        if labels:
            atlas.write_heads(atlas.heads.drop(labels))


def _drop_ablations(atlas: Atlas, name: str) -> None:
    """Delete the rows of a model, and correct the remaining p-values again."""
    if not atlas.file("ablations").is_file():
        return
    table = atlas.ablations
    kept = table.filter(table["model"] != name)
    if kept.is_empty():
        files.remove(atlas.file("ablations"))
    elif len(kept) < len(table):
        files.write_parquet(atlas.file("ablations"), corrected(kept))


def _files_of(atlas: Atlas, name: str) -> list[AtlasFile]:
    """Return the existing files of one model."""
    of_model = [kind for kind, artefact in ARTEFACTS.items() if "{model}" in artefact.pattern]
    return [file for kind in of_model for file in atlas.paths.existing(kind, model=name)]
