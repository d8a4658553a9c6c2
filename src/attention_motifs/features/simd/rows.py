"""Sums along rows of a pattern, and products of triangles weighted by another.

For the sets `extended` and `paper2`.

Arrays of patterns are n x n, flat in memory; a row is given by its number.
"""
# ruff: noqa: ARG001 (numba reads the arguments of an intrinsic from its signature)

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from attention_motifs.features.extended_definitions import NEAR
from attention_motifs.features.simd.builder import (
    DOUBLE,
    DOUBLES,
    FLOAT,
    FLOATS,
    INDEX,
    INDICES,
    INT,
    INTS,
    LANE,
    SMALLEST,
    WIDTH,
    ZERO,
    Lanes,
    emitted,
    splat,
)
from attention_motifs.features.simd.tiles import products_of_block

# Sums over far entries: products with what follows them, in the order of the features, then
# weights and squares.
(DIAGONAL, COLUMN, ROOT_DIAGONAL, ROOT_COLUMN, ROOT_ROW, ROOT_ANTI, WEIGHT, SQUARES) = range(8)
ROW_SUMS = 8

KEPT = 8
"""Rows of square roots that are kept: a power of 2, and more than `NEAR`."""


class Row:
    """A stretch of row i of a pattern, from column 1 on, read `WIDTH` columns at a time."""

    def __init__(self, code: Lanes, i: Any, n: Any, step: Any) -> None:
        self.code, self.i, self.n = code, i, n
        self.first = code.b.add(code.b.mul(step, INDEX(WIDTH)), INDEX(1))
        self.column = code.b.add(code.count(self.first), LANE)

    def up_to(self, last: Any) -> Any:
        """Return which lanes are at columns of no more than `last`."""
        return self.code.b.icmp_signed("<=", self.column, self.code.count(last))

    def read(self, X: Any, mask: Any, up: int = 0, right: int = 0, rows: int = 0) -> Any:
        """Read entries of X, `up` rows above and `right` columns on; 0 where the mask is not set.

        Of a pattern of which only the last `rows`, a power of 2, are kept, row i is at i % rows.
        """
        b = self.code.b
        i = b.sub(self.i, INDEX(up))
        if rows:
            i = b.and_(i, INDEX(rows - 1))
        at = b.add(b.mul(i, self.n), b.add(self.first, INDEX(right)))
        return b.bitcast(self.code.load_masked(X, at, mask), FLOATS)


def _blocks(code: Lanes, count: Any) -> Any:
    return code.b.sdiv(code.b.add(count, INDEX(WIDTH - 1)), INDEX(WIDTH))


@intrinsic  # type: ignore[untyped-decorator]
def far_products(
    typingctx: Any, B: Any, root: Any, i: Any, n: Any, sums: Any, peak: Any, place: Any
) -> Any:
    """Sum over the far entries of row i > NEAR + 1, and find their largest.

    Adds to `sums[s * WIDTH + lane]`; writes the largest to `peak[i]` and the last column that has
    it to `place[i]`.
    """
    index = types.intp
    return emitted(_far_products, B, root, index, index, sums, peak, place)


def _far_products(
    code: Lanes, B: Any, root: Any, i: Any, n: Any, sums: Any, peak: Any, place: Any
) -> None:
    b = code.b
    last = b.sub(i, INDEX(NEAR + 1))  # from it only the diagonal goes on to a far entry

    def body(step: Any, carried: list[Any]) -> list[Any]:
        *totals, largest, where = carried
        row = Row(code, i, n, step)
        far, farther = row.up_to(last), row.up_to(b.sub(last, INDEX(1)))
        now, now_root = row.read(B, far), row.read(root, far, rows=KEPT)
        above = row.read(root, farther, up=1, rows=KEPT)
        pairs = (
            (row.read(B, far, up=1, right=-1), now),
            (row.read(B, farther, up=1), now),
            (row.read(root, far, up=1, right=-1, rows=KEPT), now_root),
            (above, now_root),
            (row.read(root, farther, right=1, rows=KEPT), now_root),
            (above, row.read(root, far, right=-1, rows=KEPT)),
            (now, splat(FLOATS, 1.0)),
            (now, now),
        )
        totals = [code.fma(x, y, total) for (x, y), total in zip(pairs, totals, strict=True)]
        reached = b.fcmp_ordered(">=", now, largest)
        return [*totals, b.select(reached, now, largest), b.select(reached, row.column, where)]

    start = [code.load(sums, INDEX(s * WIDTH)) for s in range(ROW_SUMS)]
    *totals, largest, where = code.loop(_blocks(code, last), [*start, ZERO, splat(INTS, 0)], body)
    for s, total in enumerate(totals):
        code.store(total, sums, INDEX(s * WIDTH))
    highest = code.call(f"llvm.vector.reduce.fmax.v{WIDTH}f32", FLOAT, largest)
    nearest = b.select(b.fcmp_ordered("==", largest, code.repeat(highest)), where, splat(INTS, 0))
    column = code.call(f"llvm.vector.reduce.smax.v{WIDTH}i32", INT, nearest)
    code.store(highest, peak, i)
    code.store(column, place, i)


