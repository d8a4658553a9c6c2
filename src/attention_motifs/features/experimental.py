"""The feature set `experimental`: names and descriptions. Off by default.

Reciprocity, cycles and eigenvalues are omitted: a causal pattern has no edge both
ways and no cycle but self-loops, and its eigenvalues are its diagonal, which `paper` has.
"""

from __future__ import annotations

import math
from dataclasses import replace

from attention_motifs.features.experimental_definitions import (
    BANDS,
    DIRECTIONS,
    SPECTRUM_STATISTICS,
    STEP_STATISTICS,
)
from attention_motifs.features.paper import STATISTICS
from attention_motifs.features.registry import Feature, FeatureSet

SOURCE = 'paper, section 4, "Features": tried and dropped; definitions of this project'
INFINITY = math.inf

_TIMES = r"t_0=0,\quad t_i=\frac{1+\sum_{0<j<i}P_{ij}t_j}{e_i},\quad e_i=\max(1-P_{ii},10^{-6})"
_STEPS = "logarithms of the numbers of steps that a walk from query to key takes to the first token"
_STEP_RANGES = {
    "mean": (0.0, INFINITY),
    "median": (0.0, INFINITY),
    "variance": (0.0, INFINITY),
    "rms": (0.0, INFINITY),
    "linreg.slope": (-INFINITY, INFINITY),
    "linreg.intercept": (-INFINITY, INFINITY),
}


def _absorption_features() -> list[Feature]:
    entries = [
        Feature(
            name=f"absorption.{name}",
            context="absorption",
            statistic=name,
            formula=rf"{STATISTICS[name].formula},\quad x_i=\log_2(1+t_i),\quad {_TIMES}",
            range=_STEP_RANGES.get(name, STATISTICS[name].range),
            large=STATISTICS[name].large.format(x=f"the {_STEPS}"),
            source=SOURCE,
        )
        for name in STEP_STATISTICS
    ]
    dispersion = replace(
        entries[0],
        name="absorption.dispersion",
        statistic="dispersion",
        formula=(
            r"\frac{1}{n-1}\sum_{i\ge1}\frac{\sqrt{s_i-t_i^2}}{t_i},\quad "
            r"s_0=0,\ s_i=\frac{2t_i-1+\sum_{0<j<i}P_{ij}s_j}{e_i},\quad " + _TIMES
        ),
        range=(0.0, INFINITY),
        large="the length of random walks from a token varies; 0 if all have the same length",
    )
    return [*entries, dispersion]


_SPECTRA = {
    "offset": (
        r"F_k=\sum_i\left|\sum_d S_{id}e^{-2\pi\mathrm{i}kd/n}\right|^2",
        "along the distance to the key",
    ),
    "query": (
        r"F_k=\sum_d\left|\sum_i S_{id}e^{-2\pi\mathrm{i}ki/n}\right|^2",
        "along the query, at a fixed distance",
    ),
}
_ABOVE = r"\quad q_k=F_k/\sum_{l>0}F_l"
_BAND_FORMULAS = dict(
    zip(
        BANDS,
        (
            "k=0",
            r"0<\frac kn\le\frac1{32}",
            r"\frac1{32}<\frac kn\le\frac1{16}",
            r"\frac1{16}<\frac kn\le\frac18",
            r"\frac18<\frac kn\le\frac14",
            r"\frac14<\frac kn\le\frac12",
        ),
        strict=True,
    )
)
_SCALES = dict(
    zip(
        BANDS[1:],
        ("32 tokens and more", "16 to 32 tokens", "8 to 16", "4 to 8", "2 to 4"),
        strict=True,
    )
)
# Statistic -> (formula, range).
_SPECTRUM_FORMULAS = {
    "centroid": (r"\sum_{k>0}\frac kn q_k," + _ABOVE, (0.0, 0.5)),
    "entropy": (
        r"-\frac{\sum_{k>0}q_k\log_2q_k}{\log_2\lfloor n/2\rfloor}," + _ABOVE,
        (0.0, 1.0),
    ),
    "peak": (r"\max_{k>0}q_k," + _ABOVE, (0.0, 1.0)),
}
_SPECTRUM_LARGE = {
    ("offset", "constant"): "each query spreads its weight evenly over many distances",
    ("query", "constant"): "the weight at each distance is the same for all queries: bands along "
    "the diagonal",
    ("offset", "centroid"): "weights are single spikes rather than smooth ramps",
    ("query", "centroid"): "the distances attended to change from one query to the next",
    ("offset", "entropy"): "the weight of a query lies on one key, which holds all frequencies",
    ("query", "entropy"): "at each distance single queries stand out, without a rhythm",
    ("offset", "peak"): "keys are attended to at regular intervals, or in one long ramp",
    (
        "query",
        "peak",
    ): "the pattern repeats at a regular interval of queries, or changes once",
}


