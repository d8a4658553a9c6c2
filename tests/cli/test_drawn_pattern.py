from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attention_motifs.cli.query import draw_pattern

SHADES = " .:-=+*#%@"


def shade(text: str, row: int, column: int) -> int:
    """How dark a cell is: 0 blank to 9; a cell is two characters wide."""
    lines = text.split("\n")
    cell = lines[row][2 * column : 2 * column + 2].ljust(2)
    assert cell[0] == cell[1]
    return SHADES.index(cell[0])


def test_a_small_pattern_is_drawn_entry_by_entry() -> None:
    pattern = np.array([[1.0, 0.0, 0.0], [0.3, 0.75, 0.0], [0.0, 0.01, 0.99]])
    assert draw_pattern(pattern) == "@@\n++%%\n  ..@@"


def test_a_single_token_is_one_dark_cell() -> None:
    assert draw_pattern(np.ones((1, 1))) == "@@"


def test_a_pattern_of_zeros_is_blank() -> None:
    assert draw_pattern(np.zeros((4, 4))) == "\n\n\n"


@given(st.integers(1, 150), st.integers(-2, 60))
@example(3, 2)
@example(128, 32)
def test_it_is_as_large_as_asked_and_no_larger_than_the_pattern(n: int, size: int) -> None:
    lines = draw_pattern(np.tril(np.full((n, n), 0.5)), size).split("\n")
    expected = max(1, min(size, n))
    assert len(lines) == expected
    assert len(lines[-1]) == 2 * expected
    assert all(2 * row <= len(line) <= 2 * expected for row, line in enumerate(lines, start=1))


@given(st.integers(1, 150), st.integers(1, 40), st.data())
def test_no_entry_is_lost_between_blocks(n: int, size: int, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, n - 1))
    column = data.draw(st.integers(0, row))
    pattern = np.zeros((n, n))
    pattern[row, column] = 1.0
    text = draw_pattern(pattern, size)
    assert text.count("@") == 2
    edges = np.linspace(0, n, min(size, n) + 1)
    at = [int(np.searchsorted(edges, i + 0.5)) - 1 for i in (row, column)]
    lines = text.split("\n")
    drawn = next(i for i, line in enumerate(lines) if "@" in line)
    assert abs(drawn - at[0]) <= 1
    assert abs(lines[drawn].index("@") // 2 - at[1]) <= 1


def test_thin_diagonals_stay_visible() -> None:
    previous_token = np.eye(128, k=-1)
    text = draw_pattern(previous_token, 16)
    assert all(shade(text, i, i) == 9 for i in range(16))
    assert shade(text, 8, 0) == 0


def test_darker_is_the_square_root_of_the_weight() -> None:
    weights = np.linspace(0, 1, 12)
    pattern = np.tile(weights, (12, 1))
    drawn = [shade(draw_pattern(pattern), 0, i) for i in range(12)]
    assert drawn == [round(9 * float(np.sqrt(w))) for w in weights]
    assert drawn == sorted(drawn)


@pytest.mark.parametrize("outside", [-0.5, 1 + 1e-6, 7.0, np.inf])
def test_entries_outside_of_0_to_1_are_clipped(outside: float) -> None:
    text = draw_pattern(np.array([[1.0, 0.0], [outside, 0.5]]))
    assert shade(text, 1, 0) == (0 if outside < 0 else 9)


def test_entries_that_are_no_numbers_are_drawn_as_question_marks() -> None:
    assert draw_pattern(np.array([[1.0, 0.0], [np.nan, 1.0]])) == "@@\n??@@"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_precision_does_not_change_the_drawing(dtype: type) -> None:
    pattern = np.tril(np.ones((9, 9))) / np.arange(1, 10)[:, None]
    assert draw_pattern(pattern.astype(dtype)) == draw_pattern(pattern)
