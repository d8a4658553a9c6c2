"""The registry of features: their names, meanings and sets.

A built-in set is a `FeatureSet`, named in `BUILT_IN_SETS` and loaded on first use. Users add
features with the `feature` decorator.
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
    "tokens": "attention_motifs.features.tokens:TOKENS",
    "paper2": "attention_motifs.features.paper2:PAPER2",
    "no_gram": "attention_motifs.features.no_gram:NO_GRAM",
}
USER_SET = "user"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


@dataclass(frozen=True, slots=True)
class Feature:
    """A scalar of a pattern, and its description for the docs and the explorer.

    Attributes:
        name: name of its column, `<context>.<statistic>`.
        context: part or transform of the pattern (`diag`, `gram.row`).
        statistic: statistic of that context (`mean`, `entropy`).
        formula: definition in LaTeX, without dollar signs.
        range: lowest and highest value of a causal pattern.
        large: look of a pattern with a large value.
        source: origin of the definition, such as a section of the paper.
        cost: growth of the time with the number of tokens n.
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
    """A named list of features, and the functions that compute them.

    The functions are named as `module:function`, so that reading a description loads no kernel.

    Attributes:
        name: name of the set.
        features: the features, in the order of the columns.
        oracle: the definition, (n, n) float64 -> (F,) float64.
        cpu: (b, n, n) contiguous float32, finite -> (b, F) float32. It releases the interpreter
            lock, because several threads call it.
        torch: (B, n, n) tensor of float32 or float64, finite -> (B, F) on the same device.
        reads_tokens: whether each function takes the texts of the n tokens as a second argument;
            the patterns of a call are then of one prompt.
        notes: what the formulas have in common, in Markdown, for the documentation.
    """

    name: str
    features: tuple[Feature, ...]
    oracle: str
    cpu: str
    torch: str
    reads_tokens: bool = False
    notes: str = ""

    def function(self, kind: str) -> Callable[..., Any]:
        """Return the function of a kind: `oracle`, `cpu` or `torch`."""
        module, _, name = str(getattr(self, kind)).partition(":")
        return getattr(import_module(module), name)  # type: ignore[no-any-return]


@dataclass(slots=True)
class UserSet:
    """The features that a user added under one name, with their functions."""

    name: str
    features: dict[str, Feature] = field(default_factory=dict)
    functions: dict[str, PatternFunction] = field(default_factory=dict)


_user_sets: dict[str, UserSet] = {}
_built_in: dict[str, FeatureSet] = {}


def feature_sets() -> tuple[str, ...]:
    """Return the names of all feature sets: the built-in ones, then those of the user.

    Example:
        >>> import attention_motifs as am
        >>> am.feature_sets()[:4]
        ('paper', 'extended', 'skew_col', 'experimental')
    """
    return (*BUILT_IN_SETS, *_user_sets)


def built_in_set(name: str) -> FeatureSet:
    """Return the built-in set of a name in `BUILT_IN_SETS`."""
    if name not in _built_in:
        module, _, attribute = BUILT_IN_SETS[name].partition(":")
        _built_in[name] = getattr(import_module(module), attribute)
    return _built_in[name]


def user_set(name: str) -> UserSet:
    """Return the user's set of a name that `feature` has added."""
    return _user_sets[name]


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """Return the error for an unknown name, with similar names as advice."""
    return InputError(f"{what} {name!r} is not known; {did_you_mean(name, known)}")


def features_of(set: str = "paper") -> tuple[Feature, ...]:  # noqa: A002
    """Return the features of a set, in the order of its columns.

    Args:
        set: name of a feature set.

    Returns:
        The descriptions of its features.

    Raises:
        InputError: if no set has that name.
    """
    if not isinstance(set, str):
        raise InputError(f"feature set {set!r} cannot be used: pass its name, such as 'paper'")
    if set in BUILT_IN_SETS:
        return built_in_set(set).features
    if set in _user_sets:
        return tuple(_user_sets[set].features.values())
    raise unknown("feature set", set, feature_sets())


def feature_names(set: str | Sequence[str] = "paper") -> list[str]:  # noqa: A002
    """Return the names of the columns of `compute_features(patterns, set)`, in order.

    Args:
        set: a feature set, or a list of sets and features. A feature named twice becomes one
            column.

    Returns:
        One name per column.

    Raises:
        InputError: if a name is neither a set nor a feature.

    Example:
        >>> import attention_motifs as am
        >>> len(am.feature_names("paper")), len(am.feature_names(["paper", "extended"]))
        (94, 179)
        >>> am.feature_names(["diag.mean", "paper"])[:3]
        ['diag.mean', 'diag.median', 'diag.variance']
    """
    return [name for name, _ in selected(set)]