def _fourier_feature(direction: str, name: str) -> Feature:
    spectrum, words = _SPECTRA[direction]
    if name in _BAND_FORMULAS:
        share = rf"\frac{{\sum_{{{_BAND_FORMULAS[name]}}}F_k}}{{\sum_kF_k}}"
        formula, limits = rf"{share},\quad {spectrum}", (0.0, 1.0)
    else:
        statistic, limits = _SPECTRUM_FORMULAS[name]
        formula = rf"{statistic},\quad {spectrum}"
    large = _SPECTRUM_LARGE.get((direction, name))
    return Feature(
        name=f"fourier.{direction}.{name}",
        context=f"fourier.{direction}",
        statistic=name,
        formula=formula + r"\ (k\le n/2,\text{ one-sided})",
        range=limits,
        large=large or f"weights rise and fall {words} with periods of {_SCALES[name]}",
        source=SOURCE,
        cost="O(n^2 log n)",
    )


_STRENGTH = r"u_j=\sum_iP_{ij}"
_GINI = r"\frac{\sum_k(2k-n-1)\,x_{(k)}}{n\sum_kx_k}"
_EFFECTIVE = r"\tfrac1n2^{H},\quad H=-\sum_jp_j\log_2p_j,\quad p_j=x_j/\textstyle\sum_kx_k"
_KEYS = r"\quad b_i=\log_2\frac{(\sum_jP_{ij})^2}{\sum_jP_{ij}^2}"
_QUERIES = r"\quad b_j=\log_2\frac{(\sum_iP_{ij})^2}{\sum_iP_{ij}^2}"
_RANK = r"x_j=\frac{r_j}{\sum_kr_k},\quad r_j=\frac{0.15/n+0.85\sum_{i>j}P_{ij}r_i}{1-0.85P_{jj}}"
_DEPTH = (
    r"\quad d_i=1+d_{k(i)},\ k(i)=\arg\max_{j<i}P_{ij}"
    r"\ (\text{the first of equals};\ d_i=0\text{ if all are }0)"
)
_BITS = (0.0, INFINITY)
# Feature -> (formula, range, what large looks like, cost).
_NETWORK: dict[str, tuple[str, tuple[float, float], str, str]] = {
    "in_strength.gini": (
        rf"{_GINI},\quad x={_STRENGTH}",
        (0.0, 1.0),
        "few keys receive nearly all weight, such as a sink",
        "O(n^2)",
    ),
    "in_strength.effective": (
        rf"{_EFFECTIVE},\quad x={_STRENGTH}",
        (0.0, 1.0),
        "all keys receive about the same total weight (the effective share of keys in use)",
        "O(n^2)",
    ),
    "keys.mean": (
        r"\tfrac1n\sum_ib_i," + _KEYS,
        _BITS,
        "queries spread their weight over many keys (2 to the power of the value)",
        "O(n^2)",
    ),
    "keys.variance": (
        r"\tfrac1n\sum_i(b_i-\bar b)^2," + _KEYS,
        _BITS,
        "some queries spread their weight over many keys, others attend to one",
        "O(n^2)",
    ),
    "queries.mean": (
        r"\tfrac1n\sum_jb_j," + _QUERIES,
        _BITS,
        "each key receives weight from many queries (2 to the power of the value)",
        "O(n^2)",
    ),
    "queries.variance": (
        r"\tfrac1n\sum_j(b_j-\bar b)^2," + _QUERIES,
        _BITS,
        "some keys receive weight from many queries, others from one",
        "O(n^2)",
    ),
    "assortativity.in_in": (
        rf"\operatorname{{corr}}_{{W}}(u_i,u_j),\quad {_STRENGTH}",
        (-1.0, 1.0),
        "tokens that receive much weight attend to such tokens (correlation over pairs)",
        "O(n^2)",
    ),
    "assortativity.out_in": (
        rf"\operatorname{{corr}}_{{W}}(b_i,u_j),{_KEYS},\quad {_STRENGTH}",
        (-1.0, 1.0),
        "queries that spread their weight attend to keys that receive much weight",
        "O(n^2)",
    ),
    "pagerank.gini": (
        rf"{_GINI},\quad {_RANK}",
        (0.0, 1.0),
        "random walks end on few tokens",
        "O(n^2)",
    ),
    "pagerank.effective": (
        rf"{_EFFECTIVE},\quad {_RANK}",
        (0.0, 1.0),
        "random walks visit all tokens equally often",
        "O(n^2)",
    ),
    "pagerank.first": (
        rf"x_0,\quad {_RANK}",
        (0.0, 1.0),
        "random walks soon reach the first token and stay there",
        "O(n^2)",
    ),
    "tree.depth_mean": (
        r"\tfrac1n\sum_i\log_2(1+d_i)," + _DEPTH,
        _BITS,
        "the strongest keys form long chains, as in a previous-token head",
        "O(n^2)",
    ),
    "tree.depth_max": (
        r"\max_i\log_2(1+d_i)," + _DEPTH,
        _BITS,
        "one chain of strongest keys is long",
        "O(n^2)",
    ),
    "tree.leaves": (
        r"\tfrac1n\left|\{j:\nexists i\ k(i)=j\}\right|," + _DEPTH,
        (0.0, 1.0),
        "most tokens are the strongest key of no query",
        "O(n^2)",
    ),
    "tree.hub": (
        r"\tfrac{1}{n-1}\max_j\left|\{i:k(i)=j\}\right|," + _DEPTH,
        (0.0, 1.0),
        "one token is the strongest key of nearly all queries",
        "O(n^2)",
    ),
    "transitivity": (
        r"\frac{\sum_{ik}(W^2)_{ik}W_{ik}}{\sum_{ik}(W^2)_{ik}}",
        (0.0, 1.0),
        "tokens attend directly to what they reach in two steps, as with a sink",
        "O(n^3)",
    ),
}


