"""The metrics on head clouds, in the order of the documentation.

The compiled kernels are imported when a metric is first used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.distances.gromov import gromov_pairs, gromov_prepare
from attention_motifs.distances.registry import (
    TILE,
    Metric,
    Prepared,
    get_metric,
    metric_names,
    register_metric,
)
from attention_motifs.store.presets import PRESETS

if TYPE_CHECKING:
    from jaxtyping import Float, Int

DEFAULT_METRIC = "mean"
SLICED_DIRECTIONS = 64
# Heads projected at a time: their float64 copies are dropped, the projections are kept.
_PROJECTED_HEADS = 256

_WITHIN = "any order of the prompts, another one for each head"
_TOGETHER = "the order of the prompts, the same for all heads"
_SHIFT = "a translation of all points"
_SHIFT_PER_PROMPT = "a translation per prompt, the same for all heads"
_TURN = "a rotation or reflection of the space"


def _tile(
    kernel: Callable[[np.ndarray, np.ndarray, int, np.ndarray], None],
    values: np.ndarray,
    rows: Int[np.ndarray, " rows"],
    start: int,
) -> Float[np.ndarray, "rows tile"]:
    out = np.empty((rows.size, TILE))
    kernel(values, rows, start, out)
    return out


def _listed(
    kernel: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None],
    values: np.ndarray,
    left: Int[np.ndarray, " pairs"],
    right: Int[np.ndarray, " pairs"],
) -> Float[np.ndarray, " pairs"]:
    out = np.empty(left.size)
    kernel(values, left, right, out)
    return out


def _unchanged(embedded: Float[np.ndarray, "prompts heads components"]) -> Prepared:
    return (embedded,)


def _paired_block(prepared: Prepared, rows: np.ndarray, start: int) -> np.ndarray:
    from attention_motifs.distances.kernels import paired_tile

    return _tile(paired_tile, prepared[0], rows, start)


def _paired_pairs(prepared: Prepared, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    from attention_motifs.distances.kernels import paired_pairs

    return _listed(paired_pairs, prepared[0], left, right)


def _head_means(
    embedded: Float[np.ndarray, "prompts heads components"],
) -> Float[np.ndarray, "heads components"]:
    from attention_motifs.distances.kernels import head_means

    means = np.empty(embedded.shape[1:])
    head_means(embedded, means)
    return means


def _centroids(embedded: Float[np.ndarray, "prompts heads components"]) -> Prepared:
    """Return head means as clouds of one point: their Eq. 3 is the distance of the means."""
    return (_head_means(embedded)[None],)


def _directions_of_means(embedded: Float[np.ndarray, "prompts heads components"]) -> Prepared:
    """Return head means scaled to length 1, and 1/2 for each head with a zero mean.

    With unit vectors u and v, 1 - cos = |u - v|^2 / 2, which does not cancel for close heads as
    1 - u.v does. A cosine with a zero vector is 0: the halves correct the distance for it.
    """
    means = _head_means(embedded)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    zero = norms == 0
    return (means / np.where(zero, 1.0, norms))[None], np.where(zero[:, 0], 0.5, 0.0)


def _cosine_block(prepared: Prepared, rows: np.ndarray, start: int) -> np.ndarray:
    from attention_motifs.distances.kernels import paired_tile

    distances = _tile(paired_tile, prepared[0], rows, start)
    extra = np.zeros(TILE)
    columns = prepared[1][start : start + TILE]
    extra[: columns.size] = columns
    result: np.ndarray = distances**2 / 2 + prepared[1][rows][:, None] + extra
    return result


def _cosine_pairs(prepared: Prepared, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    from attention_motifs.distances.kernels import paired_pairs

    distances = _listed(paired_pairs, prepared[0], left, right)
    result: np.ndarray = distances**2 / 2 + prepared[1][left] + prepared[1][right]
    return result


_COLUMNS_WIDENED = 1024
"""Columns that are made float64 at a time, so that they stay in the cache."""


def _whole_clouds(embedded: Float[np.ndarray, "prompts heads components"]) -> Prepared:
    """Return the points of each head in one row, (heads, prompts * components), and the norms."""
    rows = np.ascontiguousarray(embedded.transpose(1, 0, 2)).reshape(embedded.shape[1], -1)
    lengths = [np.linalg.norm(row.astype(np.float64)) for row in rows]
    return rows, np.asarray(lengths)


def _one_minus_cosine(
    products: Float[np.ndarray, "*shape"], lengths: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Return 1 - products / lengths; the cosine with a zero vector is 0."""
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths != 0)
    result: np.ndarray = 1.0 - np.clip(cosines, -1.0, 1.0)
    return result


def _paired_cosine_block(prepared: Prepared, rows: np.ndarray, start: int) -> np.ndarray:
    clouds, lengths = prepared
    products = np.zeros((rows.size, TILE))
    both = np.zeros((rows.size, TILE))
    columns = slice(start, start + TILE)
    n = lengths[columns].size
    for first in range(0, clouds.shape[1], _COLUMNS_WIDENED):
        part = slice(first, first + _COLUMNS_WIDENED)
        products[:, :n] += clouds[rows, part].astype(np.float64) @ clouds[columns, part].T
    both[:, :n] = np.outer(lengths[rows], lengths[columns])
    return _one_minus_cosine(products, both)


