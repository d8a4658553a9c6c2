"""The semi-planted benchmark: heads of which the truth is known, among real ones.

Real heads, drawn at random so that layers say nothing, are hosts of twelve rules. A rule is an
attention pattern R that follows from the tokens alone. The pattern A of a host becomes
(1 - l) A + l R, at several strengths l. A distance is good if the hosts of a rule are near one
another. Hosts keep the noise, the sinks and the dependence on the prompt of real heads, which
heads that are generated altogether lack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import generator
from attention_motifs.evaluation.ranking import RankStatistics
from attention_motifs.features.arguments import number_array, whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    Targets = Bool[np.ndarray, "n n"]

STRENGTHS = (0.5, 0.25, 0.1)
"""Weights of the rule in the patterns of its hosts."""

WINDOW = 8

MOST_HOSTS = 10
"""Hosts per rule at most, so that a third of the heads of a small model stay untouched."""

MIN_METRICS = 4
"""Metrics needed for a correlation over metrics."""

N_DRAWS = 2000
"""Bootstrap draws of rules and hosts."""


@dataclass(frozen=True)
class Rule:
    """A kind of attention that follows from the tokens alone."""

    name: str
    description: str
    targets: Callable[[Int[np.ndarray, " n"], Sequence[str]], Targets]
    """(token ids, token texts) -> (n, n): keys that each query attends to, equally."""

    def pattern(self, token_ids: Sequence[int], tokens: Sequence[str]) -> Float[np.ndarray, "n n"]:
        """Return the pattern on a sequence: causal, and every row sums to 1.

        A query without a target attends to the first token, where real heads rest.

        Args:
            token_ids: (n,) ids of the tokens.
            tokens: (n,) their texts.
        """
        ids = np.asarray(token_ids)
        targets = np.tril(self.targets(ids, tokens))
        targets[~targets.any(axis=1), 0] = True
        return np.asarray(targets / targets.sum(axis=1, keepdims=True))


def _offset(distance: int) -> Callable[[Int[np.ndarray, " n"], Sequence[str]], Targets]:
    def targets(ids: Int[np.ndarray, " n"], _tokens: Sequence[str]) -> Targets:
        return np.eye(len(ids), k=-distance, dtype=bool)

    return targets


def _window(ids: Int[np.ndarray, " n"], _tokens: Sequence[str]) -> Targets:
    lower = np.tri(len(ids), dtype=bool)
    return np.asarray(lower & ~np.tri(len(ids), k=-WINDOW, dtype=bool))


def _all_earlier(ids: Int[np.ndarray, " n"], _tokens: Sequence[str]) -> Targets:
    return np.tri(len(ids), dtype=bool)


def _duplicate(ids: Int[np.ndarray, " n"], _tokens: Sequence[str]) -> Targets:
    return _latest((ids[:, None] == ids[None, :]) & np.tri(len(ids), k=-1, dtype=bool))


def _induction(ids: Int[np.ndarray, " n"], tokens: Sequence[str]) -> Targets:
    targets = np.zeros((len(ids), len(ids)), dtype=bool)
    targets[:, 1:] = _duplicate(ids, tokens)[:, :-1]
    return targets


def _delimiter(_ids: Int[np.ndarray, " n"], tokens: Sequence[str]) -> Targets:
    return _latest_where([_is_punctuation(text) for text in tokens])


def _line_start(_ids: Int[np.ndarray, " n"], tokens: Sequence[str]) -> Targets:
    return _latest_where([True, *("\n" in text for text in tokens[:-1])])


def _sentence_start(_ids: Int[np.ndarray, " n"], tokens: Sequence[str]) -> Targets:
    ends = [text.strip().endswith((".", "!", "?")) for text in tokens[:-1]]
    return _latest_where([True, *ends])


def _capital(_ids: Int[np.ndarray, " n"], tokens: Sequence[str]) -> Targets:
    return _latest_where([text.strip()[:1].isupper() for text in tokens])


def _is_punctuation(text: str) -> bool:
    kept = text.strip()
    return bool(kept) and not any(character.isalnum() for character in kept)


def _latest_where(keys: Sequence[bool]) -> Targets:
    return _latest(np.tri(len(keys), dtype=bool) & np.array(keys))


def _latest(allowed: Targets) -> Targets:
    """Keep the last allowed key of every query."""
    later = np.cumsum(allowed[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(allowed & (later == 1))


RULES = (
    Rule("self", "the query itself", _offset(0)),
    Rule("previous token", "the token before", _offset(1)),
    Rule("two back", "the second token before", _offset(2)),
    Rule("four back", "the fourth token before", _offset(4)),
    Rule("window", f"the last {WINDOW} tokens equally", _window),
    Rule("all earlier", "all tokens so far equally", _all_earlier),
    Rule("duplicate token", "the last earlier occurrence of the same token", _duplicate),
    Rule("induction", "the token after the last earlier occurrence", _induction),
    Rule("delimiter", "the last punctuation", _delimiter),
    Rule("line start", "the first token of the line", _line_start),
    Rule("sentence start", "the first token of the sentence", _sentence_start),
    Rule("capital", "the last token with a capital", _capital),
)
"""The twelve rules, in the order of the table."""


@dataclass(frozen=True)
class PlantedHeads:
    """Hosts of the rules among the heads of an atlas."""

    rule: Int[np.ndarray, " heads"]
    """(heads,) number of the rule in `RULES` that a head hosts; -1 for untouched heads."""
    seed: int

    @classmethod
    def draw(cls, n_heads: int, n_hosts: int | None = None, seed: int = 0) -> PlantedHeads:
        """Draw the hosts of every rule at random.

        Args:
            n_heads: number of heads.
            n_hosts: hosts per rule; default: a third of the heads, up to 10 per rule.
            seed: seed for the draw, 0 or more.

        Returns:
            The hosts, no head of two rules.

        Raises:
            InputError: if there are too few heads for two hosts per rule, or for `n_hosts`.
        """
        n_rules = len(RULES)
        if n_hosts is None:
            n_hosts = max(2, min(MOST_HOSTS, n_heads // (3 * n_rules)))
        n_hosts = whole_number(n_hosts, "hosts per rule", least=2)
        if n_rules * n_hosts > n_heads:
            raise InputError(
                f"{n_rules} rules with {n_hosts} hosts each need {n_rules * n_hosts} heads: there "
                f"are {n_heads}. Use an atlas of more heads, or fewer hosts (2 or more)"
            )
        rule = np.full(n_heads, -1)
        hosts = generator(seed, "hosts").permutation(n_heads)[: n_rules * n_hosts]
        rule[hosts] = np.arange(n_rules * n_hosts) % n_rules
        return cls(rule, int(seed))

    @classmethod
    def of_names(cls, names: Sequence[str | None], seed: int) -> PlantedHeads:
        """Return the hosts from the names of their rules, see `names`."""
        numbers = {rule.name: i for i, rule in enumerate(RULES)}
        return cls(np.array([-1 if name is None else numbers[name] for name in names]), seed)

    @property
    def names(self) -> list[str | None]:
        """Return the name of the rule of every head, None for untouched heads."""
        return [None if i < 0 else RULES[i].name for i in self.rule]


def blend(
    patterns: Float[np.ndarray, "heads n n"],
    rules: Sequence[int],
    token_ids: Sequence[int],
    tokens: Sequence[str],
    strength: float,
) -> Float[np.ndarray, "heads n n"]:
    """Return the patterns of some heads on one sequence, hosts blended with their rule.

    Args:
        patterns: (heads, n, n) patterns; they are not changed.
        rules: (heads,) number of each head's rule, -1 for untouched heads.
        token_ids: (n,) ids of the tokens.
        tokens: (n,) their texts.
        strength: weight l of the rule, from 0 to 1.

    Returns:
        (heads, n, n): (1 - l) A + l R for hosts.

    Raises:
        InputError: if the strength is not from 0 to 1.
    """
    if not 0 <= strength <= 1:
        raise InputError(f"the strength is {strength!r}. Give a number from 0 to 1")
    blended = np.array(patterns)
    if strength > 0:
        for i, number in enumerate(rules):
            if number >= 0:
                ruled = _pattern_of(int(number), tuple(token_ids), tuple(tokens))
                blended[i] = (1 - strength) * blended[i] + strength * ruled
    return blended


@lru_cache(maxsize=256)  # the rules on a block of prompts: hosts of all layers share them
def _pattern_of(
    number: int, token_ids: tuple[int, ...], tokens: tuple[str, ...]
) -> Float[np.ndarray, "n n"]:
    return RULES[number].pattern(token_ids, tokens)


@dataclass(frozen=True)
class PlantedScore:
    """How well one distance finds the hosts of the rules at one strength."""

    mean_ap: float
    """Mean over rules of the mean average precision over hosts: each host ranks all other heads,
    and the other hosts of its rule should come first."""
    low: float
    """Lower end of the 95 % interval, over draws of rules and of hosts."""
    high: float
    chance: float
    """Expected value of a random order."""
    by_rule: Mapping[str, float]
    draws: Float[np.ndarray, " draws"] = field(repr=False, compare=False)
    """The mean on each draw of rules and hosts. The draws are the same for all distances."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, without the draws."""
        names = ("mean_ap", "low", "high", "chance")
        return {**{name: getattr(self, name) for name in names}, "by_rule": dict(self.by_rule)}

    def minus(self, other: PlantedScore) -> tuple[float, float, float]:
        """Return the paired difference to another distance on the same hosts.

        Args:
            other: score of the other distance.

        Returns:
            The difference of the means, and the ends of its 95 % interval.
        """
        low, high = np.quantile(self.draws - other.draws, [0.025, 0.975])
        return self.mean_ap - other.mean_ap, float(low), float(high)


