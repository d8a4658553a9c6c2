r"""The feature set `extended`: what a head does with the tokens other than the first, described.

Features of the pattern alone, chosen to bring heads of the same behaviour together; computed by
`features.extended_definitions`.

In the formulas $W$ is the pattern with negative entries set to 0, $B$ is $W$ without its first
column (the sink), and means and spreads run over all queries but the first.
"""

from __future__ import annotations

from attention_motifs.features.extended_definitions import (
    BANDS,
    NEAR,
    PEAKED,
    QUANTILES,
    band_name,
)
from attention_motifs.features.registry import Feature, FeatureSet

SOURCE = "this project: to tell heads of different behaviour apart"
UNIT = (0.0, 1.0)

# Statistic -> (formula, range, what a large value says of the weights called {x}).
Described = dict[str, tuple[str, tuple[float, float], str]]
_MEAN_AND_SPREAD: Described = {
    "mean": (r"\bar x=\frac1m\sum_i x_i", UNIT, "{x} is high on the whole"),
    "spread": (
        r"\sqrt{\frac1m\sum_i (x_i-\bar x)^2}",
        (0.0, 0.5),
        "{x} is high for some queries and low for others",
    ),
}
_SPREAD: Described = _MEAN_AND_SPREAD | {
    f"q{round(100 * q)}": (
        rf"Q_{{{q}}}(x)\ (\text{{linear between values}})",
        UNIT,
        f"{{x}} is high for {'nearly all queries' if q < 0.5 else 'some queries at least'}",
    )
    for q in QUANTILES
}
_PEAK: Described = _SPREAD | {
    f"above_{round(100 * level)}": (
        rf"\tfrac1m\left|\{{i:x_i>{level}\}}\right|",
        UNIT,
        f"{{x}} is above {level} for most queries",
    )
    for level in PEAKED
}


def _described(context: str, statistics: Described, vector: str, words: str) -> list[Feature]:
    return [
        Feature(
            name=f"{context}.{name}",
            context=context,
            statistic=name,
            formula=rf"{formula},\quad {vector}",
            range=limits,
            large=large.format(x=words),
            source=SOURCE,
        )
        for name, (formula, limits, large) in statistics.items()
    ]


def _band_words(first: int, last: int | None) -> str:
    if last is None:
        return f"{first} tokens back and farther"
    if last > first:
        return f"{first} to {last} tokens back"
    return ("at the query itself", "one token back")[first] if first < 2 else f"{first} tokens back"


def _band_features(first: int, last: int | None) -> list[Feature]:
    context = band_name(first, last)
    upper = "" if last is None else rf"\le {last}"
    if last == first:
        mass = rf"B_{{i,i-{first}}}" if first else "B_{ii}"
    else:
        mass = rf"\sum_{{{first}\le d{upper}}}B_{{i,i-d}}"
    vector = rf"x_i={mass}\ (i>{first})"
    words = f"the weight {_band_words(first, last)}"
    share = Feature(
        name=f"{context}.share",
        context=context,
        statistic="share",
        formula=rf"\frac{{\sum_i x_i}}{{\sum_{{ij}}B_{{ij}}}},\quad {vector}",
        range=UNIT,
        large=f"most of the weight that does not go to the first token lies "
        f"{_band_words(first, last)}",
        source=SOURCE,
    )
    return [*_described(context, _MEAN_AND_SPREAD, vector, words), share]


_PLACE = r"\quad d_i=i-\arg\max_j B_{ij}\ (\text{the nearest of equals})"
_LOG_PLACE = r"\quad x_i=\log_2(1+d_i)\text{ of rows with weight}," + _PLACE
_ENTROPY = r"H_i=-\sum_j p_{ij}\log_2p_{ij},\ p_{ij}=\frac{%s_{ij}}{\sum_k %s_{ik}}"  # of W or of B
_DIAGONAL, _COLUMN = "B_{i+1,j+1}", "B_{i+1,j}"
_NEARBY, _FAR = rf"{{d}}\le {NEAR}", f"{{d}}>{NEAR}"