@intrinsic  # type: ignore[untyped-decorator]
def row_similarities(
    typingctx: Any, root: Any, i: Any, n: Any, row_scale: Any, looks: Any, sums: Any
) -> Any:
    """Add row i > 1 of `root`, scaled and without its diagonal, for the similarities of queries.

    Adds it to `looks`, and its products with the `NEAR` rows before to `sums[lane]`.
    """
    index = types.intp
    return emitted(_row_similarities, root, index, index, row_scale, looks, sums)


def _row_similarities(
    code: Lanes, root: Any, i: Any, n: Any, row_scale: Any, looks: Any, sums: Any
) -> None:
    b = code.b
    scale = code.repeat(code.load(row_scale, i, FLOAT))

    def body(step: Any, carried: list[Any]) -> list[Any]:
        row = Row(code, i, n, step)
        now = b.fmul(row.read(root, row.up_to(b.sub(i, INDEX(1))), rows=KEPT), scale)
        code.store(b.fadd(now, code.load(looks, row.first)), looks, row.first)
        (total,) = carried
        for d in range(1, NEAR + 1):
            mask = row.up_to(b.sub(i, INDEX(d + 1)))
            # Without rows so far up nothing is read: the first is the scale of row 0, which is 0.
            up = b.select(b.icmp_signed(">", i, INDEX(d)), b.sub(i, INDEX(d)), INDEX(0))
            above = row.read(root, mask, up=d, rows=KEPT)
            above = b.fmul(above, code.repeat(code.load(row_scale, up, FLOAT)))
            total = code.fma(now, above, total)
        return [total]

    (total,) = code.loop(_blocks(code, b.sub(i, INDEX(1))), [code.load(sums, INDEX(0))], body)
    code.store(total, sums, INDEX(0))


@intrinsic  # type: ignore[untyped-decorator]
def column_similarities(
    typingctx: Any, B: Any, i: Any, n: Any, column_scale: Any, sums: Any
) -> Any:
    """Sum row i > 1 of B, its columns scaled, without its diagonal, for the similarities of keys.

    Writes its sum to `sums[lane]`; adds the sum of squares to `sums[WIDTH + lane]`, and the
    products of entries up to `NEAR` columns apart to `sums[2 * WIDTH + lane]`.
    """
    index = types.intp
    return emitted(_column_similarities, B, index, index, column_scale, sums)


def _column_similarities(code: Lanes, B: Any, i: Any, n: Any, column_scale: Any, sums: Any) -> None:
    b = code.b

    def body(step: Any, carried: list[Any]) -> list[Any]:
        total, squares, nearby = carried
        row = Row(code, i, n, step)
        inside = row.up_to(b.sub(i, INDEX(1)))

        def entries(back: int) -> Any:
            mask = b.and_(inside, b.icmp_signed(">", row.column, splat(INTS, back)))
            at = b.sub(row.first, INDEX(back))
            scale = b.bitcast(code.load_masked(column_scale, at, mask), FLOATS)
            return b.fmul(row.read(B, mask, right=-back), scale)

        now = entries(0)
        before = entries(1)
        for d in range(2, NEAR + 1):
            before = b.fadd(before, entries(d))
        return [b.fadd(total, now), code.fma(now, now, squares), code.fma(now, before, nearby)]

    start = [ZERO, *(code.load(sums, INDEX(s * WIDTH)) for s in (1, 2))]
    values = code.loop(_blocks(code, b.sub(i, INDEX(1))), start, body)
    for s, value in enumerate(values):
        code.store(value, sums, INDEX(s * WIDTH))


