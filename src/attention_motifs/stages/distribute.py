"""The stage `extract` by an executor: workers begin the models, then make the parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attention_motifs.executors import Executor, Job
from attention_motifs.progress import Report, silent
from attention_motifs.stages.extract import finish_model, missing_parts, warn_of_mixed_lengths

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas

_HERE = "attention_motifs.stages.extract"


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
        Job(f"begin {one}", f"{_HERE}:begin_in_process", (path, one, device), loads=one)
        for one in wanted
    ]
    with report(f"load {', '.join(wanted)}", len(wanted)) as advance:
        begun = dict(zip(wanted, executor.run(begin, advance), strict=True))
    parts = [
        Job(
            f"{model}, prompts {positions.start} to {positions.stop - 1}",
            f"{_HERE}:extract_part",
            (path, one, block, device),
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
