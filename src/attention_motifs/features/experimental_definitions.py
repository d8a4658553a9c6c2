"""Definitions of the set `experimental`, in float64 and one pattern at a time.

The paper tried and dropped these (section 4, "Features") without giving definitions. Three views
of a pattern: a Markov chain that walks from queries to keys, the spectrum of the skewed pattern,
and a weighted directed graph with an edge from every query to each of its keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.definitions import VECTOR_STATISTICS, skewed, vector_statistics

if TYPE_CHECKING:
    from jaxtyping import Float

ESCAPE_FLOOR = 1e-6  # least chance to leave a token: in float32 a weight of 1 - 1e-8 equals 1
DAMPING = 0.85  # of PageRank, as its authors chose it
# Upper edges of the bands, in cycles per token. Frequency 0 is a band of its own.
BAND_EDGES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
NO_POWER = 1e-10  # power above frequency 0, relative to all of it, that is rounding
NO_SPREAD = 1e-12  # squared deviation, relative to max(1, mean^2), that is rounding

# At one length of the prompt `energy` and `l2_norm` are `rms` in another dress.
STEP_STATISTICS = tuple(s for s in VECTOR_STATISTICS if s not in {"energy", "l2_norm"})
ABSORPTION = (*(f"absorption.{s}" for s in STEP_STATISTICS), "absorption.dispersion")
BANDS = ("constant", "to_1_32", "to_1_16", "to_1_8", "to_1_4", "to_1_2")
SPECTRUM_STATISTICS = (*BANDS, "centroid", "entropy", "peak")
DIRECTIONS = ("offset", "query")
FOURIER = tuple(f"fourier.{d}.{s}" for d in DIRECTIONS for s in SPECTRUM_STATISTICS)
NETWORK = (
    "network.in_strength.gini",
    "network.in_strength.effective",
    "network.keys.mean",
    "network.keys.variance",
    "network.queries.mean",
    "network.queries.variance",
    "network.assortativity.in_in",
    "network.assortativity.out_in",
    "network.pagerank.gini",
    "network.pagerank.effective",
    "network.pagerank.first",
    "network.tree.depth_mean",
    "network.tree.depth_max",
    "network.tree.leaves",
    "network.tree.hub",
    "network.transitivity",
)
NAMES = (*ABSORPTION, *FOURIER, *NETWORK)


def transitions(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """P: the lower triangle without negative entries, rows that sum to more than 1 scaled to 1.

    A row that sums to less stays as it is: the rest leaves the pattern (an attention sink in the
    softmax), which ends a walk.
    """
    weights = np.maximum(np.tril(A), 0.0)
    scaled: Float[np.ndarray, "n n"] = weights / np.maximum(1.0, weights.sum(axis=1, keepdims=True))
    return scaled


def absorption_moments(
    P: Float[np.ndarray, "n n"],
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """First and second moment of the number of steps from each token to the end of its walk.

    A walk at token i moves to key j with chance P[i, j]. It ends at the first token, which is
    absorbing whatever its weight on itself, or where it leaves the pattern. The chain is causal,
    so that its fundamental system is triangular and solved token by token. The chance to leave a
    token is at least `ESCAPE_FLOOR`: a token that attends to itself alone takes 1e6 steps.
    """
    n = len(P)
    first, second = np.zeros(n), np.zeros(n)
    for i in range(1, n):
        escape = max(1.0 - P[i, i], ESCAPE_FLOOR)
        first[i] = (1.0 + P[i, 1:i] @ first[1:i]) / escape
        # E[(1 + T)^2] over the next token's T, whose mean is first[i] - 1.
        second[i] = (2.0 * first[i] - 1.0 + P[i, 1:i] @ second[1:i]) / escape
    return first, second


def absorption_features(P: Float[np.ndarray, "n n"]) -> list[float]:
    """The features named in `ABSORPTION`, of the transitions of a pattern."""
    first, second = absorption_moments(P)
    statistics = vector_statistics(np.log2(1.0 + first))
    deviation = np.sqrt(np.maximum(0.0, second - first**2))
    dispersion = float((deviation[1:] / first[1:]).mean()) if len(P) > 1 else 0.0
    return [*(statistics[s] for s in STEP_STATISTICS), dispersion]


def power_spectrum(X: Float[np.ndarray, "m n"]) -> Float[np.ndarray, " f"]:
    """Power at the frequencies 0, 1/n, ..., of all rows together, one-sided."""
    power: Float[np.ndarray, " f"] = (np.abs(np.fft.rfft(X, axis=1)) ** 2).sum(axis=0)
    n = X.shape[1]
    power[1 : (n + 1) // 2] *= 2.0  # each stands for its negative too; 0 and 1/2 are their own
    return power


def spectrum_statistics(power: Float[np.ndarray, " f"], n: int) -> list[float]:
    """The statistics named in `SPECTRUM_STATISTICS`.

    Shares of all power by band, then of the power above frequency 0: its mean frequency, its
    entropy over that of a flat spectrum, and its largest share at one frequency. Without power
    (or, for the last three, without any above frequency 0) they are 0.
    """
    total = float(power.sum())
    if total <= 0.0:
        return [0.0] * len(SPECTRUM_STATISTICS)
    frequency = np.arange(len(power)) / n
    band = np.searchsorted(BAND_EDGES, frequency[1:])  # an edge belongs to the band below it
    shares = np.bincount(band, weights=power[1:] / total, minlength=len(BAND_EDGES))
    statistics = [float(power[0] / total), *shares.tolist()]
    above = float(power[1:].sum())
    if above <= NO_POWER * total:
        return [*statistics, 0.0, 0.0, 0.0]
    share = power[1:] / above
    centroid = float((frequency[1:] * share).sum())
    entropy = 0.0
    if len(share) > 1:
        used = share[share > 0]
        entropy = float(-(used * np.log2(used)).sum() / np.log2(len(share)))
    return [*statistics, centroid, entropy, float(share.max())]


def fourier_features(P: Float[np.ndarray, "n n"]) -> list[float]:
    """The features named in `FOURIER`: the spectra of S(P) along its rows and its columns.

    They are the two margins of its two-dimensional power spectrum (Parseval).
    """
    n = len(P)
    S = skewed(P)
    return [
        *spectrum_statistics(power_spectrum(S), n),
        *spectrum_statistics(power_spectrum(S.T), n),
    ]


def gini(x: Float[np.ndarray, " n"]) -> float:
    """Gini coefficient of values >= 0: 0 where all are equal, 1 - 1/n where one has all."""
    n, total = len(x), float(x.sum())
    if total <= 0.0:
        return 0.0
    rank = 2.0 * np.arange(1, n + 1) - n - 1
    return float(max(0.0, (rank * np.sort(x)).sum() / (n * total)))


def effective_share(x: Float[np.ndarray, " n"]) -> float:
    """2^H / n, where H is the entropy in bits of the shares of x; 0 where x is 0."""
    total = float(x.sum())
    if total <= 0.0:
        return 0.0
    share = x[x > 0] / total
    return float(2.0 ** -(share * np.log2(share)).sum() / len(x))


def effective_number_bits(X: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    """log2 of (sum of a row)^2 over the sum of its squares: 0 for one entry, and for no entry."""
    squares = (X**2).sum(axis=1)
    number = np.divide(X.sum(axis=1) ** 2, squares, out=np.ones(len(X)), where=squares > 0)
    bits: Float[np.ndarray, " n"] = np.log2(np.maximum(1.0, number))
    return bits


def edge_correlation(
    W: Float[np.ndarray, "n n"], of_query: Float[np.ndarray, " n"], of_key: Float[np.ndarray, " n"]
) -> float:
    """Pearson correlation over the edges, weighted by W; 0 where either end does not vary."""
    total = float(W.sum())
    if total <= 0.0:
        return 0.0
    out, into = W.sum(axis=1) / total, W.sum(axis=0) / total
    query_mean, key_mean = float(out @ of_query), float(into @ of_key)
    x, y = of_query - query_mean, of_key - key_mean
    query_variance, key_variance = float(out @ x**2), float(into @ y**2)
    if query_variance <= NO_SPREAD * max(1.0, query_mean**2):
        return 0.0
    if key_variance <= NO_SPREAD * max(1.0, key_mean**2):
        return 0.0
    both = float(x @ W @ y) / total
    return float(np.clip(both / np.sqrt(query_variance * key_variance), -1.0, 1.0))


def pagerank(P: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    """PageRank, which sums to 1; what leaves the pattern is shared out like the rest.

    From the last token to the first, since nobody but later tokens and itself gives to a token.
    """
    n = len(P)
    rank = np.zeros(n)
    for j in range(n - 1, -1, -1):
        given = (1.0 - DAMPING) / n + DAMPING * float(P[j + 1 :, j] @ rank[j + 1 :])
        rank[j] = given / (1.0 - DAMPING * P[j, j])
    ranks: Float[np.ndarray, " n"] = rank / rank.sum()
    return ranks


def strongest_keys(W: Float[np.ndarray, "n n"]) -> list[int]:
    """Of each token the earlier one it attends to most, the earliest among equals; -1 for none."""
    keys = [-1]
    for i in range(1, len(W)):
        best = int(W[i, :i].argmax())
        keys.append(best if W[i, best] > 0.0 else -1)
    return keys


def tree_features(W: Float[np.ndarray, "n n"]) -> list[float]:
    """Depth, leaves and largest hub of the forest that joins each token to its strongest key."""
    n = len(W)
    depth, children = np.zeros(n), np.zeros(n)
    for i, key in enumerate(strongest_keys(W)):
        if key >= 0:
            depth[i] = depth[key] + 1.0
            children[key] += 1.0
    bits = np.log2(1.0 + depth)
    hub = float(children.max() / max(1, n - 1))
    return [float(bits.mean()), float(bits.max()), float((children == 0).mean()), hub]


def transitivity(W: Float[np.ndarray, "n n"]) -> float:
    """Mean weight of i on k over the two-step ways from i to k by an earlier token, by weight."""
    ways = W @ W
    total = float(ways.sum())
    return float((ways * W).sum() / total) if total > 0.0 else 0.0


def network_features(P: Float[np.ndarray, "n n"]) -> list[float]:
    """The features named in `NETWORK`.

    Self-loops count in strengths and in PageRank, not in assortativity, tree and transitivity.
    """
    W = np.tril(P, -1)
    strength = P.sum(axis=0)
    keys, queries = effective_number_bits(P), effective_number_bits(P.T)
    rank = pagerank(P)
    return [
        gini(strength),
        effective_share(strength),
        float(keys.mean()),
        float(keys.var()),
        float(queries.mean()),
        float(queries.var()),
        edge_correlation(W, strength, strength),
        edge_correlation(W, keys, strength),
        gini(rank),
        effective_share(rank),
        float(rank[0]),
        *tree_features(W),
        transitivity(W),
    ]


def experimental_features(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "47"]:
    """The `experimental` set of one causal pattern, in float64 and in the order of `NAMES`.

    Source: paper, section 4, "Features", names the three kinds; the definitions are this
    project's.
    """
    P = transitions(np.asarray(A, dtype=np.float64))
    return np.array([*absorption_features(P), *fourier_features(P), *network_features(P)])
