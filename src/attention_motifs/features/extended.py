"""The feature set `extended`: names and descriptions of its features, family by family.

The features are chosen to bring heads of the same behaviour together.
"""

from __future__ import annotations

from dataclasses import dataclass

from attention_motifs.features.extended_definitions import (
    ALIKE,
    BANDS,
    COMPANIONS,
    FAMILY_DEFINITIONS,
    NEAR,
    PAIRS,
    PEAKED,
    QUANTILES,
    REGIONS,
    STEPS,
    band_name,
)
from attention_motifs.features.registry import Feature, FeatureSet

SOURCE = "this project: chosen to separate heads of different behaviour"
UNIT = (0.0, 1.0)

# Statistic -> (formula, range, meaning of a large value for the weights {x}).
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
        large=f"most of the weight that does not go to the first token is "
        f"{_band_words(first, last)}",
        source=SOURCE,
    )
    return [*_described(context, _MEAN_AND_SPREAD, vector, words), share]


_PLACE = r"\quad d_i=i-\arg\max_j B_{ij}\ (\text{the nearest of equals})"
_LOG_PLACE = r"\quad x_i=\log_2(1+d_i)\text{ of rows with weight}," + _PLACE
_ENTROPY = r"H_i=-\sum_j p_{ij}\log_2p_{ij},\ p_{ij}=\frac{%s_{ij}}{\sum_k %s_{ik}}"  # of W or of B
# Feature -> (formula, range, meaning of a large value).
_SINGLE: dict[str, tuple[str, tuple[float, float], str]] = {
    "place.self": (
        r"\tfrac1{n-1}\left|\{i:d_i=0\}\right|," + _PLACE,
        UNIT,
        "tokens attend most to themselves, the first token aside",
    ),
    "place.previous": (
        r"\tfrac1{n-1}\left|\{i:d_i=1\}\right|," + _PLACE,
        UNIT,
        "tokens attend most to the previous token",
    ),
    "place.second": (
        r"\tfrac1{n-1}\left|\{i:d_i=2\}\right|," + _PLACE,
        UNIT,
        "tokens attend most to the token two before them",
    ),
    "place.farther": (
        r"\tfrac1{n-1}\left|\{i:d_i\ge3\}\right|," + _PLACE,
        UNIT,
        "the key that a token attends to most is three tokens back or farther",
    ),
    "place.log_mean": (
        r"\bar x=\frac1m\sum_i x_i," + _LOG_PLACE,
        (0.0, float("inf")),
        "the key that a token attends to most is far back",
    ),
    "place.log_spread": (
        r"\sqrt{\frac1m\sum_i (x_i-\bar x)^2}," + _LOG_PLACE,
        (0.0, float("inf")),
        "the key that a token attends to most is near for some queries and far for others",
    ),
    "entropy.all": (
        r"\frac1{n-1}\sum_{i\ge1}\frac{H_i}{\log_2(i+1)},\quad " + _ENTROPY % ("W", "W"),
        UNIT,
        "queries spread their weight evenly over all keys",
    ),
    "entropy.without_sink": (
        r"\frac1{n-2}\sum_{i\ge2}\frac{H_i}{\log_2 i},\quad " + _ENTROPY % ("B", "B"),
        UNIT,
        "queries spread the weight that they do not give to the first token evenly",
    ),
    "keys.concentration": (
        r"\sum_j\left(\frac{\sum_iB_{ij}}{\sum_{ik}B_{ik}}\right)^2",
        UNIT,
        "one key other than the first receives all the weight",
    ),
}

# Step -> (the entry that follows, near and far in words).
_GOES_ON = {
    "diagonal": (
        "{X}_{{i+1,j+1}}",
        f"weights up to {NEAR} tokens back stay at the same distance from query to query",
        f"weights more than {NEAR} tokens back continue along the diagonal: induction stripes",
    ),
    "column": (
        "{X}_{{i+1,j}}",
        f"a key up to {NEAR} tokens back is still attended to by the next query",
        f"a key more than {NEAR} tokens back is still attended to by the next query: vertical bars",
    ),
    "row": (
        "{X}_{{i,j+1}}",
        f"queries attend to neighbouring keys, up to {NEAR} tokens back, at once",
        f"queries attend to neighbouring keys, more than {NEAR} tokens back, at once",
    ),
    "anti": (
        "{X}_{{i+1,j-1}}",
        f"weights up to {NEAR} tokens back move one key back with every query",
        f"weights more than {NEAR} tokens back move one key back with every query",
    ),
}
_REGION = {
    "near": rf"X_{{ij}}=B_{{ij}}\text{{ where }}0\le i-j\le {NEAR}\text{{, else }}0",
    "far": rf"X_{{ij}}=B_{{ij}}\text{{ where }}i-j>{NEAR}\text{{, else }}0",
}


