"""Disk space that the parts of a model take, stated and checked before the model runs."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attention_motifs.atlas.stimuli import PROMPTS, Stimuli
from attention_motifs.errors import ResourceError
from attention_motifs.features import feature_names
from attention_motifs.memory import in_gigabytes

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas
    from attention_motifs.store.manifest import ModelRecord

STATED = 10**9
"""Bytes from which the space is stated although there is enough."""


def bytes_of_patterns(lengths: Sequence[int], n_heads: int) -> int:
    """Return the bytes of the patterns kept for viewing: one byte per entry of the triangle.

    Args:
        lengths: number of tokens of each prompt whose patterns are kept.
        n_heads: number of heads of the model.
    """
    return n_heads * sum(n * (n + 1) // 2 for n in lengths)


def require_disk(
    atlas: Atlas,
    model: str,
    record: ModelRecord,
    lengths: Sequence[int],
    stimuli: Stimuli = PROMPTS,
) -> None:
    """State the disk space of a model's patterns and features, and refuse where it is missing.

    Parts that are there already are not counted.

    Args:
        atlas: the atlas to write to.
        model: name of the model.
        record: layers and heads of the model.
        lengths: number of tokens of each prompt or probe.
        stimuli: prompts or probes.

    Raises:
        ResourceError: naming both sizes, and how to need less.
    """
    ids = (atlas.prompts if stimuli is PROMPTS else atlas.probes)["prompt_id"].to_list()
    viewed = set(atlas.view_prompts() if stimuli is PROMPTS else atlas.view_probes())
    n_heads, folder = record.n_all_heads, atlas.paths.folder

    def is_missing(prompt_id: str) -> bool:
        return not atlas.file(stimuli.patterns, model=model, prompt=prompt_id).is_file()

    pairs = zip(ids, lengths, strict=True)
    kept = [n for prompt_id, n in pairs if prompt_id in viewed and is_missing(prompt_id)]
    of_patterns = bytes_of_patterns(kept, n_heads)
    # Features of the demo atlas take 3.4 bytes each on the disk, of 4 in memory.
    n_features = len(feature_names(list(atlas.manifest.configuration.feature_sets)))
    is_new = not atlas.paths.existing(stimuli.features, model=model)
    needed = of_patterns + is_new * int(3.4 * n_features) * n_heads * len(lengths)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"{model}: its patterns of {len(kept)} prompts and its features take about "
            f"{in_gigabytes(needed)}, and {folder} has {in_gigabytes(free)} free. Build the atlas "
            "with a smaller --n-view-prompts or --max-tokens, or on another disk"
        )
    if needed >= STATED:
        warnings.warn(
            f"{model}: will take about {in_gigabytes(needed)} of disk, {in_gigabytes(of_patterns)} "
            f"of it for patterns kept for viewing ({len(kept)} prompts; --n-view-prompts)",
            stacklevel=3,
        )