def selected(features: str | Sequence[str]) -> list[tuple[str, str]]:
    """Return (feature, its set) for each column of a request, each feature once.

    Args:
        features: a feature set, or a list of sets and features.

    Raises:
        InputError: if a name is neither a set nor a feature, or if there is none.
    """
    try:
        names = [features] if isinstance(features, str) else list(features)
    except TypeError:  # a number, or an array without axes
        names = [features]  # type: ignore[list-item]
    if not all(isinstance(name, str) for name in names):
        raise InputError(
            f"features {features!r} cannot be used: pass a feature set, or a list of names of "
            "sets and features"
        )
    columns: dict[str, str] = {}
    owners: dict[str, str] | None = None
    for name in names:
        if name in feature_sets():
            for entry in features_of(name):
                columns.setdefault(entry.name, name)
            continue
        owners = owners or _owners()
        if name not in owners:
            advice = did_you_mean(name, [*feature_sets(), *owners])
            if not advice.endswith("?"):
                advice += ". If it is your own, import the module that defines it first"
            raise InputError(f"feature or feature set {name!r} is not known; {advice}")
        columns.setdefault(name, owners[name])
    if not columns:
        raise InputError(f"no features requested: name one of the sets {', '.join(feature_sets())}")
    return list(columns.items())


def _owners() -> dict[str, str]:
    """Return the set of each feature: of a feature in several sets, the first."""
    owners: dict[str, str] = {}
    for name in feature_sets():
        for entry in features_of(name):
            owners.setdefault(entry.name, name)
    return owners


def token_readers(columns: Sequence[tuple[str, str]]) -> list[str]:
    """Return the features that need the texts of the tokens too.

    Args:
        columns: features and their sets, from `selected`.
    """
    return [
        name
        for name, of_set in columns
        if of_set in BUILT_IN_SETS and built_in_set(of_set).reads_tokens
    ]


def _check_new(name: str, set_name: str, replace: bool) -> None:
    """Check that a feature may be added: usable names, not taken.

    Raises:
        InputError: if it may not.
    """
    for what, value in (("feature", name), ("feature set", set_name)):
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise InputError(
                f"{what} name {value!r} cannot be used: "
                "write it with letters, digits, '.', '-' and '_'"
            )
    if set_name in BUILT_IN_SETS:
        raise InputError(
            f"feature {name!r} cannot join the set {set_name!r}, which is built in: "
            "pass another name as set"
        )
    for existing in feature_sets():
        names = {f.name for f in features_of(existing)}
        if name == existing or set_name in names:
            raise InputError(
                f"feature {name!r} in set {set_name!r}: a set and a feature may not share a name. "
                "Rename one of them"
            )
        if name in names and not (replace and existing == set_name):
            advice = (
                "pass replace=True to redefine it" if existing == set_name else "use another name"
            )
            raise InputError(f"feature {name!r} already exists in set {existing!r}: {advice}")


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
    """Add a function of one pattern as a feature (decorator).

    The function gets a read-only float64 array (n, n), rows = queries, lower triangular. It
    returns one number. It is called once per pattern, and not for patterns that hold NaN. NaN or
    infinity marks a value that is not defined: an atlas replaces it by the mean of the feature
    and counts it.

    Args:
        name: name of the feature's column.
        set: the user's set that the feature joins; created if it does not exist.
        formula: definition in LaTeX, without dollar signs.
        range: lowest and highest value.
        large: look of a pattern with a large value.
        source: origin of the definition.
        replace: redefine the feature if the set has it, as when a notebook cell runs again.

    Returns:
        A decorator that returns the function unchanged.

    Raises:
        InputError: if the name is taken or cannot be used, if the set is built in, or if what
            is decorated is not a function.

    Example:
        >>> import numpy as np
        >>> import attention_motifs as am
        >>> @am.feature("corner.mean", set="corner", range=(0.0, 1.0), replace=True)
        ... def corner(A):
        ...     return A[-1, 0]
        >>> am.compute_features(np.tril(np.ones((2, 2))) / 2, "corner")
        array([0.5])
    """
    _check_new(name, set, replace)
    context, _, statistic = name.rpartition(".")
    entry = Feature(name, context, statistic, formula, range, large, source, "unknown")

    def register(function: PatternFunction) -> PatternFunction:
        if not callable(function):
            raise InputError(f"feature {name!r}: {function!r} is not a function. Decorate one")
        members = _user_sets.setdefault(set, UserSet(set))
        members.features[name] = entry
        members.functions[name] = function
        return function

    return register


def forget(set: str) -> None:  # noqa: A002
    """Remove a user's set and its features.

    Args:
        set: name of the set; built-in sets cannot be removed.

    Raises:
        InputError: if the user has no such set.
    """
    if set not in _user_sets:
        raise unknown("user's feature set", set, _user_sets)
    del _user_sets[set]