@intrinsic  # type: ignore[untyped-decorator]
def alike_panels(
    typingctx: Any, B: Any, i: Any, n: Any, column_scale: Any, row_scale: Any, panel: Any,
    off: Any, far: Any, root: Any, by_key: Any, by_query: Any,
) -> Any:  # fmt: skip
    """Write the panel of rows i to i + WIDTH - 1 of each triangle; see `similarity_kernels`.

    `far` and `root` are written from `panel` on; `off`, `by_key` and `by_query` hold one panel, the
    latter two with a column of zeros on either side.
    """
    index = types.intp
    return emitted(
        _alike_panels, B, index, index, column_scale, row_scale, index, off, far, root, by_key,
        by_query,
    )  # fmt: skip


def _alike_panels(
    code: Lanes, B: Any, i: Any, n: Any, column_scale: Any, row_scale: Any, panel: Any,
    off: Any, far: Any, root: Any, by_key: Any, by_query: Any,
) -> None:  # fmt: skip
    b = code.b
    start = b.gep(B, [b.mul(i, n)])
    lanes = ir.Constant(INDICES, [4 * lane for lane in range(WIDTH)])
    offsets = b.mul(code.repeat(n, INDICES), lanes)
    of_rows = code.load(row_scale, i)
    depth = b.add(i, INDEX(WIDTH))

    def body(k: Any, carried: list[Any]) -> list[Any]:
        distance = b.add(code.count(b.sub(i, k)), LANE)
        inside = b.and_(code.in_triangle(k, i, n), b.icmp_signed(">", distance, splat(INTS, 0)))
        w = code.gather(b.gep(start, [k]), offsets, inside)
        f = b.select(b.icmp_signed(">", distance, splat(INTS, NEAR)), w, ZERO)
        scale = code.repeat(code.load(column_scale, k, FLOAT))
        at = b.add(panel, b.mul(k, INDEX(WIDTH)))
        code.store(w, off, b.mul(k, INDEX(WIDTH)))
        code.store(b.fmul(f, scale), far, at)
        code.store(code.call(f"llvm.sqrt.v{WIDTH}f32", FLOATS, w), root, at)
        beside = b.mul(b.add(k, INDEX(1)), INDEX(WIDTH))
        code.store(b.fmul(w, scale), by_key, beside)
        code.store(b.fmul(f, of_rows), by_query, beside)
        return carried

    code.loop(depth, [], body)
    after = b.mul(b.add(depth, INDEX(1)), INDEX(WIDTH))
    code.store(ZERO, by_key, after)
    code.store(ZERO, by_query, after)


@intrinsic  # type: ignore[untyped-decorator]
def weigh_block(
    typingctx: Any, rows: Any, i_panel: Any, columns: Any, j: Any, j_panel: Any,
    scale: Any, weights: Any, sums: Any,
) -> Any:  # fmt: skip
    """Add one block of products of rows of two triangles, weighted by a shifted triangle.

    The block's entry (i + lane, j + c), j <= i, is the product of a row of the first and a row of
    the second triangle, times `scale[j + c]`. For s = 0, 1, 2 its product with
    `weights[(j + c + s) * WIDTH + lane]` is added to `sums[s * WIDTH + lane]`.
    """
    index = types.intp
    return emitted(_weigh_block, rows, index, columns, index, index, scale, weights, sums)


