"""Tables of numbers behind figures: CSV or Parquet, LaTeX, and a description of the columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from attention_motifs.figures.style import TEXT_WIDTH

if TYPE_CHECKING:
    import polars as pl

DIGITS = 5
MAX_CSV_ROWS = 20_000
"""Longer tables are Parquet."""
MAX_TEX_ROWS = 40
"""Tables up to this length also come as LaTeX."""

COLUMNS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "architecture": ("", "architecture of the model"),
        "attention": ("share, 0 to 1", "attention of the query token to the key token"),
        "classes": ("", "classes in the literature, separated by semicolons"),
        "component": ("count from 1", "principal component"),
        "continuity": ("0 to 1", "share of true neighbours that the map keeps near"),
        "correlation": ("-1 to 1", "Pearson's correlation over all patterns"),
        "class": ("", "class computed from behaviour"),
        "cumulative": ("share, 0 to 1", "variance of this component and all before"),
        "depth": ("0 to 1", "layer, from the first (0) to the last (1)"),
        "distance": ("none", "distance of two heads, by Eq. 3 or the metric in the file's name"),
        "feature": ("", "name of the feature"),
        "feature_a": ("", "name of the first feature"),
        "feature_b": ("", "name of the second feature"),
        "head": ("", "model, layer and index, both counted from 0"),
        "head_a": ("", "first head of the pair"),
        "head_b": ("", "second head of the pair"),
        "heads": ("count", "attention heads of the model"),
        "heads per layer": ("count", "attention heads of a layer"),
        "high": ("as the value", "upper end of the 95 % interval"),
        "importance": ("share, 0 to 1", "variance of the component that is due to the feature"),
        "index": ("count from 0", "index of the head in its layer"),
        "is_metric": ("", "whether the line is a metric, else the null or a ceiling"),
        "key": ("count from 0", "position of the key token"),
        "label": ("", "class in the literature, or computed from behaviour"),
        "labels": ("", "kind of labels"),
        "layer": ("count from 0", "layer of the head"),
        "layers": ("count", "layers of the model"),
        "line": ("", "metric, null or ceiling"),
        "low": ("as the value", "lower end of the 95 % interval"),
        "measure": ("", "S5: mean score of the five nearest heads; MAP: mean average precision"),
        "method": ("", "method of projection"),
        "metric": ("", "metric of the distances that are projected"),
        "model": ("", "name of the model"),
        "motif": ("", "name of the motif"),
        "n": ("count", "number of verdicts in the bin"),
        "n_components": ("count from 1", "number of components"),
        "n_neighbors": ("count", "neighbourhood size; for t-SNE the perplexity"),
        "observed": ("share, 0 to 1", "verdicts of the bin that are right"),
        "papers": ("", "sources, separated by semicolons"),
        "parameters": ("count", "parameters of the model"),
        "percentile": ("0 to 100", "percentage of pairs of the two layers that are nearer"),
        "predicted": ("probability", "mean probability of the bin"),
        "probability": ("probability", "probability of the verdict"),
        "prompt_id": ("", "id of the prompt"),
        "query": ("count from 0", "position of the query token"),
        "revision": ("", "revision of the model"),
        "row": ("count from 0", "row of the head in the distances on disk"),
        "run": ("", "run of training"),
        "sampled": ("", "whether the pattern is in the random sample"),
        "scope": ("", "model, or all models"),
        "score": ("0 to 1", "behaviour score of the head"),
        "share": ("share, 0 to 1", "share of the attention or of the variance"),
        "source": ("", "where the model comes from"),
        "spread": ("as the score", "standard deviation over sequences"),
        "step": ("count", "step of training"),
        "threshold": ("as the score", "smallest score of the heads of the class"),
        "trustworthiness": ("0 to 1", "share of neighbours on the map that are true ones"),
        "urls": ("", "addresses of the sources, separated by semicolons"),
        "value": ("0 to 1", "value of the measure"),
        "verdict": ("", "most probable class, learnt from other models"),
        "weights SHA-256": ("", "digest of the weights"),
        "x": ("none", "position on the map"),
        "y": ("none", "position on the map"),
        **{f"pc{i}": ("standard deviations", f"position along component {i}") for i in range(1, 7)},
    }
)
"""Unit and meaning of every column of the tables."""

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "“": "``", "”": "''", "…": r"\ldots{}",
    }
)  # fmt: skip


def write_table(table: pl.DataFrame, folder: Path, stem: str) -> tuple[list[Path], set[str]]:
    """Write a table with five digits: CSV, Parquet if it is long, LaTeX too if it is short.

    Returns:
        Paths of the files, and the names of the columns.
    """
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    rounded = table.with_columns(pl.col(pl.Float32, pl.Float64).round_sig_figs(DIGITS))
    if len(table) > MAX_CSV_ROWS:
        path = folder / f"{stem}.parquet"
        rounded.with_columns(pl.col(pl.Float64).cast(pl.Float32)).write_parquet(
            path, compression="zstd", compression_level=9
        )
        return [path], set(table.columns)
    paths = [folder / f"{stem}.csv"]
    rounded.write_csv(paths[0])
    if len(table) <= MAX_TEX_ROWS:
        paths.append(folder / f"{stem}.tex")
        paths[1].write_text(table_tex(rounded), encoding="utf-8")
    return paths, set(table.columns)


def describe_columns(folder: Path, columns: Iterable[str]) -> Path:
    """Write `columns.csv`, with the unit and meaning of each column."""
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    rows = [(name, *COLUMNS.get(name, ("", ""))) for name in sorted(columns)]
    path = folder / "columns.csv"
    names = ("column", "unit", "meaning")
    pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").write_csv(path)
    return path


def escape_tex(text: str) -> str:
    """Return text as LaTeX typesets it, character by character."""
    return text.translate(_ESCAPES)


def table_tex(table: pl.DataFrame) -> str:
    """Return a table as a LaTeX tabular with the rules of booktabs."""
    kinds = "".join("r" if dtype.is_numeric() else "l" for dtype in table.dtypes)
    lines = [f"\\begin{{tabular}}{{{kinds}}}", "\\toprule"]
    lines += [" & ".join(map(escape_tex, table.columns)) + r" \\", "\\midrule"]
    for row in table.iter_rows():
        cells = ["" if cell is None else escape_tex(_cell(cell)) for cell in row]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _cell(value: object) -> str:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


def figure_tex(captions: Mapping[str, str], widths: Mapping[str, float]) -> str:
    """Return a LaTeX environment per figure and table, with its caption and label.

    LaTeX numbers figures itself, so the number in the paper is left out.
    """
    blocks = []
    for name, caption in captions.items():
        _, _, text = (
            caption.partition(". ") if name[:6] in ("figure", "table-") else ("", "", caption)
        )
        kind = "figure" if name in widths else "table"
        star = "*" if widths.get(name, 0.0) > TEXT_WIDTH else ""
        body = (
            f"\\includegraphics{{{name}}}" if name in widths else f"\\input{{numbers/{name}.tex}}"
        )
        blocks.append(
            f"\\begin{{{kind}{star}}}\n  \\centering\n  {body}\n"
            f"  \\caption{{{escape_tex(text)}}}\n  \\label{{{kind[:3]}:{name}}}\n"
            f"\\end{{{kind}{star}}}\n"
        )
    return "\n".join(blocks)