def _continuity_feature(step: str, region: str, root: bool) -> Feature:
    follower, *words = _GOES_ON[step]
    after = follower.format(X="X")
    formula = (
        rf"\frac{{\sum_{{ij}}\sqrt{{X_{{ij}}{after}}}}}{{\sum_{{ij}}X_{{ij}}}}"
        if root
        else rf"\frac{{\sum_{{ij}}X_{{ij}}{after}}}{{\sum_{{ij}}X_{{ij}}^2}}"
    )
    context = f"{'continuity_root' if root else 'continuity'}.{step}"
    return Feature(
        name=f"{context}.{region}",
        context=context,
        statistic=region,
        formula=rf"{formula},\quad {_REGION[region]}",
        range=UNIT,
        large=words[REGIONS.index(region)] + (", small weights too" if root else ""),
        source=SOURCE,
    )


_F = rf"F_{{lk}}=B_{{lk}}\text{{ where }}l-k>{NEAR}"
_COLUMNS = r"C_{kl}=\cos\left(\text{columns }k,l\text{ of }B\text{ without its diagonal}\right)"
_ROWS = r"G_{kl}=\cos\left(\text{rows }k,l\text{ of }\sqrt{B}\text{ without its diagonal}\right)"
_OVER = {
    "keys_alike": rf"\operatorname{{mean}}_{{l-k>{NEAR}}}C_{{lk}}",
    "queries_alike": rf"\operatorname{{mean}}_{{l-k>{NEAR}}}G_{{lk}}",
}
_ALIKE_WORDS = {
    ("keys_alike", "before"): "the token before the query's",
    ("keys_alike", "same"): "the query's own token, as duplicate-token heads do",
    ("keys_alike", "after"): "the token after the query's, as induction heads do",
    ("queries_alike", "before"): "the token after one whose query attended to the "
    "same keys, as induction heads do",
    ("queries_alike", "same"): "a token whose query attended to the same keys",
    ("queries_alike", "after"): "the token before one whose query attended to the same keys",
}


def _alike_feature(context: str, statistic: str) -> Feature:
    neighbour, _, excess = statistic.partition("_")
    shift = {"before": "-1", "same": "", "after": "+1"}[neighbour]
    of_keys = context == "keys_alike"
    entry = f"C_{{l{shift},k}}" if of_keys else f"G_{{l,k{shift}}}"
    mean = rf"\frac{{\sum_{{lk}}F_{{lk}}{entry}}}{{\sum_{{lk}}F_{{lk}}}}"
    less = f"-{_OVER[context]}" if excess else ""
    words = _ALIKE_WORDS[context, neighbour]
    target = f"far keys that are attended to by the same queries as {words}" if of_keys else words
    return Feature(
        name=f"{context}.{statistic}",
        context=context,
        statistic=statistic,
        formula=rf"{mean}{less},\quad {_F},\quad {_COLUMNS if of_keys else _ROWS}",
        range=(-1.0, 1.0) if excess else UNIT,
        large=f"queries attend to {target}" + (", more than to others" if excess else ""),
        source=SOURCE,
        cost="O(n^3)",
    )


_COMPANIONS = {
    "sink": (r"x^{\text{sink}}_i=W_{i0}", "on the first token"),
    "self": (r"x^{\text{self}}_i=B_{ii}", "on the query itself"),
    "previous": (r"x^{\text{previous}}_i=B_{i,i-1}", "on the previous token"),
    "far": (
        rf"x^{{\text{{far}}}}_i=\max_{{i-j>{NEAR}}}B_{{ij}}",
        f"on one key more than {NEAR} tokens back",
    ),
}


