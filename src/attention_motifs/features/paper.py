"""The feature sets `paper` and `skew_col`: names and descriptions.

Each feature is a statistic of a vector; the vectors are the diagonal, the first column, and
density histograms of six Gram matrices. The formulas are those of `features.definitions`. The set
`skew_col` is of one more Gram matrix, which the authors' public code has in place of `gram.skew`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from attention_motifs.features.definitions import (
    HISTOGRAM_BINS,
    HISTOGRAM_CONTEXTS,
    HISTOGRAM_STATISTICS,
    VECTOR_CONTEXTS,
    VECTOR_STATISTICS,
)
from attention_motifs.features.registry import Feature, FeatureSet

SOURCE = "paper, section 2.2; statistics from the authors' public code"
INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic of a vector x: its formula, and the meaning of a large value.

    `range` is that of a vector with entries in [0, 1]; `histogram_range` that of a density
    of 32 bins on [0, 1], which is at least 0, at most 32 and has mean 1. In the texts,
    `{x}` stands for the vector's entries.
    """

    formula: str
    range: tuple[float, float]
    large: str
    histogram_range: tuple[float, float]
    histogram_large: str


_MOMENT = r"\frac1n\sum_i (x_i-\bar x)^"
_SLOPE = r"b=\frac{\sum_i (i-\bar\imath)(x_i-\bar x)}{\sum_i (i-\bar\imath)^2}"
_TOP = float(HISTOGRAM_BINS)
# A density of mean 1 with all mass in one bin has sum of squares 32^2, mean square 32.
_TOP_VARIANCE = (_TOP**2 - _TOP) / (_TOP - 1)
_TOP_SKEWNESS = (_TOP - 2) / math.sqrt(_TOP - 1)
# Slope of a density with all mass in the last bin: (15.5 * 32) / (sum of (i - 15.5)^2).
_TOP_SLOPE = 6.0 / (_TOP + 1)
# At most 17 bins can reach the median, and together they hold no more than 32.
_TOP_MEDIAN = _TOP / (_TOP / 2 + 1)
# All mass in the middle bin, where the window is 1; the squared window sums to 3/8 of 32.
_TOP_POWER = _TOP * ((_TOP - 1) ** 2 + 3 / 8 * _TOP - 1) / (3 / 8 * _TOP)

STATISTICS: dict[str, Statistic] = {
    "mean": Statistic(
        r"\bar x=\frac1n\sum_i x_i",
        (0.0, 1.0),
        "{x} are high on the whole",
        (1.0, 1.0),
        "nothing: a density on [0, 1] has mean 1; kept for the paper's column order",
    ),
    "median": Statistic(
        r"\tfrac12\left(x_{(\lceil n/2\rceil)}+x_{(\lfloor n/2\rfloor+1)}\right)",
        (0.0, 1.0),
        "at least half of {x} are high",
        (0.0, _TOP_MEDIAN),
        "{x} spread over most of [0, 1], so that half of the bins are well filled",
    ),
    "variance": Statistic(
        r"\frac{1}{n-1}\sum_i (x_i-\bar x)^2",
        (0.0, 0.5),
        "{x} are high at some tokens and low at others",
        (0.0, _TOP_VARIANCE),
        "{x} crowd in few bins: nearly all pairs are equally similar",
    ),
    "skewness": Statistic(
        rf"\frac{{{_MOMENT}3}}{{\left({_MOMENT}2\right)^{{3/2}}}}",
        (-INFINITY, INFINITY),
        "{x} are low but for a few tokens",
        (-_TOP_SKEWNESS, _TOP_SKEWNESS),
        "{x} fill one or two bins and leave the rest nearly empty",
    ),
    "kurtosis": Statistic(
        rf"\frac{{{_MOMENT}4}}{{\left({_MOMENT}2\right)^2}}-3",
        (-2.0, INFINITY),
        "{x} are alike but for rare outliers",
        (-2.0, INFINITY),
        "{x} fill one bin and leave the rest nearly empty",
    ),
    "entropy": Statistic(
        r"-\sum_{b=1}^{\min(10,n)} p_b\log_2 p_b,\quad p_b=\text{share of }x"
        r"\text{ in bin }b\text{ of }[\min x,\max x]",
        (0.0, math.log2(10)),
        "{x} take many different values, evenly",
        (0.0, math.log2(10)),
        "the heights of the bins differ and none is typical: {x} follow a smooth, uneven curve",
    ),
    "rms": Statistic(
        r"\sqrt{\frac1n\sum_i x_i^2}",
        (0.0, 1.0),
        "{x} are high, with more weight on the highest",
        (1.0, math.sqrt(_TOP)),
        "{x} crowd in few bins",
    ),
    "energy": Statistic(
        r"\sum_i x_i^2",
        (0.0, INFINITY),
        "{x} are high at many tokens; grows with the length of the prompt",
        (_TOP, _TOP**2),
        "{x} crowd in few bins",
    ),
    "l2_norm": Statistic(
        r"\frac1n\sqrt{\sum_i x_i^2}",
        (0.0, 1.0),
        "{x} are high and the prompt is short",
        (1.0 / math.sqrt(_TOP), 1.0),
        "{x} crowd in few bins",
    ),
    "autocorr_lag1": Statistic(
        r"\operatorname{corr}\left((x_0,\dots,x_{n-2}),(x_1,\dots,x_{n-1})\right)",
        (-1.0, 1.0),
        "{x} change slowly from one token to the next",
        (-1.0, 1.0),
        "{x} follow a smooth curve, without isolated peaks",
    ),
    "psd_total_power": Statistic(
        r"\sum_{f} P_x(f),\quad P_x=\text{one-sided Welch spectrum, one Hann window of length }n",
        (0.0, INFINITY),
        "{x} swing strongly near the middle of the prompt",
        (0.0, _TOP_POWER),
        "{x} crowd at middling similarities, where the window weighs most",
    ),
    "linreg.slope": Statistic(
        _SLOPE,
        (-1.0, 1.0),
        "{x} rise towards the end of the prompt",
        (-_TOP_SLOPE, _TOP_SLOPE),
        "{x} are more often high than low",
    ),
    "linreg.intercept": Statistic(
        rf"\bar x-b\,\bar\imath,\quad {_SLOPE}",
        (-1 / 3, 4 / 3),
        "{x} are high at the start of the prompt and fall",
        (1.0 - _TOP_SLOPE * (_TOP - 1) / 2, 1.0 + _TOP_SLOPE * (_TOP - 1) / 2),
        "{x} are more often low than high",
    ),
    "linreg.r2": Statistic(
        rf"\frac{{b^2\,\frac1n\sum_i (i-\bar\imath)^2}}{{{_MOMENT}2}},\quad {_SLOPE}",
        (0.0, 1.0),
        "{x} rise or fall in a straight line along the prompt",
        (0.0, 1.0),
        "the number of {x} rises or falls evenly with their size",
    ),
}

