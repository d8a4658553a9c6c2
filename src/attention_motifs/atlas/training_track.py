"""Heads through training: versions of a model in one atlas, and when each class appears."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.motif_shares import SPREAD
from attention_motifs.errors import InputError
from attention_motifs.evaluation.matching import match_heads
from attention_motifs.evaluation.null import generator
from attention_motifs.literature.behaviours import CLASS_THRESHOLDS

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

N_PERMUTATIONS = 2000
"""Random matches within layers with which a match between runs is compared."""

_STEP = re.compile(r"(?P<run>.*?)[-_@]?(?:step|checkpoint|iter|epoch)?[-_]?(?P<step>\d+)", re.I)


@dataclass(frozen=True)
class Run:
    """Versions of one model: its name, the steps of training, and the models of the atlas."""

    name: str
    steps: tuple[int, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class Appearance:
    """When a class appears in a run.

    Attributes:
        run: name of the run.
        name: name of the class.
        threshold: smallest score of its heads.
        step: first version with a head of the class, as have all versions after it; None if the
            last version has no such head.
        earliest: the same if every score were larger by its spread over sequences.
        latest: the same if every score were smaller by its spread.
        heads: heads of the class in the last version, `L1:H3`, largest score first.
        score: largest score in the last version, between 0 and 1.
        spread: its standard deviation over sequences.
    """

    run: str
    name: str
    threshold: float
    step: int | None
    earliest: int | None
    latest: int | None
    heads: tuple[str, ...]
    score: float
    spread: float

    @property
    def step_range(self) -> str:
        """Steps from `earliest` to `latest`, in words."""
        ends = ["never" if step is None else str(step) for step in (self.earliest, self.latest)]
        return ends[0] if ends[0] == ends[1] else " to ".join(ends)


@dataclass(frozen=True)
class HeadPath:
    """One head of a run, at every version.

    Attributes:
        run: name of the run.
        head: place of the head, `L1:H3`.
        classes: its computed classes in the last version.
        scores: score at every version, by class.
        spreads: standard deviation over sequences of the scores.
        positions: (x, y) of its mean pattern embedding at every version.
        to_final: distance to the same head in the last version, at every version.
    """

    run: str
    head: str
    classes: tuple[str, ...]
    scores: dict[str, tuple[float, ...]]
    spreads: dict[str, tuple[float, ...]]
    positions: tuple[tuple[float, float], ...]
    to_final: tuple[float, ...]


@dataclass(frozen=True)
class RunMatch:
    """The heads of two runs matched one to one in their last versions.

    Attributes:
        first: name of a run.
        second: name of another.
        n_labelled: heads of the first run that have a computed class.
        n_right: those whose match has a class in common with them.
        null: mean number right if matches are shuffled within layers of the second run.
        p: share of these shuffles that are right as often.
    """

    first: str
    second: str
    n_labelled: int
    n_right: int
    null: float
    p: float


@dataclass(frozen=True)
class Track:
    """Runs of training, head by head.

    Attributes:
        metric: how heads are compared.
        runs: the runs and their versions.
        appearances: when each class appears in each run.
        paths: every head of every run.
        matches: every pair of runs.
        map_share: share of the variance of mean embeddings that the two axes of the map hold.
        sentence: the answer in words.
    """

    metric: str
    runs: tuple[Run, ...]
    appearances: tuple[Appearance, ...]
    paths: tuple[HeadPath, ...]
    matches: tuple[RunMatch, ...]
    map_share: float
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return all of it as a JSON object."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return data


def runs_of(models: Sequence[str]) -> list[Run]:
    """Group models whose names end with a step, such as `run-step100`, into runs.

    A run has two versions or more; other models are left out.

    Example:
        >>> runs_of(["a-step20", "a-step3", "gpt2-small"])
        [Run(name='a', steps=(3, 20), models=('a-step3', 'a-step20'))]
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for model in models:
        match = _STEP.fullmatch(model)
        if match is not None:
            found.setdefault(match["run"].rstrip("-_@/") or "run", []).append(
                (int(match["step"]), model)
            )
    runs = []
    for name, versions in found.items():
        if len(versions) > 1:
            steps, names = zip(*sorted(versions), strict=True)
            runs.append(Run(name, steps, names))
    return runs


