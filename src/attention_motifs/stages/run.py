"""Whole runs: all stages in order, and a new model in an atlas that is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import AllPairs, stored_distances
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.executors import LOCAL, Executor
from attention_motifs.progress import Report, silent
from attention_motifs.stages.create import check_configuration, create_or_resume
from attention_motifs.stages.distances import distances, standard_metrics
from attention_motifs.stages.embed import embed, place, place_recommended
from attention_motifs.stages.extract import extract
from attention_motifs.store.settings import Configuration


def build(
    path: str | Path,
    configuration: Configuration,
    *,
    metrics: Sequence[str] | None = None,
    device: str = "auto",
    executor: Executor = LOCAL,
    report: Report = silent,
) -> Atlas:
    """Run all stages into the atlas at `path`; run again, it does what is still missing.

    Args:
        path: folder of the atlas.
        configuration: what it is to hold.
        metrics: by default `mean` and `cosine`, and `recommended` if its features are there.
        device: `auto`, `cpu`, `cuda`...
        executor: who takes the patterns; by default this process.
        report: shows progress.

    Raises:
        InputError: if a setting, a metric, a model's name or a prompt cannot be used.
        ModelError, ResourceError: if a model cannot be had, loaded or trusted.
        AtlasError: if an atlas of other settings is there, or another run works on it.
    """
    from attention_motifs.distances import get_metric

    check_configuration(configuration)
    for metric in metrics or ():
        get_metric(metric)
    with Atlas.lock(path, new=True):
        atlas = create_or_resume(path, configuration)
        extract(atlas, device=device, executor=executor, report=report)
        embed(atlas, report=report)
        sets = atlas.manifest.configuration.feature_sets
        for metric in metrics or standard_metrics(sets):
            distances(atlas, metric, report=report)
        return atlas


def add(path: str | Path, model: str, *, device: str = "auto", report: Report = silent) -> Atlas:
    """Place a new model in an atlas by its saved embeddings; nothing is fitted anew.

    Raises:
        AtlasError: if the atlas has no embedding yet.
        InputError: if the atlas was fitted on the model.
    """
    from attention_motifs.models.sources import resolve

    with Atlas.lock(path):
        atlas = Atlas.open(path)
        if "embed" not in atlas.manifest.stages:
            raise AtlasError(
                f"{atlas.path}: has no embedding to place a model in; finish it with `motifs build`"
            )
        name = resolve(model).name
        there = atlas.manifest.models.get(name)
        if there is not None and not there.get("added"):
            raise InputError(f"{name} is one of the models this atlas was built on already")
        extract(atlas, device=device, models=[model], report=report, added=True)
        place(atlas, name, atlas.embedding(), report=report)
        if "recommended" in atlas.manifest.stages:
            place_recommended(atlas, name, atlas.recommended(), report=report)
        for metric, stored in stored_distances(atlas).items():
            limit = DENSE_LIMIT if isinstance(stored, AllPairs) else 0
            distances(atlas, metric, dense_limit=limit, report=report)
        return atlas