def score_planted(
    distances: Float[np.ndarray, "heads heads"], planted: PlantedHeads
) -> PlantedScore:
    """Score a distance matrix on planted heads.

    Args:
        distances: (heads, heads) finite distances in the order of the heads; rows are queries.
        planted: hosts of the rules.

    Returns:
        The mean average precision, with its interval and by rule.

    Raises:
        InputError: if the matrix is not square, not finite, or of another number of heads.

    Examples:
        >>> import numpy as np
        >>> from attention_motifs.evaluation import PlantedHeads, score_planted
        >>> planted = PlantedHeads.draw(48, n_hosts=3)
        >>> apart = planted.rule[:, None] != planted.rule[None, :]  # a perfect distance
        >>> score_planted(apart.astype(float), planted).mean_ap
        1.0
    """
    matrix = checked_distances(distances, len(planted.rule))
    statistics = RankStatistics(matrix, within=True, n_neighbours=1)
    of_hosts: list[np.ndarray] = []
    names: list[str] = []
    for number, rule in enumerate(RULES):
        hosts = np.flatnonzero(planted.rule == number)
        if len(hosts) < 2:
            continue
        relevant = np.broadcast_to(hosts, (len(hosts), len(hosts)))
        of_hosts.append(statistics(hosts[:, None], relevant)[:, 1])
        names.append(rule.name)
    means = np.array([values.mean() for values in of_hosts])
    rng = generator(planted.seed, "bootstrap")
    table = np.stack(
        [
            values[rng.integers(len(values), size=(N_DRAWS, len(values)))].mean(1)
            for values in of_hosts
        ]
    )
    drawn = rng.integers(len(means), size=(N_DRAWS, len(means)))
    draws = table[drawn, np.arange(N_DRAWS)[:, None]].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    n_relevant = np.mean([len(values) - 1 for values in of_hosts])
    return PlantedScore(
        float(means.mean()),
        float(low),
        float(high),
        chance_average_precision(float(n_relevant), len(matrix) - 1),
        dict(zip(names, means.tolist(), strict=True)),
        draws,
    )


