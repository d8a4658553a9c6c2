"""The stage `shares`: motif shares of atlases that were extracted without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.stimuli import PROMPTS
from attention_motifs.errors import InputError
from attention_motifs.features.compute import available_cores
from attention_motifs.features.threads import cores_of_pass
from attention_motifs.progress import Report, silent
from attention_motifs.stages.model_source import load_for, source_on, wanted_model
from attention_motifs.stages.motif_parts import (
    BlockShares,
    has_shares,
    write_share_columns,
    write_shares,
)
from attention_motifs.stages.parts import extract_inputs, positions_of, to_numpy
from attention_motifs.stages.same_model import changed_model, changes
from attention_motifs.stages.stage import under_lock

if TYPE_CHECKING:
    from attention_motifs.store.manifest import ModelRecord


@under_lock
def shares(
    atlas: Atlas,
    *,
    models: Sequence[str] | None = None,
    device: str = "auto",
    report: Report = silent,
) -> None:
    """Compute the motif shares that are missing, and their means in the heads table.

    Extraction computes them too, so that only atlases of earlier versions need this stage. The
    models run again on the prompts of the atlas.

    Args:
        atlas: the atlas to write to.
        models: names in the atlas; default: all.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.

    Raises:
        InputError: if a model is not in the atlas, changed, or is not found; or if its patterns
            were imported.
        ModelError, ResourceError: if a model cannot be loaded.
    """
    for model in models or atlas.models:
        if model not in atlas.models:
            raise InputError(
                f"model {model!r} is not in this atlas; it has {', '.join(atlas.models)}"
            )
        info = atlas.manifest.models[model]
        missing = [
            block
            for block in range(atlas.n_blocks)
            if not has_shares(atlas, model, block, extract_inputs(atlas, info))
        ]
        if missing:
            _compute(atlas, info, missing, device, report)
    write_share_columns(atlas)


def _compute(
    atlas: Atlas, info: ModelRecord, missing: Sequence[int], device: str, report: Report
) -> None:
    if info.kind == "pattern-lens":
        raise InputError(
            f"{info.name}: its patterns were imported, there is no model to run. Import them again "
            f"with {atlas.paths.command('import-pattern-lens DIR')} into a new atlas"
        )
    requested = wanted_model(atlas, info.name, f"add --model {info.name}=PATH")
    loaded = load_for(atlas, requested, device, report)
    if changed := changes(atlas, replace(loaded.info, name=info.name)):
        raise changed_model(atlas, requested, info.name, changed)
    source = source_on(atlas, loaded, PROMPTS)
    ids: list[str] = atlas.prompts["prompt_id"].to_list()
    title = f"motif shares of {info.name}"
    with report(title, sum(len(positions_of(atlas, block)) for block in missing)) as advance:
        for block in missing:
            positions = positions_of(atlas, block)
            part = BlockShares([source.tokens[i] for i in positions], info)

            def take(
                layer: int,
                indices: Sequence[int],
                patterns: Any,
                first_head: int = 0,
                part: BlockShares = part,
            ) -> None:
                threads = cores_of_pass(available_cores())
                for row, i in enumerate(indices):
                    part.take(layer, i, to_numpy(patterns[row]), threads, first_head)

            source.run(positions, take)
            inputs = extract_inputs(atlas, info)
            write_shares(atlas, info, block, [ids[i] for i in positions], part.shares, inputs)
            advance(len(positions))
