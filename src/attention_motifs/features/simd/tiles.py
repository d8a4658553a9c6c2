"""Panels of triangles: packing, logarithms, products and histograms.

M is a lower triangular matrix: row i has its entries at columns 0..i. *Panels* are blocks of
`WIDTH` of its rows, each stored column by column, so that a column of a panel is one vector
with a lane for each row. Panel p holds its first `WIDTH * (p + 1)` columns, which are all that
are not zero, and starts at `panel_offset(p)`.
"""
# ruff: noqa: ARG001 (numba reads the arguments of an intrinsic from its signature)

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from attention_motifs.features.compiled import compiled
from attention_motifs.features.definitions import HISTOGRAM_BINS
from attention_motifs.features.simd.builder import (
    FLOAT,
    FLOATS,
    INDEX,
    INDICES,
    INTS,
    WIDTH,
    ZERO,
    Lanes,
    emitted,
    splat,
)

# Counts are kept bit by bit: in plane l, bit b of a lane's word is bit l of that lane's count
# of bin b. The planes hold what FLUSH blocks of WIDTH words can bring.
PLANES = WIDTH.bit_length() - 1 + 8
FLUSH = 255
assert HISTOGRAM_BINS == 32  # noqa: S101 (one bit of a word for each bin)


@compiled
def panel_offset(p: int) -> int:
    """Return the start of panel p in an array of panels; the length of an array of p panels."""
    return WIDTH * WIDTH * (p * (p + 1) // 2)


@compiled
def panel_count(n: int) -> int:
    """Return the number of panels of a triangle of n rows."""
    return (n + WIDTH - 1) // WIDTH


@intrinsic  # type: ignore[untyped-decorator]
def gather_panel(
    typingctx: Any, A: Any, first: Any, row_step: Any, column_step: Any, i: Any, n: Any,
    panels: Any, panel: Any,
) -> Any:  # fmt: skip
    """Fill one panel: M[i + lane, k] = A.flat[first + (i + lane) * row_step + k * column_step].

    Entries with k > i + lane or i + lane >= n become 0, and their source is not read.
    """
    index = types.intp
    return emitted(_gather_panel, A, index, index, index, index, index, panels, index)


def _gather_panel(
    code: Lanes, A: Any, first: Any, row_step: Any, column_step: Any, i: Any, n: Any,
    M: Any, panel: Any,
) -> None:  # fmt: skip
    b = code.b
    start = b.add(first, b.mul(i, row_step))
    lane_bytes = ir.Constant(INDICES, [4 * lane for lane in range(WIDTH)])
    offsets = b.mul(code.repeat(row_step, INDICES), lane_bytes)

    def body(k: Any, carried: list[Any]) -> list[Any]:
        source = b.gep(A, [b.add(start, b.mul(k, column_step))])
        value = code.gather(source, offsets, code.in_triangle(k, i, n))
        code.store(value, M, b.add(panel, b.mul(k, INDEX(WIDTH))))
        return carried

    code.loop(b.add(i, INDEX(WIDTH)), [], body)


@intrinsic  # type: ignore[untyped-decorator]
def log_panel(typingctx: Any, panels: Any, panel: Any, i: Any, n: Any) -> Any:
    """Replace the entries of one panel by ln(clip(x, 1e-9, 1 - 1e-6)); zeros beyond rows stay."""
    return emitted(_log_panel, panels, types.intp, types.intp, types.intp)


def _log_panel(code: Lanes, M: Any, panel: Any, i: Any, n: Any) -> None:
    b = code.b

    def body(k: Any, carried: list[Any]) -> list[Any]:
        at = b.add(panel, b.mul(k, INDEX(WIDTH)))
        value = code.clipped_log(code.load(M, at))
        code.store(b.select(code.in_triangle(k, i, n), value, ZERO), M, at)
        return carried

    code.loop(b.add(i, INDEX(WIDTH)), [], body)


@intrinsic  # type: ignore[untyped-decorator]
def scan_panel(
    typingctx: Any, panels: Any, panel: Any, i: Any, fill: Any, start: Any, tail: Any, squares: Any
) -> Any:
    """Sum along the rows of one panel: squares, and products with a constant beyond the rows.

    `squares[i + lane]` becomes the sum of squares of row `i + lane`, and
    `tail[panel + k * WIDTH + lane]` becomes `start[i + lane] + fill * (sum of that row's
    entries after column k)`.
    """
    index = types.intp
    return emitted(_scan_panel, panels, index, index, types.float32, start, tail, squares)


def _scan_panel(
    code: Lanes, M: Any, panel: Any, i: Any, fill: Any, start: Any, tail: Any, squares: Any
) -> None:
    b = code.b
    factor = code.repeat(fill)
    depth = b.add(i, INDEX(WIDTH))

    def body(step: Any, carried: list[Any]) -> list[Any]:
        total, square = carried
        k = b.sub(b.sub(depth, INDEX(1)), step)
        at = b.add(panel, b.mul(k, INDEX(WIDTH)))
        code.store(total, tail, at)
        values = code.load(M, at)
        return [code.fma(values, factor, total), code.fma(values, values, square)]

    _, square = code.loop(depth, [code.load(start, i), ZERO], body)
    code.store(square, squares, i)


@intrinsic  # type: ignore[untyped-decorator]
def count_block(
    typingctx: Any, panels: Any, i: Any, i_panel: Any, j: Any, j_panel: Any,
    tail: Any, scale: Any, mask: Any, planes: Any,
) -> Any:  # fmt: skip
    """Add the histogram of one block of a Gram matrix to the bit planes of the counts.

    The block's entry (i + lane, j + c), j <= i, is the product of two rows of M plus
    `tail[i_panel + (j + c) * WIDTH + lane]`, times `scale[i + lane] * scale[j + c]`. It is
    counted where `mask[c * WIDTH + lane]` has all bits set (-1), and not where it is 0.
    """
    index = types.intp
    return emitted(
        _count_block, panels, index, index, index, index, tail, scale, mask, planes
    )  # fmt: skip


def _count_block(
    code: Lanes, M: Any, i: Any, i_panel: Any, j: Any, j_panel: Any,
    tail: Any, scale: Any, mask: Any, planes: Any,
) -> None:  # fmt: skip
    b = code.b
    sums = products_of_block(code, b.gep(M, [i_panel]), b.gep(M, [j_panel]), b.add(j, INDEX(WIDTH)))
    added = b.gep(tail, [b.add(i_panel, b.mul(j, INDEX(WIDTH)))])
    row_scale = code.load(scale, i)
    words = []
    for c, value in enumerate(sums):
        total = b.fadd(value, code.load(added, INDEX(c * WIDTH)))
        column_scale = code.repeat(code.load(scale, b.add(j, INDEX(c)), FLOAT))
        total = b.fmul(b.fmul(total, row_scale), column_scale)
        counted = code.load(mask, INDEX(c * WIDTH), INTS)
        words.append(b.and_(_bin_words(code, total), counted))
    _add_words(code, words, planes)


def products_of_block(code: Lanes, rows: Any, columns: Any, depth: Any) -> list[Any]:
    """Return WIDTH vectors: entry (lane, c) of a block of M M^T, over the first columns of M."""
    b = code.b

    def body(k: Any, sums: list[Any]) -> list[Any]:
        at = b.mul(k, INDEX(WIDTH))
        row, column = code.load(rows, at), b.gep(columns, [at])
        factors = [code.repeat(code.load(column, INDEX(c), FLOAT)) for c in range(WIDTH)]
        return [code.fma(row, factor, total) for factor, total in zip(factors, sums, strict=True)]

    return code.loop(depth, [ZERO] * WIDTH, body)


def _bin_words(code: Lanes, values: Any) -> Any:
    """Return for each lane a word with the bit of the bin of its value, of 32 bins on [0, 1]."""
    b = code.b
    scaled = b.fmul(values, splat(FLOATS, HISTOGRAM_BINS))
    scaled = code.smaller(code.larger(scaled, ZERO), splat(FLOATS, HISTOGRAM_BINS - 1))
    return b.shl(splat(INTS, 1), b.fptosi(scaled, INTS))


def _add_words(code: Lanes, words: list[Any], planes: Any) -> None:
    """Add words to the bit planes of the counts, all bins of a lane at once.

    This is the positional population count: full adders on whole vectors turn three words of
    one weight into a word of the same and a word of twice the weight.
    """
    b = code.b
    for level in range(PLANES):
        at = INDEX(level * WIDTH)
        total = code.load(planes, at, INTS)
        carries = []
        for x, y in zip(words[::2], words[1::2], strict=False):
            either = b.xor(x, y)
            carries.append(b.or_(b.and_(x, y), b.and_(total, either)))
            total = b.xor(total, either)
        if len(words) == 1:
            carries = [b.and_(total, words[0])]
            total = b.xor(total, words[0])
        code.store(total, planes, at)
        words = carries
