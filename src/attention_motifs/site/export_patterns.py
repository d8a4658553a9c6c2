"""Export of patterns: packed lower triangles, several heads and prompts per file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attention_motifs.atlas import Atlas
from attention_motifs.progress import Report
from attention_motifs.site.contract import PatternChunk
from attention_motifs.site.output import DataFolder
from attention_motifs.site.viewable import read_layer, tokens_of, viewable

CHUNK_BYTES = 1 << 20
"""Unpacked size up to which a layer is one file."""


def write_patterns(atlas: Atlas, out: DataFolder, report: Report) -> dict[str, list[PatternChunk]]:
    """Write the patterns kept for viewing; return the files of each model.

    Memory holds one layer of one prompt, and the chunk that is written.

    Raises:
        AtlasError: if a file of patterns is missing or damaged.
    """
    written = {}
    shown = viewable(atlas)
    for code, (model, info) in enumerate(atlas.manifest.models.items()):
        n_heads = info.n_heads
        lengths = [len(tokens) for tokens in tokens_of(atlas, model, shown)]
        sizes = [n * (n + 1) // 2 for n in lengths]
        described = []
        with report(f"site: patterns of {model}", len(info.layers)) as advance:
            for row, layer in enumerate(info.layers):
                for number, (heads, prompts) in enumerate(chunks(sizes, n_heads)):
                    file = f"patterns/{code}/{layer}-{number}.bin"
                    data = b"".join(
                        read_layer(atlas, model, shown[i], row, sizes[i])[
                            heads.start : heads.stop
                        ].tobytes()
                        for i in prompts
                    )
                    n_bytes = out.write(file, data)
                    described.append(
                        PatternChunk(
                            layer,
                            heads.start,
                            len(heads),
                            [shown[i].place for i in prompts],
                            file,
                            n_bytes,
                        )
                    )
                advance(1)
        written[model] = described
    return written


def chunks(sizes: Sequence[int], n_heads: int) -> Iterator[tuple[range, range]]:
    """Divide a layer into chunks of heads and prompts; each is a file.

    A page shows few heads on all prompts, so heads are divided first, and prompts only if one head
    on all of them is larger than a chunk.

    Args:
        sizes: bytes of a pattern on each prompt.
        n_heads: number of heads of the layer.
    """
    total = sum(sizes)
    if not sizes:
        return
    together = max(1, min(n_heads, CHUNK_BYTES // max(total, 1)))
    n_groups = -(-n_heads // together)
    for group in range(n_groups):
        heads = range(group * n_heads // n_groups, (group + 1) * n_heads // n_groups)
        start, size = 0, 0
        for prompt, n_bytes in enumerate(sizes):
            if prompt > start and (size + n_bytes) * len(heads) > CHUNK_BYTES:
                yield heads, range(start, prompt)
                start, size = prompt, 0
            size += n_bytes
        yield heads, range(start, len(sizes))