def mean_average_precision(
    distances: Float[np.ndarray, "heads heads"], members: Bool[np.ndarray, " heads"]
) -> float:
    """Return the mean average precision of the members of a class, each ranking all other heads.

    Args:
        distances: (heads, heads) finite distances.
        members: (heads,) two heads or more.
    """
    heads = np.flatnonzero(members)[None]
    statistics = RankStatistics(distances, within=True, n_neighbours=1)
    return float(statistics(heads, heads)[0, 1])


def agreement(planted: Sequence[float], real: Sequence[float]) -> float | None:
    """Return Spearman's correlation of two scores of the same metrics; None for fewer than four."""
    from scipy.stats import rankdata

    if len(planted) < MIN_METRICS:
        return None
    ranks = rankdata(planted), rankdata(real)
    if min(np.ptp(r) for r in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def checked_distances(distances: object, n_heads: int) -> Float[np.ndarray, "heads heads"]:
    """Return a distance matrix in float64, after checking its shape and values.

    Raises:
        InputError: if it is not (heads, heads) or not finite.
    """
    matrix = number_array(distances, "distances", ("heads", "heads")).astype(np.float64)
    if matrix.shape != (n_heads, n_heads):
        raise InputError(
            f"distances have shape {matrix.shape}. Give ({n_heads}, {n_heads}), in the order of "
            "the heads"
        )
    if not np.isfinite(matrix).all():
        raise InputError("distances hold NaN or infinity. Give a finite number for each pair")
    return matrix


def chance_average_precision(n_relevant: float, n_candidates: int) -> float:
    """Return the expected average precision of a random order (Bestgen 2015).

    Args:
        n_relevant: number of relevant candidates.
        n_candidates: number of candidates.
    """
    harmonic = float((1 / np.arange(1, n_candidates + 1)).sum())
    share = (n_relevant - 1) / max(n_candidates - 1, 1)
    return (share * (n_candidates - harmonic) + harmonic) / n_candidates
