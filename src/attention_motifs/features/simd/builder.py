"""`Lanes`: a builder of vector instructions for numba's compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config

from attention_motifs.features.definitions import LOG_CLIP


def _has_avx512() -> bool:
    """Return whether numba compiles for AVX-512: its own setting, or else this processor."""
    if config.CPU_FEATURES is not None:
        return "+avx512f" in config.CPU_FEATURES.split(",")
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))


# A block of WIDTH vectors of WIDTH floats must fit the registers: 16 of 16 with AVX-512, 8 of
# 8 elsewhere (LLVM splits the vectors of processors with shorter ones).
WIDTH = 16 if _has_avx512() else 8

FLOAT, DOUBLE, INT, INDEX = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
FLOATS, DOUBLES, INTS, INDICES, FLAGS = (
    ir.VectorType(kind, WIDTH) for kind in (FLOAT, DOUBLE, INT, INDEX, ir.IntType(1))
)
LANE = ir.Constant(INTS, list(range(WIDTH)))


def splat(vector: ir.VectorType, value: float) -> ir.Constant:
    """Return a vector with one constant in all lanes; floats are rounded to float32."""
    rounded = float(np.float32(value)) if vector == FLOATS else value
    return ir.Constant(vector, [rounded] * WIDTH)


ZERO, ONE = splat(FLOATS, 0.0), splat(FLOATS, 1.0)
SMALLEST = splat(FLOATS, float(np.finfo(np.float32).tiny))
LOW, LOG_HIGH = splat(FLOATS, LOG_CLIP[0]), splat(FLOATS, np.log(LOG_CLIP[1]))
ROOT_HALF_BITS, MANTISSA_BITS = splat(INTS, 0x3F3504F3), splat(INTS, 0x007FFFFF)
LN2_HIGH, LN2_LOW = splat(FLOATS, 0.693359375), splat(FLOATS, -2.12194440e-4)
LOG_POLYNOMIAL = tuple(
    splat(FLOATS, coefficient)
    for coefficient in (
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
)


class Lanes:
    """Builds vector code inside a function that numba compiles; `b` is LLVM's own builder."""

    def __init__(self, builder: Any) -> None:
        self.b = builder

    def at(self, pointer: Any, offset: Any, kind: ir.Type) -> Any:
        """Return the address of a vector that starts at an element of an array."""
        return self.b.bitcast(self.b.gep(pointer, [offset]), kind.as_pointer())

    def load(self, pointer: Any, offset: Any, kind: ir.Type = FLOATS) -> Any:
        """Read a vector (or one number, if `kind` is scalar) that need not be aligned."""
        return self.b.load(self.at(pointer, offset, kind), align=4)

    def store(self, value: Any, pointer: Any, offset: Any) -> None:
        """Write a vector that need not be aligned."""
        self.b.store(value, self.at(pointer, offset, value.type), align=4)

    def call(self, name: str, result: ir.Type, *arguments: Any) -> Any:
        """Call one of LLVM's intrinsic functions."""
        signature = ir.FunctionType(result, [value.type for value in arguments])
        function = cgutils.get_or_insert_function(self.b.module, signature, name)
        return self.b.call(function, arguments)

    def load_masked(self, pointer: Any, offset: Any, mask: Any) -> Any:
        """Read 32-bit words; 0, without reading, where the mask is not set."""
        name = f"llvm.masked.load.v{WIDTH}i32.p0"
        address = self.at(pointer, offset, INTS)
        return self.call(name, INTS, address, INT(4), mask, splat(INTS, 0))

    def gather(self, pointer: Any, bytes_of_lane: Any, mask: Any) -> Any:
        """Read a float for each lane, at its distance; 0, without reading, where masked out."""
        address = self.repeat(self.b.ptrtoint(pointer, INDEX), INDICES)
        kind = ir.VectorType(FLOAT.as_pointer(), WIDTH)
        addresses = self.b.inttoptr(self.b.add(address, bytes_of_lane), kind)
        name = f"llvm.masked.gather.v{WIDTH}f32.v{WIDTH}p0"
        return self.call(name, FLOATS, addresses, INT(4), mask, ZERO)

    def repeat(self, scalar: Any, kind: ir.VectorType = FLOATS) -> Any:
        """Return a vector with the same number in all lanes."""
        empty = ir.Constant(kind, ir.Undefined)
        first = self.b.insert_element(empty, scalar, INT(0))
        return self.b.shuffle_vector(first, empty, splat(INTS, 0))

    def count(self, index: Any) -> Any:
        """Return a vector of 32-bit integers with the same index in all lanes."""
        return self.repeat(self.b.trunc(index, INT), INTS)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """Compute x * y + z, rounded once where the processor can."""
        return self.call(f"llvm.fmuladd.v{WIDTH}f32", FLOATS, x, y, z)

    def total(self, x: Any) -> Any:
        """Return the sum of a vector of doubles, added in any order."""
        name = f"llvm.vector.reduce.fadd.v{WIDTH}f64"
        signature = ir.FunctionType(DOUBLE, [DOUBLE, DOUBLES])
        function = cgutils.get_or_insert_function(self.b.module, signature, name)
        return self.b.call(function, [DOUBLE(0.0), x], fastmath=("reassoc",))

    def larger(self, x: Any, y: Any) -> Any:
        """Return the larger number of each lane; that of `y` where `x` is NaN."""
        return self.b.select(self.b.fcmp_ordered(">", x, y), x, y)

    def smaller(self, x: Any, y: Any) -> Any:
        """Return the smaller number of each lane; that of `y` where `x` is NaN."""
        return self.b.select(self.b.fcmp_ordered("<", x, y), x, y)

    def in_triangle(self, k: Any, i: Any, n: Any) -> Any:
        """Return for each lane whether k <= i + lane < n."""
        k, i, n = (self.count(x) for x in (k, i, n))
        row = self.b.add(i, LANE)
        return self.b.and_(self.b.icmp_signed("<=", k, row), self.b.icmp_signed("<", row, n))

    def clipped_log(self, x: Any) -> Any:
        """Return ln(clip(x, 1e-9, 1 - 1e-6)), within two units of the last place."""
        return self.smaller(self.log(self.larger(x, LOW)), LOG_HIGH)

    def log(self, x: Any) -> Any:
        """Return ln(x) of positive normal numbers, within two units of the last place.

        With x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), and the polynomial of Cephes' logf
        in f, which keeps its relative precision near x = 1.
        """
        b = self.b
        bits = b.sub(b.bitcast(x, INTS), ROOT_HALF_BITS)
        e = b.sitofp(b.ashr(bits, splat(INTS, 23)), FLOATS)
        mantissa = b.add(b.and_(bits, MANTISSA_BITS), ROOT_HALF_BITS)
        f = b.fsub(b.bitcast(mantissa, FLOATS), ONE)
        y = LOG_POLYNOMIAL[0]
        for coefficient in LOG_POLYNOMIAL[1:]:
            y = self.fma(y, f, coefficient)
        square = b.fmul(f, f)
        y = self.fma(e, LN2_LOW, b.fmul(b.fmul(y, f), square))
        y = self.fma(square, splat(FLOATS, -0.5), y)
        return self.fma(e, LN2_HIGH, b.fadd(f, y))

    def loop(
        self, count: Any, start: list[Any], body: Callable[[Any, list[Any]], list[Any]]
    ) -> list[Any]:
        """Run `body(step, carried)` for step = 0..count - 1, at least once, carrying values."""
        before = self.b.block
        block = self.b.append_basic_block("lanes.loop")
        after = self.b.append_basic_block("lanes.after")
        self.b.branch(block)
        self.b.position_at_end(block)
        step = self.b.phi(INDEX)
        carried = [self.b.phi(value.type) for value in start]
        result = body(step, carried)
        following = self.b.add(step, INDEX(1))
        for phi, first, later in zip(
            [step, *carried], [INDEX(0), *start], [following, *result], strict=True
        ):
            phi.add_incoming(first, before)
            phi.add_incoming(later, block)
        self.b.cbranch(self.b.icmp_signed("<", following, count), block, after)
        self.b.position_at_end(after)
        return result


def emitted(
    emit: Callable[..., None], *kinds: types.Type
) -> tuple[Any, Callable[[Any, Any, Any, Any], Any]]:
    """Return what a numba intrinsic must return, for a function whose code `emit` builds.

    Args:
        emit: gets a `Lanes` and the arguments, arrays as the address of their first element.
        kinds: numba types of the arguments.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        emit(Lanes(builder), *values)
        return context.get_dummy_value()

    return types.void(*kinds), generate
