"""Vector code of the CPU kernels, written with LLVM's instruction builder: a reader's guide.

Why it exists
-------------
The kernels of `paper` and `extended` spend most of their time in products of rows of triangles.
Loops compiled by numba reach about a quarter of the speed of the processor there: its compiler
does not keep a block of results in registers. Batched products by BLAS need more multiplications,
since they cannot follow the triangle closely: with them the set `paper` takes two to three times
as long (`benchmarks/plain_features.py`). So the inner loops are written here, and only here.

What is here
------------
- `builder`: `Lanes`, a thin layer over LLVM's builder. One call emits one vector instruction
  (`load`, `fma`, `gather`), a short formula (`log`) or a loop. `WIDTH` is the number of float32
  numbers in a vector: 16 with AVX-512, else 8 (AVX2, and ARM by two vectors of 4).
- `tiles`: the Gram matrices of `paper` and `skew_col`. A triangle is stored in *panels* of `WIDTH`
  rows; `count_block` multiplies two panels, holds `WIDTH` x `WIDTH` results in registers, and adds
  their histogram to bit planes without writing the results to memory.
- `rows`: the sums along rows, and the weighted products, of `extended`.

How to read it
--------------
Every function comes as a pair. `name(typingctx, ...)` is the numba intrinsic: its parameters and
docstring say what a call does, and it can be called from any compiled function. `_name(code, ...)`
emits its instructions: it runs once, while numba compiles, and its Python variables hold vectors
of the future program. A Python loop in it unrolls; `code.loop` makes a loop of the program.

A *lane* is one of the `WIDTH` positions of a vector. Lanes are rows of a panel in `tiles`, and
columns of a row in `rows`. A *mask* selects the lanes that hold entries of the triangle; others
are neither read nor counted.

How it is tested
----------------
`tests/features/test_kernels.py` and `test_extended.py` compare the kernels with the definitions.
`tests/features/test_simd.py` does so for the 8-lane form on any machine, with numba's setting
`NUMBA_CPU_FEATURES`.
"""