def track(
    atlas: Atlas | str | Path,
    runs: Mapping[str, Mapping[int, str]] | None = None,
    *,
    metric: str | None = None,
) -> Track:
    """Follow every head through the versions of a model, and find when each class appears.

    Args:
        atlas: with the versions as models, scored; or its folder or URL.
        runs: versions by name of a run and step; default: the models of the atlas whose names end
            with a step, such as `run-step100`.
        metric: how heads are compared; default: the best that the atlas stores.

    Returns:
        Scores, places in the map and distances of every head at every version; when each class
        appears, if the versions are scored; heads of different runs matched in their last versions.

    Raises:
        InputError: if there is no run of two versions, a model or the metric is not known, or
            versions of a run differ in shape.
        AtlasError: if the stage `embed` has not run, or a file is damaged.

    Example:
        >>> import attention_motifs as am
        >>> atlas = am.Atlas.open("demo-atlas")
        >>> model = atlas.models[0]
        >>> followed = am.track(atlas, {"the same twice": {0: model, 100: model}})
        >>> max(max(path.to_final) for path in followed.paths) < 1e-5
        True
    """
    opened = atlas if isinstance(atlas, Atlas) else Atlas.open(atlas)
    listed = runs_of(opened.models) if runs is None else _given(runs)
    listed = [run for run in listed if len(run.models) > 1]
    if not listed:
        raise InputError(
            f"{opened.place}: no run of two versions or more among {', '.join(opened.models)}. "
            "Name versions by their step, such as run-step100 and run-step200"
        )
    opened.known_models([model for run in listed for model in run.models])
    metric = opened.best_metric if metric is None else metric
    rows = {run.name: _rows(opened, run) for run in listed}
    scores = {run.name: _scores(opened, rows[run.name]) for run in listed}
    positions, share = _positions(opened, listed)
    held = head_distances_of(opened, metric)
    appearances, paths = [], []
    for run in listed:
        places = rows[run.name]
        to_final = np.stack([np.diagonal(held.rows(version)[:, places[-1]]) for version in places])
        names = [f"L{layer}:H{index}" for layer, index in _places(opened, places[-1])]
        appearances += _appearances(run, names, scores[run.name])
        paths += _paths(run, names, scores[run.name], positions[run.name], to_final)
    matches = tuple(
        _match(a, b, rows, scores, held, opened) for a, b in itertools.combinations(listed, 2)
    )
    return Track(
        metric, tuple(listed), tuple(appearances), tuple(paths), matches, share,
        _sentence(opened, listed, appearances, matches),
    )  # fmt: skip


Scores = dict[
    str, "tuple[Float[np.ndarray, 'versions heads'], Float[np.ndarray, 'versions heads']]"
]
"""Scores and their spreads over sequences, each (versions, heads), by class."""


def _given(runs: Mapping[str, Mapping[int, str]]) -> list[Run]:
    """Return the runs that a caller names.

    Raises:
        InputError: if they are no mapping from names to mappings from steps to models.
    """
    right = isinstance(runs, Mapping) and all(
        isinstance(name, str)
        and isinstance(versions, Mapping)
        and all(isinstance(s, int) and isinstance(m, str) for s, m in versions.items())
        for name, versions in runs.items()
    )
    if not right:
        raise InputError(
            f"runs {runs!r:.80} name no versions. Give the models by run and step, such as "
            "{'seed-0': {0: 'seed-0-step-0', 100: 'seed-0-step-100'}}"
        )
    return [
        Run(name, tuple(sorted(versions)), tuple(versions[s] for s in sorted(versions)))
        for name, versions in runs.items()
    ]


def _rows(atlas: Atlas, run: Run) -> Int[np.ndarray, "versions heads"]:
    """Return the rows of the heads table of every version."""
    model = atlas.heads["model"].to_numpy()
    rows = [np.flatnonzero(model == name) for name in run.models]
    places = [_places(atlas, r) for r in rows]
    for name, other in zip(run.models, places, strict=True):
        if other != places[-1]:
            raise InputError(
                f"{name} and {run.models[-1]} differ in their layers or heads: they are no "
                "versions of one model. Compare two models with `motifs diff`"
            )
    return np.stack(rows)


def _places(atlas: Atlas, rows: Int[np.ndarray, " heads"]) -> list[tuple[int, int]]:
    table = atlas.heads[rows.tolist()]
    return list(zip(table["layer"].to_list(), table["index"].to_list(), strict=True))


def _scores(atlas: Atlas, rows: Int[np.ndarray, "versions heads"]) -> Scores:
    scores: Scores = {}
    for name in CLASS_THRESHOLDS:
        if name not in atlas.heads.columns:
            continue
        columns = [
            atlas.heads[column].cast(float).fill_null(float("nan")).to_numpy()[rows]
            for column in (name, name + SPREAD)
        ]
        if np.isfinite(columns[0]).all():
            scores[name] = (columns[0], np.nan_to_num(columns[1]))
    return scores


def _positions(
    atlas: Atlas, runs: Sequence[Run]
) -> tuple[dict[str, Float[np.ndarray, "versions heads 2"]], float]:
    """Return the first two principal components of the mean embeddings, and their share."""
    means = {
        run.name: np.stack(
            [atlas.embedded([model]).astype(np.float64).mean(axis=0) for model in run.models]
        )
        for run in runs
    }
    points = np.concatenate([m.reshape(-1, m.shape[-1]) for m in means.values()])
    centre = points.mean(axis=0)
    _, values, axes = np.linalg.svd(points - centre, full_matrices=False)
    shown = axes[:2]
    if len(shown) < 2:
        shown = np.vstack([shown, np.zeros_like(axes[:1])])
    total = float((values**2).sum())
    share = float((values[:2] ** 2).sum()) / total if total else 1.0
    return {name: (m - centre) @ shown.T for name, m in means.items()}, share


