"""Comparison with published scores of every head, and with how far two teams agree.

A published score is an array (layers, heads) of one model. The heads that come first in it are the
authors' top heads. Distances are compared with it, the behaviour scores of an atlas, and the scores
of the same quantity by another team, which bounds what can be expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import generator
from attention_motifs.evaluation.ranking import RankStatistics, rank_heads
from attention_motifs.store.validated_json import convert, parse

if TYPE_CHECKING:
    from jaxtyping import Float

TOP_SHARE = 0.05
"""Share of heads that are the authors' top heads: their own thresholds differ too much."""

LEAST_TOP = 3
N_NEIGHBOURS = 5
N_DRAWS = 1000
LAYERS_ALONE = "layer alone"
EXACT = "exact score"
"""The distance that knows the published score: no distance finds more."""


SAME_QUANTITY = {"next_tok_attn, random tokens": "induction"}
"""Classes that two sources measure alike under different names."""

NEAREST_BEHAVIOUR = {
    "induction": "induction",
    "previous token": "previous token",
    "token copying": "induction",
    "retrieval head": "induction",
    "next_tok_attn, natural entities": "induction",
}
"""Behaviour score of an atlas that is closest to a published quantity."""


class _Entry(msgspec.Struct, frozen=True):
    """What the JSON file says of an array; other keys are ignored."""

    source: str
    model: str
    quantity: str = msgspec.field(name="class")
    kind: str = ""


@dataclass(frozen=True)
class PublishedScores:
    """Scores of every head of one model by one source."""

    source: str
    model: str
    quantity: str
    kind: str
    """How it was measured, in the source's words."""
    values: Float[np.ndarray, "layers heads"]
    """NaN for heads without a score."""

    @property
    def measured(self) -> str:
        """Return the name of the quantity that two sources share."""
        return SAME_QUANTITY.get(self.quantity, self.quantity)


@dataclass(frozen=True)
class Agreement:
    """How well one ranking of heads agrees with published scores."""

    spearman: float
    low: float
    high: float
    """95 % interval of Spearman's correlation over heads."""
    average_precision: float
    """Average precision of the authors' top heads."""


@dataclass(frozen=True)
class GradedRow:
    """One comparison with one published array."""

    source: str
    model: str
    quantity: str
    kind: str
    compared: str
    """A metric: the mean score of a head's five nearest is compared with its own, and each top
    head ranks all others. `score: ...`: a behaviour score of the atlas. `team: ...`: another
    source, for this model or (`elsewhere`) the median over other models."""
    n_heads: int
    n_top: int
    chance: float
    """Share of top heads: the average precision of a random order, nearly."""
    agreement: Agreement

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        values = asdict(self)
        agreement = values.pop("agreement")
        return {**values, **agreement}


def read_graded(path: str | Path) -> list[PublishedScores]:
    """Read published scores from a .npz file and the .json file next to it.

    The .json file is an object with one entry per array of the .npz file: `source`, `model` (its
    id on the hub), `class`, and optionally `kind`. Nothing in the files is run.

    Args:
        path: the .npz file.

    Returns:
        The arrays in the order of the .json file.

    Raises:
        InputError: if a file is missing or damaged, or the two do not fit together.
    """
    file = Path(path)
    if file.suffix.lower() != ".npz":
        raise InputError(f"{file}: is no .npz file. Give the .npz file; its .json is found by name")
    described = file.with_suffix(".json")
    for needed in (file, described):
        if not needed.is_file():
            raise InputError(
                f"{needed}: there is no such file. Published scores are two files, {file.name} and "
                f"{described.name}, in one folder"
            )
    entries = convert(
        parse(described.read_bytes(), str(described)), dict[str, _Entry], str(described)
    )
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy and zipfile raise many kinds on a damaged file
        reason = " ".join(str(error).split())
        raise InputError(
            f"{file}: cannot be read as arrays of numbers ({reason:.120}). Save them with "
            "numpy.savez, without objects"
        ) from error
    if missing := sorted(entries.keys() ^ arrays.keys()):
        raise InputError(
            f"{file}: {missing[0]!r:.100} is in only one of {file.name} and {described.name}. "
            "Give every array an entry"
        )
    return [_published(file, name, entry, arrays[name]) for name, entry in entries.items()]


def _published(file: Path, name: str, entry: _Entry, values: np.ndarray) -> PublishedScores:
    if values.ndim != 2 or values.dtype.kind not in "fiu" or values.size == 0:
        raise InputError(
            f"{file}: {name!r:.100} has shape {values.shape} and type {values.dtype}. Give numbers "
            "of shape (layers, heads)"
        )
    numbers = values.astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return PublishedScores(entry.source, entry.model, entry.quantity, entry.kind, numbers)