def _weigh_block(
    code: Lanes, rows: Any, i_panel: Any, columns: Any, j: Any, j_panel: Any,
    scale: Any, weights: Any, sums: Any,
) -> None:  # fmt: skip
    b = code.b
    products = products_of_block(
        code, b.gep(rows, [i_panel]), b.gep(columns, [j_panel]), b.add(j, INDEX(WIDTH))
    )
    here = b.gep(weights, [b.mul(j, INDEX(WIDTH))])
    factors = [code.load(here, INDEX(k * WIDTH)) for k in range(WIDTH + 2)]
    totals = [code.load(sums, INDEX(s * WIDTH)) for s in range(3)]
    for c, product in enumerate(products):
        of_column = code.repeat(code.load(scale, b.add(j, INDEX(c)), FLOAT))
        value = b.fmul(product, of_column)
        totals = [code.fma(value, factors[c + s], total) for s, total in enumerate(totals)]
    for s, total in enumerate(totals):
        code.store(total, sums, INDEX(s * WIDTH))


@intrinsic  # type: ignore[untyped-decorator]
def sum_of_logs(typingctx: Any, x: Any, first: Any, count: Any, sums: Any) -> Any:
    """Sum x ln x over `count` > 0 numbers from `x[first]` on, one sum in each lane of `sums`."""
    return emitted(_sum_of_logs, x, types.intp, types.intp, sums)


def _sum_of_logs(code: Lanes, x: Any, first: Any, count: Any, sums: Any) -> None:
    b = code.b
    row, end = b.gep(x, [first]), code.count(count)

    def body(step: Any, carried: list[Any]) -> list[Any]:
        at = b.mul(step, INDEX(WIDTH))
        inside = b.icmp_signed("<", b.add(code.count(at), LANE), end)
        value = b.bitcast(code.load_masked(row, at, inside), FLOATS)
        return [code.fma(value, code.log(code.larger(value, SMALLEST)), carried[0])]

    blocks = b.sdiv(b.add(count, INDEX(WIDTH - 1)), INDEX(WIDTH))
    (total,) = code.loop(blocks, [ZERO], body)
    code.store(total, sums, INDEX(0))


@intrinsic  # type: ignore[untyped-decorator]
def sums_of_row(
    typingctx: Any, A: Any, i: Any, n: Any, reach: Any,
    received: Any, near: Any, entropy: Any, distance: Any, peak: Any,
) -> Any:  # fmt: skip
    """Write the entropy of row i in nats, its mean distance and its largest weight.

    Adds the row to `received`, whose places fill whole vectors, and its weights at most `reach`
    from the diagonal to `near[lane]`.
    """
    index = types.intp
    return emitted(
        _sums_of_row, A, index, index, index, received, near, entropy, distance, peak
    )  # fmt: skip


def _sums_of_row(
    code: Lanes, A: Any, i: Any, n: Any, reach: Any,
    received: Any, near: Any, entropy: Any, distance: Any, peak: Any,
) -> None:  # fmt: skip
    b = code.b
    row = b.gep(A, [b.mul(i, n)])
    query = code.count(i)
    none = ir.Constant(DOUBLES, [0.0] * WIDTH)

    def body(step: Any, carried: list[Any]) -> list[Any]:
        logs, distances, nearby, largest = carried
        first = b.mul(step, INDEX(WIDTH))
        back = b.sub(query, b.add(code.count(first), LANE))
        inside = b.icmp_signed(">=", back, splat(INTS, 0))
        weight = b.bitcast(code.load_masked(row, first, inside), FLOATS)
        exact = b.fpext(weight, DOUBLES)
        code.store(b.fadd(exact, code.load(received, first, DOUBLES)), received, first)
        is_near = b.icmp_signed("<=", back, code.count(reach))
        return [
            code.fma(weight, code.log(code.larger(weight, SMALLEST)), logs),
            b.fadd(b.fmul(exact, b.sitofp(back, DOUBLES)), distances),
            b.fadd(b.select(is_near, exact, none), nearby),
            code.larger(weight, largest),
        ]

    start = [ZERO, none, code.load(near, INDEX(0), DOUBLES), ZERO]
    blocks = b.add(b.sdiv(i, INDEX(WIDTH)), INDEX(1))
    logs, distances, nearby, largest = code.loop(blocks, start, body)
    code.store(b.fneg(code.total(b.fpext(logs, DOUBLES))), entropy, i)
    code.store(code.total(distances), distance, i)
    code.store(nearby, near, INDEX(0))
    highest = code.call(f"llvm.vector.reduce.fmax.v{WIDTH}f32", FLOAT, largest)
    code.store(b.fpext(highest, DOUBLE), peak, i)
