from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.distances import nearest
from attention_motifs.errors import InputError


@given(
    row=st.lists(st.sampled_from([0.0, 0.5, 1.0, np.inf]), max_size=30),
    n=st.integers(0, 40),
    data=st.data(),
)
def test_is_the_order_by_distance_then_index(row: list[float], n: int, data: st.DataObject) -> None:
    exclude = data.draw(st.sets(st.sampled_from(range(len(row))))) if row else set()
    mask = data.draw(st.lists(st.booleans(), min_size=len(row), max_size=len(row)))
    kept = [i for i in range(len(row)) if mask[i] and i not in exclude]
    expected = sorted(kept, key=lambda i: (row[i], i))[:n]
    result = nearest(np.array(row), n=n, exclude=exclude, mask=np.array(mask, bool))
    assert result.tolist() == expected


def test_one_head_is_excluded_and_the_mask_is_left_alone() -> None:
    mask = np.array([True, True, False])
    assert nearest(np.array([0.0, 2.0, 1.0]), exclude=np.int64(0), mask=mask).tolist() == [1]
    assert mask.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("row", "options"),
    [
        (np.array([0.0, np.nan]), {}),
        (np.zeros((2, 2)), {}),
        (np.zeros(3), {"n": -1}),
        (np.zeros(3), {"mask": np.ones(2, bool)}),
        (np.zeros(3), {"exclude": 3}),
        (np.zeros(3), {"exclude": [-1]}),
    ],
)
def test_what_makes_no_sense_is_refused(row: np.ndarray, options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        nearest(row, **options)  # type: ignore[arg-type]
