"""The tests behind the findings in docs/ablation.md, from effects measured on both packaged models.

    python docs/ablation_findings.py                # print them, from docs/ablation-effects.csv
    python docs/ablation_findings.py demo-atlas     # write that file anew from an atlas, and print

The commands that measure are in docs/ablation.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from scipy.stats import false_discovery_control

EFFECTS = Path(__file__).with_name("ablation-effects.csv")
MODELS = ("smollm2-135m-instruct", "gemma-3-270m")
METRICS = ("mean", "cosine", "natural")
QUESTIONS = (("induction", "loss"), ("previous token", "prefix matching"))
"""Class, and what its heads should harm, on repeated tokens."""
STRONGEST = {
    ("smollm2-135m-instruct", "induction"): "smollm2-135m-instruct:L18:H6",
    ("smollm2-135m-instruct", "previous token"): "smollm2-135m-instruct:L16:H0",
    ("gemma-3-270m", "induction"): "gemma-3-270m:L5:H1",
    ("gemma-3-270m", "previous token"): "gemma-3-270m:L2:H3",
}
"""Head with the highest score of a class; checked against the atlas when effects are written."""
COLUMNS = (
    *("kind", "model", "name", "metric", "anchor", "method", "reference", "measure", "design"),
    "heads",
    *("n_heads", "effect", "ci_low", "ci_high", "control_effect", "control_low", "control_high"),
    *("excess", "excess_low", "excess_high", "others_effect"),
    *("p", "q", "p_floor", "n_tested"),
    *("n_controls", "n_sequences", "seed"),
)

Row = dict[str, Any]


def collect(atlas_path: Path) -> pl.DataFrame:
    """Effects on repeated tokens of an atlas, without the controls themselves."""
    from attention_motifs import Atlas

    atlas = Atlas.open(atlas_path)
    for (model, behaviour), head in STRONGEST.items():
        of_model = atlas.heads.filter(pl.col("model") == model).sort(behaviour, descending=True)
        if of_model["head"][0] != head:
            raise SystemExit(f"{atlas_path}: strongest by {behaviour} is {of_model['head'][0]}")
    floats = [name for name, kind in atlas.ablations.schema.items() if kind == pl.Float64]
    return (
        atlas.ablations.filter(
            ~pl.col("control"),
            pl.col("design") == "repeated",
            pl.col("method") == "mean",
            (pl.col("kind") != "set") | (pl.col("n_heads") > 1),
            pl.col("measure").is_in([measure for _, measure in QUESTIONS]),
        )
        .with_columns(
            pl.when(pl.col("kind") == "head").then(pl.lit("")).otherwise(
                pl.col("heads").list.join(" ")
            ).alias("heads"),
            *(pl.col(name).round_sig_figs(5) for name in floats),
        )
        .select(COLUMNS)
        .sort("kind", "model", "measure", "name", "metric", maintain_order=True)
    )  # fmt: skip


def read() -> pl.DataFrame:
    """The effects that were kept."""
    table = pl.read_csv(EFFECTS, infer_schema_length=None)
    return table.with_columns(pl.col("metric", "anchor", "heads").cast(pl.String).fill_null(""))


def asked(effects: pl.DataFrame) -> list[tuple[Row, float]]:
    """Rows that the questions are about, with q over these alone."""
    rows = []
    for model in MODELS:
        for behaviour, measure in QUESTIONS:
            anchor = STRONGEST[model, behaviour]
            of_model = effects.filter(pl.col("model") == model, pl.col("measure") == measure)
            names = [f"{behaviour} (computed)"]
            names += [f"5 nearest of {anchor} by {metric}" for metric in METRICS]
            groups = of_model.filter(pl.col("kind") == "group")
            rows += [groups.row(by_predicate=pl.col("name") == name, named=True) for name in names]
            correlated = of_model.filter(pl.col("kind") == "distance", pl.col("anchor") == anchor)
            rows += [
                correlated.row(by_predicate=pl.col("metric") == metric, named=True)
                for metric in METRICS
            ]
    return list(zip(rows, false_discovery_control([row["p"] for row in rows]), strict=True))


def tables(effects: pl.DataFrame) -> str:
    """Return all tables as Markdown."""
    return "\n".join([*_alone(effects), "", *_distances(effects), "", *_together(effects)])


def _alone(effects: pl.DataFrame) -> Iterator[str]:
    rows = asked(effects)
    yield (
        "| model | heads, each ablated alone | of the class | effect (95 %) | non-members | draws "
        f"of the same layers | p | q, family | q, these {len(rows)} |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    classes = {(row["model"], row["measure"]): set(row["heads"].split()) for row, _ in rows
               if row["metric"] == "" and row["kind"] == "group"}  # fmt: skip
    for row, q in rows:
        if row["kind"] != "group":
            continue
        of_class = classes[row["model"], row["measure"]] & set(row["heads"].split())
        cells = [
            row["model"],
            _words(row),
            f"{len(of_class)} of {row['n_heads']}",
            _interval(row, "effect", "ci"),
            _number(row["others_effect"], row["measure"]),
            _number(row["control_effect"], row["measure"]),
        ]
        yield _line([*cells, _p(row["p"]), _p(row["q"]), _p(q)])


def _distances(effects: pl.DataFrame) -> Iterator[str]:
    yield (
        "| model | distance to | and the effect on | metric | Spearman's rho (95 %) | by layers "
        "alone | p | q, family | q, these |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for row, q in asked(effects):
        if row["kind"] == "distance":
            head = row["anchor"].partition(":")[2].replace(":", "")
            cells = [row["model"], head, _measure(row), f"`{row['metric']}`"]
            cells += [_interval(row, "effect", "ci", 2), _signed(row["control_effect"], 2)]
            yield _line([*cells, _p(row["p"]), _p(row["q"]), _p(q)])


def _together(effects: pl.DataFrame) -> Iterator[str]:
    yield (
        "| model | heads, ablated together | measure | effect (95 %) | random sets of the same "
        "layers | excess (95 %) | sets | p | q, family |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    sets = effects.filter(pl.col("kind") == "set")
    for model in MODELS:
        for row in sets.filter(pl.col("model") == model).iter_rows(named=True):
            cells = [
                row["model"],
                f"{_words(row)} ({row['n_heads']})",
                _measure(row),
                _interval(row, "effect", "ci"),
                _number(row["control_effect"], row["measure"]),
                _interval(row, "excess", "excess"),
                str(row["n_controls"]),
            ]
            yield _line([*cells, _p(row["p"]), _p(row["q"])])


def _words(row: Row) -> str:
    if not row["metric"]:
        return str(row["name"]).removesuffix(" (computed)")
    head = row["anchor"].partition(":")[2].replace(":", "")
    return f"5 nearest of {head}, `{row['metric']}`"


def _measure(row: Row) -> str:
    return "loss" if row["measure"] == "loss" else "prefix matching"


def _interval(row: Row, value: str, ends: str, digits: int | None = None) -> str:
    places = digits if digits is not None else _places(row["measure"])
    low, high = (_signed(row[f"{ends}_{end}"], places) for end in ("low", "high"))
    return f"{_signed(row[value], places)} ({low} to {high})"


def _places(measure: str) -> int:
    return 2 if measure == "loss" else 3


def _number(value: float, measure: str) -> str:
    return _signed(value, _places(measure))


def _signed(value: float, places: int) -> str:
    return f"{value:+.{places}f}"


def _p(value: float) -> str:
    return (
        f"{value:.2f}" if value >= 0.095 else f"{value:.1g}" if value < 0.00095 else f"{value:.2g}"
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Write the effects if an atlas is given, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("atlas", type=Path, nargs="?", help="where effects are taken from")
    given = parser.parse_args()
    if given.atlas:
        collect(given.atlas).write_csv(EFFECTS)
    print(tables(read()))


if __name__ == "__main__":
    main()
