"""Small pictures of heads: the mean of their patterns over the prompts kept for viewing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.stimuli import PROMPTS
from attention_motifs.progress import Report
from attention_motifs.site.contract import HeadClass, Pictures
from attention_motifs.site.output import DataFolder
from attention_motifs.site.viewable import read_layer, tokens_of, viewable

SIDE = 32
SMALL_SIDE = 16
MANY_HEADS = 4096
"""Above this number of heads, pictures have `SMALL_SIDE` cells: a page loads those of all heads."""

_DENSE_BYTES = 1 << 24


def write_pictures(
    atlas: Atlas, classes: Sequence[HeadClass], out: DataFolder, report: Report
) -> Pictures | None:
    """Write the mean pattern of every head and class; None if no prompt is kept for viewing.

    Probes and prompts of one token are left out. A head that has no other prompt has a black
    picture.

    Raises:
        AtlasError: if a file of patterns is missing or damaged.
    """
    shown = [item for item in viewable(atlas) if item.stimuli is PROMPTS]
    if not shown:
        return None
    side = SIDE if len(atlas.heads) <= MANY_HEADS else SMALL_SIDE
    written: list[str] = []
    of_heads: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
    for code, (model, info) in enumerate(atlas.manifest.models.items()):
        lengths = [len(tokens) for tokens in tokens_of(atlas, model, shown)]
        layers = []
        with report(f"site: pictures of {model}", len(info.layers)) as advance:
            for row in range(len(info.layers)):
                sums = np.zeros((info.n_heads, side * (side + 1) // 2))
                n_prompts = 0
                for item, n in zip(shown, lengths, strict=True):
                    if n > 1:
                        packed = read_layer(atlas, model, item, row, n * (n + 1) // 2)
                        sums += shrunk(packed, n, side)
                        n_prompts += 1
                layers.append(np.rint(255 * np.sqrt(sums / max(n_prompts, 1))))
                advance(1)
        file = f"pictures/{code}.bin"
        of_heads.append(np.concatenate(layers).astype(np.uint8))
        out.array(file, of_heads[-1], "uint8")
        written.append(file)
    of_classes = "pictures/classes.bin"
    rows = [list(of_class.rows) for of_class in classes]
    out.array(of_classes, class_means(np.concatenate(of_heads), rows), "uint8")
    return Pictures(side, written, of_classes)


def class_means(
    pictures: np.ndarray[Any, np.dtype[np.uint8]], rows: Sequence[Sequence[int]]
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the mean of the pictures of each group of heads, in bytes as they are.

    Args:
        pictures: (heads, cells) bytes of round(255 * sqrt(weight)).
        rows: heads of each group; the mean of a group without heads is 0.
    """
    means = np.zeros((len(rows), pictures.shape[1]), np.uint8)
    for place, of_group in enumerate(rows):
        if of_group:
            mean = ((pictures[of_group] / 255.0) ** 2).mean(axis=0)
            means[place] = np.rint(255 * np.sqrt(mean))
    return means


def shrunk(
    packed: np.ndarray[Any, np.dtype[np.uint8]], n: int, side: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the largest weight of each block of tokens.

    The first token is a block of its own, so that the attention to it stays apart. The others are
    divided evenly; with fewer tokens than blocks, neighbouring blocks hold the same token.

    Args:
        packed: (n_heads, n (n + 1) / 2) bytes of round(255 * sqrt(weight)), row by row.
        n: number of tokens, at least 2.
        side: number of blocks, at least 2.

    Returns:
        (n_heads, side (side + 1) / 2) weights, row by row.
    """
    starts = block_starts(n, side)
    queries, keys = np.tril_indices(n)
    kept = np.tril_indices(side)
    together = max(1, _DENSE_BYTES // n**2)
    blocks = []
    for first in range(0, len(packed), together):
        heads = packed[first : first + together]
        dense = np.zeros((len(heads), n, n), np.uint8)
        dense[:, queries, keys] = heads
        largest = np.maximum.reduceat(np.maximum.reduceat(dense, starts, axis=1), starts, axis=2)
        blocks.append((largest[:, kept[0], kept[1]] / 255.0) ** 2)
    return np.concatenate(blocks) if blocks else np.zeros((0, len(kept[0])))


def block_starts(n: int, side: int) -> Sequence[int]:
    """Return the first token of each block: 0, then even steps over the tokens from 1 to n - 1."""
    return [0, *(1 + (block * (n - 1)) // (side - 1) for block in range(side - 1))]
