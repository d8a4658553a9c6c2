"""Division of the heads of an atlas into small files."""

from __future__ import annotations

from collections.abc import Iterator

from attention_motifs.atlas import Atlas
from attention_motifs.site.contract_distances import HeadFiles


def head_blocks(atlas: Atlas, files: HeadFiles) -> Iterator[tuple[str, slice]]:
    """Yield the name, without ending, and the rows of each file.

    Args:
        atlas: the atlas whose heads are divided.
        files: folder of the files, and the number of heads per file of each model.
    """
    first = 0
    models = atlas.manifest.models.values()
    for code, (info, each) in enumerate(zip(models, files.per_file, strict=True)):
        end = first + info.n_all_heads
        for k, start in enumerate(range(first, end, each)):
            yield f"{files.folder}/{code}/{k}", slice(start, min(start + each, end))
        first = end