def _paired_cosine_pairs(prepared: Prepared, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    from attention_motifs.distances.kernels import product_pairs

    clouds, lengths = prepared
    products = _listed(product_pairs, clouds, left, right)
    return _one_minus_cosine(products, lengths[left] * lengths[right])


def _wasserstein_pairs(prepared: Prepared, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    from attention_motifs.distances.assignment import assignment_pairs

    return _listed(assignment_pairs, prepared[0], left, right)


def _with_spreads(embedded: Float[np.ndarray, "prompts heads components"]) -> Prepared:
    """Return the clouds and the mean distance within each, in float64, since the terms cancel."""
    from attention_motifs.distances.kernels import cross_pairs

    points = embedded.astype(np.float64)
    heads = np.arange(points.shape[1])
    return points, _listed(cross_pairs, points, heads, heads)


def _energy_block(prepared: Prepared, rows: np.ndarray, start: int) -> np.ndarray:
    from attention_motifs.distances.kernels import cross_tile

    points, spreads = prepared
    columns = np.zeros(TILE)
    columns[: spreads[start : start + TILE].size] = spreads[start : start + TILE]
    squares = 2 * _tile(cross_tile, points, rows, start) - spreads[rows][:, None] - columns
    result: np.ndarray = np.sqrt(np.maximum(squares, 0.0))
    return result


def _energy_pairs(prepared: Prepared, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    from attention_motifs.distances.kernels import cross_pairs

    points, spreads = prepared
    squares = 2 * _listed(cross_pairs, points, left, right) - spreads[left] - spreads[right]
    result: np.ndarray = np.sqrt(np.maximum(squares, 0.0))
    return result


def random_directions(
    n_directions: int, n_components: int, seed: int = 0
) -> Float[np.ndarray, "directions components"]:
    """Return unit vectors in float64, in orthonormal sets, each of them uniform."""
    rng = np.random.default_rng(seed)
    n_sets = -(-n_directions // n_components)
    gaussian = rng.standard_normal((n_sets, n_components, n_components))
    q, r = np.linalg.qr(gaussian)
    # Without these signs QR would not give every rotation the same chance.
    signs = np.sign(np.diagonal(r, axis1=1, axis2=2))
    vectors: np.ndarray = (q * signs[:, None, :]).transpose(0, 2, 1)
    return vectors.reshape(-1, n_components)[:n_directions]


def _sorted_projections(
    embedded: Float[np.ndarray, "prompts heads components"],
    directions: Float[np.ndarray, "directions components"],
) -> Prepared:
    """Return each head's sorted points along each direction: (directions * prompts, heads)."""
    n_prompts, n_heads, _ = embedded.shape
    # A common shift changes no distance; without it rounding would grow with the offset.
    centre = embedded.mean(axis=(0, 1), dtype=np.float64)
    result = np.empty((len(directions), n_prompts, n_heads), np.float32)
    for start in range(0, n_heads, _PROJECTED_HEADS):
        part = embedded[:, start : start + _PROJECTED_HEADS] - centre
        projected = np.einsum("lc,shc->lhs", directions, part, optimize=True)
        projected.sort(axis=-1)
        result[:, :, start : start + _PROJECTED_HEADS] = projected.transpose(0, 2, 1)
    return (result.reshape(-1, n_heads),)


def _absolute_block(prepared: Prepared, rows: np.ndarray, start: int) -> np.ndarray:
    from attention_motifs.distances.kernels import absolute_tile

    return _tile(absolute_tile, prepared[0], rows, start)


def _absolute_pairs(prepared: Prepared, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    from attention_motifs.distances.kernels import absolute_pairs

    return _listed(absolute_pairs, prepared[0], left, right)


def sliced_wasserstein(n_directions: int = SLICED_DIRECTIONS, seed: int = 0) -> Metric:
    """Return the metric `sliced-wasserstein` with other directions or another seed."""

    def prepare(embedded: Float[np.ndarray, "prompts heads components"]) -> Prepared:
        directions = random_directions(n_directions, embedded.shape[2], seed)
        return _sorted_projections(embedded, directions)

    return Metric(
        name="sliced-wasserstein",
        formula=r"\frac{1}{L P} \sum_{\ell} \sum_{k} "
        r"\left| (\theta_\ell \cdot x)_{(k)} - (\theta_\ell \cdot y)_{(k)} \right|",
        cost="H^2 P L / 2",
        invariances=(_WITHIN, _SHIFT),
        triangle=True,
        blind="which prompt gave which point; differences that cancel along the directions drawn",
        source="Rabin, Peyré, Delon, Bernot 2011 (SSVM): W1 along random directions, averaged",
        prepare=prepare,
        pairwise=_absolute_pairs,
        block=_absolute_block,
        description="as wasserstein, approximate and fast",
    )


def register_preset(name: str, description: str = "") -> Metric:
    """Make a preset a metric and return it; one that is a metric already is not changed.

    All presets have the same formula: they differ in their clouds, which an atlas holds.

    Args:
        name: name of the preset.
        description: in what heads at a small distance are similar.

    Raises:
        InputError: if the name is that of a metric of another kind.
    """
    if name in metric_names(space=name):
        return get_metric(name)
    return register_metric(
        Metric(
            name=name,
            formula=r"1 - \frac{\sum_s x_s \cdot y_s}"
            r"{\sqrt{\sum_s \lVert x_s \rVert^2 \, \sum_s \lVert y_s \rVert^2}}",
            cost="H^2 P C / 2",
            invariances=(_TOGETHER, "a positive scale per head", _TURN),
            triangle=False,
            blind="the distance of a head from the mean of its model",
            source="cosine of whole clouds in the space of docs/distances.md; 0 with a zero cloud",
            prepare=_whole_clouds,
            pairwise=_paired_cosine_pairs,
            block=_paired_cosine_block,
            description=description,
            space=name,
            products=True,
        )
    )


register_metric(
    Metric(
        name=DEFAULT_METRIC,
        formula=r"\frac{1}{P} \sum_{s} \lVert x_s - y_s \rVert",
        cost="H^2 P C / 2",
        invariances=(_TOGETHER, _SHIFT_PER_PROMPT, _TURN),
        triangle=True,
        blind="whether the distance comes from few prompts or from many",
        source="the paper, Eq. 3",
        prepare=_unchanged,
        pairwise=_paired_pairs,
        block=_paired_block,
        description="similar patterns, prompt by prompt (the paper's Eq. 3)",
    )
)
register_metric(
    Metric(
        name="cosine",
        formula=r"1 - \frac{\bar x \cdot \bar y}{\lVert \bar x \rVert \lVert \bar y \rVert}",
        cost="H P C + H^2 C / 2",
        invariances=(_WITHIN, "a positive scale per head", _TURN),
        triangle=False,
        blind="the distance of a head from the origin; everything but the mean",
        source="cosine of the head means; with a zero mean it is taken as 0",
        prepare=_directions_of_means,
        pairwise=_cosine_pairs,
        block=_cosine_block,
        description="mean patterns that deviate in the same direction",
    )
)
for _preset in PRESETS.values():
    register_preset(_preset.name, _preset.description)
register_metric(
    Metric(
        name="centroid",
        formula=r"\lVert \bar x - \bar y \rVert",
        cost="H P C + H^2 C / 2",
        invariances=(_WITHIN, _SHIFT_PER_PROMPT, _TURN),
        triangle=True,
        blind="everything but the mean: the spread and shape of a cloud",
        source="lower bound of Eq. 3 and of wasserstein (Jensen)",
        prepare=_centroids,
        pairwise=_paired_pairs,
        block=_paired_block,
        description="similar mean patterns",
    )
)
register_metric(
    Metric(
        name="wasserstein",
        formula=r"\min_{\pi} \frac{1}{P} \sum_{s} \lVert x_s - y_{\pi(s)} \rVert",
        cost="H^2 (P^2 C + P^3) / 2",
        invariances=(_WITHIN, _SHIFT, _TURN),
        triangle=True,
        blind="which prompt gave which point",
        source="the paper, section 4.1 (earth mover); exact, by optimal assignment",
        prepare=_unchanged,
        pairwise=_wasserstein_pairs,
        description="similar patterns equally often, on whatever prompts",
    )
)
register_metric(sliced_wasserstein())
register_metric(
    Metric(
        name="energy",
        formula=r"\sqrt{\frac{1}{P^2} \sum_{s,t} \left( 2 \lVert x_s - y_t \rVert"
        r" - \lVert x_s - x_t \rVert - \lVert y_s - y_t \rVert \right)}",
        cost="H^2 P^2 C / 2",
        invariances=(_WITHIN, _SHIFT, _TURN),
        triangle=True,
        blind="which prompt gave which point",
        source="Székely, Rizzo 2013 (J. Stat. Plan. Inference 143): square root, s = t included",
        prepare=_with_spreads,
        pairwise=_energy_pairs,
        block=_energy_block,
        description="as wasserstein, and similar spread",
    )
)
register_metric(
    Metric(
        name="gromov-wasserstein",
        formula=r"\min_{T} \Big( \sum_{s,t,u,v} \big( \lVert x_s - x_u \rVert"
        r" - \lVert y_t - y_v \rVert \big)^2 T_{st} T_{uv} \Big)^{1/2}",
        cost="H^2 P^3 / 2 per solver iteration",
        invariances=(_WITHIN, "a translation, rotation or reflection per head"),
        triangle=False,
        blind="the position and rotation of a cloud; the solver may miss the minimum",
        source="the paper, section 4.1; Mémoli 2011, without his factor 1/2; POT's solver",
        prepare=gromov_prepare,
        pairwise=gromov_pairs,
        threaded=False,
        description="patterns that vary in a similar manner, around any mean",
    )
)
