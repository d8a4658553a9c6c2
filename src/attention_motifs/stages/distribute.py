"""The stage `extract` by an executor: workers begin the models, then make the parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from attention_motifs.atlas import Atlas
from attention_motifs.executors import Executor, Job
from attention_motifs.progress import Report, silent
from attention_motifs.stages.extract import (
    PatternSource,
    begin_model,
    dtype_in,
    finish_model,
    missing_parts,
    model_source,
    warn_of_mixed_lengths,
    write_part,
)
from attention_motifs.store import files
from attention_motifs.store.settings import Configuration


def distribute(
    atlas: Atlas,
    wanted: Sequence[str],
    executor: Executor,
    *,
    device: str = "auto",
    report: Report = silent,
    added: bool = False,
) -> None:
    """Take the patterns of models, as `extract` does in one process; the files are the same.

    A job is a model and a block of prompts. A model whose parts are all there is noted in the
    manifest, also where parts of another could not be made.

    Args:
        atlas: held by the caller's lock; its folder is seen by all workers under the same path.
        wanted: models as the user names them.
        executor: who does it.
        device: `auto`, `cpu`, `cuda`... of each worker.
        report: shows progress over all workers.
        added: as in `extract`.

    Raises:
        JobsFailedError: if a model could not be begun or some parts could not be made.
    """
    if wanted:
        try:
            _distribute(atlas, wanted, executor, device, report, added=added)
        finally:
            executor.close()
            # What killed workers left behind; on the disk, also of an atlas in an object store.
            files.remove_unfinished(Path(str(atlas.path)))


def _distribute(
    atlas: Atlas,
    wanted: Sequence[str],
    executor: Executor,
    device: str,
    report: Report,
    *,
    added: bool,
) -> None:
    path = str(atlas.path.resolve())
    begin = [
        Job(f"begin {one}", f"{__name__}:begin_in_process", (path, one, device), loads=one)
        for one in wanted
    ]
    with report(f"load {', '.join(wanted)}", len(wanted)) as advance:
        begun = dict(zip(wanted, executor.run(begin, advance), strict=True))
    parts = [
        Job(
            f"{model}, prompts {positions.start} to {positions.stop - 1}",
            f"{__name__}:extract_part",
            (path, one, block, device, info["dtype"]),
            loads=one,
            steps=len(positions),
        )
        for one, (model, info) in begun.items()
        for block, positions in missing_parts(atlas, model, info).items()
    ]
    for model, _info in begun.values():
        warn_of_mixed_lengths(atlas, model, atlas.tokens(model)["token_ids"].list.len().to_list())
    title = f"patterns and features of {', '.join(model for model, _ in begun.values())}"
    try:
        with report(title, sum(job.steps for job in parts)) as advance:
            executor.run(parts, advance)
    finally:
        _finish(atlas, list(begun.values()), added=added)


def _finish(atlas: Atlas, begun: Sequence[tuple[str, dict[str, Any]]], *, added: bool) -> None:
    """Note the models that are complete."""
    for model, info in begun:
        if not missing_parts(atlas, model, info):
            finish_model(atlas, model, info, added=added)


def begin_in_process(path: str, wanted: str, device: str) -> tuple[str, dict[str, Any]]:
    """Load a model in any process, and write the tokens of its prompts.

    Args:
        path: of the atlas.
        wanted: the model as the user names it.
        device: `auto`, `cpu`, `cuda`...

    Returns:
        Its name and what the manifest is to say of it.
    """
    atlas = Atlas.open(path)
    source = _source_of_process(*_key(atlas, wanted, device))
    begin_model(atlas, source)
    return source.model, dict(source.info)


def extract_part(
    path: str | Path, wanted: str, block: int, device: str = "auto", dtype: str | None = None
) -> None:
    """Make one part in any process that can see the atlas's folder.

    The model stays loaded in the process for its next part. Other processes may make other parts of
    the same atlas meanwhile; one of them, holding the lock, calls `begin_model` before and
    `finish_model` after.

    Args:
        path: of the atlas, which holds the prompts and the configuration.
        wanted: the model as the user names it; a local path must be there for this process too.
        block: which of the atlas's `n_blocks` blocks of prompts.
        device: `auto`, `cpu`, `cuda`...
        dtype: that the model was begun in; by default what it would be begun in here.

    Raises:
        AtlasError: if there is no atlas.
        ModelError, ResourceError, InputError: as `extract`.
    """
    atlas = Atlas.open(path)
    write_part(atlas, _source_of_process(*_key(atlas, wanted, device, dtype)), block)


def _key(
    atlas: Atlas, wanted: str, device: str, dtype: str | None = None
) -> tuple[Path, str, str, str, Configuration]:
    """All that `_source_of_process` depends on."""
    from attention_motifs.extraction import resolve_dtype
    from attention_motifs.models.sources import resolve

    chosen = dtype or resolve_dtype(wanted, dtype_in(atlas, resolve(wanted).name), device=device)
    return atlas.path.resolve(), wanted, device, chosen, atlas.manifest.configuration


@lru_cache(maxsize=1)
def _source_of_process(
    path: Path, wanted: str, device: str, dtype: str, _configuration: Configuration
) -> PatternSource:
    return model_source(Atlas.open(path), wanted, device, dtype=dtype)
