"""The table of an evaluation and its JSON form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.clouds import TOP, Identification, VarianceShares
from attention_motifs.evaluation.label_scores import LabelReliability
from attention_motifs.evaluation.null import NullTest, false_discovery_rates
from attention_motifs.evaluation.recovery import ClassRecovery, TooFew
from attention_motifs.evaluation.regression import SCORE, NeighbourRegression
from attention_motifs.evaluation.reliability import SplitHalf, spread_of
from attention_motifs.store.paths import ARTEFACTS

SCHEMA_VERSION = 2

PATTERNS = "patterns"
"""Kind of a row about the embedded patterns, without class or score."""
DISTANCES = "distances"
"""Kind of a row about the distance matrix as a whole."""

S5, MAP, AUROC = "S5", "MAP", "AUROC"

WITHIN, ACROSS, TRANSFER = "within", "across", "transfer"


@dataclass(frozen=True)
class Row:
    """One statistic of one label, class, score or set of patterns; None if it is undefined."""

    metric: str
    model: str
    """A model, `A -> B` (queries in A, ranked in B), `B (fitted on A)`, or `all models`."""
    setting: str
    """`within` a model, `across` two models, or `transfer`: fitted on one, tested on another."""
    name: str
    """Behaviour, class, score, or what is measured of patterns or distances."""
    kind: str
    """Kind of the labels (`random tokens`, `repeated text`, `plain text`), `literature` or `user`
    (classes), `score`, `patterns` or `distances`."""
    statistic: str
    n_queries: int
    n_heads: int
    """Number of relevant heads among those ranked; of S5 and patterns, all heads ranked."""
    value: float | None = None
    low: float | None = None
    """95 % bootstrap interval over stimuli, label sequences and query heads."""
    high: float | None = None
    null_mean: float | None = None
    """Mean of the layer-matched null, or the value of chance."""
    null_95: float | None = None
    p: float | None = None
    """Of this statistic, compared with heads of the same layers."""
    p_groups: float | None = None
    """The same with key groups kept; None for models without them."""
    p_floor: float | None = None
    """The smallest p to be expected."""
    q: float | None = None
    """Benjamini-Hochberg q-value of the larger of the two p, within the family."""
    family: str = ""
    """Rows that q is corrected over: one metric, setting, kind and statistic."""
    difference: float | None = None
    """Value less that of the reference metric, on the same resamples."""
    difference_low: float | None = None
    difference_high: float | None = None
    detector: float | None = None
    """The same statistic of a perfect detector: the score computed on the atlas's own prompts."""
    exact: float | None = None
    """The same statistic of distances that are differences of the exact score."""
    spread: float | None = None
    """Standard deviation over random splits."""


@dataclass(frozen=True)
class HeadlineCell:
    """Means over behaviours and models, with bootstrap intervals where they exist."""

    s5: float | None
    map: float | None
    s5_interval: tuple[float, float] | None = None
    map_interval: tuple[float, float] | None = None
    s5_gain: tuple[float, float, float] | None = None
    """Gain of the reference over this metric, and its interval."""
    map_gain: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class HeadlineRow:
    """One line of the headline table: a metric, the null, or a ceiling."""

    name: str
    is_metric: bool
    cells: Mapping[str, HeadlineCell]
    """By column: the kinds of labels within models, and `another model` (transfer)."""


@dataclass(frozen=True)
class TagAgreement:
    """How far a thresholded class reproduces itself on other random tokens."""

    model: str
    name: str
    n_heads: int
    n_again: int
    """Heads above the same threshold on the label sequences."""
    jaccard: float | None


@dataclass(frozen=True)
class Evaluation:
    """All measurements of an atlas's metrics, with the settings that reproduce them."""

    metrics: tuple[str, ...]
    reference: str
    """The metric that differences are taken from."""
    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    headline: tuple[HeadlineRow, ...] = ()
    answer: tuple[str, ...] = ()
    """Sentences: what does not work, which metric to use, and by how much it is better."""
    labels: tuple[LabelReliability, ...] = ()
    tags: tuple[TagAgreement, ...] = ()
    missing: tuple[str, ...] = ()
    """What could not be measured, and why."""
    too_few: tuple[TooFew, ...] = ()
    """Classes and scores with too few heads."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object (numbers, strings, lists and null); `from_json` reads it."""
        value = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        value["settings"] = dict(self.settings)
        plain: dict[str, Any] = _plain(value)
        return plain

    @staticmethod
    def is_earlier(value: Any) -> bool:
        """Return whether a JSON value is an evaluation of an earlier version, to be made again."""
        entries = value.values() if isinstance(value, Mapping) else ()
        return bool(entries) and all(
            isinstance(entry, Mapping) and entry.get("schema_version") == 1 for entry in entries
        )

    @classmethod
    def from_json(cls, value: Any) -> Evaluation:
        """Read the object that `to_json` returned.

        Raises:
            InputError: if it is of another schema, or a part is missing.
        """
        again = f"Run `motifs {ARTEFACTS['evaluation'].command}`."
        version = value.get("schema_version") if isinstance(value, Mapping) else None
        if version != SCHEMA_VERSION:
            known = "an earlier version" if version is None else f"schema {version!r}"
            raise InputError(
                f"the evaluation is of {known}, not of schema {SCHEMA_VERSION}. {again}"
            )
        try:
            return cls(
                metrics=tuple(value["metrics"]),
                reference=str(value["reference"]),
                settings=dict(value["settings"]),
                rows=_read_all(Row, value["rows"]),
                headline=tuple(_headline_row(row) for row in value["headline"]),
                answer=tuple(value["answer"]),
                labels=_read_all(LabelReliability, value["labels"]),
                tags=_read_all(TagAgreement, value["tags"]),
                missing=tuple(value["missing"]),
                too_few=_read_all(TooFew, value["too_few"]),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"the evaluation lacks a part ({error}). {again}") from error