def compare_graded(
    published: PublishedScores,
    distances: Mapping[str, Float[np.ndarray, "heads heads"]],
    scores: Mapping[str, Float[np.ndarray, " heads"]],
    others: Sequence[PublishedScores] = (),
) -> list[GradedRow]:
    """Compare the heads of one model with published scores.

    Args:
        published: scores of the model.
        distances: (heads, heads) finite distances of its heads, layer by layer, by metric.
        scores: (heads,) behaviour scores by name, NaN for heads without a score.
        others: all published arrays, for the agreement of two teams.

    Returns:
        One row per metric, then `layer alone`, `exact score`, the nearest behaviour score, and
        other teams.
        Without two scored heads of different scores there are none.

    Raises:
        InputError: if a matrix has another number of heads.
    """
    values = published.values.ravel()
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < 2 * LEAST_TOP or np.ptp(values[known]) == 0:
        return []
    target = values[known]
    top = _top(target)
    rows = [
        (name, _by_distance(matrix, known, target, top, len(values)))
        for name, matrix in distances.items()
    ]
    layer = np.repeat(np.arange(len(published.values)), published.values.shape[1]).astype(float)
    alone = np.abs(layer[:, None] - layer[None, :])
    # Heads at the edge of the top have neighbours on both sides, so this is no 1 either.
    exact = np.abs(np.nan_to_num(values)[:, None] - np.nan_to_num(values)[None, :])
    rows += [
        (name, _by_distance(matrix, known, target, top, len(values)))
        for name, matrix in ((LAYERS_ALONE, alone), (EXACT, exact))
    ]
    behaviour = NEAREST_BEHAVIOUR.get(published.measured)
    if (
        behaviour is not None
        and behaviour in scores
        and np.isfinite(scores[behaviour][known]).all()
    ):
        agreement = _by_score(np.asarray(scores[behaviour], dtype=np.float64)[known], target, top)
        rows.append((f"score: {behaviour}", agreement))
    rows += _ceilings(published, others)
    return [
        GradedRow(
            published.source,
            published.model,
            published.quantity,
            published.kind,
            name,
            len(known),
            int(top.sum()),
            float(top.mean()),
            agreement,
        )
        for name, agreement in rows
    ]


def _top(target: Float[np.ndarray, " heads"]) -> np.ndarray:
    """Return which heads are the authors' top heads."""
    n = max(LEAST_TOP, round(TOP_SHARE * len(target)))
    top = np.zeros(len(target), dtype=bool)
    top[np.argsort(-target, kind="stable")[:n]] = True
    return top


def _by_distance(
    matrix: Float[np.ndarray, "heads heads"],
    known: np.ndarray,
    target: Float[np.ndarray, " heads"],
    top: np.ndarray,
    n_heads: int,
) -> Agreement:
    if np.shape(matrix) != (n_heads, n_heads):
        raise InputError(
            f"distances have shape {np.shape(matrix)} for {n_heads} heads. Give one row per head"
        )
    block = np.asarray(matrix, dtype=np.float64)[np.ix_(known, known)]
    weights = rank_heads(block, within=True).neighbour_weights(N_NEIGHBOURS)
    predicted = np.asarray((weights * target).sum(axis=1))
    members = np.flatnonzero(top)[None]
    statistics = RankStatistics(block, within=True, n_neighbours=1)(members, members)
    return Agreement(*_spearman(predicted, target), float(statistics[0, 1]))


def _by_score(
    score: Float[np.ndarray, " heads"], target: Float[np.ndarray, " heads"], top: np.ndarray
) -> Agreement:
    statistics = RankStatistics(-score[None, :], within=False, n_neighbours=1)
    members = np.flatnonzero(top)[None]
    precision = statistics(np.zeros((1, 1), dtype=np.int64), members)[0, 1]
    return Agreement(*_spearman(score, target), float(precision))


def _ceilings(
    published: PublishedScores, others: Sequence[PublishedScores]
) -> list[tuple[str, Agreement]]:
    """Return the agreement of other teams on this model, or its median over other models."""
    here = [
        (f"team: {other.source}", _between(other, published))
        for other in others
        if _is_repeat(other, published) and _same_model(other, published)
    ]
    if here:
        return [(name, agreement) for name, agreement in here if agreement is not None]
    elsewhere = [
        agreement
        for one, another in permutations(others, 2)
        if one.measured == published.measured
        and _is_repeat(one, another)
        and _same_model(one, another)
        and (agreement := _between(one, another)) is not None
    ]
    if not elsewhere:
        return []
    middle = [float(np.median([getattr(a, name) for a in elsewhere])) for name in _FIELDS]
    return [(f"team: median of {len(elsewhere)} elsewhere", Agreement(*middle))]


_FIELDS = ("spearman", "low", "high", "average_precision")


def _is_repeat(one: PublishedScores, another: PublishedScores) -> bool:
    return one.source != another.source and one.measured == another.measured


def _same_model(one: PublishedScores, another: PublishedScores) -> bool:
    same_name = one.model.casefold() == another.model.casefold()
    return same_name and one.values.shape == another.values.shape


def _between(one: PublishedScores, published: PublishedScores) -> Agreement | None:
    """Return how well the scores of one source rank the heads of another."""
    score, target = one.values.ravel(), published.values.ravel()
    both = np.isfinite(score) & np.isfinite(target)
    if both.sum() < 2 * LEAST_TOP or np.ptp(target[both]) == 0:
        return None
    return _by_score(score[both], target[both], _top(target[both]))


def _spearman(
    one: Float[np.ndarray, " heads"], another: Float[np.ndarray, " heads"]
) -> tuple[float, float, float]:
    """Return Spearman's correlation and its 95 % bootstrap interval over heads."""
    from scipy.stats import rankdata

    value = float(_correlations(rankdata(one)[None], rankdata(another)[None])[0])
    drawn = generator(0, "heads").integers(len(one), size=(N_DRAWS, len(one)))
    draws = _correlations(rankdata(one[drawn], axis=1), rankdata(another[drawn], axis=1))
    low, high = np.nanquantile(draws, [0.025, 0.975]) if np.isfinite(value) else (value, value)
    return value, float(low), float(high)


def _correlations(
    one: Float[np.ndarray, "draws heads"], another: Float[np.ndarray, "draws heads"]
) -> Float[np.ndarray, " draws"]:
    x = one - one.mean(axis=1, keepdims=True)
    y = another - another.mean(axis=1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    correlations: Float[np.ndarray, " draws"] = np.divide(
        (x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0
    )
    return correlations
