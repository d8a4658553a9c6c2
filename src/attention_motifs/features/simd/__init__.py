"""Vector code of the CPU kernels, written with LLVM's instruction builder.

Reason
------
The kernels of `paper` and `extended` spend most of their time on products of rows of triangles.
Loops that numba compiles reach about a quarter of the processor's speed there, because numba does
not keep a block of results in registers. Batched products by BLAS multiply more, because they
cannot follow the triangle closely: with them the set `paper` takes two to three times as long
(`benchmarks/plain_features.py`). So the inner loops, and only these, are written here.

Contents
--------
- `builder`: `Lanes`, a thin layer over LLVM's builder. One call emits one vector instruction
  (`load`, `fma`, `gather`), a short formula (`log`) or a loop. `WIDTH` is the number of float32
  numbers in a vector: 16 with AVX-512, else 8 (AVX2, and ARM with two vectors of 4).
- `tiles`: the Gram matrices of `paper` and `skew_col`. A triangle is stored in *panels* of `WIDTH`
  rows. `count_block` multiplies two panels, keeps `WIDTH` x `WIDTH` results in registers, and adds
  their histogram to bit planes without writing the results to memory.
- `rows`: the sums along rows, and the weighted products, of `extended`.

Reading the code
----------------
Every function is a pair. `name(typingctx, ...)` is the numba intrinsic: its parameters and
docstring describe the call, which any compiled function can make. `_name(code, ...)` emits the
instructions: it runs once, while numba compiles, and its Python variables are vectors of the
compiled program. A Python loop in it is unrolled; `code.loop` makes a loop of the program.

A *lane* is one of the `WIDTH` positions of a vector. Lanes are rows of a panel in `tiles`, and
columns of a row in `rows`. A *mask* selects the lanes that hold entries of the triangle; the others
are neither read nor counted.

Tests
-----
`tests/features/test_kernels.py` and `test_extended.py` compare the kernels with the definitions.
`tests/features/test_simd.py` does so for the 8-lane form on any machine, with numba's setting
`NUMBA_CPU_FEATURES`.
"""
