"""Optimal and random pairings of the points of two clouds of equal size.

For two clouds of P points with equal weights an optimal transport plan is a pairing of the points
(Birkhoff), so the 1-Wasserstein distance is the least mean cost of a pairing. The algorithm is the
shortest augmenting path of Jonker and Volgenant (Computing 38, 1987, 325-340): a column reduction,
three rounds of augmenting row reduction, then Dijkstra searches for the remaining free rows.
scipy's `linear_sum_assignment` solves the same problem, but holds the interpreter lock and starts
from an empty pairing.
"""

from __future__ import annotations

import numpy as np

from attention_motifs.distances.kernels import compiled

_REDUCTION_ROUNDS = 3


@compiled
def _lowest(values: np.ndarray) -> float:
    lowest = np.inf
    for j in range(values.shape[0]):
        lowest = min(lowest, values[j])
    return lowest


@compiled
def _first_equal(values: np.ndarray, value: float) -> int:
    j = 0
    while values[j] != value:
        j += 1
    return j


@compiled
def _reduce_columns(
    cost: np.ndarray, price: np.ndarray, row_of: np.ndarray, column_of: np.ndarray
) -> None:
    """Price each column at its least cost and assign it to the row of that cost, if free."""
    n = cost.shape[0]
    best = np.zeros(n, np.int64)
    price[:] = np.inf
    row_of[:] = -1
    column_of[:] = -1
    for i in range(n):
        for j in range(n):
            if cost[i, j] < price[j]:
                price[j] = cost[i, j]
                best[j] = i
    for j in range(n - 1, -1, -1):
        if column_of[best[j]] < 0:
            column_of[best[j]] = j
            row_of[j] = best[j]


@compiled
def _reduce_rows(
    cost: np.ndarray,
    price: np.ndarray,
    row_of: np.ndarray,
    column_of: np.ndarray,
    free: np.ndarray,
    n_free: int,
) -> int:
    """Assign to each free row its cheapest column, and lower its price to the second cheapest.

    A row that loses its column becomes free. Returns the number of free rows.
    """
    n = cost.shape[0]
    reduced = np.empty(n)
    n_left = 0
    for k in range(n_free):
        i = free[k]
        for j in range(n):
            reduced[j] = cost[i, j] - price[j]
        lowest = _lowest(reduced)
        column = _first_equal(reduced, lowest)
        reduced[column] = np.inf
        second = _lowest(reduced)
        if lowest < second:
            price[column] -= second - lowest
        elif row_of[column] >= 0:
            column = _first_equal(reduced, second)
        loser = row_of[column]
        column_of[i] = column
        row_of[column] = i
        if loser >= 0:
            column_of[loser] = -1
            # Never overtakes the row being read: at most one row is freed per row assigned.
            free[n_left] = loser
            n_left += 1
    return n_left


@compiled
def _augment(
    cost: np.ndarray, price: np.ndarray, row_of: np.ndarray, column_of: np.ndarray, start: int
) -> None:
    """Pair the free row `start` along a shortest alternating path; prices stay optimal."""
    n = cost.shape[0]
    open_price = price.copy()
    length = np.empty(n)
    previous = np.empty(n, np.int64)
    visited = np.empty(n, np.int64)
    visited_length = np.empty(n)
    n_visited = 0
    for j in range(n):
        length[j] = cost[start, j] - price[j]
        previous[j] = start
    while True:
        shortest = _lowest(length)
        column = _first_equal(length, shortest)
        row = row_of[column]
        if row < 0:
            break
        visited[n_visited] = column
        visited_length[n_visited] = shortest
        n_visited += 1
        # Infinite from here on, so that neither search visits this column again.
        length[column] = np.inf
        open_price[column] = -np.inf
        offset = cost[row, column] - price[column] - shortest
        for j in range(n):
            through = cost[row, j] - open_price[j] - offset
            if through < length[j]:
                length[j] = through
                previous[j] = row
    for k in range(n_visited):
        price[visited[k]] += visited_length[k] - shortest
    row = -1
    while row != start:
        row = previous[column]
        row_of[column] = row
        released = column_of[row]
        column_of[row] = column
        column = released


@compiled
def optimal_columns(cost: np.ndarray) -> np.ndarray:
    """Return the column of each row that minimises the total cost; cost is finite (n, n)."""
    n = cost.shape[0]
    price = np.empty(n)
    row_of = np.empty(n, np.int64)
    column_of = np.empty(n, np.int64)
    _reduce_columns(cost, price, row_of, column_of)
    free = np.empty(n, np.int64)
    n_free = 0
    for i in range(n):
        if column_of[i] < 0:
            free[n_free] = i
            n_free += 1
    for _ in range(_REDUCTION_ROUNDS):
        n_free = _reduce_rows(cost, price, row_of, column_of, free, n_free)
    for k in range(n_free):
        _augment(cost, price, row_of, column_of, free[k])
    return column_of


@compiled
def _fill_costs(points: np.ndarray, i: int, j: int, prompts: np.ndarray, cost: np.ndarray) -> None:
    """Compute the distances of every point of head i (rows) to every point of head j (columns)."""
    n = prompts.shape[0]
    for s in range(n):
        for t in range(n):
            square = 0.0
            for c in range(points.shape[2]):
                difference = np.float64(points[prompts[s], i, c]) - np.float64(
                    points[prompts[t], j, c]
                )
                square += difference * difference
            cost[s, t] = np.sqrt(square)


@compiled
def assignment_pairs(
    points: np.ndarray, left: np.ndarray, right: np.ndarray, out: np.ndarray
) -> None:
    """Compute the 1-Wasserstein distance of listed pairs of heads.

    Args:
        points: (prompts, heads, components), finite.
        left: (pairs,) head indices.
        right: (pairs,) head indices.
        out: (pairs,) float64, overwritten.
    """
    n = points.shape[0]
    prompts = np.arange(n)
    cost = np.empty((n, n))
    for k in range(left.shape[0]):
        _fill_costs(points, left[k], right[k], prompts, cost)
        columns = optimal_columns(cost)
        total = 0.0
        for s in range(n):
            total += cost[s, columns[s]]
        out[k] = total / n


@compiled
def count_larger_pairings(
    points: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    prompts: np.ndarray,
    permutations: np.ndarray,
    out: np.ndarray,
) -> None:
    """Count, for each pair, the permutations with a mean distance of at least the paired one.

    Args:
        points: (prompts, heads, components), finite.
        left: (pairs,) head indices.
        right: (pairs,) head indices.
        prompts: (m,) the prompts used.
        permutations: (k, m) permutations of 0..m-1.
        out: (pairs,) int64, overwritten. Equal up to rounding counts as "at least".
    """
    n_permutations, m = permutations.shape
    cost = np.empty((m, m))
    for k in range(left.shape[0]):
        _fill_costs(points, left[k], right[k], prompts, cost)
        paired = 0.0
        for s in range(m):
            paired += cost[s, s]
        bar = paired * (1.0 - 1e-9)
        count = 0
        for p in range(n_permutations):
            total = 0.0
            for s in range(m):
                total += cost[s, permutations[p, s]]
            if total >= bar:
                count += 1
        out[k] = count