def _headline_row(value: Mapping[str, Any]) -> HeadlineRow:
    cells: dict[str, HeadlineCell] = {}
    for name, cell in value["cells"].items():
        plain: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in cell.items()}
        cells[name] = HeadlineCell(**plain)
    return HeadlineRow(str(value["name"]), bool(value["is_metric"]), cells)


def _read_all(row_type: Any, values: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    """Read rows by the fields that this version knows; later versions may add more."""
    names = {field.name for field in fields(row_type)}
    return tuple(row_type(**{k: v for k, v in row.items() if k in names}) for row in values)


def _plain(value: Any) -> Any:
    """Return lists for tuples and None for NaN, which JSON lacks."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def class_rows(metric: str, results: Iterable[ClassRecovery]) -> Iterator[Row]:
    """Yield MAP and AUROC of each class and scope; each has its own p."""
    for result in results:
        for statistic, test in ((MAP, result.average_precision), (AUROC, result.auroc)):
            row = Row(
                metric,
                result.model,
                setting_of(result.model),
                result.name,
                result.kind,
                statistic,
                result.n_queries,
                result.n_heads,
            )
            yield with_test(row, test, result.p_floor)


def score_rows(metric: str, results: Iterable[NeighbourRegression]) -> Iterator[Row]:
    """Yield S5 of each score of the heads table and scope."""
    for result in results:
        row = Row(
            metric,
            result.model,
            setting_of(result.model),
            result.name,
            SCORE,
            S5,
            result.n_queries,
            result.n_heads,
        )
        yield with_test(row, result.spearman, None)


def identification_rows(metric: str, results: Iterable[Identification]) -> Iterator[Row]:
    """Yield top-1 and top-5 shares with chance; a query is a held-out pattern."""
    for result in results:
        for k, share in ((1, result.top_1), (TOP, result.top_5)):
            yield Row(
                metric,
                result.model,
                WITHIN,
                "head from one pattern",
                PATTERNS,
                f"top-{k}",
                result.n_patterns,
                result.n_heads,
                value=share,
                null_mean=min(1.0, k / result.n_heads),
            )


def variance_rows(metric: str, results: Iterable[VarianceShares]) -> Iterator[Row]:
    """Yield shares of head, prompt and residual, with those of independent noise."""
    for result in results:
        shares = (result.head, result.prompt, result.residual)
        names = ("head share", "prompt share", "residual share")
        for name, share, chance in zip(names, shares, result.by_chance(), strict=True):
            yield Row(
                metric,
                result.model,
                WITHIN,
                "variance",
                PATTERNS,
                name,
                result.n_heads * result.n_prompts,
                result.n_heads,
                value=number(share),
                null_mean=chance,
            )


def reliability_rows(metric: str, results: Iterable[SplitHalf], halves: str) -> Iterator[Row]:
    """Yield the agreement of distances from two halves of the prompts, or of their sources."""
    for result in results:
        row = Row(
            metric,
            result.model,
            WITHIN,
            f"halves by {halves}",
            DISTANCES,
            "split-half Spearman",
            result.n_heads * (result.n_heads - 1) // 2,
            result.n_heads,
            value=number(result.mean),
            spread=number(result.spread),
            null_mean=0.0,
        )
        yield row
        yield replace(
            row,
            statistic="same nearest head",
            n_queries=result.n_heads,
            value=float(np.mean(result.same_nearest)),
            spread=spread_of(result.same_nearest),
            null_mean=1 / (result.n_heads - 1),
        )


def with_false_discovery_rates(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Add q to the rows with a p, one family per metric, setting, kind and statistic.

    The p of a row is the larger of the two nulls', so that a finding holds against both.
    """
    table = list(rows)
    families: dict[str, list[int]] = {}
    for i, row in enumerate(table):
        if row.p is not None:
            family = " · ".join((row.metric, row.setting, row.kind, row.statistic))
            families.setdefault(family, []).append(i)
    for family, places in families.items():
        p = [max(table[i].p or 0.0, table[i].p_groups or 0.0) for i in places]
        for i, rate in zip(places, false_discovery_rates(p), strict=True):
            table[i] = replace(table[i], q=number(rate), family=family)
    return tuple(table)


def with_test(row: Row, test: NullTest, p_floor: float | None) -> Row:
    """Return the row with a value and its null."""
    return replace(
        row,
        value=number(test.value),
        null_mean=number(test.null_mean),
        null_95=number(test.null_95),
        p=number(test.p),
        p_floor=p_floor,
    )


def setting_of(label: str) -> str:
    """Return whether the label of a scope is of one model or of two."""
    return ACROSS if " -> " in label else WITHIN


def number(value: float) -> float | None:
    """Return the number, or None for NaN, which JSON lacks."""
    return float(value) if math.isfinite(value) else None
