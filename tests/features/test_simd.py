"""The vector code in the form of processors without AVX-512: 8 numbers at once."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.features.registry import built_in_set
from features.patterns import degenerate_patterns, relative_error, softmax_pattern

AVX2 = (
    "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse,+sse2,+sse3,+sse4.1,+sse4.2"
)
SETS = ("paper", "skew_col", "extended")
CODE = """
import sys, numpy as np
from attention_motifs.features import compute_features
from attention_motifs.features.simd.builder import WIDTH
assert WIDTH == 8
batches = np.load(sys.argv[1])
names = [(s, k) for s in SETS for k in batches]
rows = {f"{s}/{k}": compute_features(batches[k], s, validate=False) for s, k in names}
np.savez(sys.argv[2], **rows)
"""


@pytest.mark.slow  # compiles all kernels
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 features")
def test_eight_lanes_agree_with_the_definitions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    batches = {
        str(n): np.stack([softmax_pattern(rng, n, s) for s in (0.5, 2.0, 8.0)])
        for n in (1, 2, 3, 7, 8, 9, 16, 17, 40, 130)
    }
    batches |= {f"degenerate {n}": np.stack([*degenerate_patterns(n).values()]) for n in (3, 19)}
    np.savez(tmp_path / "patterns.npz", **batches)
    settings = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2}
    files = [str(tmp_path / "patterns.npz"), str(tmp_path / "rows.npz")]
    subprocess.run(
        [sys.executable, "-c", CODE.replace("SETS", repr(SETS)), *files],
        env=os.environ | settings | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        check=True,
    )
    with np.load(tmp_path / "rows.npz") as rows:
        for key, got in rows.items():
            set_name, _, name = key.partition("/")
            definition = built_in_set(set_name).function("oracle")
            expected = np.array([definition(pattern) for pattern in batches[name]])
            assert np.isfinite(got).all(), key
            if set_name == "extended":
                assert relative_error(got, expected, floor=0.1).max() < 3e-5, key
            elif "degenerate" not in name:
                # A value near the edge of a bin may be counted on either side.
                assert (relative_error(got, expected) < 1e-5).mean() > 0.95, key