def _network_feature(name: str) -> Feature:
    formula, limits, large, cost = _NETWORK[name]
    kind, _, statistic = name.rpartition(".")
    context = f"network.{kind}" if kind else "network"
    return Feature(f"network.{name}", context, statistic, formula, limits, large, SOURCE, cost)


NOTES = r"""
The paper (section 4) names absorption times, Fourier statistics and network analyses without
definitions; these are this project's. $P$ is the pattern with negative entries set to 0 and rows
that sum to more than 1 scaled to 1, $S_{id}=P_{i,i-d}$ the skewed pattern, $W$ is $P$ without its
diagonal. Logarithms are base 2.

- **Absorption**: the pattern as a Markov chain that walks from a query to one of its keys until the
  first token. $t_i$ is the expected number of steps from token $i$. A token that attends only to
  itself is left with chance 1e-6 per step. Rows that sum to less than 1 may end a walk.
- **Fourier**: power spectra of the skewed pattern along the distance and along the query. Shares by
  band sum to 1; without power all are 0.
- **Network**: the pattern as a directed graph from query to key. Self-loops count in strengths and
  PageRank only.
""".strip()

EXPERIMENTAL = FeatureSet(
    name="experimental",
    features=(
        *_absorption_features(),
        *(_fourier_feature(d, s) for d in DIRECTIONS for s in SPECTRUM_STATISTICS),
        *(_network_feature(name) for name in _NETWORK),
    ),
    notes=NOTES,
    oracle="attention_motifs.features.experimental_definitions:experimental_features",
    cpu="attention_motifs.features.experimental_kernels:experimental_features",
    torch="attention_motifs.features.experimental_torch:experimental_features",
)
