"""Export of patterns: packed lower triangles in small files."""

from __future__ import annotations

from collections.abc import Sequence

from attention_motifs.atlas import Atlas
from attention_motifs.progress import Report
from attention_motifs.site.contract import PatternFiles
from attention_motifs.site.output import DataFolder
from attention_motifs.site.viewable import read_layer, tokens_of, viewable

FILE_BYTES = 1 << 15
"""Unpacked size of a file, unless one pattern is larger: a page shows few heads on few prompts."""


def write_patterns(atlas: Atlas, out: DataFolder, report: Report) -> dict[str, PatternFiles]:
    """Write the patterns kept for viewing; return the files of each model.

    Memory holds one layer on the prompts of one file.

    Raises:
        AtlasError: if a file of patterns is missing or damaged.
    """
    written = {}
    shown = viewable(atlas)
    for code, (model, info) in enumerate(atlas.manifest.models.items()):
        lengths = [len(tokens) for tokens in tokens_of(atlas, model, shown)]
        sizes = [n * (n + 1) // 2 for n in lengths]
        n_heads, n_prompts = file_shape(sizes, info.n_heads)
        folder = f"patterns/{code}"
        with report(f"site: patterns of {model}", len(info.layers)) as advance:
            for row in range(len(info.layers)):
                for group, start in enumerate(range(0, len(shown), n_prompts)):
                    packed = [
                        read_layer(atlas, model, shown[i], row, sizes[i])
                        for i in range(start, min(start + n_prompts, len(shown)))
                    ]
                    for head in range(0, info.n_heads, n_heads):
                        data = b"".join(p[head : head + n_heads].tobytes() for p in packed)
                        file = (row * info.n_heads + head) // n_heads
                        out.write(f"{folder}/{file}-{group}.bin", data)
                advance(1)
        written[model] = PatternFiles(folder, n_heads, n_prompts, [item.place for item in shown])
    return written


def file_shape(sizes: Sequence[int], n_heads: int) -> tuple[int, int]:
    """Return the numbers of heads and of prompts per file.

    A page shows few heads on several prompts, so a file has several heads only if all prompts of
    one head are less than a file.

    Args:
        sizes: bytes of a pattern on each prompt.
        n_heads: heads of a layer.
    """
    total, largest = sum(sizes), max(sizes, default=0)
    if total > FILE_BYTES:
        return 1, max(1, FILE_BYTES // largest)
    most = FILE_BYTES // max(total, 1)
    together = max(n for n in range(1, n_heads + 1) if n_heads % n == 0 and n <= most)
    return together, max(1, len(sizes))