def _together_feature(x: str, y: str) -> Feature:
    (first, words), (second, more_words) = _COMPANIONS[x], _COMPANIONS[y]
    return Feature(
        name=f"together.{x}_{y}",
        context="together",
        statistic=f"{x}_{y}",
        formula=rf"\operatorname{{corr}}_{{i\ge2}}\left(x^{{\text{{{x}}}}},x^{{\text{{{y}}}}}\right)"
        rf",\quad {first},\quad {second}",
        range=(-1.0, 1.0),
        large=f"queries with much weight {words} have much weight {more_words} too",
        source=SOURCE,
    )


def _run_feature(x: str) -> Feature:
    formula, words = _COMPANIONS[x]
    return Feature(
        name=f"run.{x}",
        context="run",
        statistic=x,
        formula=rf"\operatorname{{corr}}_{{i\ge2}}\left(x^{{\text{{{x}}}}}_i,"
        rf"x^{{\text{{{x}}}}}_{{i+1}}\right),\quad {formula}",
        range=(-1.0, 1.0),
        large=f"the weight {words} changes slowly from query to query",
        source=SOURCE,
    )


def _single_feature(name: str) -> Feature:
    formula, limits, large = _SINGLE[name]
    context, _, statistic = name.rpartition(".")
    return Feature(name, context, statistic, formula, limits, large, SOURCE)


@dataclass(frozen=True, slots=True)
class Family:
    """Features of the set that are computed together.

    The order of the families is that of their definitions; a family's own features are in the
    order of its record.

    Attributes:
        name: key of the family in `extended_definitions.FAMILY_DEFINITIONS` and in
            `extended_torch.FAMILY_KERNELS`; `extended_kernels` finds its columns by it.
        features: names and descriptions.
    """

    name: str
    features: tuple[Feature, ...]


_RECORDS = (
    Family("band", tuple(entry for band in BANDS for entry in _band_features(*band))),
    Family(
        "sink",
        tuple(_described("sink", _SPREAD, r"x_i=W_{i0}\ (i>0)", "the weight on the first token")),
    ),
    Family(
        "peak",
        tuple(
            _described(
                "peak",
                _PEAK,
                r"x_i=\max_j B_{ij}",
                "the largest weight of a query, the first token aside,",
            )
        ),
    ),
    Family(
        "far_peak",
        tuple(
            _described(
                "far_peak",
                _PEAK,
                rf"x_i=\max_{{i-j>{NEAR}}}B_{{ij}}\ (i>{NEAR + 1})",
                f"the largest weight of a query more than {NEAR} tokens back, the first token "
                "aside,",
            )
        ),
    ),
    *(
        Family(family, tuple(_single_feature(n) for n in _SINGLE if n.startswith(f"{family}.")))
        for family in ("place", "entropy", "keys")
    ),
    Family(
        "continuity",
        (
            *(_continuity_feature(s, r, root=False) for s in tuple(STEPS)[:2] for r in REGIONS),
            *(_continuity_feature(s, r, root=True) for s in STEPS for r in REGIONS),
        ),
    ),
    Family("alike", tuple(_alike_feature(c, s) for c, of_keys in ALIKE.items() for s in of_keys)),
    Family(
        "companions",
        (
            *(_together_feature(x, y) for x, y in PAIRS),
            *(_run_feature(x) for x in COMPANIONS),
        ),
    ),
)

_BY_NAME = {family.name: family for family in _RECORDS}
FAMILIES = tuple(_BY_NAME[name] for name in FAMILY_DEFINITIONS)
"""All families in the order of the columns."""


def columns_of(family: str) -> slice:
    """Return the columns of a family in a row of the set."""
    start = 0
    for entry in FAMILIES:
        if entry.name == family:
            return slice(start, start + len(entry.features))
        start += len(entry.features)
    raise KeyError(family)


EXTENDED = FeatureSet(
    name="extended",
    features=tuple(entry for family in FAMILIES for entry in family.features),
    notes=(
        "At which distance a head attends, how sharply, how far, and whether it continues from one "
        "query to the next. In the formulas $W$ is the pattern with negative entries set to 0 and "
        "$B$ is $W$ without its first column, a sink in many heads. Means and spreads run over all "
        "queries but the first, which has no choice. What has no value is 0: a band that no query "
        "reaches, a row whose weights are all on the first token."
    ),
    oracle="attention_motifs.features.extended_definitions:extended_features",
    cpu="attention_motifs.features.extended_kernels:extended_features",
    torch="attention_motifs.features.extended_torch:extended_features",
)
