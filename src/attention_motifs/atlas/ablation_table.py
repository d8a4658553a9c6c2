"""The table of ablation effects: its columns, their meaning, and its reader.

It has one row per measurement or test (docs/ablation.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.store.paths import AtlasFile

KINDS = {
    "head": "one head ablated alone, in a sweep",
    "set": "the named heads ablated together",
    "control": "a random set with as many heads per layer, ablated together, for the set it names",
    "group": "mean over the named heads of the effects of ablating each alone, from a sweep",
    "distance": "rank correlation, over a model's heads, of distance to the anchor and effect",
}
"""What a row is about."""

COLUMNS: dict[str, tuple[str, str]] = {
    "experiment": ("String", "`sweep`, or what was asked for"),
    "kind": ("String", "`head`, `set`, `control`, `group` or `distance`"),
    "model": ("String", "whose heads"),
    "name": ("String", "the head, the set (a class, a cluster, `5 nearest of ...`), or the anchor"),
    "heads": ("List(String)", "the heads ablated, or averaged over; empty for `distance`"),
    "n_heads": ("Int32", "how many; for `distance`, heads correlated over"),
    "method": ("String", "what was put in place of the heads' outputs"),
    "reference": ("String", "the same in words, with the sequences that a mean was taken over"),
    "measure": ("String", "what was measured"),
    "design": ("String", "on what: `prompts`, `repeated` or `long`"),
    "metric": ("String", "of the distances, for sets of nearest heads and for `distance`"),
    "anchor": ("String", "the head whose nearest, or whose distances, are meant"),
    "clean": ("Float64", "the measure without ablation"),
    "ablated": ("Float64", "the measure with it"),
    "effect": ("Float64", "ablated - clean; for `distance`, Spearman's rho"),
    "ci_low": ("Float64", "of the effect, 95 % interval by bootstrap over sequences, lower end"),
    "ci_high": ("Float64", "its upper end"),
    "control_effect": ("Float64", "mean effect of the layer-matched controls, or of the null"),
    "control_low": ("Float64", "2.5 % of the controls"),
    "control_high": ("Float64", "97.5 %"),
    "excess": ("Float64", "effect - control_effect"),
    "excess_low": ("Float64", "95 % interval by bootstrap over sequences, lower end"),
    "excess_high": ("Float64", "its upper end"),
    "others_effect": (
        "Float64",
        "mean effect without target heads: of other heads of the same layers (`head`, `group`), or "
        "of controls that hold no target head (`set`)",
    ),
    "others_excess": ("Float64", "effect - others_effect: the size of the effect"),
    "standardised": ("Float64", "excess over the standard deviation of the controls"),
    "p": ("Float64", "of the test; null for controls, which are not tested"),
    "family": ("String", "the kind of question that p answers, such as `classes: loss, repeated`"),
    "q": ("Float64", "Benjamini and Hochberg's, over every p of the family"),
    "n_tested": ("Int32", "how many p the family holds"),
    "p_floor": ("Float64", "no smaller p can come of this test"),
    "test": ("String", "which test, and on which side"),
    "n_controls": (
        "Int32",
        "controls measured, or arrangements compared with",
    ),
    "control": ("Boolean", "whether the row is a control"),
    "n_sequences": ("Int32", "sequences measured on"),
    "n_positions": ("Int32", "positions measured per sequence"),
    "seed": ("Int64", "of everything random"),
}
"""Name, polars type and meaning of every column, in order. Numbers may be null."""


ADDED = ("others_effect", "others_excess", "reference", "family")
"""Columns that older files lack. Without a family, q is over every p of the file."""

_OLD_REFERENCES = {
    "mean": "mean over other prompts of the atlas",
    "mean-position": "mean by position over other prompts of the atlas",
    "resample": "output on another sequence of the design",
    "zero": "zero",
    "pattern-preserving": "zero, patterns held",
}
"""What replaced the outputs by method, for files without the column `reference`: there the means
were taken over prompts, whatever was measured."""

_QUESTIONS = {"head": "heads", "set": "sets", "distance": "distance"}


def family_of(row: Mapping[str, Any]) -> str | None:
    """Return the family of the p of a row: all tests that ask the same kind of question.

    One family holds the tests of one kind of row with one measure on one design, of all models
    and methods. Groups of nearest heads and groups by class or cluster are two kinds.

    Args:
        row: with kind, anchor, measure and design.

    Returns:
        Such as `nearest heads: loss, repeated`; None for a control, which is not tested.
    """
    kind = row["kind"]
    if kind == "control":
        return None
    question = _QUESTIONS.get(kind) or ("nearest heads" if row["anchor"] else "classes")
    return f"{question}: {row['measure']}, {row['design']}"


def schema() -> dict[str, Any]:
    """Polars types by column."""
    import polars as pl

    types = {
        "String": pl.String,
        "List(String)": pl.List(pl.String),
        "Int32": pl.Int32,
        "Int64": pl.Int64,
        "Float64": pl.Float64,
        "Boolean": pl.Boolean,
    }
    return {name: types[kind] for name, (kind, _) in COLUMNS.items()}


def table_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows to a table with every column; NaN and what a row does not name are null."""
    import polars as pl

    filled = [{name: row.get(name) for name in COLUMNS} for row in rows]
    return pl.DataFrame(filled, schema=schema(), orient="row").fill_nan(None)


def read_table(file: AtlasFile) -> pl.DataFrame:
    """Read the table.

    Columns of `ADDED` are null if the file is older than they are; `reference` follows from the
    method.

    Raises:
        AtlasError: if it is missing, damaged, or lacks a column.
    """
    import polars as pl

    table = files.read_parquet(file)
    for name in COLUMNS:
        if name in ADDED and name not in table.columns:
            missing = pl.lit(None, schema()[name])
            if name == "reference" and "method" in table.columns:
                missing = pl.col("method").replace_strict(
                    _OLD_REFERENCES, default=None, return_dtype=pl.String
                )
            table = table.with_columns(missing.alias(name))
        if name not in table.columns:
            raise files.damaged(file, file.fix_damaged, KeyError(f"no column {name!r}"))
    table = table.select(list(COLUMNS))
    if dict(table.schema) != schema():
        raise files.damaged(file, file.fix_damaged, TypeError("columns of other types"))
    return table
