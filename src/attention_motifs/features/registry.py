"""The registry of features: what each is called, what it means, and which set holds it.

A built-in set is a `FeatureSet`, named in `BUILT_IN_SETS` and loaded when first asked for. A
user adds features of their own with the `feature` decorator.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attention_motifs.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    PatternFunction = Callable[[Float[np.ndarray, "n n"]], float]

# Name of a built-in set -> module and attribute of its `FeatureSet`.
BUILT_IN_SETS = {
    "paper": "attention_motifs.features.paper:PAPER",
    "extended": "attention_motifs.features.extended:EXTENDED",
    "skew_col": "attention_motifs.features.paper:SKEW_COL",
    "experimental": "attention_motifs.features.experimental:EXPERIMENTAL",
}
USER_SET = "user"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


@dataclass(frozen=True, slots=True)
class Feature:
    """One scalar of a pattern, as the docs and the site's feature page describe it.

    Attributes:
        name: its column, `<context>.<statistic>`.
        context: the part or transform of the pattern it is taken from (`diag`, `gram.row`).
        statistic: what is taken of it (`mean`, `entropy`).
        formula: LaTeX, without the dollar signs.
        range: lowest and highest value that a causal pattern can give.
        large: what a pattern with a large value looks like.
        source: where it comes from (section of the paper, or the set's own reason).
        cost: growth with the number of tokens n.
    """

    name: str
    context: str
    statistic: str
    formula: str
    range: tuple[float, float]
    large: str
    source: str
    cost: str = "O(n^2)"


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A named list of features and the functions that compute all of them together.

    The functions are named as `module:function`, so that describing a set loads no kernel:

    Attributes:
        oracle: (n, n) float64 -> (F,) float64, the definition.
        cpu: (b, n, n) contiguous float32, finite and causal -> (b, F) float32; must release
            the interpreter lock, since it is called from several threads.
        torch: (B, n, n) tensor of float32 or float64 -> (B, F) on the same device.
    """

    name: str
    features: tuple[Feature, ...]
    oracle: str
    cpu: str
    torch: str

    def function(self, kind: str) -> Callable[..., Any]:
        """The function of a kind: `oracle`, `cpu` or `torch`."""
        module, _, name = str(getattr(self, kind)).partition(":")
        return getattr(import_module(module), name)  # type: ignore[no-any-return]


@dataclass(slots=True)
class UserSet:
    """The features that a user added under one name, with the function of each."""

    name: str
    features: dict[str, Feature] = field(default_factory=dict)
    functions: dict[str, PatternFunction] = field(default_factory=dict)


_user_sets: dict[str, UserSet] = {}
_built_in: dict[str, FeatureSet] = {}


def feature_sets() -> tuple[str, ...]:
    """Names of all feature sets, built in and the user's own."""
    return (*BUILT_IN_SETS, *_user_sets)


def built_in_set(name: str) -> FeatureSet:
    """A built-in set by its name, which must be in `BUILT_IN_SETS`."""
    if name not in _built_in:
        module, _, attribute = BUILT_IN_SETS[name].partition(":")
        _built_in[name] = getattr(import_module(module), attribute)
    return _built_in[name]


def user_set(name: str) -> UserSet:
    """A user's set by its name, which must have been added with `feature`."""
    return _user_sets[name]


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """An error for a name that is not there, offering the nearest or else all names."""
    return InputError(f"{what} {name!r} is not known; {did_you_mean(name, known)}")


def features_of(set: str = "paper") -> tuple[Feature, ...]:  # noqa: A002
    """The features of a set, in the order of its columns.

    Raises:
        InputError: if no set has that name.
    """
    if set in BUILT_IN_SETS:
        return built_in_set(set).features
    if set in _user_sets:
        return tuple(_user_sets[set].features.values())
    raise unknown("feature set", set, feature_sets())


def feature_names(set: str | Sequence[str] = "paper") -> list[str]:  # noqa: A002
    """Names of the columns that `compute_features(patterns, set)` returns, in order.

    Args:
        set: a set, or several names of sets and features; a feature named twice comes once.

    Raises:
        InputError: if a name is neither a set nor a feature.
    """
    return [name for name, _ in selected(set)]


def selected(features: str | Sequence[str]) -> list[tuple[str, str]]:
    """(feature, its set) for each column asked for, each feature once.

    Raises:
        InputError: if a name is neither a set nor a feature, or if none is given.
    """
    wanted = [features] if isinstance(features, str) else list(features)
    columns: dict[str, str] = {}
    owners: dict[str, str] | None = None
    for name in wanted:
        if name in feature_sets():
            for entry in features_of(name):
                columns.setdefault(entry.name, name)
            continue
        owners = owners or {f.name: s for s in feature_sets() for f in features_of(s)}
        if name not in owners:
            raise unknown("feature or feature set", name, [*feature_sets(), *owners])
        columns.setdefault(name, owners[name])
    if not columns:
        raise InputError(f"no features asked for: name one of the sets {', '.join(feature_sets())}")
    return list(columns.items())


def _check_new(name: str, set_name: str, replace: bool) -> None:
    for what, value in (("feature", name), ("feature set", set_name)):
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise InputError(
                f"{what} name {value!r} is not usable: write it with letters, digits, '.', '-', '_'"
            )
    if set_name in BUILT_IN_SETS:
        raise InputError(f"feature set {set_name!r} is built in: add {name!r} to a set of your own")
    for other in feature_sets():
        if name == other or set_name in {f.name for f in features_of(other)}:
            raise InputError(
                f"feature {name!r} in set {set_name!r}: a set and a feature may not share a name"
            )
        if name in {f.name for f in features_of(other)} and not (replace and other == set_name):
            mend = "pass replace=True to redefine it" if other == set_name else "name it otherwise"
            raise InputError(f"feature {name!r} already exists in set {other!r}: {mend}")


def feature(
    name: str,
    *,
    set: str = USER_SET,  # noqa: A002
    formula: str = "",
    range: tuple[float, float] = (-math.inf, math.inf),  # noqa: A002
    large: str = "",
    source: str = "user",
    replace: bool = False,
) -> Callable[[PatternFunction], PatternFunction]:
    """Decorator: make a function of one pattern a feature of a set of your own.

    The function gets a float64 array (n, n), rows = queries, lower triangular, which it must
    not change, and returns a number. It is called once per pattern.

    Args:
        name: the feature's column; must be new.
        set: the set it joins, created when first named; built-in sets take no additions.
        formula: LaTeX.
        range: lowest and highest value.
        large: what a pattern with a large value looks like.
        source: where it comes from.
        replace: allow the name to exist already in the same set (as when a notebook cell is
            run again).

    Raises:
        InputError: if the name is taken or not usable, or the set is built in.
    """
    _check_new(name, set, replace)
    context, _, statistic = name.rpartition(".")
    entry = Feature(name, context, statistic, formula, range, large, source, "unknown")

    def register(function: PatternFunction) -> PatternFunction:
        own = _user_sets.setdefault(set, UserSet(set))
        own.features[name] = entry
        own.functions[name] = function
        return function

    return register


def forget(set: str) -> None:  # noqa: A002
    """Remove a user's set and its features (built-in sets stay).

    Raises:
        InputError: if the user has no such set.
    """
    if set not in _user_sets:
        raise unknown("feature set of your own", set, _user_sets or ("(none yet)",))
    del _user_sets[set]
