"""The table of an evaluation and its JSON form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from attention_motifs.errors import InputError
from attention_motifs.evaluation.clouds import TOP, Identification, VarianceShares
from attention_motifs.evaluation.null import NullTest, false_discovery_rates
from attention_motifs.evaluation.recovery import ClassRecovery, TooFew
from attention_motifs.evaluation.regression import SCORE, NeighbourRegression
from attention_motifs.evaluation.reliability import SplitHalf
from attention_motifs.store.paths import ARTEFACTS

SCHEMA_VERSION = 1

PATTERNS = "patterns"
"""Kind of a row about the embedded patterns, without class or score."""
DISTANCES = "distances"
"""Kind of a row about the distance matrix as a whole."""


@dataclass(frozen=True)
class Row:
    """One statistic of one class, score or set of patterns; None if it is undefined."""

    model: str
    """A model, `A -> B` (queries in A, ranked in B), or `all models`."""
    name: str
    """Name of the class, the score or the measure of patterns."""
    kind: str
    """`literature` or `computed` (classes), `score`, `patterns` or `distances`."""
    statistic: str
    n_queries: int
    n_heads: int
    """Number of heads of the class among those ranked; without a class, of heads ranked."""
    value: float | None
    spread: float | None = None
    """Standard deviation of the value over random splits."""
    null_mean: float | None = None
    """Mean of the permutation null, or the value of chance."""
    null_95: float | None = None
    p: float | None = None
    p_floor: float | None = None
    """The smallest p to be expected."""
    q: float | None = None
    """Benjamini-Hochberg q-value over all rows of this statistic."""


@dataclass(frozen=True)
class Evaluation:
    """All measurements of one metric, with the settings that reproduce them."""

    metric: str
    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    too_few: tuple[TooFew, ...]
    """Classes and scores with too few heads."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object (numbers, strings, lists and null); `from_json` reads it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "metric": self.metric,
            "settings": dict(self.settings),
            "rows": [asdict(row) for row in self.rows],
            "too_few": [asdict(item) for item in self.too_few],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """Read the object that `to_json` returned.

        Raises:
            InputError: if it is of another schema, or a part is missing.
        """
        version = value.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"the evaluation has schema {version!r}, not {SCHEMA_VERSION}. Run "
                f"`motifs {ARTEFACTS['evaluation'].command}`."
            )
        try:
            return cls(
                metric=str(value["metric"]),
                settings=dict(value["settings"]),
                rows=tuple(Row(**_known(Row, row)) for row in value["rows"]),
                too_few=tuple(TooFew(**_known(TooFew, item)) for item in value["too_few"]),
            )
        except (KeyError, TypeError) as error:
            raise InputError(
                f"the evaluation lacks a part ({error}). Run "
                f"`motifs {ARTEFACTS['evaluation'].command}`."
            ) from error


def _known(row_type: type, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that this version knows; later versions may add more."""
    names = {field.name for field in fields(row_type)}
    return {key: item for key, item in value.items() if key in names}


def recovery_rows(results: Iterable[ClassRecovery], n_neighbours: int) -> Iterator[Row]:
    """Yield AUROC, MAP and purity of each class and scope."""
    for result in results:
        tests = {
            "AUROC": result.auroc,
            "MAP": result.average_precision,
            f"purity@{n_neighbours}": result.purity,
        }
        for statistic, test in tests.items():
            row = Row(
                result.model,
                result.name,
                result.kind,
                statistic,
                result.n_queries,
                result.n_heads,
                value=None,
            )
            yield _with_test(row, test, result.p_floor)


def regression_rows(results: Iterable[NeighbourRegression], n_neighbours: int) -> Iterator[Row]:
    """Yield Spearman's correlation of each score and scope."""
    for result in results:
        row = Row(
            result.model,
            result.name,
            SCORE,
            f"Spearman@{n_neighbours}",
            result.n_queries,
            result.n_heads,
            value=None,
        )
        yield _with_test(row, result.spearman, None)


def identification_rows(results: Iterable[Identification]) -> Iterator[Row]:
    """Yield top-1 and top-5 shares with chance; a query is a held-out pattern."""
    for result in results:
        for k, share in ((1, result.top_1), (TOP, result.top_5)):
            yield Row(
                result.model,
                "head from one pattern",
                PATTERNS,
                f"top-{k}",
                result.n_patterns,
                result.n_heads,
                value=share,
                null_mean=min(1.0, k / result.n_heads),
            )


def variance_rows(results: Iterable[VarianceShares]) -> Iterator[Row]:
    """Yield shares of head, prompt and residual, with those of independent noise."""
    for result in results:
        shares = (result.head, result.prompt, result.residual)
        names = ("head share", "prompt share", "residual share")
        for name, share, chance in zip(names, shares, result.by_chance(), strict=True):
            yield Row(
                result.model,
                "variance",
                PATTERNS,
                name,
                result.n_heads * result.n_prompts,
                result.n_heads,
                value=_number(share),
                null_mean=chance,
            )


def reliability_rows(results: Iterable[SplitHalf]) -> Iterator[Row]:
    """Yield mean and spread of split-half agreement; a query is a pair of heads."""
    for result in results:
        yield Row(
            result.model,
            "pairs of heads",
            DISTANCES,
            "split-half Spearman",
            result.n_heads * (result.n_heads - 1) // 2,
            result.n_heads,
            value=_number(result.mean),
            spread=_number(result.spread),
            null_mean=0.0,
        )


def with_false_discovery_rates(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Add q to the rows, each over all rows of its statistic that have a p."""
    table = list(rows)
    q = [math.nan] * len(table)
    for statistic in {row.statistic for row in table}:
        places = [i for i, row in enumerate(table) if row.statistic == statistic]
        p = [math.nan if (x := table[i].p) is None else x for i in places]
        for i, rate in zip(places, false_discovery_rates(p), strict=True):
            q[i] = rate
    return tuple(replace(row, q=_number(rate)) for row, rate in zip(table, q, strict=True))


def _with_test(row: Row, test: NullTest, p_floor: float | None) -> Row:
    return replace(
        row,
        value=_number(test.value),
        null_mean=_number(test.null_mean),
        null_95=_number(test.null_95),
        p=_number(test.p),
        p_floor=p_floor,
    )


def _number(value: float) -> float | None:
    """Return the number, or None for NaN, which JSON lacks."""
    return float(value) if math.isfinite(value) else None