def _first(steps: Sequence[int], holds: Bool[np.ndarray, " versions"]) -> int | None:
    """Return the first step from which on all versions hold."""
    after = np.flatnonzero(~holds)
    first = int(after[-1]) + 1 if len(after) else 0
    return steps[first] if first < len(steps) else None


def _appearances(run: Run, names: Sequence[str], scores: Scores) -> list[Appearance]:
    rows = []
    for name, (values, spreads) in scores.items():
        threshold = CLASS_THRESHOLDS[name]
        last = values[-1]
        order = np.argsort(-last, kind="stable")
        step, earliest, latest = (
            _first(run.steps, (values + sign * spreads >= threshold).any(axis=1))
            for sign in (0, 1, -1)
        )
        kept = tuple(names[i] for i in order if last[i] >= threshold)
        best, spread = float(last[order[0]]), float(spreads[-1, order[0]])
        rows.append(
            Appearance(run.name, name, threshold, step, earliest, latest, kept, best, spread)
        )
    return rows


def _paths(
    run: Run,
    names: Sequence[str],
    scores: Scores,
    positions: Float[np.ndarray, "versions heads 2"],
    to_final: Float[np.ndarray, "versions heads"],
) -> list[HeadPath]:
    return [
        HeadPath(
            run.name,
            head,
            tuple(name for name, (s, _) in scores.items() if s[-1, i] >= CLASS_THRESHOLDS[name]),
            {name: tuple(s[:, i].tolist()) for name, (s, _) in scores.items()},
            {name: tuple(spread[:, i].tolist()) for name, (_, spread) in scores.items()},
            tuple((x, y) for x, y in positions[:, i].tolist()),
            tuple(to_final[:, i].tolist()),
        )
        for i, head in enumerate(names)
    ]


def _match(
    a: Run,
    b: Run,
    rows: Mapping[str, Int[np.ndarray, "versions heads"]],
    scores: Mapping[str, Scores],
    held: Any,
    atlas: Atlas,
) -> RunMatch:
    """Match the last versions of two runs, and count the heads whose match has their class."""
    first, second = rows[a.name][-1], rows[b.name][-1]
    matches = match_heads(held.rows(first)[:, second])
    common = sorted(scores[a.name].keys() & scores[b.name].keys())
    labels = [
        np.array(
            [scores[run.name][name][0][-1] >= CLASS_THRESHOLDS[name] for name in common]
        ).reshape(len(common), rows[run.name].shape[1])
        for run in (a, b)
    ]
    labelled = np.flatnonzero(labels[0].any(axis=0) & (matches >= 0))
    layers = np.array([layer for layer, _ in _places(atlas, second)])

    def right(partner: Int[np.ndarray, " heads"]) -> int:
        shared = labels[0][:, labelled] & labels[1][:, partner[labelled]]
        return int(shared.any(axis=0).sum())

    observed = right(matches)
    rng = generator(0, "runs", a.name, b.name)
    shuffled = np.empty(N_PERMUTATIONS)
    for k in range(N_PERMUTATIONS):
        moved = np.arange(len(layers))
        for layer in np.unique(layers):
            inside = np.flatnonzero(layers == layer)
            moved[inside] = rng.permutation(inside)
        shuffled[k] = right(moved[matches])
    p = (1 + int((shuffled >= observed).sum())) / (1 + N_PERMUTATIONS)
    return RunMatch(a.name, b.name, len(labelled), observed, float(shuffled.mean()), p)


def _sentence(
    atlas: Atlas,
    runs: Sequence[Run],
    appearances: Sequence[Appearance],
    matches: Sequence[RunMatch],
) -> str:
    if not appearances:
        return (
            "The heads have no scores, so that their classes are not known. Compute them with "
            f"{atlas.paths.command('score')}."
        )
    parts = []
    for name in CLASS_THRESHOLDS:
        rows = [a for a in appearances if a.name == name]
        steps = [a.step for a in rows if a.step is not None]
        if not steps:
            continue
        when = f"at step {steps[0]}" if len(set(steps)) == 1 else (
            f"between steps {min(steps)} and {max(steps)}"
        )  # fmt: skip
        among = "" if len(runs) == 1 else f" in {len(steps)} of {len(rows)} runs"
        parts.append(f"{name} heads appear {when}{among}")
    text = "; ".join(parts) or "no class of heads appears"
    text = text[0].upper() + text[1:] + "."
    labelled = sum(m.n_labelled for m in matches)
    if labelled:
        found, null = sum(m.n_right for m in matches), sum(m.null for m in matches)
        text += (
            f" Between runs, the match of {found} of {labelled} labelled heads has the same class "
            f"({null:.1f} by chance within layers)."
        )
    return text