# Context -> (the vector, in LaTeX; its entries, in words).
_VECTORS = {
    "diag": (r"x_i=A_{ii}", "the weights of tokens on themselves (the diagonal)"),
    "first_tok": (r"x_i=A_{i0}", "the weights on the first token (the first column)"),
}
_LOG = r"L=\ln\operatorname{clip}(A,10^{-9},1-10^{-6})"
_GRAMS = {
    "gram.row": (
        r"G=AA^\top",
        "the overlaps of two rows (vertical bars: queries attend to the same keys)",
    ),
    "gram.col": (
        r"G=A^\top A",
        "the overlaps of two columns (horizontal bars: keys are attended to by the same queries)",
    ),
    "gram.skew": (
        r"G=S(A)S(A)^\top",
        "the overlaps of two rows aligned at their query (diagonal bands: queries attend at "
        "the same distances)",
    ),
    "gram.skew_col": (
        r"G=S(A)^\top S(A)",
        "the overlaps of two columns aligned at their query (distances: the same queries attend "
        "at both)",
    ),
    "log.gram.row": (
        r"G=\cos(L),\ " + _LOG,
        "the cosines of two rows of logarithms (queries rank all keys alike, faint ones too)",
    ),
    "log.gram.col": (
        r"G=\cos(L^\top),\ " + _LOG,
        "the cosines of two columns of logarithms (keys are ranked alike by all queries)",
    ),
    "log.gram.skew": (
        r"G=\cos(S(L)),\ " + _LOG,
        "the cosines of two query-aligned rows of logarithms (the same decay with distance)",
    ),
}
_HISTOGRAM = r"x=\text{density of }\operatorname{clip}(G_{ij},0,1)\text{ in 32 bins on }[0,1]"


def _vector_feature(context: str, name: str) -> Feature:
    vector, words = _VECTORS[context]
    statistic = STATISTICS[name]
    return Feature(
        name=f"{context}.{name}",
        context=context,
        statistic=name,
        formula=rf"{statistic.formula},\quad {vector}",
        range=statistic.range,
        large=statistic.large.format(x=words),
        source=SOURCE,
        cost="O(n log n)" if name == "median" else "O(n)",
    )


def _histogram_feature(context: str, name: str, source: str = SOURCE) -> Feature:
    gram, words = _GRAMS[context]
    statistic = STATISTICS[name]
    return Feature(
        name=f"{context}.hist.{name}",
        context=context,
        statistic=f"hist.{name}",
        formula=rf"{statistic.formula},\quad {_HISTOGRAM},\quad {gram}",
        range=statistic.histogram_range,
        large=statistic.histogram_large.format(x=words),
        source=source,
        cost="O(n^3)",
    )


PAPER = FeatureSet(
    name="paper",
    features=(
        *(_vector_feature(c, s) for c in VECTOR_CONTEXTS for s in VECTOR_STATISTICS),
        *(_histogram_feature(c, s) for c in HISTOGRAM_CONTEXTS for s in HISTOGRAM_STATISTICS),
    ),
    oracle="attention_motifs.features.definitions:paper_features",
    cpu="attention_motifs.features.kernels:paper_features",
    torch="attention_motifs.features.torch_kernels:paper_features",
)

SKEW_COL = FeatureSet(
    name="skew_col",
    features=tuple(
        _histogram_feature("gram.skew_col", s, "the authors' public code; not in the paper's text")
        for s in HISTOGRAM_STATISTICS
    ),
    oracle="attention_motifs.features.definitions:skew_col_features",
    cpu="attention_motifs.features.kernels:skew_col_features",
    torch="attention_motifs.features.torch_kernels:skew_col_features",
)
