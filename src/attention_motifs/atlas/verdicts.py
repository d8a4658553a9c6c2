"""Verdicts on heads: class probabilities from the labelled heads of other models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.head_distances import AllPairs, head_distances_of
from attention_motifs.atlas.motif_shares import SHARE, no_shares
from attention_motifs.errors import InputError
from attention_motifs.evaluation.class_probabilities import (
    N_VOTERS,
    UNKNOWN,
    ClassModel,
    class_nearness,
    fit_classes,
    with_unknown,
)
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature import load_known_heads
from attention_motifs.literature.behaviours import CLASS_THRESHOLDS, computed_classes

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from attention_motifs.atlas.folder import AtlasFolder

LEAST_MEMBERS = 3
"""Fewest labelled heads of other models from which a class is learnt."""

MOST_TRAINED = 2000
"""Largest number of labelled heads that are used; of more, as many are drawn."""


@dataclass(frozen=True)
class Labels:
    """Classes of the heads of an atlas, in the order of its heads.

    Attributes:
        names: computed classes, then groups of the literature.
        members: (heads, classes) whether a head is in a class.
        labelled: (heads,) whether a head was scored, or is named by a source.
    """

    names: tuple[str, ...]
    members: Bool[np.ndarray, "heads classes"]
    labelled: Bool[np.ndarray, " heads"]

    @property
    def in_a_class(self) -> Bool[np.ndarray, " heads"]:
        """Whether each head is in any class."""
        return np.asarray(self.members.any(axis=1))


@dataclass(frozen=True)
class ModelVerdicts:
    """Class probabilities of the heads of one model, learnt from the other models.

    Attributes:
        rows: (heads,) rows of the heads in `Atlas.heads`.
        names: classes that could be learnt, then `unknown`.
        probabilities: (heads, names); those of the classes need not sum to 1.
        voters: nearest labelled heads of each head, rows in `Atlas.heads`; empty without distances
            of all pairs.
        fitted: the regressions.
        numbers: (heads, numbers) what the regressions read: square roots of motif shares, and the
            nearness of each class where the atlas holds distances of all pairs.
    """

    rows: Int[np.ndarray, " heads"]
    names: tuple[str, ...]
    probabilities: Float[np.ndarray, "heads names"]
    voters: list[Int[np.ndarray, " voters"]]
    fitted: ClassModel | None
    numbers: Float[np.ndarray, "heads numbers"]

    def verdict(self, place: int) -> tuple[str, float]:
        """Return the most probable name of a head, and its probability."""
        best = int(np.argmax(self.probabilities[place]))
        return self.names[best], float(self.probabilities[place, best])


def head_labels(atlas: AtlasFolder) -> Labels:
    """Return the classes of all heads: from behaviour scores, and from the literature.

    A computed class and the literature's group of the same name are one class.
    """
    heads = atlas.heads
    scores = {
        name: heads[name].fill_null(float("nan")).to_numpy().astype(np.float64)
        for name in CLASS_THRESHOLDS
        if name in heads.columns
    }
    members = computed_classes(scores)
    labelled = np.zeros(len(heads), dtype=bool)
    for values in scores.values():
        labelled |= np.isfinite(values)
    listed = heads["classes"].to_list()
    known = load_known_heads(atlas.paths.own_classes).classes if any(listed) else {}
    for row, classes in enumerate(listed):
        for name in classes:
            group = known[name].group if name in known else name
            members.setdefault(group, np.zeros(len(heads), dtype=bool))[row] = True
            labelled[row] = True
    names = tuple(members)
    table = np.stack([members[name] for name in names], axis=1) if names else np.zeros(
        (len(heads), 0), dtype=bool
    )  # fmt: skip
    return Labels(names, table, labelled)


def mean_shares(atlas: AtlasFolder) -> Float[np.ndarray, "heads motifs"]:
    """Return the mean share of each motif, per head; NaN for heads without shares.

    Raises:
        AtlasError: if the atlas holds no motif shares.
    """
    columns = [name + SHARE for name in MOTIFS]
    if columns[0] not in atlas.heads.columns:
        raise no_shares(atlas)
    return np.asarray(
        atlas.heads.select(columns).fill_null(float("nan")).to_numpy(), dtype=np.float64
    )


def model_verdicts(
    atlas: AtlasFolder, model: str, metric: str, labels: Labels | None = None
) -> ModelVerdicts:
    """Return the class probabilities of the heads of a model, from heads of other models alone.

    Args:
        atlas: with motif shares, and behaviour scores or known heads.
        model: a model of the atlas.
        metric: of the distances to labelled heads.
        labels: default: those of `head_labels`.

    Raises:
        InputError: if the model is not in the atlas, or the metric is not known.
        AtlasError: if the atlas holds no motif shares of the model.
    """
    if model not in atlas.models:
        raise InputError(f"model {model!r} is not in this atlas; it has {', '.join(atlas.models)}")
    labels = labels or head_labels(atlas)
    shares = mean_shares(atlas)
    of_model = atlas.heads["model"].to_numpy() == model
    rows = np.flatnonzero(of_model)
    if not np.isfinite(shares[rows]).all():
        raise no_shares(atlas)
    trained = np.flatnonzero(labels.labelled & ~of_model & np.isfinite(shares).all(axis=1))
    if len(trained) > MOST_TRAINED:
        trained = np.sort(np.random.default_rng(0).choice(trained, MOST_TRAINED, replace=False))
    enough = labels.members[trained].sum(axis=0) >= LEAST_MEMBERS
    names = tuple(np.array(labels.names, dtype=object)[enough]) if len(trained) else ()
    if not names:
        return ModelVerdicts(
            rows,
            (UNKNOWN,),
            np.ones((len(rows), 1)),
            [np.empty(0, dtype=np.int64)] * len(rows),
            None,
            np.sqrt(shares[rows]),
        )
    members = labels.members[np.ix_(trained, np.flatnonzero(enough))]
    nearness, among_trained, voters = _nearness(atlas, metric, rows, trained, members)
    numbers = np.column_stack([np.sqrt(shares[rows]), nearness])
    fitted = fit_classes(np.column_stack([np.sqrt(shares[trained]), among_trained]), members, names)
    return ModelVerdicts(
        rows,
        (*names, UNKNOWN),
        with_unknown(fitted.probabilities(numbers)),
        voters,
        fitted,
        numbers,
    )


def _nearness(
    atlas: AtlasFolder,
    metric: str,
    rows: Int[np.ndarray, " heads"],
    trained: Int[np.ndarray, " trained"],
    members: Bool[np.ndarray, "trained classes"],
) -> tuple[Any, Any, list[Any]]:
    """Return the nearness of classes to the heads of a model and to the labelled ones, and voters.

    A labelled head is compared with those of other models, as the heads of the model are, or with
    those of other layers if there is one other model only.
    """
    nothing = np.zeros((len(rows), 0)), np.zeros((len(trained), 0))
    held = head_distances_of(atlas, metric)
    if not isinstance(held, AllPairs):
        return *nothing, [np.empty(0, dtype=np.int64)] * len(rows)
    distances = held.between(rows, trained)
    among = held.between(trained, trained)
    model_of = atlas.heads["model"].to_numpy()[trained]
    layer_of = atlas.heads["layer"].to_numpy()[trained]
    apart = model_of[:, None] != model_of[None, :]
    if not apart.any():
        apart = layer_of[:, None] != layer_of[None, :]
    nearness = class_nearness(distances, members, np.ones(distances.shape, dtype=bool))
    order = np.argsort(distances, axis=1, kind="stable")[:, :N_VOTERS]
    return nearness, class_nearness(among, members, apart), [trained[places] for places in order]


@dataclass(frozen=True)
class DealtLabels:
    """Labels of the other models, to be dealt at random within the layers of each.

    Attributes:
        names: classes.
        members: (heads, classes) whether a head is in a class.
        layers: (heads,) number of the layer of each head, different for every model.
        n_labelled: (layers,) labelled heads of other models in each layer.
        n_members: (layers, classes) of these in each class.
    """

    names: tuple[str, ...]
    members: Bool[np.ndarray, "heads classes"]
    layers: Int[np.ndarray, " heads"]
    n_labelled: Int[np.ndarray, " layers"]
    n_members: Int[np.ndarray, "layers classes"]

    def percentile(self, voters: Int[np.ndarray, " voters"], name: str) -> float | None:
        """Return the percentile of the number of voters in a class if labels were dealt by layer.

        Args:
            voters: (voters,) rows of the heads that vote.
            name: the class.

        Returns:
            Probability, in percent, that fewer voters are in the class, plus half of that of as
            many; None without voters, or for `unknown`.
        """
        if not len(voters) or name not in self.names:
            return None
        at = self.names.index(name)
        counts = np.ones(1)
        for layer, n_voters in zip(*np.unique(self.layers[voters], return_counts=True),
                                   strict=True):  # fmt: skip
            n, members = int(self.n_labelled[layer]), int(self.n_members[layer, at])
            counts = np.convolve(counts, _drawn(n, members, int(n_voters)))
        observed = int(self.members[voters, at].sum())
        return float(100.0 * (counts[:observed].sum() + counts[observed] / 2))


def dealt_labels(atlas: AtlasFolder, labels: Labels, model: str) -> DealtLabels:
    """Count the labels of all models but one by layer.

    Args:
        atlas: the atlas.
        labels: of its heads.
        model: the model that is left out.
    """
    numbers: dict[tuple[str, int], int] = {}
    places = zip(atlas.heads["model"].to_list(), atlas.heads["layer"].to_list(), strict=True)
    layers = np.array([numbers.setdefault(place, len(numbers)) for place in places])
    eligible = labels.labelled & (atlas.heads["model"] != model).to_numpy()
    n_members = np.zeros((len(numbers), len(labels.names)), dtype=np.int64)
    np.add.at(n_members, layers[eligible], labels.members[eligible])
    n_labelled = np.bincount(layers[eligible], minlength=len(numbers))
    return DealtLabels(labels.names, labels.members, layers, n_labelled, n_members)


def _drawn(n: int, members: int, drawn: int) -> Float[np.ndarray, " counts"]:
    """Return the hypergeometric probabilities of 0 to `drawn` members among the drawn."""
    ways = [
        math.comb(members, k) * math.comb(n - members, drawn - k) / math.comb(n, drawn)
        for k in range(drawn + 1)
    ]
    return np.array(ways)