def _continuity(follower: str, region: str) -> str:
    here = region.format(d="i-j")
    both = region.format(d="i+1-j") if follower == _COLUMN and region == _NEARBY else here
    return rf"\frac{{\sum_{{{both}}}B_{{ij}}{follower}}}{{\sum_{{{here}}}B_{{ij}}^2}}"


# Feature -> (formula, range, what large looks like).
_SINGLE: dict[str, tuple[str, tuple[float, float], str]] = {
    "place.self": (
        r"\tfrac1{n-1}\left|\{i:d_i=0\}\right|," + _PLACE,
        UNIT,
        "tokens attend to themselves most, the first token aside",
    ),
    "place.previous": (
        r"\tfrac1{n-1}\left|\{i:d_i=1\}\right|," + _PLACE,
        UNIT,
        "tokens attend to the one before them most",
    ),
    "place.second": (
        r"\tfrac1{n-1}\left|\{i:d_i=2\}\right|," + _PLACE,
        UNIT,
        "tokens attend to the one two before them most",
    ),
    "place.farther": (
        r"\tfrac1{n-1}\left|\{i:d_i\ge3\}\right|," + _PLACE,
        UNIT,
        "what tokens attend to most lies three tokens back and farther",
    ),
    "place.log_mean": (
        r"\bar x=\frac1m\sum_i x_i," + _LOG_PLACE,
        (0.0, float("inf")),
        "what tokens attend to most lies far back",
    ),
    "place.log_spread": (
        r"\sqrt{\frac1m\sum_i (x_i-\bar x)^2}," + _LOG_PLACE,
        (0.0, float("inf")),
        "what tokens attend to most lies now near, now far",
    ),
    "entropy.all": (
        r"\frac1{n-1}\sum_{i\ge1}\frac{H_i}{\log_2(i+1)},\quad " + _ENTROPY % ("W", "W"),
        UNIT,
        "queries spread their weight evenly over all keys",
    ),
    "entropy.without_sink": (
        r"\frac1{n-2}\sum_{i\ge2}\frac{H_i}{\log_2 i},\quad " + _ENTROPY % ("B", "B"),
        UNIT,
        "queries spread evenly what they do not give to the first token, however little",
    ),
    "keys.concentration": (
        r"\sum_j\left(\frac{\sum_iB_{ij}}{\sum_{ik}B_{ik}}\right)^2",
        UNIT,
        "one key other than the first receives all the weight",
    ),
    "continuity.diagonal.near": (
        _continuity(_DIAGONAL, _NEARBY),
        UNIT,
        f"weights up to {NEAR} tokens back stay at the same distance from query to query",
    ),
    "continuity.diagonal.far": (
        _continuity(_DIAGONAL, _FAR),
        UNIT,
        f"weights more than {NEAR} tokens back run on along the diagonal, as induction stripes do",
    ),
    "continuity.column.near": (
        _continuity(_COLUMN, _NEARBY),
        UNIT,
        f"a key up to {NEAR} tokens back is still attended to by the next query",
    ),
    "continuity.column.far": (
        _continuity(_COLUMN, _FAR),
        UNIT,
        f"a key more than {NEAR} tokens back is still attended to by the next query: vertical bars",
    ),
}


def _single_feature(name: str) -> Feature:
    formula, limits, large = _SINGLE[name]
    context, _, statistic = name.rpartition(".")
    return Feature(name, context, statistic, formula, limits, large, SOURCE)


EXTENDED = FeatureSet(
    name="extended",
    features=(
        *(entry for band in BANDS for entry in _band_features(*band)),
        *_described("sink", _SPREAD, r"x_i=W_{i0}\ (i>0)", "the weight on the first token"),
        *_described(
            "peak", _PEAK, r"x_i=\max_j B_{ij}", "a query's largest weight, the first token aside,"
        ),
        *_described(
            "far_peak",
            _PEAK,
            rf"x_i=\max_{{i-j>{NEAR}}}B_{{ij}}\ (i>{NEAR + 1})",
            f"a query's largest weight more than {NEAR} tokens back, the first token aside,",
        ),
        *(_single_feature(name) for name in _SINGLE),
    ),
    oracle="attention_motifs.features.extended_definitions:extended_features",
    cpu="attention_motifs.features.extended_kernels:extended_features",
    torch="attention_motifs.features.extended_torch:extended_features",
)
